// SPDX-License-Identifier: Apache-2.0
// Votes and the election, one real machine among peers that the test plays.
#include "ensemble/zab/election.h"

#include <gtest/gtest.h>

#include "tests/zab/solo.h"

namespace zkfs::zab::testing {
namespace {

Vote vote(std::uint32_t epoch, std::uint32_t counter, std::uint32_t leader) {
  return Vote{Epoch{epoch}, Zxid{Epoch{epoch}, counter}, ServerId{leader}};
}

Notification looking(const Vote& v, std::uint64_t round = 1) {
  return Notification{PeerState::kLooking, v, round};
}

TEST(Vote, IsOrderedByEpochThenZxidThenServer) {
  const Vote later_epoch{Epoch{2}, Zxid{Epoch{1}, 1}, ServerId{1}};
  const Vote longer_log{Epoch{1}, Zxid{Epoch{1}, 9}, ServerId{1}};
  const Vote greater_id{Epoch{1}, Zxid{Epoch{1}, 8}, ServerId{9}};
  EXPECT_GT(later_epoch, longer_log);
  EXPECT_GT(longer_log, greater_id);
  EXPECT_GT(greater_id, Vote(Epoch{1}, Zxid(Epoch{1}, 8), ServerId{8}));
  EXPECT_LT(Vote{}, Vote(Epoch{0}, Zxid{}, ServerId{1}));
}

TEST(Election, AMemberWithoutLinksDoesNotStand) {
  Solo member;
  ASSERT_NE(member.sent<Notification>(), nullptr);
  EXPECT_EQ(member.sent<Notification>()->vote, Vote{});
  member.effects.clear();
  member.up(2);
  EXPECT_EQ(member.sent<Notification>()->vote.leader, ServerId{1});
  member.effects.clear();
  member.down(2);
  EXPECT_EQ(member.sent<Notification>()->vote, Vote{});
}

TEST(Election, ABetterVoteIsAdoptedAndTold) {
  Solo member(2);
  member.up(3);
  member.effects.clear();
  member.from(3, looking(vote(0, 0, 3)));
  ASSERT_NE(member.sent<Notification>(), nullptr);
  EXPECT_EQ(member.sent<Notification>()->vote.leader, ServerId{3});
  // Both that are connected agree: no wait.
  EXPECT_EQ(member.zab->leader(), ServerId{3});
}

TEST(Election, AWorseVoteIsNotAdopted) {
  Solo member(2, 1, 1, History(Zxid{}, {entry(1, 1)}, Zxid{}));
  member.up(3);
  member.from(3, looking(Vote{Epoch{1}, Zxid{}, ServerId{3}}));
  EXPECT_EQ(member.sent<Notification>()->vote.leader, ServerId{2});
  EXPECT_EQ(member.zab->state(), PeerState::kLooking);
  member.from(3, looking(Vote{Epoch{1}, Zxid(Epoch{1}, 1), ServerId{2}}));
  EXPECT_EQ(member.zab->state(), PeerState::kLeading);
}

TEST(Election, AConnectedVoterThatIsSilentIsWaitedForShortly) {
  Solo member(1);
  member.up(2);
  member.up(3);
  member.from(2, looking(vote(0, 0, 2)));
  EXPECT_EQ(member.zab->state(), PeerState::kLooking);
  member.tick(Millis{10});
  EXPECT_EQ(member.zab->state(), PeerState::kLooking);
  member.tick(Millis{15});
  EXPECT_EQ(member.zab->leader(), ServerId{2});
}

TEST(Election, ABetterVoteDuringThatWaitWins) {
  Solo member(1);
  member.up(2);
  member.up(3);
  member.from(2, looking(vote(0, 0, 2)));
  member.tick(Millis{10});
  member.from(3, looking(vote(0, 0, 3)));
  member.tick(Millis{15});
  EXPECT_EQ(member.zab->state(), PeerState::kLooking);
  member.from(2, looking(vote(0, 0, 3)));
  EXPECT_EQ(member.zab->leader(), ServerId{3});
}

TEST(Election, AnOlderRoundIsAnsweredAndNotCounted) {
  Solo member(1);
  member.up(2);
  member.from(2, looking(vote(0, 0, 0), 5));
  member.effects.clear();
  member.from(2, looking(vote(0, 0, 1), 4));
  EXPECT_EQ(member.zab->state(), PeerState::kLooking);
  ASSERT_NE(member.sent<Notification>(), nullptr);
  EXPECT_EQ(member.sent<Notification>()->round, 5U);
}

TEST(Election, ANewerRoundEmptiesTheBallotBox) {
  Solo member(1, 0, 0, History(Zxid{}, {}, Zxid{}), 5);
  for (const std::uint32_t id : {2U, 3U, 4U}) member.up(id);
  member.from(2, looking(vote(0, 0, 4), 1));
  member.from(3, looking(vote(0, 0, 3), 2));
  // 2's vote for 4 was of the round before.
  member.from(4, looking(vote(0, 0, 4), 2));
  member.tick(Millis{50});
  EXPECT_EQ(member.zab->state(), PeerState::kLooking);
  member.from(2, looking(vote(0, 0, 4), 2));
  member.tick(Millis{50});
  member.tick(Millis{50});
  EXPECT_EQ(member.zab->leader(), ServerId{4});
}

TEST(Election, VotesOfAndForNonVotersAreIgnored) {
  Solo member(1);
  member.up(2);
  member.up(7);
  member.from(7, looking(vote(9, 9, 1)));
  member.from(2, looking(vote(9, 9, 7)));
  EXPECT_EQ(member.sent<Notification>()->vote.leader, ServerId{1});
  EXPECT_EQ(member.zab->state(), PeerState::kLooking);
}

TEST(Election, ALostCandidateBeginsANewRound) {
  Solo member(1, 0, 0, History(Zxid{}, {}, Zxid{}), 5);
  for (const std::uint32_t id : {2U, 3U, 5U}) member.up(id);
  member.from(5, looking(vote(0, 0, 5)));
  member.effects.clear();
  member.down(5);
  ASSERT_NE(member.sent<Notification>(), nullptr);
  EXPECT_EQ(member.sent<Notification>()->round, 2U);
  EXPECT_EQ(member.sent<Notification>()->vote.leader, ServerId{1});
}

TEST(Election, OthersWordForALeaderIsNotEnoughWithoutItsOwn) {
  Solo member(1, 0, 0, History(Zxid{}, {}, Zxid{}), 5);
  for (const std::uint32_t id : {2U, 3U, 4U, 5U}) member.up(id);
  for (const std::uint32_t id : {2U, 3U, 4U}) {
    member.from(id, Notification{PeerState::kFollowing, vote(1, 1, 5), 9});
  }
  EXPECT_EQ(member.zab->state(), PeerState::kLooking);
  member.from(5, Notification{PeerState::kLeading, vote(1, 1, 5), 9});
  EXPECT_EQ(member.zab->leader(), ServerId{5});
}

TEST(Election, ALeadersOwnWordIsEnoughAfterAWhile) {
  Solo member(1, 0, 0, History(Zxid{}, {}, Zxid{}), 5);
  member.up(5);
  member.from(5, Notification{PeerState::kLeading, vote(1, 1, 5), 9});
  EXPECT_EQ(member.zab->state(), PeerState::kLooking);
  member.tick(Millis{1'100});
  EXPECT_EQ(member.zab->leader(), ServerId{5});
}

TEST(Election, AMajorityOfThisRoundThatFollowsThisMemberMakesItLead) {
  Solo member(3);
  member.up(1);
  member.up(2);
  member.from(1, Notification{PeerState::kFollowing, vote(0, 0, 3), 1});
  EXPECT_EQ(member.zab->state(), PeerState::kLeading);
}

TEST(Election, AnObserverVotesForNobodyAndDecidesNothing) {
  Solo observer(4);
  for (const std::uint32_t id : {1U, 2U, 3U}) observer.up(id);
  EXPECT_EQ(observer.sent<Notification>()->vote, Vote{});
  for (const std::uint32_t id : {1U, 2U, 3U}) observer.from(id, looking(vote(0, 0, 3)));
  observer.tick(Millis{100});
  EXPECT_EQ(observer.zab->state(), PeerState::kLooking);
  observer.from(2, Notification{PeerState::kFollowing, vote(0, 0, 3), 1});
  observer.from(3, Notification{PeerState::kLeading, vote(0, 0, 3), 1});
  EXPECT_EQ(observer.zab->state(), PeerState::kObserving);
}

TEST(Election, NotificationsAreRepeatedMoreAndMoreRarely) {
  Solo member;
  member.up(2);
  const auto count = [&](int ticks) {
    member.effects.clear();
    for (int i = 0; i < ticks; ++i) member.tick(Millis{10});
    std::size_t sent = 0;
    for (const auto& effect : member.effects) {
      const auto* send = std::get_if<SendEffect>(&effect);
      if (send != nullptr && send->to == ServerId{2}) ++sent;
    }
    return sent;
  };
  const auto first = count(100);
  EXPECT_GE(first, 3U);
  const auto later = count(300);
  EXPECT_LT(later, 3 * first);
  EXPECT_GE(later, 2U);
}

TEST(Leader, AFollowerThatHasSeenMoreEndsTheLeadership) {
  Solo member(3);
  member.up(1);
  member.from(1, looking(vote(0, 0, 3)));
  ASSERT_EQ(member.zab->state(), PeerState::kLeading);
  member.from(1, FollowerInfo{77, Epoch{1}, false});
  member.disk_done();
  member.from(1, AckEpoch{77, Epoch{1}, Zxid(Epoch{1}, 4), Zxid{}, true, false});
  EXPECT_EQ(member.zab->state(), PeerState::kLooking);
}

TEST(Leader, APromiseMadeBeforeDoesNotCount) {
  Solo member(3);
  member.up(1);
  member.from(1, looking(vote(0, 0, 3)));
  member.from(1, FollowerInfo{77, Epoch{0}, false});
  member.disk_done();
  member.happened();
  member.from(1, AckEpoch{77, Epoch{0}, Zxid{}, Zxid{}, false, false});
  EXPECT_EQ(member.happened(), "");
}

TEST(Leader, AnObserverRaisesTheEpochAndIsNotCounted) {
  Solo member(3);
  member.up(1);
  member.up(4);
  member.from(1, looking(vote(0, 0, 3)));
  member.tick(Millis{30});
  member.tick(Millis{30});
  ASSERT_EQ(member.zab->state(), PeerState::kLeading);
  member.happened();
  member.from(4, FollowerInfo{5, Epoch{8}, true});
  EXPECT_EQ(member.happened(), "");
  member.from(1, FollowerInfo{77, Epoch{0}, false});
  EXPECT_EQ(member.happened(), "save acceptedEpoch=9\n");
}

}  // namespace
}  // namespace zkfs::zab::testing
