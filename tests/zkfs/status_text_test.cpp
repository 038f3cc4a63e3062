// SPDX-License-Identifier: Apache-2.0
#include "zkfs/status_text.h"

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

TEST(StatusCommand, FindsMountsOfOursOnce) {
  EXPECT_EQ(zkfs_mounts("36 35 98:0 / /mnt rw,noatime master:1 - ext3 /dev/root rw\n"
                        "37 35 0:50 / /tmp/a\\040b rw shared:2 - fuse.zkfs zkfs rw\n"
                        "38 35 0:51 / /zk rw - fuse.zkfs zkfs rw\n"
                        "39 35 0:51 / /zk rw - fuse.zkfs zkfs rw\n"
                        "40 35 0:52 / /other rw - fuse.sshfs zkfs rw\n"),
            (std::vector<std::string>{"/tmp/a b", "/zk"}));
}

}  // namespace
}  // namespace zkfs
