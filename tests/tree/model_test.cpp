// SPDX-License-Identifier: Apache-2.0
// The tree against the naive model, and against itself.
#include "tests/tree/model.h"

#include <gtest/gtest.h>

#include "tests/tree/random_txn.h"

namespace zkfs::tree::test {
namespace {

class DataTreeModel : public testing::TestWithParam<std::uint64_t> {};

TEST_P(DataTreeModel, AgreesAfterEveryTxn) {
  Random random(GetParam());
  Model model;
  DataTree tree;
  for (std::uint64_t i = 1; i <= 1500; ++i) {
    const Zxid zxid{i};
    const Txn txn = random_txn(random, model);
    const Outcome expected = model.apply(zxid, txn);
    ASSERT_EQ(tree.apply(zxid, txn).outcome, expected) << "txn " << i;
    ASSERT_EQ(model.difference(tree), "") << "after txn " << i << ", body " << txn.body.index();
  }
}

TEST_P(DataTreeModel, EqualTxnsGiveEqualDigests) {
  Random random(GetParam());
  Model model;
  DataTree one;
  DataTree two;
  for (std::uint64_t i = 1; i <= 500; ++i) {
    const Txn txn = random_txn(random, model);
    model.apply(Zxid{i}, txn);
    one.apply(Zxid{i}, txn);
    two.apply(Zxid{i}, txn);
    ASSERT_EQ(one.digest(), two.digest());
  }
}

TEST_P(DataTreeModel, PathsLeadBack) {
  Random random(GetParam());
  Model model;
  DataTree tree;
  for (std::uint64_t i = 1; i <= 300; ++i) {
    const Txn txn = random_txn(random, model);
    model.apply(Zxid{i}, txn);
    tree.apply(Zxid{i}, txn);
  }
  for (const auto& [ino, node] : model.nodes) {
    const auto found = tree.find_path(tree.path_of(ino));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->ino, ino);
    for (const auto& [other, unused] : model.nodes) {
      EXPECT_EQ(tree.is_ancestor(other, ino), model.is_beneath(ino, other));
    }
  }
}

// What the changes of a txn say, taken together, is how the set of places changed.
TEST_P(DataTreeModel, ChangesTellEveryMove) {
  using Kind = Change::Kind;
  Random random(GetParam());
  Model model;
  DataTree tree;
  std::map<std::pair<Ino, std::string>, Ino> places;
  for (std::uint64_t i = 1; i <= 1000; ++i) {
    const Txn txn = random_txn(random, model);
    model.apply(Zxid{i}, txn);
    for (const Change& c : tree.apply(Zxid{i}, txn).changes) {
      if (c.kind == Kind::kCreated) places[{c.parent, c.name}] = c.ino;
      if (c.kind == Kind::kDeleted) {
        ASSERT_EQ(places.erase({c.parent, c.name}), 1U);
      }
      if (c.kind == Kind::kMoved || c.kind == Kind::kReplaced) {
        ASSERT_EQ(places.erase({c.old_parent, c.old_name}), 1U);
      }
      if (c.kind == Kind::kExchanged) places[{c.old_parent, c.old_name}] = c.other;
      if (c.kind != Kind::kDeleted && c.ino != kRootIno && !is_system(c.ino))
        places[{c.parent, c.name}] = c.ino;
    }
    std::map<std::pair<Ino, std::string>, Ino> expected;
    for (const auto& [ino, node] : model.nodes) {
      if (ino != kRootIno && !is_system(ino)) expected[{node.parent, node.name}] = ino;
    }
    ASSERT_EQ(places, expected) << "txn " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, DataTreeModel, testing::Range<std::uint64_t>(1, 9));

}  // namespace
}  // namespace zkfs::tree::test
