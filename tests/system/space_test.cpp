// SPDX-License-Identifier: Apache-2.0
// Disks that fill up: contract section 6, "disk full on a quorum". Each node's data lies on a small
// filesystem of its own.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include <gtest/gtest.h>

#include "tests/system/cluster.h"

namespace zkfs::testing {
namespace {

class Space : public ::testing::Test {
 protected:
  void SetUp() override {
    ZKFS_NEEDS_FUSE();
    cluster_ = std::make_unique<Cluster>(
        Cluster::Options{.settings = {"preAllocSize=1024"}, .start = false});
    for (int i = 1; i <= 3; ++i) {
      mkdir(data(i).c_str(), 0755);
      ASSERT_EQ(::mount("none", data(i).c_str(), "tmpfs", 0, "size=24m"), 0) << strerror(errno);
      std::ofstream(data(i) + "/myid") << i << "\n";
    }
    cluster_->start_all();
  }

  void TearDown() override {
    if (!cluster_) return;
    for (int i = 1; i <= 3; ++i) cluster_->stop(i);
    for (int i = 1; i <= 3; ++i) umount2(data(i).c_str(), MNT_DETACH);
  }

  std::string data(int node) const { return cluster_->directory(node) + "/data"; }

  // All but a mebibyte.
  void fill(int node) const {
    const auto result = run("cd " + data(node) +
                            "; free=$(df -k --output=avail . | tail -1);"
                            "head -c $(( (free - 1024) * 1024 )) /dev/zero > filler");
    EXPECT_EQ(result.status, 0) << result.output;
  }

  void free(int node) const { unlink((data(node) + "/filler").c_str()); }

  int write_on(int node, const std::string& name) const {
    return write_file(cluster_->mnt(node, name), "value");
  }

  std::unique_ptr<Cluster> cluster_;
};

TEST_F(Space, AFullMinorityDisturbsNobody) {
  fill(cluster_->follower());
  for (int i = 0; i < 50; ++i) EXPECT_EQ(write_on(1, "f" + std::to_string(i)), 0);
}

TEST_F(Space, OnceAQuorumIsFullWritesFailAndRemovingGoesOn) {
  ASSERT_EQ(write_on(1, "old"), 0);
  fill(1);
  fill(2);
  EXPECT_TRUE(eventually([&] { return write_on(3, "new") == ENOSPC; }));
  EXPECT_EQ(write_on(1, "new2"), ENOSPC);
  EXPECT_EQ(mkdir(cluster_->mnt(2, "d").c_str(), 0755), -1);
  EXPECT_EQ(errno, ENOSPC);
  EXPECT_EQ(read_file(cluster_->mnt(3, "old")), "value");
  EXPECT_EQ(unlink(cluster_->mnt(3, "old").c_str()), 0);
  free(1);
  EXPECT_TRUE(eventually([&] { return write_on(2, "again") == 0; }));
  for (int i = 1; i <= 3; ++i) EXPECT_TRUE(cluster_->process(i).running());
}

}  // namespace
}  // namespace zkfs::testing
