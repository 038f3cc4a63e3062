// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/request_codec.h"

#include <string>

#include <gtest/gtest.h>

#include "ensemble/base/random.h"
#include "ensemble/proto/request.pb.h"
#include "tests/server/prep_fixture.h"
#include "tests/server/random_requests.h"

namespace zkfs::server {
namespace {

Request request_of(Operation operation) {
  return {.session = SessionId{0xff00000000000001},
          .xid = Xid{7},
          .first_unanswered = Xid{5},
          .identity = {.uid = 1000, .gids = {1, 0xfffffffe}},
          .operation = std::move(operation)};
}

// What comes out after one passage; the test fails if nothing does.
Request passed(const Request& request) {
  auto result = decode_forwarded(encode(request).view());
  EXPECT_TRUE(result.has_value());
  return result ? std::get<Request>(*result) : Request{};
}

template <typename Operation>
Operation passed_operation(const Operation& operation) {
  return std::get<Operation>(passed(request_of(operation)).operation);
}

bool is_refused(const proto::Forwarded& message) {
  const auto result = decode_forwarded(message.SerializeAsString());
  return !result && result.error() == Error::kMarshalling;
}

proto::Forwarded message_of(Operation operation) {
  proto::Forwarded message;
  const Blob bytes = encode(request_of(std::move(operation)));
  EXPECT_TRUE(message.ParseFromArray(bytes.view().data(), static_cast<int>(bytes.size())));
  return message;
}

TEST(RequestCodec, KeepsWhoAsks) {
  const Request request = passed(request_of(CloseSessionRequest{}));
  EXPECT_EQ(request.session, SessionId{0xff00000000000001});
  EXPECT_EQ(request.xid, Xid{7});
  EXPECT_EQ(request.first_unanswered, Xid{5});
  EXPECT_EQ(request.identity.uid, 1000U);
  EXPECT_EQ(request.identity.gids, (std::vector<std::uint32_t>{1, 0xfffffffe}));
}

TEST(RequestCodec, KeepsEveryFieldOfCreate) {
  const CreateRequest request =
      passed_operation(CreateRequest{.target = at(Ino{9}, std::string("n\0\xff", 3)),
                                     .data = Blob(std::string("\0\xff", 2)),
                                     .acl = {{3, "user", "1"}, {31, "x", "\xff"}},
                                     .type = tree::NodeType::kTtl,
                                     .kind = tree::NodeKind::kSymlink,
                                     .sequential = true,
                                     .executable = true,
                                     .ttl_ms = -5,
                                     .or_set = true,
                                     .append = true});
  EXPECT_EQ(request.target.ino, Ino{9});
  EXPECT_EQ(request.target.path, std::string("n\0\xff", 3));
  EXPECT_EQ(request.data.view(), std::string("\0\xff", 2));
  EXPECT_EQ(request.acl, (tree::AclList{{3, "user", "1"}, {31, "x", "\xff"}}));
  EXPECT_EQ(request.type, tree::NodeType::kTtl);
  EXPECT_EQ(request.kind, tree::NodeKind::kSymlink);
  EXPECT_TRUE(request.sequential && request.executable && request.or_set && request.append);
  EXPECT_EQ(request.ttl_ms, -5);
}

TEST(RequestCodec, KeepsEveryFieldOfDelete) {
  const DeleteRequest request =
      passed_operation(DeleteRequest{.target = at("/a"),
                                     .version = -1,
                                     .expected = DeleteRequest::Shown::kNotDirectory,
                                     .only_without_data = true});
  EXPECT_EQ(request.target.path, "/a");
  EXPECT_EQ(request.version, kAnyVersion);
  EXPECT_EQ(request.expected, DeleteRequest::Shown::kNotDirectory);
  EXPECT_TRUE(request.only_without_data);
}

TEST(RequestCodec, KeepsEveryFieldOfTheOthers) {
  EXPECT_EQ(passed_operation(set("/a", "x", 3)).version, 3);
  EXPECT_EQ(passed_operation(set("/a", "x", 3)).data.view(), "x");
  EXPECT_EQ(passed_operation(append("/a", "x")).data.view(), "x");
  const auto acl = passed_operation(SetAclRequest{at("/a"), tree::open_acl(), 4});
  EXPECT_EQ(acl.acl, tree::open_acl());
  EXPECT_EQ(acl.version, 4);
  const auto rename = passed_operation(RenameRequest{.source = at("/a"),
                                                     .target = at(Ino{2}, "b"),
                                                     .no_replace = true,
                                                     .exchange = true,
                                                     .sequential = true,
                                                     .onto_data = true});
  EXPECT_EQ(rename.source.path, "/a");
  EXPECT_EQ(rename.target.ino, Ino{2});
  EXPECT_TRUE(rename.no_replace && rename.exchange && rename.sequential && rename.onto_data);
  const auto session = passed_operation(CreateSessionRequest{.timeout_ms = 9, .owner = "\xff"});
  EXPECT_EQ(session.timeout_ms, 9U);
  EXPECT_EQ(session.owner, "\xff");
}

TEST(RequestCodec, KeepsEveryFieldOfLocks) {
  const auto lock = passed_operation(LockRequest{.ino = Ino{2},
                                                 .space = tree::LockSpace::kPosix,
                                                 .mode = tree::LockMode::kExclusive,
                                                 .range = {3, 4},
                                                 .owner = 5,
                                                 .request = 6,
                                                 .pid = 7,
                                                 .wait = true});
  EXPECT_EQ(lock.ino, Ino{2});
  EXPECT_EQ(lock.space, tree::LockSpace::kPosix);
  EXPECT_EQ(lock.mode, tree::LockMode::kExclusive);
  EXPECT_EQ(lock.range, (tree::LockRange{3, 4}));
  EXPECT_EQ(lock.owner, 5U);
  EXPECT_EQ(lock.request, 6U);
  EXPECT_EQ(lock.pid, 7U);
  EXPECT_TRUE(lock.wait);
  const auto unlock = passed_operation(
      UnlockRequest{.ino = Ino{2}, .space = tree::LockSpace::kPosix, .range = {3, 4}, .owner = 5});
  EXPECT_EQ(unlock.ino, Ino{2});
  EXPECT_EQ(unlock.space, tree::LockSpace::kPosix);
  EXPECT_EQ(unlock.range, (tree::LockRange{3, 4}));
  EXPECT_EQ(unlock.owner, 5U);
  const auto cancel = passed_operation(CancelLockRequest{.ino = Ino{2}, .request = 6});
  EXPECT_EQ(cancel.ino, Ino{2});
  EXPECT_EQ(cancel.request, 6U);
}

TEST(RequestCodec, AbsentAttributeIsNotZero) {
  const auto none = passed_operation(SetAttributesRequest{});
  EXPECT_FALSE(none.mtime || none.kind || none.executable);
  const auto zero = passed_operation(SetAttributesRequest{
      .target = {}, .mtime = 0, .kind = tree::NodeKind::kUnspecified, .executable = false});
  EXPECT_EQ(zero.mtime, 0);
  EXPECT_EQ(zero.kind, tree::NodeKind::kUnspecified);
  EXPECT_EQ(zero.executable, false);
}

TEST(RequestCodec, KeepsTheOperationsOfAMultiInOrder) {
  const auto request =
      passed_operation(multi({create(at("/a")), remove("/b"), set("/c", ""), append("/d", ""),
                              SetAclRequest{}, SetAttributesRequest{}, rename("/e", "/f"),
                              CheckRequest{.target = at("/g"), .version = 5}}));
  ASSERT_EQ(request.operations.size(), 8U);
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(request.operations[i].index(), i);
  EXPECT_EQ(std::get<CheckRequest>(request.operations[7]).version, 5);
}

TEST(RequestCodec, TouchKeepsItsSessions) {
  const std::vector<SessionId> sessions{SessionId{1}, SessionId{~0ULL}};
  const Touch touch{.sessions = sessions, .low_space = true};
  const auto result = decode_forwarded(encode(touch).view());
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(std::get<Touch>(*result).sessions, sessions);
  EXPECT_TRUE(std::get<Touch>(*result).low_space);
  EXPECT_TRUE(decode_forwarded(encode(Touch{}).view()).has_value());
}

TEST(RequestCodec, NothingIsRefused) {
  EXPECT_EQ(decode_forwarded({}).error(), Error::kMarshalling);
  EXPECT_TRUE(is_refused(proto::Forwarded{}));
}

TEST(RequestCodec, RequestWithoutOperationOrIdentityIsRefused) {
  proto::Forwarded message = message_of(CloseSessionRequest{});
  ASSERT_FALSE(is_refused(message));
  message.mutable_request()->clear_identity();
  EXPECT_TRUE(is_refused(message)) << "it would be root's";
  message = message_of(CloseSessionRequest{});
  message.mutable_request()->clear_operation();
  EXPECT_TRUE(is_refused(message));
  message = message_of(multi({remove("/a")}));
  message.mutable_request()->mutable_multi()->add_operations();
  EXPECT_TRUE(is_refused(message));
}

TEST(RequestCodec, UnknownEnumeratorsAreRefused) {
  proto::Forwarded message = message_of(create(at("/a")));
  message.mutable_request()->mutable_create()->set_type(4);
  EXPECT_TRUE(is_refused(message));
  message = message_of(create(at("/a")));
  message.mutable_request()->mutable_create()->set_kind(0x100);
  EXPECT_TRUE(is_refused(message));
  message = message_of(remove("/a"));
  message.mutable_request()->mutable_delete_()->set_expected(3);
  EXPECT_TRUE(is_refused(message));
  message = message_of(set_kind("/a", tree::NodeKind::kFile));
  message.mutable_request()->mutable_set_attributes()->set_kind(4);
  EXPECT_TRUE(is_refused(message));
  message = message_of(LockRequest{});
  message.mutable_request()->mutable_lock()->set_space(2);
  EXPECT_TRUE(is_refused(message));
  message = message_of(LockRequest{});
  message.mutable_request()->mutable_lock()->set_mode(2);
  EXPECT_TRUE(is_refused(message));
  message = message_of(UnlockRequest{});
  message.mutable_request()->mutable_unlock()->set_space(2);
  EXPECT_TRUE(is_refused(message));
}

// Whatever bytes come in: no crash, and what is accepted goes through prep, log and tree.
TEST(RequestCodec, FuzzedBytesAreRefusedOrHarmless) {
  Random random(11);
  RandomRequests source(11);
  Leader leader;
  leader.run(directory("/a"));
  leader.run(file("/a/b"));
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(encode(source.next()).view());
    for (std::uint64_t flips = random.between(1, 4); flips != 0 && !bytes.empty(); --flips) {
      const std::size_t at_byte = random.below(bytes.size());
      if (random.chance(1, 4)) {
        bytes.resize(at_byte);
      } else {
        bytes[at_byte] = static_cast<char>(random.next());
      }
    }
    const auto result = decode_forwarded(bytes);
    if (!result) continue;
    if (const auto* request = std::get_if<Request>(&*result)) {
      leader.run(request->operation, request->session, request->identity);
      ++accepted;
    }
  }
  EXPECT_GT(accepted, 500);
  EXPECT_EQ(leader.tree().digest(), leader.tree().recompute_digest());
}

TEST(RequestCodec, RandomBytesDoNotCrash) {
  Random random(12);
  for (int i = 0; i < 30'000; ++i) {
    std::string bytes(random.below(64), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random.next());
    (void)decode_forwarded(bytes);
  }
}

}  // namespace
}  // namespace zkfs::server
