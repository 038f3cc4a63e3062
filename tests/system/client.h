// SPDX-License-Identifier: Apache-2.0
// Client: a real ZooKeeper client (kazoo) in a process of its own, told what to do by expressions
// of Python (client.py). Ends with its object; its session is then left to its timeout.
#pragma once

#include <signal.h>

#include <deque>
#include <string>
#include <vector>

#include "tests/system/cluster.h"
#include "tests/system/shell.h"

namespace zkfs::testing {

// True if kazoo is installed; tests skip otherwise.
bool kazoo_available();

class Client {
 public:
  struct Options {
    std::vector<int> nodes{1};  // in the order in which they are tried
    Millis timeout = Seconds(10);
    std::string chroot{};
    std::string digest{};  // user:password
  };

  // Connects; the test fails if that does not work.
  explicit Client(const Cluster& cluster) : Client(cluster, Options{}) {}

  Client(const Cluster& cluster, const Options& options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // What the expression comes to, as text; "! " and the exception's name if it raises one;
  // "no answer" if there is none within half a minute.
  std::string operator()(const std::string& expression);

  // What it is told ("CHANGED /f", "SUSPENDED") until `event`, which is the last then; all that
  // there was, if it does not come within `limit`. Takes them: nothing is returned twice.
  std::vector<std::string> until(const std::string& event, Millis limit = Seconds(20));
  // As until; true if it came.
  bool told(const std::string& event, Millis limit = Seconds(20));

  // SIGKILL: nothing is said to the server.
  void kill();

  void freeze() const { process_.signal(SIGSTOP); }

  void thaw() const { process_.signal(SIGCONT); }

 private:
  // The next line, "" if there is none within `limit`.
  std::string next_line(Millis limit);
  std::string answer();

  Process process_;
  int input_ = -1;   // its standard input
  int output_ = -1;  // its standard output
  std::string read_;
  std::deque<std::string> told_;
};

}  // namespace zkfs::testing

#define ZKFS_NEEDS_KAZOO() \
  if (!::zkfs::testing::kazoo_available()) GTEST_SKIP() << "no kazoo for /usr/bin/python3"
