// SPDX-License-Identifier: Apache-2.0
// The main job: a tree that is the same on every node.
#include <gtest/gtest.h>

#include "tests/system/cluster.h"

namespace zkfs::testing {
namespace {

TEST(MainJob, WrittenOnOneIsReadOnTheOthers) {
  ZKFS_NEEDS_FUSE();
  Cluster cluster;
  ASSERT_EQ(run("echo hello > " + cluster.mnt(1, "a")).status, 0);
  const auto result = run("sync " + cluster.mnt(3, "a") + " && cat " + cluster.mnt(3, "a"));
  EXPECT_EQ(result.output, "hello\n");
  EXPECT_EQ(run("sync " + cluster.mnt(2) + " && cat " + cluster.mnt(2, "a")).output, "hello\n");
}

TEST(MainJob, ATreeCopiedInIsIdenticalOnAnotherNode) {
  ZKFS_NEEDS_FUSE();
  Cluster cluster;
  const auto made =
      run("d=$(mktemp -d) && mkdir -p $d/t/x/y && cp -r /etc/apt /etc/init.d $d/t/x/ 2>/dev/null; "
          "find $d/t -type p -delete; cp -r $d/t " +
          cluster.mnt(1, "t") + " && sync " + cluster.mnt(2) + " && diff -r $d/t " +
          cluster.mnt(2, "t") + "; s=$?; rm -rf $d; exit $s");
  EXPECT_EQ(made.status, 0) << made.output;
  EXPECT_TRUE(cluster.same_everywhere());
}

TEST(MainJob, RemovesATreeOfTenThousandFiles) {
  ZKFS_NEEDS_FUSE();
  Cluster cluster;
  const auto many = cluster.mnt(1, "many");
  const auto made = run(
      "mkdir " + many + " && cd " + many + " && seq 10000 | xargs -P 8 -n 500 touch && ls | wc -l",
      Seconds(150));
  EXPECT_EQ(made.output, "10000\n");
  const auto removed =
      run("sync " + cluster.mnt(2) + " && rm -r " + cluster.mnt(2, "many"), Seconds(150));
  EXPECT_EQ(removed.status, 0) << removed.output;
  EXPECT_TRUE(cluster.sync(3));
  EXPECT_EQ(run("ls -A " + cluster.mnt(3)).output, "");
}

TEST(MainJob, AStandaloneNodeServesAlone) {
  ZKFS_NEEDS_FUSE();
  Cluster cluster({.nodes = 1});
  EXPECT_EQ(cluster.role(1), "standalone");
  EXPECT_EQ(run("echo x > " + cluster.mnt(1, "f") + " && cat " + cluster.mnt(1, "f")).output,
            "x\n");
}

TEST(MainJob, AnObserverShowsTheTreeAndTakesWrites) {
  ZKFS_NEEDS_FUSE();
  Cluster cluster({.nodes = 3, .observers = 1});
  EXPECT_EQ(cluster.role(4), "observer");
  EXPECT_EQ(run("echo from-observer > " + cluster.mnt(4, "o")).status, 0);
  EXPECT_TRUE(cluster.sync(1));
  EXPECT_EQ(read_file(cluster.mnt(1, "o")), "from-observer\n");
}

TEST(MainJob, TheProgramTellsItsStatus) {
  ZKFS_NEEDS_FUSE();
  Cluster cluster({.nodes = 1});
  const auto status = run(std::string(ZKFS_PROGRAM) + " status " + cluster.mnt(1));
  EXPECT_EQ(status.status, 0);
  EXPECT_NE(status.output.find("standalone"), std::string::npos) << status.output;
}

}  // namespace
}  // namespace zkfs::testing
