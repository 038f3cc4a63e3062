// SPDX-License-Identifier: Apache-2.0
// What ZooKeeper clients are answered: their identities, and which of several errors wins
// (reference/zookeeper.md 2.2). Each table goes down the order of checks: what is wrong in a row is
// wrong in the rows above it as well.
#include <gtest/gtest.h>

#include "tests/server/prep_fixture.h"

namespace zkfs::server {
namespace {

using tree::NodeKind;
using tree::Permissions;

class PrepClient : public testing::Test {
 protected:
  PrepClient() {
    leader.run(create(at("/open")));
    leader.run(create(at("/open/child")));
    create_closed("/closed");
    leader.run(create(at("/closed/child")));
    leader.run(ephemeral("/ephemeral"));
  }

  void create_closed(const std::string& path) {
    CreateRequest request = create(at(path));
    request.acl = {{Permissions::kAll, "digest", "eve:H"}};
    leader.run(request);
  }

  Error error_of(Operation operation) { return leader.error_of(std::move(operation), kAlice, bob); }

  Error error_of_create(const std::string& path, const tree::AclList& acl = tree::open_acl()) {
    CreateRequest request = create(at(path));
    request.acl = acl;
    return error_of(request);
  }

  Leader leader;
  Identity bob = client({{"ip", "10.0.0.1"}, {"digest", "bob:H"}});
};

TEST_F(PrepClient, PrecedenceOfCreate) {
  const tree::AclList bad;
  EXPECT_EQ(error_of_create("", bad), Error::kBadArguments);
  EXPECT_EQ(error_of_create("nopath", bad), Error::kBadArguments);
  EXPECT_EQ(error_of_create(std::string("/a\0b", 4), bad), Error::kBadArguments);
  EXPECT_EQ(error_of_create("/open/child", bad), Error::kInvalidAcl);
  EXPECT_EQ(error_of_create("/missing/child", bad), Error::kInvalidAcl);
  EXPECT_EQ(error_of_create("/missing/.."), Error::kNoNode);
  EXPECT_EQ(error_of_create("/open//b"), Error::kNoNode);
  EXPECT_EQ(error_of_create("no/slash/first"), Error::kNoNode);
  EXPECT_EQ(error_of_create("/n/"), Error::kNoNode);
  EXPECT_EQ(error_of_create("/closed/.."), Error::kNoAuth);
  EXPECT_EQ(error_of_create("/closed/child"), Error::kNoAuth);
  EXPECT_EQ(error_of_create("/open/"), Error::kBadArguments);
  EXPECT_EQ(error_of_create("/open/.."), Error::kBadArguments);
  EXPECT_EQ(error_of_create("/open/\x1e"), Error::kBadArguments);
  EXPECT_EQ(error_of_create("/ephemeral/\x1e"), Error::kBadArguments);
  EXPECT_EQ(error_of_create("/open/child"), Error::kNodeExists);
  EXPECT_EQ(error_of_create("/"), Error::kNodeExists);
  EXPECT_EQ(error_of_create("/ephemeral/child"), Error::kNoChildrenForEphemerals);
}

TEST_F(PrepClient, CreateOfTheRootAsksItsPermission) {
  leader.run(SetAclRequest{.target = at("/"), .acl = {{Permissions::kAll, "digest", "eve:H"}}});
  EXPECT_EQ(error_of_create("/"), Error::kNoAuth);
}

TEST_F(PrepClient, SkippedAclsHoldForProcessesOnly) {
  const Identity process{.uid = 1000, .gids = {1000}};
  leader.prep().skip_acl(true);
  EXPECT_EQ(error_of(set("/closed", "by a client")), Error::kOk);
  EXPECT_EQ(leader.error_of(set("/closed", "by a process"), kAlice, process), Error::kNoAuth);
  leader.prep().skip_acl(false);
  EXPECT_EQ(error_of(set("/closed", "by a client")), Error::kNoAuth);
}

TEST_F(PrepClient, SequentialNamesMayBeAllSuffix) {
  EXPECT_EQ(leader.run(sequential("/open/"), kAlice, bob).name, "0000000001");
  EXPECT_EQ(leader.run(sequential("/"), kAlice, bob).name, "0000000003");
  EXPECT_EQ(error_of(sequential("/n/")), Error::kNoNode);
}

TEST_F(PrepClient, PrecedenceOfDelete) {
  const auto error = [&](const std::string& path, std::int32_t version = kAnyVersion) {
    DeleteRequest request = remove(path);
    request.version = version;
    return error_of(request);
  };
  EXPECT_EQ(error(""), Error::kBadArguments);
  EXPECT_EQ(error("nopath"), Error::kBadArguments);
  EXPECT_EQ(error(std::string("/a\0b", 4)), Error::kBadArguments);
  for (const char* fixed : {"/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"})
    EXPECT_EQ(error(fixed, 7), Error::kBadArguments) << fixed;
  EXPECT_EQ(error("/missing/x"), Error::kNoNode);
  EXPECT_EQ(error("/closed/missing"), Error::kNoAuth);
  EXPECT_EQ(error("/closed/child", 7), Error::kNoAuth);
  EXPECT_EQ(error("/open/missing", 7), Error::kNoNode);
  EXPECT_EQ(error("/open/"), Error::kNoNode);
  EXPECT_EQ(error("/open/.."), Error::kNoNode);
  EXPECT_EQ(error("/open", 7), Error::kBadVersion);
  EXPECT_EQ(error("/open"), Error::kNotEmpty);
  EXPECT_EQ(error("/open/child", 0), Error::kOk);
}

TEST_F(PrepClient, DeleteAsksTheParentNotTheZnode) {
  create_closed("/open/theirs");
  EXPECT_EQ(error_of(remove("/open/theirs")), Error::kOk);
}

TEST_F(PrepClient, PrecedenceOfSetData) {
  EXPECT_EQ(error_of(set("/open/", "x", 7)), Error::kBadArguments);
  EXPECT_EQ(error_of(set("/open//x", "x", 7)), Error::kBadArguments);
  EXPECT_EQ(error_of(set("/missing", "x", 7)), Error::kNoNode);
  EXPECT_EQ(error_of(set("/closed", "x", 7)), Error::kNoAuth);
  EXPECT_EQ(error_of(set("/open", "x", 7)), Error::kBadVersion);
  EXPECT_EQ(error_of(set("/open", "x", 0)), Error::kOk);
}

TEST_F(PrepClient, PrecedenceOfSetAcl) {
  const auto error = [&](const std::string& path, const tree::AclList& acl, std::int32_t version) {
    return error_of(SetAclRequest{.target = at(path), .acl = acl, .version = version});
  };
  EXPECT_EQ(error("/missing/", {}, 7), Error::kBadArguments);
  EXPECT_EQ(error("/missing", {}, 7), Error::kInvalidAcl);
  EXPECT_EQ(error("/closed", {}, 7), Error::kInvalidAcl);
  EXPECT_EQ(error("/missing", tree::open_acl(), 7), Error::kNoNode);
  EXPECT_EQ(error("/closed", tree::open_acl(), 7), Error::kNoAuth);
  EXPECT_EQ(error("/open", tree::open_acl(), 7), Error::kBadVersion);
  EXPECT_EQ(error("/open", tree::open_acl(), 0), Error::kOk);
}

TEST_F(PrepClient, PrecedenceOfCheck) {
  const auto error = [&](const std::string& path) {
    return error_of(multi({CheckRequest{.target = at(path), .version = 7}}));
  };
  EXPECT_EQ(error("/closed/"), Error::kBadArguments);
  EXPECT_EQ(error("/missing"), Error::kNoNode);
  EXPECT_EQ(error("/closed"), Error::kNoAuth);
  EXPECT_EQ(error("/open"), Error::kBadVersion);
}

TEST_F(PrepClient, NamesThatAreTooLongAreBadArguments) {
  const std::string name(256, 'n');
  EXPECT_EQ(error_of_create("/open/" + name), Error::kBadArguments);
  EXPECT_EQ(error_of_create("/" + std::string(70'000, 'n')), Error::kBadArguments);
  EXPECT_EQ(error_of(set("/open/" + name, "x")), Error::kBadArguments);
  EXPECT_EQ(error_of(multi({CheckRequest{.target = at("/open/" + name)}})), Error::kBadArguments);
  CreateRequest almost = sequential("/open/" + std::string(250, 'n'));
  EXPECT_EQ(error_of(almost), Error::kBadArguments);
}

TEST_F(PrepClient, AFailedMultiTellsWhichAndWhatBecameOfTheOthers) {
  const tree::Outcome outcome =
      leader.run(multi({create(at("/m")), set("/closed", "x"), create(at("/n"))}), kAlice, bob);
  ASSERT_EQ(outcome.operations.size(), 3U);
  EXPECT_EQ(outcome.operations[0].error, Error::kOk);
  EXPECT_EQ(outcome.operations[1].error, Error::kNoAuth);
  EXPECT_EQ(outcome.operations[2].error, Error::kRuntimeInconsistency);
  EXPECT_FALSE(leader.ino("/m"));
}

TEST_F(PrepClient, HasNoRightsOfRoot) {
  EXPECT_EQ(error_of(set("/closed", "x")), Error::kNoAuth);
  EXPECT_EQ(error_of(set("/zookeeper/config", "x")), Error::kNoAuth);
  bob = client({{"super", ""}});
  EXPECT_EQ(error_of(set("/closed", "x")), Error::kOk);
}

TEST_F(PrepClient, AuthStandsForItsIds) {
  EXPECT_EQ(error_of_create("/mine", {{Permissions::kAll, "auth", ""}}), Error::kOk);
  EXPECT_EQ(tree::to_text(*leader.tree().find_path("/mine")->acl), "digest:bob:H:cdrwa");
  EXPECT_EQ(error_of(set("/mine", "x")), Error::kOk);
  bob = client({{"ip", "10.0.0.1"}});
  EXPECT_EQ(error_of(set("/mine", "x")), Error::kNoAuth);
  EXPECT_EQ(error_of_create("/other", {{Permissions::kAll, "auth", ""}}), Error::kInvalidAcl);
}

TEST_F(PrepClient, ProcessesAclsArePlainEntriesToClients) {
  const tree::AclList acl{{Permissions::kAll, "user", "0"},
                          {Permissions::kAdmin, "world", "anyone"}};
  EXPECT_EQ(error_of_create("/p", acl), Error::kOk);
  EXPECT_EQ(*leader.tree().find_path("/p")->acl, acl);
  EXPECT_EQ(error_of(set("/p", "x")), Error::kNoAuth);
  EXPECT_EQ(error_of(SetAclRequest{.target = at("/p"), .acl = acl}), Error::kOk);
}

// --- files of the mount ---

class PrepClientFile : public testing::TestWithParam<NodeKind> {};

TEST_P(PrepClientFile, AChildMakesItADirectory) {
  Leader leader;
  const Identity bob = client({});
  leader.run(create_kind("/f", GetParam(), "data"));
  const Ino f = leader.ino("/f");
  // Decided while the file's own creation and the first child are under way.
  leader.propose(create(at("/f/a")), kAlice, bob);
  leader.propose(create(at("/f/b")), kAlice, {});
  while (leader.waiting() != 0) EXPECT_EQ(leader.deliver().error, Error::kOk);
  EXPECT_EQ(leader.tree().find(f)->kind, NodeKind::kDirectory);
  EXPECT_TRUE(leader.tree().find(f)->is_directory());
  EXPECT_EQ(leader.data("/f"), "data");
  EXPECT_EQ(leader.tree().find(kRootIno)->subdirectories, 2U);
}

TEST_P(PrepClientFile, AChildOfAProcessIsRefused) {
  Leader leader;
  leader.run(create_kind("/f", GetParam(), "data"));
  EXPECT_EQ(leader.error_of(create(at("/f/a"))), Error::kNotDirectory);
}

TEST_P(PrepClientFile, AMultiThatFailsLeavesItWhatItIs) {
  Leader leader;
  leader.run(create_kind("/f", GetParam()));
  leader.run(multi({create(at("/f/a")), remove("/missing")}), kAlice, client({}));
  EXPECT_EQ(leader.error_of(create(at("/f/a"))), Error::kNotDirectory);
  EXPECT_EQ(leader.tree().find_path("/f")->kind, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Kinds,
                         PrepClientFile,
                         testing::Values(NodeKind::kFile, NodeKind::kSymlink));

}  // namespace
}  // namespace zkfs::server
