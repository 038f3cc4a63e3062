// SPDX-License-Identifier: Apache-2.0
// Cluster: real servers in a temporary directory, on free loopback ports, each with its mount.
// Whatever happens in a test, the destructor ends them and leaves no mount behind.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/system/shell.h"

namespace zkfs::testing {

// True if this machine can mount FUSE; tests skip otherwise.
bool fuse_available();

class Cluster {
 public:
  struct Options {
    int nodes = 3;
    int observers = 0;                    // in addition; they have the highest numbers
    std::string mount_options{};          // -o
    std::vector<std::string> settings{};  // lines of zoo.cfg
    bool client_ports = false;            // ZooKeeper's clients are served
    bool start = true;                    // all, and wait until all serve
  };

  explicit Cluster(Options options);

  Cluster() : Cluster(Options{}) {}

  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  // Nodes count from 1.
  [[nodiscard]] int size() const { return static_cast<int>(nodes_.size()); }

  // The mount of a node, or a path in it.
  [[nodiscard]] std::string mnt(int node, const std::string& path = "") const;
  [[nodiscard]] std::string directory(int node) const;
  [[nodiscard]] std::string log(int node) const;

  // Where its clients connect, "127.0.0.1:2181".
  [[nodiscard]] std::string client_address(int node) const;

  [[nodiscard]] Process& process(int node) { return nodes_.at(static_cast<std::size_t>(node - 1)); }

  [[nodiscard]] std::vector<std::string> command(int node) const;

  void start(int node);
  void start_all();
  // SIGKILL; returns when the process is gone.
  void kill(int node);
  // SIGTERM; the exit status.
  int stop(int node);
  // Waits until the node answers as part of a quorum; false and the log printed if it does not.
  bool await_serving(int node, Millis limit = Seconds(30));
  bool await_all(Millis limit = Seconds(30));
  // "leader", "follower", "observer", "looking", "standalone"; empty if the mount does not answer.
  [[nodiscard]] std::string role(int node) const;
  // The node that leads; 0 if none says so.
  [[nodiscard]] int leader() const;
  int await_leader(Millis limit = Seconds(20));
  // A node that does not lead.
  int follower();
  // `node` shows everything committed before: sync(1) on its root.
  bool sync(int node) const;
  // All nodes have the same tree, by digest, once they are in step.
  bool same_everywhere();

 private:
  [[nodiscard]] int client_port(int node) const;

  Options options_;
  std::string root_;
  std::vector<int> ports_;  // of peers and elections by pairs, then of clients
  std::vector<Process> nodes_;
};

// A number from .zkfs/status.json of a mount, or text; empty if absent.
std::string status_field(const std::string& mount, const std::string& field);

}  // namespace zkfs::testing

#define ZKFS_NEEDS_FUSE() \
  if (!::zkfs::testing::fuse_available()) GTEST_SKIP() << "no /dev/fuse here"
