// SPDX-License-Identifier: Apache-2.0
// Cluster: one simulated run: a topology, a workload and a schedule of faults drawn from a seed;
// first everything may go wrong, then everything is healed and must converge.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ensemble/base/random.h"
#include "tests/sim/checkers.h"
#include "tests/sim/client_workload.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/lock_workload.h"
#include "tests/sim/sim_network.h"
#include "tests/sim/sim_node.h"
#include "tests/sim/workload.h"

namespace zkfs::sim {

struct RunResult {
  std::string topology;
  std::uint64_t trace = 0;
  std::size_t epochs = 0;
  std::size_t positions = 0;
  std::size_t operations = 0;
  std::size_t answered = 0;
  std::size_t lock_grants = 0;
  std::size_t lock_waits = 0;  // grants of requests that had waited
  std::size_t client_answers = 0;
  std::size_t client_moves = 0;  // sessions attached to again
  std::size_t client_events = 0;
  std::size_t expired = 0;  // sessions of clients
  std::size_t faults = 0;
  std::int64_t converged_ms = 0;  // after healing
};

class Cluster {
 public:
  explicit Cluster(std::uint64_t seed);
  RunResult run();

 private:
  void build();
  NodeOptions node_options(ServerId id);
  void schedule_operation();
  void schedule_fault();
  void fault();
  void fault_network();
  SimNode& any_node();
  void heal();
  [[nodiscard]] bool converged();
  void run_until(Instant end);

  Random random_;
  EventQueue queue_;
  Checkers checkers_;
  std::unique_ptr<SimNetwork> network_;
  std::vector<ServerId> voters_;
  std::vector<ServerId> observers_;
  std::vector<std::unique_ptr<SimNode>> nodes_;
  ClientWorkload clients_;
  Workload workload_;
  LockWorkload locks_;
  bool faulty_ = true;
  bool working_ = true;
  std::size_t faults_ = 0;
  // Drawn once: how this run is.
  std::int64_t fault_gap_ms_ = 500;
  std::int64_t operation_gap_us_ = 3'000;
  std::uint64_t snap_count_ = 100;
  std::size_t history_entries_ = 100;
};

}  // namespace zkfs::sim
