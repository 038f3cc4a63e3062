// SPDX-License-Identifier: Apache-2.0
// Four-letter words, the admin server and metrics of real servers (reference/zookeeper.md 7).
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <regex>
#include <set>

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "ensemble/base/random.h"
#include "tests/system/cluster.h"

namespace zkfs::testing {
namespace {

using nlohmann::json;

int loopback_socket() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{.tv_sec = 10, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return fd;
}

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

// Not one of `given`, where it is entered. Above those that Cluster takes, below those that the
// kernel gives to outgoing connections.
int free_port(std::set<int>& given) {
  static Random random(std::random_device{}());
  while (true) {
    const int port = static_cast<int>(random.between(32'000, 32'767));
    const int fd = loopback_socket();
    const sockaddr_in address = loopback(port);
    const bool free = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    close(fd);
    if (free && given.insert(port).second) return port;
  }
}

// What comes back until the other side closes; nothing if nobody listens.
std::optional<std::string> ask(int port, const std::string& request) {
  const int fd = loopback_socket();
  const sockaddr_in address = loopback(port);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    close(fd);
    return std::nullopt;
  }
  std::string answer;
  if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) > 0) {
    char part[4096];
    for (ssize_t got = 0; (got = recv(fd, part, sizeof part, 0)) > 0;) {
      answer.append(part, static_cast<std::size_t>(got));
    }
  }
  close(fd);
  return answer;
}

struct Page {
  int status = 0;
  std::string body;
};

