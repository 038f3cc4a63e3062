// SPDX-License-Identifier: Apache-2.0
// A member that can reach an ensemble must not wait for ever: odd networks, odd moments.
#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/zab/world.h"

namespace zkfs::zab::testing {
namespace {

// Server `id` has `count` txns of epoch 1 on its disk, known to nobody to be committed.
void give_log(World& world, Id id, std::uint32_t count) {
  Durable& disk = world.node(id).disk;
  disk.accepted = disk.current = Epoch{1};
  for (std::uint32_t i = 1; i <= count; ++i) {
    disk.entries.push_back(Entry{Zxid{Epoch{1}, i}, Blob{std::to_string(i)}});
  }
}

void start_unlinked(World& world) {
  for (const Id id : world.ids()) world.start(id);
}

TEST(Liveness, TheBestCandidateReachableByAMinorityDoesNotBlockTheOthers) {
  World world(5);
  give_log(world, 5, 3);
  start_unlinked(world);
  // 5 has the best vote and one link, to 4, which passes its vote on to 1, 2 and 3.
  for (const Id a : {1U, 2U, 3U, 4U}) {
    for (const Id b : {1U, 2U, 3U, 4U}) world.link_up(a, b);
  }
  world.link_up(4, 5);
  EXPECT_TRUE(world.run_until(
      [&] { return world.active(1) && world.active(2) && world.active(3) && world.active(4); }));
  // Once it is reachable it comes along.
  world.link_all(5);
  EXPECT_TRUE(world.run_until([&] { return world.converged(); }));
}

TEST(Liveness, AChainOfThreeElectsItsMiddleOrTheEndItHears) {
  World world(3);
  start_unlinked(world);
  world.link_up(1, 2);
  world.link_up(2, 3);
  EXPECT_TRUE(world.run_until([&] { return world.leader() != 0; }));
}

TEST(Liveness, AStarElectsItsCentre) {
  World world(5);
  give_log(world, 5, 3);
  start_unlinked(world);
  for (const Id id : {1U, 3U, 4U, 5U}) world.link_up(2, id);
  // 5 has seen most: 2 learns of it when it discovers, so it cannot lead without 5's txns, but a
  // quorum without 5 is enough.
  EXPECT_TRUE(world.run_until([&] { return world.leader() == 2; }));
}

TEST(Liveness, AVoterThatReachesOnlyTheLeaderJoinsIt) {
  for (const Id voters : {3U, 5U}) {
    World world(voters);
    world.start_all();
    ASSERT_TRUE(world.run_until([&] { return world.converged(); }));
    ASSERT_EQ(world.leader(), voters);
    world.crash(1);
    world.run(Millis{3'000});
    world.start(1);
    world.link_up(1, voters);
    EXPECT_TRUE(world.run_until([&] { return world.active(1); })) << voters << " voters";
  }
}

TEST(Liveness, AnObserverThatReachesOnlyTheLeaderJoinsIt) {
  World world(3, 1);
  for (const Id id : {1U, 2U, 3U}) world.start(id);
  for (const Id id : {1U, 2U, 3U}) world.link_all(id);
  ASSERT_TRUE(world.run_until([&] { return world.leader() == 3; }));
  world.start(4);
  world.link_up(3, 4);
  EXPECT_TRUE(world.run_until([&] { return world.active(4); }));
}

TEST(Liveness, AnObserverThatIsThereBeforeAnybodyLeadsJoinsLater) {
  World world(3, 1);
  world.start(4);
  world.run(Millis{2'000});
  for (const Id id : {1U, 2U, 3U}) world.start(id);
  for (const Id id : world.ids()) world.link_all(id);
  EXPECT_TRUE(world.run_until([&] { return world.all_active(); }, Millis{1'000}));
}

TEST(Liveness, ALearnerLeavesALeaderThatLooksAgainAtOnce) {
  World world(3, 0, 2);
  world.start_all();
  ASSERT_TRUE(world.run_until([&] { return world.converged(); }));
  world.propose(3, "a");
  world.propose(3, "b");
  world.deliver_all();
  const Epoch before = world.zab(3).current_epoch();
  // The epoch's zxids are used up: the leader steps down while all links stay.
  world.propose(3, "c");
  EXPECT_TRUE(world.run_until(
      [&] { return world.converged() && world.zab(1).current_epoch() > before; }, Millis{100}));
}

TEST(Liveness, AFollowerInfoBeforeTheLeaderKnowsThatItLeadsIsKept) {
  World world(3);
  start_unlinked(world);
  for (const Id id : world.ids()) world.link_all(id);
  // 3 hears nobody's vote until 1 and 2 have decided for it.
  world.hold = [](Id, Id to, const Message& m) {
    return to == 3 && std::holds_alternative<Notification>(m) &&
           std::get<Notification>(m).state == PeerState::kLooking;
  };
  world.run(Millis{100});
  world.hold = nullptr;
  EXPECT_TRUE(world.run_until([&] { return world.converged(); }, Millis{1'500}));
}

TEST(Liveness, TwoThatFollowEachOtherGiveUp) {
  World world(2);
  start_unlinked(world);
  world.link_up(1, 2);
  // Each is told that the other leads.
  const auto lie = [](Id leader) {
    return Notification{PeerState::kLeading, Vote{Epoch{0}, Zxid{}, ServerId{leader}}, 1};
  };
  world.hold = [](Id, Id, const Message&) { return true; };
  world.inject(2, 1, lie(2));
  world.inject(1, 2, lie(1));
  world.hold = nullptr;
  EXPECT_TRUE(world.run_until([&] { return world.converged(); }, Millis{3'000}));
}

TEST(Liveness, ALeaderWithADeadLinkToItsQuorumStepsDownSoon) {
  World world(3);
  world.start_all();
  ASSERT_TRUE(world.run_until([&] { return world.converged(); }));
  world.link_down(3, 1);
  EXPECT_EQ(world.leader(), 3U);
  world.link_down(3, 2);
  EXPECT_EQ(world.zab(3).state(), PeerState::kLooking);
  EXPECT_TRUE(world.run_until([&] { return world.active(1) && world.active(2); }, Millis{500}));
}

TEST(Liveness, AFrozenLeaderIsReplaced) {
  World world(3);
  world.start_all();
  ASSERT_TRUE(world.run_until([&] { return world.converged(); }));
  // Its links stay up but nothing comes through.
  world.hold = [](Id from, Id to, const Message&) { return from == 3 || to == 3; };
  EXPECT_TRUE(world.run_until([&] { return world.leader() == 2; }, Millis{2'500}));
  world.hold = nullptr;
  EXPECT_TRUE(world.run_until([&] { return world.converged(); }, Millis{2'000}));
}

TEST(Liveness, AFrozenBestCandidateIsPassedOver) {
  World world(3);
  start_unlinked(world);
  for (const Id id : world.ids()) world.link_all(id);
  world.hold = [](Id from, Id, const Message& m) {
    return from == 3 && !std::holds_alternative<Notification>(m);
  };
  world.run(Millis{300});
  world.hold = [](Id from, Id to, const Message&) { return from == 3 || to == 3; };
  EXPECT_TRUE(world.run_until([&] { return world.leader() == 2; }, Millis{4'000}));
}

TEST(Liveness, NotificationsLostWithALinkAreSaidAgain) {
  World world(3);
  world.start_all();
  for (int i = 0; i < 5; ++i) {
    world.link_down(1, 2, true);
    world.link_down(2, 3, true);
    world.link_up(1, 2, true);
    world.link_up(2, 3, true);
    world.tick(Millis{10});
  }
  EXPECT_TRUE(world.run_until([&] { return world.converged(); }, Millis{3'000}));
}

TEST(Liveness, ADiskSlowerThanTheDiscoveryTimeoutStillGetsALeader) {
  World world(3);
  for (const Id id : world.ids()) world.node(id).disk_auto = false;
  world.start_all();
  Millis since{0};
  const bool elected = world.run_until(
      [&] {
        since += Millis{10};
        if (since % Millis{700} == Millis{0}) {
          for (const Id id : world.ids()) world.disk_done(id, 1);
        }
        return world.leader() != 0;
      },
      Millis{60'000});
  EXPECT_TRUE(elected);
}

TEST(Liveness, ALearnerRefusedForForeignDataDoesNotStopTheOthers) {
  World world(3);
  // 1 claims to have applied what nobody else has, under a lower epoch: another ensemble's data.
  give_log(world, 1, 5);
  world.node(1).disk.mark = Zxid{Epoch{1}, 5};
  for (const Id id : {2U, 3U}) {
    world.node(id).disk.accepted = world.node(id).disk.current = Epoch{2};
  }
  world.start(2);
  world.start(3);
  world.start(1);
  world.link_up(2, 3);
  // The ACKEPOCH of 1 arrives while the leader adopts its epoch.
  world.node(3).disk_auto = false;
  world.deliver_all();
  world.link_up(1, 3);
  world.link_up(1, 2);
  for (int i = 0; i < 4; ++i) {
    world.run(Millis{20});
    world.disk_done(3, 1);
  }
  world.node(3).disk_auto = true;
  world.disk_done(3);
  EXPECT_TRUE(world.run_until([&] { return world.active(2) && world.active(3); }));
  EXPECT_FALSE(world.active(1));
}

TEST(Liveness, AMemberThatPromisedALaterEpochComesBack) {
  World world(3);
  world.node(1).disk.accepted = Epoch{9};
  world.start(2);
  world.start(3);
  world.link_up(2, 3);
  ASSERT_TRUE(world.run_until([&] { return world.leader() == 3; }));
  world.start(1);
  world.link_all(1);
  EXPECT_TRUE(world.run_until([&] { return world.converged(); }, Millis{2'000}));
  EXPECT_EQ(world.zab(3).current_epoch(), Epoch{10});
}

TEST(Liveness, AnEnsembleOfOneLeadsAtOnce) {
  World world(1);
  world.start_all();
  world.deliver_all();
  EXPECT_EQ(world.leader(), 1U);
  const Zxid zxid = world.propose(1, "a");
  EXPECT_EQ(world.texts(1), "a");
  world.request_sync(1, 7);
  EXPECT_EQ(world.node(1).synced.at(7), zxid);
}

// The best candidate's disk never answers any more.
TEST(Liveness, ALeaderWhoseDiskHangsDoesNotHoldUpTheOthers) {
  World world(3);
  world.start_all();
  ASSERT_TRUE(world.run_until([&] { return world.converged(); }));
  ASSERT_EQ(world.leader(), 3U);
  world.node(2).disk_auto = false;  // 2 is next in line
  world.crash(3);
  EXPECT_FALSE(world.run_until([&] { return world.leader() != 0; }, Millis{5'000}));
  world.start(3);
  world.link_all(3);
  // 1 and 3 are well, linked and a majority.
  EXPECT_TRUE(world.run_until([&] { return world.leader() != 0; }, Millis{300'000}))
      << to_string(world.zab(1).state()) << " " << to_string(world.zab(2).state()) << " "
      << to_string(world.zab(3).state());
}

// A link that is given more than it can hold is cut, and all begins again.
TEST(Liveness, ALearnerIsBroughtUpAsItsLinkTakesIt) {
  constexpr std::size_t kMissed = 200;
  for (const std::size_t history_max : {std::size_t{20'000}, std::size_t{2}}) {
    SCOPED_TRACE(fmt::format("history_max={}", history_max));
    World world(3);
    world.slow_snapshots = true;
    for (const Id id : world.ids()) world.node(id).config.history_entries_max = history_max;
    world.start_all();
    ASSERT_TRUE(world.run_until([&] { return world.converged(); }));
    world.crash(1);
    std::size_t written = 0;
    for (; written < kMissed; ++written) world.propose(3, "x");
    world.deliver_all();
    world.link_txns_max = 4;
    world.start(1);
    world.link_all(1);
    std::size_t most = 0;
    // And while it comes, as much again is written.
    EXPECT_TRUE(world.run_until([&] {
      if (written < 2 * kMissed) {
        world.propose(3, "y");
        ++written;
      }
      most = std::max(most, world.txns_in_flight(3, 1));
      return written == 2 * kMissed && world.converged();
    }));
    EXPECT_EQ(most, world.link_txns_max);
  }
}

// What a learner has yet to be sent is kept in memory, but not without end.
TEST(Liveness, ALearnerTooSlowForWhatIsWrittenBeginsAgain) {
  World world(3);
  for (const Id id : world.ids()) {
    world.node(id).config.history_entries_max = 2;
    world.node(id).config.history_held_bytes_max = 10'000;
  }
  world.start_all();
  ASSERT_TRUE(world.run_until([&] { return world.converged(); }));
  world.crash(1);
  for (int i = 0; i < 100; ++i) world.propose(3, "x");
  world.deliver_all();
  world.slow_snapshots = true;
  world.link_txns_max = 1;
  world.hold = [](Id from, Id to, const Message& message) {
    return from == 3 && to == 1 && std::holds_alternative<Proposal>(message);
  };
  world.start(1);
  world.link_all(1);
  std::size_t most = 0;
  for (int i = 0; i < 200; ++i) {
    world.propose(3, std::string(1'000, 'y'));
    world.run(Millis{10});
    most = std::max(most, world.zab(3).history().bytes());
  }
  EXPECT_LT(most, 13'000U);
  world.hold = {};
  EXPECT_TRUE(world.run_until([&] { return world.converged(); }, Millis{60'000}));
}

}  // namespace
}  // namespace zkfs::zab::testing
