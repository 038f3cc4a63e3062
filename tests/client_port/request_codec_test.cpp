// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <utility>
#include <variant>

#include <gtest/gtest.h>

#include "ensemble/client_port/client_codec.h"
#include "tests/client_port/bytes.h"
#include "tests/client_port/sample_requests.h"

namespace zkfs::client_port {
namespace {

// What comes out points into the bytes, which must live as long.
struct Decoded {
  Decoded(OpCode op, std::string text) : frame(std::move(text)), reader(frame) {
    body = decode_body(op, reader);
  }

  Decoded(const Decoded&) = delete;
  Decoded& operator=(const Decoded&) = delete;

  std::string frame;
  jute::Reader reader;
  Result<Body> body = std::unexpected(Error::kOk);

  [[nodiscard]] Error error() const { return body ? Error::kOk : body.error(); }

  template <typename T>
  const T& as() const {
    return std::get<T>(body.value());
  }
};

Decoded decoded(OpCode op, std::string_view text) {
  return Decoded(op, bytes(text));
}

// The sample of that operation.
Decoded sample(OpCode op) {
  for (const SampleRequest& request : sample_requests()) {
    if (request.op == op) return Decoded(op, request.body);
  }
  ADD_FAILURE() << "no sample of " << static_cast<int>(op);
  return Decoded(op, {});
}

Error error_of(OpCode op, std::string_view text) {
  return decoded(op, text).error();
}

// --- the handshake ---

constexpr std::string_view kConnect =
    "00000000 0000000100000002 00000fa0 0100001f1fbf001e 00000010 8001f2d844e00c55ca815b95f77ac3ec";

TEST(DecodeConnect, TheFormWithReadOnly) {
  const std::string payload = bytes(std::string(kConnect) + "01");
  ASSERT_EQ(payload.size(), 45U);
  const auto request = decode_connect(payload);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->protocol_version, 0);
  EXPECT_EQ(request->last_zxid_seen, Zxid(Epoch{1}, 2));
  EXPECT_EQ(request->timeout_ms, 4000);
  EXPECT_EQ(request->session.value, 0x0100001f1fbf001eU);
  EXPECT_EQ(to_hex(request->password), "8001f2d844e00c55ca815b95f77ac3ec");
  EXPECT_EQ(request->read_only, true);
}

TEST(DecodeConnect, TheGoldenBytesOfANewSession) {
  const std::string payload =
      bytes("00000000 0000000000000000 00000fa0 0000000000000000 00000010 00*16 00");
  ASSERT_EQ(payload.size(), 0x2dU);
  const auto request = decode_connect(payload);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->session, SessionId{});
  EXPECT_EQ(request->password, std::string(16, '\0'));
  EXPECT_EQ(request->read_only, false);
}

TEST(DecodeConnect, AnOldClientSendsNoReadOnlyByte) {
  const std::string payload = bytes(kConnect);
  ASSERT_EQ(payload.size(), 44U);
  const auto request = decode_connect(payload);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->read_only, std::nullopt);
}

TEST(DecodeConnect, APasswordOfAnotherLengthDoesNotMakeAnOldClient) {
  const std::string payload =
      bytes("00000000 0000000000000000 00000fa0 0000000000000000 00000003 'pwd' 01");
  const auto request = decode_connect(payload);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->password, "pwd");
  EXPECT_EQ(request->read_only, true);
}

TEST(DecodeConnect, ANullPasswordIsAnEmptyOne) {
  const std::string payload = bytes("00000000 0000000000000000 00000fa0 0000000000000000 ffffffff");
  const auto request = decode_connect(payload);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->password, "");
  EXPECT_EQ(request->read_only, std::nullopt);
}

TEST(DecodeConnect, ANegativeZxidIsNotAheadOfAnything) {
  const std::string payload = bytes("00000000 ffffffffffffffff 80000000 0000000000000000 00000000");
  const auto request = decode_connect(payload);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->last_zxid_seen, Zxid(0));
  EXPECT_EQ(request->timeout_ms, INT32_MIN);
}

