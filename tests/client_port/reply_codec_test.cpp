// SPDX-License-Identifier: Apache-2.0
// Every reply against bytes written by hand from reference/zookeeper.md 1.3 to 1.5 and 2.3.
#include "ensemble/client_port/reply_codec.h"

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "tests/client_port/bytes.h"

namespace zkfs::client_port {
namespace {

constexpr ReplyTo kTo{.xid = 5, .zxid = Zxid(0xb1)};
// Length 16 + the digits given, and the header of kTo.
constexpr std::string_view kHeader = "00000005 00000000000000b1 00000000 ";

// Every field another.
tree::Stat stat() {
  tree::Stat stat;
  stat.czxid = Zxid(0x0102030405060708);
  stat.mzxid = Zxid(0x11);
  stat.pzxid = Zxid(0xfffffffffffffffe);
  stat.ctime = 0x18bcfe56800;
  stat.mtime = -1;
  stat.version = 3;
  stat.cversion = -4;
  stat.aversion = 5;
  stat.ephemeral_owner = SessionId{0x0100001f1fbf001e};
  stat.data_length = 6;
  stat.num_children = 7;
  return stat;
}

const std::string kStat =
    "0102030405060708 0000000000000011 0000018bcfe56800 ffffffffffffffff 00000003 fffffffc "
    "00000005 0100001f1fbf001e 00000006 00000007 fffffffffffffffe";

template <typename Write>
std::string written(Write write) {
  std::string out = "before";
  write(out);
  EXPECT_EQ(out.substr(0, 6), "before");
  return to_hex(out.substr(6));
}

std::string hex(const std::string& text) {
  return to_hex(bytes(text));
}

// --- the handshake ---

TEST(ConnectResponse, TheGoldenBytes) {
  const std::string password = bytes("8001f2d844e00c55ca815b95f77ac3ec");
  ConnectResponse response{.timeout_ms = 4000,
                           .session = SessionId{0x0100001f1fbf001e},
                           .password = password,
                           .read_only = false};
  const std::string fields =
      "00000000 00000fa0 0100001f1fbf001e 00000010 8001f2d844e00c55ca815b95f77ac3ec";
  EXPECT_EQ(written([&](std::string& out) { write_connect_response(out, response); }),
            hex("00000025" + fields + "00"));
  response.read_only = true;
  EXPECT_EQ(written([&](std::string& out) { write_connect_response(out, response); }),
            hex("00000025" + fields + "01"));
  response.read_only = std::nullopt;
  EXPECT_EQ(written([&](std::string& out) { write_connect_response(out, response); }),
            hex("00000024" + fields));
}

TEST(ConnectResponse, ARefusalIsAllZeros) {
  EXPECT_EQ(written([](std::string& out) { write_connect_response(out, {.read_only = false}); }),
            hex("00000025 00000000 00000000 0000000000000000 00000010 00*16 00"));
  EXPECT_EQ(
      written([](std::string& out) { write_connect_response(out, {.read_only = std::nullopt}); }),
      hex("00000024 00000000 00000000 0000000000000000 00000010 00*16"));
}

// --- replies ---

TEST(Reply, TheGoldenBytesOfWhatHasNoBody) {
  EXPECT_EQ(written([](std::string& out) {
              write_header_only(out, {3, Zxid(0xb1)}, Error::kNoNode);
            }),
            hex("00000010 00000003 00000000000000b1 ffffff9b"));
  EXPECT_EQ(written([](std::string& out) {
              write_header_only(out, {kPingXid, Zxid(0xb2)});
            }),
            hex("00000010 fffffffe 00000000000000b2 00000000"));
  EXPECT_EQ(written([](std::string& out) {
              write_header_only(out, {kAuthXid, Zxid()});
            }),
            hex("00000010 fffffffc 0000000000000000 00000000"));
  EXPECT_EQ(written([](std::string& out) {
              write_header_only(out, {9, Zxid(0x100000002)});
            }),
            hex("00000010 00000009 0000000100000002 00000000"));
}

TEST(Reply, AnErrorOfOursIsTranslated) {
  EXPECT_EQ(written([](std::string& out) { write_header_only(out, kTo, Error::kTooLarge); }),
            hex("00000010 00000005 00000000000000b1 fffffff8"));
}

TEST(Reply, TheGoldenBytesOfACreate) {
  EXPECT_EQ(written([](std::string& out) {
              write_path(out, {1, Zxid(0xb1)}, "/hx");
            }),
            hex("00000017 00000001 00000000000000b1 00000000 00000003 2f6878"));
}

TEST(Reply, APathAndItsStat) {
  EXPECT_EQ(written([](std::string& out) { write_path(out, kTo, "/hx", stat()); }),
            hex("0000005b" + std::string(kHeader) + "00000003 '/hx'" + kStat));
}

TEST(Reply, Stat) {
  EXPECT_EQ(written([](std::string& out) { write_stat(out, kTo, stat()); }),
            hex("00000054" + std::string(kHeader) + kStat));
}

TEST(Reply, TheGoldenLengthOfGetData) {
  EXPECT_EQ(written([](std::string& out) { write_data(out, kTo, Blob("ab"), stat()); }),
            hex("0000005a" + std::string(kHeader) + "00000002 6162" + kStat));
}

TEST(Reply, NullAndEmptyDataDiffer) {
  EXPECT_EQ(written([](std::string& out) { write_data(out, kTo, Blob::null(), stat()); }),
            hex("00000058" + std::string(kHeader) + "ffffffff" + kStat));
  EXPECT_EQ(written([](std::string& out) { write_data(out, kTo, Blob(), stat()); }),
            hex("00000058" + std::string(kHeader) + "00000000" + kStat));
  EXPECT_EQ(written([](std::string& out) { write_token(out, kTo, std::nullopt); }),
            hex("00000014" + std::string(kHeader) + "ffffffff"));
  EXPECT_EQ(written([](std::string& out) { write_token(out, kTo, ""); }),
            hex("00000014" + std::string(kHeader) + "00000000"));
}

TEST(Reply, Token) {
  EXPECT_EQ(written([](std::string& out) { write_token(out, kTo, "tok"); }),
            hex("00000017" + std::string(kHeader) + "00000003 'tok'"));
}

TEST(Reply, Acl) {
  const tree::AclList acl{{31, "world", "anyone"}, {0xffffffffU, "digest", "u:h"}};
  EXPECT_EQ(written([&](std::string& out) { write_acl(out, kTo, acl, stat()); }),
            hex("00000084" + std::string(kHeader) +
                "00000002 0000001f 00000005 'world' 00000006 'anyone'"
                "ffffffff 00000006 'digest' 00000003 'u:h'" +
                kStat));
}

TEST(Reply, Children) {
  EXPECT_EQ(written([](std::string& out) {
              ChildrenReply reply(out, kTo);
              reply.add("a");
              reply.add("bc");
              reply.end();
            }),
            hex("0000001f" + std::string(kHeader) + "00000002 00000001 'a' 00000002 'bc'"));
  EXPECT_EQ(written([](std::string& out) {
              ChildrenReply reply(out, kTo);
              reply.end(stat());
            }),
            hex("00000058" + std::string(kHeader) + "00000000" + kStat));
  EXPECT_EQ(written([](std::string& out) {
              ChildrenReply reply(out, kTo);
              reply.add("a");
              reply.end(stat());
            }),
            hex("0000005d" + std::string(kHeader) + "00000001 00000001 'a'" + kStat));
}

TEST(Reply, Strings) {
  const std::vector<std::string> paths{"/a", ""};
  EXPECT_EQ(written([&](std::string& out) { write_strings(out, kTo, paths); }),
            hex("0000001e" + std::string(kHeader) + "00000002 00000002 '/a' 00000000"));
  EXPECT_EQ(written([](std::string& out) { write_strings(out, kTo, {}); }),
            hex("00000014" + std::string(kHeader) + "00000000"));
}

TEST(Reply, Number) {
  EXPECT_EQ(written([](std::string& out) { write_number(out, kTo, 3); }),
            hex("00000014" + std::string(kHeader) + "00000003"));
}

TEST(Reply, OfADigestOnlyTheUserIsTold) {
  const std::vector<server::AuthId> identities{{"ip", "127.0.0.1"}, {"digest", "u:hash"}};
  EXPECT_EQ(written([&](std::string& out) { write_identities(out, kTo, identities); }),
            hex("00000036" + std::string(kHeader) +
                "00000002 00000002 'ip' 00000009 '127.0.0.1' 00000006 'digest' 00000001 'u'"));
}

TEST(Event, TheGoldenBytesWithoutAZxid) {
  EXPECT_EQ(written([](std::string& out) {
              write_event(out, EventType::kDataChanged, "/hx", std::nullopt);
            }),
            hex("0000001f ffffffff ffffffffffffffff 00000000 00000003 00000003 00000003 2f6878"));
}

TEST(Event, WithTheZxidOfItsTxn) {
  EXPECT_EQ(written([](std::string& out) {
              write_event(out, EventType::kChildrenChanged, "/", Zxid(0x100000007));
            }),
            hex("0000001d ffffffff 0000000100000007 00000000 00000004 00000003 00000001 '/'"));
}

// --- multi ---

TEST(MultiReply, TheGoldenBytesOfASuccess) {
  EXPECT_EQ(written([](std::string& out) {
              MultiReply reply(out, kTo);
              reply.succeeded(OpCode::kCheck);
              reply.set(stat());
              reply.end();
            }),
            hex("0000006f" + std::string(kHeader) + "0000000d 00 00000000 00000005 00 00000000" +
                kStat + "ffffffff 01 ffffffff"));
}

TEST(MultiReply, TheGoldenBytesOfAFailure) {
  EXPECT_EQ(written([](std::string& out) {
              MultiReply reply(out, {6, Zxid(0xb1)});
              reply.failed(Error::kOk);
              reply.failed(Error::kBadVersion);
              reply.end();
            }),
            hex("00000033 00000006 00000000000000b1 00000000 ffffffff 00 00000000 00000000"
                "ffffffff 00 ffffff99 ffffff99 ffffffff 01 ffffffff"));
}

TEST(MultiReply, EachKindOfCreateAsItsClientsReadIt) {
  const auto created = [](OpCode op) {
    return written([op](std::string& out) {
      MultiReply reply(out, kTo);
      reply.created(op, "/a", stat());
      reply.end();
    });
  };
  const std::string end = "ffffffff 01 ffffffff";
  const std::string plain =
      hex("00000028" + std::string(kHeader) + "00000001 00 00000000 00000002 '/a'" + end);
  const std::string with_stat =
      hex("0000006c" + std::string(kHeader) + "0000000f 00 00000000 00000002 '/a'" + kStat + end);
  EXPECT_EQ(created(OpCode::kCreate), plain);
  EXPECT_EQ(created(OpCode::kCreateContainer), plain);
  EXPECT_EQ(created(OpCode::kCreate2), with_stat);
  EXPECT_EQ(created(OpCode::kCreateTtl), with_stat);
}

TEST(MultiReply, ResultsOfDeletesAndReads) {
  EXPECT_EQ(written([](std::string& out) {
              MultiReply reply(out, kTo);
              reply.succeeded(OpCode::kDelete);
              reply.data(Blob("x"), stat());
              reply.data(Blob::null(), stat());
              StringsWriter names = reply.children();
              names.add("c");
              names.end();
              reply.failed(Error::kNoAuth);
              reply.end();
            }),
            hex("000000e4" + std::string(kHeader) + "00000002 00 00000000" +
                "00000004 00 00000000 00000001 'x'" + kStat + "00000004 00 00000000 ffffffff" +
                kStat + "00000008 00 00000000 00000001 00000001 'c'" +
                "ffffffff 00 ffffff9a ffffff9a" + "ffffffff 01 ffffffff"));
}

TEST(MultiReply, OfNothingIsTheEndMark) {
  EXPECT_EQ(written([](std::string& out) { MultiReply(out, kTo).end(); }),
            hex("00000019" + std::string(kHeader) + "ffffffff 01 ffffffff"));
}

TEST(Frame, ItsLengthIsThatOfWhatWasAppended) {
  EXPECT_EQ(written([](std::string& out) {
              const std::size_t frame = begin_frame(out);
              append_reply_header(out, 5, Zxid(0xb1));
              append_string(out, "/a");
              end_frame(out, frame);
              const std::size_t second = begin_frame(out);
              end_frame(out, second);
            }),
            hex("00000016" + std::string(kHeader) + "00000002 '/a' 00000000"));
}

}  // namespace
}  // namespace zkfs::client_port
