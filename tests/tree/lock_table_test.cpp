// SPDX-License-Identifier: Apache-2.0
// The rules of locks one by one (tree/lock_table.h), as txns on a tree.
#include "ensemble/tree/lock_table.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ensemble/base/limits.h"
#include "tests/tree/fixture.h"

namespace zkfs::tree::test {
namespace {

struct Who {
  SessionId session;
  std::uint64_t owner = 0;
};

constexpr SessionId kOne{0x0100000000000001};
constexpr SessionId kTwo{0x0200000000000001};
constexpr Who kA{kOne, 7};
constexpr Who kB{kTwo, 7};  // the number of the owner says nothing without the session
constexpr Who kC{kOne, 8};
constexpr Who kD{kTwo, 9};

constexpr LockMode kShared = LockMode::kShared;
constexpr LockMode kExclusive = LockMode::kExclusive;

using Requests = std::vector<std::uint64_t>;

class LockTest : public TreeTest {
 protected:
  LockTest() {
    apply(CreateSessionTxn{kOne, 4000, "one"});
    apply(CreateSessionTxn{kTwo, 4000, "two"});
    file = create(kRootIno, "file");
  }

  // Requests that the last txn granted after they had waited are in `granted`.
  Outcome apply_as(SessionId session, TxnBody body) {
    ApplyResult result = apply_for(session, {}, {}, std::move(body));
    granted.clear();
    for (const Change& change : result.changes) {
      if (change.kind == Change::Kind::kLockGranted) granted.push_back(change.request);
    }
    EXPECT_EQ(tree.digest(), tree.recompute_digest());
    return result.outcome;
  }

  Error lock(Who who, LockMode mode, LockRange range, bool wait) {
    LockTxn txn;
    txn.ino = file;
    txn.space = space;
    txn.mode = mode;
    txn.range = range;
    txn.owner = who.owner;
    txn.request = ++request;
    txn.pid = 100;
    txn.wait = wait;
    return apply_as(who.session, txn).error;
  }

  Error take(Who who, LockMode mode, LockRange range = {}) { return lock(who, mode, range, false); }

  Error ask(Who who, LockMode mode, LockRange range = {}) { return lock(who, mode, range, true); }

  Error drop(Who who, LockRange range = {}) {
    return apply_as(who.session, UnlockTxn{file, space, range, who.owner}).error;
  }

  Error cancel(Who who, std::uint64_t number) {
    return apply_as(who.session, CancelLockTxn{file, number}).error;
  }

  // What `who` holds of the file, as "S0-4 X7-9".
  std::string held(Who who) {
    std::string text;
    for (const LockView& l : tree.locks_of(file)) {
      if (l.waiting || l.session != who.session || l.owner != who.owner) continue;
      if (!text.empty()) text += ' ';
      text += l.mode == kShared ? 'S' : 'X';
      text += std::to_string(l.range.first) + '-';
      if (l.range.last != UINT64_MAX) text += std::to_string(l.range.last);
    }
    return text;
  }

  Requests waiting() {
    Requests result;
    for (const LockView& l : tree.locks_of(file)) {
      if (l.waiting) result.push_back(l.request);
    }
    return result;
  }

