// SPDX-License-Identifier: Apache-2.0
#include "mount/replay_queue.h"

#include <map>
#include <random>
#include <set>

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

// Three workers.
class ReplayQueueTest : public testing::Test {
 protected:
  void fill(std::size_t bound) { queue_.emplace(3, bound); }

  void SetUp() override { fill(1000); }

  // What the worker is sent next; its token, or 0.
  std::uint64_t send(std::size_t worker) {
    const ReplayItem* next = queue_->next(worker);
    if (next == nullptr) return 0;
    const auto token = next->poke.token;
    queue_->sent(worker);
    return token;
  }

  std::string send_name(std::size_t worker) {
    const ReplayItem* next = queue_->next(worker);
    if (next == nullptr) return "";
    std::string name = next->poke.name;
    queue_->sent(worker);
    return name;
  }

  void finish(std::size_t worker) {
    ASSERT_NE(queue_->current(worker), nullptr);
    ASSERT_TRUE(queue_->finish(worker, queue_->current(worker)->poke.token).has_value());
  }

  // Sends this worker everything that may go, one at a time, and finishes it; the names.
  Names run(std::size_t worker) {
    Names names;
    while (ReplayItem* next = queue_->next(worker)) {
      names.push_back(next->poke.name);
      queue_->sent(worker);
      finish(worker);
    }
    return names;
  }

  std::optional<ReplayQueue> queue_;
};

TEST_F(ReplayQueueTest, DirectoryKeepsTheOrder) {
  for (const char* name : {"a", "b", "c"}) queue_->push(item(Poke::Kind::kCreateFile, 2, name));
  EXPECT_EQ(run(0), (Names{"a", "b", "c"}));
}

TEST_F(ReplayQueueTest, NoTwoWorkersAreInOneDirectory) {
  queue_->push(item(Poke::Kind::kCreateFile, 2, "a"));
  queue_->push(item(Poke::Kind::kCreateFile, 2, "b"));
  EXPECT_EQ(send_name(0), "a");
  EXPECT_EQ(send_name(1), "");
  EXPECT_EQ(send_name(0), "b");
}

TEST_F(ReplayQueueTest, StuckWorkerDelaysItsDirectoryOnly) {
  queue_->push(item(Poke::Kind::kCreateFile, 2, "stuck"));
  EXPECT_EQ(send_name(0), "stuck");
  for (NodeId directory = 2; directory < 50; ++directory)
    queue_->push(item(Poke::Kind::kCreateFile, directory, fmt::format("f{}", directory)));
  EXPECT_EQ(run(1).size(), 47U);
  EXPECT_EQ(queue_->waiting(), 1U);
}

TEST_F(ReplayQueueTest, NothingOfAnotherDirectoryIsSentAhead) {
  queue_->push(item(Poke::Kind::kCreateFile, 2, "a"));
  queue_->push(item(Poke::Kind::kCreateFile, 3, "b"));
  EXPECT_EQ(send_name(0), "a");
  EXPECT_EQ(send_name(0), "");
}

TEST_F(ReplayQueueTest, NothingIsSentAheadBehindARename) {
  queue_->push(rename(2, "from", 3, "to"));
  queue_->push(item(Poke::Kind::kModify, 3, "to"));
  EXPECT_EQ(send_name(0), "from");
  EXPECT_EQ(send_name(0), "");
  EXPECT_EQ(send_name(1), "");
}

TEST_F(ReplayQueueTest, NoMoreThanTheWindowIsSentAhead) {
  for (int i = 0; i < 100; ++i) queue_->push(item(Poke::Kind::kCreateFile, 2, std::to_string(i)));
  while (send(0) != 0) {
  }
  EXPECT_EQ(queue_->under_way(0), ReplayQueue::kWindow);
}

