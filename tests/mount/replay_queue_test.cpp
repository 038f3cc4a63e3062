// SPDX-License-Identifier: Apache-2.0
#include "mount/replay_queue.h"

#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace zkfs::test {
namespace {

using mount::NodeId;
using mount::Poke;
using mount::ReplayItem;
using mount::ReplayQueue;
using Pushed = ReplayQueue::Pushed;
using Names = std::vector<std::string>;

ReplayItem item(Poke::Kind kind, NodeId parent, std::string name, NodeId node = 100) {
  ReplayItem item;
  item.poke.kind = kind;
  item.poke.parent = parent;
  item.poke.name = std::move(name);
  item.subject.node = node;
  return item;
}

ReplayItem rename(NodeId from, std::string name, NodeId to, std::string new_name) {
  ReplayItem rename = item(Poke::Kind::kRename, from, std::move(name));
  rename.poke.other_parent = to;
  rename.poke.other_name = std::move(new_name);
  return rename;
}

// Two lanes: even directories and odd ones.
class ReplayQueueTest : public testing::Test {
 protected:
  void fill(std::size_t bound) {
    queue_.emplace(2, bound,
                   [this](NodeId directory) { return only_lane_.value_or(directory % 2); });
  }

  void SetUp() override { fill(1000); }

  // Sends and finishes everything in the lane that may go; the names.
  Names run(std::size_t lane) {
    Names names;
    while (ReplayItem* next = queue_->next(lane)) {
      names.push_back(next->poke.name);
      const auto token = next->poke.token;
      queue_->sent(lane);
      EXPECT_TRUE(queue_->finish(lane, token).has_value());
    }
    return names;
  }

