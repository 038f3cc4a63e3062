// SPDX-License-Identifier: Apache-2.0
#include "ensemble/zab/history.h"

#include <gtest/gtest.h>

#include "tests/zab/solo.h"

namespace zkfs::zab::testing {
namespace {

Zxid z(std::uint32_t epoch, std::uint32_t counter) {
  return Zxid{Epoch{epoch}, counter};
}

// 1.1 1.2 1.3 3.1 3.2, committed up to 1.2.
History sample() {
  return History(Zxid{}, {entry(1, 1), entry(1, 2), entry(1, 3), entry(3, 1), entry(3, 2)},
                 z(1, 2));
}

TEST(History, AnEmptyOneEndsAtItsBase) {
  const History history(z(2, 7), {}, z(2, 7));
  EXPECT_EQ(history.last(), z(2, 7));
  EXPECT_TRUE(history.contains(z(2, 7)));
  EXPECT_FALSE(history.contains(z(2, 6)));
}

TEST(History, ContainsWhatItHoldsAndNothingElse) {
  const History history = sample();
  EXPECT_TRUE(history.contains(Zxid{}));
  EXPECT_TRUE(history.contains(z(1, 3)));
  EXPECT_FALSE(history.contains(z(1, 4)));
  EXPECT_FALSE(history.contains(z(2, 0)));
  EXPECT_FALSE(history.contains(z(9, 9)));
}

TEST(History, TheGreatestAtMostLooksAcrossEpochs) {
  const History history = sample();
  EXPECT_EQ(history.greatest_at_most(z(1, 9)), z(1, 3));
  EXPECT_EQ(history.greatest_at_most(z(2, 5)), z(1, 3));
  EXPECT_EQ(history.greatest_at_most(z(3, 1)), z(3, 1));
  EXPECT_EQ(history.greatest_at_most(z(8, 1)), z(3, 2));
}

TEST(History, AcceptsTheNextCounterOrTheFirstOfALaterEpoch) {
  const History history = sample();
  EXPECT_TRUE(history.accepts(z(3, 3)));
  EXPECT_TRUE(history.accepts(z(4, 1)));
  EXPECT_TRUE(history.accepts(z(9, 1)));
  EXPECT_FALSE(history.accepts(z(3, 4)));
  EXPECT_FALSE(history.accepts(z(3, 2)));
  EXPECT_FALSE(history.accepts(z(4, 2)));
  EXPECT_FALSE(history.accepts(z(2, 1)));
}

TEST(HistoryDeathTest, AHoleIsRefusedWhereItWouldBeMade) {
  History history = sample();
  EXPECT_DEATH(history.append(entry(3, 4)), "hole");
}

TEST(HistoryDeathTest, WhatIsCommittedIsNeverTruncated) {
  History history = sample();
  EXPECT_DEATH(history.truncate_after(z(1, 1)), "committed");
}

TEST(HistoryDeathTest, WhatIsNotThereIsNeverCommitted) {
  History history = sample();
  EXPECT_DEATH((void)history.commit(z(3, 3)), "not in the log");
}

TEST(History, CommitReturnsEachEntryOnceInOrder) {
  History history = sample();
  const auto first = history.commit(z(3, 1));
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first[0].zxid, z(1, 3));
  EXPECT_EQ(first[1].zxid, z(3, 1));
  EXPECT_TRUE(history.commit(z(3, 1)).empty());
  EXPECT_TRUE(history.commit(z(1, 1)).empty());
  EXPECT_EQ(history.commit(z(3, 2)).size(), 1U);
}

TEST(History, TruncateDropsTheTail) {
  History history = sample();
  history.truncate_after(z(1, 3));
  EXPECT_EQ(history.last(), z(1, 3));
  EXPECT_TRUE(history.accepts(z(2, 1)));
  history.truncate_after(z(1, 2));
  EXPECT_EQ(history.last(), z(1, 2));
}

TEST(History, ResetIsEmptyAndCommittedAtTheSnapshot) {
  History history = sample();
  history.reset(z(5, 4));
  EXPECT_EQ(history.base(), z(5, 4));
  EXPECT_EQ(history.committed(), z(5, 4));
  EXPECT_EQ(history.last(), z(5, 4));
  EXPECT_TRUE(history.accepts(z(5, 5)));
}

TEST(History, AfterStopsAtTheLimit) {
  const auto entries = sample().after(z(1, 1), z(3, 1), 1'000);
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries.front().zxid, z(1, 2));
  EXPECT_EQ(entries.back().zxid, z(3, 1));
}

TEST(History, AfterStopsAtTheBytesButGivesOneAtLeast) {
  History history(Zxid{}, {entry(1, 1, "0123456789"), entry(1, 2, "01"), entry(1, 3, "01")},
                  Zxid{});
  EXPECT_EQ(history.after(Zxid{}, z(1, 3), 1).size(), 1U);
  EXPECT_EQ(history.after(Zxid{}, z(1, 3), 12).size(), 2U);
  EXPECT_EQ(history.after(z(1, 3), z(1, 3), 12).size(), 0U);
}

TEST(History, TrimForgetsNothingUncommitted) {
  History history = sample();
  history.trim(z(9, 9), 0, 1'000);
  EXPECT_EQ(history.base(), z(1, 2));
  EXPECT_EQ(history.size(), 3U);
}

TEST(History, TrimKeepsWhatALearnerStillNeeds) {
  History history = sample();
  (void)history.commit(z(3, 2));
  history.trim(z(1, 1), 0, 1'000);
  EXPECT_EQ(history.base(), z(1, 1));
}

TEST(History, TrimStopsWhenBothLimitsAreMet) {
  History history = sample();
  (void)history.commit(z(3, 2));
  history.trim(z(3, 2), 2, 1'000);
  EXPECT_EQ(history.size(), 2U);
  history.trim(z(3, 2), 2, 1);
  EXPECT_EQ(history.size(), 1U);
}

}  // namespace
}  // namespace zkfs::zab::testing
