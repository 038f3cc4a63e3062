// SPDX-License-Identifier: Apache-2.0
// Contract section 10, what takes several servers: the helpers across servers, without a quorum,
// and before a server that is stopped or gone.
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>

#include <gtest/gtest.h>

#include "tests/system/cluster.h"

namespace zkfs::testing {
namespace {

std::string zkfs(const std::string& words) {
  return std::string(ZKFS_PROGRAM) + " " + words;
}

void expect_complaint(const CommandResult& result, int status, const std::string& thing) {
  EXPECT_EQ(result.status, status) << result.output;
  EXPECT_TRUE(result.output.starts_with("zkfs: " + thing + ": ")) << result.output;
  EXPECT_EQ(std::count(result.output.begin(), result.output.end(), '\n'), 1) << result.output;
}

class CommandsEnsemble : public ::testing::Test {
 protected:
  void begin(const std::string& mount_options) {
    cluster_ =
        std::make_unique<Cluster>(Cluster::Options{.nodes = 3, .mount_options = mount_options});
    ASSERT_EQ(write_file(at(1, "f"), "value"), 0);
    for (int i = 1; i <= 3; ++i) ASSERT_TRUE(cluster_->sync(i));
  }

  void lose_quorum() {
    cluster_->kill(2);
    cluster_->kill(3);
    ASSERT_TRUE(eventually([&] { return cluster_->role(1) == "looking"; }));
  }

  std::string at(int node, const std::string& name) { return cluster_->mnt(node, name); }

  // Runs `zkfs lock ...` on node 1 with a command that reports when it runs.
  Process locked(const std::string& options, const std::string& log) {
    Process process = Process::start({"/bin/bash", "-c",
                                      "exec " + zkfs("lock " + options + " " + at(1, "l") +
                                                     " -- bash -c 'echo ready; exec sleep 1000'")},
                                     log);
    EXPECT_TRUE(eventually([&] { return read_file(log) == "ready\n"; })) << read_file(log);
    return process;
  }

