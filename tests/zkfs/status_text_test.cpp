// SPDX-License-Identifier: Apache-2.0
#include "zkfs/status_text.h"

#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "zkfs/status_command.h"

namespace zkfs {
namespace {

StatusView follower() {
  StatusView view;
  view.member.self = ServerId(1);
  view.member.state = zab::PeerState::kFollowing;
  view.member.leader = ServerId(2);
  view.member.epoch = Epoch(3);
  view.member.last_applied = Zxid(Epoch(3), 7);
  view.member.last_logged = Zxid(Epoch(3), 8);
  view.member.in_quorum = true;
  view.member.znodes = 5;
  view.member.digest = 0xabc;
  view.peers = {{.id = ServerId(2), .address = "b:2888", .observer = false, .connected = true},
                {.id = ServerId(3), .address = "[::1]:2888", .observer = true, .connected = false}};
  return view;
}

TEST(StatusText, RoleIsLookingWithoutAQuorum) {
  StatusView view = follower();
  EXPECT_EQ(role_word(view), "follower");
  view.member.in_quorum = false;
  EXPECT_EQ(role_word(view), "looking");
}

TEST(StatusText, RoleNamesWhatTheServerIs) {
  StatusView view = follower();
  view.member.state = zab::PeerState::kLeading;
  EXPECT_EQ(role_word(view), "leader");
  view.standalone = true;
  EXPECT_EQ(role_word(view), "standalone");
  view.standalone = false;
  view.member.state = zab::PeerState::kObserving;
  EXPECT_EQ(role_word(view), "observer");
}

TEST(StatusText, SaysSinceWhenTheQuorumIsLost) {
  StatusView view = follower();
  view.member.in_quorum = false;
  view.member.quorum_lost_since = Millis(1'000);
  view.now = Millis(3'500);
  EXPECT_NE(status_text(view).find("quorum       no, for 2.5 s\n"), std::string::npos);
}

TEST(StatusText, ShowsZxidAsZooKeeperDoes) {
  EXPECT_NE(status_text(follower()).find("zxid         0x300000007\n"), std::string::npos);
}

TEST(StatusText, ListsPeers) {
  const std::string text = status_text(follower());
  EXPECT_NE(text.find("peers        1 of 2 connected\n"), std::string::npos);
  EXPECT_NE(text.find("  server.3   [::1]:2888 observer not connected\n"), std::string::npos);
}

TEST(StatusJson, IsOneObject) {
  EXPECT_EQ(status_json(follower()),
            R"({"role":"follower","server":1,"leader":2,"in_quorum":true,"quorum_lost_ms":0,)"
            R"("epoch":3,"zxid":"0x300000007","logged_zxid":"0x300000008","znodes":5,)"
            R"("data_bytes":0,"sessions":0,"pending_requests":0,"outstanding_proposals":0,)"
            R"("learners_in_sync":0,"digest":"0000000000000abc","peers":[)"
            R"({"server":2,"address":"b:2888","observer":false,"connected":true},)"
            R"({"server":3,"address":"[::1]:2888","observer":true,"connected":false}]})"
            "\n");
}

TEST(StatusJson, AnAddressIsEscapedAndOneThatIsNotUtf8DoesNotCostTheRest) {
  StatusView view = follower();
  view.peers[0].address = "a\xff\"";
  EXPECT_NE(status_json(view).find("\"address\":\"a\xef\xbf\xbd\\\"\""), std::string::npos)
      << status_json(view);
}

// --- ensemble/ ---

const mount::EnsembleMember& member_of(const std::vector<mount::EnsembleMember>& all,
                                       std::uint32_t id) {
  for (const auto& member : all) {
    if (member.id == ServerId(id)) return member;
  }
  ADD_FAILURE() << "no member " << id;
  return all.front();
}

TEST(Ensemble, OfItselfAServerKnowsEverything) {
  StatusView view = follower();
  view.address = "a:2888";
  const auto all = ensemble_members(view);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].address, "a:2888");
  EXPECT_EQ(all[0].role, "follower");
  EXPECT_EQ(all[0].state, "in_sync");
  EXPECT_EQ(all[0].zxid, "0x300000007");
}

TEST(Ensemble, AFollowerKnowsWhoLeadsAndWhoIsConnectedAndNoMore) {
  const auto all = ensemble_members(follower());
  EXPECT_EQ(member_of(all, 2).role, "leader");
  EXPECT_EQ(member_of(all, 2).state, "connected");
  EXPECT_EQ(member_of(all, 2).zxid, "");
  EXPECT_EQ(member_of(all, 2).latency_ms, "");
  EXPECT_EQ(member_of(all, 3).role, "observer");
  EXPECT_EQ(member_of(all, 3).state, "unreachable");
}

TEST(Ensemble, ALeaderKnowsItsLearners) {
  StatusView view = follower();
  view.member.state = zab::PeerState::kLeading;
  view.member.leader = ServerId(1);
  view.learners = {{.id = ServerId(2),
                    .observer = false,
                    .in_step = true,
                    .acked = Zxid(Epoch(3), 6),
                    .round_trip = std::chrono::microseconds(250)}};
  view.peers[1].connected = true;
  const auto all = ensemble_members(view);
  EXPECT_EQ(member_of(all, 2).role, "follower");
  EXPECT_EQ(member_of(all, 2).state, "in_sync");
  EXPECT_EQ(member_of(all, 2).zxid, "0x300000006");
  EXPECT_EQ(member_of(all, 2).latency_ms, "0.250");
  EXPECT_EQ(member_of(all, 3).state, "connected");
}

TEST(Ensemble, AParticipantThatNobodyHeardOfHasNoKnownRole) {
  StatusView view = follower();
  view.member.leader = ServerId(1);
  EXPECT_EQ(member_of(ensemble_members(view), 2).role, "unknown");
}

// --- metrics ---

TEST(Metrics, EverySampleBelongsToAFamily) {
  StatusView view = follower();
  view.learners = {{.id = ServerId(3), .observer = true, .acked = {}, .round_trip = Millis(2)}};
  Histogram appends;
  appends.add(Millis(1));
  std::istringstream lines(metrics_text(view, appends, {.resident_bytes = 1}));
  std::string family;
  int samples = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) family = line.substr(7, line.find(' ', 7) - 7);
    if (line.starts_with('#')) continue;
    ++samples;
    EXPECT_TRUE(line.starts_with(family)) << line << " after " << family;
    EXPECT_TRUE(line.starts_with("zkfs_")) << line;
  }
  EXPECT_GT(samples, 30);
}

