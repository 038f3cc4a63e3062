// SPDX-License-Identifier: Apache-2.0
// Contract section 6: without a quorum. Node 1 stays, the other two are frozen or dead.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

#include <gtest/gtest.h>

#include "tests/system/cluster.h"

namespace zkfs::testing {
namespace {

// Three nodes, and a file "f"; then only node 1 is left.
class Waiting : public ::testing::Test {
 protected:
  void begin(const std::string& mount_options) {
    cluster_ =
        std::make_unique<Cluster>(Cluster::Options{.nodes = 3, .mount_options = mount_options});
    ASSERT_EQ(write_file(cluster_->mnt(1, "f"), "value"), 0);
  }

  void lose_quorum() {
    cluster_->kill(2);
    cluster_->kill(3);
    ASSERT_TRUE(eventually([&] { return cluster_->role(1) == "looking"; }));
  }

  void regain_quorum() {
    cluster_->start(2);
    ASSERT_TRUE(cluster_->await_serving(2));
  }

  std::unique_ptr<Cluster> cluster_;
};

TEST_F(Waiting, ReadingGoesOnWithoutAQuorum) {
  ZKFS_NEEDS_FUSE();
  begin("");
  lose_quorum();
  EXPECT_EQ(read_file(cluster_->mnt(1, "f")), "value");
  EXPECT_EQ(run("ls " + cluster_->mnt(1)).output, "f\n");
  EXPECT_EQ(run("stat -c %s " + cluster_->mnt(1, "f")).output, "5\n");
}

TEST_F(Waiting, WritersGetErofsAfterTimeo) {
  ZKFS_NEEDS_FUSE();
  begin("timeo=300ms");
  lose_quorum();
  EXPECT_EQ(write_file(cluster_->mnt(1, "f"), "x"), EROFS);
  EXPECT_EQ(write_file(cluster_->mnt(1, "new"), "x"), EROFS);
  EXPECT_EQ(mkdir(cluster_->mnt(1, "d").c_str(), 0755), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_EQ(unlink(cluster_->mnt(1, "f").c_str()), -1);
  EXPECT_EQ(errno, EROFS);
  const auto shell = run("echo x > " + cluster_->mnt(1, "f"));
  EXPECT_EQ(shell.status, 1);
  EXPECT_NE(shell.output.find("Read-only file system"), std::string::npos) << shell.output;
  regain_quorum();
  EXPECT_TRUE(eventually([&] { return write_file(cluster_->mnt(1, "f"), "y") == 0; }));
}

TEST_F(Waiting, AnOpenForWritingWaitsForAnElection) {
  ZKFS_NEEDS_FUSE();
  begin("timeo=60s");
  lose_quorum();
  std::thread later([&] { regain_quorum(); });
  EXPECT_EQ(write_file(cluster_->mnt(1, "f"), "after"), 0);
  later.join();
  EXPECT_EQ(read_file(cluster_->mnt(1, "f")), "after");
}

TEST_F(Waiting, CloseWaitsForTheQuorumAndCommitsOnce) {
  ZKFS_NEEDS_FUSE();
  begin("");
  const int fd = open(cluster_->mnt(1, "f").c_str(), O_WRONLY | O_TRUNC);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(write(fd, "late", 4), 4);
  lose_quorum();
  std::thread later([&] { regain_quorum(); });
  EXPECT_EQ(close(fd), 0);
  later.join();
  EXPECT_EQ(read_file(cluster_->mnt(1, "f")), "late");
  EXPECT_EQ(
      run("getfattr --only-values -n user.zk.dataVersion " + cluster_->mnt(1, "f") + " 2>/dev/null")
          .output,
      "1");
}

TEST_F(Waiting, ABlockedWriterCanBeKilled) {
  ZKFS_NEEDS_FUSE();
  begin("quorum_loss=wait");
  lose_quorum();
  for (const char* command : {"echo x > ", "mkdir ", "rm -f ", "truncate -s 0 "}) {
    const std::string path = cluster_->mnt(1, std::string(command) == "mkdir " ? "d" : "f");
    auto process = Process::start({"/bin/bash", "-c", command + path + "; true"}, "/dev/null");
    EXPECT_EQ(process.wait(Millis(300)), -1) << command << "did not wait";
    // The whole group would be killed by a terminal; bash's child is what waits.
    const auto pid = std::to_string(process.pid());
    run("kill -KILL $(cat /proc/" + pid + "/task/" + pid + "/children) 2>/dev/null");
    process.signal(SIGKILL);
    EXPECT_NE(process.wait(Seconds(5)), -1) << command << "cannot be killed";
  }
  EXPECT_TRUE(eventually([] {
    return run("ps -eo stat,args | grep -E '^D.*(mkdir|truncate|bash -c) ' | grep -v grep")
               .status != 0;
  }));
}

TEST_F(Waiting, AWaitingWriterDoesNotStopReaders) {
  ZKFS_NEEDS_FUSE();
  begin("quorum_loss=wait");
  lose_quorum();
  auto writer =
      Process::start({"/bin/bash", "-c", "echo x > " + cluster_->mnt(1, "f")}, "/dev/null");
  EXPECT_EQ(writer.wait(Millis(300)), -1);
  EXPECT_EQ(run("cat " + cluster_->mnt(1, "f"), Seconds(5)).output, "value");
  EXPECT_EQ(run("ls " + cluster_->mnt(1), Seconds(5)).output, "f\n");
}

TEST_F(Waiting, StrictRefusesToReadWithoutAQuorum) {
  ZKFS_NEEDS_FUSE();
  begin("quorum_loss=strict");
  lose_quorum();
  const auto result = run("cat " + cluster_->mnt(1, "f"));
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.output.find("Input/output error"), std::string::npos) << result.output;
}

TEST_F(Waiting, StatusTellsWithoutAQuorum) {
  ZKFS_NEEDS_FUSE();
  begin("");
  lose_quorum();
  EXPECT_EQ(run(std::string(ZKFS_PROGRAM) + " status " + cluster_->mnt(1)).status, 3);
}

}  // namespace
}  // namespace zkfs::testing
