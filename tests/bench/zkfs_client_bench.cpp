// SPDX-License-Identifier: Apache-2.0
// ZooKeeper clients at work, for `scripts/bench clients`.
//
//   zkfs_client_bench JOB --servers ADDRESS:PORT[,...] [--pids PID[,...]] [--seconds S]
//                     [--disk DIR] [--count N]
//   zkfs_client_bench --list
//
//   --servers   the leader first
//   --pids      of the servers: CPU and disk are counted of these
//   --seconds   that are measured, a part of one allowed (default 2)
//   --disk      a directory on the servers' disk: what its device writes is counted too
//   --count     of fill: znodes (default 1000000)
#include <sys/resource.h>

#include <string>
#include <vector>

#include "tests/bench/client_load.h"

namespace zkfs::bench {
namespace {

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    parts.push_back(text.substr(at, comma - at));
    at = comma + 1;
  }
  return parts;
}

Clock::duration seconds(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(value > 0) || value > 3600)
    die(text + ": give seconds above 0, at most 3600");
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(value));
}

// A session is a descriptor.
void allow_many_sockets() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int run(const std::vector<std::string>& words) {
  if (words.size() == 1 && words[0] == "--list") {
    fmt::print("{}", job_list());
    return 0;
  }
  if (words.size() < 3 || words.size() % 2 == 0)
    die("usage: JOB --servers ADDRESS:PORT[,...] [--pids PID[,...]] [--seconds S] [--disk DIR] "
        "[--count N] | --list");
  LoadSettings settings;
  std::vector<pid_t> pids;
  std::string disk;
  for (std::size_t i = 1; i < words.size(); i += 2) {
    const std::string& option = words[i];
    const std::string& value = words[i + 1];
    if (option == "--servers") {
      for (const std::string& server : split(value))
        settings.servers.push_back(parse_server(server));
    } else if (option == "--pids") {
      for (const std::string& pid : split(value)) pids.push_back(static_cast<pid_t>(number(pid)));
    } else if (option == "--seconds") {
      settings.length = seconds(value);
    } else if (option == "--disk") {
      disk = value;
    } else if (option == "--count") {
      settings.count = number(value);
    } else {
      die(option + ": no such option");
    }
  }
  if (settings.servers.empty()) die("--servers is missing");
  settings.meter = CostMeter(std::move(pids), disk);
  allow_many_sockets();
  run_job(words[0], settings);
  return 0;
}

}  // namespace
}  // namespace zkfs::bench

int main(int argc, char** argv) {
  return zkfs::bench::run({argv + 1, argv + argc});
}
