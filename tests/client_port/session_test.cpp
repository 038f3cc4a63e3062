// SPDX-License-Identifier: Apache-2.0
// The handshake, and what becomes of sessions whose connections end, move or fall silent.
#include "tests/client_port/hub_fixture.h"

namespace zkfs::client_port {
namespace {

class SessionsOfClients : public HubTest {
 protected:
  // What a client gets that says `hello`.
  std::optional<Welcome> greet(const Hello& hello) {
    Client& it = client();
    it.say(connect_request(hello));
    run();
    return it.welcome();
  }

  static bool is_refusal(const std::optional<Welcome>& welcome) {
    return welcome && welcome->timeout_ms == 0 && !welcome->session &&
           welcome->password == std::string(kPasswordBytes, '\0');
  }
};

TEST_F(SessionsOfClients, ANewSessionHasAnIdAPasswordAndItsTimeout) {
  const auto welcome = greet({.timeout_ms = 10'000});
  ASSERT_TRUE(welcome);
  EXPECT_EQ(welcome->timeout_ms, 10'000);
  EXPECT_EQ(welcome->session.value >> 56U, 1U);
  EXPECT_EQ(welcome->password.size(), kPasswordBytes);
  EXPECT_EQ(welcome->read_only, std::optional(false));
  EXPECT_TRUE(member_->tree().find_session(welcome->session));
}

TEST_F(SessionsOfClients, TheTimeoutIsBroughtWithinItsBounds) {
  EXPECT_EQ(greet({.timeout_ms = 1})->timeout_ms, 4'000);
  EXPECT_EQ(greet({.timeout_ms = -1})->timeout_ms, 4'000);
  EXPECT_EQ(greet({.timeout_ms = INT32_MAX})->timeout_ms, 40'000);
}

TEST_F(SessionsOfClients, AClientThatSentNoReadOnlyByteIsSentNone) {
  EXPECT_EQ(greet({.read_only = {}})->read_only, std::nullopt);
  Hello unknown{.session = SessionId{77}, .read_only = {}};
  EXPECT_EQ(greet(unknown)->read_only, std::nullopt);
}

TEST_F(SessionsOfClients, TheAnswerWaitsUntilTheSessionIsDurable) {
  Client& it = client();
  it.say(connect_request());
  it.say(ping_request());
  turn();
  EXPECT_FALSE(it.welcome());
  EXPECT_EQ(it.unsaid(), 1U);
  finish_disk();
  EXPECT_TRUE(it.welcome());
  EXPECT_EQ(it.heard(), Texts{"-2 Ok"});
}

TEST_F(SessionsOfClients, HalfAConnectRequestEndsTheConnection) {
  Client& it = client();
  it.say("\0\0\0\0\0\0");
  EXPECT_TRUE(it.ended());
  EXPECT_FALSE(it.welcome());
}

TEST_F(SessionsOfClients, WhoHasSeenMoreThanThisServerIsSentAwaySilently) {
  connected();
  const auto last = static_cast<std::int64_t>(member_->tree().last_applied().value);
  Client& ahead = client();
  ahead.say(connect_request({.last_zxid_seen = last + 1}));
  run();
  EXPECT_TRUE(ahead.ended());
  EXPECT_FALSE(ahead.welcome());
  EXPECT_TRUE(greet({.last_zxid_seen = last}));
}

TEST_F(SessionsOfClients, AnUnknownSessionIsRefusedWithAnAnswer) {
  Client& it = client();
  it.say(connect_request({.session = SessionId{0x0100'0000'0000'0077}}));
  run();
  EXPECT_TRUE(is_refusal(it.welcome()));
  EXPECT_TRUE(it.ended());
}

TEST_F(SessionsOfClients, AWrongPasswordIsRefusedAndDoesNotDisturbTheOwner) {
  Client& owner = connected();
  for (const std::string& wrong : {std::string(16, 'x'), std::string(), std::string(17, 'a')}) {
    Hello hello = again();
    hello.password = wrong;
    EXPECT_TRUE(is_refusal(greet(hello)));
  }
  EXPECT_EQ(ask(owner, create_request(1, "/a")), Texts{"1 Ok"});
}

TEST_F(SessionsOfClients, ASessionOfTheMountCannotBeTakenOver) {
  const SessionId mount = member_->open_session(
      4'000, "mount", [](const tree::Outcome&) {}, [] { FAIL() << "lost"; });
  // Not in the tree yet, and then in it.
  Client& early = client();
  early.say(connect_request({.session = mount, .password = ""}));
  run();
  EXPECT_TRUE(early.ended());
  EXPECT_TRUE(is_refusal(greet({.session = mount, .password = ""})));
  EXPECT_TRUE(is_refusal(greet({.session = mount})));
  EXPECT_TRUE(member_->tree().find_session(mount));
}

TEST_F(SessionsOfClients, AClientThatComesAgainHasItsSessionAndTheOldConnectionEnds) {
  Client& before = connected();
  ask(before, create_request(1, "/e", CreateFlags::kEphemeral));
  const auto welcome = greet(again());
  ASSERT_TRUE(welcome);
  EXPECT_EQ(welcome->session, welcome_.session);
  EXPECT_EQ(welcome->password, welcome_.password);
  EXPECT_TRUE(before.ended());
  pass(30'000);
  // Nobody said anything since.
  EXPECT_FALSE(exists("/e"));
}

TEST_F(SessionsOfClients, WhatWasSentBeforeTheMoveIsAppliedBeforeItAndToldNobody) {
  Client& before = connected();
  before.say(create_request(1, "/old"));
  turn();
  Client& after = client();
  after.say(connect_request(again()));
  after.say(exists_request(1, "/old"));
  run();
  EXPECT_EQ(before.heard(), Texts{});
  ASSERT_TRUE(after.welcome());
  EXPECT_EQ(after.heard(), Texts{"1 Ok"});
}

TEST_F(SessionsOfClients, TheTimeoutOfTheNewConnectionCounts) {
  Client& before = connected();
  before.vanish();
  Hello hello = again();
  hello.timeout_ms = 20'000;
  EXPECT_EQ(greet(hello)->timeout_ms, 20'000);
  pass(15'000);
  EXPECT_TRUE(member_->tree().find_session(welcome_.session));
  pass(10'000);
  EXPECT_FALSE(member_->tree().find_session(welcome_.session));
}

TEST_F(SessionsOfClients, ASessionOutlivesItsConnectionByItsTimeout) {
  Client& it = connected();
  ask(it, create_request(1, "/e", CreateFlags::kEphemeral));
  it.vanish();
  pass(9'000);
  EXPECT_TRUE(exists("/e"));
  pass(3'000);
  EXPECT_FALSE(exists("/e"));
  EXPECT_TRUE(is_refusal(greet(again())));
}

TEST_F(SessionsOfClients, PingsKeepASession) {
  Client& it = connected();
  for (int i = 0; i < 20; ++i) {
    pass(3'000);
    ASSERT_EQ(ask(it, ping_request()), Texts{"-2 Ok"});
  }
}

TEST_F(SessionsOfClients, ASilentClientIsExpiredAndItsConnectionEnds) {
  Client& it = connected();
  pass(12'000);
  EXPECT_TRUE(it.ended());
  EXPECT_EQ(member_->tree().session_count(), 0U);
}

TEST_F(SessionsOfClients, ASessionThatAnotherClosesEndsItsConnection) {
  Client& it = connected();
  member_->detach_session(it.conversation().session());
  EXPECT_EQ(ask(it, create_request(1, "/a")), Texts{});
  EXPECT_TRUE(it.ended());
  EXPECT_FALSE(exists("/a"));
}

TEST_F(SessionsOfClients, ASessionLivesOnWhenItsServerIsStartedAgain) {
  Client& before = connected();
  ask(before, create_request(1, "/e", CreateFlags::kEphemeral));
  restart();
  EXPECT_EQ(greet(again())->session, welcome_.session);
  EXPECT_TRUE(exists("/e"));
}

// What the ensemble remembers of the session's requests is told apart from what is asked now.
TEST_F(SessionsOfClients, RequestsAreNumberedOnAfterARestart) {
  connected();
  for (int round = 1; round <= 3; ++round) {
    restart();
    Client& it = client();
    it.say(connect_request(again()));
    run();
    ASSERT_TRUE(it.welcome()->session);
    EXPECT_EQ(member_->tree().attachment_of(welcome_.session), static_cast<unsigned>(round));
    const std::string path = "/n" + std::to_string(round);
    it.say(create_request(1, path));
    it.say(create_request(2, path));
    run();
    EXPECT_EQ(it.heard(), (Texts{"1 Ok", "2 NodeExists"}));
  }
}

TEST_F(SessionsOfClients, AClientThatVanishesWhileItsSessionOpensLeavesOneThatExpires) {
  Client& it = client();
  it.say(connect_request());
  turn();
  it.vanish();
  run();
  EXPECT_EQ(member_->tree().session_count(), 1U);
  pass(12'000);
  EXPECT_EQ(member_->tree().session_count(), 0U);
}

TEST_F(SessionsOfClients, AClientThatVanishesIsForgottenWithAllItAsked) {
  Client& it = connected();
  it.say(create_request(1, "/a"));
  it.say(get_request(2, "/a", true));
  it.say(sync_request(3));
  it.vanish();
  clients_.clear();
  run();
  EXPECT_EQ(hub_->view().outstanding, 0U);
  EXPECT_EQ(hub_->view().connections, 0U);
  EXPECT_TRUE(hub_->watches().empty());
}

// What was decided waits for the end of the turn to be told.
TEST_F(SessionsOfClients, ARefusalOnItsWayToAClientThatIsGoneIsDropped) {
  connected();
  member_->detach_session(clients_.back()->conversation().session());
  clients_.back()->say(create_request(1, "/a"));
  clients_.clear();
  run();
  EXPECT_EQ(hub_->view().outstanding, 0U);
}

TEST_F(SessionsOfClients, AnIdThatIsUsedAgainHearsNothingOfItsFormerOwners) {
  Client& first = connected();
  ask(first, exists_request(1, "/a", true));
  const auto id = first.conversation().id();
  clients_.clear();
  Client& second = connected();
  ASSERT_EQ(second.conversation().id(), id);
  EXPECT_EQ(ask(second, create_request(1, "/a")), Texts{"1 Ok"});
}

// --- the quorum ---

TEST_F(SessionsOfClients, WithoutAQuorumNobodyIsLetIn) {
  door_->lose_quorum(now().monotonic);
  Client& it = client();
  it.say(connect_request());
  run();
  EXPECT_TRUE(it.ended());
  EXPECT_FALSE(it.welcome());
}

TEST_F(SessionsOfClients, AnElectionIsNotNoticedButForTheWait) {
  Client& it = connected();
  door_->lose_quorum(now().monotonic);
  it.say(create_request(1, "/a"));
  it.say(exists_request(2, "/a"));
  pass(900);
  EXPECT_EQ(it.unsaid(), 2U);
  door_->regain_quorum();
  run();
  EXPECT_EQ(it.heard(), (Texts{"1 Ok", "2 Ok"}));
}

TEST_F(SessionsOfClients, WhoWaitsLongerThanTheGraceIsSentAway) {
  Client& it = connected();
  door_->lose_quorum(now().monotonic);
  pass(900);
  EXPECT_FALSE(it.ended());
  pass(300);
  EXPECT_TRUE(it.ended());
  door_->regain_quorum();
  EXPECT_EQ(greet(again())->session, welcome_.session);
}

TEST_F(SessionsOfClients, AReplacedTreeEndsEveryConnectionAndNoSession) {
  Client& it = connected();
  ask(it, exists_request(1, "/a", true));
  door_->replace_tree();
  run();
  EXPECT_TRUE(it.ended());
  EXPECT_TRUE(greet(again())->session);
}

TEST_F(SessionsOfClients, AStoppingMemberEndsWhoWaits) {
  Client& it = connected();
  it.say(create_request(1, "/a"));
  it.say(exists_request(2, "/a"));
  it.say(create_request(3, "/b"));
  member_->stop();
  EXPECT_TRUE(it.ended());
  EXPECT_EQ(it.heard(), Texts{});
  EXPECT_EQ(hub_->view().outstanding, 0U);
}

// --- read-only mode ---

class ReadOnly : public SessionsOfClients {
 protected:
  ReadOnly() {
    settings_.read_only_enabled = true;
    rebuild();
    Client& it = connected();
    ask(it, create_request(1, "/a", 0, "v"));
    session_ = again();
    door_->lose_quorum(now().monotonic);
  }

  void rebuild() {
    hub_ = std::make_unique<Hub>(
        *door_, settings_, [this] { return now(); },
        [](std::size_t count) { return std::string(count, 'r'); });
  }

  Hello session_;
};

TEST_F(ReadOnly, BeginsTwoSecondsAfterTheQuorumIsLost) {
  pass(1'900);
  EXPECT_FALSE(greet({.read_only = true}));
  pass(200);
  const auto welcome = greet({.read_only = true});
  ASSERT_TRUE(welcome);
  EXPECT_EQ(welcome->read_only, std::optional(true));
  EXPECT_TRUE(hub_->view().read_only);
}

TEST_F(ReadOnly, OnlyThoseWhoAskForItAreServed) {
  pass(2'500);
  EXPECT_FALSE(greet({.read_only = false}));
  EXPECT_FALSE(greet({.read_only = {}}));
}

TEST_F(ReadOnly, ASessionOfTheEnsembleIsNotDeclaredDead) {
  pass(2'500);
  session_.read_only = true;
  EXPECT_FALSE(greet(session_));
}

TEST_F(ReadOnly, ReadsAreAnsweredAndWritesRefused) {
  pass(2'500);
  Client& it = client();
  it.say(connect_request({.read_only = true}));
  ASSERT_TRUE(it.welcome());
  it.say(get_request(1, "/a"));
  it.say(create_request(2, "/b"));
  it.say(set_request(3, "/a", "x"));
  it.say(delete_request(4, "/a"));
  it.say(sync_request(5));
  it.say(ping_request());
  run();
  EXPECT_EQ(it.heard(), (Texts{"1 Ok", "2 NotReadOnly", "3 NotReadOnly", "4 NotReadOnly",
                               "5 NotReadOnly", "-2 Ok"}));
  it.say(close_request(6));
  EXPECT_EQ(it.heard(), Texts{"6 Ok"});
  EXPECT_TRUE(it.ended());
}

TEST_F(ReadOnly, EndsWithTheQuorumsReturnAndSoDoItsSessions) {
  pass(2'500);
  Client& it = client();
  it.say(connect_request({.read_only = true}));
  const auto welcome = it.welcome();
  ASSERT_TRUE(welcome);
  door_->regain_quorum();
  EXPECT_TRUE(it.ended());
  EXPECT_FALSE(hub_->view().read_only);
  EXPECT_TRUE(is_refusal(
      greet({.session = welcome->session, .password = welcome->password, .read_only = true})));
  EXPECT_EQ(greet(session_)->session, session_.session);
}

// --- sessions of this server alone ---

class LocalSessions : public SessionsOfClients {
 protected:
  LocalSessions() {
    settings_.local_sessions = true;
    rebuild();
  }

  void rebuild() {
    hub_ = std::make_unique<Hub>(
        *door_, settings_, [this] { return now(); },
        [this](std::size_t count) { return std::string(count, static_cast<char>('A' + made_++)); });
  }

  int made_ = 0;
};

TEST_F(LocalSessions, AreNotOfTheEnsemble) {
  connected();
  EXPECT_FALSE(member_->tree().find_session(welcome_.session));
  EXPECT_EQ(hub_->view().local_sessions, 1U);
}

TEST_F(LocalSessions, WriteFromTheirFirstMoment) {
  Client& it = connected();
  it.say(create_request(1, "/a"));
  it.say(exists_request(2, "/a"));
  run();
  EXPECT_EQ(it.heard(), (Texts{"1 Ok", "2 Ok"}));
}

TEST_F(LocalSessions, MayOwnNoEphemerals) {
  Client& it = connected();
  EXPECT_EQ(ask(it, create_request(1, "/e", CreateFlags::kEphemeral)),
            Texts{"1 EphemeralOnLocalSession"});
}

TEST_F(LocalSessions, AreResumedWithTheirPasswordOnly) {
  Client& before = connected();
  before.vanish();
  Hello wrong = again();
  wrong.password = std::string(16, 'z');
  EXPECT_TRUE(is_refusal(greet(wrong)));
  EXPECT_EQ(greet(again())->session, welcome_.session);
}

TEST_F(LocalSessions, EndWithTheirTimeout) {
  Client& it = connected();
  pass(9'000);
  EXPECT_EQ(ask(it, ping_request()), Texts{"-2 Ok"});
  pass(9'000);
  EXPECT_EQ(hub_->view().local_sessions, 1U);
  pass(2'000);
  EXPECT_TRUE(it.ended());
  EXPECT_EQ(hub_->view().local_sessions, 0U);
}

TEST_F(LocalSessions, EndWhenTheirClientClosesThem) {
  Client& it = connected();
  it.say(create_request(1, "/a"));
  it.say(close_request(2));
  run();
  EXPECT_EQ(it.heard(), (Texts{"1 Ok", "2 Ok"}));
  EXPECT_TRUE(it.ended());
  EXPECT_TRUE(is_refusal(greet(again())));
}

TEST_F(LocalSessions, OneThatIsGoneHasItsWriteDoneAndToldNobody) {
  Client& it = connected();
  it.say(create_request(1, "/a"));
  turn();
  it.vanish();
  clients_.clear();
  run();
  EXPECT_TRUE(exists("/a"));
}

class UpgradedSessions : public LocalSessions {
 protected:
  UpgradedSessions() {
    settings_.local_sessions_upgrading = true;
    rebuild();
  }
};

TEST_F(UpgradedSessions, BecomeTheEnsemblesWithTheirFirstEphemeral) {
  Client& it = connected();
  it.say(create_request(1, "/a"));
  it.say(create_request(2, "/e", CreateFlags::kEphemeral));
  it.say(exists_request(3, "/e"));
  run();
  EXPECT_EQ(it.heard(), (Texts{"1 Ok", "2 Ok", "3 Ok"}));
  EXPECT_TRUE(member_->tree().find_session(welcome_.session));
  EXPECT_EQ(hub_->view().local_sessions, 0U);
  it.vanish();
  EXPECT_EQ(greet(again())->session, welcome_.session);
  EXPECT_TRUE(exists("/e"));
}

TEST_F(UpgradedSessions, AClientThatVanishesWhileItIsUpgradedDisturbsNobody) {
  Client& it = connected();
  it.say(create_request(1, "/e", CreateFlags::kEphemeral));
  turn();
  clients_.clear();
  run();
  EXPECT_FALSE(exists("/e"));
  pass(15'000);
  EXPECT_EQ(hub_->view().local_sessions, 0U);
  EXPECT_FALSE(member_->tree().find_session(welcome_.session));
}

}  // namespace
}  // namespace zkfs::client_port
