// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/reaper.h"

#include <limits>
#include <string>

#include <gtest/gtest.h>

namespace zkfs::server {
namespace {

constexpr WallMillis kWall = 1'700'000'000'000;

using Inos = std::vector<Ino>;

class ReaperTest : public testing::Test {
 protected:
  [[nodiscard]] Now now() const { return {Instant{Millis{monotonic_ms_}}, wall_}; }

  // Both clocks.
  void pass(std::int64_t ms) {
    monotonic_ms_ += ms;
    wall_ += ms;
  }

  tree::ApplyResult apply(tree::TxnBody body) {
    return tree_.apply(Zxid{tree_.last_applied().value + 1}, {{}, {}, {}, wall_, std::move(body)});
  }

  Ino create(tree::NodeType type, std::int64_t ttl_ms = 0, Ino parent = kRootIno) {
    tree::CreateTxn txn;
    txn.parent = parent;
    txn.ino = tree_.next_ino();
    txn.name = std::to_string(txn.ino.value);
    txn.acl = tree::open_acl();
    txn.type = type;
    txn.ttl_ms = ttl_ms;
    return apply(txn).outcome.ino;
  }

  Ino container() { return create(tree::NodeType::kContainer); }

  Ino ttl(std::int64_t ms) { return create(tree::NodeType::kTtl, ms); }

  Ino child(Ino parent) { return create(tree::NodeType::kPersistent, 0, parent); }

  void remove(Ino ino) { apply(tree::DeleteTxn{ino}); }

  // What the reaper wants deleted now; nothing is.
  Inos due() {
    Inos result;
    for (const DeleteRequest& request : reaper_.due(tree_, now())) {
      EXPECT_EQ(request.version, tree_.find(request.target.ino)->stat.version);
      EXPECT_EQ(request.target.path, "");
      result.push_back(request.target.ino);
    }
    return result;
  }

  // Ticks for so long; true if something was to be deleted before the end.
  bool early(std::int64_t ms) {
    for (; ms > 0; ms -= 100) {
      if (!due().empty()) return true;
      pass(100);
    }
    return false;
  }

  // Ticks for so long; what was to be deleted in that time.
  Inos within(std::int64_t ms) {
    for (; ms >= 0; ms -= 100) {
      if (const Inos found = due(); !found.empty()) return found;
      pass(100);
    }
    return {};
  }

