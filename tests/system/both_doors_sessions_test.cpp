// SPDX-License-Identifier: Apache-2.0
// Clients whose servers are killed, frozen or replaced keep their sessions, and with them what a
// mount shows of them; those that are gone themselves do not.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "tests/system/client.h"
#include "tests/system/cluster.h"

namespace zkfs::testing {
namespace {

using Events = std::vector<std::string>;

class ClientSessions : public ::testing::Test {
 protected:
  void SetUp() override {
    ZKFS_NEEDS_FUSE();
    ZKFS_NEEDS_KAZOO();
    cluster_ = std::make_unique<Cluster>(Cluster::Options{.mount_options = "timeo=30s",
                                                          .settings = {"minSessionTimeout=1000"},
                                                          .client_ports = true});
  }

  // Waits until the client has lost its connection and has one again, its session kept.
  static void expect_reconnected(Client& client) {
    EXPECT_EQ(client.until("CONNECTED"), (Events{"SUSPENDED", "CONNECTED"}));
  }

  [[nodiscard]] bool is_there(int node, const std::string& file) const {
    return access(cluster_->mnt(node, file).c_str(), F_OK) == 0;
  }

  // Those that are not `node`, in order.
  static std::vector<int> others(int node) {
    std::vector<int> result{1, 2, 3};
    std::erase(result, node);
    return result;
  }

