// SPDX-License-Identifier: Apache-2.0
#include "ensemble/admin/metrics.h"

#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "tests/admin/fake_source.h"

namespace zkfs::admin {
namespace {

std::map<std::string, std::string> monitored(const FakeSource& source) {
  std::map<std::string, std::string> all;
  std::istringstream text(monitor_text(source));
  for (std::string line; std::getline(text, line);) {
    const std::size_t tab = line.find('\t');
    EXPECT_TRUE(all.emplace(line.substr(0, tab), line.substr(tab + 1)).second) << line;
  }
  return all;
}

TEST(Monitor, HasTheKeysThatDashboardsRead) {
  FakeSource source;
  source.lead();
  source.proposals = ProposalSizes{87, 48, 90};
  source.numbers.pending_syncs = 0;
  const auto all = monitored(source);
  for (const char* name : {"version",
                           "server_state",
                           "avg_latency",
                           "min_latency",
                           "max_latency",
                           "packets_received",
                           "packets_sent",
                           "num_alive_connections",
                           "outstanding_requests",
                           "znode_count",
                           "watch_count",
                           "ephemerals_count",
                           "approximate_data_size",
                           "open_file_descriptor_count",
                           "max_file_descriptor_count",
                           "uptime",
                           "global_sessions",
                           "local_sessions",
                           "learners",
                           "synced_followers",
                           "synced_observers",
                           "synced_non_voting_followers",
                           "pending_syncs",
                           "leader_uptime",
                           "last_proposal_size",
                           "max_proposal_size",
                           "min_proposal_size",
                           "quorum_size",
                           "connection_drop_probability",
                           "auth_failed_count",
                           "last_client_response_size",
                           "connection_rejected",
                           "response_bytes",
                           "bytes_received_count"}) {
    EXPECT_TRUE(all.contains(std::string("zk_") + name)) << name;
  }
}

TEST(Monitor, ValuesAreThoseOfTheServer) {
  FakeSource source;
  source.lead();
  source.add_ephemeral();
  source.by_session = {{FakeSource::kSession, {"/a", "/b"}}};
  auto all = monitored(source);
  EXPECT_EQ(all["zk_avg_latency"], "3.3333");
  EXPECT_EQ(all["zk_max_latency"], "9");
  EXPECT_EQ(all["zk_packets_received"], "10");
  EXPECT_EQ(all["zk_uptime"], "23249");
  EXPECT_EQ(all["zk_ephemerals_count"], "1");
  EXPECT_EQ(all["zk_global_sessions"], "1");
  EXPECT_EQ(all["zk_watch_count"], "2");
  EXPECT_EQ(all["zk_quorum_size"], "3");
  EXPECT_EQ(all["zk_learners"], "3");
  EXPECT_EQ(all["zk_synced_followers"], "1");
  EXPECT_EQ(all["zk_synced_observers"], "1");
  EXPECT_EQ(all["zk_last_client_response_size"], "-1");
  EXPECT_EQ(all["zk_connection_drop_probability"], "0.0");
}

TEST(Monitor, WhatOnlyALeaderKnowsIsLeftOutElsewhere) {
  FakeSource source;
  source.lead();
  source.member.state = zab::PeerState::kFollowing;
  auto all = monitored(source);
  EXPECT_EQ(all["zk_peer_state"], "following - broadcast");
  for (const char* name : {"zk_learners", "zk_synced_followers", "zk_leader_uptime"}) {
    EXPECT_FALSE(all.contains(name)) << name;
  }
  EXPECT_TRUE(all.contains("zk_quorum_size"));
}

TEST(Monitor, OnlyWhatIsCountedIsShown) {
  FakeSource source;
  source.numbers.looking_count = 2;
  auto all = monitored(source);
  EXPECT_EQ(all["zk_looking_count"], "2");
  EXPECT_FALSE(all.contains("zk_pending_syncs"));
}

TEST(Monitor, AStandaloneServerHasNoPeers) {
  const auto all = monitored(FakeSource());
  EXPECT_FALSE(all.contains("zk_peer_state"));
  EXPECT_FALSE(all.contains("zk_quorum_size"));
  EXPECT_FALSE(all.contains("zk_learners"));
}

TEST(Monitor, ASummaryIsNineLinesInMilliseconds) {
  FakeSource source;
  Histogram fsync;
  fsync.add(std::chrono::milliseconds(4));
  fsync.add(std::chrono::milliseconds(9));
  source.counted.fsync = &fsync;
  auto all = monitored(source);
  EXPECT_EQ(all["zk_avg_fsynctime"], "6.5");
  EXPECT_EQ(all["zk_min_fsynctime"], "4");
  EXPECT_EQ(all["zk_max_fsynctime"], "9");
  EXPECT_EQ(all["zk_cnt_fsynctime"], "2");
  EXPECT_EQ(all["zk_sum_fsynctime"], "13");
  EXPECT_EQ(all["zk_p999_fsynctime"], "9");
  EXPECT_FALSE(all.contains("zk_cnt_snapshottime"));
}

// Each line is HELP, TYPE or a sample, and each sample is of the family just named.
void expect_valid(const std::string& text) {
  static const std::regex kComment(R"(# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+))");
  static const std::regex kSample(
      R"re(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? -?[0-9.e+-]+)re");
  std::istringstream lines(text);
  std::set<std::string> families;
  std::string family;
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (std::regex_match(line, match, kComment)) {
      if (match[1] == "HELP") {
        EXPECT_TRUE(families.insert(match[2]).second) << "twice: " << line;
        family = match[2];
      } else {
        EXPECT_EQ(match[2], family) << line;
        EXPECT_TRUE(match[3] == "gauge" || match[3] == "counter" || match[3] == "summary") << line;
      }
      continue;
    }
    ASSERT_TRUE(std::regex_match(line, match, kSample)) << line;
    const std::string name = match[1];
    EXPECT_TRUE(name == family || name == family + "_count" || name == family + "_sum") << line;
  }
  EXPECT_TRUE(text.ends_with('\n'));
}

TEST(Prometheus, TheTextIsValid) {
  FakeSource source;
  source.lead();
  source.proposals = ProposalSizes{};
  Histogram some;
  some.add(std::chrono::microseconds(50));
  source.counted = {&some, &some, &some, &some, &some, &some};
  source.numbers = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  expect_valid(prometheus_text(source, ""));
  expect_valid(prometheus_text(FakeSource(), ""));
}

TEST(Prometheus, NamesAreZooKeepersWithoutItsPrefix) {
  FakeSource source;
  Histogram fsync;
  fsync.add(std::chrono::milliseconds(4));
  source.counted.fsync = &fsync;
  const std::string text = prometheus_text(source, "");
  EXPECT_NE(text.find("\npackets_received 10\n"), std::string::npos) << text;
  EXPECT_NE(text.find("# TYPE fsynctime summary\nfsynctime{quantile=\"0.5\"} "), std::string::npos);
  EXPECT_NE(text.find("\nfsynctime_count 1\nfsynctime_sum 4\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("zk_"), std::string::npos);
}

TEST(Prometheus, OursComeLast) {
  EXPECT_TRUE(prometheus_text(FakeSource(), "# HELP zkfs_x X.\n# TYPE zkfs_x gauge\nzkfs_x 1\n")
                  .ends_with("zkfs_x 1\n"));
}

TEST(Prometheus, AServerThatDoesNotServeIsMeasuredToo) {
  FakeSource source;
  source.lead();
  source.lose_quorum();
  expect_valid(prometheus_text(source, ""));
}

}  // namespace
}  // namespace zkfs::admin
