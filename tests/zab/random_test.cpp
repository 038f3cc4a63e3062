// SPDX-License-Identifier: Apache-2.0
// Zab machines under a random schedule: crashes, broken and one-sidedly noticed links, slow disks,
// uneven delivery. The World checks safety after every step; afterwards everything is healed and
// the ensemble must converge within bounded time. Any failure prints its seed; the same seed gives
// the same run.
#include "ensemble/base/random.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "tests/zab/world.h"

namespace zkfs::zab::testing {
namespace {

struct Shape {
  Id voters;
  Id observers;
  std::uint32_t counter_max = Zxid::kCounterMax;
  std::size_t history_max = 20'000;
};

class Run {
 public:
  Run(const Shape& shape, std::uint64_t seed)
      : world_(shape.voters, shape.observers, shape.counter_max), random_(seed) {
    count_ = shape.voters + shape.observers;
    for (const Id id : world_.ids()) {
      world_.node(id).config.history_entries_max = shape.history_max;
    }
    world_.slow_snapshots = true;
    if (random_.below(2) == 0) world_.link_txns_max = 3;
    world_.start_all();
  }

  void chaos(int steps) {
    for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) step();
  }

  void heal() {
    for (const Id id : world_.ids()) {
      if (!world_.node(id).zab) world_.start(id);
      world_.node(id).disk_auto = true;
      world_.disk_done(id);
    }
    world_.deliver_all();
    for (const Id id : world_.ids()) world_.link_all(id);
    ASSERT_TRUE(world_.run_until([&] { return world_.converged(); })) << describe();
    const Id leader = world_.leader();
    ASSERT_NE(leader, 0U);
    // What anybody proposes now is decided everywhere, and a sync sees it.
    const Zxid zxid = world_.propose(leader, "last");
    if (zxid == Zxid{}) return;  // this epoch's zxids are used up: a new election is due
    world_.run(Millis{50});
    for (const Id id : world_.ids()) {
      ASSERT_TRUE(world_.active(id)) << describe();
      EXPECT_EQ(world_.node(id).applied.back().zxid, zxid) << describe();
      world_.request_sync(id, 1'000'000);
    }
    world_.run(Millis{50});
    for (const Id id : world_.ids()) EXPECT_TRUE(world_.node(id).synced.contains(1'000'000));
  }

  [[nodiscard]] std::size_t decided() const { return world_.decided().size(); }

 private:
  Id any() { return static_cast<Id>(1 + random_.below(count_)); }

  void step() {
    const auto dice = random_.below(1000);
    if (dice < 600) {
      deliver_some();
    } else if (dice < 760) {
      tick();
    } else if (dice < 860) {
      if (const Id id = any(); world_.node(id).zab) world_.disk_done(id, 1 + random_.below(3));
    } else if (dice < 940) {
      propose();
    } else if (dice < 955) {
      if (const Id id = any(); world_.active(id)) world_.request_sync(id, ++sync_);
    } else if (dice < 975) {
      relink();
    } else if (dice < 985) {
      world_.link_down(any_other(any()).first, other_, true, random_.below(6));
    } else if (dice < 988) {
      world_.crash(any());
    } else if (dice < 994) {
      if (const Id id = any(); !world_.node(id).zab) world_.start(id);
    } else if (dice < 996) {
      if (const Id id = any(); world_.node(id).zab) world_.snapshot(id);
    } else {
      const Id id = any();
      world_.node(id).disk_auto = random_.chance(1, 2);
      if (world_.node(id).zab) world_.disk_done(id, 1);
    }
  }

  std::pair<Id, Id> any_other(Id id) {
    other_ = static_cast<Id>(1 + (id + random_.below(count_ - 1)) % count_);
    return {id, other_};
  }

  void deliver_some() {
    const Id from = any();
    any_other(from);
    // Sometimes all of them are one turn of the receiver.
    const bool each = random_.chance(1, 2);
    for (auto n = random_.below(8) + 1; n > 0 && world_.deliver(from, other_, each); --n) {
    }
    if (!each && world_.node(other_).zab) world_.flush(other_);
  }

  void tick() {
    world_.tick(Millis{
        static_cast<std::int64_t>(random_.chance(1, 40) ? random_.below(700) : random_.below(8))});
  }

  void propose() {
    for (const Id id : world_.ids()) {
      if (!world_.node(id).zab) continue;
      // A deposed leader that does not know it yet proposes as well.
      for (auto n = random_.below(4); n > 0 && world_.zab(id).leading(); --n) {
        world_.propose(id, fmt::format("{}-{}", id, ++proposed_), random_.chance(2, 3));
      }
    }
  }

  void relink() {
    for (int i = 0; i < 3; ++i) {
      const Id a = any();
      any_other(a);
      world_.link_up(a, other_, true);
    }
  }

  std::string describe() {
    std::string text;
    for (const Id id : world_.ids()) {
      const auto& zab = world_.zab(id);
      text += fmt::format("{}: {} leader={} active={} epochs={}/{} last={} applied={} of {}\n", id,
                          to_string(zab.state()), zab.leader(), zab.active(), zab.current_epoch(),
                          zab.accepted_epoch(), zab.history().last(),
                          world_.node(id).applied.size(), decided());
    }
    return text;
  }

  World world_;
  Random random_;
  std::uint64_t count_ = 0;
  Id other_ = 0;
  std::uint64_t proposed_ = 0;
  std::uint64_t sync_ = 0;
};

// Environment variables for a soak: ZKFS_ZAB_SEED (first), ZKFS_ZAB_SEEDS (how many).
std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

void run_seeds(const Shape& shape, std::uint64_t seeds, int steps) {
  const auto first = setting("ZKFS_ZAB_SEED", 1);
  seeds = setting("ZKFS_ZAB_SEEDS", seeds);
  std::size_t decided = 0;
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    SCOPED_TRACE(fmt::format("ZKFS_ZAB_SEED={} voters={}", seed, shape.voters));
    Run run(shape, seed);
    run.chaos(steps);
    if (::testing::Test::HasFailure()) return;
    run.heal();
    if (::testing::Test::HasFailure()) return;
    decided += run.decided();
  }
  // A schedule in which nothing is ever decided tests nothing.
  EXPECT_GT(decided, seeds * 5);
}

TEST(RandomSchedule, ThreeVotersStaySafeAndRecover) {
  run_seeds({.voters = 3, .observers = 0}, 20, 4'000);
}

TEST(RandomSchedule, ThreeVotersWithFewZxidsAnEpoch) {
  run_seeds({.voters = 3, .observers = 0, .counter_max = 7}, 15, 4'000);
}

TEST(RandomSchedule, ThreeVotersWithShortHistoriesSendSnapshots) {
  run_seeds({.voters = 3, .observers = 1, .history_max = 3}, 15, 4'000);
}

TEST(RandomSchedule, ThreeVotersAndTwoObservers) {
  run_seeds({.voters = 3, .observers = 2}, 15, 4'000);
}

TEST(RandomSchedule, FiveVoters) {
  run_seeds({.voters = 5, .observers = 0}, 15, 6'000);
}

}  // namespace
}  // namespace zkfs::zab::testing
