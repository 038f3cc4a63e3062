// SPDX-License-Identifier: Apache-2.0
// What work costs the machine: CPU of servers and of this process, and bytes to the disk, as the
// kernel counts them. Samples are taken before and after; their difference is the cost.
#pragma once

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/bench/measure.h"

namespace zkfs::bench {

struct Cost {
  double client_us = 0;       // of this process
  double server_user_us = 0;  // of all servers together
  double server_sys_us = 0;
  double server_disk_bytes = 0;  // that they caused, without the filesystem's own journal
  double device_bytes = 0;       // to the whole device, whoever wrote them; 0 if it is not known
  double device_writes = 0;

  friend Cost operator-(const Cost& a, const Cost& b) {
    return {.client_us = a.client_us - b.client_us,
            .server_user_us = a.server_user_us - b.server_user_us,
            .server_sys_us = a.server_sys_us - b.server_sys_us,
            .server_disk_bytes = a.server_disk_bytes - b.server_disk_bytes,
            .device_bytes = a.device_bytes - b.device_bytes,
            .device_writes = a.device_writes - b.device_writes};
  }
};

class CostMeter {
 public:
  CostMeter() = default;

  // `directory`: on the disk that the servers write to; empty: no device is looked at.
  CostMeter(std::vector<pid_t> servers, const std::string& directory)
      : servers_(std::move(servers)) {
    struct stat status {};

    if (directory.empty()) return;
    if (stat(directory.c_str(), &status) != 0) die_of_errno(directory);
    device_ = fmt::format("/sys/dev/block/{}:{}/stat", major(status.st_dev), minor(status.st_dev));
  }

  // Ends the process if a server is gone: its cost cannot be told any more.
  [[nodiscard]] Cost sample() const {
    Cost cost;

    struct rusage own {};

    getrusage(RUSAGE_SELF, &own);
    cost.client_us = micros_of(own.ru_utime) + micros_of(own.ru_stime);
    const double tick_us = 1e6 / static_cast<double>(sysconf(_SC_CLK_TCK));
    for (const pid_t pid : servers_) {
      // The fields after the name, which may hold anything: state is the first of them.
      const std::string stat = read(fmt::format("/proc/{}/stat", pid));
      const auto fields = words_of(std::string_view(stat).substr(stat.rfind(')') + 1));
      if (fields.size() < 13) die(fmt::format("process {}: no times in its stat", pid));
      cost.server_user_us += tick_us * std::stod(fields[11]);
      cost.server_sys_us += tick_us * std::stod(fields[12]);
      const auto io = words_of(read(fmt::format("/proc/{}/io", pid)));
      for (std::size_t i = 0; i + 1 < io.size(); ++i)
        if (io[i] == "write_bytes:") cost.server_disk_bytes += std::stod(io[i + 1]);
    }
    add_device(cost);
    return cost;
  }

 private:
  static constexpr double kSectorBytes = 512;

  static double micros_of(const timeval& time) {
    return 1e6 * static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec);
  }

  static std::vector<std::string> words_of(std::string_view text) {
    std::istringstream stream{std::string(text)};
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    return words;
  }

  static std::string read(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    if (text.str().empty()) die(path + ": cannot be read; has the server ended?");
    return text.str();
  }

  void add_device(Cost& cost) const {
    if (device_.empty() || access(device_.c_str(), R_OK) != 0) return;
    const auto fields = words_of(read(device_));
    if (fields.size() < 7) return;
    cost.device_writes = std::stod(fields[4]);
    cost.device_bytes = kSectorBytes * std::stod(fields[6]);
  }

  std::vector<pid_t> servers_;
  std::string device_;
};

}  // namespace zkfs::bench
