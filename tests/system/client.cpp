// SPDX-License-Identifier: Apache-2.0
#include "tests/system/client.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace zkfs::testing {
namespace {

constexpr Seconds kAnswerLimit{30};

Millis left_until(std::chrono::steady_clock::time_point deadline) {
  return std::chrono::duration_cast<Millis>(deadline - std::chrono::steady_clock::now());
}

}  // namespace

bool kazoo_available() {
  static const bool available = run("/usr/bin/python3 -c 'import kazoo'").status == 0;
  return available;
}

Client::Client(const Cluster& cluster, const Options& options) {
  std::string hosts;
  for (const int node : options.nodes) {
    hosts += (hosts.empty() ? "" : ",") + cluster.client_address(node);
  }
  std::vector<std::string> command{ZKFS_CLIENT, hosts + options.chroot,
                                   fmt::format("{}e-3", options.timeout.count())};
  if (!options.digest.empty()) command.insert(command.end(), {"digest", options.digest});
  std::array<int, 2> to{};
  std::array<int, 2> from{};
  if (pipe2(to.data(), O_CLOEXEC) != 0 || pipe2(from.data(), O_CLOEXEC) != 0) std::abort();
  process_ = Process::start(command, to[0], from[1]);
  close(to[0]);
  close(from[1]);
  input_ = to[1];
  output_ = from[0];
  EXPECT_EQ(answer(), "connected");
  EXPECT_TRUE(told("CONNECTED"));
}

Client::~Client() {
  close(input_);
  process_.signal(SIGCONT);
  process_.wait(Seconds(5));
  close(output_);
}

std::string Client::operator()(const std::string& expression) {
  const std::string line = expression + "\n";
  if (!process_.running() ||
      write(input_, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
    return "gone";
  return answer();
}

std::vector<std::string> Client::until(const std::string& event, Millis limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  auto found = std::find(told_.begin(), told_.end(), event);
  while (found == told_.end()) {
    const std::string line = next_line(left_until(deadline));
    if (line.empty()) break;
    if (line.starts_with("* ")) told_.push_back(line.substr(2));
    found = std::find(told_.begin(), told_.end(), event);
  }
  if (found != told_.end()) ++found;
  std::vector<std::string> taken(told_.begin(), found);
  told_.erase(told_.begin(), found);
  return taken;
}

bool Client::told(const std::string& event, Millis limit) {
  const auto events = until(event, limit);
  const bool found = !events.empty() && events.back() == event;
  if (!found) fmt::print(stderr, "not told {}, but: {}\n", event, fmt::join(events, "; "));
  return found;
}

void Client::kill() {
  process_.signal(SIGKILL);
  process_.wait(Seconds(10));
}

std::string Client::next_line(Millis limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  auto end = read_.find('\n');
  while (end == std::string::npos) {
    pollfd item{output_, POLLIN, 0};
    const Millis left = left_until(deadline);
    if (left.count() <= 0 || poll(&item, 1, static_cast<int>(left.count())) <= 0) return {};
    std::array<char, 65536> buffer{};
    const ssize_t size = read(output_, buffer.data(), buffer.size());
    if (size <= 0) return {};
    read_.append(buffer.data(), static_cast<std::size_t>(size));
    end = read_.find('\n');
  }
  std::string line = read_.substr(0, end);
  read_.erase(0, end + 1);
  return line;
}

std::string Client::answer() {
  const auto deadline = std::chrono::steady_clock::now() + kAnswerLimit;
  for (;;) {
    const std::string line = next_line(left_until(deadline));
    if (line.empty()) return "no answer";
    if (line.starts_with("= ")) return line.substr(2);
    if (line.starts_with("! ")) return line;
    if (line.starts_with("* ")) told_.push_back(line.substr(2));
  }
}

}  // namespace zkfs::testing
