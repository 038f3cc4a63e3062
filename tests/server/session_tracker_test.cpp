// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/session_tracker.h"

#include <gtest/gtest.h>

#include "ensemble/base/random.h"

namespace zkfs::server {
namespace {

constexpr SessionId kA{1};
constexpr SessionId kB{2};
constexpr SessionId kC{3};

using Ids = std::vector<SessionId>;

TEST(SessionTracker, EndsBetweenTimeoutAndOneTickMore) {
  Random random(7);
  for (int i = 0; i < 2'000; ++i) {
    const Millis tick(static_cast<std::int64_t>(random.between(1, 500)));
    const auto timeout = static_cast<std::uint32_t>(random.between(0, 5'000));
    const Instant start = Instant(static_cast<std::int64_t>(random.below(10'000'000'000)));
    SessionTracker tracker(tick);
    tracker.add(kA, timeout, start);
    EXPECT_TRUE(tracker.expired(start + Millis(timeout)).empty());
    EXPECT_EQ(tracker.expired(start + Millis(timeout) + tick), Ids{kA});
  }
}

TEST(SessionTracker, TouchGivesTheFullTimeoutAgain) {
  SessionTracker tracker(Millis(100));
  tracker.add(kA, 1'000, Millis(0));
  tracker.touch(kA, Millis(900));
  EXPECT_TRUE(tracker.expired(Millis(1'900)).empty());
  EXPECT_EQ(tracker.expired(Millis(2'000)), Ids{kA});
}

TEST(SessionTracker, OldSignOfLifeTakesNothingAway) {
  SessionTracker tracker(Millis(100));
  tracker.add(kA, 1'000, Millis(500));
  tracker.touch(kA, Millis(0));
  EXPECT_TRUE(tracker.expired(Millis(1'500)).empty());
}

TEST(SessionTracker, ExpiredComeInTheOrderOfIdsOnce) {
  SessionTracker tracker(Millis(10));
  tracker.add(kC, 100, Millis(0));
  tracker.add(kA, 300, Millis(0));
  tracker.add(kB, 200, Millis(0));
  EXPECT_EQ(tracker.expired(Millis(1'000)), (Ids{kA, kB, kC}));
  EXPECT_TRUE(tracker.expired(Millis(2'000)).empty());
  EXPECT_EQ(tracker.size(), 0U);
}

TEST(SessionTracker, OnlyTheSilentExpire) {
  SessionTracker tracker(Millis(10));
  tracker.add(kA, 100, Millis(0));
  tracker.add(kB, 100, Millis(0));
  tracker.touch(kB, Millis(90));
  EXPECT_EQ(tracker.expired(Millis(120)), Ids{kA});
  EXPECT_EQ(tracker.size(), 1U);
}

TEST(SessionTracker, UnknownAndRemovedAreIgnored) {
  SessionTracker tracker(Millis(10));
  tracker.touch(kA, Millis(0));
  tracker.remove(kA);
  EXPECT_EQ(tracker.size(), 0U);
  tracker.add(kA, 100, Millis(0));
  tracker.remove(kA);
  tracker.touch(kA, Millis(50));
  EXPECT_TRUE(tracker.expired(Millis(1'000)).empty());
}

TEST(SessionTracker, AddingAgainReplaces) {
  SessionTracker tracker(Millis(10));
  tracker.add(kA, 1'000, Millis(0));
  tracker.add(kA, 100, Millis(0));
  EXPECT_EQ(tracker.expired(Millis(110)), Ids{kA});
  EXPECT_TRUE(tracker.expired(Millis(2'000)).empty());
}

TEST(SessionTracker, LongestTimeoutDoesNotOverflow) {
  SessionTracker tracker(Millis(10));
  tracker.add(kA, 0xffffffffU, Millis(1'000'000'000));
  EXPECT_TRUE(tracker.expired(Millis(2'000'000'000)).empty());
  EXPECT_EQ(tracker.expired(Millis(6'000'000'000)), Ids{kA});
}

}  // namespace
}  // namespace zkfs::server