TEST(DecodeConnect, EveryTruncationIsRefused) {
  const std::string payload = bytes(kConnect);
  for (std::size_t length = 0; length < payload.size(); ++length) {
    const auto request = decode_connect(std::string(payload, 0, length));
    ASSERT_FALSE(request) << length;
    EXPECT_EQ(request.error(), Error::kMarshalling);
  }
}

// --- headers ---

TEST(DecodeHeader, TakesTheHeaderOffTheFrame) {
  const std::string frame = bytes("00000002 00000004 00000003 '/hx' 01");
  jute::Reader reader(frame);
  const auto header = decode_header(reader);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->xid, 2);
  EXPECT_EQ(header->type, 4);
  EXPECT_EQ(reader.rest().size(), 8U);
}

TEST(DecodeHeader, SpecialNumbersAreNegative) {
  const std::string ping = bytes("fffffffe 0000000b");
  jute::Reader reader(ping);
  const auto header = decode_header(reader);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->xid, kPingXid);
  EXPECT_EQ(header->type, static_cast<std::int32_t>(OpCode::kPing));
  const std::string close = bytes("00000009 fffffff5");
  jute::Reader second(close);
  EXPECT_EQ(decode_header(second)->type, static_cast<std::int32_t>(OpCode::kCloseSession));
  const std::string auth = bytes("fffffffc 00000064");
  jute::Reader third(auth);
  EXPECT_EQ(decode_header(third)->xid, kAuthXid);
}

TEST(DecodeHeader, AFrameTooShortHasNone) {
  for (const char* text : {"", "00", "00000001", "00000001 000000"}) {
    const std::string frame = bytes(text);
    jute::Reader reader(frame);
    EXPECT_FALSE(decode_header(reader)) << text;
  }
}

// --- bodies ---

TEST(DecodeBody, TheGoldenBytesOfACreate) {
  const auto create = decoded(OpCode::kCreate,
                              "00000003 2f6878 00000002 6162 00000001 0000001f 00000005 'world' "
                              "00000006 'anyone' 00000000");
  const auto& body = create.as<CreateBody>();
  EXPECT_EQ(body.op, OpCode::kCreate);
  EXPECT_EQ(body.path, "/hx");
  EXPECT_EQ(body.data, "ab");
  ASSERT_EQ(body.acl.size(), 1U);
  EXPECT_EQ(body.acl[0].permissions, 31);
  EXPECT_EQ(body.acl[0].scheme, "world");
  EXPECT_EQ(body.acl[0].id, "anyone");
  EXPECT_EQ(body.flags, 0);
  EXPECT_LT(body.ttl_ms, 0);
}

TEST(DecodeBody, EachKindOfCreateIsToldApart) {
  EXPECT_EQ(sample(OpCode::kCreate).as<CreateBody>().flags, 3);
  EXPECT_EQ(sample(OpCode::kCreate2).as<CreateBody>().op, OpCode::kCreate2);
  EXPECT_EQ(sample(OpCode::kCreateContainer).as<CreateBody>().op, OpCode::kCreateContainer);
  const auto ttl = sample(OpCode::kCreateTtl);
  EXPECT_EQ(ttl.as<CreateBody>().op, OpCode::kCreateTtl);
  EXPECT_EQ(ttl.as<CreateBody>().flags, 6);
  EXPECT_EQ(ttl.as<CreateBody>().ttl_ms, 1000);
}

