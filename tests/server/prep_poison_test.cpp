// SPDX-License-Identifier: Apache-2.0
// The poison rule (architecture.md 4.4): whatever is asked, what prep makes of it can be logged,
// read back and applied, for ever. Each operation empty, as large as it goes, and malformed.
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "ensemble/base/limits.h"
#include "tests/server/prep_fixture.h"

namespace zkfs::server {
namespace {

constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();

tree::AclList large_acl() {
  tree::AclList acl;
  for (int i = 0; i < 1'000; ++i) acl.push_back({31, "user", std::to_string(i)});
  return acl;
}

const std::string& large_data() {
  static const std::string data(limits::kDataBytesMax, '\xff');
  return data;
}

// Runs `operation` and looks whether log and tree survive it.
void survives(Leader& leader, Operation operation, SessionId session = kAlice) {
  const tree::Txn txn = leader.propose(std::move(operation), session);
  EXPECT_LE(tree::encode(txn).size(), limits::kEntryBytesMax);
  leader.deliver();
  EXPECT_EQ(leader.tree().digest(), leader.tree().recompute_digest());
  EXPECT_EQ(leader.prep().overlay_size(), 0U);
}

// Targets that mean nothing, or too much.
std::vector<Target> odd_targets() {
  std::string deep;
  for (int i = 0; i < 30'000; ++i) deep += "/a";
  return {at(""),
          at("/"),
          at("//"),
          at("a"),
          at("/a/"),
          at(std::string("/\0", 2)),
          at("/\xff\xfe"),
          at("/\xed\xa0\x80"),
          at("/."),
          at("/" + std::string(300, 'n')),
          at(deep),
          at(std::string(limits::kPathBytesMax + 10, '/')),
          at(kRootIno),
          at(kRootIno, ".."),
          at(kRootIno, "/"),
          at(kRootIno, std::string(1'000, 'n')),
          at(Ino{std::numeric_limits<std::uint64_t>::max()}),
          at(Ino{std::numeric_limits<std::uint64_t>::max()}, "n")};
}

// All operations on `target`, with little or with much in them.
std::vector<SubRequest> operations_on(const Target& target, bool large) {
  CreateRequest create_one = create(target, large ? large_data() : "");
  create_one.acl = large ? large_acl() : tree::AclList{};
  create_one.ttl_ms = large ? std::numeric_limits<std::int64_t>::max() : 0;
  CreateRequest create_all = create_one;
  create_all.acl = large_acl();
  create_all.sequential = create_all.executable = create_all.or_set = create_all.append = true;
  create_all.type = tree::NodeType::kTtl;
  create_all.kind = tree::NodeKind::kSymlink;
  const Blob data(large ? large_data() : "");
  const std::int32_t version = large ? kMost : std::numeric_limits<std::int32_t>::min();
  SetAttributesRequest all_attributes{.target = target,
                                      .mtime = std::numeric_limits<WallMillis>::min(),
                                      .kind = tree::NodeKind::kSymlink,
                                      .executable = true};
  RenameRequest all_flags{.source = target,
                          .target = target,
                          .no_replace = large,
                          .exchange = large,
                          .sequential = large,
                          .onto_data = large};
  return {create_one,
          create_all,
          DeleteRequest{.target = target, .version = version},
          SetDataRequest{.target = target, .data = data, .version = version},
          SetDataRequest{.target = target, .data = data},
          AppendRequest{.target = target, .data = data},
          SetAclRequest{.target = target, .acl = create_one.acl, .version = version},
          SetAclRequest{.target = target, .acl = large_acl()},
          SetAttributesRequest{.target = target, .mtime = {}, .kind = {}, .executable = {}},
          all_attributes,
          all_flags,
          RenameRequest{.source = at("/f"), .target = target},
          RenameRequest{.source = target, .target = at("/f"), .exchange = true},
          CheckRequest{.target = target, .version = version}};
}

Operation alone(const SubRequest& request) {
  return std::visit(
      [](const auto& operation) -> Operation {
        if constexpr (std::is_same_v<std::decay_t<decltype(operation)>, CheckRequest>) {
          return MultiRequest{.operations = {operation}};
        } else {
          return operation;
        }
      },
      request);
}

TEST(PrepPoison, OddTargetsOfEveryOperationSurvive) {
  for (const Target& target : odd_targets()) {
    Leader leader;
    leader.run(file("/f"));
    for (const bool large : {false, true}) {
      for (const SubRequest& request : operations_on(target, large)) {
        survives(leader, alone(request));
        survives(leader, MultiRequest{.operations = {file("/m"), request, remove("/m")}});
      }
    }
  }
}

TEST(PrepPoison, EmptyAndLargestOfEveryOperationSurvive) {
  for (const bool large : {false, true}) {
    const std::string name(limits::kNameBytesMax, 'n');
    for (const SubRequest& request : operations_on(at("/" + name), large)) {
      for (const bool present : {false, true}) {
        Leader leader;
        leader.run(file("/f"));
        if (present) leader.run(file("/" + name, large ? "x" : ""));
        survives(leader, alone(request));
        survives(leader, MultiRequest{.operations = {request, request}});
      }
    }
  }
}

TEST(PrepPoison, DefaultConstructedOperationsSurvive) {
  Leader leader;
  for (Operation operation :
       {Operation(CreateRequest{}), Operation(DeleteRequest{}), Operation(SetDataRequest{}),
        Operation(AppendRequest{}), Operation(SetAclRequest{}), Operation(SetAttributesRequest{}),
        Operation(RenameRequest{}), Operation(MultiRequest{}), Operation(CreateSessionRequest{}),
        Operation(LockRequest{}), Operation(UnlockRequest{}), Operation(CancelLockRequest{})}) {
    survives(leader, operation);
    survives(leader, operation, SessionId{});
  }
}

TEST(PrepPoison, MultiOfMoreStepsThanAnEntryHoldsIsRefused) {
  Leader leader;
  leader.run(create(at("/a")));
  MultiRequest request;
  request.operations.assign(99'000, CheckRequest{.target = at("/a"), .version = 0});
  survives(leader, request);
  request.operations.assign(110'000, CheckRequest{.target = at("/a"), .version = 0});
  survives(leader, request);
}

TEST(PrepPoison, SessionWithManyEphemeralsClosesInOneEntry) {
  Leader leader;
  MultiRequest request;
  for (int i = 0; i < 10'000; ++i)
    request.operations.emplace_back(ephemeral("/e" + std::to_string(i)));
  survives(leader, request);
  ASSERT_EQ(leader.tree().find_session(kAlice)->ephemerals, 10'000U);
  survives(leader, CloseSessionRequest{});
  EXPECT_EQ(leader.tree().node_count(), 4U);
}

TEST(PrepPoison, SessionOwnerHasABound) {
  Leader leader;
  survives(leader, CreateSessionRequest{.timeout_ms = 1, .owner = std::string(4096, '\xff')},
           SessionId{7});
  EXPECT_TRUE(leader.tree().find_session(SessionId{7}).has_value());
  EXPECT_EQ(leader.error_of(CreateSessionRequest{.timeout_ms = 1, .owner = std::string(4097, 'x')},
                            SessionId{8}),
            Error::kBadArguments);
}

}  // namespace
}  // namespace zkfs::server
