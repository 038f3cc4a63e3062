// SPDX-License-Identifier: Apache-2.0
#include "ensemble/tree/data_tree.h"

#include "tests/tree/fixture.h"

namespace zkfs::tree::test {
namespace {

using Kind = Change::Kind;

class DataTreeTest : public TreeTest {};

using DataTreeDeathTest = DataTreeTest;

TEST_F(DataTreeTest, StartsWithTheRootAndZooKeepersOwn) {
  const Znode root = node(kRootIno);
  EXPECT_EQ(tree.node_count(), 4U);
  EXPECT_EQ(root.parent, Ino{});
  EXPECT_EQ(root.kind, NodeKind::kDirectory);
  EXPECT_EQ(*root.acl, open_acl());
  EXPECT_EQ(root.stat.czxid, Zxid{});
  EXPECT_EQ(root.stat.cversion, -1);
  EXPECT_EQ(root.stat.num_children, 1U);
  EXPECT_EQ(root.create_counter, 0);
  EXPECT_EQ(tree.next_ino(), Ino{2});
  EXPECT_EQ(tree.path_of(kRootIno), "/");
}

TEST_F(DataTreeTest, SystemZnodesHaveZooKeepersStats) {
  const Znode zookeeper = tree.find_path("/zookeeper").value();
  EXPECT_EQ(zookeeper.ino, kZookeeperIno);
  EXPECT_EQ(zookeeper.stat.cversion, -2);
  EXPECT_EQ(zookeeper.stat.num_children, 2U);
  EXPECT_EQ(zookeeper.stat.version, 0);
  EXPECT_EQ(*zookeeper.acl, open_acl());
  const Znode quota = tree.find_path("/zookeeper/quota").value();
  EXPECT_EQ(quota.ino, kQuotaIno);
  EXPECT_EQ(quota.stat.cversion, 0);
  EXPECT_EQ(*quota.acl, open_acl());
  EXPECT_TRUE(quota.is_directory());
  const Znode config = tree.find_path("/zookeeper/config").value();
  EXPECT_EQ(config.ino, kConfigIno);
  EXPECT_EQ(config.stat.version, -1);
  EXPECT_EQ(config.stat.aversion, -1);
  EXPECT_EQ(to_text(*config.acl), "world:anyone:r");
  for (const Znode& znode : {zookeeper, quota, config}) {
    EXPECT_EQ(znode.stat.czxid, Zxid{});
    EXPECT_EQ(znode.stat.pzxid, Zxid{});
    EXPECT_EQ(znode.stat.ctime, 0);
    EXPECT_TRUE(znode.data.empty());
  }
}

TEST_F(DataTreeTest, NullDataIsInTheDigestAsWhatItIs) {
  const Ino a = create(kRootIno, "a");
  const std::uint64_t empty = tree.digest();
  apply(SetDataTxn{a, Blob::null()});
  EXPECT_TRUE(node(a).data.is_null());
  EXPECT_NE(tree.digest(), empty);
  EXPECT_EQ(tree.digest(), tree.recompute_digest());
}

TEST_F(DataTreeTest, CreateSetsAFreshStat) {
  create(kRootIno, "x");
  CreateTxn txn = creation(kRootIno, "a");
  txn.data = Blob("hello");
  txn.executable = true;
  const Ino ino = apply(txn).outcome.ino;
  const Znode made = node(ino);
  EXPECT_EQ(made.stat.czxid, Zxid{2});
  EXPECT_EQ(made.stat.mzxid, Zxid{2});
  EXPECT_EQ(made.stat.pzxid, Zxid{2});
  EXPECT_EQ(made.stat.ctime, 2000);
  EXPECT_EQ(made.stat.mtime, 2000);
  EXPECT_EQ(made.change_time, 2000);
  EXPECT_EQ(made.stat.version, 0);
  EXPECT_EQ(made.stat.cversion, 0);
  EXPECT_EQ(made.stat.aversion, 0);
  EXPECT_EQ(made.stat.data_length, 5U);
  EXPECT_TRUE(made.executable);
}

TEST_F(DataTreeTest, CreateMovesTheParentsCountersOnly) {
  const Ino parent = create(kRootIno, "p");
  create(parent, "a");
  const Znode above = node(parent);
  EXPECT_EQ(above.stat.cversion, 1);
  EXPECT_EQ(above.create_counter, 1);
  EXPECT_EQ(above.stat.pzxid, Zxid{2});
  EXPECT_EQ(above.stat.num_children, 1U);
  EXPECT_EQ(above.stat.mzxid, Zxid{1});
  EXPECT_EQ(above.stat.mtime, 1000);
  EXPECT_EQ(above.stat.version, 0);
}

TEST_F(DataTreeTest, DeleteRaisesCversionAndPzxid) {
  const Ino parent = create(kRootIno, "p");
  const Ino child = create(parent, "a");
  apply(DeleteTxn{child});
  const Znode above = node(parent);
  EXPECT_EQ(above.stat.cversion, 2);
  EXPECT_EQ(above.create_counter, 1);
  EXPECT_EQ(above.stat.pzxid, Zxid{3});
  EXPECT_EQ(above.stat.num_children, 0U);
  EXPECT_FALSE(tree.find(child));
  EXPECT_FALSE(tree.find_child(parent, "a"));
}

TEST_F(DataTreeTest, ANumberIsNeverUsedTwice) {
  const Ino first = create(kRootIno, "a");
  apply(DeleteTxn{first});
  EXPECT_EQ(create(kRootIno, "a").value, first.value + 1);
  EXPECT_FALSE(tree.find(first));
}

TEST_F(DataTreeTest, SetDataReplacesAndCounts) {
  const Ino ino = create(kRootIno, "a");
  const Outcome outcome = apply(SetDataTxn{ino, Blob("new")}).outcome;
  EXPECT_EQ(outcome.version, 1);
  EXPECT_EQ(outcome.ino, ino);
  EXPECT_EQ(node(ino).data.view(), "new");
  EXPECT_EQ(stat(ino).mzxid, Zxid{2});
  EXPECT_EQ(stat(ino).mtime, 2000);
  EXPECT_EQ(stat(ino).ctime, 1000);
  EXPECT_EQ(stat(ino).pzxid, Zxid{1});
  EXPECT_EQ(node(ino).change_time, 2000);
  EXPECT_EQ(tree.data_bytes(), 3U);
}

TEST_F(DataTreeTest, AppendPutsTheOldDataInFront) {
  const Ino ino = create(kRootIno, "a");
  apply(SetDataTxn{ino, Blob("one")});
  EXPECT_EQ(apply(AppendTxn{ino, Blob("two")}).outcome.version, 2);
  EXPECT_EQ(node(ino).data.view(), "onetwo");
}

TEST_F(DataTreeTest, AReaderKeepsTheDataItHas) {
  const Ino ino = create(kRootIno, "a");
  apply(SetDataTxn{ino, Blob("old")});
  const Blob held = node(ino).data;
  apply(SetDataTxn{ino, Blob("new")});
  EXPECT_EQ(held.view(), "old");
}

TEST_F(DataTreeTest, SetAclChangesAversionAndChangeTimeOnly) {
  const Ino ino = create(kRootIno, "a");
  const AclList acl{{Permissions::kRead, "user", "7"}};
  apply(SetAclTxn{ino, acl});
  EXPECT_EQ(*node(ino).acl, acl);
  EXPECT_EQ(stat(ino).aversion, 1);
  EXPECT_EQ(stat(ino).version, 0);
  EXPECT_EQ(stat(ino).mzxid, Zxid{1});
  EXPECT_EQ(stat(ino).mtime, 1000);
  EXPECT_EQ(node(ino).change_time, 2000);
}

TEST_F(DataTreeTest, SetAttributesChangesNoVersion) {
  const Ino ino = create(kRootIno, "a");
  apply(SetAttributesTxn{ino, 77, NodeKind::kFile, true});
  EXPECT_EQ(stat(ino).mtime, 77);
  EXPECT_EQ(stat(ino).version, 0);
  EXPECT_EQ(stat(ino).mzxid, Zxid{1});
  EXPECT_EQ(node(ino).kind, NodeKind::kFile);
  EXPECT_TRUE(node(ino).executable);
  EXPECT_EQ(node(ino).change_time, 2000);
}

TEST_F(DataTreeTest, ChangeTimeNeverGoesBack) {
  const Ino ino = create(kRootIno, "a");
  tree.apply(Zxid{9}, Txn{{}, {}, {}, 5, SetDataTxn{ino, Blob("x")}});
  EXPECT_EQ(stat(ino).mtime, 5);
  EXPECT_EQ(node(ino).change_time, 1000);
}

TEST_F(DataTreeTest, ChildrenComeInTheOrderOfArrival) {
  const Ino d = create(kRootIno, "d");
  const Ino b = create(d, "b");
  const Ino a = create(d, "a");
  const Ino c = create(d, "c");
  apply(DeleteTxn{a});
  EXPECT_EQ(tree.children_of(d), (std::vector<Ino>{b, c}));
}

TEST_F(DataTreeTest, PathsAreWalked) {
  const Ino a = create(kRootIno, "a");
  const Ino long_name = create(a, std::string(200, 'n'));
  const std::string path = "/a/" + std::string(200, 'n');
  EXPECT_EQ(tree.path_of(long_name), path);
  EXPECT_EQ(tree.find_path(path)->ino, long_name);
  EXPECT_EQ(tree.find_path("/")->ino, kRootIno);
  for (const char* nowhere : {"", "a", "/a/", "//a", "/a//x", "/b", "/a/b"}) {
    EXPECT_FALSE(tree.find_path(nowhere)) << nowhere;
  }
  EXPECT_EQ(tree.path_of(Ino{99}), "");
}

TEST_F(DataTreeTest, AnAncestorIsItselfToo) {
  const Ino a = create(kRootIno, "a");
  const Ino b = create(a, "b");
  EXPECT_TRUE(tree.is_ancestor(a, a));
  EXPECT_TRUE(tree.is_ancestor(kRootIno, b));
  EXPECT_FALSE(tree.is_ancestor(b, a));
  EXPECT_FALSE(tree.is_ancestor(Ino{99}, b));
  EXPECT_FALSE(tree.is_ancestor(a, Ino{99}));
}

TEST_F(DataTreeTest, AFirstChildMakesAnUnspecifiedZnodeADirectory) {
  const Ino d = create(kRootIno, "d");
  const Ino a = create(d, "a");
  EXPECT_EQ(node(d).subdirectories, 0U);
  const auto first = apply(creation(a, "x"));
  EXPECT_EQ(kinds(first.changes), (std::vector{Kind::kBecameDirectory, Kind::kCreated}));
  EXPECT_EQ(first.changes[0].ino, a);
  EXPECT_TRUE(first.changes[0].directory);
  EXPECT_EQ(node(d).subdirectories, 1U);
  EXPECT_EQ(kinds(apply(creation(a, "y")).changes), std::vector{Kind::kCreated});
}

TEST_F(DataTreeTest, ChangesNameThePlace) {
  const Ino a = create(kRootIno, "a", NodeKind::kDirectory);
  CreateTxn txn = creation(a, "x", NodeKind::kFile);
  txn.data = Blob("four");
  const Change made = apply(txn).changes.at(0);
  EXPECT_EQ(made.kind, Kind::kCreated);
  EXPECT_EQ(made.ino, txn.ino);
  EXPECT_EQ(made.parent, a);
  EXPECT_EQ(made.name, "x");
  EXPECT_EQ(made.node_kind, NodeKind::kFile);
  EXPECT_FALSE(made.directory);
  EXPECT_EQ(made.data_size, 4U);
  const Change gone = apply(DeleteTxn{txn.ino}).changes.at(0);
  EXPECT_EQ(gone.kind, Kind::kDeleted);
  EXPECT_EQ(gone.parent, a);
  EXPECT_EQ(gone.name, "x");
  EXPECT_EQ(gone.data_size, 4U);
}

TEST_F(DataTreeTest, ChangesTellWhatThereWas) {
  const Ino a = create(kRootIno, "a", NodeKind::kFile);
  EXPECT_FALSE(apply(SetDataTxn{a, Blob("x")}).changes.at(0).had_data);
  const Change emptied = apply(SetDataTxn{a, Blob()}).changes.at(0);
  EXPECT_TRUE(emptied.had_data);
  EXPECT_EQ(emptied.data_size, 0U);
  const Change turned = apply(SetAttributesTxn{a, {}, NodeKind::kDirectory, {}}).changes.at(0);
  EXPECT_TRUE(turned.directory);
  EXPECT_FALSE(turned.was_directory);
  EXPECT_EQ(turned.old_node_kind, NodeKind::kFile);
  const Ino plain = create(kRootIno, "plain");
  const Change became = apply(creation(plain, "x")).changes.at(0);
  EXPECT_EQ(became.kind, Kind::kBecameDirectory);
  EXPECT_FALSE(became.was_directory);
  EXPECT_TRUE(apply(DeleteTxn{a}).changes.at(0).was_directory);
}

TEST_F(DataTreeTest, ContainersAndTtlZnodesWithoutChildrenAreReapable) {
  const Ino container = create_of_type(NodeType::kContainer, "c");
  const Ino ttl = create_of_type(NodeType::kTtl, "t");
  EXPECT_EQ(tree.reapable(), std::vector{ttl});
  const Ino in_container = create(container, "x");
  const Ino in_ttl = create(ttl, "x");
  EXPECT_TRUE(tree.reapable().empty());
  apply(DeleteTxn{in_container});
  apply(DeleteTxn{in_ttl});
  EXPECT_EQ(tree.reapable(), (std::vector{container, ttl}));
  apply(DeleteTxn{container});
  EXPECT_EQ(tree.reapable(), std::vector{ttl});
}

TEST_F(DataTreeTest, OwnersAndTtlShowOnlyWhereTheyBelong) {
  apply(CreateSessionTxn{SessionId{5}, 1, "me"});
  const Ino ephemeral = create_of_type(NodeType::kEphemeral, "e", SessionId{5});
  const Ino ttl = create_of_type(NodeType::kTtl, "t", SessionId{5});
  EXPECT_EQ(stat(ephemeral).ephemeral_owner, SessionId{5});
  EXPECT_EQ(node(ephemeral).ttl_ms, 0);
  EXPECT_EQ(stat(ttl).ephemeral_owner, SessionId{});
  EXPECT_EQ(node(ttl).ttl_ms, 5000);
}

TEST_F(DataTreeTest, AMultiAppliesInOrderUnderOneZxid) {
  const Ino a = create(kRootIno, "a");
  MultiTxn multi;
  CreateTxn inside = creation(a, "x");
  multi.operations = {CheckTxn{a}, inside, SetDataTxn{inside.ino, Blob("d")},
                      DeleteTxn{inside.ino}};
  const auto result = apply(multi);
  ASSERT_EQ(result.outcome.operations.size(), 4U);
  EXPECT_EQ(result.outcome.operations[0].ino, a);
  EXPECT_EQ(result.outcome.operations[1].name, "x");
  EXPECT_EQ(result.outcome.operations[2].version, 1);
  EXPECT_EQ(kinds(result.changes),
            (std::vector{Kind::kBecameDirectory, Kind::kCreated, Kind::kData, Kind::kDeleted}));
  for (const Outcome& operation : result.outcome.operations) EXPECT_EQ(operation.zxid, Zxid{2});
  EXPECT_EQ(stat(a).pzxid, Zxid{2});
  EXPECT_EQ(stat(a).cversion, 2);
  EXPECT_EQ(tree.digest(), tree.recompute_digest());
}

TEST_F(DataTreeTest, AnErrorChangesNothingButThePosition) {
  create(kRootIno, "a");
  const auto digest = tree.digest();
  const auto result = apply(ErrorTxn{Error::kNoNode, {}});
  EXPECT_EQ(result.outcome.error, Error::kNoNode);
  EXPECT_EQ(result.outcome.zxid, Zxid{2});
  EXPECT_TRUE(result.changes.empty());
  EXPECT_EQ(tree.last_applied(), Zxid{2});
  EXPECT_EQ(tree.digest(), digest);
}

TEST_F(DataTreeTest, AFailedMultiAnswersEachOperation) {
  const auto outcome =
      apply(ErrorTxn{Error::kBadVersion,
                     {Error::kOk, Error::kBadVersion, Error::kRuntimeInconsistency}})
          .outcome;
  EXPECT_EQ(outcome.error, Error::kBadVersion);
  ASSERT_EQ(outcome.operations.size(), 3U);
  EXPECT_EQ(outcome.operations[2].error, Error::kRuntimeInconsistency);
}

// A change of every single replicated field must show in the digest.
TEST_F(DataTreeTest, DigestSeesEveryField) {
  const Ino ino = create(kRootIno, "a");
  const Ino b = create(kRootIno, "b");
  auto before = tree.digest();
  const auto expect_new = [&](const char* what) {
    EXPECT_NE(tree.digest(), before) << what;
    EXPECT_EQ(tree.digest(), tree.recompute_digest()) << what;
    before = tree.digest();
  };
  apply(SetAttributesTxn{ino, 3, {}, {}});
  expect_new("mtime");
  apply(SetAttributesTxn{ino, {}, NodeKind::kFile, {}});
  expect_new("kind");
  apply(SetAttributesTxn{ino, {}, {}, true});
  expect_new("executable");
  apply(SetAclTxn{ino, {}});
  expect_new("acl");
  apply(RenameTxn{ino, kRootIno, "c", {}, false});
  expect_new("name");
  apply(RenameTxn{ino, b, "c", {}, false});
  expect_new("parent");
  apply(CreateSessionTxn{SessionId{5}, 1, "me"});
  expect_new("session");
  apply(CloseSessionTxn{SessionId{5}, {}});
  expect_new("closed session");
}

TEST_F(DataTreeTest, ChangesHoldAnAclThatTheTreeLostUnlessAnyoneMayReadByIt) {
  const AclList closed{{Permissions::kAll, "digest", "bob:hash="}};
  const AclList readable{{Permissions::kAll, "user", "7"}, {Permissions::kRead, "world", "anyone"}};
  const Ino ino = create(kRootIno, "a");
  EXPECT_EQ(apply(SetAclTxn{ino, closed}).changes.back().lost_acl, AclList{});
  EXPECT_EQ(apply(SetDataTxn{ino, {}}).changes.back().lost_acl, AclList{});
  EXPECT_EQ(apply(SetAclTxn{ino, readable}).changes.back().lost_acl, closed);
  EXPECT_EQ(apply(SetAclTxn{ino, closed}).changes.back().lost_acl, AclList{});
  EXPECT_EQ(apply(DeleteTxn{ino}).changes.back().lost_acl, closed);
  EXPECT_EQ(apply(DeleteTxn{create(kRootIno, "open")}).changes.back().lost_acl, AclList{});
}

TEST_F(DataTreeTest, AChildMakesAFileOrSymlinkADirectory) {
  for (const NodeKind kind : {NodeKind::kFile, NodeKind::kSymlink}) {
    const Ino d = create(kRootIno, std::string(to_string(kind)));
    const Ino a = create(d, "a", kind);
    const auto changes = apply(creation(a, "x")).changes;
    ASSERT_EQ(kinds(changes),
              (std::vector{Change::Kind::kBecameDirectory, Change::Kind::kCreated}));
    EXPECT_FALSE(changes[0].was_directory);
    EXPECT_EQ(changes[0].old_node_kind, kind);
    EXPECT_TRUE(changes[0].directory);
    EXPECT_EQ(node(a).kind, NodeKind::kDirectory);
    EXPECT_EQ(node(d).subdirectories, 1U);
    EXPECT_EQ(tree.digest(), tree.recompute_digest());
  }
}

TEST_F(DataTreeDeathTest, ATxnThatDoesNotFitAborts) {
  const Ino a = create(kRootIno, "a");
  create(a, "x");
  CreateTxn wrong_number = creation(a, "y");
  ++wrong_number.ino.value;
  EXPECT_DEATH(apply(wrong_number), "instead of");
  EXPECT_DEATH(apply(creation(a, "x")), "has a child x");
  EXPECT_DEATH(apply(creation(Ino{99}, "x")), "no znode 99");
  EXPECT_DEATH(apply(DeleteTxn{a}), "has 1 children");
  EXPECT_DEATH(apply(DeleteTxn{kRootIno}), "the root");
  EXPECT_DEATH(apply(DeleteTxn{kConfigIno}), "a system znode");
  EXPECT_DEATH(apply(RenameTxn{kQuotaIno, a, "q", {}, false}), "a system znode");
  EXPECT_DEATH(apply(SetDataTxn{Ino{99}, {}}), "no znode 99");
  EXPECT_DEATH(tree.apply(Zxid{1}, Txn{}), "after");
}

}  // namespace
}  // namespace zkfs::tree::test
