// SPDX-License-Identifier: Apache-2.0
// The history of ZooKeeper's replication bugs (reference/zookeeper.md 9.10), as far as ZAB shows
// them: the test of a row carries its number, and says what must not happen here.
#include <algorithm>
#include <string>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "tests/zab/solo.h"
#include "tests/zab/world.h"

namespace zkfs::zab::testing {
namespace {

void elect(World& world) {
  world.start_all();
  ASSERT_TRUE(world.run_until([&] { return world.converged(); }));
}

std::function<bool()> converged(World& world) {
  return [&world] { return world.converged(); };
}

// --- epochs ---

TEST(BugHistory, Zookeeper335And1081AStaleLeaderIsRefused) {
  Solo member(1, 5, 4);
  const auto tag = member.follow(3);
  member.happened();
  member.from(3, LeaderInfo{tag, Epoch{4}});
  EXPECT_EQ(member.zab->state(), PeerState::kLooking);
  EXPECT_EQ(member.zab->accepted_epoch(), Epoch{5});
  EXPECT_EQ(member.happened().find("save"), std::string::npos);
}

TEST(BugHistory, Zookeeper1082EpochsSurviveARestart) {
  World world(3);
  elect(world);
  const Epoch before = world.zab(3).current_epoch();
  for (const Id id : world.ids()) world.crash(id);
  for (const Id id : world.ids()) world.start(id);
  for (const Id id : world.ids()) {
    EXPECT_EQ(world.zab(id).current_epoch(), before);
    EXPECT_EQ(world.zab(id).accepted_epoch(), before);
    world.link_all(id);
  }
  ASSERT_TRUE(world.run_until(converged(world)));
  EXPECT_GT(world.zab(1).current_epoch(), before);
}

TEST(BugHistory, Zookeeper2307And4269APromiseIsMadeAfterItIsDurable) {
  Solo member;
  const auto tag = member.follow(3);
  member.happened();
  member.from(3, LeaderInfo{tag, Epoch{1}});
  EXPECT_EQ(member.happened(), "save acceptedEpoch=1\n");
  member.disk_done();
  EXPECT_EQ(member.happened(), "send 3 ACKEPOCH current=0 last=0.0 applied=0.0\n");
}

TEST(BugHistory, Zookeeper1277TheCounterNeverRunsIntoTheEpoch) {
  World world(3, 0, 2);
  elect(world);
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(world.run_until(converged(world)));
    const Zxid zxid = world.propose(world.leader(), std::to_string(i));
    EXPECT_LE(zxid.counter(), 2U);
    EXPECT_TRUE(zxid == Zxid{} || zxid.epoch() == world.zab(world.leader()).current_epoch());
    world.deliver_all();
  }
  ASSERT_TRUE(world.run_until(converged(world)));
  EXPECT_GE(world.zab(1).current_epoch(), Epoch{4});
}

// --- joining ---

TEST(BugHistory, Zookeeper1319AJoinerBeforeTheFirstProposalMissesNothing) {
  World world(3);
  world.start(2);
  world.start(3);
  world.link_up(2, 3);
  ASSERT_TRUE(world.run_until([&] { return world.leader() == 3; }));
  world.start(1);
  world.node(1).disk_auto = false;
  world.link_all(1);
  world.deliver_all();
  world.propose(3, "first");
  world.deliver_all();
  world.node(1).disk_auto = true;
  world.disk_done(1);
  ASSERT_TRUE(world.run_until(converged(world)));
  EXPECT_EQ(world.texts(1), "first");
}

TEST(BugHistory, Zookeeper1521SynchronisingMayTakeLongerThanAHeartbeat) {
  World world(3);
  elect(world);
  world.crash(1);
  for (int i = 0; i < 5; ++i) world.propose(3, std::to_string(i));
  world.deliver_all();
  world.start(1);
  world.node(1).disk_auto = false;
  world.link_all(1);
  // The entries and the epoch take ten heartbeats' silence of its disk.
  world.run(Millis{5'000});
  EXPECT_EQ(world.zab(1).state(), PeerState::kFollowing);
  EXPECT_FALSE(world.active(1));
  world.disk_done(1);
  world.deliver_all();
  EXPECT_TRUE(world.active(1));
}

TEST(BugHistory, Zookeeper1732And1805And1818VotesOfOtherZxidAndRoundAreJoined) {
  Solo member(1, 0, 0, History(Zxid{}, {}, Zxid{}), 5);
  for (const std::uint32_t id : {2U, 3U, 4U, 5U}) member.up(id);
  const auto vote = [](std::uint32_t counter) {
    return Vote{Epoch{7}, Zxid{Epoch{6}, counter}, ServerId{5}};
  };
  member.from(2, Notification{PeerState::kFollowing, vote(1), 3});
  member.from(3, Notification{PeerState::kFollowing, vote(9), 8});
  EXPECT_EQ(member.zab->state(), PeerState::kLooking);
  member.from(5, Notification{PeerState::kLeading, vote(2), 12});
  EXPECT_EQ(member.zab->state(), PeerState::kFollowing);
  EXPECT_EQ(member.zab->leader(), ServerId{5});
}

TEST(BugHistory, Zookeeper1818TheVoteToldAfterSynchronisationHasTheSharedEpoch) {
  Solo member;
  const auto tag = member.promise(3, 4);
  member.from(3, Diff{tag, Zxid{}});
  member.from(3, NewLeader{tag, Epoch{4}});
  member.disk_done();
  member.from(3, UpToDate{tag, Zxid{}});
  member.up(2);
  member.happened();
  member.from(2, Notification{PeerState::kLooking, Vote{Epoch{0}, Zxid{}, ServerId{2}}, 1});
  ASSERT_NE(member.sent<Notification>(), nullptr);
  EXPECT_EQ(member.sent<Notification>()->vote.epoch, Epoch{4});
  EXPECT_EQ(member.sent<Notification>()->vote.leader, ServerId{3});
}

// Proposes at every point of a join: before the k-th delivery.
void propose_during_a_join(std::size_t history_max, bool slow_snapshots = false) {
  for (std::size_t k = 0; k < 60; ++k) {
    SCOPED_TRACE(fmt::format("k={}", k));
    World world(3);
    world.slow_snapshots = slow_snapshots;
    for (const Id id : world.ids()) world.node(id).config.history_entries_max = history_max;
    elect(world);
    world.crash(1);
    for (const char* text : {"a", "b", "c", "d"}) world.propose(3, text);
    world.deliver_all();
    world.start(1);
    world.node(1).disk_auto = k % 2 == 0;
    world.link_all(1);
    std::size_t steps = 0;
    world.deliver_all([&] { return steps++ >= k; });
    world.propose(3, "e");
    world.deliver_all();
    world.disk_done(1, 1);
    world.propose(3, "f");
    world.node(1).disk_auto = true;
    world.disk_done(1);
    ASSERT_TRUE(world.run_until(converged(world)));
    EXPECT_EQ(world.texts(1), "a b c d e f");
    EXPECT_EQ(world.texts(2), "a b c d e f");
  }
}

TEST(BugHistory, TlaIssues1To3AProposalAtAnyPointOfADiffReachesTheJoinerOnce) {
  propose_during_a_join(20'000);
}

TEST(BugHistory, TlaIssues1To3AProposalAtAnyPointOfASnapReachesTheJoinerOnce) {
  propose_during_a_join(2);
}

TEST(BugHistory, TlaIssues1To3WhatIsCommittedWhileASnapshotTravelsFollowsIt) {
  propose_during_a_join(2, true);
}

TEST(BugHistory, Zookeeper4394ACommitBetweenNewLeaderAndUpToDateIsNotLost) {
  Solo member;
  const auto tag = member.promise(3, 1);
  member.from(3, Diff{tag, Zxid{}});
  member.from(3, NewLeader{tag, Epoch{1}});
  member.from(3, Proposal{tag, {entry(1, 1)}});
  member.from(3, Commit{tag, Zxid{Epoch{1}, 1}});
  member.from(3, Proposal{tag, {entry(1, 2)}});
  member.disk_done();
  EXPECT_EQ(member.happened().find("deliver"), std::string::npos);
  member.from(3, UpToDate{tag, Zxid{Epoch{1}, 1}});
  EXPECT_NE(member.happened().find("deliver 1.1\n"), std::string::npos);
  member.from(3, Commit{tag, Zxid{Epoch{1}, 2}});
  EXPECT_EQ(member.happened(), "deliver 1.2\n");
}

// --- durability at a learner ---

TEST(BugHistory, Zookeeper2678And3911And4646TheAckOfNewLeaderComesAfterTheDataIsDurable) {
  Solo member;
  const auto tag = member.promise(3, 1);
  member.from(3, Diff{tag, Zxid{}});
  member.from(3, Proposal{tag, {entry(1, 1)}});
  const auto data = member.last_op;
  member.happened();
  member.from(3, NewLeader{tag, Epoch{1}});
  member.zab->disk_done(data, member.now);
  member.flush();
  EXPECT_EQ(member.sent<AckNewLeader>(), nullptr);
  member.disk_done();
  EXPECT_NE(member.sent<AckNewLeader>(), nullptr);
}

TEST(BugHistory, Zookeeper4643And4785EpochIsSavedAfterTheData) {
  // Whatever prefix of its storage operations a crash leaves, the new epoch is never there without
  // the new epoch's initial history.
  for (std::size_t done = 0; done < 8; ++done) {
    World world(3);
    world.node(2).disk.accepted = world.node(2).disk.current = Epoch{1};
    world.node(3).disk = world.node(2).disk;
    for (const Id id : {2U, 3U}) {
      world.node(id).disk.entries = {entry(1, 1), entry(1, 2)};
    }
    world.node(1).disk_auto = false;
    world.start_all();
    for (std::size_t i = 0; i < done; ++i) {
      world.run(Millis{30});
      world.disk_done(1, 1);
    }
    const Durable& disk = world.node(1).disk;
    EXPECT_TRUE(disk.current < Epoch{2} || disk.holds(Zxid(Epoch{1}, 2)));
    world.crash(1);
    world.node(1).disk_auto = true;
    world.start(1);
    world.link_all(1);
    EXPECT_TRUE(world.run_until(converged(world)));
    EXPECT_EQ(world.node(1).applied.size(), 2U);
  }
}

TEST(BugHistory, Zookeeper4643DataAndNewLeaderInOneTurnAreWrittenInThatOrder) {
  Solo member;
  const auto tag = member.promise(3, 1);
  member.from(3, Diff{tag, Zxid{}});
  member.happened();
  member.zab->message(ServerId{3}, Proposal{tag, {entry(1, 1)}}, member.now);
  member.zab->message(ServerId{3}, NewLeader{tag, Epoch{1}}, member.now);
  member.zab->message(ServerId{3}, Proposal{tag, {entry(1, 2)}}, member.now);
  member.flush();
  EXPECT_EQ(member.happened(),
            "append 1.1 committed=0.0\nsave currentEpoch=1\nappend 1.2 committed=0.0\n");
}

TEST(BugHistory, Zookeeper4685NoProposalIsAcknowledgedBeforeNewLeader) {
  Solo member;
  const auto tag = member.promise(3, 1);
  member.from(3, Diff{tag, Zxid{}});
  member.from(3, Proposal{tag, {entry(1, 1)}});
  member.disk_done();
  EXPECT_EQ(member.sent<Ack>(), nullptr);
  member.from(3, NewLeader{tag, Epoch{1}});
  member.from(3, Proposal{tag, {entry(1, 2)}});
  member.happened();
  member.disk_done();
  EXPECT_EQ(member.happened(), "send 3 ACK NEWLEADER epoch=1\nsend 3 ACK 1.2\n");
}

TEST(BugHistory, Zookeeper2355ADiffMovesNothingBeforeItsTxns) {
  Solo member(1, 1, 1, History(Zxid{}, {entry(1, 1)}, Zxid(Epoch{1}, 1)));
  const auto tag = member.promise(3, 2);
  member.happened();
  member.from(3, Diff{tag, Zxid(Epoch{1}, 1)});
  EXPECT_EQ(member.happened(), "");
  member.down(3);
  EXPECT_EQ(member.zab->history().last(), Zxid(Epoch{1}, 1));
  EXPECT_EQ(member.zab->history().committed(), Zxid(Epoch{1}, 1));
  EXPECT_EQ(member.happened().find("deliver"), std::string::npos);
}

TEST(BugHistory, Zookeeper4925AHoleInTheProposalsEndsTheConversation) {
  Solo member;
  const auto tag = member.promise(3, 1);
  member.from(3, Diff{tag, Zxid{}});
  member.from(3, Proposal{tag, {entry(1, 1), entry(1, 3)}});
  EXPECT_EQ(member.zab->state(), PeerState::kLooking);
  EXPECT_EQ(member.zab->history().last(), Zxid(Epoch{1}, 1));
}

TEST(BugHistory, Zookeeper4925WhatASyncBroughtIsServedToOthersWithoutGaps) {
  World world(3);
  elect(world);
  world.crash(1);
  world.propose(3, "a");
  world.propose(3, "b");
  world.deliver_all();
  world.crash(2);
  world.run(Millis{50});
  // 1 is brought up by DIFF, then leads 2 with what it was brought.
  world.start(1);
  world.link_all(1);
  ASSERT_TRUE(world.run_until(converged(world)));
  world.propose(world.leader(), "c");
  world.deliver_all();
  world.crash(3);
  world.start(2);
  world.link_all(2);
  ASSERT_TRUE(world.run_until(converged(world)));
  EXPECT_EQ(world.leader(), 1U);
  EXPECT_EQ(world.texts(2), "a b c");
}

TEST(BugHistory, Zookeeper3642And5094AnAbortedSyncLosesNothingAtARestart) {
  // The link breaks after k messages of the leader, whether it sends SNAP (short history) or
  // TRUNC and what follows; then DIFF on top; then 1 restarts from its disk.
  for (const std::size_t history_max : {2UL, 20'000UL}) {
    for (std::size_t k = 1; k < 16; ++k) {
      SCOPED_TRACE(fmt::format("history={} k={}", history_max, k));
      World world(3);
      for (const Id id : world.ids()) world.node(id).config.history_entries_max = history_max;
      elect(world);
      world.propose(3, "a");
      world.deliver_all();
      world.crash(3);
      world.node(3).disk.entries.push_back(entry(1, 2, "lost"));
      ASSERT_TRUE(world.run_until([&] { return world.leader() == 2; }));
      for (const char* text : {"b", "c", "d", "e"}) world.propose(2, text);
      world.deliver_all();
      world.start(3);
      world.link_up(2, 3);
      for (std::size_t i = 0; i < k; ++i) {
        world.deliver(2, 3);
        while (world.deliver(3, 2)) {
        }
      }
      world.link_down(2, 3);
      world.link_all(3);
      ASSERT_TRUE(world.run_until(converged(world)));
      world.crash(3);
      world.start(3);
      world.link_all(3);
      ASSERT_TRUE(world.run_until(converged(world)));
      EXPECT_EQ(world.texts(3), "a b c d e");
    }
  }
}

// --- uncommitted tails ---

TEST(BugHistory, Zookeeper1549And2832AnUncommittedTailIsCutFromLogAndMemory) {
  World world(3);
  elect(world);
  world.propose(3, "a");
  world.deliver_all();
  world.hold = [](Id from, Id, const Message&) { return from == 3; };
  world.propose(3, "ghost");
  EXPECT_TRUE(world.node(3).disk.holds(Zxid(Epoch{1}, 2)));
  world.snapshot(3);  // holds what is applied, never the ghost
  EXPECT_EQ(world.node(3).disk.tree.size(), 1U);
  world.link_down(3, 1);
  world.link_down(3, 2);
  world.hold = nullptr;
  ASSERT_TRUE(world.run_until([&] { return world.leader() == 2; }));
  world.propose(2, "b");
  world.deliver_all();
  world.link_all(3);
  ASSERT_TRUE(world.run_until(converged(world)));
  EXPECT_FALSE(world.zab(3).history().contains(Zxid(Epoch{1}, 2)));
  world.crash(3);
  world.start(3);
  world.link_all(3);
  ASSERT_TRUE(world.run_until(converged(world)));
  EXPECT_EQ(world.texts(3), "a b");
}

TEST(BugHistory, Zookeeper2845AMemberVotesWithItsOwnLoggedTail) {
  World world(3);
  elect(world);
  world.propose(3, "a");
  world.deliver_all();
  world.hold = [](Id from, Id, const Message&) { return from == 3; };
  world.propose(3, "tail");
  world.record = true;
  world.link_down(3, 1);
  world.link_down(3, 2);
  world.hold = nullptr;
  // No restart: the machine lives on, with what its disk has.
  world.node(3).effects.clear();
  world.link_up(3, 2);
  Zxid voted;
  for (const auto& effect : world.node(3).effects) {
    const auto* send = std::get_if<SendEffect>(&effect);
    if (send == nullptr) continue;
    const auto* n = std::get_if<Notification>(&send->message);
    if (n != nullptr && n->vote.leader == ServerId{3}) voted = n->vote.zxid;
  }
  EXPECT_EQ(voted, Zxid(Epoch{1}, 2));
}

TEST(BugHistory, Zookeeper4882AMemoryAheadOfTheLogLeavesNoHole) {
  World world(3);
  elect(world);
  // The leader's own disk is stuck while the followers commit.
  world.node(3).disk_auto = false;
  for (const char* text : {"a", "b", "c"}) world.propose(3, text);
  world.deliver_all();
  EXPECT_EQ(world.texts(3), "a b c");
  EXPECT_TRUE(world.node(3).disk.entries.empty());
  world.crash(3);
  world.node(3).disk_auto = true;
  ASSERT_TRUE(world.run_until([&] { return world.leader() == 2; }));
  world.propose(2, "d");
  world.deliver_all();
  world.start(3);
  world.link_all(3);
  ASSERT_TRUE(world.run_until(converged(world)));
  EXPECT_EQ(world.texts(3), "a b c d");
  EXPECT_EQ(world.node(3).disk.entries.size(), 4U);
}

// --- the choice of synchronisation ---

TEST(BugHistory, Zookeeper2846And4352And3526AHistoryThatBeginsTooLateGivesASnapshot) {
  World world(3);
  elect(world);
  for (const char* text : {"a", "b"}) world.propose(3, text);
  world.deliver_all();
  world.crash(1);
  for (const char* text : {"c", "d"}) world.propose(3, text);
  world.deliver_all();
  // After a restart the others' logs begin after their snapshots.
  for (const Id id : {2U, 3U}) {
    world.snapshot(id);
    world.crash(id);
    world.start(id);
  }
  world.link_up(2, 3);
  ASSERT_TRUE(world.run_until([&] { return world.leader() == 3; }));
  world.start(1);
  world.record = true;
  world.link_all(1);
  ASSERT_TRUE(world.run_until(converged(world)));
  const auto& effects = world.node(1).effects;
  EXPECT_TRUE(std::any_of(effects.begin(), effects.end(), [](const Effect& e) {
    return std::holds_alternative<SnapshotInstallEffect>(e);
  }));
  EXPECT_EQ(world.texts(1), "a b c d");
}

TEST(BugHistory, Zookeeper2418AnEmptyLogBelowTheHistoryGetsNoDiffWithAGap) {
  World world(3);
  for (const Id id : world.ids()) world.node(id).config.history_entries_max = 1;
  elect(world);
  world.crash(1);
  for (const char* text : {"a", "b", "c", "d"}) world.propose(3, text);
  world.deliver_all();
  EXPECT_GT(world.zab(3).history().base(), Zxid{});
  world.start(1);
  world.link_all(1);
  ASSERT_TRUE(world.run_until(converged(world)));
  EXPECT_EQ(world.node(1).disk.base, Zxid(Epoch{1}, 4));
}

TEST(BugHistory, Zookeeper3104NewLeaderIsTheLastOfASync) {
  for (const std::size_t history_max : {1UL, 20'000UL}) {
    World world(3);
    for (const Id id : world.ids()) world.node(id).config.history_entries_max = history_max;
    elect(world);
    world.crash(1);
    for (const char* text : {"a", "b", "c"}) world.propose(3, text);
    world.deliver_all();
    world.start(1);
    std::vector<Message> said;
    world.hold = [&](Id from, Id to, const Message& m) {
      if (from == 3 && to == 1 && !std::holds_alternative<Notification>(m)) said.push_back(m);
      return false;
    };
    world.link_all(1);
    world.deliver_all();
    const auto at = [&](auto is) {
      return std::find_if(said.begin(), said.end(), is) - said.begin();
    };
    const auto new_leader =
        at([](const Message& m) { return std::holds_alternative<NewLeader>(m); });
    const auto data = at([&](const Message& m) {
      const auto* chunk = std::get_if<SnapChunk>(&m);
      return (chunk != nullptr && chunk->last) || std::holds_alternative<Proposal>(m);
    });
    ASSERT_LT(new_leader, static_cast<std::ptrdiff_t>(said.size()));
    EXPECT_LT(data, new_leader);
  }
}

// --- disks and roles ---

TEST(BugHistory, Zookeeper2247ALeaderWhoseDiskIsStuckDoesNotCountItself) {
  World world(3);
  elect(world);
  world.node(3).disk_auto = false;
  world.hold = [](Id from, Id to, const Message&) { return from == 3 && to == 2; };
  world.node(1).disk_auto = false;
  world.propose(3, "a");
  world.deliver_all();
  world.disk_done(1);
  world.deliver_all();
  // On one disk of three, the leader's own vote missing.
  EXPECT_EQ(world.texts(3), "");
  world.disk_done(3);
  EXPECT_EQ(world.texts(3), "a");
}

TEST(BugHistory, Zookeeper4203ALeadershipThatEndedStaysEnded) {
  World world(3);
  elect(world);
  world.hold = [](Id, Id to, const Message& m) {
    return to == 3 && std::holds_alternative<Ack>(m);
  };
  world.propose(3, "a");
  world.deliver_all();
  Zab& leader = world.zab(3);
  // Both links go, and the link to 1 is back, before anything is flushed.
  leader.peer_down(ServerId{1}, world.now());
  leader.peer_down(ServerId{2}, world.now());
  EXPECT_FALSE(leader.leading());
  leader.peer_up(ServerId{1}, world.now());
  EXPECT_FALSE(leader.leading());
  EXPECT_EQ(leader.state(), PeerState::kLooking);
}

TEST(BugHistory, Zookeeper4712And4541ACompletionOfAnEarlierRoleIsNotThisOnes) {
  Solo member;
  auto tag = member.follow(3);
  member.from(3, LeaderInfo{tag, Epoch{1}});
  const auto promise = member.last_op;
  member.down(3);
  member.up_.erase(3);
  tag = member.follow(3);
  member.from(3, LeaderInfo{tag, Epoch{2}});
  member.happened();
  member.zab->disk_done(promise, member.now);
  member.flush();
  EXPECT_EQ(member.happened(), "");
  member.disk_done();
  ASSERT_NE(member.sent<AckEpoch>(), nullptr);
  EXPECT_EQ(member.sent<AckEpoch>()->tag, tag);
}

TEST(BugHistory, Zookeeper4712APromiseOfAnEarlierConversationIsNotFresh) {
  Solo member;
  auto tag = member.follow(3);
  member.from(3, LeaderInfo{tag, Epoch{1}});
  member.down(3);
  member.up_.erase(3);
  tag = member.follow(3);
  member.from(3, LeaderInfo{tag, Epoch{1}});
  ASSERT_NE(member.sent<AckEpoch>(), nullptr);
  EXPECT_FALSE(member.sent<AckEpoch>()->fresh);
}

TEST(BugHistory, Zookeeper4712AnAckOfAnEarlierConversationIsNotCounted) {
  World world(3);
  elect(world);
  world.hold = [](Id, Id to, const Message& m) {
    return to == 3 && std::holds_alternative<Ack>(m);
  };
  world.node(3).disk_auto = false;
  world.propose(3, "a");
  world.deliver_all();
  // A stray ack with a tag that is no conversation's.
  world.hold = nullptr;
  world.crash(1);
  world.crash(2);
  world.start(1);
  world.link_up(1, 3);
  world.inject(1, 3, Ack{12345, Zxid(Epoch{1}, 1)});
  EXPECT_EQ(world.texts(3), "");
}

}  // namespace
}  // namespace zkfs::zab::testing
