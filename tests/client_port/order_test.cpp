// SPDX-License-Identifier: Apache-2.0
// In which order a client is answered, and what of its own it sees when.
#include "ensemble/base/limits.h"
#include "tests/client_port/hub_fixture.h"

namespace zkfs::client_port {
namespace {

class Order : public HubTest {};

TEST_F(Order, RepliesLeaveInTheOrderOfTheRequests) {
  Client& it = connected();
  it.say(create_request(1, "/a"));
  it.say(get_request(2, "/a"));
  it.say(sync_request(3));
  it.say(ping_request());
  it.say(auth_request("digest", "u:p"));
  it.say(get_request(4, "/missing"));
  it.say(create_request(5, "/a"));
  it.say(header(6, OpCode::kGetData).text("/a"));
  it.say(delete_request(7, "/a"));
  it.say(exists_request(8, "/a"));
  run();
  EXPECT_EQ(it.heard(), (Texts{"1 Ok", "2 Ok", "3 Ok", "-2 Ok", "-4 Ok", "4 NoNode", "5 NodeExists",
                               "6 Marshalling", "7 Ok", "8 NoNode"}));
}

TEST_F(Order, AReadIsAnsweredAtOnceWhenNothingIsBeforeIt) {
  Client& it = connected();
  it.say(exists_request(1, "/"));
  EXPECT_EQ(it.heard(), Texts{"1 Ok"});
}

TEST_F(Order, AReadWaitsForTheWriteBeforeIt) {
  Client& it = connected();
  it.say(create_request(1, "/a", 0, "v"));
  it.say(get_request(2, "/a"));
  turn();
  EXPECT_EQ(it.heard(), Texts{});
  run();
  EXPECT_EQ(it.heard(), (Texts{"1 Ok", "2 Ok"}));
}

// The disk takes them all in one write, so they are applied one right after the other.
TEST_F(Order, NoReadSeesALaterWriteOfItsOwnSession) {
  Client& it = connected();
  it.say(create_request(1, "/a", 0, "0"));
  for (int i = 1; i <= 9; ++i) {
    it.say(get_request(10 + i, "/a"));
    it.say(set_request(20 + i, "/a", std::to_string(i)));
  }
  run();
  std::string seen;
  for (const Reply& reply : it.replies()) {
    if (reply.xid > 10 && reply.xid < 20) seen += data_of(reply);
  }
  EXPECT_EQ(seen, "012345678");
}

// What is put out at once is bounded, yet the read must not wait until the write has been applied.
TEST_F(Order, NoReadSeesALaterWriteHoweverLargeTheReadsBeforeItAre) {
  Client& it = connected();
  ask(it, create_request(2, "/large", 0, std::string(500'000, 'x')));
  ask(it, create_request(3, "/s", 0, "old"));
  it.replies();
  for (const bool reads : {true, false}) {
    reads ? it.read_again() : it.stop_reading();
    it.say(set_request(1, "/s", "before"));
    for (int i = 0; i < 5; ++i) it.say(get_request(2 + i, "/large"));
    it.say(get_request(7, "/s"));
    it.say(set_request(8, "/s", "after"));
    run();
    it.read_again();
    run();
    const auto replies = it.replies();
    ASSERT_EQ(replies.size(), 8U);
    EXPECT_EQ(data_of(replies[6]), "before");
  }
}

// The client reads too little: reads are stalled when the write comes.
TEST_F(Order, AStalledReadDoesNotSeeAWriteThatComesThen) {
  Client& it = connected();
  ask(it, create_request(2, "/large", 0, std::string(500'000, 'x')));
  ask(it, create_request(3, "/s", 0, "old"));
  it.replies();
  it.stop_reading();
  it.say(set_request(1, "/s", "before"));
  for (int i = 0; i < 5; ++i) it.say(get_request(2 + i, "/large"));
  it.say(get_request(7, "/s"));
  run();
  // It takes some, not all.
  std::string taken = it.conversation().output().substr(0, 900'000);
  it.conversation().output().erase(0, taken.size());
  it.say(set_request(8, "/s", "after"));
  EXPECT_EQ(it.unsaid(), 0U);
  run();
  it.conversation().output().insert(0, taken);
  it.read_again();
  run();
  const auto replies = it.replies();
  ASSERT_EQ(replies.size(), 8U);
  EXPECT_EQ(data_of(replies[6]), "before");
}

TEST_F(Order, AReadBehindASyncDoesNotSeeTheWriteBehindIt) {
  Client& it = connected();
  ask(it, create_request(1, "/a", 0, "old"));
  door_->hold_syncs();
  it.say(sync_request(2));
  it.say(get_request(3, "/a"));
  it.say(set_request(4, "/a", "new"));
  it.say(get_request(5, "/a"));
  it.say(set_request(6, "/a", "newer"));
  run();
  EXPECT_EQ(it.heard(), Texts{});
  door_->release_syncs();
  run();
  const auto replies = it.replies();
  ASSERT_EQ(replies.size(), 5U);
  EXPECT_EQ(data_of(replies[1]), "old");
  EXPECT_EQ(to_text(replies[2]), "4 Ok");
  EXPECT_EQ(data_of(replies[3]), "new");
  EXPECT_EQ(to_text(replies[4]), "6 Ok");
}

// Each of two syncs holds its own.
TEST_F(Order, ASessionThatClosesBehindASyncHasItsWritesDoneFirst) {
  Client& it = connected();
  door_->hold_syncs();
  it.say(sync_request(1));
  it.say(exists_request(2, "/a"));
  it.say(create_request(3, "/a"));
  it.say(sync_request(4));
  it.say(exists_request(5, "/b"));
  it.say(create_request(6, "/b"));
  it.say(close_request(7));
  run();
  EXPECT_FALSE(exists("/a"));
  door_->release_syncs();
  run();
  EXPECT_EQ(it.heard(), (Texts{"1 Ok", "2 NoNode", "3 Ok", "4 Ok", "5 NoNode", "6 Ok", "7 Ok"}));
  EXPECT_TRUE(it.ended());
  EXPECT_EQ(member_->tree().session_count(), 0U);
}

TEST_F(Order, AReadIsAllowedWhatItsClientHadProvenWhenItAsked) {
  Client& it = connected();
  ask(it, auth_request("digest", "u:p"));
  ask(it, create_request(1, "/secret", 0, "x", "00000001 0000001f 00000004 'auth' 00000000"));
  Client& other = connected();
  other.say(create_request(1, "/b"));
  other.say(get_request(2, "/secret"));
  other.say(auth_request("digest", "u:p"));
  other.say(get_request(3, "/secret"));
  run();
  EXPECT_EQ(other.heard(), (Texts{"1 Ok", "2 NoAuth", "-4 Ok", "3 Ok"}));
}

TEST_F(Order, WritesBehindASyncAreAllDone) {
  Client& it = connected();
  it.say(create_request(1, "/a", 0, "old"));
  it.say(sync_request(2));
  it.say(set_request(3, "/a", "x"));
  it.say(sync_request(4));
  it.say(set_request(5, "/a", "y"));
  it.say(header(6, OpCode::kGetData).text("/a"));
  it.say(get_request(7, "/a"));
  it.say(set_request(8, "/a", "z"));
  it.say(close_request(9));
  run();
  const auto replies = it.replies();
  ASSERT_EQ(replies.size(), 9U);
  EXPECT_EQ(data_of(replies[6]), "y");
  EXPECT_EQ(replies[8].xid, 9);
  EXPECT_TRUE(it.ended());
  EXPECT_EQ(member_->tree().find_path("/a")->data.view(), "z");
}

TEST_F(Order, AReplyCarriesTheZxidOfItsWriteAndAReadTheLastApplied) {
  Client& it = connected();
  it.say(create_request(1, "/a"));
  it.say(exists_request(2, "/a"));
  it.say(create_request(3, "/b"));
  run();
  const auto replies = it.replies();
  ASSERT_EQ(replies.size(), 3U);
  EXPECT_EQ(replies[1].zxid, replies[0].zxid);
  EXPECT_EQ(replies[2].zxid, replies[0].zxid + 1);
}

TEST_F(Order, AnEventPrecedesTheReplyThatShowsIt) {
  Client& it = connected();
  ask(it, create_request(1, "/a"));
  it.say(get_request(2, "/a", true));
  it.say(set_request(3, "/a", "x"));
  it.say(get_request(4, "/a"));
  run();
  EXPECT_EQ(it.heard(), (Texts{"2 Ok", "changed /a", "3 Ok", "4 Ok"}));
}

TEST_F(Order, AnEventOfAnothersWritePrecedesTheReadThatSeesIt) {
  Client& writer = connected();
  ask(writer, create_request(1, "/a"));
  Client& reader = connected();
  ask(reader, exists_request(1, "/a", true));
  writer.say(set_request(2, "/a", "x"));
  reader.say(create_request(2, "/b"));
  reader.say(get_request(3, "/a"));
  run();
  EXPECT_EQ(reader.heard(), (Texts{"changed /a", "2 Ok", "3 Ok"}));
}

TEST_F(Order, AReadThatWaitsSetsItsWatchOnlyWhenItIsAnswered) {
  Client& it = connected();
  it.say(create_request(1, "/a"));
  it.say(set_request(2, "/a", "x"));
  it.say(get_request(3, "/a", true));
  it.say(set_request(4, "/a", "y"));
  run();
  EXPECT_EQ(it.heard(), (Texts{"1 Ok", "2 Ok", "3 Ok", "changed /a", "4 Ok"}));
}

TEST_F(Order, AnUnknownOperationEndsTheConnectionWithItsReply) {
  Client& it = connected();
  it.say(create_request(1, "/a"));
  it.say(header(2, static_cast<OpCode>(99)));
  it.say(create_request(3, "/b"));
  run();
  EXPECT_EQ(it.heard(), (Texts{"1 Ok", "2 Unimplemented"}));
  EXPECT_TRUE(it.ended());
  EXPECT_FALSE(exists("/b"));
}

TEST_F(Order, ARefusedAuthIsToldBehindTheWritesBeforeItAndEndsTheConnection) {
  Client& it = connected();
  it.say(create_request(1, "/a"));
  it.say(auth_request("kerberos", "x"));
  run();
  EXPECT_EQ(it.heard(), (Texts{"1 Ok", "-4 AuthFailed"}));
  EXPECT_TRUE(it.ended());
  EXPECT_EQ(hub_->view().auth_failed, 1U);
}

// What a client has proven travels with each of its requests, in one message between servers.
TEST_F(Order, NobodyProvesMoreThanFitsARequest) {
  Client& it = connected();
  const std::string half(limits::kIdentityBytesMax / 2, 'u');
  it.say(auth_request("digest", "1" + half + ":p"));
  it.say(auth_request("digest", "2" + half + ":p"));
  run();
  EXPECT_EQ(it.heard(), (Texts{"-4 Ok", "-4 AuthFailed"}));
  EXPECT_TRUE(it.ended());
}

// As ZooKeeper answers, whose path of it ends with the second slash.
TEST_F(Order, APathWithTwoSlashesIsNotThatWithOne) {
  Client& it = connected();
  ask(it, create_request(1, "/a"));
  EXPECT_EQ(ask(it, delete_request(2, "//a")), Texts{"2 NoNode"});
  EXPECT_EQ(ask(it, create_request(3, "//b")), Texts{"3 BadArguments"});
  EXPECT_EQ(ask(it, exists_request(4, "/a", false)), Texts{"4 Ok"});
}

TEST_F(Order, SaslIsRefusedWithAReply) {
  Client& it = connected();
  it.say(header(1, OpCode::kSasl).text("token"));
  run();
  EXPECT_EQ(it.heard(), Texts{"1 AuthFailed"});
  EXPECT_TRUE(it.ended());
}

TEST_F(Order, AFrameWithoutAHeaderEndsTheConnection) {
  for (const std::string frame : {"", "abc", "abcdefg"}) {
    Client& it = connected();
    it.say(frame);
    EXPECT_TRUE(it.ended()) << frame.size();
  }
}

TEST_F(Order, ABrokenRecordIsAnsweredAndTheConnectionGoesOn) {
  Client& it = connected();
  it.say(header(1, OpCode::kCreate).text("/a"));
  it.say(header(2, OpCode::kMulti).number(1).raw("\xff"));
  it.say(create_request(3, "/a"));
  run();
  EXPECT_EQ(it.heard(), (Texts{"1 Marshalling", "2 Marshalling", "3 Ok"}));
}

TEST_F(Order, WhatPrecedesCloseSessionIsAnsweredAndWhatFollowsIsNot) {
  Client& it = connected();
  it.say(create_request(1, "/e", CreateFlags::kEphemeral));
  it.say(exists_request(2, "/e"));
  it.say(close_request(3));
  it.say(create_request(4, "/late"));
  run();
  EXPECT_EQ(it.heard(), (Texts{"1 Ok", "2 Ok", "3 Ok"}));
  EXPECT_TRUE(it.ended());
  EXPECT_EQ(it.unsaid(), 1U);
  EXPECT_FALSE(exists("/e"));
  EXPECT_FALSE(exists("/late"));
  EXPECT_EQ(member_->tree().session_count(), 0U);
}

TEST_F(Order, NothingIsAnsweredBeforeItIsDurable) {
  Client& it = connected();
  it.say(create_request(1, "/a"));
  it.say(sync_request(2));
  turn();
  EXPECT_EQ(it.heard(), Texts{});
  finish_disk();
  EXPECT_EQ(it.heard().front(), "1 Ok");
}

TEST_F(Order, AMultiIsAnsweredForEachOfItsOperations) {
  Client& it = connected();
  const std::string multi = header(1, OpCode::kMulti)
                                .raw(bytes("00000001 00 ffffffff 00000002 '/m' 00000001 'x'"))
                                .raw(bytes(kOpenAcl))
                                .number(0)
                                .raw(bytes("00000005 00 ffffffff 00000002 '/m' 00000001 'y'"))
                                .number(0)
                                .raw(bytes("ffffffff 01 ffffffff"));
  it.say(multi);
  it.say(get_request(2, "/m"));
  run();
  const auto replies = it.replies();
  ASSERT_EQ(replies.size(), 2U);
  jute::Reader reader(replies[0].body);
  EXPECT_EQ(reader.read_int(), 1);
  EXPECT_FALSE(reader.read_bool());
  EXPECT_EQ(reader.read_int(), 0);
  EXPECT_EQ(reader.read_text(), "/m");
  EXPECT_EQ(reader.read_int(), 5);
  EXPECT_EQ(data_of(replies[1]), "y");
}

}  // namespace
}  // namespace zkfs::client_port
