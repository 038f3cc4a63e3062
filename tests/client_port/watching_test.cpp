// SPDX-License-Identifier: Apache-2.0
// Which events a client is sent, and how much of it the server bears.
#include "ensemble/base/limits.h"
#include "tests/client_port/hub_fixture.h"

namespace zkfs::client_port {
namespace {

class Watching : public HubTest {
 protected:
  // What the first client changes.
  Watching() : writer_(connected()) { write(create_request(1, "/a", 0, "0")); }

  void write(std::string request) {
    writer_.say(std::move(request));
    run();
    for (const Reply& reply : writer_.replies()) EXPECT_EQ(reply.error, Error::kOk);
  }

  struct Lists {
    Texts data{};
    Texts exist{};
    Texts child{};
    Texts persistent{};
    Texts recursive{};
  };

  static std::string set_watches(std::int64_t seen, const Lists& lists) {
    return header(kSetWatchesXid, OpCode::kSetWatches2)
        .large(seen)
        .texts(lists.data)
        .texts(lists.exist)
        .texts(lists.child)
        .texts(lists.persistent)
        .texts(lists.recursive);
  }

  [[nodiscard]] std::int64_t last() const {
    return static_cast<std::int64_t>(member_->tree().last_applied().value);
  }

  Client& writer_;
};

TEST_F(Watching, AWatchFiresOnce) {
  Client& it = connected();
  ask(it, get_request(1, "/a", true));
  write(set_request(2, "/a", "1"));
  write(set_request(3, "/a", "2"));
  EXPECT_EQ(it.heard(), Texts{"changed /a"});
}

TEST_F(Watching, EachKindOfReadWatchesWhatItReads) {
  Client& it = connected();
  ask(it, exists_request(1, "/b", true));
  ask(it, children_request(2, "/", true));
  write(create_request(2, "/b"));
  auto heard = it.heard();
  std::sort(heard.begin(), heard.end());
  EXPECT_EQ(heard, (Texts{"children /", "created /b"}));
}

TEST_F(Watching, AReadThatFailsLeavesNoWatch) {
  Client& it = connected();
  EXPECT_EQ(ask(it, get_request(1, "/b", true)), Texts{"1 NoNode"});
  EXPECT_EQ(ask(it, children_request(2, "/b", true)), Texts{"2 NoNode"});
  write(create_request(2, "/b"));
  EXPECT_EQ(it.heard(), Texts{});
}

TEST_F(Watching, APersistentRecursiveWatchGoesOn) {
  Client& it = connected();
  EXPECT_EQ(ask(it, header(1, OpCode::kAddWatch).text("/a").number(1)), Texts{"1 Ok"});
  write(create_request(2, "/a/x"));
  write(set_request(3, "/a/x", "1"));
  write(delete_request(4, "/a/x"));
  EXPECT_EQ(it.heard(), (Texts{"created /a/x", "changed /a/x", "deleted /a/x"}));
}

TEST_F(Watching, ARemovedWatchIsSilent) {
  Client& it = connected();
  ask(it, get_request(1, "/a", true));
  EXPECT_EQ(ask(it, header(2, OpCode::kRemoveWatches).text("/a").number(3)), Texts{"2 Ok"});
  EXPECT_EQ(ask(it, header(3, OpCode::kRemoveWatches).text("/a").number(3)), Texts{"3 NoWatcher"});
  write(set_request(2, "/a", "1"));
  EXPECT_EQ(it.heard(), Texts{});
}

TEST_F(Watching, WatchesGoWithTheirConnectionNotWithTheSession) {
  Client& before = connected();
  ask(before, get_request(1, "/a", true));
  before.vanish();
  Client& after = client();
  after.say(connect_request(again()));
  run();
  ASSERT_TRUE(after.welcome());
  write(set_request(2, "/a", "1"));
  EXPECT_EQ(after.heard(), Texts{});
  EXPECT_TRUE(hub_->watches().empty());
}

TEST_F(Watching, SetWatchesTellsWhatHappenedMeanwhileAndThenAnswers) {
  write(create_request(2, "/gone"));
  const auto seen = last();
  write(delete_request(3, "/gone"));
  write(set_request(4, "/a", "1"));
  write(create_request(5, "/new"));
  Client& it = connected();
  EXPECT_EQ(ask(it, set_watches(seen, {.data = {"/a", "/gone"},
                                       .exist = {"/new", "/never"},
                                       .child = {"/", "/gone"}})),
            (Texts{"changed /a", "deleted /gone", "created /new", "children /", "deleted /gone",
                   "-8 Ok"}));
  write(create_request(6, "/never"));
  EXPECT_EQ(it.heard(), Texts{"created /never"});
}

TEST_F(Watching, SetWatchesOfWhatDidNotChangeWatchesOn) {
  Client& it = connected();
  EXPECT_EQ(ask(it, set_watches(last(), {.data = {"/a"}, .child = {"/a"}, .persistent = {"/a"}})),
            Texts{"-8 Ok"});
  EXPECT_EQ(it.conversation().view().watches, 3U);
  write(set_request(2, "/a", "1"));
  EXPECT_EQ(it.heard(), Texts{"changed /a"});
}

// It may say -1; as an unsigned number that would be after everything.
TEST_F(Watching, SetWatchesOfWhoeverHasSeenNothingTellsOfEverything) {
  Client& it = connected();
  EXPECT_EQ(ask(it, set_watches(-1, {.data = {"/a"}, .child = {"/"}})),
            (Texts{"changed /a", "children /", "-8 Ok"}));
}

TEST_F(Watching, WhoMayNotReadIsToldNothing) {
  const std::string owned = "00000001 0000001f 00000004 'auth' 00000000";
  write(auth_request("digest", "u:p"));
  Client& stranger = connected();
  Client& friendly = connected();
  ask(friendly, auth_request("digest", "u:p"));
  ask(stranger, exists_request(1, "/s", true));
  ask(friendly, exists_request(1, "/s", true));
  write(create_request(2, "/s", 0, "x", owned));
  EXPECT_EQ(stranger.heard(), Texts{});
  EXPECT_EQ(friendly.heard(), Texts{"created /s"});
  EXPECT_EQ(ask(stranger, get_request(2, "/s", true)), Texts{"2 NoAuth"});
}

// --- bounds ---

TEST_F(Watching, ARequestIsNotTakenFromWhomTooMuchIsUnanswered) {
  Client& it = connected();
  for (int i = 0; i < 1'100; ++i) it.say(set_request(i + 1, "/a", "x"));
  EXPECT_EQ(it.unsaid(), 100U);
  EXPECT_EQ(hub_->view().outstanding, 1'000U);
  run();
  EXPECT_EQ(it.unsaid(), 0U);
  EXPECT_EQ(it.replies().size(), 1'100U);
  EXPECT_EQ(hub_->view().outstanding, 0U);
}

TEST_F(Watching, WhoAsksTooMuchLeavesOneRequestToEveryOther) {
  Client& greedy = connected();
  for (int i = 0; i < 1'100; ++i) greedy.say(set_request(i + 1, "/a", "x"));
  Client& modest = connected();
  modest.say(create_request(1, "/m"));
  modest.say(create_request(2, "/n"));
  run();
  EXPECT_EQ(modest.heard(), (Texts{"1 Ok", "2 Ok"}));
}

TEST_F(Watching, WhoDoesNotReadLeavesOthersWhatTheyMayAsk) {
  Client& idle = connected();
  ask(idle, create_request(1, "/large", 0, std::string(20'000, 'x')));
  idle.replies();
  idle.stop_reading();
  idle.say(set_request(2, "/a", "x"));
  for (int i = 0; i < 999; ++i) idle.say(get_request(3 + i, "/large"));
  EXPECT_EQ(hub_->view().outstanding, 1'000U);
  run();
  EXPECT_EQ(hub_->view().outstanding, 0U);
  Client& other = connected();
  for (int i = 0; i < 100; ++i) other.say(set_request(i + 1, "/a", "x"));
  EXPECT_EQ(other.unsaid(), 0U);
  run();
  EXPECT_EQ(other.replies().size(), 100U);
  // It is served when it reads again, and counts again.
  idle.read_again();
  run();
  EXPECT_EQ(idle.replies().size(), 1'000U);
  for (int i = 0; i < 1'100; ++i) idle.say(set_request(i + 1, "/a", "x"));
  EXPECT_EQ(hub_->view().outstanding, 1'000U);
  run();
  EXPECT_EQ(hub_->view().outstanding, 0U);
}

TEST_F(Watching, WaitingReadsAreHeldUpToSoManyBytes) {
  Client& it = connected();
  const std::string path = "/" + std::string(limits::kPathBytesMax, 'p');
  it.say(create_request(1, "/b"));
  for (int i = 0; i < 50; ++i) it.say(exists_request(i + 2, path));
  const std::size_t held = 50 - it.unsaid();
  EXPECT_LE(held * limits::kPathBytesMax, limits::kClientUnstartedBytesMax + 2 * path.size());
  EXPECT_GE(held, 10U);
  run();
  EXPECT_EQ(it.replies().size(), 51U);
}

TEST_F(Watching, NothingMoreIsTakenFromWhoDoesNotRead) {
  write(create_request(2, "/large", 0, std::string(500'000, 'x')));
  Client& it = connected();
  it.stop_reading();
  for (int i = 0; i < 50; ++i) it.say(get_request(i + 1, "/large"));
  run();
  EXPECT_GE(it.unsaid(), 46U);
  EXPECT_LT(it.conversation().output().size(), limits::kClientOutputWantedMax + 600'000);
  it.read_again();
  run();
  EXPECT_EQ(it.replies().size(), 50U);
}

TEST_F(Watching, ReadsThatWaitedForAWriteAreAnsweredAsTheClientReads) {
  write(create_request(2, "/large", 0, std::string(500'000, 'x')));
  Client& it = connected();
  it.stop_reading();
  it.say(create_request(1, "/b"));
  for (int i = 0; i < 200; ++i) it.say(get_request(i + 2, "/large"));
  it.say(create_request(202, "/c"));
  run();
  EXPECT_LT(it.conversation().output().size(), limits::kClientOutputWantedMax + 600'000);
  EXPECT_TRUE(exists("/b"));
  it.read_again();
  run();
  const auto replies = it.replies();
  ASSERT_EQ(replies.size(), 202U);
  EXPECT_EQ(replies.back().xid, 202);
}

TEST_F(Watching, AMultiReadIsCutShortBeforeItFillsTheMemory) {
  write(create_request(2, "/large", 0, std::string(1'000'000, 'x')));
  Record many = header(1, OpCode::kMultiRead);
  for (int i = 0; i < 2'000; ++i) many.raw(bytes("00000004 00 ffffffff 00000006 '/large' 00"));
  Client& it = connected();
  it.say(many.raw(bytes("ffffffff 01 ffffffff")));
  const auto replies = it.replies();
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_LT(replies[0].body.size(), limits::kClientOutputBytesMax + 2'000'000);
}

TEST_F(Watching, EventsThatNobodyReadsAreCounted) {
  Client& it = connected();
  it.stop_reading();
  ask(it, header(1, OpCode::kAddWatch).text("/a").number(0));
  for (int i = 0; i < 10; ++i) write(set_request(i + 2, "/a", "x"));
  const auto unread = it.conversation().event_bytes();
  EXPECT_GE(unread, 10 * 24U);
  EXPECT_LE(unread, it.conversation().output().size());
  it.read_again();
  run();
  EXPECT_EQ(it.conversation().event_bytes(), 0U);
}

// A reply may be of any size without its client being cut off.
TEST_F(Watching, RepliesThatNobodyReadsAreNotCounted) {
  write(create_request(2, "/large", 0, std::string(500'000, 'x')));
  Client& it = connected();
  it.stop_reading();
  ask(it, get_request(1, "/large"));
  EXPECT_GE(it.conversation().output().size(), 500'000U);
  EXPECT_EQ(it.conversation().event_bytes(), 0U);
}

// --- counts ---

TEST_F(Watching, TheViewCountsPacketsConnectionsAndLatencies) {
  hub_->reset_counts();
  Client& it = connected();
  it.say(get_request(1, "/a", true));
  it.say(set_request(2, "/a", "1"));
  turn();
  EXPECT_EQ(it.conversation().view().outstanding, 1U);
  EXPECT_EQ(hub_->view().outstanding, 1U);
  time_ms_ += 7;
  finish_disk();
  it.replies();
  const PortView port = hub_->view();
  EXPECT_EQ(port.connections, 2U);
  EXPECT_EQ(port.received, 3U);
  EXPECT_EQ(port.sent, 4U);
  EXPECT_EQ(port.latency.max_ms, 7U);
  EXPECT_EQ(port.outstanding, 0U);
  EXPECT_EQ(port.last_response_bytes, 4 + kReplyHeaderBytes + kStatBytes);
  const ConnectionView view = it.conversation().view();
  EXPECT_EQ(view.session, welcome_.session);
  EXPECT_EQ(view.session_timeout_ms, 10'000U);
  EXPECT_EQ(view.received, 3U);
  EXPECT_EQ(view.sent, 4U);
  EXPECT_EQ(view.last_operation, "SETD");
  EXPECT_EQ(view.last_cxid, 2);
  EXPECT_EQ(view.last_zxid, last());
  EXPECT_EQ(view.last_latency_ms, 7U);
  EXPECT_EQ(view.watches, 0U);
}

TEST_F(Watching, AResetForgetsTheCountsAndNotTheConnections) {
  hub_->reset_counts();
  hub_->reset_connections();
  EXPECT_EQ(hub_->view().received, 0U);
  EXPECT_EQ(hub_->view().latency.count, 0U);
  EXPECT_EQ(hub_->view().connections, 1U);
  EXPECT_EQ(writer_.conversation().view().received, 0U);
  EXPECT_EQ(writer_.conversation().view().session, welcome_.session);
}

}  // namespace
}  // namespace zkfs::client_port