TEST_F(ReplayQueueTest, LongRunGivesWayToOtherDirectories) {
  for (int i = 0; i < 100; ++i) queue_->push(item(Poke::Kind::kCreateFile, 2, std::to_string(i)));
  for (NodeId directory = 3; directory < 6; ++directory)
    queue_->push(item(Poke::Kind::kCreateFile, directory, "other"));
  // All are busy; the run goes on for a window.
  EXPECT_NE(send(0), 0U);
  EXPECT_NE(send(1), 0U);
  EXPECT_NE(send(2), 0U);
  std::size_t steps = 0;
  for (; steps < 100 && queue_->under_way(0) != 0; ++steps) {
    send(0);
    finish(0);
  }
  EXPECT_EQ(steps, ReplayQueue::kWindow);
  EXPECT_EQ(send_name(0), "other");
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

TEST_F(ReplayQueueTest, RenameWaitsForBothDirectories) {
  queue_->push(item(Poke::Kind::kCreateFile, 3, "before"));
  queue_->push(rename(2, "from", 3, "to"));
  EXPECT_EQ(send_name(0), "before");
  EXPECT_EQ(send_name(1), "");
  finish(0);
  EXPECT_EQ(send_name(1), "from");
}

TEST_F(ReplayQueueTest, BothDirectoriesWaitForTheRename) {
  queue_->push(rename(2, "from", 3, "to"));
  queue_->push(item(Poke::Kind::kModify, 3, "to"));
  queue_->push(item(Poke::Kind::kModify, 2, "other"));
  EXPECT_EQ(send_name(0), "from");
  EXPECT_EQ(send_name(1), "");
  finish(0);
  EXPECT_EQ(run(1).size(), 2U);
}

TEST_F(ReplayQueueTest, RenamesBothWaysDoNotLockEachOther) {
  queue_->push(rename(2, "a", 3, "a"));
  queue_->push(rename(3, "b", 2, "b"));
  queue_->push(rename(2, "c", 3, "c"));
  EXPECT_EQ(run(0), (Names{"a", "b", "c"}));
}

TEST_F(ReplayQueueTest, RemovalWaitsForWhatIsInside) {
  queue_->push(item(Poke::Kind::kUnlink, 3, "inside"));
  queue_->push(item(Poke::Kind::kRemoveDirectory, 2, "d", 3));
  EXPECT_EQ(send_name(0), "inside");
  EXPECT_EQ(send_name(1), "");
  finish(0);
  EXPECT_EQ(send_name(1), "d");
}

TEST_F(ReplayQueueTest, RemovalsOfQuietDirectoriesAreSentAhead) {
  queue_->push(item(Poke::Kind::kRemoveDirectory, 2, "d", 3));
  queue_->push(item(Poke::Kind::kRemoveDirectory, 2, "e", 4));
  EXPECT_EQ(send_name(0), "d");
  EXPECT_EQ(send_name(0), "e");
}

TEST_F(ReplayQueueTest, UrgentOvertakesWhatWasNotSent) {
  for (const char* name : {"a", "b", "c"}) queue_->push(item(Poke::Kind::kCreateFile, 2, name));
  EXPECT_EQ(send_name(0), "a");
  queue_->push_urgent(rename(2, "ghost", 2, "real"));
  EXPECT_EQ(send_name(0), "ghost");
  EXPECT_EQ(send_name(0), "b");
}

TEST_F(ReplayQueueTest, UrgentOvertakesEvenARenameThatWaits) {
  queue_->push(item(Poke::Kind::kCreateFile, 3, "blocks"));
  queue_->push(rename(2, "from", 3, "to"));
  queue_->push_urgent(rename(2, "ghost", 2, "real"));
  EXPECT_EQ(send_name(0), "ghost");
  EXPECT_EQ(send_name(1), "blocks");
  finish(1);
  EXPECT_EQ(send_name(1), "");
  finish(0);
  EXPECT_EQ(send_name(1), "from");
}

TEST_F(ReplayQueueTest, NothingJoinsAnUrgentOneThatOvertookItsName) {
  queue_->push(item(Poke::Kind::kUnlink, 2, "a"));
  queue_->push_urgent(item(Poke::Kind::kCreateWithData, 2, "a"));
  EXPECT_EQ(queue_->push(item(Poke::Kind::kModify, 2, "a")), Pushed::kQueued);
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

TEST_F(ReplayQueueTest, DroppedRenameLetsItsDirectoriesGoOn) {
  fill(2);
  queue_->push(rename(2, "a", 3, "a"));
  queue_->push(item(Poke::Kind::kCreateFile, 3, "x"));
  queue_->push(item(Poke::Kind::kCreateFile, 3, "y"));
  EXPECT_EQ(run(1), (Names{"x", "y"}));
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
  run(0);
  EXPECT_EQ(queue_->waiting(), 0U);
}

// --- all together ---

// Whatever is pushed, sent and finished in whatever order, and whoever dies: pokes that share a
// directory never overlap on two workers and go in the order of their pushing, and all go.
TEST_F(ReplayQueueTest, OrderHoldsUnderRandomUse) {
  std::mt19937 random(11);
  std::map<NodeId, std::uint64_t> last;  // finished in a directory
  std::size_t pushed = 0;
  std::size_t finished = 0;
  const auto finish_one = [&](std::size_t worker) {
    const ReplayItem* current = queue_->current(worker);
    if (current == nullptr) return;
    const Poke poke = current->poke;
    ASSERT_TRUE(queue_->finish(worker, poke.token).has_value());
    ++finished;
    for (const NodeId directory : std::set{poke.parent, poke.other_parent}) {
      if (directory == 0) continue;
      ASSERT_LT(last[directory], poke.token);
      last[directory] = poke.token;
    }
  };
  for (int i = 0; i < 20'000; ++i) {
    const std::size_t worker = random() % 3;
    switch (random() % 8) {
      case 0:
        if (queue_->waiting() > 900) break;
        queue_->push(rename(2 + random() % 5, std::to_string(i), 2 + random() % 5, "n"));
        ++pushed;
        break;
      case 1:
      case 2:
        if (queue_->waiting() > 900) break;
        queue_->push(item(Poke::Kind::kUnlink, 2 + random() % 5, std::to_string(i)));
        ++pushed;
        break;
      case 3:
        if (random() % 50 == 0) queue_->worker_ended(worker);
        break;
      case 4:
        finish_one(worker);
        break;
      default:
        send(worker);
    }
  }
  while (finished < pushed)
    for (std::size_t worker = 0; worker < 3; ++worker) {
      send(worker);
      finish_one(worker);
      if (HasFatalFailure()) return;
    }
  EXPECT_EQ(queue_->waiting(), 0U);
}

// --- a worker that ends ---

TEST_F(ReplayQueueTest, WorkOfAnEndedWorkerGoesFirst) {
  queue_->push(item(Poke::Kind::kCreateFile, 2, "sent"));
  queue_->push(item(Poke::Kind::kCreateFile, 2, "ahead"));
  EXPECT_EQ(send_name(0), "sent");
  EXPECT_EQ(send_name(0), "ahead");
  queue_->push(item(Poke::Kind::kCreateFile, 3, "other"));
  queue_->push(item(Poke::Kind::kCreateFile, 2, "waits"));
  queue_->worker_ended(0);
  EXPECT_EQ(queue_->under_way(0), 0U);
  EXPECT_EQ(run(1), (Names{"sent", "ahead", "other", "waits"}));
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
