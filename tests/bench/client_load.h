// SPDX-License-Identifier: Apache-2.0
// The work of ZooKeeper clients, measured: what `scripts/bench clients` runs against our servers
// and ZooKeeper's alike. The znodes of a job lie under /zkfs-bench; it makes what it needs before
// and removes what it made in mass after, and neither is measured.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/client_fleet.h"
#include "tests/bench/process_cost.h"

namespace zkfs::bench {

struct LoadSettings {
  // The leader first: jobs "via leader" and "via follower" go by this. May be one.
  std::vector<Server> servers;
  CostMeter meter;
  Clock::duration warm_up = std::chrono::milliseconds(300);  // not measured
  Clock::duration length = std::chrono::seconds(2);
  std::size_t count = 1'000'000;  // of fill: znodes
};

struct Figures {
  std::size_t operations = 0;
  double seconds = 0;
  std::vector<double> latencies_us;
  Cost cost;
};

// The names of all jobs, one a line, with what each does.
std::string job_list();

// Runs a job and prints its figures as one line of JSON; an outage_... prints "ready" before, as
// soon as writes are acknowledged through all servers. Ends the process with one line on stderr if
// there is no such job, a server is lost (but in an outage) or an operation fails.
void run_job(std::string_view name, const LoadSettings& settings);

}  // namespace zkfs::bench
