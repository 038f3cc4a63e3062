// SPDX-License-Identifier: Apache-2.0
// Leaders die, freeze and come back; nothing acknowledged is lost, nothing happens twice.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "tests/system/cluster.h"

namespace zkfs::testing {
namespace {

// Appends lines to a file through one node's mount, each by its own open and close, and notes which
// were acknowledged.
struct Writer {
  std::vector<std::string> acknowledged;
  std::vector<std::string> refused;

  void run(const std::string& path, const std::string& name, int count) {
    for (int i = 0; i < count; ++i) {
      const auto line = name + "-" + std::to_string(i) + "\n";
      const int error = append_file(path, line);
      (error == 0 ? acknowledged : refused).push_back(line);
      // Its node is down: go on when it is back. (The file exists; where it does not, nothing is
      // mounted.)
      if (error != 0 && !eventually([&] { return access(path.c_str(), W_OK) == 0; })) return;
    }
  }
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t at = 0;
  while (at < text.size()) {
    const auto end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at + 1));
    at = end + 1;
  }
  return lines;
}

// Every acknowledged line once and in its writer's order, no refused one, none twice.
void expect_exactly_once(const std::string& text, const std::vector<Writer>& writers) {
  std::map<std::string, std::size_t> position;
  for (const auto& line : lines_of(text)) {
    EXPECT_TRUE(position.emplace(line, position.size()).second) << "twice: " << line;
  }
  for (const auto& writer : writers) {
    std::size_t previous = 0;
    for (const auto& line : writer.acknowledged) {
      const auto it = position.find(line);
      ASSERT_NE(it, position.end()) << "lost: " << line;
      EXPECT_GE(it->second, previous) << "out of order: " << line;
      previous = it->second;
    }
    for (const auto& line : writer.refused) {
      EXPECT_FALSE(position.contains(line)) << "refused but there: " << line;
    }
  }
}

TEST(Failover, NothingAcknowledgedIsLostWhileLeadersAreKilled) {
  ZKFS_NEEDS_FUSE();
  Cluster cluster;
  ASSERT_EQ(write_file(cluster.mnt(1, "log"), ""), 0);
  for (int i = 1; i <= 3; ++i) ASSERT_TRUE(cluster.sync(i));
  std::vector<Writer> writers(3);
  // A writer whose own node is killed cannot go on through it: its lines fail until the node is
  // back, and only what returned 0 counts.
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] {
      writers[static_cast<std::size_t>(i)].run(cluster.mnt(i + 1, "log"), "w" + std::to_string(i),
                                               200);
    });
  }
  for (int round = 0; round < 5; ++round) {
    const int leader = cluster.await_leader();
    ASSERT_NE(leader, 0);
    cluster.kill(leader);
    ASSERT_NE(cluster.await_leader(), 0);
    cluster.start(leader);
    ASSERT_TRUE(cluster.await_serving(leader));
  }
  for (auto& thread : threads) thread.join();
  std::size_t acknowledged = 0;
  for (const auto& writer : writers) acknowledged += writer.acknowledged.size();
  EXPECT_GT(acknowledged, 200U);
  ASSERT_TRUE(cluster.await_all());
  for (int i = 1; i <= 3; ++i) {
    ASSERT_TRUE(cluster.sync(i));
    const auto text = read_file(cluster.mnt(i, "log"));
    // A refusal by a dead mount (ENOTCONN) says nothing about a line whose commit was under way.
    for (auto& writer : writers) {
      if (i == 1) writer.refused.clear();
    }
    expect_exactly_once(text, writers);
  }
  EXPECT_TRUE(cluster.same_everywhere());
}

TEST(Failover, WritesThroughAFollowerSurviveTheLeaderExactlyOnce) {
  ZKFS_NEEDS_FUSE();
  Cluster cluster;
  const int leader = cluster.await_leader();
  const int node = cluster.follower();
  std::vector<Writer> writers(1);
  ASSERT_EQ(write_file(cluster.mnt(node, "f"), ""), 0);
  std::thread thread([&] { writers[0].run(cluster.mnt(node, "f"), "w", 400); });
  ASSERT_TRUE(eventually([&] { return read_file(cluster.mnt(node, "f")).size() > 300; }));
  cluster.kill(leader);
  thread.join();
  // Its own node lived, so each write waited for the new leader and none was refused.
  EXPECT_TRUE(writers[0].refused.empty());
  EXPECT_EQ(writers[0].acknowledged.size(), 400U);
  expect_exactly_once(read_file(cluster.mnt(node, "f")), writers);
}

