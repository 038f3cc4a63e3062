// SPDX-License-Identifier: Apache-2.0
// Locks across the ensemble: contract section 7.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "tests/system/cluster.h"

namespace zkfs::testing {
namespace {

// Opens for reading, as flock(1) does.
class LockFile {
 public:
  explicit LockFile(const std::string& path)
      : fd_(open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0666)) {}

  ~LockFile() {
    if (fd_ >= 0) close(fd_);
  }

  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;

  // 0, or the errno.
  int lock(int operation) const { return flock(fd_, operation) == 0 ? 0 : errno; }

 private:
  int fd_;
};

class Locks : public ::testing::Test {
 protected:
  void SetUp() override { ZKFS_NEEDS_FUSE(); }

  static Cluster::Options impatient() { return {.mount_options = "session_timeout=4s"}; }
};

TEST_F(Locks, ExcludeAcrossNodesAndPassOnAtOnce) {
  Cluster cluster;
  const LockFile a(cluster.mnt(1, "job"));
  ASSERT_EQ(a.lock(LOCK_EX), 0);
  ASSERT_TRUE(cluster.sync(2));
  const LockFile b(cluster.mnt(2, "job"));
  EXPECT_EQ(b.lock(LOCK_EX | LOCK_NB), EWOULDBLOCK);
  EXPECT_EQ(b.lock(LOCK_SH | LOCK_NB), EWOULDBLOCK);
  std::atomic<bool> got = false;
  std::thread waiter([&] {
    EXPECT_EQ(b.lock(LOCK_EX), 0);
    got = true;
  });
  EXPECT_TRUE(eventually(
      [&] { return run("grep -c waiting " + cluster.mnt(3, ".zkfs/locks/job")).output == "1\n"; }));
  EXPECT_FALSE(got);
  EXPECT_EQ(a.lock(LOCK_UN), 0);
  waiter.join();
  EXPECT_EQ(a.lock(LOCK_EX | LOCK_NB), EWOULDBLOCK);
}

TEST_F(Locks, SharedOnesAreHeldOnAllNodesAtOnce) {
  Cluster cluster;
  const LockFile a(cluster.mnt(1, "job"));
  ASSERT_EQ(a.lock(LOCK_SH), 0);
  ASSERT_TRUE(cluster.sync(2) && cluster.sync(3));
  const LockFile b(cluster.mnt(2, "job"));
  const LockFile c(cluster.mnt(3, "job"));
  EXPECT_EQ(b.lock(LOCK_SH | LOCK_NB), 0);
  EXPECT_EQ(c.lock(LOCK_EX | LOCK_NB), EWOULDBLOCK);
}

TEST_F(Locks, ADeadNodesLockIsGivenOnAfterItsSessionTimeoutAndNotBefore) {
  Cluster cluster(impatient());
  const int victim = cluster.follower();
  const int other = victim % 3 + 1;
  auto held = std::make_unique<LockFile>(cluster.mnt(victim, "job"));
  ASSERT_EQ(held->lock(LOCK_EX), 0);
  ASSERT_TRUE(cluster.sync(other));
  cluster.kill(victim);
  const auto killed = std::chrono::steady_clock::now();
  const LockFile waiting(cluster.mnt(other, "job"));
  EXPECT_EQ(waiting.lock(LOCK_EX), 0);
  const auto waited = std::chrono::steady_clock::now() - killed;
  // Its last sign of life was up to half a second before.
  EXPECT_GT(waited, Millis(3000));
  EXPECT_LT(waited, Seconds(15));
}

TEST_F(Locks, AThousandWaitersForOneAreServedOneByOneAndDisturbNobody) {
  Cluster cluster;
  auto held = std::make_unique<LockFile>(cluster.mnt(1, "job"));
  ASSERT_EQ(held->lock(LOCK_EX), 0);
  constexpr int kWaiters = 1000;
  std::atomic<int> inside = 0;
  std::atomic<int> served = 0;
  std::atomic<bool> overlap = false;
  std::vector<std::thread> waiters;
  for (int i = 0; i < kWaiters; ++i) {
    waiters.emplace_back([&, path = cluster.mnt(i % 3 + 1, "job")] {
      const LockFile file(path);
      if (file.lock(LOCK_EX) != 0) return;
      if (inside.fetch_add(1) != 0) overlap = true;
      ++served;
      inside.fetch_sub(1);
    });
  }
  ASSERT_TRUE(eventually(
      [&] {
        return run("grep -c waiting " + cluster.mnt(2, ".zkfs/locks/job")).output ==
               fmt::format("{}\n", kWaiters);
      },
      Seconds(60)));
  // Others work as if nothing was.
  EXPECT_EQ(write_file(cluster.mnt(2, "f"), "x"), 0);
  EXPECT_EQ(run("ls -l " + cluster.mnt(3), Seconds(5)).status, 0);
  held.reset();
  for (std::thread& waiter : waiters) waiter.join();
  EXPECT_EQ(served, kWaiters);
  EXPECT_FALSE(overlap);
}

// Fifty contenders, two thousand increments, a node killed half-way. A directory outside of zkfs
// stands for "somebody is inside".
TEST_F(Locks, FiftyContendersNeverOverlapAndLoseNothingThoughANodeDies) {
  Cluster cluster(impatient());
  const std::string scratch = cluster.directory(1) + "/../contenders";
  ASSERT_EQ(mkdir(scratch.c_str(), 0755), 0);
  ASSERT_EQ(write_file(cluster.mnt(1, "counter"), "0\n"), 0);
  ASSERT_TRUE(cluster.sync(2) && cluster.sync(3));
  const int victim = cluster.follower();
  constexpr int kContenders = 50;
  constexpr int kTarget = 2000;
  // Each increment: read, add, write under the lock; what is acknowledged is noted outside.
  const std::string once =
      "mkdir $S/inside || echo overlap >> $S/violations;"
      "n=$(cat $ZK/counter) && [ -n \"$n\" ] && echo $((n + 1)) > $ZK/counter && sync $ZK/counter"
      " && echo $n >> $S/done.$I; rc=$?; rmdir $S/inside; exit $rc";
  const std::string contender = fmt::format(
      "while [ ! -e $S/stop ]; do flock $ZK/lock sh -c '{}' || [ -e $ZK/counter ] || exit 0; done",
      once);
  std::vector<Process> contenders;
  for (int i = 0; i < kContenders; ++i) {
    contenders.push_back(Process::start({"env", "S=" + scratch, "ZK=" + cluster.mnt(i % 3 + 1),
                                         fmt::format("I={}", i), "sh", "-c", contender},
                                        scratch + "/log"));
  }
  const auto counter = [&](int node) {
    int value = 0;
    std::istringstream(read_file(cluster.mnt(node, "counter"))) >> value;
    return value;
  };
  const int witness = victim % 3 + 1;
  ASSERT_TRUE(eventually([&] { return counter(witness) > kTarget / 2; }, Seconds(90)));
  cluster.kill(victim);
  EXPECT_TRUE(eventually([&] { return counter(witness) >= kTarget; }, Seconds(120)));
  write_file(scratch + "/stop", "");
  for (Process& process : contenders) process.wait(Seconds(30));
  ASSERT_TRUE(cluster.sync(witness));
  // Each value was read by one increment that was acknowledged, but for one that the death of the
  // node may have hidden.
  std::multiset<int> seen;
  for (int i = 0; i < kContenders; ++i) {
    std::ifstream done(fmt::format("{}/done.{}", scratch, i));
    for (int n = 0; done >> n;) seen.insert(n);
  }
  EXPECT_EQ(std::set<int>(seen.begin(), seen.end()).size(), seen.size()) << "an increment was lost";
  EXPECT_GE(counter(witness), static_cast<int>(seen.size()));
  EXPECT_LE(counter(witness), static_cast<int>(seen.size()) + 1);
  EXPECT_EQ(read_file(scratch + "/violations"), "");
}

}  // namespace
}  // namespace zkfs::testing
