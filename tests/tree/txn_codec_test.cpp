// SPDX-License-Identifier: Apache-2.0
#include "ensemble/tree/txn_codec.h"

#include <limits>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/tree/random_txn.h"

namespace zkfs::tree::test {
namespace {

std::string hex(ByteView bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

// Two txns are equal if their bytes are: encode() is total and deterministic.
void expect_round_trip(const Txn& txn) {
  const Blob bytes = encode(txn);
  const auto decoded = decode_txn(bytes.view());
  ASSERT_TRUE(decoded) << hex(bytes.view());
  EXPECT_EQ(decoded->body.index(), txn.body.index());
  EXPECT_EQ(encode(*decoded), bytes);
}

TxnBody sample_create() {
  CreateTxn txn;
  txn.parent = Ino{1};
  txn.name = "job-0000000042";
  txn.ino = Ino{300};
  txn.data = Blob(std::string_view("a\0b", 3));
  txn.acl = {{Permissions::kAll, "world", "anyone"}, {Permissions::kRead, "user", "7"}};
  txn.type = NodeType::kTtl;
  txn.kind = NodeKind::kSymlink;
  txn.executable = true;
  txn.owner = SessionId{0x0200000000000001};
  txn.ttl_ms = 5000;
  return txn;
}

Txn with(TxnBody body) {
  return {SessionId{0x0100000000000002}, Xid{9}, Xid{7}, 1700000000000, std::move(body)};
}

struct Golden {
  const char* name;
  Txn txn;
  const char* bytes;
};

std::vector<Golden> goldens() {
  return {
      {"create", with(sample_create()),
       "090200000000000001100918072080d095ffbc31524c0801120e6a6f622d3030303030303030343218ac0222036"
       "100622a11081f1205776f726c641a06616e796f6e652a0b08011204757365721a01373003380340014901000000"
       "00000002508827"},
      {"delete", with(DeleteTxn{Ino{300}}), "090200000000000001100918072080d095ffbc315a0308ac02"},
      {"set_data", with(SetDataTxn{Ino{300}, Blob("new")}),
       "090200000000000001100918072080d095ffbc31620808ac0212036e6577"},
      {"append", with(AppendTxn{Ino{300}, Blob("more")}),
       "090200000000000001100918072080d095ffbc316a0908ac0212046d6f7265"},
      {"set_acl", with(SetAclTxn{Ino{300}, open_acl()}),
       "090200000000000001100918072080d095ffbc31721608ac021211081f1205776f726c641a06616e796f6e65"},
      {"set_attributes", with(SetAttributesTxn{Ino{300}, -5, NodeKind::kUnspecified, false}),
       "090200000000000001100918072080d095ffbc317a1208ac0210fbffffffffffffffff0118002000"},
      {"rename", with(RenameTxn{Ino{300}, Ino{1}, "b", Ino{4}, true}),
       "090200000000000001100918072080d095ffbc3182010c08ac0210011a016220042801"},
      {"create_session", with(CreateSessionTxn{SessionId{0x0100000000000002}, 4000, "zkCli"}),
       "090200000000000001100918072080d095ffbc318a011309020000000000000110a01f1a057a6b436c69"},
      {"close_session", with(CloseSessionTxn{SessionId{0x0100000000000002}, {Ino{5}, Ino{300}}}),
       "090200000000000001100918072080d095ffbc3192010e090200000000000001120305ac02"},
      {"multi",
       with(MultiTxn{{CheckTxn{Ino{2}}, DeleteTxn{Ino{3}}, SetDataTxn{Ino{2}, Blob("x")}}}),
       "090200000000000001100918072080d095ffbc319a01150a04420208020a04120208030a071a050802120178"},
      {"error", with(ErrorTxn{Error::kBadVersion, {Error::kOk, Error::kBadVersion}}),
       "090200000000000001100918072080d095ffbc31a2010808cd01120300cd01"},
      {"lock",
       with(LockTxn{Ino{300}, LockSpace::kPosix, LockMode::kExclusive, {5, 300}, 7, 8, 9, true}),
       "090200000000000001100918072080d095ffbc31aa012108ac02100118012005292c01000000000000310700000"
       "000000000380840094801"},
      {"lock_whole", with(LockTxn{Ino{300}, {}, {}, {}, 7, 8, 9, false}),
       "090200000000000001100918072080d095ffbc31aa011908ac0229ffffffffffffffff310700000000000000380"
       "84009"},
      {"unlock", with(UnlockTxn{Ino{300}, LockSpace::kPosix, {5, 300}, 7}),
       "090200000000000001100918072080d095ffbc31b2011908ac0210011805212c010000000000002907000000000"
       "00000"},
      {"cancel_lock", with(CancelLockTxn{Ino{300}, 8}),
       "090200000000000001100918072080d095ffbc31ba010508ac021008"},
  };
}

// The log on disk and the members of other versions hold these bytes: a change here is a change of
// format.
TEST(TxnCodec, BytesAreAsTheyEverWere) {
  for (const Golden& golden : goldens()) {
    EXPECT_EQ(hex(encode(golden.txn).view()), golden.bytes) << golden.name;
    expect_round_trip(golden.txn);
  }
}

TEST(TxnCodec, EveryFieldComesBack) {
  const auto decoded = decode_txn(encode(with(sample_create())).view());
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->session, SessionId{0x0100000000000002});
  EXPECT_EQ(decoded->xid, Xid{9});
  EXPECT_EQ(decoded->first_unanswered, Xid{7});
  EXPECT_EQ(decoded->time, 1700000000000);
  const auto& create = std::get<CreateTxn>(decoded->body);
  EXPECT_EQ(create.parent, Ino{1});
  EXPECT_EQ(create.name, "job-0000000042");
  EXPECT_EQ(create.ino, Ino{300});
  EXPECT_EQ(create.data.size(), 3U);
  EXPECT_EQ(create.acl.size(), 2U);
  EXPECT_EQ(create.type, NodeType::kTtl);
  EXPECT_EQ(create.kind, NodeKind::kSymlink);
  EXPECT_TRUE(create.executable);
  EXPECT_EQ(create.owner, SessionId{0x0200000000000001});
  EXPECT_EQ(create.ttl_ms, 5000);
}

TEST(TxnCodec, ExtremesComeBack) {
  constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();
  Txn txn;
  txn.session = SessionId{kMax};
  txn.xid = Xid{kMax};
  txn.time = std::numeric_limits<std::int64_t>::min();
  txn.body = CreateSessionTxn{SessionId{kMax}, 0xffffffffU, std::string(1, '\xff')};
  expect_round_trip(txn);
  expect_round_trip(Txn{});
  expect_round_trip(with(MultiTxn{}));
  expect_round_trip(with(SetAttributesTxn{}));
  expect_round_trip(with(ErrorTxn{Error{std::numeric_limits<std::int32_t>::min()}, {}}));
  expect_round_trip(with(SetDataTxn{Ino{kMax}, Blob(std::string(1'100'000, 'x'))}));
}

TEST(TxnCodec, EveryFieldOfALockComesBack) {
  const LockTxn sent{Ino{300}, LockSpace::kPosix, LockMode::kExclusive, {5, 300}, 7, 8, 9, true};
  const auto lock = std::get<LockTxn>(decode_txn(encode(with(sent)).view())->body);
  EXPECT_EQ(lock.ino, sent.ino);
  EXPECT_EQ(lock.space, sent.space);
  EXPECT_EQ(lock.mode, sent.mode);
  EXPECT_EQ(lock.range, sent.range);
  EXPECT_EQ(lock.owner, sent.owner);
  EXPECT_EQ(lock.request, sent.request);
  EXPECT_EQ(lock.pid, sent.pid);
  EXPECT_TRUE(lock.wait);
  const UnlockTxn dropped{Ino{300}, LockSpace::kPosix, {5, 300}, 7};
  const auto unlock = std::get<UnlockTxn>(decode_txn(encode(with(dropped)).view())->body);
  EXPECT_EQ(unlock.ino, dropped.ino);
  EXPECT_EQ(unlock.space, dropped.space);
  EXPECT_EQ(unlock.range, dropped.range);
  EXPECT_EQ(unlock.owner, dropped.owner);
  const auto cancel =
      std::get<CancelLockTxn>(decode_txn(encode(with(CancelLockTxn{Ino{300}, 8})).view())->body);
  EXPECT_EQ(cancel.ino, Ino{300});
  EXPECT_EQ(cancel.request, 8U);
}

TEST(TxnCodec, AbsentAttributesStayAbsent) {
  const auto decoded = decode_txn(encode(with(SetAttributesTxn{Ino{1}, 0, {}, false})).view());
  ASSERT_TRUE(decoded);
  const auto& txn = std::get<SetAttributesTxn>(decoded->body);
  EXPECT_EQ(txn.mtime, 0);
  EXPECT_EQ(txn.kind, std::nullopt);
  EXPECT_EQ(txn.executable, false);
}

TEST(TxnCodec, RandomTxnsComeBack) {
  Random random(1);
  Model model;
  for (std::uint64_t i = 1; i < 3000; ++i) {
    const Txn txn = random_txn(random, model);
    expect_round_trip(txn);
    model.apply(Zxid{i}, txn);
  }
}

class Refused : public testing::TestWithParam<std::string> {};

TEST_P(Refused, IsNoTxn) {
  EXPECT_EQ(decode_txn(GetParam()).error(), Error::kMarshalling);
}

INSTANTIATE_TEST_SUITE_P(
    TxnCodec,
    Refused,
    testing::Values(std::string(),                                   // no body
                    std::string("\x10\x01", 2),                      // a xid, no body
                    std::string("\xff\xff\xff", 3),                  // garbage
                    std::string("\x5a\x05\x08\x01", 4),              // cut off
                    std::string("\x5a\x02\x08\x01\xaa\x06\x00", 7),  // a delete and a field 101
                    std::string("\x5a\x04\x08\x01\x50\x01", 6),      // a delete with a field 10
                    std::string("\xfa\x01\x00", 3),                  // a body 31
                    std::string("\x5a\x03\x08\x81\x00", 5),          // 1 in two bytes
                    std::string("\x52\x02\x30\x04", 4),              // a create of a type 4
                    std::string("\xaa\x01\x02\x10\x02", 5),          // a lock of a space 2
                    std::string("\xaa\x01\x02\x18\x02", 5)));        // a lock of a mode 2

TEST(TxnCodec, RandomBytesDoNoHarm) {
  Random random(2);
  for (int i = 0; i < 20000; ++i) {
    const std::string bytes = random_bytes(random, 80);
    const auto txn = decode_txn(bytes);
    EXPECT_TRUE(!txn || encode(*txn).view() == bytes) << hex(bytes);
  }
}

TEST(TxnCodec, MutatedTxnsDoNoHarm) {
  Random random(3);
  const auto samples = goldens();
  for (int i = 0; i < 40000; ++i) {
    std::string bytes(encode(samples[random.below(samples.size())].txn).view());
    for (std::uint64_t n = random.between(1, 4); n > 0; --n) {
      const std::size_t at = random.below(bytes.size());
      switch (random.below(4)) {
        case 0:
          bytes[at] = static_cast<char>(random.below(256));
          break;
        case 1:
          bytes.insert(at, 1, static_cast<char>(random.below(256)));
          break;
        case 2:
          bytes.resize(at + 1);
          break;
        default:
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8)));
          break;
      }
    }
    const auto txn = decode_txn(bytes);
    EXPECT_TRUE(!txn || encode(*txn).view() == bytes) << hex(bytes);
  }
}

}  // namespace
}  // namespace zkfs::tree::test