TEST(DecodeBody, NullAndEmptyDataDiffer) {
  const std::string rest = std::string(kOpenAcl) + " 00000000";
  EXPECT_EQ(decoded(OpCode::kCreate, "00000002 '/a' ffffffff " + rest).as<CreateBody>().data,
            std::nullopt);
  EXPECT_EQ(decoded(OpCode::kCreate, "00000002 '/a' 00000000 " + rest).as<CreateBody>().data, "");
  EXPECT_EQ(decoded(OpCode::kSetData, "00000002 '/a' ffffffff 00000000").as<SetDataBody>().data,
            std::nullopt);
  EXPECT_EQ(decoded(OpCode::kSetData, "00000002 '/a' 00000000 00000000").as<SetDataBody>().data,
            "");
  EXPECT_EQ(decoded(OpCode::kSasl, "ffffffff").as<SaslBody>().token, std::nullopt);
  EXPECT_EQ(decoded(OpCode::kSasl, "00000000").as<SaslBody>().token, "");
}

TEST(DecodeBody, NullsWhereNothingIsMeantReadAsEmpty) {
  EXPECT_EQ(decoded(OpCode::kExists, "ffffffff 00").as<ExistsBody>().path, "");
  EXPECT_TRUE(
      decoded(OpCode::kSetAcl, "00000002 '/a' ffffffff 00000000").as<SetAclBody>().acl.empty());
  EXPECT_TRUE(
      decoded(OpCode::kSetAcl, "00000002 '/a' 00000000 00000000").as<SetAclBody>().acl.empty());
  const auto watches =
      decoded(OpCode::kSetWatches, "0000000000000000 ffffffff 00000000 00000001 ffffffff");
  EXPECT_TRUE(watches.as<SetWatchesBody>().data.empty());
  EXPECT_TRUE(watches.as<SetWatchesBody>().exist.empty());
  EXPECT_EQ(watches.as<SetWatchesBody>().child, Paths{""});
}

TEST(DecodeBody, NullsInAnAclAreKeptApartFromEmptyTexts) {
  const auto body = decoded(OpCode::kSetAcl,
                            "00000002 '/a' 00000003 0000001f ffffffff 00000006 'anyone' 00000001 "
                            "00000006 'digest' ffffffff 00000001 00000000 00000000 00000000");
  const auto& acl = body.as<SetAclBody>().acl;
  ASSERT_EQ(acl.size(), 3U);
  EXPECT_EQ(acl[0].scheme, std::nullopt);
  EXPECT_EQ(acl[1].id, std::nullopt);
  EXPECT_EQ(acl[2].scheme, "");
}

TEST(DecodeBody, ReadsByPath) {
  EXPECT_EQ(sample(OpCode::kExists).as<ExistsBody>().path, "/a");
  EXPECT_TRUE(sample(OpCode::kExists).as<ExistsBody>().watch);
  EXPECT_EQ(sample(OpCode::kGetData).as<GetDataBody>().path, "/a");
  EXPECT_FALSE(sample(OpCode::kGetData).as<GetDataBody>().watch);
  EXPECT_EQ(sample(OpCode::kGetAcl).as<GetAclBody>().path, "/a");
  EXPECT_TRUE(sample(OpCode::kGetChildren).as<GetChildrenBody>().watch);
  EXPECT_FALSE(sample(OpCode::kGetChildren).as<GetChildrenBody>().with_stat);
  EXPECT_FALSE(sample(OpCode::kGetChildren2).as<GetChildrenBody>().watch);
  EXPECT_TRUE(sample(OpCode::kGetChildren2).as<GetChildrenBody>().with_stat);
  EXPECT_EQ(sample(OpCode::kSync).as<SyncBody>().path, "/a");
  EXPECT_EQ(sample(OpCode::kGetEphemerals).as<GetEphemeralsBody>().prefix, "/");
  EXPECT_EQ(sample(OpCode::kGetAllChildrenNumber).as<GetAllChildrenNumberBody>().path, "/");
}

TEST(DecodeBody, AnyByteButZeroIsTrue) {
  EXPECT_TRUE(decoded(OpCode::kGetData, "00000002 '/a' 80").as<GetDataBody>().watch);
}

