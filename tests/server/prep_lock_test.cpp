// SPDX-License-Identifier: Apache-2.0
// Lock requests: what prep refuses, and that applying decides the rest, whatever is under way.
#include <gtest/gtest.h>

#include "tests/server/prep_fixture.h"

namespace zkfs::server {
namespace {

constexpr auto kPosix = tree::LockSpace::kPosix;
constexpr auto kExclusive = tree::LockMode::kExclusive;

class PrepLock : public testing::Test {
 protected:
  PrepLock() {
    leader_.run(file("/f"));
    ino_ = leader_.ino("/f");
  }

  LockRequest lock(bool wait = false) {
    return {.ino = ino_, .mode = kExclusive, .owner = 1, .request = ++request_, .wait = wait};
  }

  Leader leader_;
  Ino ino_;
  std::uint64_t request_ = 0;
};

TEST_F(PrepLock, ALockIsGrantedRefusedOrQueued) {
  EXPECT_EQ(leader_.error_of(lock(), kAlice), Error::kOk);
  EXPECT_EQ(leader_.error_of(lock(), kBob), Error::kWouldBlock);
  EXPECT_EQ(leader_.error_of(lock(true), kBob), Error::kLockQueued);
  EXPECT_EQ(leader_.error_of(UnlockRequest{.ino = ino_, .owner = 1}, kAlice), Error::kOk);
  EXPECT_FALSE(leader_.tree().lock_of_request(ino_, kBob, request_)->waiting);
}

TEST_F(PrepLock, ProposalsUnderWayAreDecidedInTheirOrder) {
  leader_.propose(lock(), kAlice);
  leader_.propose(lock(), kBob);
  leader_.propose(UnlockRequest{.ino = ino_, .owner = 1}, kAlice);
  leader_.propose(lock(), kBob);
  EXPECT_EQ(leader_.deliver().error, Error::kOk);
  EXPECT_EQ(leader_.deliver().error, Error::kWouldBlock);
  EXPECT_EQ(leader_.deliver().error, Error::kOk);
  EXPECT_EQ(leader_.deliver().error, Error::kOk);
}

TEST_F(PrepLock, TheOutcomeTellsTokenAndZnode) {
  const auto outcome = leader_.run(lock());
  EXPECT_EQ(outcome.ino, ino_);
  EXPECT_EQ(outcome.zxid, leader_.tree().locks_of(ino_).at(0).zxid);
}

TEST_F(PrepLock, ANumberThatNoZnodeEverHadIsRefused) {
  for (const Ino ino : {Ino{}, leader_.tree().next_ino(), Ino{~0ULL}}) {
    LockRequest request = lock();
    request.ino = ino;
    EXPECT_EQ(leader_.error_of(request), Error::kBadArguments);
    EXPECT_EQ(leader_.error_of(UnlockRequest{.ino = ino}), Error::kBadArguments);
    EXPECT_EQ(leader_.error_of(CancelLockRequest{.ino = ino, .request = 1}), Error::kNoNode);
  }
}

TEST_F(PrepLock, AZnodeUnderWayCanBeLocked) {
  leader_.propose(file("/new"));
  LockRequest request = lock();
  request.ino = leader_.tree().next_ino();
  leader_.propose(request);
  leader_.deliver();
  EXPECT_EQ(leader_.deliver().error, Error::kOk);
}

TEST_F(PrepLock, ARemovedZnodeCanBeLocked) {
  leader_.run(remove("/f"));
  EXPECT_EQ(leader_.error_of(lock()), Error::kOk);
}

TEST_F(PrepLock, AFlockIsOfTheWholeFile) {
  LockRequest request = lock();
  request.range = {0, 9};
  EXPECT_EQ(leader_.error_of(request), Error::kBadArguments);
  EXPECT_EQ(leader_.error_of(UnlockRequest{.ino = ino_, .range = {0, 9}}), Error::kBadArguments);
}

TEST_F(PrepLock, AnEmptyRangeIsRefused) {
  LockRequest request = lock();
  request.space = kPosix;
  request.range = {9, 8};
  EXPECT_EQ(leader_.error_of(request), Error::kBadArguments);
  request.range = {9, 9};
  EXPECT_EQ(leader_.error_of(request), Error::kOk);
  EXPECT_EQ(leader_.error_of(UnlockRequest{.ino = ino_, .space = kPosix, .range = {9, 8}}),
            Error::kBadArguments);
}

TEST_F(PrepLock, RequestsAreCountedFromOne) {
  LockRequest request = lock();
  request.request = 0;
  EXPECT_EQ(leader_.error_of(request), Error::kBadArguments);
}

TEST_F(PrepLock, OnlyASessionThatLivesHasLocks) {
  for (const SessionId session : {SessionId{}, SessionId{77}}) {
    EXPECT_EQ(leader_.error_of(lock(), session), Error::kSessionExpired);
    EXPECT_EQ(leader_.error_of(UnlockRequest{.ino = ino_}, session), Error::kSessionExpired);
    EXPECT_EQ(leader_.error_of(CancelLockRequest{.ino = ino_}, session), Error::kSessionExpired);
  }
  leader_.propose(CloseSessionRequest{}, kBob);
  EXPECT_EQ(leader_.error_of(lock(), kBob), Error::kSessionExpired) << "it is closing";
}

TEST_F(PrepLock, NoAclIsAsked) {
  EXPECT_EQ(leader_.error_of(lock(), kAlice, {.uid = 1000, .gids = {}}), Error::kOk);
}

}  // namespace
}  // namespace zkfs::server
