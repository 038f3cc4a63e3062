// SPDX-License-Identifier: Apache-2.0
#include "tests/tree/fixture.h"

namespace zkfs::tree::test {
namespace {

using Kind = Change::Kind;

class RenameTest : public TreeTest {
 protected:
  RenameTest() {
    from = create(kRootIno, "from", NodeKind::kDirectory);
    to = create(kRootIno, "to", NodeKind::kDirectory);
    file = create(from, "file", NodeKind::kFile);
    apply(SetDataTxn{file, Blob("fresh")});
  }

  ApplyResult rename(
      Ino ino, Ino parent, const char* name, Ino replaced = {}, bool exchange = false) {
    return apply(RenameTxn{ino, parent, name, replaced, exchange});
  }

  Ino from, to, file;
};

using RenameDeathTest = RenameTest;

TEST_F(RenameTest, KeepsNumberAndVersions) {
  const Stat before = stat(file);
  const Outcome outcome = rename(file, to, "moved").outcome;
  EXPECT_EQ(outcome.ino, file);
  EXPECT_EQ(outcome.version, 1);
  EXPECT_EQ(tree.path_of(file), "/to/moved");
  EXPECT_EQ(stat(file).czxid, before.czxid);
  EXPECT_EQ(stat(file).mzxid, before.mzxid);
  EXPECT_EQ(stat(file).mtime, before.mtime);
  EXPECT_EQ(node(file).change_time, 5000);
  EXPECT_FALSE(tree.find_child(from, "file"));
}

TEST_F(RenameTest, CountsALostAndAGainedName) {
  rename(file, to, "moved");
  EXPECT_EQ(stat(from).cversion, 2);
  EXPECT_EQ(stat(from).num_children, 0U);
  EXPECT_EQ(stat(from).pzxid, Zxid{5});
  EXPECT_EQ(stat(to).cversion, 1);
  EXPECT_EQ(node(to).create_counter, 1);
  EXPECT_EQ(stat(to).pzxid, Zxid{5});
}

TEST_F(RenameTest, WithinOneParentCountsBoth) {
  rename(file, from, "other");
  EXPECT_EQ(stat(from).cversion, 3);
  EXPECT_EQ(node(from).create_counter, 2);
  EXPECT_EQ(stat(from).num_children, 1U);
}

TEST_F(RenameTest, MovesTheWholeSubtree) {
  rename(from, to, "sub");
  EXPECT_EQ(tree.find_path("/to/sub/file")->ino, file);
  EXPECT_EQ(node(to).subdirectories, 1U);
  EXPECT_EQ(node(kRootIno).subdirectories, 2U);  // and /zookeeper
}

TEST_F(RenameTest, ReportsAMove) {
  const auto changes = rename(file, to, "moved").changes;
  ASSERT_EQ(kinds(changes), std::vector{Kind::kMoved});
  EXPECT_EQ(changes[0].ino, file);
  EXPECT_EQ(changes[0].parent, to);
  EXPECT_EQ(changes[0].name, "moved");
  EXPECT_EQ(changes[0].old_parent, from);
  EXPECT_EQ(changes[0].old_name, "file");
  EXPECT_EQ(changes[0].data_size, 5U);
}

TEST_F(RenameTest, OverAFileTellsWhatTheTargetWas) {
  const Ino target = create(to, "target", NodeKind::kSymlink);
  const auto changes = rename(file, to, "target", target).changes;
  ASSERT_EQ(kinds(changes), std::vector{Kind::kReplaced});
  EXPECT_EQ(changes[0].node_kind, NodeKind::kFile);
  EXPECT_EQ(changes[0].old_node_kind, NodeKind::kSymlink);
  EXPECT_FALSE(changes[0].had_data);
  EXPECT_EQ(changes[0].data_size, 5U);
}

TEST_F(RenameTest, AnExchangeTellsWhatTheOtherIs) {
  const auto changes = rename(file, kRootIno, "to", to, true).changes;
  ASSERT_EQ(kinds(changes), std::vector{Kind::kExchanged});
  EXPECT_FALSE(changes[0].directory);
  EXPECT_TRUE(changes[0].was_directory);
}

TEST_F(RenameTest, OverAFileGivesTheTargetTheData) {
  const Ino target = create(to, "target", NodeKind::kFile);
  apply(SetAttributesTxn{file, 77, NodeKind::kSymlink, true});
  const Stat before = stat(target);
  const Stat parent_before = stat(to);
  const auto result = rename(file, to, "target", target);
  EXPECT_EQ(result.outcome.ino, target);
  EXPECT_EQ(result.outcome.version, 1);
  EXPECT_FALSE(tree.find(file));
  const Znode after = node(target);
  EXPECT_EQ(after.data.view(), "fresh");
  EXPECT_EQ(after.kind, NodeKind::kSymlink);
  EXPECT_TRUE(after.executable);
  EXPECT_EQ(after.stat.czxid, before.czxid);
  EXPECT_EQ(after.stat.ctime, before.ctime);
  EXPECT_EQ(after.stat.version, 1);
  EXPECT_EQ(after.stat.mzxid, Zxid{7});
  EXPECT_EQ(after.stat.mtime, 77);  // the source's: rsync -t sets it before it renames
  EXPECT_EQ(after.change_time, 7000);
  EXPECT_EQ(stat(to).cversion, parent_before.cversion);
  EXPECT_EQ(stat(to).pzxid, parent_before.pzxid);
  EXPECT_EQ(stat(from).cversion, 2);
  EXPECT_EQ(stat(from).pzxid, Zxid{7});
}

TEST_F(RenameTest, OverAFileReportsAReplacement) {
  const Ino target = create(to, "target", NodeKind::kFile);
  const auto changes = rename(file, to, "target", target).changes;
  ASSERT_EQ(kinds(changes), std::vector{Kind::kReplaced});
  EXPECT_EQ(changes[0].ino, target);
  EXPECT_EQ(changes[0].other, file);
  EXPECT_EQ(changes[0].parent, to);
  EXPECT_EQ(changes[0].name, "target");
  EXPECT_EQ(changes[0].old_parent, from);
  EXPECT_EQ(changes[0].old_name, "file");
}

TEST_F(RenameTest, OverAnEmptyDirectoryTakesItsPlace) {
  const auto result = rename(from, kRootIno, "to", to);
  EXPECT_EQ(kinds(result.changes), (std::vector{Kind::kDeleted, Kind::kMoved}));
  EXPECT_EQ(result.outcome.ino, from);
  EXPECT_FALSE(tree.find(to));
  EXPECT_EQ(tree.find_path("/to/file")->ino, file);
  // Two creates and one name lost; the replaced name counts neither way. /zookeeper takes one off.
  EXPECT_EQ(stat(kRootIno).cversion, 2);
  EXPECT_EQ(node(kRootIno).create_counter, 2);
  EXPECT_EQ(stat(kRootIno).pzxid, Zxid{5});
}

TEST_F(RenameTest, ExchangeSwapsPlaces) {
  const Ino other = create(to, "other", NodeKind::kDirectory);
  const int from_before = stat(from).cversion;
  const int to_before = stat(to).cversion;
  const auto result = rename(file, to, "other", other, true);
  EXPECT_EQ(tree.path_of(file), "/to/other");
  EXPECT_EQ(tree.path_of(other), "/from/file");
  EXPECT_EQ(stat(from).cversion, from_before);
  EXPECT_EQ(stat(to).cversion, to_before);
  EXPECT_EQ(stat(from).pzxid, Zxid{6});
  EXPECT_EQ(stat(to).pzxid, Zxid{6});
  EXPECT_EQ(node(from).subdirectories, 1U);
  EXPECT_EQ(node(to).subdirectories, 0U);
  ASSERT_EQ(kinds(result.changes), std::vector{Kind::kExchanged});
  EXPECT_EQ(result.changes[0].other, other);
  EXPECT_EQ(result.changes[0].name, "other");
  EXPECT_EQ(result.changes[0].old_name, "file");
}

TEST_F(RenameTest, AnEphemeralStaysItsOwners) {
  apply(CreateSessionTxn{SessionId{5}, 1, "me"});
  const Ino ephemeral = create_of_type(NodeType::kEphemeral, "e", SessionId{5});
  rename(ephemeral, to, "e2");
  EXPECT_EQ(tree.ephemerals_of(SessionId{5}), std::vector{ephemeral});
  apply(CloseSessionTxn{SessionId{5}, {ephemeral}});
  EXPECT_FALSE(tree.find_path("/to/e2"));
}

TEST_F(RenameTest, AnEphemeralSourceLeavesItsOwner) {
  apply(CreateSessionTxn{SessionId{5}, 1, "me"});
  const Ino ephemeral = create_of_type(NodeType::kEphemeral, "e", SessionId{5});
  rename(ephemeral, from, "file", file);
  EXPECT_TRUE(tree.ephemerals_of(SessionId{5}).empty());
  EXPECT_EQ(node(file).type, NodeType::kPersistent);
}

TEST_F(RenameTest, IntoAnUnspecifiedLeafMakesItADirectory) {
  const Ino leaf = create(kRootIno, "leaf");
  EXPECT_EQ(kinds(rename(file, leaf, "x").changes),
            (std::vector{Kind::kBecameDirectory, Kind::kMoved}));
}

TEST_F(RenameTest, AChangeHoldsTheAclOfASourceWhoseDataReplaced) {
  const Ino target = create(to, "file", NodeKind::kFile);
  const AclList closed{{Permissions::kAll, "user", "7"}};
  apply(SetAclTxn{file, closed});
  EXPECT_EQ(rename(file, to, "file", target).changes.back().lost_acl, closed);
}

TEST_F(RenameDeathTest, WhatPrepMustRefuseAborts) {
  apply(CreateSessionTxn{SessionId{5}, 1, "me"});
  const Ino ephemeral = create_of_type(NodeType::kEphemeral, "e", SessionId{5});
  const Ino inner = create(from, "inner", NodeKind::kDirectory);
  EXPECT_DEATH(rename(from, inner, "x"), "beneath itself");
  EXPECT_DEATH(rename(inner, kRootIno, "from", from, true), "beneath itself");
  EXPECT_DEATH(rename(kRootIno, to, "x"), "the root");
  EXPECT_DEATH(rename(file, kRootIno, "to"), "instead of 0");
  EXPECT_DEATH(rename(file, kRootIno, "to", to), "not of one sort");
  EXPECT_DEATH(rename(to, kRootIno, "from", from), "children");
  EXPECT_DEATH(rename(file, ephemeral, "x"), "ephemeral");
  EXPECT_DEATH(rename(file, to, "x", {}, true), "nothing to exchange");
}

}  // namespace
}  // namespace zkfs::tree::test