Page fetch(int port, const std::string& path, const std::string& method = "GET") {
  const std::string answer =
      ask(port, fmt::format("{} {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, path))
          .value_or("");
  const auto body = answer.find("\r\n\r\n");
  if (!answer.starts_with("HTTP/1.1 ") || body == std::string::npos) return {};
  return {std::stoi(answer.substr(9, 3)), answer.substr(body + 4)};
}

// The lines of mntr.
std::map<std::string, std::string> values_of(const std::string& text) {
  std::map<std::string, std::string> values;
  const std::regex line("(zk_[a-z0-9_]+)\t([^\n]*)\n");
  for (auto it = std::sregex_iterator(text.begin(), text.end(), line); it != std::sregex_iterator();
       ++it) {
    values[(*it)[1]] = (*it)[2];
  }
  return values;
}

class Administration : public ::testing::Test {
 protected:
  struct Ports {
    int client = 0;
    int admin = 0;
    int metrics = 0;
  };

  void SetUp() override { ZKFS_NEEDS_FUSE(); }

  // Servers whose words, admin server and metrics are all open.
  void start(int nodes, const std::vector<std::string>& settings = {}) {
    Cluster::Options options{.nodes = nodes, .start = false};
    options.settings = {"4lw.commands.whitelist=*", "admin.enableServer=true",
                        "admin.serverAddress=127.0.0.1", "metricsProvider.httpHost=127.0.0.1",
                        "clientPortAddress=127.0.0.1"};
    options.settings.insert(options.settings.end(), settings.begin(), settings.end());
    cluster_ = std::make_unique<Cluster>(options);
    ports_.clear();
    std::set<int> given;
    for (int node = 1; node <= nodes; ++node) {
      ports_.push_back({free_port(given), free_port(given), free_port(given)});
    }
    for (int node = 1; node <= nodes; ++node) start_node(node);
    ASSERT_TRUE(cluster_->await_all());
  }

  void start_node(int node) {
    std::vector<std::string> command = cluster_->command(node);
    const Ports& ports = of(node);
    for (const std::string& setting : {fmt::format("clientPort={}", ports.client),
                                       fmt::format("admin.serverPort={}", ports.admin),
                                       fmt::format("metricsProvider.httpPort={}", ports.metrics)}) {
      command.emplace_back("--set");
      command.push_back(setting);
    }
    cluster_->process(node) = Process::start(command, cluster_->directory(node) + "/log");
  }

  const Ports& of(int node) { return ports_.at(static_cast<std::size_t>(node - 1)); }

  std::string word(int node, const std::string& text) {
    return ask(of(node).client, text).value_or("(nobody listens)");
  }

  json command(int node, const std::string& name) {
    return json::parse(fetch(of(node).admin, "/commands/" + name).body, nullptr, false);
  }

  // Runs lines of Python with a connected kazoo client `zk`.
  CommandResult kazoo(int node, const std::string& lines) {
    return run(
        fmt::format("/usr/bin/python3 - <<'END'\n"
                    "from kazoo.client import KazooClient\n"
                    "zk = KazooClient('127.0.0.1:{}')\nzk.start()\n{}\nzk.stop()\nEND",
                    of(node).client, lines));
  }

  static bool has_kazoo() { return run("/usr/bin/python3 -c 'import kazoo'").status == 0; }

  std::unique_ptr<Cluster> cluster_;
  std::vector<Ports> ports_;
};

#define ZKFS_NEEDS_KAZOO() \
  if (!has_kazoo()) GTEST_SKIP() << "no kazoo here (Debian: python3-kazoo)"

TEST_F(Administration, WordsTellOfTheServer) {
  start(1);
  EXPECT_EQ(word(1, "ruok"), "imok");
  EXPECT_EQ(word(1, "ruok\n"), "imok");
  EXPECT_EQ(word(1, "isro"), "rw");
  const std::string srvr = word(1, "srvr");
  EXPECT_TRUE(std::regex_search(
      srvr, std::regex(R"(^Zookeeper version: 3\.\d+\.\d+-.+, built on \d{4}-\d\d-\d\d.*\n)")))
      << srvr;
  EXPECT_NE(srvr.find("\nMode: standalone\nNode count: 4\n"), std::string::npos) << srvr;
  const std::string conf = word(1, "conf");
  EXPECT_NE(conf.find(fmt::format("clientPort={}\n", of(1).client)), std::string::npos) << conf;
  EXPECT_NE(conf.find(fmt::format("dataDir={}/data/version-2\n", cluster_->directory(1))),
            std::string::npos)
      << conf;
  EXPECT_EQ(conf.find("dataDirSize=0\n"), std::string::npos) << conf;
  EXPECT_EQ(word(1, "dirs").find("datadir_size: 0\n"), std::string::npos);
  // The session of the mount, once it is there.
  EXPECT_TRUE(eventually([&] {
    return word(1, "dump").find("Session Sets (1)/(1):\n") != std::string::npos;
  })) << word(1, "dump");
}

TEST_F(Administration, WordsThatAreNotListedAreRefused) {
  start(1, {"4lw.commands.whitelist=ruok"});
  EXPECT_EQ(word(1, "ruok"), "imok");
  EXPECT_EQ(word(1, "mntr"), "mntr is not executed because it is not in the whitelist.\n");
  EXPECT_TRUE(word(1, "srvr").starts_with("Zookeeper version: ")) << word(1, "srvr");
}

TEST_F(Administration, ClientsAndTheirWatchesAreCounted) {
  start(1);
  ZKFS_NEEDS_KAZOO();
  const CommandResult result = kazoo(1,
                                     "zk.create('/a', b'x', ephemeral=True)\n"
                                     "zk.exists('/a', watch=print)\n"
                                     "print(zk.server_version())\n"
                                     "print(zk.client_id[0])\n"
                                     "for word in (b'mntr', b'wchp', b'cons', b'dump'):\n"
                                     "  print(zk.command(word))\n");
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_TRUE(result.output.starts_with("(3, 9, 3)\n")) << result.output;
  auto values = values_of(result.output);
  EXPECT_EQ(values["zk_watch_count"], "1");
  EXPECT_EQ(values["zk_ephemerals_count"], "1");
  EXPECT_EQ(values["zk_num_alive_connections"], "2");  // and the one that asks
  EXPECT_EQ(values["zk_znode_count"], "5");
  EXPECT_GT(std::stoi(values["zk_packets_received"]), 2);
  EXPECT_GT(std::stoi(values["zk_cnt_fsynctime"]), 0);
  const std::string session = fmt::format(
      "{:#x}",
      static_cast<std::uint64_t>(std::stoll(result.output.substr(result.output.find('\n')))));
  EXPECT_NE(result.output.find("/a\n\t" + session + "\n"), std::string::npos) << result.output;
  EXPECT_NE(result.output.find(",sid=" + session + ",lop=EXIS,"), std::string::npos)
      << result.output;
  EXPECT_NE(result.output.find(session + ":\n\t/a\n"), std::string::npos) << result.output;
}

TEST_F(Administration, TheAdminServerAnswersCommandsWithJson) {
  start(1);
  const Page index = fetch(of(1).admin, "/commands");
  EXPECT_EQ(index.status, 200);
  EXPECT_NE(index.body.find("href=\"/commands/server_stats\""), std::string::npos) << index.body;
  const json stats = command(1, "srvr");
  EXPECT_EQ(stats["command"], "server_stats");
  EXPECT_TRUE(stats["error"].is_null());
  EXPECT_EQ(stats["server_stats"]["server_state"], "standalone");
  EXPECT_EQ(command(1, "conf")["client_port"], of(1).client);
  EXPECT_EQ(command(1, "nothing")["error"], "Unknown command: nothing");
  EXPECT_EQ(fetch(of(1).admin, "/elsewhere").status, 404);
  EXPECT_EQ(fetch(of(1).admin, "/commands/srvr", "POST").status, 405);
}

TEST_F(Administration, MetricsHaveZooKeepersNamesAndOurs) {
  start(1);
  const std::string metrics = fetch(of(1).metrics, "/metrics").body;
  EXPECT_NE(metrics.find("\nznode_count 4\n"), std::string::npos) << metrics;
  EXPECT_NE(metrics.find("\nfsynctime_count "), std::string::npos) << metrics;
  EXPECT_NE(metrics.find("\nelection_time_count 1\n"), std::string::npos) << metrics;
  EXPECT_NE(metrics.find("\nzkfs_in_quorum 1\n"), std::string::npos) << metrics;
  EXPECT_EQ(fetch(of(1).admin, "/metrics").status, 200);
  EXPECT_EQ(fetch(of(1).metrics, "/commands").status, 404);
}

TEST_F(Administration, SnapshotsAreTold) {
  start(1, {"snapCount=4"});
  EXPECT_EQ(command(1, "last_snapshot")["zxid"], "0") << command(1, "last_snapshot");
  EXPECT_TRUE(eventually([&] {
    write_file(cluster_->mnt(1, "f"), "x");
    return command(1, "last_snapshot")["zxid"] != "0";
  })) << command(1, "last_snapshot");
}

TEST_F(Administration, LimitsThatAreNotEnforcedAreToldInTheLog) {
  start(1);
  ASSERT_EQ(
      run("mkdir " + cluster_->mnt(1, "q") + " " + cluster_->mnt(1, "zookeeper/quota/q")).status,
      0);
  ASSERT_EQ(write_file(cluster_->mnt(1, "zookeeper/quota/q/zookeeper_limits"), "count=1,bytes=-1"),
            0);
  EXPECT_EQ(write_file(cluster_->mnt(1, "q/a"), "x"), 0);
  EXPECT_TRUE(eventually([&] {
    return cluster_->log(1).find("/zookeeper/quota/q: 2 znodes are beyond the limit 1") !=
           std::string::npos;
  })) << cluster_->log(1);
}

TEST_F(Administration, ThatAclsAreSkippedIsTheConfigurationsToSay) {
  ZKFS_NEEDS_KAZOO();
  const std::string lines =
      "from kazoo.security import make_digest_acl\n"
      "zk.create('/a', b'x', acl=[make_digest_acl('a', 'b', all=True)])\n"
      "try:\n  zk.set('/a', b'y')\n  print('set')\n"
      "except Exception as refused:\n  print(type(refused).__name__)\n";
  start(1);
  EXPECT_EQ(kazoo(1, lines).output, "NoAuthError\n");
  start(1, {"skipACL=yes"});
  EXPECT_EQ(kazoo(1, lines).output, "set\n");
}

TEST_F(Administration, APortThatIsTakenIsOneLineWithKeyAndRemedy) {
  start(1);
  const Cluster other({.nodes = 1, .start = false});
  std::string command;
  for (const std::string& part : other.command(1)) command += part + " ";
  const auto result =
      run(fmt::format("{} --set admin.enableServer=true --set admin.serverAddress=127.0.0.1 --set "
                      "admin.serverPort={} 2>&1 | grep ^zkfs:",
                      command, of(1).admin));
  EXPECT_NE(result.output.find("admin.serverPort"), std::string::npos) << result.output;
  EXPECT_NE(result.output.find(std::to_string(of(1).admin)), std::string::npos) << result.output;
}

TEST_F(Administration, AnUpgradeInPlaceKeepsThePorts) {
  start(1);
  cluster_->process(1).signal(SIGUSR2);
  ASSERT_TRUE(eventually([&] { return cluster_->log(1).find("took over") != std::string::npos; }));
  ASSERT_TRUE(cluster_->await_serving(1));
  EXPECT_TRUE(eventually([&] { return word(1, "ruok") == "imok"; }));
  EXPECT_EQ(fetch(of(1).admin, "/commands/ruok").status, 200);
  EXPECT_EQ(fetch(of(1).metrics, "/metrics").status, 200);
}

TEST_F(Administration, OfThreeServersEachTellsItsPart) {
  start(3);
  const int leader = cluster_->await_leader();
  for (int node = 1; node <= 3; ++node) {
    const std::string mode = node == leader ? "leader" : "follower";
    const std::string srvr = word(node, "srvr");
    EXPECT_NE(srvr.find("\nMode: " + mode + "\n"), std::string::npos) << srvr;
    EXPECT_EQ(srvr.find("\nProposal sizes last/min/max: ") != std::string::npos, node == leader);
    auto values = values_of(word(node, "mntr"));
    EXPECT_EQ(values["zk_server_state"], mode);
    EXPECT_EQ(values["zk_quorum_size"], "3");
    EXPECT_EQ(values.contains("zk_leader_uptime"), node == leader);
    EXPECT_EQ(command(node, "leader")["is_leader"], node == leader);
    EXPECT_EQ(command(node, "leader")["leader_id"], leader);
    // The first text of /zookeeper/config is a txn of the first leadership.
    EXPECT_TRUE(eventually([&] {
      return word(node, "conf").find("membership: \nserver.1=127.0.0.1:") != std::string::npos;
    })) << word(node, "conf");
    EXPECT_NE(word(node, "conf").find(fmt::format("serverId={}\n", node)), std::string::npos);
    EXPECT_NE(fetch(of(node).metrics, "/metrics").body.find("\nquorum_size 3\n"),
              std::string::npos);
  }
  EXPECT_TRUE(
      eventually([&] { return values_of(word(leader, "mntr"))["zk_synced_followers"] == "2"; }));
}

TEST_F(Administration, WithoutAQuorumOnlyWhatNeedsNoneIsAnswered) {
  start(3);
  cluster_->kill(1);
  cluster_->kill(2);
  const std::string sentence = "This ZooKeeper instance is not currently serving requests";
  EXPECT_TRUE(eventually([&] { return word(3, "srvr") == sentence + "\n"; })) << word(3, "srvr");
  EXPECT_EQ(word(3, "ruok"), "imok");
  EXPECT_EQ(word(3, "isro"), "null");
  EXPECT_TRUE(word(3, "envi").starts_with("Environment:\nzookeeper.version="));
  EXPECT_EQ(command(3, "srvr")["error"], sentence);
  EXPECT_NE(fetch(of(3).metrics, "/metrics").body.find("\nzkfs_in_quorum 0\n"), std::string::npos);
}

}  // namespace
}  // namespace zkfs::testing
