// SPDX-License-Identifier: Apache-2.0
// The control directory where three nodes matter (contract section 9).
#include <gtest/gtest.h>

#include "tests/system/cluster.h"

namespace zkfs::testing {
namespace {

class Control : public ::testing::Test {
 protected:
  void SetUp() override { ZKFS_NEEDS_FUSE(); }

  // A file of .zkfs, without the newline.
  std::string value(int node, const std::string& path) {
    std::string text = read_file(cluster_->mnt(node, ".zkfs/" + path));
    if (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }

  std::string of(int node, int member, const std::string& file) {
    return value(node, "ensemble/" + std::to_string(member) + "/" + file);
  }

  std::unique_ptr<Cluster> cluster_ =
      fuse_available() ? std::make_unique<Cluster>(Cluster::Options{.nodes = 3, .observers = 1})
                       : nullptr;
};

TEST_F(Control, ALeaderKnowsWhereItsLearnersAreAndHowLongTheyTake) {
  const int leader = cluster_->await_leader();
  ASSERT_EQ(write_file(cluster_->mnt(leader, "f"), "x"), 0);
  for (int member = 1; member <= 4; ++member) {
    EXPECT_TRUE(eventually([&] { return of(leader, member, "state") == "in_sync"; })) << member;
    EXPECT_TRUE(eventually([&] { return !of(leader, member, "latency_ms").empty(); })) << member;
    EXPECT_LT(std::stod(of(leader, member, "latency_ms")), 10'000) << member;
    EXPECT_EQ(of(leader, member, "role"), member == leader ? "leader"
                                          : member == 4    ? "observer"
                                                           : "follower");
    // An observer acknowledges nothing after it was brought up.
    EXPECT_TRUE(member == 4 ||
                eventually([&] { return of(leader, member, "zxid") == value(leader, "zxid"); }))
        << member << ": " << of(leader, member, "zxid");
    EXPECT_TRUE(of(leader, member, "address").starts_with("127.0.0.1:"));
  }
}

TEST_F(Control, AFollowerKnowsItselfAndWhoLeads) {
  const int leader = cluster_->await_leader();
  const int follower = cluster_->follower();
  EXPECT_EQ(of(follower, follower, "role"), "follower");
  EXPECT_EQ(of(follower, leader, "role"), "leader");
  EXPECT_EQ(of(follower, leader, "state"), "connected");
  EXPECT_EQ(of(follower, leader, "latency_ms"), "");
  EXPECT_EQ(value(follower, "leader"), std::to_string(leader));
}

TEST_F(Control, ADeadMemberIsUnreachable) {
  const int leader = cluster_->await_leader();
  const int dead = cluster_->follower();
  cluster_->kill(dead);
  EXPECT_TRUE(eventually([&] { return of(leader, dead, "state") == "unreachable"; }));
}

TEST_F(Control, EveryNodeShowsTheSessionsOfAll) {
  for (int node = 1; node <= 4; ++node) {
    ASSERT_TRUE(cluster_->sync(node));
    const auto listed = run("cat " + cluster_->mnt(node) + "/.zkfs/sessions/*/owner | sort");
    for (int owner = 1; owner <= 4; ++owner) {
      const std::string line = "node " + std::to_string(owner) + " mount " + cluster_->mnt(owner);
      EXPECT_NE(listed.output.find(line), std::string::npos) << listed.output;
    }
  }
}

TEST_F(Control, MetricsAndConfigurationAreTheNodesOwn) {
  const int leader = cluster_->await_leader();
  ASSERT_EQ(write_file(cluster_->mnt(leader, "f"), "x"), 0);
  // There is one once a heartbeat of this leadership was answered.
  EXPECT_TRUE(eventually([&] {
    return value(leader, "metrics").find("zkfs_heartbeat_seconds{server=\"") != std::string::npos;
  }));
  const std::string metrics = value(leader, "metrics");
  EXPECT_NE(metrics.find("zkfs_role{role=\"leader\"} 1\n"), std::string::npos) << metrics;
  EXPECT_EQ(metrics.find("zkfs_log_append_seconds_count 0\n"), std::string::npos) << metrics;
  EXPECT_EQ(metrics.find("zkfs_process_resident_bytes 0\n"), std::string::npos) << metrics;
  const std::string config = value(leader, "config");
  EXPECT_NE(config.find("myid=" + std::to_string(leader) + "\n"), std::string::npos) << config;
  EXPECT_NE(config.find("dataDir=" + cluster_->directory(leader) + "/data\n"), std::string::npos);
}

}  // namespace
}  // namespace zkfs::testing
