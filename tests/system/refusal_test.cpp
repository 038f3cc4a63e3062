// SPDX-License-Identifier: Apache-2.0
// What a server refuses, with one clear line that names the thing and the remedy, losing nothing.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>

#include <gtest/gtest.h>

#include "tests/system/cluster.h"

namespace zkfs::testing {
namespace {

class Refusal : public ::testing::Test {
 protected:
  void SetUp() override { ZKFS_NEEDS_FUSE(); }

  // Starts node 1 in `wrapper` (a shell prefix) and expects it to end by itself with a message that
  // has all of `words`.
  void expect_refused(const std::vector<std::string>& words, const std::string& wrapper = "") {
    std::string line = wrapper;
    for (const auto& argument : cluster_.command(1)) line += " '" + argument + "'";
    const auto result = run(line, Seconds(20));
    EXPECT_NE(result.status, 0);
    EXPECT_NE(result.status, -1) << "it did not end";
    EXPECT_LT(result.status, 128) << "killed by a signal";
    for (const auto& word : words) {
      EXPECT_NE(result.output.find(word), std::string::npos) << "no '" << word << "' in:\n"
                                                             << result.output;
    }
    const auto last = result.output.rfind("zkfs: ");
    EXPECT_NE(last, std::string::npos) << result.output;
    EXPECT_EQ(std::count(result.output.begin() + static_cast<std::ptrdiff_t>(last),
                         result.output.end(), '\n'),
              1)
        << "more than one line:\n"
        << result.output;
  }

  std::string config() { return cluster_.directory(1) + "/zoo.cfg"; }

  Cluster cluster_{{.nodes = 1, .start = false}};
};

TEST_F(Refusal, AWrongValueInTheConfiguration) {
  std::ofstream(config(), std::ios::app) << "tickTime=fast\n";
  expect_refused({"zoo.cfg:5", "tickTime", "fast"});
}

TEST_F(Refusal, ADataDirectoryThatCannotBeWritten) {
  std::ofstream(cluster_.directory(1) + "/file") << "x";
  run("sed -i 's|^dataDir=.*|dataDir=" + cluster_.directory(1) + "/file/data|' " + config());
  expect_refused({cluster_.directory(1) + "/file"});
}

TEST_F(Refusal, AMountPointThatIsNotEmpty) {
  std::ofstream(cluster_.mnt(1, "something")) << "x";
  expect_refused({cluster_.mnt(1), "not empty"});
  EXPECT_EQ(read_file(cluster_.mnt(1, "something")), "x");
}

TEST_F(Refusal, AMountPointThatDoesNotExist) {
  run("rmdir " + cluster_.mnt(1));
  expect_refused({cluster_.mnt(1)});
}

TEST_F(Refusal, AMissingFuseDevice) {
  // In a mount namespace of its own, where /dev/fuse is something else.
  const auto missing = cluster_.directory(1) + "/null";
  expect_refused({"/dev/fuse"},
                 "unshare -m sh -c 'mount -t tmpfs none /dev && exec \"$0\" \"$@\"' ");
}

TEST_F(Refusal, ADataDirectoryInUse) {
  cluster_.start(1);
  ASSERT_TRUE(cluster_.await_serving(1));
  const auto other = cluster_.directory(1) + "/other";
  const auto pid = std::to_string(cluster_.process(1).pid());
  const auto result =
      run("mkdir " + other + "; " + ZKFS_PROGRAM + " serve --config " + config() + " " + other);
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.output.find(pid), std::string::npos) << result.output;
}

TEST_F(Refusal, ALogDamagedInTheMiddleAndNothingIsLost) {
  cluster_.start(1);
  ASSERT_TRUE(cluster_.await_serving(1));
  for (int i = 0; i < 50; ++i) ASSERT_EQ(write_file(cluster_.mnt(1, "f"), std::to_string(i)), 0);
  EXPECT_EQ(cluster_.stop(1), 0);
  const auto log =
      run("ls " + cluster_.directory(1) + "/data/version-2/log.* | head -1 | tr -d '\\n'").output;
  run("cp " + log + " " + cluster_.directory(1) + "/saved");
  run("printf X | dd of=" + log + " bs=1 seek=1500 conv=notrunc 2>/dev/null");
  expect_refused({log});
  run("cp " + cluster_.directory(1) + "/saved " + log);
  cluster_.start(1);
  ASSERT_TRUE(cluster_.await_serving(1));
  EXPECT_EQ(read_file(cluster_.mnt(1, "f")), "49");
}

TEST_F(Refusal, ADiskThatFillsUpRefusesWritesAndLosesNothing) {
  const auto data = cluster_.directory(1) + "/data";
  ASSERT_EQ(
      run("cp " + data + "/myid " + cluster_.directory(1) +
          "/myid && mount -t tmpfs -o size=12m none " + data + " && cp " + cluster_.directory(1) +
          "/myid " + data + "/myid && echo preAllocSize=1024 >> " + config())
          .status,
      0);
  cluster_.start(1);
  ASSERT_TRUE(cluster_.await_serving(1));
  int acknowledged = 0;
  int error = 0;
  while (acknowledged < 100 && error == 0) {
    error =
        write_file(cluster_.mnt(1, "f" + std::to_string(acknowledged)), std::string(500'000, 'x'));
    if (error == 0) ++acknowledged;
  }
  EXPECT_LT(acknowledged, 100);
  EXPECT_EQ(error, ENOSPC);
  EXPECT_TRUE(cluster_.process(1).running());
  EXPECT_EQ(cluster_.stop(1), 0);
  run("mount -o remount,size=200m " + data);
  cluster_.start(1);
  ASSERT_TRUE(cluster_.await_serving(1));
  for (int i = 0; i < acknowledged; ++i) {
    EXPECT_EQ(read_file(cluster_.mnt(1, "f" + std::to_string(i))).size(), 500'000U) << i;
  }
  cluster_.stop(1);
  run("umount -l " + data);
}

TEST(RefusalOfPeers, ABusyPort) {
  ZKFS_NEEDS_FUSE();
  Cluster cluster({.nodes = 3, .start = false});
  const auto port = run("sed -n 's/^server.1=127.0.0.1:\\([0-9]*\\):.*/\\1/p' " +
                        cluster.directory(1) + "/zoo.cfg | tr -d '\\n'")
                        .output;
  const int holder = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(port)));
  ASSERT_EQ(bind(holder, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(holder, 1), 0);
  cluster.start(1);
  EXPECT_EQ(cluster.process(1).wait(Seconds(10)), 1);
  EXPECT_NE(cluster.log(1).find(port), std::string::npos) << cluster.log(1);
  EXPECT_NE(cluster.log(1).find("in use"), std::string::npos) << cluster.log(1);
  close(holder);
}

}  // namespace
}  // namespace zkfs::testing