  Ino file;
  LockSpace space = LockSpace::kFlock;
  std::uint64_t request = 0;  // the last one made
  Requests granted;
};

class PosixLockTest : public LockTest {
 protected:
  PosixLockTest() { space = LockSpace::kPosix; }
};

using LockDeathTest = LockTest;

// --- who conflicts with whom ---

TEST_F(LockTest, AnExclusiveLockKeepsAllOthersOut) {
  EXPECT_EQ(take(kA, kExclusive), Error::kOk);
  EXPECT_EQ(take(kB, kExclusive), Error::kWouldBlock);
  EXPECT_EQ(take(kC, kShared), Error::kWouldBlock);
  EXPECT_EQ(held(kA), "X0-");
}

TEST_F(LockTest, SharedLocksBearEachOther) {
  EXPECT_EQ(take(kA, kShared), Error::kOk);
  EXPECT_EQ(take(kB, kShared), Error::kOk);
  EXPECT_EQ(take(kC, kExclusive), Error::kWouldBlock);
}

TEST_F(LockTest, TheTwoSpacesKnowNothingOfEachOther) {
  EXPECT_EQ(take(kA, kExclusive), Error::kOk);
  space = LockSpace::kPosix;
  EXPECT_EQ(take(kB, kExclusive), Error::kOk);
  EXPECT_EQ(tree.locks_of(file).size(), 2U);
}

TEST_F(LockTest, FilesKnowNothingOfEachOther) {
  EXPECT_EQ(take(kA, kExclusive), Error::kOk);
  const Ino first = std::exchange(file, create(kRootIno, "other"));
  EXPECT_EQ(take(kB, kExclusive), Error::kOk);
  EXPECT_EQ(tree.locked(), (std::vector{first, file}));
}

TEST_F(PosixLockTest, RangesThatTouchDoNotConflict) {
  EXPECT_EQ(take(kA, kExclusive, {10, 19}), Error::kOk);
  EXPECT_EQ(take(kB, kExclusive, {0, 9}), Error::kOk);
  EXPECT_EQ(take(kB, kExclusive, {20, UINT64_MAX}), Error::kOk);
  EXPECT_EQ(take(kB, kShared, {19, 20}), Error::kWouldBlock);
  EXPECT_EQ(take(kB, kShared, {0, 10}), Error::kWouldBlock);
}

// --- the queue ---

TEST_F(LockTest, AnUnlockHandsOverInTheSameTxn) {
  take(kA, kExclusive);
  EXPECT_EQ(ask(kB, kExclusive), Error::kLockQueued);
  const auto asked = request;
  EXPECT_EQ(held(kB), "");
  EXPECT_EQ(drop(kA), Error::kOk);
  EXPECT_EQ(granted, Requests{asked});
  EXPECT_EQ(held(kB), "X0-");
}

TEST_F(LockTest, TheTokenIsTheZxidOfTheGrant) {
  take(kA, kExclusive);
  ask(kB, kExclusive);
  EXPECT_EQ(tree.lock_of_request(file, kB.session, request)->zxid, tree.last_applied());
  drop(kA);
  EXPECT_EQ(tree.lock_of_request(file, kB.session, request)->zxid, tree.last_applied());
  EXPECT_FALSE(tree.lock_of_request(file, kB.session, request)->waiting);
}

TEST_F(LockTest, WaitersAreServedInTheOrderOfTheLog) {
  take(kA, kExclusive);
  ask(kB, kExclusive);
  ask(kC, kExclusive);
  drop(kA);
  EXPECT_EQ(granted, Requests{2});
  drop(kB);
  EXPECT_EQ(granted, Requests{3});
}

TEST_F(LockTest, SharedWaitersAreGrantedTogether) {
  take(kA, kExclusive);
  ask(kB, kShared);
  ask(kC, kShared);
  ask(kD, kExclusive);
  drop(kA);
  EXPECT_EQ(granted, (Requests{2, 3}));
  EXPECT_EQ(waiting(), Requests{4});
}

TEST_F(LockTest, AReaderDoesNotOvertakeAWaitingWriter) {
  take(kA, kShared);
  ask(kB, kExclusive);
  EXPECT_EQ(take(kC, kShared), Error::kWouldBlock);
  EXPECT_EQ(ask(kC, kShared), Error::kLockQueued);
  drop(kA);
  EXPECT_EQ(granted, Requests{2});
}

TEST_F(LockTest, ACancelledRequestLetsTheNextGo) {
  take(kA, kShared);
  ask(kB, kExclusive);
  ask(kC, kShared);
  EXPECT_EQ(cancel(kB, 2), Error::kOk);
  EXPECT_EQ(granted, Requests{3});
  EXPECT_EQ(waiting(), Requests{});
}

TEST_F(LockTest, OnlyWhatWaitsCanBeCancelled) {
  take(kA, kExclusive);
  EXPECT_EQ(cancel(kA, 1), Error::kNoNode) << "it was granted";
  EXPECT_EQ(cancel(kA, 9), Error::kNoNode) << "it never was";
  ask(kB, kExclusive);
  EXPECT_EQ(cancel(kA, 2), Error::kNoNode) << "it is another session's";
  const Ino here = std::exchange(file, kRootIno);
  EXPECT_EQ(cancel(kB, 2), Error::kNoNode) << "it is of another file";
  file = here;
  EXPECT_EQ(waiting(), Requests{2});
}

TEST_F(LockTest, AnUnlockLeavesWhatWaits) {
  take(kA, kExclusive);
  ask(kB, kExclusive);
  EXPECT_EQ(drop(kB), Error::kOk);
  EXPECT_EQ(waiting(), Requests{2});
}

TEST_F(LockTest, ANumberThatWaitsIsNotUsedTwice) {
  take(kA, kExclusive);
  ask(kB, kShared);
  --request;
  EXPECT_EQ(ask(kD, kShared), Error::kBadArguments);
  --request;
  EXPECT_EQ(ask(kC, kShared), Error::kLockQueued) << "of another session";
}

TEST_F(LockTest, AThousandWaitersAreServedOneByOne) {
  take(kA, kExclusive);
  for (std::uint64_t i = 0; i < 1000; ++i) ask({kTwo, 1000 + i}, kExclusive);
  drop(kA);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(granted, Requests{i + 2});
    drop({kTwo, 1000 + i});
  }
  EXPECT_TRUE(tree.locked().empty());
}

// --- asking again ---

TEST_F(LockTest, AskingAgainIsGrantedWhoeverWaits) {
  take(kA, kShared);
  ask(kB, kExclusive);
  EXPECT_EQ(take(kA, kShared), Error::kOk);
  EXPECT_EQ(tree.locks_of(file)[0].request, 3U);
  EXPECT_EQ(tree.locks_of(file)[0].zxid, tree.last_applied());
}

TEST_F(LockTest, TheOnlyReaderIsStrengthenedAtOnce) {
  take(kA, kShared);
  EXPECT_EQ(take(kA, kExclusive), Error::kOk);
  EXPECT_EQ(held(kA), "X0-");
}

TEST_F(LockTest, TheOnlyReaderIsStrengthenedThoughAWriterWaits) {
  take(kA, kShared);
  ask(kB, kExclusive);
  EXPECT_EQ(ask(kA, kExclusive), Error::kOk);
  EXPECT_EQ(waiting(), Requests{2});
}

TEST_F(LockTest, ARefusedStrengtheningKeepsWhatIsHeld) {
  take(kA, kShared);
  take(kB, kShared);
  EXPECT_EQ(take(kA, kExclusive), Error::kWouldBlock);
  EXPECT_EQ(held(kA), "S0-");
}

TEST_F(LockTest, AStrengtheningThatWaitsGivesUpWhatIsHeld) {
  take(kA, kShared);
  take(kB, kShared);
  EXPECT_EQ(ask(kA, kExclusive), Error::kLockQueued);
  EXPECT_EQ(held(kA), "");
  EXPECT_EQ(ask(kB, kExclusive), Error::kOk) << "A waits for what B holds";
  drop(kB);
  EXPECT_EQ(granted, Requests{3});
  EXPECT_EQ(held(kA), "X0-");
}

TEST_F(LockTest, WeakeningLetsWaitingReadersIn) {
  take(kA, kExclusive);
  ask(kB, kShared);
  EXPECT_EQ(take(kA, kShared), Error::kOk);
  EXPECT_EQ(granted, Requests{2});
  EXPECT_EQ(held(kA), "S0-");
}

TEST_F(LockTest, AnOwnerHasOneFlockOfAFile) {
  take(kA, kShared);
  take(kA, kExclusive);
  take(kA, kShared);
  EXPECT_EQ(tree.locks_of(file).size(), 1U);
}

// --- ranges ---

TEST_F(PosixLockTest, AnUnlockInTheMiddleLeavesTwoPieces) {
  take(kA, kExclusive, {0, 99});
  EXPECT_EQ(drop(kA, {40, 59}), Error::kOk);
  EXPECT_EQ(held(kA), "X0-39 X60-99");
  EXPECT_EQ(take(kB, kExclusive, {40, 59}), Error::kOk);
  for (const LockView& l : tree.locks_of(file)) EXPECT_EQ(l.request, l.session == kOne ? 1U : 2U);
}

TEST_F(PosixLockTest, AGrantReplacesTheOwnersPiecesInTheRange) {
  take(kA, kShared, {0, 99});
  take(kA, kExclusive, {40, 59});
  EXPECT_EQ(held(kA), "S0-39 X40-59 S60-99");
  take(kA, kExclusive, {30, 70});
  EXPECT_EQ(held(kA), "S0-29 X30-70 S71-99");
  take(kA, kShared, {20, 80});
  EXPECT_EQ(held(kA), "S0-99");
}

TEST_F(PosixLockTest, NeighboursOfOneModeAreJoined) {
  take(kA, kShared, {0, 9});
  take(kA, kShared, {20, 29});
  take(kA, kShared, {10, 19});
  EXPECT_EQ(held(kA), "S0-29");
  EXPECT_EQ(tree.locks_of(file)[0].request, 3U);
  take(kA, kExclusive, {30, UINT64_MAX});
  EXPECT_EQ(held(kA), "S0-29 X30-");
}

TEST_F(PosixLockTest, AnUnlockSpansSeveralPieces) {
  take(kA, kShared, {0, 9});
  take(kA, kExclusive, {20, 29});
  take(kA, kShared, {40, UINT64_MAX});
  drop(kA, {5, 49});
  EXPECT_EQ(held(kA), "S0-4 S50-");
  drop(kA);
  EXPECT_EQ(held(kA), "");
}

TEST_F(PosixLockTest, AnUnlockGrantsOnlyWhatItFrees) {
  take(kA, kExclusive, {0, 99});
  ask(kB, kShared, {0, 49});
  ask(kC, kShared, {50, 99});
  drop(kA, {50, 99});
  EXPECT_EQ(granted, Requests{3});
  drop(kA, {0, 48});
  EXPECT_EQ(granted, Requests{});
  drop(kA, {49, 49});
  EXPECT_EQ(granted, Requests{2});
}

TEST_F(PosixLockTest, AWaiterKeepsWhatItHolds) {
  take(kA, kShared, {0, 9});
  take(kB, kShared, {0, 9});
  EXPECT_EQ(ask(kA, kExclusive, {0, 9}), Error::kLockQueued);
  EXPECT_EQ(held(kA), "S0-9");
  drop(kB);
  EXPECT_EQ(held(kA), "X0-9");
}

TEST_F(PosixLockTest, AReaderMayAddToWhatItHoldsThoughAWriterWaitsForIt) {
  take(kA, kShared, {0, 0});
  ask(kB, kExclusive, {0, 99});
  EXPECT_EQ(take(kA, kShared, {50, 50}), Error::kOk);
  EXPECT_EQ(take(kC, kShared, {60, 60}), Error::kWouldBlock) << "who holds nothing queues";
}

TEST_F(PosixLockTest, WhoWaitsBehindAWaiterForTheAskerDoesNotCountEither) {
  take(kA, kShared, {0, 0});
  ask(kB, kExclusive, {0, 5});
  ask(kC, kExclusive, {3, 9});
  EXPECT_EQ(ask(kA, kShared, {8, 8}), Error::kOk);
}

// --- circles ---

TEST_F(PosixLockTest, ACircleOfTwoIsRefused) {
  take(kA, kExclusive, {0, 0});
  take(kB, kExclusive, {1, 1});
  EXPECT_EQ(ask(kA, kExclusive, {1, 1}), Error::kLockQueued);
  EXPECT_EQ(ask(kB, kExclusive, {0, 0}), Error::kDeadlock);
  EXPECT_EQ(take(kB, kExclusive, {0, 0}), Error::kWouldBlock);
  EXPECT_EQ(held(kB), "X1-1");
  drop(kB);
  EXPECT_EQ(held(kA), "X0-1");
}

TEST_F(PosixLockTest, ACircleOverSeveralFilesIsRefused) {
  const Ino first = file;
  const Ino second = create(kRootIno, "second");
  const Ino third = create(kRootIno, "third");
  take(kA, kExclusive);
  file = second;
  take(kB, kExclusive);
  file = third;
  take(kC, kExclusive);
  file = second;
  EXPECT_EQ(ask(kA, kExclusive), Error::kLockQueued);
  file = third;
  EXPECT_EQ(ask(kB, kShared), Error::kLockQueued);
  file = first;
  EXPECT_EQ(ask(kC, kShared), Error::kDeadlock);
}

TEST_F(PosixLockTest, TwoReadersThatStrengthenAreACircle) {
  take(kA, kShared, {0, 9});
  take(kB, kShared, {0, 9});
  EXPECT_EQ(ask(kA, kExclusive, {0, 9}), Error::kLockQueued);
  EXPECT_EQ(ask(kB, kExclusive, {0, 9}), Error::kDeadlock);
}

TEST_F(PosixLockTest, AChainIsNoCircle) {
  take(kA, kExclusive, {0, 0});
  take(kB, kExclusive, {1, 1});
  take(kC, kExclusive, {2, 2});
  EXPECT_EQ(ask(kB, kExclusive, {0, 0}), Error::kLockQueued);
  EXPECT_EQ(ask(kC, kExclusive, {1, 1}), Error::kLockQueued);
  EXPECT_EQ(ask(kD, kExclusive, {2, 2}), Error::kLockQueued);
}

TEST_F(PosixLockTest, TheEndOfAWaitOpensTheCircle) {
  take(kA, kExclusive, {0, 0});
  take(kB, kExclusive, {1, 1});
  ask(kA, kExclusive, {1, 1});
  cancel(kA, request);
  EXPECT_EQ(ask(kB, kExclusive, {0, 0}), Error::kLockQueued);
}

// A chain of n owners, each waiting for the next, closed by the last request.
Error close_chain(std::uint64_t length) {
  LockTable table;
  LockTable::Grants granted;
  LockView asked;
  asked.ino = Ino{1};
  asked.space = LockSpace::kPosix;
  asked.mode = kExclusive;
  asked.session = kOne;
  const auto lock = [&](std::uint64_t owner, std::uint64_t byte) {
    asked.owner = owner;
    asked.range = {2 * byte, 2 * byte};
    ++asked.request;
    ++asked.zxid.value;
    return table.lock(asked, true, granted);
  };
  for (std::uint64_t i = 0; i < length; ++i) lock(i, i);
  for (std::uint64_t i = 0; i + 1 < length; ++i) EXPECT_EQ(lock(i, i + 1), Error::kLockQueued);
  return lock(length - 1, 0);
}

TEST(LockCircle, IsSoughtAmongAThousandOwners) {
  EXPECT_EQ(close_chain(900), Error::kDeadlock);
  EXPECT_EQ(close_chain(1100), Error::kLockQueued);
}

// --- sessions ---

TEST_F(LockTest, TheEndOfASessionHandsOverInTheSameTxn) {
  take(kA, kExclusive);
  ask(kC, kExclusive);  // of the same session
  ask(kB, kExclusive);
  apply_as(kOne, CloseSessionTxn{kOne, {}});
  EXPECT_EQ(granted, Requests{3});
  EXPECT_EQ(held(kB), "X0-");
  EXPECT_EQ(tree.locks_of(file).size(), 1U);
}

TEST_F(PosixLockTest, TheEndOfASessionEndsAllItsOwners) {
  take(kA, kExclusive, {0, 9});
  take(kA, kShared, {20, 29});
  take(kC, kExclusive, {10, 19});
  space = LockSpace::kFlock;
  take(kC, kShared);
  file = kRootIno;
  take(kA, kShared);
  apply_as(kOne, CloseSessionTxn{kOne, {}});
  EXPECT_TRUE(tree.locked().empty());
}

TEST_F(PosixLockTest, ASessionHasABound) {
  constexpr std::size_t kMax = limits::kLocksPerSessionMax;
  LockTable table;
  LockTable::Grants none;
  LockView asked{file, space, kExclusive, {0, UINT64_MAX - 1}, kOne, 1, 0, 0, Zxid{1}, false};
  ASSERT_EQ(table.lock(asked, false, none), Error::kOk);
  const auto unlock = [&](std::uint64_t byte) {
    ++asked.zxid.value;
    return table.unlock(asked.zxid, file, space, {byte, byte}, kOne, 1, none);
  };
  for (std::uint64_t i = 1; i < kMax; ++i) ASSERT_EQ(unlock(2 * i), Error::kOk);
  EXPECT_EQ(unlock(4 * kMax), Error::kQuotaExceeded) << "it would split";
  EXPECT_EQ(unlock(0), Error::kOk);
  asked.range = {0, 0};
  asked.request = 1;
  EXPECT_EQ(table.lock(asked, false, none), Error::kQuotaExceeded);
  asked.session = kTwo;
  EXPECT_EQ(table.lock(asked, false, none), Error::kOk);
}

// --- znodes ---

TEST_F(LockTest, ALockStaysWithTheNumberThroughRenameAndRemoval) {
  take(kA, kExclusive);
  ask(kB, kExclusive);
  apply(RenameTxn{file, kRootIno, "other", {}, false});
  EXPECT_EQ(held(kA), "X0-");
  apply(DeleteTxn{file});
  EXPECT_EQ(held(kA), "X0-");
  EXPECT_EQ(take(kC, kShared), Error::kWouldBlock) << "an open file that was removed";
  drop(kA);
  EXPECT_EQ(held(kB), "X0-");
}

TEST_F(LockTest, ALockChangesNothingOfTheZnode) {
  take(kA, kExclusive);
  EXPECT_EQ(stat(file).mzxid, stat(file).czxid);
  EXPECT_EQ(stat(file).version, 0);
  EXPECT_EQ(node(file).change_time, stat(file).ctime);
}

// --- reading ---

TEST_F(PosixLockTest, WhatIsInTheWayIsTheFirstByRange) {
  take(kA, kShared, {50, 59});
  take(kC, kExclusive, {20, 29});
  const auto first = tree.lock_conflict(file, space, kExclusive, {}, kB.session, kB.owner);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->owner, kC.owner);
  EXPECT_EQ(first->pid, 100U);
  EXPECT_EQ(first->range, (LockRange{20, 29}));
  EXPECT_FALSE(tree.lock_conflict(file, space, kShared, {50, 99}, kB.session, kB.owner));
  EXPECT_FALSE(tree.lock_conflict(file, space, kExclusive, {50, 99}, kA.session, kA.owner));
}