TEST(Metrics, TellTheRoleAndTheQuorum) {
  StatusView view = follower();
  const std::string text = metrics_text(view, {}, {});
  EXPECT_NE(text.find("zkfs_role{role=\"follower\"} 1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("zkfs_role{role=\"leader\"} 0\n"), std::string::npos) << text;
  EXPECT_NE(text.find("zkfs_in_quorum 1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("zkfs_peer_connected{server=\"2\"} 1\n"), std::string::npos) << text;
}

TEST(Metrics, KnowTheProcess) {
  const ProcessFacts facts = process_facts(std::chrono::seconds(2));
  EXPECT_GT(facts.resident_bytes, 100'000U);
  EXPECT_GE(facts.open_descriptors, 3U);
  EXPECT_EQ(facts.uptime_seconds, 2.0);
}

TEST(StatusCommand, FindsMountsOfOursOnce) {
  EXPECT_EQ(zkfs_mounts(
                mount::parse_mountinfo("36 35 98:0 / /mnt rw,noatime master:1 - ext3 /dev/root rw\n"
                                       "37 35 0:50 / /tmp/a\\040b rw shared:2 - fuse.zkfs zkfs rw\n"
                                       "38 35 0:51 / /zk rw - fuse.zkfs zkfs rw\n"
                                       "39 35 0:51 / /zk rw - fuse.zkfs zkfs rw\n"
                                       "40 35 0:52 / /other rw - fuse.sshfs zkfs rw\n")),
            (std::vector<std::string>{"/tmp/a b", "/zk"}));
}

}  // namespace
}  // namespace zkfs