  std::unique_ptr<Cluster> cluster_;
};

TEST_F(ClientSessions, SurviveTheServerThatTheyAreConnectedTo) {
  const int node = cluster_->follower();
  const auto rest = others(node);
  Client client(*cluster_, {.nodes = {node, rest[0], rest[1]}});
  const auto session = client("k.client_id[0]");
  ASSERT_EQ(client("k.create('/e', b'mine', ephemeral=True)"), "/e");
  ASSERT_EQ(client("k.create('/f', b'0')"), "/f");
  client("watch_data('/f')");
  ASSERT_TRUE(client.told("data /f b'0' 0"));
  cluster_->kill(node);
  expect_reconnected(client);
  EXPECT_EQ(client("k.client_id[0]"), session);
  EXPECT_EQ(read_file(cluster_->mnt(rest[1], "e")), "mine");
  // Its watches have come along.
  ASSERT_EQ(write_file(cluster_->mnt(rest[1], "f"), "1"), 0);
  EXPECT_TRUE(client.told("data /f b'1' 1"));
  // Through its new server it closes what it opened at the old one.
  client("k.stop()");
  ASSERT_TRUE(cluster_->sync(rest[1]));
  EXPECT_FALSE(is_there(rest[1], "e"));
}

TEST_F(ClientSessions, StayConnectedWhenTheLeaderElsewhereIsKilled) {
  const int leader = cluster_->await_leader();
  const int node = cluster_->follower();
  Client client(*cluster_, {.nodes = {node}, .timeout = Seconds(4)});
  Client gone(*cluster_, {.nodes = {node}, .timeout = Seconds(1)});
  client("k.create('/e', ephemeral=True)");
  gone("k.create('/gone', ephemeral=True)");
  client("k.exists('/gone', watch=watch)");
  gone.kill();
  cluster_->kill(leader);
  EXPECT_EQ(client("k.create('/after')"), "/after");
  EXPECT_EQ(write_file(cluster_->mnt(node, "too"), ""), 0);
  // The new leader counts the sessions' times anew; who is silent still goes.
  EXPECT_EQ(client.until("DELETED /gone"), Events{"DELETED /gone"});
  EXPECT_TRUE(is_there(node, "e"));
}

TEST_F(ClientSessions, MoveFromAFrozenServerAndItsWakingTakesNothingBack) {
  const int node = cluster_->follower();
  const auto rest = others(node);
  Client client(*cluster_, {.nodes = {node, rest[0]}, .timeout = Seconds(3)});
  client("k.create('/e', ephemeral=True)");
  cluster_->process(node).signal(SIGSTOP);
  expect_reconnected(client);
  EXPECT_EQ(client("k.create('/f', b'moved')"), "/f");
  EXPECT_TRUE(is_there(rest[0], "e"));
  cluster_->process(node).signal(SIGCONT);
  ASSERT_TRUE(eventually([&] { return cluster_->role(node) == "follower"; }));
  ASSERT_TRUE(cluster_->sync(node));
  EXPECT_EQ(read_file(cluster_->mnt(node, "f")), "moved");
  EXPECT_TRUE(is_there(node, "e"));
  EXPECT_TRUE(cluster_->same_everywhere());
}

TEST_F(ClientSessions, OfAClientFrozenForTooLongAreLostAndItIsTold) {
  Client client(*cluster_, {.timeout = Seconds(1)});
  client("k.create('/e', ephemeral=True)");
  client.freeze();
  EXPECT_TRUE(eventually([&] { return !is_there(1, "e"); }));
  client.thaw();
  EXPECT_TRUE(client.told("LOST"));
  EXPECT_TRUE(client.told("CONNECTED"));
  EXPECT_EQ(client("k.create('/e', ephemeral=True)"), "/e");
}

TEST_F(ClientSessions, SurviveAnUpgradeOfTheirServerInPlace) {
  Client client(*cluster_, {.timeout = Seconds(3)});
  const auto session = client("k.client_id[0]");
  client("k.create('/e', ephemeral=True)");
  client("k.create('/f', b'0')");
  client("watch_data('/f')");
  ASSERT_TRUE(client.told("data /f b'0' 0"));
  cluster_->process(1).signal(SIGUSR2);
  expect_reconnected(client);
  ASSERT_TRUE(cluster_->await_serving(1));
  EXPECT_EQ(client("k.client_id[0]"), session);
  ASSERT_EQ(write_file(cluster_->mnt(1, "f"), "1"), 0);
  EXPECT_TRUE(client.told("data /f b'1' 1"));
  // For longer than the timeout.
  EXPECT_FALSE(eventually([&] { return !is_there(2, "e"); }, Seconds(4)));
  client("k.stop()");
  ASSERT_TRUE(cluster_->sync(2));
  EXPECT_FALSE(is_there(2, "e"));
}

TEST_F(ClientSessions, OutlastALossOfTheQuorumWhileMountsShowTheLastKnownState) {
  Client client(*cluster_);
  const auto session = client("k.client_id[0]");
  client("k.create('/e', b'x', ephemeral=True)");
  cluster_->kill(2);
  cluster_->kill(3);
  EXPECT_TRUE(client.told("SUSPENDED"));
  EXPECT_EQ(read_file(cluster_->mnt(1, "e")), "x");
  cluster_->start(2);
  EXPECT_TRUE(client.told("CONNECTED"));
  EXPECT_EQ(client("k.client_id[0]"), session);
  EXPECT_EQ(client("k.set('/e', b'y').version"), "1");
  EXPECT_EQ(read_file(cluster_->mnt(1, "e")), "y");
}

TEST_F(ClientSessions, SurviveAPowerLossOfAllServers) {
  Client client(*cluster_, {.nodes = {1, 2, 3}});
  const auto session = client("k.client_id[0]");
  client("k.create('/e', b'x', ephemeral=True)");
  for (int i = 1; i <= 3; ++i) cluster_->process(i).signal(SIGKILL);
  for (int i = 1; i <= 3; ++i) cluster_->process(i).wait(Seconds(10));
  cluster_->start_all();
  EXPECT_TRUE(client.told("CONNECTED"));
  EXPECT_EQ(client("k.client_id[0]"), session);
  EXPECT_EQ(read_file(cluster_->mnt(3, "e")), "x");
}

TEST(WithoutMounts, AServerServesItsClients) {
  ZKFS_NEEDS_KAZOO();
  Cluster cluster({.nodes = 1, .client_ports = true, .start = false});
  auto command = cluster.command(1);
  command.back() = "--keep";
  cluster.process(1) = Process::start(command, cluster.directory(1) + "/log");
  Client client(cluster);
  EXPECT_EQ(client("k.create('/f', b'x')"), "/f");
  EXPECT_EQ(client("k.get('/f')[0]"), "b'x'");
  EXPECT_EQ(run("ls -A " + cluster.mnt(1)).output, "");
}

}  // namespace
}  // namespace zkfs::testing