  std::int64_t monotonic_ms_ = 5'000;
  WallMillis wall_ = kWall;
  tree::DataTree tree_;
  Reaper reaper_{{Millis{1'000}, Millis{10'000}}, now()};
};

// --- TTL ---

TEST_F(ReaperTest, ATtlZnodeGoesWhenUnchangedForItsTtl) {
  const Ino ino = ttl(5'000);
  EXPECT_FALSE(early(5'000));
  EXPECT_EQ(within(1'100), Inos{ino});
}

TEST_F(ReaperTest, AnOldTtlZnodeGoesAtTheFirstScanOfALeadership) {
  const Ino ino = ttl(5'000);
  pass(5'000);
  reaper_ = Reaper({Millis{1'000}, Millis{10'000}}, now());
  EXPECT_EQ(due(), Inos{ino});
}

TEST_F(ReaperTest, EveryChangeBeginsTheTtlAnew) {
  const Ino ino = ttl(5'000);
  const std::vector<tree::TxnBody> changes = {
      tree::SetDataTxn{ino, Blob("x")}, tree::SetAclTxn{ino, tree::open_acl()},
      tree::SetAttributesTxn{ino, std::nullopt, std::nullopt, true},
      tree::SetAttributesTxn{ino, 7, std::nullopt, std::nullopt}};
  for (const tree::TxnBody& change : changes) {
    EXPECT_FALSE(early(4'900));
    apply(change);
  }
  EXPECT_FALSE(early(5'000));
  EXPECT_EQ(within(1'100), Inos{ino});
}

TEST_F(ReaperTest, AnMtimeAheadKeepsATtlZnode) {
  const Ino ino = ttl(1'000);
  apply(tree::SetAttributesTxn{ino, wall_ + 60'000, std::nullopt, std::nullopt});
  EXPECT_FALSE(early(61'000));
  EXPECT_EQ(within(1'100), Inos{ino});
}

TEST_F(ReaperTest, MtimesOutOfAllReasonDoNoHarm) {
  const Ino past = ttl(1'000);
  const Ino future = ttl(1'000);
  using Limits = std::numeric_limits<WallMillis>;
  apply(tree::SetAttributesTxn{past, Limits::min(), std::nullopt, std::nullopt});
  apply(tree::SetAttributesTxn{future, Limits::max(), std::nullopt, std::nullopt});
  EXPECT_EQ(within(2'100), Inos{past});
}

TEST_F(ReaperTest, ATtlZnodeWithChildrenStays) {
  child(ttl(1'000));
  EXPECT_FALSE(early(60'000));
}

TEST_F(ReaperTest, ATtlZnodeThatHadChildrenIsSeenWithoutForItsTtl) {
  const Ino ino = ttl(5'000);
  const Ino below = child(ino);
  EXPECT_FALSE(early(60'000));
  remove(below);
  EXPECT_FALSE(early(5'000));
  EXPECT_EQ(within(2'100), Inos{ino});
}

TEST_F(ReaperTest, AChildThatCameAndWentBetweenTwoScansIsNoticed) {
  const Ino ino = ttl(5'000);
  remove(child(ino));
  EXPECT_FALSE(early(4'900));
  remove(child(ino));
  EXPECT_FALSE(early(5'000));
  EXPECT_EQ(within(2'100), Inos{ino});
}

// --- containers ---

TEST_F(ReaperTest, AContainerThatNeverHadChildrenStays) {
  container();
  EXPECT_FALSE(early(60'000));
}

TEST_F(ReaperTest, AContainerGoesAfterItsGrace) {
  const Ino ino = container();
  const Ino below = child(ino);
  EXPECT_FALSE(early(60'000));
  remove(below);
  EXPECT_FALSE(early(10'000));
  EXPECT_EQ(within(2'100), Inos{ino});
}

TEST_F(ReaperTest, AContainerUsedAgainHasItsGraceAgain) {
  const Ino ino = container();
  remove(child(ino));
  EXPECT_FALSE(early(9'000));
  remove(child(ino));
  EXPECT_FALSE(early(10'000));
  EXPECT_EQ(within(2'100), Inos{ino});
}

TEST_F(ReaperTest, ANewLeaderHasSeenNothing) {
  const Ino ino = container();
  remove(child(ino));
  EXPECT_FALSE(early(10'000));
  reaper_ = Reaper({Millis{1'000}, Millis{10'000}}, now());
  EXPECT_FALSE(early(10'000));
  EXPECT_EQ(within(1'100), Inos{ino});
}

TEST_F(ReaperTest, AContainerFollowsItsLastTtlChild) {
  const Ino ino = container();
  const Ino below = create(tree::NodeType::kTtl, 1'000, ino);
  EXPECT_EQ(within(2'100), Inos{below});
  remove(below);
  EXPECT_FALSE(early(10'000));
  EXPECT_EQ(within(2'100), Inos{ino});
}

// --- clocks ---

TEST_F(ReaperTest, AClockThatJumpsForwardDeletesNothingEarly) {
  const Ino before = ttl(5'000);
  EXPECT_FALSE(early(2'000));
  wall_ += 3'600'000;
  EXPECT_FALSE(early(3'000));
  EXPECT_EQ(within(1'100), Inos{before});
}

TEST_F(ReaperTest, AfterAJumpWhatIsSeenUnchangedGoes) {
  EXPECT_FALSE(early(2'000));
  wall_ += 3'600'000'000'000;
  const Ino after = ttl(5'000);
  EXPECT_FALSE(early(5'000));
  EXPECT_EQ(within(2'100), Inos{after});
}

TEST_F(ReaperTest, AClockThatIsSetBackDelays) {
  const Ino ino = ttl(5'000);
  EXPECT_FALSE(early(2'000));
  wall_ -= 60'000;
  EXPECT_FALSE(early(63'000));
  EXPECT_EQ(within(1'100), Inos{ino});
}

TEST_F(ReaperTest, AClockSetBackAndForthAgainDeletesNothingEarly) {
  const Ino ino = ttl(5'000);
  EXPECT_FALSE(early(1'000));
  wall_ -= 60'000;
  EXPECT_FALSE(early(1'000));
  wall_ += 60'000;
  EXPECT_FALSE(early(3'000));
  EXPECT_EQ(within(1'100), Inos{ino});
}

// --- how much at a time ---

TEST_F(ReaperTest, AsksForNoMoreThanABatchEachInterval) {
  for (int i = 0; i < 2'500; ++i) ttl(100);
  pass(200);
  const auto batch = [&] {
    const Inos found = due();
    for (const Ino ino : found) remove(ino);
    return found.size();
  };
  EXPECT_EQ(batch(), 1'000U);
  EXPECT_EQ(batch(), 0U);
  pass(1'000);
  EXPECT_EQ(batch(), 1'000U);
  pass(1'000);
  EXPECT_EQ(batch(), 500U);
}

TEST_F(ReaperTest, WhatChangedSinceTheScanIsLookedAtAgain) {
  for (int i = 0; i < 1'000; ++i) ttl(100);
  const Ino touched = ttl(100);
  const Ino parent = ttl(100);
  const Ino gone = ttl(100);
  const Ino quiet = ttl(100);
  pass(200);
  for (const Ino ino : due()) remove(ino);
  pass(1'000);
  apply(tree::SetAttributesTxn{touched, wall_, std::nullopt, std::nullopt});
  child(parent);
  remove(gone);
  EXPECT_EQ(due(), Inos{quiet});
}

TEST_F(ReaperTest, WhatIsStillThereIsTriedAgain) {
  const Ino ino = ttl(100);
  pass(200);
  EXPECT_EQ(due(), Inos{ino});
  pass(999);
  EXPECT_EQ(due(), Inos{});
  pass(1);
  EXPECT_EQ(due(), Inos{ino});
}

TEST_F(ReaperTest, ScansLessOftenForManyCandidates) {
  for (int i = 0; i < 40'000; ++i) ttl(1'000'000);
  EXPECT_EQ(due(), Inos{});
  const Ino ino = ttl(100);
  EXPECT_FALSE(early(2'000));
  EXPECT_EQ(within(1'100), Inos{ino});
}

TEST_F(ReaperTest, KeepsInMindOnlyWhatItMust) {
  for (int i = 0; i < 100; ++i) ttl(50'000);
  const Ino ino = container();
  remove(child(ino));
  EXPECT_FALSE(early(2'000));
  EXPECT_EQ(reaper_.observed(), 1U);
  child(ino);
  EXPECT_FALSE(early(2'000));
  EXPECT_EQ(reaper_.observed(), 0U);
}

}  // namespace
}  // namespace zkfs::server