TEST(DecodeBody, WritesWithAVersion) {
  EXPECT_EQ(sample(OpCode::kDelete).as<DeleteBody>().version, -1);
  EXPECT_EQ(sample(OpCode::kSetData).as<SetDataBody>().data, "z");
  EXPECT_EQ(sample(OpCode::kSetData).as<SetDataBody>().version, 7);
  EXPECT_EQ(sample(OpCode::kSetAcl).as<SetAclBody>().version, 2);
  EXPECT_EQ(sample(OpCode::kSetAcl).as<SetAclBody>().acl.size(), 1U);
}

TEST(DecodeBody, WhatHasNoBody) {
  EXPECT_TRUE(std::holds_alternative<PingBody>(*sample(OpCode::kPing).body));
  EXPECT_TRUE(std::holds_alternative<WhoAmIBody>(*sample(OpCode::kWhoAmI).body));
  EXPECT_TRUE(std::holds_alternative<CloseSessionBody>(*sample(OpCode::kCloseSession).body));
}

TEST(DecodeBody, Watches) {
  const auto check = sample(OpCode::kCheckWatches);
  EXPECT_EQ(check.as<WatchesBody>().type, WatcherType::kChildren);
  EXPECT_FALSE(check.as<WatchesBody>().remove);
  const auto remove = sample(OpCode::kRemoveWatches);
  EXPECT_EQ(remove.as<WatchesBody>().type, WatcherType::kPersistentRecursive);
  EXPECT_TRUE(remove.as<WatchesBody>().remove);
  EXPECT_EQ(sample(OpCode::kAddWatch).as<AddWatchBody>().mode, WatchMode::kPersistentRecursive);
  EXPECT_EQ(decoded(OpCode::kAddWatch, "00000002 '/a' 00000000").as<AddWatchBody>().mode,
            WatchMode::kPersistent);
}

TEST(DecodeBody, UnknownModesAndTypesOfWatchesAreBroken) {
  EXPECT_EQ(error_of(OpCode::kAddWatch, "00000002 '/a' 00000002"), Error::kMarshalling);
  EXPECT_EQ(error_of(OpCode::kAddWatch, "00000002 '/a' ffffffff"), Error::kMarshalling);
  EXPECT_EQ(error_of(OpCode::kCheckWatches, "00000002 '/a' 00000000"), Error::kMarshalling);
  EXPECT_EQ(error_of(OpCode::kRemoveWatches, "00000002 '/a' 00000006"), Error::kMarshalling);
}

TEST(DecodeBody, SetWatchesInBothForms) {
  const auto old = sample(OpCode::kSetWatches);
  EXPECT_EQ(old.as<SetWatchesBody>().relative_zxid, 16);
  EXPECT_EQ(old.as<SetWatchesBody>().data, (Paths{"/a", "/b"}));
  EXPECT_EQ(old.as<SetWatchesBody>().exist, Paths{"/c"});
  EXPECT_TRUE(old.as<SetWatchesBody>().child.empty());
  EXPECT_TRUE(old.as<SetWatchesBody>().persistent.empty());
  const auto newer = sample(OpCode::kSetWatches2);
  EXPECT_EQ(newer.as<SetWatchesBody>().data, Paths{"/a"});
  EXPECT_EQ(newer.as<SetWatchesBody>().exist, Paths{"/b"});
  EXPECT_EQ(newer.as<SetWatchesBody>().child, Paths{"/c"});
  EXPECT_EQ(newer.as<SetWatchesBody>().persistent, Paths{"/d"});
  EXPECT_EQ(newer.as<SetWatchesBody>().persistent_recursive, (Paths{"/e", "/f"}));
}

TEST(DecodeBody, AuthSaslAndReconfig) {
  const auto auth = sample(OpCode::kAuth);
  EXPECT_EQ(auth.as<AuthBody>().type, 0);
  EXPECT_EQ(auth.as<AuthBody>().scheme, "digest");
  EXPECT_EQ(auth.as<AuthBody>().auth, "u:p");
  EXPECT_EQ(sample(OpCode::kSasl).as<SaslBody>().token, "tok");
  const auto reconfig = sample(OpCode::kReconfig);
  EXPECT_EQ(reconfig.as<ReconfigBody>().joining, "j");
  EXPECT_EQ(reconfig.as<ReconfigBody>().leaving, "l");
  EXPECT_EQ(reconfig.as<ReconfigBody>().new_members, "");
  EXPECT_EQ(reconfig.as<ReconfigBody>().current_config, 0x100000000);
}