TEST_F(LockTest, HeldLocksAreListedBeforeWaitingOnes) {
  take(kA, kExclusive);
  ask(kB, kShared);
  space = LockSpace::kPosix;
  take(kB, kShared, {5, 9});
  take(kA, kShared, {5, 7});
  std::vector<std::uint64_t> requests;
  for (const LockView& l : tree.locks_of(file)) requests.push_back(l.request);
  EXPECT_EQ(requests, (Requests{1, 4, 3, 2}));
}

TEST_F(LockTest, ARequestIsFoundWhileItWaitsOrHolds) {
  take(kA, kExclusive);
  ask(kB, kExclusive);
  EXPECT_TRUE(tree.lock_of_request(file, kTwo, 2)->waiting);
  EXPECT_FALSE(tree.lock_of_request(file, kOne, 1)->waiting);
  EXPECT_FALSE(tree.lock_of_request(file, kOne, 2));
  EXPECT_FALSE(tree.lock_of_request(kRootIno, kOne, 1));
  drop(kA);
  EXPECT_FALSE(tree.lock_of_request(file, kOne, 1));
  EXPECT_FALSE(tree.lock_of_request(file, kTwo, 2)->waiting);
}

// --- the digest ---

TEST_F(LockTest, EveryFieldOfALockCountsInTheDigest) {
  LockView base{file, LockSpace::kPosix, kShared, {1, 2}, kOne, 3, 4, 5, Zxid{6}, false};
  std::vector<LockView> variants(11, base);
  variants[1].ino.value += 1;
  variants[2].space = LockSpace::kFlock;
  variants[2].range = {};
  variants[3].mode = kExclusive;
  variants[4].range.first = 0;
  variants[5].range.last = 3;
  variants[6].session = kTwo;
  variants[7].owner = 9;
  variants[8].request = 9;
  variants[9].pid = 9;
  variants[10].zxid = Zxid{9};
  variants.push_back(base);
  variants.back().waiting = true;
  std::set<std::uint64_t> digests{0};
  for (const LockView& lock : variants) {
    LockTable table;
    ASSERT_TRUE(table.load(lock));
    EXPECT_TRUE(digests.insert(table.digest()).second);
  }
}

TEST_F(LockTest, WithoutLocksTheDigestIsAsBefore) {
  const auto before = tree.digest();
  take(kA, kExclusive);
  EXPECT_NE(tree.digest(), before);
  ask(kB, kShared);
  drop(kA);
  drop(kB);
  EXPECT_EQ(tree.digest(), before);
}

TEST_F(LockDeathTest, ATxnThatDoesNotFitAborts) {
  const SessionId nobody{9};
  EXPECT_DEATH(take({nobody, 1}, kShared), "no session");
  EXPECT_DEATH(drop({nobody, 1}), "no session");
  EXPECT_DEATH(take(kA, kShared, {1, 2}), "a lock of 1..2");
  file = tree.next_ino();
  EXPECT_DEATH(take(kA, kShared), "a lock of znode");
  file = Ino{};
  EXPECT_DEATH(drop(kA), "a lock of znode");
}

}  // namespace
}  // namespace zkfs::tree::test
