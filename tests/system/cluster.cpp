// SPDX-License-Identifier: Apache-2.0
#include "tests/system/cluster.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include <fmt/core.h>

#include "ensemble/base/random.h"

namespace zkfs::testing {
namespace {

namespace fs = std::filesystem;

// Ports that nothing uses now, from below the range that the kernel gives to outgoing connections:
// a server that is down would otherwise find its port taken by a peer that dials it.
std::vector<int> free_ports(int count) {
  static Random random(std::random_device{}());
  std::set<int> ports;
  while (ports.size() < static_cast<std::size_t>(count)) {
    const int port = static_cast<int>(random.between(12'000, 31'999));
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) ports.insert(port);
    close(fd);
  }
  return {ports.begin(), ports.end()};
}

}  // namespace

bool fuse_available() {
  return access("/dev/fuse", R_OK | W_OK) == 0 && geteuid() == 0;
}

Cluster::Cluster(Options options) : options_(std::move(options)) {
  std::string pattern = fs::temp_directory_path() / "zkfs-test-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) std::abort();
  root_ = pattern;
  const int count = options_.nodes + options_.observers;
  ports_ = free_ports(3 * count);
  nodes_.resize(static_cast<std::size_t>(count));
  for (int i = 1; i <= count; ++i) {
    fs::create_directories(directory(i) + "/data");
    fs::create_directories(mnt(i));
    std::ofstream(directory(i) + "/data/myid") << i << "\n";
    std::ofstream config(directory(i) + "/zoo.cfg");
    config << "tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir=" << directory(i) << "/data\n";
    for (const auto& line : options_.settings) config << line << "\n";
    if (options_.client_ports) {
      config << fmt::format("clientPort={}\nclientPortAddress=127.0.0.1\n", client_port(i));
    }
    if (count == 1) continue;
    for (int k = 1; k <= count; ++k) {
      const auto at = static_cast<std::size_t>(2 * (k - 1));
      config << fmt::format("server.{}=127.0.0.1:{}:{}:{}\n", k, ports_[at], ports_[at + 1],
                            k <= options_.nodes ? "participant" : "observer");
    }
  }
  if (options_.start) start_all();
}

Cluster::~Cluster() {
  for (auto& node : nodes_) {
    node.signal(SIGCONT);
    node.signal(SIGTERM);
  }
  for (auto& node : nodes_) {
    if (node.running() && node.wait(Seconds(10)) == -1) node.signal(SIGKILL);
  }
  for (int i = 1; i <= size(); ++i) umount2(mnt(i).c_str(), MNT_DETACH);
  nodes_.clear();
  std::error_code ignored;
  // Never through a mount that is still there.
  if (run("grep -q ' " + root_ + "/' /proc/self/mountinfo").status != 0) {
    fs::remove_all(root_, ignored);
  }
}

std::string Cluster::directory(int node) const {
  return fmt::format("{}/{}", root_, node);
}

std::string Cluster::mnt(int node, const std::string& path) const {
  const auto mount = directory(node) + "/mnt";
  return path.empty() ? mount : mount + "/" + path;
}

std::string Cluster::log(int node) const {
  return read_file(directory(node) + "/log");
}

int Cluster::client_port(int node) const {
  return ports_.at(2 * nodes_.size() + static_cast<std::size_t>(node - 1));
}

std::string Cluster::client_address(int node) const {
  return fmt::format("127.0.0.1:{}", client_port(node));
}

std::vector<std::string> Cluster::command(int node) const {
  std::vector<std::string> result{ZKFS_PROGRAM, "serve", "--config", directory(node) + "/zoo.cfg"};
  if (!options_.mount_options.empty()) {
    result.emplace_back("-o");
    result.push_back(options_.mount_options);
  }
  result.push_back(mnt(node));
  return result;
}

void Cluster::start(int node) {
  process(node) = Process::start(command(node), directory(node) + "/log");
}

void Cluster::start_all() {
  for (int i = 1; i <= size(); ++i) start(i);
  if (!await_all()) std::abort();
}

void Cluster::kill(int node) {
  process(node).signal(SIGKILL);
  process(node).signal(SIGCONT);
  process(node).wait(Seconds(10));
}

int Cluster::stop(int node) {
  process(node).signal(SIGTERM);
  return process(node).wait(Seconds(20));
}

std::string Cluster::role(int node) const {
  auto text = read_file(mnt(node, ".zkfs/role"));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

bool Cluster::await_serving(int node, Millis limit) {
  const bool serving = eventually(
      [&] {
        if (!process(node).running()) return true;
        const auto word = role(node);
        return !word.empty() && word != "looking";
      },
      limit);
  if (serving && process(node).running()) return true;
  fmt::print(stderr, "node {} does not serve; its log:\n{}\n", node, log(node));
  return false;
}

bool Cluster::await_all(Millis limit) {
  for (int i = 1; i <= size(); ++i) {
    if (!await_serving(i, limit)) return false;
  }
  return true;
}

int Cluster::leader() const {
  for (int i = 1; i <= size(); ++i) {
    const auto word = role(i);
    if (word == "leader" || word == "standalone") return i;
  }
  return 0;
}

int Cluster::await_leader(Millis limit) {
  int found = 0;
  eventually([&] { return (found = leader()) != 0; }, limit);
  return found;
}

int Cluster::follower() {
  const int leads = await_leader();
  return leads == 1 ? 2 : 1;
}

bool Cluster::sync(int node) const {
  return run("sync " + mnt(node)).status == 0;
}

bool Cluster::same_everywhere() {
  return eventually([&] {
    const auto zxid = status_field(mnt(1), "zxid");
    const auto digest = status_field(mnt(1), "digest");
    for (int i = 1; i <= size(); ++i) {
      if (status_field(mnt(i), "zxid") != zxid || status_field(mnt(i), "digest") != digest) {
        return false;
      }
    }
    return !digest.empty();
  });
}

std::string status_field(const std::string& mount, const std::string& field) {
  const auto text = read_file(mount + "/.zkfs/status.json");
  const auto key = "\"" + field + "\":";
  auto at = text.find(key);
  if (at == std::string::npos) return {};
  at += key.size();
  auto end = text.find_first_of(",}", at);
  auto value = text.substr(at, end - at);
  if (value.size() > 1 && value.front() == '"') value = value.substr(1, value.size() - 2);
  return value;
}

}  // namespace zkfs::testing