  std::optional<std::size_t> only_lane_;
  std::optional<ReplayQueue> queue_;
};

TEST_F(ReplayQueueTest, LaneKeepsTheOrder) {
  for (const char* name : {"a", "b", "c"}) queue_->push(item(Poke::Kind::kCreateFile, 2, name));
  EXPECT_EQ(run(0), (Names{"a", "b", "c"}));
}

TEST_F(ReplayQueueTest, LanesDoNotWaitForEachOther) {
  queue_->push(item(Poke::Kind::kCreateFile, 2, "a"));
  queue_->push(item(Poke::Kind::kCreateFile, 3, "b"));
  EXPECT_EQ(run(1), (Names{"b"}));
  EXPECT_EQ(run(0), (Names{"a"}));
}

TEST_F(ReplayQueueTest, ModifyJoinsOneThatWaits) {
  EXPECT_EQ(queue_->push(item(Poke::Kind::kModify, 2, "a")), Pushed::kQueued);
  EXPECT_EQ(queue_->push(item(Poke::Kind::kModify, 2, "b")), Pushed::kQueued);
  EXPECT_EQ(queue_->push(item(Poke::Kind::kModify, 2, "a")), Pushed::kMerged);
  EXPECT_EQ(run(0), (Names{"a", "b"}));
}

TEST_F(ReplayQueueTest, ModifyDoesNotJoinOneThatWasSent) {
  queue_->push(item(Poke::Kind::kModify, 2, "a"));
  ASSERT_NE(queue_->next(0), nullptr);
  queue_->sent(0);
  EXPECT_EQ(queue_->push(item(Poke::Kind::kModify, 2, "a")), Pushed::kQueued);
}

TEST_F(ReplayQueueTest, ModifyJoinsTheCreationThatBringsData) {
  queue_->push(item(Poke::Kind::kCreateWithData, 2, "a"));
  EXPECT_EQ(queue_->push(item(Poke::Kind::kModify, 2, "a")), Pushed::kMerged);
}

TEST_F(ReplayQueueTest, ModifyDoesNotJoinACreationWithoutData) {
  queue_->push(item(Poke::Kind::kCreateFile, 2, "a"));
  EXPECT_EQ(queue_->push(item(Poke::Kind::kModify, 2, "a")), Pushed::kQueued);
}

TEST_F(ReplayQueueTest, ModifyDoesNotJumpOverADelete) {
  queue_->push(item(Poke::Kind::kModify, 2, "a"));
  queue_->push(item(Poke::Kind::kUnlink, 2, "a"));
  EXPECT_EQ(queue_->push(item(Poke::Kind::kModify, 2, "a")), Pushed::kQueued);
}

TEST_F(ReplayQueueTest, ModifyDoesNotJoinAnotherNodes) {
  queue_->push(item(Poke::Kind::kModify, 2, "a", 100));
  EXPECT_EQ(queue_->push(item(Poke::Kind::kModify, 2, "a", 101)), Pushed::kQueued);
}

TEST_F(ReplayQueueTest, AttributesJoinAttributesOnly) {
  queue_->push(item(Poke::Kind::kModify, 2, "a"));
  EXPECT_EQ(queue_->push(item(Poke::Kind::kAttributes, 2, "a")), Pushed::kQueued);
  EXPECT_EQ(queue_->push(item(Poke::Kind::kAttributes, 2, "a")), Pushed::kMerged);
}

TEST_F(ReplayQueueTest, RenameWaitsForTheOtherDirectorysLane) {
  queue_->push(item(Poke::Kind::kCreateFile, 3, "before"));
  queue_->push(rename(2, "from", 3, "to"));
  EXPECT_EQ(run(0), Names{});
  EXPECT_EQ(run(1), (Names{"before"}));
  EXPECT_EQ(run(0), (Names{"from"}));
}

TEST_F(ReplayQueueTest, RenameWaitsForWhatIsUnderWayInTheOtherLane) {
  queue_->push(item(Poke::Kind::kCreateFile, 3, "before"));
  const auto token = queue_->next(1)->poke.token;
  queue_->sent(1);
  queue_->push(rename(2, "from", 3, "to"));
  EXPECT_EQ(queue_->next(0), nullptr);
  queue_->finish(1, token);
  EXPECT_NE(queue_->next(0), nullptr);
}

TEST_F(ReplayQueueTest, OtherDirectoryWaitsForTheRename) {
  queue_->push(rename(2, "from", 3, "to"));
  queue_->push(item(Poke::Kind::kModify, 3, "to"));
  EXPECT_EQ(run(1), Names{});
  const auto token = queue_->next(0)->poke.token;
  queue_->sent(0);
  EXPECT_EQ(queue_->next(1), nullptr);
  queue_->finish(0, token);
  EXPECT_EQ(run(1), (Names{"to"}));
}

TEST_F(ReplayQueueTest, RenamesBothWaysDoNotLockEachOther) {
  queue_->push(rename(2, "a", 3, "a"));
  queue_->push(rename(3, "b", 2, "b"));
  queue_->push(rename(2, "c", 3, "c"));
  EXPECT_EQ(run(1), Names{});
  EXPECT_EQ(run(0), (Names{"a"}));
  EXPECT_EQ(run(1), (Names{"b"}));
  EXPECT_EQ(run(0), (Names{"c"}));
}

TEST_F(ReplayQueueTest, RemovalWaitsForWhatIsInside) {
  queue_->push(item(Poke::Kind::kUnlink, 3, "inside"));
  queue_->push(item(Poke::Kind::kRemoveDirectory, 2, "d", 3));
  EXPECT_EQ(run(0), Names{});
  EXPECT_EQ(run(1), (Names{"inside"}));
  EXPECT_EQ(run(0), (Names{"d"}));
}

TEST_F(ReplayQueueTest, RemovalOfAQuietDirectoryWaitsForNobody) {
  queue_->push(item(Poke::Kind::kCreateFile, 5, "other"));
  queue_->push(item(Poke::Kind::kRemoveDirectory, 2, "d", 3));
  EXPECT_EQ(run(0), (Names{"d"}));
}

TEST_F(ReplayQueueTest, UrgentOvertakesEvenGates) {
  queue_->push(item(Poke::Kind::kCreateFile, 3, "blocks"));
  queue_->push(rename(2, "from", 3, "to"));
  ReplayItem ghost = rename(2, "ghost", 2, "real");
  queue_->push_urgent(std::move(ghost));
  EXPECT_EQ(queue_->next(0)->poke.name, "ghost");
}

TEST_F(ReplayQueueTest, NameIsPendingUntilItIsDone) {
  queue_->push(rename(2, "a", 3, "b"));
  EXPECT_TRUE(queue_->pending(2, "a"));
  EXPECT_TRUE(queue_->pending(3, "b"));
  EXPECT_FALSE(queue_->pending(3, "a"));
  const auto token = queue_->next(0)->poke.token;
  queue_->sent(0);
  EXPECT_TRUE(queue_->pending(2, "a"));
  queue_->finish(0, token);
  EXPECT_FALSE(queue_->pending(2, "a"));
}

TEST_F(ReplayQueueTest, FinishOfAnotherTokenIsIgnored) {
  queue_->push(item(Poke::Kind::kModify, 2, "a"));
  queue_->next(0);
  queue_->sent(0);
  EXPECT_FALSE(queue_->finish(0, 4711).has_value());
  EXPECT_NE(queue_->current(0), nullptr);
}

// --- the bound ---

TEST_F(ReplayQueueTest, FullQueueKeepsTheLastPokeOfEachName) {
  fill(4);
  queue_->push(item(Poke::Kind::kCreateFile, 2, "a"));
  queue_->push(item(Poke::Kind::kUnlink, 2, "a"));
  queue_->push(item(Poke::Kind::kCreateFile, 2, "b"));
  queue_->push(item(Poke::Kind::kModify, 2, "b"));
  queue_->push(item(Poke::Kind::kCreateFile, 2, "c"));
  EXPECT_EQ(queue_->overflowed(), 2U);
  EXPECT_EQ(queue_->next(0)->poke.kind, Poke::Kind::kUnlink);
  EXPECT_EQ(run(0), (Names{"a", "b", "c"}));
}

TEST_F(ReplayQueueTest, FullQueueWithNothingToCollapseDropsTheOldest) {
  fill(3);
  for (const char* name : {"a", "b", "c", "d", "e"})
    queue_->push(item(Poke::Kind::kCreateFile, 2, name));
  EXPECT_EQ(queue_->overflowed(), 2U);
  EXPECT_EQ(run(0), (Names{"c", "d", "e"}));
}

TEST_F(ReplayQueueTest, DroppedRenameOpensItsGates) {
  fill(2);
  queue_->push(rename(2, "a", 3, "a"));
  queue_->push(item(Poke::Kind::kCreateFile, 3, "x"));
  queue_->push(item(Poke::Kind::kCreateFile, 3, "y"));
  EXPECT_EQ(run(1), (Names{"x", "y"}));
  EXPECT_EQ(run(0), Names{});
}

TEST_F(ReplayQueueTest, NeverHoldsMoreThanTheBound) {
  fill(50);
  std::mt19937 random(7);
  for (int i = 0; i < 5000; ++i) {
    const NodeId parent = 2 + random() % 4;
    const std::string name = fmt::format("{}", random() % 100);
    if (random() % 5 == 0) {
      queue_->push(rename(parent, name, 2 + random() % 4, "n"));
    } else {
      queue_->push(
          item(random() % 2 == 0 ? Poke::Kind::kModify : Poke::Kind::kUnlink, parent, name));
    }
    ASSERT_LE(queue_->waiting(), 50U);
  }
  for (int i = 0; i < 100 && queue_->waiting() != 0; ++i) {
    run(0);
    run(1);
  }
  EXPECT_EQ(queue_->waiting(), 0U);
}

// --- a lane that ends ---

TEST_F(ReplayQueueTest, EndedLaneGoesToTheOtherInOrder) {
  queue_->push(item(Poke::Kind::kCreateFile, 2, "sent"));
  queue_->next(0);
  queue_->sent(0);
  queue_->push(item(Poke::Kind::kCreateFile, 3, "other"));
  queue_->push(item(Poke::Kind::kCreateFile, 2, "waits"));
  queue_->push(rename(2, "from", 3, "to"));
  queue_->push(item(Poke::Kind::kCreateFile, 3, "last"));
  only_lane_ = 1;
  queue_->lane_ended(0);
  EXPECT_EQ(queue_->under_way(0), 0U);
  EXPECT_EQ(run(1), (Names{"sent", "other", "waits", "from", "last"}));
}

TEST_F(ReplayQueueTest, EndedLaneLeavesNoGateBehind) {
  queue_->push(rename(3, "from", 2, "to"));
  const auto token = queue_->next(1)->poke.token;
  queue_->sent(1);
  queue_->push(item(Poke::Kind::kCreateFile, 2, "after"));
  only_lane_ = 1;
  queue_->lane_ended(0);
  EXPECT_TRUE(queue_->finish(1, token).has_value());
  EXPECT_EQ(run(1), (Names{"after"}));
}

TEST_F(ReplayQueueTest, ClearForgetsWhatWaitsAndKeepsWhatIsUnderWay) {
  queue_->push(item(Poke::Kind::kCreateFile, 2, "sent"));
  const auto token = queue_->next(0)->poke.token;
  queue_->sent(0);
  queue_->push(rename(2, "a", 3, "b"));
  queue_->clear();
  EXPECT_EQ(queue_->waiting(), 0U);
  EXPECT_FALSE(queue_->pending(3, "b"));
  EXPECT_TRUE(queue_->finish(0, token).has_value());
}

}  // namespace
}  // namespace zkfs::test
