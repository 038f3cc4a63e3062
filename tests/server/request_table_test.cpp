// SPDX-License-Identifier: Apache-2.0
// Clients' sessions in the table of requests: whose they are, what is sent, and who is told.
#include "ensemble/server/request_table.h"

#include <gtest/gtest.h>

namespace zkfs::server {
namespace {

constexpr SessionId kSession{0x77};
constexpr SessionId kOther{0x88};
constexpr Xid kAttach{kAttachXid | 5};

class ClientsSession : public ::testing::Test {
 protected:
  void open(SessionId id = kSession) {
    table_.open_client_session(id, 4'000, [this, id] { lost_.push_back(id); });
  }

  void attach() {
    table_.attach_session(kSession, 4'000, kAttach, [this] { lost_.push_back(kSession); });
    add(AttachSessionRequest{4'000, "password"});
  }

  std::uint64_t add(Operation operation = SetDataRequest{}, SessionId session = kSession) {
    const auto ticket = ++tickets_;
    return table_.add(ticket, session, {}, std::move(operation),
                      [this, ticket](const auto&) { told_.push_back(ticket); });
  }

  std::vector<std::uint64_t> sent() {
    std::vector<std::uint64_t> xids;
    for (const Request& request : table_.take_unsent()) xids.push_back(request.xid.value);
    return xids;
  }

  bool decide(Xid xid, Error error = Error::kOk, std::int32_t version = 0) {
    tree::Outcome outcome;
    outcome.error = error;
    outcome.version = version;
    auto due = table_.decided(kSession, xid, outcome);
    if (!due) return false;
    at_once_ = due->at_once;
    due->done(due->outcome);
    return true;
  }

  using Xids = std::vector<std::uint64_t>;

  RequestTable table_;
  std::uint64_t tickets_ = 0;
  std::vector<std::uint64_t> told_;
  std::vector<SessionId> lost_;
  bool at_once_ = false;
};

TEST_F(ClientsSession, ItsCompletionsAreDueAtOnceAndThoseOfTheServersOwnAreNot) {
  open();
  add();
  ASSERT_TRUE(decide(Xid{1}));
  EXPECT_TRUE(at_once_);
  RequestTable own;
  own.open_session(kOther, 4'000, [] {});
  own.add(1, kOther, {}, SetDataRequest{}, [](const auto&) {});
  EXPECT_FALSE(own.decided(kOther, Xid{1}, {})->at_once);
}

TEST_F(ClientsSession, IsNotTheServersOwn) {
  open();
  EXPECT_TRUE(table_.is_local(kSession));
  EXPECT_FALSE(table_.is_own(kSession));
}

TEST_F(ClientsSession, IsReportedOnceForEachTimeItsClientGaveASignOfLife) {
  open();
  EXPECT_EQ(table_.take_touched(), std::vector{kSession});
  EXPECT_TRUE(table_.take_touched().empty());
  table_.touch(kSession);
  table_.touch(kSession);
  EXPECT_EQ(table_.take_touched(), std::vector{kSession});
  EXPECT_TRUE(table_.take_touched().empty());
}

TEST_F(ClientsSession, ASignOfLifeCountsEvenIfItsClientIsGoneBeforeTheReport) {
  open();
  EXPECT_EQ(table_.take_touched(), std::vector{kSession});
  table_.touch(kSession);
  table_.detach_session(kSession);
  EXPECT_EQ(table_.take_touched(), std::vector{kSession});
  EXPECT_TRUE(table_.take_touched().empty());
}

TEST_F(ClientsSession, IsNotReportedWhileItIsBeingAttached) {
  attach();
  table_.touch(kSession);
  EXPECT_TRUE(table_.take_touched().empty());
  decide(kAttach, Error::kOk, 1);
  EXPECT_EQ(table_.take_touched(), std::vector{kSession});
}

TEST_F(ClientsSession, OneThatIsDetachedTellsNobodyAndSendsNothingMore) {
  open();
  add();
  EXPECT_EQ(sent(), Xids{1});
  add();
  table_.detach_session(kSession);
  EXPECT_FALSE(table_.is_local(kSession));
  EXPECT_TRUE(sent().empty());
  EXPECT_FALSE(decide(Xid{1}));
  EXPECT_TRUE(told_.empty());
  EXPECT_TRUE(lost_.empty());
  EXPECT_EQ(table_.pending(), 0U);
  table_.resend_all();
  EXPECT_TRUE(sent().empty());
}

TEST_F(ClientsSession, DetachingLeavesOtherSessionsAlone) {
  open();
  open(kOther);
  add();
  add(SetDataRequest{}, kOther);
  table_.detach_session(kSession);
  EXPECT_EQ(table_.pending(), 1U);
  EXPECT_EQ(sent(), Xids{1});
}

TEST_F(ClientsSession, RequestsAreNumberedWithinTheAttachmentThatWasGranted) {
  attach();
  EXPECT_EQ(sent(), Xids{kAttach.value});
  ASSERT_TRUE(decide(kAttach, Error::kOk, 3));
  add();
  add();
  const auto first = first_xid(3).value;
  EXPECT_EQ(sent(), (Xids{first, first + 1}));
}

TEST_F(ClientsSession, OneThatCannotBeAttachedIsForgottenAndNotLost) {
  attach();
  ASSERT_TRUE(decide(kAttach, Error::kSessionExpired));
  EXPECT_FALSE(table_.is_local(kSession));
  EXPECT_EQ(told_.size(), 1U);
  EXPECT_TRUE(lost_.empty());
}

TEST_F(ClientsSession, IsLostWhenAnotherServerAttachesToIt) {
  open();
  add();
  sent();
  table_.session_attached(kSession, 1);
  EXPECT_EQ(lost_, std::vector{kSession});
  EXPECT_FALSE(table_.is_local(kSession));
  EXPECT_FALSE(decide(Xid{1}, Error::kSessionMoved));
  EXPECT_TRUE(told_.empty());
}

TEST_F(ClientsSession, IsNotLostToItsOwnAttachment) {
  attach();
  decide(kAttach, Error::kOk, 1);
  table_.session_attached(kSession, 1);
  EXPECT_TRUE(lost_.empty());
  EXPECT_TRUE(table_.is_local(kSession));
}

// Its client came and went elsewhere, and is on its way back.
TEST_F(ClientsSession, IsNotLostToAnAttachmentBeforeTheOneItWaitsFor) {
  attach();
  table_.session_attached(kSession, 1);
  EXPECT_TRUE(lost_.empty());
  ASSERT_TRUE(decide(kAttach, Error::kOk, 2));
  table_.session_attached(kSession, 2);
  EXPECT_TRUE(table_.is_local(kSession));
}

TEST_F(ClientsSession, AnAttachmentOfTheFormerConnectionIsNotTakenForThatOfTheNext) {
  attach();
  sent();
  table_.detach_session(kSession);
  const Xid second{kAttachXid | 6};
  table_.attach_session(kSession, 4'000, second, [this] { lost_.push_back(kSession); });
  add(AttachSessionRequest{4'000, "password"});
  EXPECT_EQ(sent(), Xids{second.value});
  EXPECT_FALSE(decide(kAttach, Error::kOk, 1));
  table_.session_attached(kSession, 1);
  EXPECT_TRUE(table_.is_local(kSession));
  ASSERT_TRUE(decide(second, Error::kOk, 2));
  add();
  EXPECT_EQ(sent(), Xids{first_xid(2).value});
}

TEST_F(ClientsSession, ANewLeaderIsSentWhatWaitsInItsOldOrderAndNothingTwice) {
  open();
  for (int i = 0; i < 3; ++i) add();
  EXPECT_EQ(sent(), (Xids{1, 2, 3}));
  EXPECT_TRUE(sent().empty());
  ASSERT_TRUE(decide(Xid{1}));
  table_.resend_all();
  add();
  EXPECT_EQ(sent(), (Xids{2, 3, 4}));
  // Both histories held it: the second time nobody waits.
  ASSERT_TRUE(decide(Xid{2}));
  EXPECT_FALSE(decide(Xid{2}));
  EXPECT_EQ(told_, (Xids{1, 2}));
}

TEST_F(ClientsSession, AnAttachmentUnderWayIsAskedForAgainOfANewLeader) {
  attach();
  EXPECT_EQ(sent(), Xids{kAttach.value});
  table_.resend_all();
  EXPECT_EQ(sent(), Xids{kAttach.value});
}

TEST_F(ClientsSession, WhatIsForgottenBeforeItWasSentIsNotSent) {
  open();
  const auto ticket = add();
  EXPECT_TRUE(table_.forget(ticket));
  EXPECT_TRUE(sent().empty());
  EXPECT_FALSE(table_.forget(ticket));
}

TEST_F(ClientsSession, OneThatTheEnsembleClosesIsLostOnce) {
  open();
  table_.session_closed(kSession);
  table_.session_closed(kSession);
  EXPECT_EQ(lost_, std::vector{kSession});
  EXPECT_FALSE(table_.is_local(kSession));
}

TEST_F(ClientsSession, OneThatItsClientClosesIsNotLost) {
  open();
  add(CloseSessionRequest{});
  table_.session_closed(kSession);
  ASSERT_TRUE(decide(Xid{1}));
  EXPECT_TRUE(lost_.empty());
  EXPECT_FALSE(table_.is_local(kSession));
}

TEST_F(ClientsSession, AServerThatStopsTellsEveryoneWhoWaits) {
  open();
  add();
  add();
  const auto due = table_.drain(Error::kShutdown);
  EXPECT_EQ(due.size(), 2U);
  for (const auto& item : due) EXPECT_EQ(item.outcome.error, Error::kShutdown);
}

TEST_F(ClientsSession, ASnapshotThatHidesItsEndLosesIt) {
  open();
  add(CreateSessionRequest{4'000, "client"});
  sent();
  std::vector<RequestTable::Due> due;
  tree::DataTree without;
  table_.reconcile(without, due);
  ASSERT_EQ(due.size(), 1U);
  EXPECT_EQ(due[0].outcome.error, Error::kUnknownOutcome);
  EXPECT_TRUE(due[0].at_once);
}

}  // namespace
}  // namespace zkfs::server
