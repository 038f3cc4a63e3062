// SPDX-License-Identifier: Apache-2.0
// The stand-in must keep what door.h promises, or tests of front doors prove nothing.
#include "tests/support/local_door.h"

#include <gtest/gtest.h>

#include "tests/server/prep_fixture.h"

namespace zkfs::server {
namespace {

using test::LocalDoor;

class Log final : public ChangeSubscriber {
 public:
  void applied(const AppliedTxn& txn) override {
    lines.push_back(std::string(txn.local ? "local " : "foreign ") +
                    std::to_string(txn.changes.size()));
  }

  void replaced(const tree::DataTree& before, const tree::DataTree& after) override {
    lines.push_back("replaced " + std::to_string(before.node_count()) + " " +
                    std::to_string(after.node_count()));
  }

  void quorum_changed(bool in_quorum) override { lines.emplace_back(in_quorum ? "quorum" : "cut"); }

  std::vector<std::string> lines;
};

using Lines = std::vector<std::string>;

class LocalDoorTest : public testing::Test {
 protected:
  void SetUp() override {
    session_ = door_.open_session(
        10'000, "test", [](const tree::Outcome& outcome) { ASSERT_EQ(outcome.error, Error::kOk); },
        [this] { log_.lines.emplace_back("lost"); });
    door_.pump();
    door_.subscribe(&log_);
  }

  std::uint64_t submit(Operation operation) {
    return door_.submit(session_, {}, std::move(operation), [this](const tree::Outcome& outcome) {
      log_.lines.emplace_back(to_string(outcome.error));
    });
  }

  LocalDoor door_;
  Log log_;
  SessionId session_;
};

TEST_F(LocalDoorTest, ChangeFeedComesBeforeTheCompletion) {
  submit(create(at("/a")));
  EXPECT_TRUE(log_.lines.empty());
  EXPECT_EQ(door_.pump(), 1U);
  EXPECT_EQ(log_.lines, (Lines{"local 1", "Ok"}));
}

TEST_F(LocalDoorTest, WithoutAQuorumRequestsWait) {
  door_.set_quorum(false);
  EXPECT_TRUE(door_.quorum_lost_since().has_value());
  submit(create(at("/a")));
  EXPECT_EQ(door_.pump(), 0U);
  door_.set_quorum(true);
  door_.pump();
  EXPECT_EQ(log_.lines, (Lines{"cut", "quorum", "local 1", "Ok"}));
}

TEST_F(LocalDoorTest, ALockIsHandedOverByAnotherNode) {
  const SessionId other = door_.foreign_session();
  const LockRequest theirs{.ino = kRootIno, .mode = tree::LockMode::kExclusive, .request = 1};
  door_.inject_foreign(theirs, other);
  LockRequest mine = theirs;
  mine.wait = true;
  submit(mine);
  door_.pump();
  door_.inject_foreign(UnlockRequest{.ino = kRootIno}, other);
  EXPECT_EQ(log_.lines, (Lines{"foreign 0", "foreign 0", "local 0", "LockQueued", "foreign 1"}));
  EXPECT_FALSE(door_.tree().lock_of_request(kRootIno, session_, 1)->waiting);
}

TEST_F(LocalDoorTest, HeldCompletionsComeInOrder) {
  door_.hold();
  submit(create(at("/a")));
  submit(create(at("/a")));
  door_.pump();
  EXPECT_EQ(log_.lines, (Lines{"local 1", "local 0"}));
  door_.release();
  EXPECT_EQ(log_.lines, (Lines{"local 1", "local 0", "Ok", "NodeExists"}));
}

TEST_F(LocalDoorTest, ForgottenTicketIsSentButNotAnswered) {
  door_.forget(submit(create(at("/a"))));
  door_.pump();
  EXPECT_EQ(log_.lines, (Lines{"local 1"}));
}

TEST_F(LocalDoorTest, ForeignChangesAreNotLocal) {
  const SessionId other = door_.foreign_session();
  EXPECT_EQ(door_.inject_foreign(ephemeral("/e"), other).error, Error::kOk);
  EXPECT_EQ(door_.inject_foreign(create(at("/a"))).error, Error::kOk);
  door_.expire(other);
  EXPECT_EQ(log_.lines, (Lines{"foreign 0", "foreign 1", "foreign 1", "foreign 1"}));
}

TEST_F(LocalDoorTest, ExpiredSessionIsToldAndRefused) {
  submit(ephemeral("/e"));
  door_.pump();
  door_.expire(session_);
  submit(create(at("/a")));
  door_.pump();
  EXPECT_EQ(log_.lines, (Lines{"local 1", "Ok", "foreign 1", "lost", "local 0", "SessionExpired"}));
}

TEST_F(LocalDoorTest, SyncWaitsForTheQuorumInTurn) {
  door_.set_quorum(false);
  submit(create(at("/a")));
  door_.sync(
      [this](Error error) { log_.lines.push_back("sync " + std::string(to_string(error))); });
  door_.set_quorum(true);
  door_.pump();
  EXPECT_EQ(log_.lines, (Lines{"cut", "quorum", "local 1", "Ok", "sync Ok"}));
}

TEST_F(LocalDoorTest, SnapshotReplacesTheTree) {
  submit(create(at("/a")));
  door_.pump();
  door_.catch_up_by_snapshot({create(at("/b")), create(at("/c"))});
  ASSERT_GE(log_.lines.size(), 3U);
  EXPECT_EQ(Lines(log_.lines.end() - 3, log_.lines.end()),
            (Lines{"cut", "replaced 5 7", "quorum"}));
  EXPECT_TRUE(door_.tree().find_path("/c").has_value());
  submit(create(at("/d")));
  door_.pump();
  EXPECT_EQ(log_.lines.back(), "Ok");
}

TEST_F(LocalDoorTest, StopAnswersWhatWaits) {
  door_.set_quorum(false);
  submit(create(at("/a")));
  door_.sync(
      [this](Error error) { log_.lines.push_back("sync " + std::string(to_string(error))); });
  door_.stop();
  EXPECT_EQ(log_.lines, (Lines{"cut", "Shutdown", "sync Shutdown"}));
}

}  // namespace
}  // namespace zkfs::server