  std::unique_ptr<Cluster> cluster_;
};

TEST_F(CommandsEnsemble, WithoutAQuorumChangesExitWithThreeAndReadsGoOn) {
  ZKFS_NEEDS_FUSE();
  begin("timeo=200ms");
  ASSERT_EQ(mkdir(at(1, "d").c_str(), 0755), 0);
  lose_quorum();
  for (const std::string& words : std::vector<std::string>{
           "create " + at(1, "new") + " v", "create " + at(1, "new"), "create -d " + at(1, "new"),
           "set " + at(1, "f") + " v", "set --version 0 " + at(1, "f") + " v", "rm " + at(1, "f"),
           "rm -r " + at(1, "d"), "get --sync " + at(1, "f"), "lock " + at(1, "l") + " -- true"}) {
    const auto result = run(zkfs(words));
    EXPECT_EQ(result.status, 3) << words << "\n" << result.output;
    EXPECT_NE(result.output.find("no quorum"), std::string::npos) << result.output;
  }
  EXPECT_EQ(run(zkfs("get " + at(1, "f"))).output, "value");
  EXPECT_EQ(run(zkfs("ls " + cluster_->mnt(1))).output, "d\nf\n");
  EXPECT_EQ(run(zkfs("wait " + at(1, "f"))).status, 0);
  EXPECT_NE(run(zkfs("stat " + at(1, "f"))).output.find("\nstale = "), std::string::npos);
}

TEST_F(CommandsEnsemble, AStrictMountWithoutAQuorumIsThreeForReadersToo) {
  ZKFS_NEEDS_FUSE();
  begin("quorum_loss=strict");
  lose_quorum();
  expect_complaint(run(zkfs("get " + at(1, "f"))), 3, at(1, "f"));
  expect_complaint(run(zkfs("stat " + at(1, "f"))), 3, at(1, "f"));
  expect_complaint(run(zkfs("ls " + cluster_->mnt(1))), 3, cluster_->mnt(1));
  EXPECT_EQ(run(zkfs("wait --timeout 100ms " + at(1, "f"))).status, 4);
}

TEST_F(CommandsEnsemble, WaitOnAStrictMountGoesOnWhenTheQuorumIsBack) {
  ZKFS_NEEDS_FUSE();
  begin("quorum_loss=strict");
  lose_quorum();
  Process process = Process::start({ZKFS_PROGRAM, "wait", at(1, "new")}, "/dev/null");
  EXPECT_EQ(process.wait(Millis(200)), -1);
  cluster_->start(2);
  ASSERT_TRUE(cluster_->await_serving(2));
  ASSERT_EQ(write_file(at(2, "new"), ""), 0);
  EXPECT_EQ(process.wait(Seconds(10)), 0);
}

TEST_F(CommandsEnsemble, WaitIsWokenByAnotherServersChange) {
  ZKFS_NEEDS_FUSE();
  begin("");
  for (const std::string& words : std::vector<std::string>{
           "wait --value yes " + at(2, "a/b"), "wait --changed " + at(2, "f"),
           "wait --children " + cluster_->mnt(2), "wait --gone " + at(2, "f")}) {
    Process process = Process::start({"/bin/bash", "-c", "exec " + zkfs(words)}, "/dev/null");
    const auto pid = std::to_string(process.pid());
    ASSERT_TRUE(
        eventually([&] { return run("grep -q ^inotify /proc/" + pid + "/fdinfo/*").status == 0; }));
    run("mkdir -p " + at(1, "a") + "; echo yes > " + at(1, "a/b") + "; echo x > " + at(3, "f") +
        "; rm " + at(3, "f"));
    EXPECT_EQ(process.wait(Seconds(10)), 0) << words;
    run("rm -r " + at(1, "a") + "; echo value > " + at(1, "f"));
    ASSERT_TRUE(cluster_->sync(2));
  }
}

TEST_F(CommandsEnsemble, GetWithSyncShowsWhatAnotherServerCommitted) {
  ZKFS_NEEDS_FUSE();
  begin("");
  for (int i = 0; i < 20; ++i) {
    const auto value = std::to_string(i);
    ASSERT_EQ(run(zkfs("set " + at(1, "f") + " " + value)).status, 0);
    EXPECT_EQ(run(zkfs("get --sync " + at(3, "f"))).output, value);
  }
}

TEST_F(CommandsEnsemble, WaitTimesOutBeforeAServerThatIsStopped) {
  ZKFS_NEEDS_FUSE();
  begin("");
  cluster_->process(1).signal(SIGSTOP);
  expect_complaint(run(zkfs("wait --timeout 300ms " + at(1, "new")), Seconds(20)), 4, at(1, "new"));
  EXPECT_EQ(run(zkfs("lock -w 300ms " + at(1, "l") + " -- true"), Seconds(20)).status, 4);
  cluster_->process(1).signal(SIGCONT);
}

TEST_F(CommandsEnsemble, WaitEndsWhenTheServerIsGone) {
  ZKFS_NEEDS_FUSE();
  begin("");
  const std::string log = cluster_->directory(1) + "/wait";
  Process process = Process::start({ZKFS_PROGRAM, "wait", at(1, "new")}, log);
  const auto pid = std::to_string(process.pid());
  ASSERT_TRUE(
      eventually([&] { return run("grep -q ^inotify /proc/" + pid + "/fdinfo/*").status == 0; }));
  cluster_->kill(1);
  EXPECT_EQ(process.wait(Seconds(20)), 1);
  EXPECT_TRUE(read_file(log).starts_with("zkfs: " + cluster_->mnt(1) + ": the server is gone"))
      << read_file(log);
}

TEST_F(CommandsEnsemble, LocksExcludeAcrossServers) {
  ZKFS_NEEDS_FUSE();
  begin("");
  const std::string log = cluster_->directory(1) + "/lock";
  auto process = locked("", log);
  ASSERT_TRUE(cluster_->sync(2));
  expect_complaint(run(zkfs("lock -n " + at(2, "l") + " -- true")), 1, at(2, "l"));
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait(Seconds(10)), 128 + SIGTERM);
  EXPECT_EQ(run(zkfs("lock -w 10 " + at(2, "l") + " -- echo mine")).output, "mine\n");
}

TEST_F(CommandsEnsemble, TheCommandIsEndedBeforeAnotherMayHoldTheLock) {
  ZKFS_NEEDS_FUSE();
  begin("session_timeout=6s");
  const std::string log = cluster_->directory(1) + "/lock";
  auto process = locked("--grace 1s", log);
  lose_quorum();
  EXPECT_EQ(process.wait(Seconds(20)), 1);
  EXPECT_TRUE(read_file(log).starts_with("ready\nzkfs: " + at(1, "l") + ": ")) << read_file(log);
}

TEST_F(CommandsEnsemble, TheCommandIsEndedWhenTheServerIsStopped) {
  ZKFS_NEEDS_FUSE();
  begin("session_timeout=10s");
  const std::string log = cluster_->directory(1) + "/lock";
  auto process = locked("--suspect-after 1s", log);
  cluster_->process(1).signal(SIGSTOP);
  EXPECT_EQ(process.wait(Seconds(8)), 1);
  EXPECT_NE(read_file(log).find("does not answer"), std::string::npos) << read_file(log);
  cluster_->process(1).signal(SIGCONT);
}

TEST_F(CommandsEnsemble, TheCommandIsEndedWhenTheServerIsGone) {
  ZKFS_NEEDS_FUSE();
  begin("");
  const std::string log = cluster_->directory(1) + "/lock";
  auto process = locked("", log);
  cluster_->kill(1);
  EXPECT_EQ(process.wait(Seconds(10)), 1);
  EXPECT_NE(read_file(log).find("the server is gone"), std::string::npos) << read_file(log);
}

TEST_F(CommandsEnsemble, DumpsOfAllServersTellOneTree) {
  ZKFS_NEEDS_FUSE();
  begin("");
  for (int i = 0; i < 20; ++i) run(zkfs("create -s " + at(1 + i % 3, "n-") + " x"));
  ASSERT_TRUE(cluster_->same_everywhere());
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(cluster_->stop(i), 0);
  // A server that stops has logged more than it knows to be committed: up to the least of them.
  const auto tree = [&](int node, const std::string& to) {
    return run(zkfs("dump --tree --to " + to + " -d " + cluster_->directory(node) + "/data"));
  };
  const auto zxid =
      run("for i in 1 2 3; do " + zkfs("dump -d " + cluster_->directory(1) + "/../$i/data") +
          " | grep ' committed ' | grep n-0000000019 | cut -d' ' -f1; done | sort -u")
          .output;
  ASSERT_EQ(std::count(zxid.begin(), zxid.end(), '\n'), 1) << zxid;
  const auto to = zxid.substr(0, zxid.size() - 1);
  const auto first = tree(1, to);
  EXPECT_EQ(first.status, 0) << first.output;
  EXPECT_NE(first.output.find("\"/n-0000000019\""), std::string::npos) << first.output;
  EXPECT_EQ(tree(2, to).output, first.output);
  EXPECT_EQ(tree(3, to).output, first.output);
}

}  // namespace
}  // namespace zkfs::testing
