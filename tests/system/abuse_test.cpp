// SPDX-License-Identifier: Apache-2.0
// A short run of what scripts/abuse does for minutes.
#include <gtest/gtest.h>

#include "tests/system/cluster.h"

namespace zkfs::testing {
namespace {

// The same directory through all mounts, as words.
std::string directories(const Cluster& cluster, const std::string& name) {
  std::string words;
  for (int node = 1; node <= cluster.size(); ++node) words += " " + cluster.mnt(node, name);
  return words;
}

void make_everywhere(Cluster& cluster, const std::string& name) {
  ASSERT_EQ(run("mkdir " + cluster.mnt(1, name)).status, 0);
  for (int node = 1; node <= cluster.size(); ++node) ASSERT_TRUE(cluster.sync(node));
}

TEST(Abuse, NoWayOfWritingLetsAReaderSeeAnEmptyShortOrMixedValue) {
  ZKFS_NEEDS_FUSE();
  Cluster cluster;
  make_everywhere(cluster, "h");
  const auto result =
      run(std::string(ZKFS_HAMMER) + " --seconds 8" + directories(cluster, "h"), Seconds(150));
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_TRUE(cluster.same_everywhere());
}

TEST(Abuse, NoValueIsTornWhileTheLeaderIsKilledAndStartedAgain) {
  ZKFS_NEEDS_FUSE();
  Cluster cluster;
  make_everywhere(cluster, "h");
  auto hammer = Process::start(
      {"/bin/sh", "-c",
       "exec " + std::string(ZKFS_HAMMER) + " --seconds 12 --may-fail" + directories(cluster, "h")},
      cluster.directory(1) + "/hammer");
  ASSERT_TRUE(
      eventually([&] { return run("test -e " + cluster.mnt(2, "h/symlink.2-1")).status == 0; }));
  const int leader = cluster.await_leader();
  cluster.kill(leader);
  cluster.start(leader);
  ASSERT_TRUE(cluster.await_serving(leader));
  EXPECT_EQ(hammer.wait(Seconds(120)), 0) << read_file(cluster.directory(1) + "/hammer");
  EXPECT_TRUE(cluster.same_everywhere());
}

TEST(Abuse, ThreeMountsUnderStressShowOneTreeAndLogNoError) {
  ZKFS_NEEDS_FUSE();
  if (run("command -v stress-ng").status != 0) GTEST_SKIP() << "no stress-ng here";
  Cluster cluster;
  std::vector<Process> workers;
  for (int node = 1; node <= 3; ++node) {
    const std::string place = cluster.mnt(node, "s" + std::to_string(node));
    ASSERT_EQ(run("mkdir " + place).status, 0);
    const std::string stress =
        "for s in rename dentry open chmod symlink flock lockf touch dir; do stress-ng "
        "--temp-path " +
        place + " --$s 1 --timeout 1 --verify || exit 1; done";
    workers.push_back(
        Process::start({"/bin/sh", "-c", stress}, cluster.directory(node) + "/stress"));
  }
  for (int node = 1; node <= 3; ++node) {
    EXPECT_EQ(workers[static_cast<std::size_t>(node - 1)].wait(Seconds(90)), 0)
        << read_file(cluster.directory(node) + "/stress");
    EXPECT_EQ(cluster.log(node).find(" error "), std::string::npos) << cluster.log(node);
  }
  EXPECT_TRUE(cluster.same_everywhere());
}

}  // namespace
}  // namespace zkfs::testing