// --- multi ---

TEST(DecodeMulti, TheGoldenBytesOfACheckAndASet) {
  const auto multi = decoded(OpCode::kMulti,
                             "0000000d 00 ffffffff 00000003 '/hx' ffffffff 00000005 00 ffffffff "
                             "00000003 '/hx' 00000001 'z' ffffffff ffffffff 01 ffffffff");
  const auto& operations = multi.as<MultiBody>().operations;
  ASSERT_EQ(operations.size(), 2U);
  EXPECT_EQ(std::get<CheckBody>(operations[0]).path, "/hx");
  EXPECT_EQ(std::get<CheckBody>(operations[0]).version, -1);
  EXPECT_EQ(std::get<SetDataBody>(operations[1]).data, "z");
}

TEST(DecodeMulti, EveryKindOfWriteInOrder) {
  const auto multi = sample(OpCode::kMulti);
  const auto& operations = multi.as<MultiBody>().operations;
  ASSERT_EQ(operations.size(), 7U);
  EXPECT_EQ(std::get<CreateBody>(operations[0]).op, OpCode::kCreate);
  EXPECT_EQ(std::get<CheckBody>(operations[1]).version, 4);
  EXPECT_EQ(std::get<SetDataBody>(operations[2]).version, 5);
  EXPECT_EQ(std::get<DeleteBody>(operations[3]).version, 6);
  EXPECT_EQ(std::get<CreateBody>(operations[4]).op, OpCode::kCreate2);
  EXPECT_EQ(std::get<CreateBody>(operations[5]).op, OpCode::kCreateContainer);
  EXPECT_EQ(std::get<CreateBody>(operations[6]).ttl_ms, 1000);
}

TEST(DecodeMulti, AnEmptyOneIsFine) {
  EXPECT_TRUE(decoded(OpCode::kMulti, "ffffffff 01 ffffffff").as<MultiBody>().operations.empty());
  EXPECT_TRUE(
      decoded(OpCode::kMultiRead, "ffffffff 01 ffffffff").as<MultiReadBody>().operations.empty());
}

TEST(DecodeMulti, ReadsOfAMultiRead) {
  const auto multi = sample(OpCode::kMultiRead);
  const auto& operations = multi.as<MultiReadBody>().operations;
  ASSERT_EQ(operations.size(), 2U);
  EXPECT_EQ(std::get<GetDataBody>(operations[0]).path, "/a");
  EXPECT_EQ(std::get<GetChildrenBody>(operations[1]).path, "/b");
}

TEST(DecodeMulti, WhatMayNotBeInsideIsBroken) {
  const std::string end = " ffffffff 01 ffffffff";
  const std::string check = "0000000d 00 ffffffff 00000002 '/b' 00000004";
  const std::string read = "00000004 00 ffffffff 00000002 '/a' 00";
  const std::string set_acl =
      "00000007 00 ffffffff 00000002 '/a' " + std::string(kOpenAcl) + " ffffffff";
  EXPECT_EQ(error_of(OpCode::kMulti, read + end), Error::kMarshalling);
  EXPECT_EQ(error_of(OpCode::kMulti, check + read + end), Error::kMarshalling);
  EXPECT_EQ(error_of(OpCode::kMulti, set_acl + end), Error::kMarshalling);
  EXPECT_EQ(error_of(OpCode::kMulti, "0000000e 00 ffffffff" + end), Error::kMarshalling);
  EXPECT_EQ(error_of(OpCode::kMulti, "00000063 00 ffffffff" + end), Error::kMarshalling);
  EXPECT_EQ(error_of(OpCode::kMulti, "ffffffff 00 ffffffff" + end), Error::kMarshalling);
  EXPECT_EQ(error_of(OpCode::kMulti, "00000014 00 ffffffff 00000002 '/a'" + end),
            Error::kMarshalling);
  EXPECT_EQ(error_of(OpCode::kMultiRead, check + end), Error::kMarshalling);
  EXPECT_EQ(error_of(OpCode::kMultiRead, read + check + end), Error::kMarshalling);
  EXPECT_EQ(error_of(OpCode::kMultiRead, "0000000c 00 ffffffff 00000002 '/a' 00" + end),
            Error::kMarshalling);
}

