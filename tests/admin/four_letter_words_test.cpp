// SPDX-License-Identifier: Apache-2.0
// Shapes as Debian's ZooKeeper 3.8.0 gave them (reference/zookeeper.md 7.2), and the ways in which
// clients and tools take them apart.
#include "ensemble/admin/four_letter_words.h"

#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/admin/fake_source.h"

namespace zkfs::admin {
namespace {

class FourLetterWords : public testing::Test {
 protected:
  std::string ask(std::string_view word, std::string_view rest = {}) {
    return answer(word, rest, source, Whitelist("*")).value_or("(no word)");
  }

  std::vector<std::string> lines(std::string_view word) {
    std::vector<std::string> all;
    std::istringstream text(ask(word));
    for (std::string line; std::getline(text, line);) all.push_back(line);
    return all;
  }

  FakeSource source;
};

constexpr std::string_view kAll[] = {"conf", "cons", "crst", "dirs", "dump", "envi",
                                     "gtmk", "hash", "isro", "mntr", "ruok", "srst",
                                     "srvr", "stat", "stmk", "wchc", "wchp", "wchs"};

TEST_F(FourLetterWords, AreKnownByTheirFourBytes) {
  for (const std::string_view word : kAll) EXPECT_TRUE(is_four_letter_word(word)) << word;
  for (const std::string_view other : {"ruo", "ruok\n", "RUOK", "xxxx", "", "lead"}) {
    EXPECT_FALSE(is_four_letter_word(other)) << other;
  }
  // A frame's length, and telnet's interrupt, which only closes.
  EXPECT_FALSE(is_four_letter_word(std::string_view("\0\0\0\x2d", 4)));
  EXPECT_FALSE(is_four_letter_word("\xff\xf4\xff\xfd"));
}

TEST_F(FourLetterWords, WhatIsNoWordHasNoAnswer) {
  EXPECT_EQ(answer("nope", {}, source, Whitelist("*")), std::nullopt);
}

TEST_F(FourLetterWords, OnlySrvrIsAllowedUnlessConfigured) {
  const Whitelist whitelist;
  for (const std::string_view word : kAll) {
    const std::string text = answer(word, {}, source, whitelist).value();
    if (word == "srvr") {
      EXPECT_TRUE(text.starts_with("Zookeeper version: ")) << text;
    } else {
      EXPECT_EQ(text,
                fmt::format("{} is not executed because it is not in the whitelist.\n", word));
    }
  }
}

TEST_F(FourLetterWords, IsroIsAllowedWhereServersMayServeReadOnly) {
  EXPECT_FALSE(Whitelist("").allows("isro"));
  EXPECT_TRUE(Whitelist("", true).allows("isro"));
}

TEST_F(FourLetterWords, TheWhitelistIsSplitAtCommas) {
  const Whitelist some(" stat, ruok ,,");
  EXPECT_TRUE(some.allows("stat"));
  EXPECT_TRUE(some.allows("ruok"));
  EXPECT_TRUE(some.allows("srvr"));
  EXPECT_FALSE(some.allows("mntr"));
  EXPECT_TRUE(Whitelist("stat, *").allows("mntr"));
}

TEST_F(FourLetterWords, RuokAndIsroEndWithoutALineFeed) {
  EXPECT_EQ(ask("ruok"), "imok");
  EXPECT_EQ(ask("ruok", "\n"), "imok");
  EXPECT_EQ(ask("isro"), "rw");
  source.lose_quorum();
  EXPECT_EQ(ask("isro"), "null");
  source.client_port.read_only = true;
  EXPECT_EQ(ask("isro"), "ro");
}

TEST_F(FourLetterWords, AServerThatDoesNotServeSaysSoButForFive) {
  source.lose_quorum();
  for (const std::string_view word : kAll) {
    const bool answers =
        word == "ruok" || word == "isro" || word == "gtmk" || word == "stmk" || word == "envi";
    EXPECT_EQ(ask(word) != "This ZooKeeper instance is not currently serving requests\n", answers)
        << word;
  }
  EXPECT_EQ(ask("ruok"), "imok");
}

TEST_F(FourLetterWords, SrvrIsZooKeepersToTheByte) {
  EXPECT_EQ(ask("srvr"),
            "Zookeeper version: 3.9.3-zkfs-0.1.0, built on 2026-11-21 18:00 UTC\n"
            "Latency min/avg/max: 0/3.3333/9\n"
            "Received: 10\n"
            "Sent: 9\n"
            "Connections: 1\n"
            "Outstanding: 0\n"
            "Zxid: 0x100000004\n"
            "Mode: standalone\n" +
                fmt::format("Node count: {}\n", source.znodes.node_count()));
}

TEST_F(FourLetterWords, ALeaderTellsTheSizesOfItsProposals) {
  source.lead();
  EXPECT_EQ(lines("srvr").back(), "Proposal sizes last/min/max: -1/-1/-1");
  source.proposals = ProposalSizes{87, 48, 90};
  EXPECT_EQ(lines("srvr").back(), "Proposal sizes last/min/max: 87/48/90");
  source.member.state = zab::PeerState::kFollowing;
  EXPECT_TRUE(lines("srvr").back().starts_with("Node count: "));
}

TEST_F(FourLetterWords, AReadOnlyServerSaysSoInItsSecondLine) {
  source.lose_quorum();
  source.client_port.read_only = true;
  EXPECT_EQ(lines("srvr")[1], "READ-ONLY mode; serving only read-only clients");
  EXPECT_EQ(lines("stat")[1], "READ-ONLY mode; serving only read-only clients");
  EXPECT_NE(ask("srvr").find("\nMode: read-only\n"), std::string::npos);
}

// FourLetterWordsTest.validateStatsOutput of ZooKeeper.
TEST_F(FourLetterWords, StatPassesTheTestOfZooKeeper) {
  source.clients = two_connections();
  const std::vector<std::string> all = lines("stat");
  const std::vector<std::regex> head{
      std::regex(R"(^.*\s\d+\.\d+\.\d+-.*$)"),
      std::regex(R"(^Clients:$)"),
      std::regex(R"(^ /127\.0\.0\.1:\d+\[\d+\]\(queued=\d+,recved=\d+,sent=\d+\)$)"),
      std::regex(R"(^ /\[::1\]:\d+\[\d+\]\(queued=\d+,recved=\d+,sent=\d+\)$)"),
      std::regex(R"(^$)"),
      std::regex(R"(^Latency min/avg/max: \d+/-?[0-9]*.?[0-9]*/\d+$)"),
      std::regex(R"(^Received: \d+$)"),
      std::regex(R"(^Sent: \d+$)"),
      std::regex(R"(^Connections: \d+$)"),
      std::regex(R"(^Outstanding: \d+$)"),
      std::regex(R"(^Zxid: 0x[\da-fA-F]+$)"),
      std::regex(R"(^Mode: .*$)"),
      std::regex(R"(^Node count: \d+$)")};
  ASSERT_EQ(all.size(), head.size());
  for (std::size_t i = 0; i < head.size(); ++i) {
    EXPECT_TRUE(std::regex_match(all[i], head[i])) << all[i];
  }
}

TEST_F(FourLetterWords, ConsTellsAllOfAConnectionThatHasASession) {
  source.clients = two_connections();
  EXPECT_EQ(ask("cons"),
            " /127.0.0.1:53280[1](queued=0,recved=4,sent=4,sid=0x100017f8f050000,lop=GETD,"
            "est=1795287669472,to=10000,lcxid=0x3,lzxid=0xad,lresp=1795287669490,llat=1,minlat=0,"
            "avglat=3,maxlat=7)\n"
            " /[::1]:53281[1](queued=0,recved=1,sent=0)\n"
            "\n");
}

TEST_F(FourLetterWords, ConsOfASessionThatAskedNothingHasNoCxid) {
  source.clients = two_connections();
  source.clients.pop_back();
  source.clients[0].last_cxid = source.clients[0].last_zxid = -1;
  source.clients[0].last_operation = "NA";
  EXPECT_NE(ask("cons").find(",lop=NA,est=1795287669472,to=10000,lzxid=0xffffffffffffffff,lresp="),
            std::string::npos);
}

TEST_F(FourLetterWords, ConfOfAStandaloneServer) {
  EXPECT_EQ(ask("conf"),
            "clientPort=2181\nsecureClientPort=-1\ndataDir=/var/lib/zkfs/version-2\n"
            "dataDirSize=67109337\ndataLogDir=/var/log/zkfs/version-2\ndataLogSize=67109338\n"
            "tickTime=2000\nmaxClientCnxns=60\nminSessionTimeout=4000\nmaxSessionTimeout=40000\n"
            "clientPortListenBacklog=-1\nserverId=0\n");
}

TEST_F(FourLetterWords, ConfOfAnEnsembleEndsWithItsMembers) {
  source.lead();
  const std::string text = ask("conf");
  const std::string tail =
      "serverId=3\ninitLimit=10\nsyncLimit=5\nelectionAlg=3\nelectionPort=3888\nquorumPort=2888\n"
      "peerType=0\nmembership: \nserver.1=a:2888:3888:participant\nversion=100000000";
  EXPECT_TRUE(text.ends_with(tail)) << text;
}

TEST_F(FourLetterWords, MntrIsLinesOfKeyTabulatorValue) {
  source.lead();
  const std::vector<std::string> all = lines("mntr");
  ASSERT_GT(all.size(), 20U);
  EXPECT_EQ(all[0], "zk_version\t3.9.3-zkfs-0.1.0, built on 2026-11-21 18:00 UTC");
  EXPECT_EQ(all[1], "zk_server_state\tleader");
  EXPECT_EQ(all[2], "zk_peer_state\tleading - broadcast");
  for (std::size_t i = 3; i < all.size(); ++i) {
    EXPECT_TRUE(std::regex_match(all[i], std::regex(R"(zk_[a-z0-9_]+\t-?\d+(\.\d+)?)"))) << all[i];
  }
}

TEST_F(FourLetterWords, DumpOfALeaderTellsWhenSessionsExpire) {
  source.add_ephemeral();
  source.expiries = {{1'795'287'680'000, {FakeSource::kSession}}};
  source.clients = two_connections();
  EXPECT_EQ(ask("dump"),
            "SessionTracker dump:\n"
            "Session Sets (1)/(1):\n"
            "1 expire at Sat Nov 21 19:01:20 UTC 2026:\n"
            "\t0x100017f8f050000\n"
            "ephemeral nodes dump:\n"
            "Sessions with Ephemerals (1):\n"
            "0x100017f8f050000:\n"
            "\t/e\n"
            "Connections dump:\n"
            "Connections Sets (2)/(2):\n"
            "1 expire at Sat Nov 21 19:01:20 UTC 2026:\n"
            "\tip: /127.0.0.1:53280 sessionId: 0x100017f8f050000\n"
            "1 expire at Sat Nov 21 19:01:50 UTC 2026:\n"
            "\tip: /[::1]:53281 sessionId: 0x0\n");
}

TEST_F(FourLetterWords, DumpOfALearnerTellsSessionsAndTimeouts) {
  source.lead();
  source.member.state = zab::PeerState::kFollowing;
  source.add_ephemeral();
  EXPECT_TRUE(
      ask("dump").starts_with("SessionTracker dump:\nGlobal Sessions(1):\n"
                              "0x100017f8f050000\t10000ms\nephemeral nodes dump:\n"));
}

// Client.server_version of kazoo.
TEST_F(FourLetterWords, EnviIsReadByKazoo) {
  std::smatch match;
  const std::string text = ask("envi");
  ASSERT_TRUE(
      std::regex_search(text, match, std::regex(R"(zookeeper\.version=(\d+\.\d+\.\d+).*)")));
  EXPECT_EQ(match[1], "3.9.3");
  // One recv of 8192 bytes.
  EXPECT_LT(text.size(), 8192U);
}

// FourLetterWordsTest.validateEnvi... of ZooKeeper, with the keys of 3.8.0 in their order.
TEST_F(FourLetterWords, EnviHasTheKeysOfZooKeeper) {
  const std::vector<std::string> all = lines("envi");
  const std::vector<std::string> keys{
      "Environment:",    "zookeeper.version=", "host.name=",       "java.version=",
      "java.vendor=",    "java.home=",         "java.class.path=", "java.library.path=",
      "java.io.tmpdir=", "java.compiler=",     "os.name=",         "os.arch=",
      "os.version=",     "user.name=",         "user.home=",       "user.dir=",
      "os.memory.free=", "os.memory.max=",     "os.memory.total="};
  ASSERT_EQ(all.size(), keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) EXPECT_TRUE(all[i].starts_with(keys[i])) << all[i];
  EXPECT_TRUE(std::regex_match(all.back(), std::regex(R"(os\.memory\.total=[1-9]\d*MB)")));
}

TEST_F(FourLetterWords, WatchesByCountBySessionAndByPath) {
  EXPECT_EQ(ask("wchs"), "0 connections watching 0 paths\nTotal watches:0\n");
  EXPECT_EQ(ask("wchc"), "\n");
  EXPECT_EQ(ask("wchp"), "\n");
  source.by_session = {{FakeSource::kSession, {"/a", "/q/r"}}};
  source.by_path = {{"/a", {FakeSource::kSession}}, {"/q/r", {FakeSource::kSession}}};
  EXPECT_EQ(ask("wchs"), "1 connections watching 2 paths\nTotal watches:2\n");
  EXPECT_EQ(ask("wchc"), "0x100017f8f050000\n\t/a\n\t/q/r\n\n");
  EXPECT_EQ(ask("wchp"), "/a\n\t0x100017f8f050000\n/q/r\n\t0x100017f8f050000\n\n");
}

TEST_F(FourLetterWords, ResetsResetAndSaySo) {
  EXPECT_EQ(ask("crst"), "Connection stats reset.\n");
  EXPECT_EQ(source.connection_resets, 1);
  EXPECT_EQ(ask("srst"), "Server stats reset.\n");
  EXPECT_EQ(source.port_resets, 1);
}

TEST_F(FourLetterWords, WhatIsNotAllowedResetsNothing) {
  static_cast<void>(answer("crst", {}, source, Whitelist()));
  source.lose_quorum();
  static_cast<void>(ask("srst"));
  EXPECT_EQ(source.connection_resets + source.port_resets, 0);
}

TEST_F(FourLetterWords, Dirs) {
  EXPECT_EQ(ask("dirs"), "datadir_size: 67109337\nlogdir_size: 67109338\n");
}

TEST_F(FourLetterWords, HashIsTheDigestOfTheNewestTxn) {
  source.member.digest = 12;
  EXPECT_EQ(ask("hash"), "100000004: 12\n");
}

TEST_F(FourLetterWords, TraceMasks) {
  EXPECT_EQ(ask("gtmk"), "306");
  EXPECT_EQ(ask("stmk", std::string_view("\0\0\0\0\0\0\1\1", 8)), "257");
  EXPECT_EQ(ask("stmk", "\1"), "306");
}

}  // namespace
}  // namespace zkfs::admin