// The time from `before` until a write through `node` succeeds.
Millis outage(Cluster& cluster, int node, std::chrono::steady_clock::time_point before) {
  EXPECT_TRUE(eventually([&] { return write_file(cluster.mnt(node, "probe"), "x") == 0; }));
  return std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - before);
}

TEST(Failover, WritesGoOnAfterTheLeaderIsKilled) {
  ZKFS_NEEDS_FUSE();
  Cluster cluster;
  const int leader = cluster.await_leader();
  const int node = cluster.follower();
  ASSERT_EQ(write_file(cluster.mnt(node, "probe"), "x"), 0);
  const auto before = std::chrono::steady_clock::now();
  cluster.process(leader).signal(SIGKILL);
  const auto time = outage(cluster, node, before);
  RecordProperty("outage_ms", static_cast<int>(time.count()));
  std::printf("outage after SIGKILL of the leader: %lld ms\n",
              static_cast<long long>(time.count()));
}

TEST(Failover, AFrozenLeaderIsReplacedAndStepsDownWhenItWakes) {
  ZKFS_NEEDS_FUSE();
  Cluster cluster;
  const int leader = cluster.await_leader();
  const int node = cluster.follower();
  ASSERT_EQ(write_file(cluster.mnt(node, "probe"), "x"), 0);
  const auto before = std::chrono::steady_clock::now();
  cluster.process(leader).signal(SIGSTOP);
  const auto time = outage(cluster, node, before);
  RecordProperty("outage_ms", static_cast<int>(time.count()));
  std::printf("outage after SIGSTOP of the leader: %lld ms\n",
              static_cast<long long>(time.count()));
  cluster.process(leader).signal(SIGCONT);
  ASSERT_TRUE(eventually([&] { return cluster.role(leader) == "follower"; }));
  EXPECT_TRUE(cluster.same_everywhere());
}

TEST(Failover, PowerLossOfAllLosesNothingAcknowledged) {
  ZKFS_NEEDS_FUSE();
  Cluster cluster;
  ASSERT_EQ(write_file(cluster.mnt(1, "f"), ""), 0);
  for (int i = 1; i <= 3; ++i) ASSERT_TRUE(cluster.sync(i));
  std::vector<Writer> writers(3);
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] {
      writers[static_cast<std::size_t>(i)].run(cluster.mnt(i + 1, "f"), "w" + std::to_string(i),
                                               300);
    });
  }
  ASSERT_TRUE(eventually([&] { return read_file(cluster.mnt(1, "f")).size() > 800; }));
  for (int i = 1; i <= 3; ++i) cluster.process(i).signal(SIGKILL);
  for (int i = 1; i <= 3; ++i) cluster.process(i).wait(Seconds(10));
  cluster.start_all();
  for (auto& thread : threads) thread.join();
  for (int i = 1; i <= 3; ++i) {
    ASSERT_TRUE(cluster.sync(i));
    for (auto& writer : writers) writer.refused.clear();
    expect_exactly_once(read_file(cluster.mnt(i, "f")), writers);
  }
}

TEST(Failover, ANodeThatMissedMuchIsBroughtUpBySnapshot) {
  ZKFS_NEEDS_FUSE();
  // Small snapshots and little history, so that the log in memory does not reach back.
  Cluster cluster({.nodes = 3, .settings = {"snapCount=200"}});
  const int behind = cluster.follower();
  const int writer = cluster.await_leader();
  cluster.kill(behind);
  const auto big = std::string(200'000, 'x');
  for (int i = 0; i < 250; ++i) {
    ASSERT_EQ(
        write_file(cluster.mnt(writer, "big" + std::to_string(i % 20)), big + std::to_string(i)),
        0);
  }
  cluster.start(behind);
  ASSERT_TRUE(cluster.await_serving(behind));
  EXPECT_TRUE(cluster.same_everywhere());
  EXPECT_NE(cluster.log(behind).find("receiving a snapshot"), std::string::npos)
      << cluster.log(behind);
}

}  // namespace
}  // namespace zkfs::testing