TEST(DecodeMulti, WithoutItsEndMarkItIsBroken) {
  EXPECT_EQ(error_of(OpCode::kMulti, "0000000d 00 ffffffff 00000002 '/b' 00000004"),
            Error::kMarshalling);
  EXPECT_EQ(error_of(OpCode::kMulti, ""), Error::kMarshalling);
}

// --- what is none of these ---

TEST(DecodeBody, WhatIsNoOperationOfClientsIsUnimplemented) {
  const std::string path = "00000002 '/a' ffffffff";
  for (const int type : {-1, 0, 10, 13, 20, -10, -12, 23, 50, 99, 108, 1000, INT32_MAX, INT32_MIN})
    EXPECT_EQ(error_of(static_cast<OpCode>(type), path), Error::kUnimplemented) << type;
}

TEST(DecodeBody, BytesAfterTheLastFieldAreIgnored) {
  for (const SampleRequest& request : sample_requests()) {
    EXPECT_EQ(Decoded(request.op, request.body + "garbage").error(), Error::kOk)
        << static_cast<int>(request.op);
  }
}

TEST(DecodeBody, EveryTruncationIsBroken) {
  for (const SampleRequest& request : sample_requests()) {
    for (std::size_t length = 0; length < request.body.size(); ++length) {
      EXPECT_EQ(Decoded(request.op, request.body.substr(0, length)).error(), Error::kMarshalling)
          << static_cast<int>(request.op) << " cut to " << length;
    }
  }
}

TEST(DecodeBody, LengthsThatCannotBeAreBroken) {
  for (const char* length : {"fffffffe", "80000000", "7fffffff", "00000003"}) {
    const std::string text = std::string(length) + " '/a'";
    EXPECT_EQ(error_of(OpCode::kSync, text), Error::kMarshalling) << length;
    EXPECT_EQ(error_of(OpCode::kSasl, text), Error::kMarshalling) << length;
    EXPECT_EQ(error_of(OpCode::kSetData, "00000002 '/a' " + text), Error::kMarshalling) << length;
  }
}

TEST(DecodeBody, CountsThatCannotBeAreBrokenBeforeAnythingIsAllocated) {
  for (const char* count : {"fffffffe", "80000000", "7fffffff", "00000004"}) {
    const std::string text = std::string(count) + " 00*12";
    EXPECT_EQ(error_of(OpCode::kSetAcl, "00000002 '/a' " + text), Error::kMarshalling) << count;
    EXPECT_EQ(error_of(OpCode::kSetWatches, "0000000000000000 " + text), Error::kMarshalling)
        << count;
  }
}

TEST(LastOperationCode, IsWhatConsShows) {
  EXPECT_EQ(last_operation_code(OpCode::kGetData), "GETD");
  EXPECT_EQ(last_operation_code(OpCode::kCreateTtl), "CREA");
  EXPECT_EQ(last_operation_code(OpCode::kCreateSession), "SESS");
  EXPECT_EQ(last_operation_code(OpCode::kSetWatches2), "STW2");
  EXPECT_EQ(last_operation_code(OpCode::kWhoAmI), "HOMI");
  EXPECT_EQ(last_operation_code(static_cast<OpCode>(77)), "NA");
}

}  // namespace
}  // namespace zkfs::client_port
