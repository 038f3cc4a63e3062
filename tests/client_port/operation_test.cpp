// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <gtest/gtest.h>

#include "ensemble/client_port/client_codec.h"

namespace zkfs::client_port {
namespace {

constexpr Translation kExtended{.extended_types = true};
constexpr Translation kPlain{.extended_types = false};

AclRecord anyone() {
  return {.permissions = 31, .scheme = "world", .id = "anyone"};
}

CreateBody create(OpCode op, std::int32_t flags, std::int64_t ttl_ms = -1) {
  CreateBody body;
  body.op = op;
  body.path = "/a";
  body.data = "data";
  body.acl = {anyone()};
  body.flags = flags;
  body.ttl_ms = ttl_ms;
  return body;
}

template <typename T>
T operation_of(const Body& body, Translation translation = kExtended) {
  return std::get<T>(to_operation(body, translation).value());
}

server::CreateRequest created(OpCode op, std::int32_t flags, std::int64_t ttl_ms = -1) {
  return operation_of<server::CreateRequest>(create(op, flags, ttl_ms));
}

Error refusal(const Body& body, Translation translation = kExtended) {
  const auto operation = to_operation(body, translation);
  return operation ? Error::kOk : operation.error();
}

TEST(ToOperation, ACreateAsItIs) {
  const auto request = created(OpCode::kCreate, CreateFlags::kPersistent);
  EXPECT_EQ(request.target.ino, Ino{});
  EXPECT_EQ(request.target.path, "/a");
  EXPECT_EQ(request.data, Blob("data"));
  EXPECT_EQ(request.acl, tree::open_acl());
  EXPECT_EQ(request.type, tree::NodeType::kPersistent);
  EXPECT_EQ(request.kind, tree::NodeKind::kUnspecified);
  EXPECT_FALSE(request.sequential);
  EXPECT_FALSE(request.or_set);
}

TEST(ToOperation, TheFlagsSayWhetherItIsEphemeralAndSequential) {
  for (const OpCode op : {OpCode::kCreate, OpCode::kCreate2}) {
    EXPECT_TRUE(created(op, 2).sequential);
    EXPECT_EQ(created(op, 2).type, tree::NodeType::kPersistent);
    EXPECT_EQ(created(op, 1).type, tree::NodeType::kEphemeral);
    EXPECT_FALSE(created(op, 1).sequential);
    EXPECT_EQ(created(op, 3).type, tree::NodeType::kEphemeral);
    EXPECT_TRUE(created(op, 3).sequential);
  }
}

TEST(ToOperation, TheOperationSaysWhetherItIsAContainer) {
  EXPECT_EQ(created(OpCode::kCreate, 4).type, tree::NodeType::kPersistent);
  EXPECT_EQ(created(OpCode::kCreate2, 4).type, tree::NodeType::kPersistent);
  EXPECT_EQ(created(OpCode::kCreateContainer, 4).type, tree::NodeType::kContainer);
  EXPECT_EQ(created(OpCode::kCreateContainer, 0).type, tree::NodeType::kContainer);
}

TEST(ToOperation, ATtlNeedsItsOperationAndItsFlags) {
  EXPECT_EQ(created(OpCode::kCreateTtl, 5, 1000).type, tree::NodeType::kTtl);
  EXPECT_EQ(created(OpCode::kCreateTtl, 5, 1000).ttl_ms, 1000);
  EXPECT_FALSE(created(OpCode::kCreateTtl, 5, 1000).sequential);
  EXPECT_TRUE(created(OpCode::kCreateTtl, 6, 1000).sequential);
  EXPECT_EQ(refusal(create(OpCode::kCreateTtl, 0, 0)), Error::kBadArguments);
  EXPECT_EQ(refusal(create(OpCode::kCreateTtl, 2, 1000)), Error::kBadArguments);
  EXPECT_EQ(created(OpCode::kCreateTtl, 0, -1).type, tree::NodeType::kPersistent);
  // The flags without the operation leave a TTL that is not in range: prep's affair.
  EXPECT_EQ(created(OpCode::kCreate, 5).type, tree::NodeType::kTtl);
  EXPECT_LT(created(OpCode::kCreate, 5).ttl_ms, 0);
}

TEST(ToOperation, FlagsBeyondSixAreBad) {
  for (const std::int32_t flags : {7, 8, -1, INT32_MAX, INT32_MIN})
    EXPECT_EQ(refusal(create(OpCode::kCreate, flags)), Error::kBadArguments) << flags;
  EXPECT_EQ(refusal(create(OpCode::kCreateTtl, 7, 1000), kPlain), Error::kBadArguments);
}

TEST(ToOperation, WithoutExtendedTypesATtlIsUnimplementedWhateverItsValue) {
  EXPECT_EQ(refusal(create(OpCode::kCreateTtl, 5, 1000), kPlain), Error::kUnimplemented);
  EXPECT_EQ(refusal(create(OpCode::kCreateTtl, 6, 0), kPlain), Error::kUnimplemented);
  EXPECT_EQ(refusal(create(OpCode::kCreateContainer, 4), kPlain), Error::kOk);
}

TEST(ToOperation, NullAndEmptyDataDiffer) {
  CreateBody body = create(OpCode::kCreate, 0);
  body.data = std::nullopt;
  EXPECT_TRUE(operation_of<server::CreateRequest>(body).data.is_null());
  body.data = "";
  EXPECT_FALSE(operation_of<server::CreateRequest>(body).data.is_null());
  const SetDataBody set{.path = "/a", .data = std::nullopt, .version = 3};
  EXPECT_TRUE(operation_of<server::SetDataRequest>(set).data.is_null());
  EXPECT_EQ(operation_of<server::SetDataRequest>(set).version, 3);
}

TEST(ToOperation, ANullInAnAclMakesAnEntryThatIsRefused) {
  for (const AclRecord& record :
       {AclRecord{31, std::nullopt, "anyone"}, AclRecord{31, "world", std::nullopt},
        AclRecord{31, std::nullopt, std::nullopt}}) {
    const SetAclBody body{.path = "/a", .acl = {anyone(), record}, .version = 0};
    const auto request = operation_of<server::SetAclRequest>(body);
    ASSERT_EQ(request.acl.size(), 2U);
    EXPECT_EQ(request.acl[0], tree::open_acl()[0]);
    const auto valid = tree::validate_acl(request.acl);
    ASSERT_FALSE(valid);
    EXPECT_EQ(valid.error(), Error::kInvalidAcl);
  }
}

// Its id means nothing; kazoo sends none.
TEST(ToOperation, AuthNeedsNoId) {
  const SetAclBody body{.path = "/a", .acl = {{31, "auth", std::nullopt}}, .version = 0};
  EXPECT_EQ(operation_of<server::SetAclRequest>(body).acl, (tree::AclList{{31, "auth", ""}}));
}

TEST(ToOperation, SetAclDeleteAndClose) {
  const SetAclBody set{.path = "/a", .acl = {}, .version = 7};
  EXPECT_TRUE(operation_of<server::SetAclRequest>(set).acl.empty());
  EXPECT_EQ(operation_of<server::SetAclRequest>(set).version, 7);
  const DeleteBody remove{.path = "/b", .version = 4};
  const auto request = operation_of<server::DeleteRequest>(remove);
  EXPECT_EQ(request.target.path, "/b");
  EXPECT_EQ(request.version, 4);
  EXPECT_EQ(request.expected, server::DeleteRequest::Shown::kAny);
  EXPECT_FALSE(request.only_without_data);
  operation_of<server::CloseSessionRequest>(CloseSessionBody{});
}

TEST(ToOperation, AMultiKeepsItsOrder) {
  MultiBody multi;
  multi.operations = {CheckBody{.path = "/c", .version = 1}, create(OpCode::kCreateContainer, 4),
                      SetDataBody{.path = "/s", .data = "x", .version = 2},
                      DeleteBody{.path = "/d", .version = 3}};
  const auto request = operation_of<server::MultiRequest>(multi);
  ASSERT_EQ(request.operations.size(), 4U);
  EXPECT_EQ(std::get<server::CheckRequest>(request.operations[0]).version, 1);
  EXPECT_EQ(std::get<server::CreateRequest>(request.operations[1]).type,
            tree::NodeType::kContainer);
  EXPECT_EQ(std::get<server::SetDataRequest>(request.operations[2]).data, Blob("x"));
  EXPECT_EQ(std::get<server::DeleteRequest>(request.operations[3]).version, 3);
  EXPECT_FALSE(refused_with(multi, kExtended));
}

TEST(ToOperation, WhatCannotBeInAMultiIsLeftForPrepToRefuseInItsTurn) {
  MultiBody multi;
  multi.operations = {create(OpCode::kCreate, 0), create(OpCode::kCreateTtl, 5, 1000),
                      create(OpCode::kCreate, 9)};
  const auto request = operation_of<server::MultiRequest>(multi, kPlain);
  ASSERT_EQ(request.operations.size(), 3U);
  EXPECT_EQ(std::get<server::CreateRequest>(request.operations[0]).target.path, "/a");
  EXPECT_NE(std::get<server::CreateRequest>(request.operations[1]).target.path.front(), '/');
  const auto refused = refused_with(multi, kPlain);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->index, 1U);
  EXPECT_EQ(refused->error, Error::kUnimplemented);
  // Here the bad flags come first, which prep names itself.
  EXPECT_FALSE(refused_with(multi, kExtended));
  std::swap(multi.operations[1], multi.operations[2]);
  EXPECT_FALSE(refused_with(multi, kPlain));
}

TEST(WireError, ZooKeepersNumbersAreThemselves) {
  for (const std::int32_t code : {0,    -2,   -5,   -6,   -8,   -101, -102, -103, -108, -110,
                                  -111, -112, -114, -115, -118, -119, -120, -121, -123, -125}) {
    EXPECT_EQ(wire_error(static_cast<Error>(code)), code);
  }
}

TEST(WireError, NoNumberOfOursReachesAClient) {
  EXPECT_EQ(wire_error(Error::kStale), -101);
  EXPECT_EQ(wire_error(Error::kTooLarge), -8);
  EXPECT_EQ(wire_error(Error::kIsDirectory), -8);
  EXPECT_EQ(wire_error(Error::kLoop), -8);
  EXPECT_EQ(wire_error(Error::kNotDirectory), -108);
  EXPECT_EQ(wire_error(Error::kNoSpace), -1);
  for (std::int32_t code = -1001; code > -1100; --code)
    EXPECT_GT(wire_error(static_cast<Error>(code)), -1000) << code;
}

TEST(WireError, WhatIsNotKnownForCertainClosesTheConnection) {
  EXPECT_TRUE(closes_connection(Error::kUnknownOutcome));
  EXPECT_TRUE(closes_connection(Error::kShutdown));
  EXPECT_TRUE(closes_connection(Error::kSessionMoved));
  EXPECT_FALSE(closes_connection(Error::kOk));
  EXPECT_FALSE(closes_connection(Error::kNoSpace));
}

}  // namespace
}  // namespace zkfs::client_port
