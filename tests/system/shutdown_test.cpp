// SPDX-License-Identifier: Apache-2.0
// How servers end, and what they leave: mounts, ephemerals, sessions.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "tests/system/cluster.h"

namespace zkfs::testing {
namespace {

bool mounted(const std::string& path) {
  return run("grep -q ' " + path + " ' /proc/self/mountinfo").status == 0;
}

TEST(Shutdown, SigtermUnmountsCleanly) {
  ZKFS_NEEDS_FUSE();
  Cluster cluster;
  ASSERT_EQ(write_file(cluster.mnt(1, "f"), "x"), 0);
  EXPECT_EQ(cluster.stop(1), 0) << cluster.log(1);
  EXPECT_FALSE(mounted(cluster.mnt(1)));
  EXPECT_EQ(run("ls -A " + cluster.mnt(1)).output, "");
}

TEST(Shutdown, SigtermEndsWithUsersInside) {
  ZKFS_NEEDS_FUSE();
  Cluster cluster({.nodes = 1});
  auto user = Process::start(
      {"/bin/bash", "-c", "cd " + cluster.mnt(1) + " && exec 3> open && exec sleep 1000"},
      "/dev/null");
  ASSERT_TRUE(eventually([&] {
    return run("readlink /proc/" + std::to_string(user.pid()) + "/fd/3 | grep -q /open").status ==
           0;
  }));
  EXPECT_EQ(cluster.stop(1), 0) << cluster.log(1);
  EXPECT_FALSE(mounted(cluster.mnt(1)));
  user.signal(SIGKILL);
  EXPECT_NE(user.wait(Seconds(5)), -1);
}

TEST(Shutdown, ADeadMountIsTakenOver) {
  ZKFS_NEEDS_FUSE();
  Cluster cluster({.nodes = 1});
  ASSERT_EQ(write_file(cluster.mnt(1, "f"), "kept"), 0);
  cluster.kill(1);
  EXPECT_NE(run("ls " + cluster.mnt(1)).status, 0);
  cluster.start(1);
  ASSERT_TRUE(cluster.await_serving(1));
  EXPECT_EQ(read_file(cluster.mnt(1, "f")), "kept");
  EXPECT_EQ(run("grep -c ' " + cluster.mnt(1) + " ' /proc/self/mountinfo").output, "1\n");
}

TEST(Shutdown, KillingTheDaemonFreesWhoeverWaits) {
  ZKFS_NEEDS_FUSE();
  Cluster cluster({.nodes = 3, .mount_options = "quorum_loss=wait"});
  ASSERT_EQ(write_file(cluster.mnt(1, "f"), "x"), 0);
  cluster.kill(2);
  cluster.kill(3);
  ASSERT_TRUE(eventually([&] { return cluster.role(1) == "looking"; }));
  auto writer = Process::start({"/bin/bash", "-c", "echo x > " + cluster.mnt(1, "f")}, "/dev/null");
  EXPECT_EQ(writer.wait(Millis(300)), -1);
  cluster.kill(1);
  EXPECT_NE(writer.wait(Seconds(5)), -1);
}

TEST(Shutdown, EphemeralsGoAtOnceWhenANodeStops) {
  ZKFS_NEEDS_FUSE();
  Cluster cluster;
  const int node = cluster.follower();
  const int other = cluster.await_leader();
  ASSERT_EQ(write_file(cluster.mnt(node, "me@eph"), "here"), 0);
  ASSERT_TRUE(cluster.sync(other));
  EXPECT_EQ(read_file(cluster.mnt(other, "me")), "here");
  EXPECT_EQ(cluster.stop(node), 0);
  EXPECT_TRUE(
      eventually([&] { return access(cluster.mnt(other, "me").c_str(), F_OK) != 0; }, Seconds(3)));
}

TEST(Shutdown, EphemeralsOfAKilledNodeGoAfterTheSessionTimeoutAndNotBefore) {
  ZKFS_NEEDS_FUSE();
  Cluster cluster({.nodes = 3, .settings = {"minSessionTimeout=1000", "maxSessionTimeout=2000"}});
  const int node = cluster.follower();
  const int other = cluster.await_leader();
  ASSERT_EQ(write_file(cluster.mnt(node, "me@eph"), "here"), 0);
  ASSERT_EQ(write_file(cluster.mnt(node, "stays"), "here"), 0);
  ASSERT_TRUE(cluster.sync(other));
  const auto before = std::chrono::steady_clock::now();
  cluster.kill(node);
  ASSERT_TRUE(eventually([&] { return access(cluster.mnt(other, "me").c_str(), F_OK) != 0; }));
  EXPECT_GT(std::chrono::steady_clock::now() - before, Millis(1'000));
  EXPECT_EQ(read_file(cluster.mnt(other, "stays")), "here");
}

}  // namespace
}  // namespace zkfs::testing
