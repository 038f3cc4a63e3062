// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/cluster.h"

#include <algorithm>
#include <array>

namespace zkfs::sim {
namespace {

SimNode* find_node(std::vector<std::unique_ptr<SimNode>>& nodes, ServerId id) {
  for (auto& node : nodes) {
    if (node->id() == id && node->running()) return node.get();
  }
  return nullptr;
}

}  // namespace

Cluster::Cluster(std::uint64_t seed)
    : random_(seed),
      clients_(random_, queue_, checkers_, nodes_),
      workload_(random_, checkers_),
      locks_(random_) {
  build();
}

void Cluster::build() {
  constexpr std::array<std::uint32_t, 8> kVoters{1, 3, 3, 3, 3, 3, 5, 5};
  const auto voters = kVoters.at(random_.below(kVoters.size()));
  const auto observers = random_.chance(1, 3) ? random_.between(1, 2) : 0;
  for (std::uint32_t i = 1; i <= voters + observers; ++i) {
    (i <= voters ? voters_ : observers_).push_back(ServerId{i});
  }
  fault_gap_ms_ = static_cast<std::int64_t>(random_.between(100, 1'500));
  operation_gap_us_ = static_cast<std::int64_t>(random_.between(1'000, 20'000));
  snap_count_ = random_.between(10, 200);
  if (random_.chance(1, 3)) clients_.limit(random_.between(4, 12));
  history_entries_ = random_.between(3, 300);
  NetworkOptions network;
  network.delay_max = Millis{static_cast<std::int64_t>(random_.between(1, 20))};
  const auto deliver = [this](ServerId at, auto what) {
    if (SimNode* node = find_node(nodes_, at)) {
      node->input([node, what = std::move(what)]() mutable { what(*node); });
    }
  };
  network_ = std::make_unique<SimNetwork>(
      queue_, random_, network,
      SimNetwork::Events{
          [deliver](ServerId at, ServerId peer) {
            deliver(at, [peer](SimNode& n) { n.member().peer_up(peer, n.now()); });
          },
          [deliver](ServerId at, ServerId peer) {
            deliver(at, [peer](SimNode& n) { n.member().peer_down(peer, n.now()); });
          },
          [deliver](ServerId at, ServerId from, zab::Message message) {
            deliver(at, [from, m = std::make_shared<zab::Message>(std::move(message))](SimNode& n) {
              n.member().message(from, std::move(*m), n.now());
            });
          }});
  for (const auto& group : {voters_, observers_}) {
    for (const ServerId id : group) {
      nodes_.push_back(std::make_unique<SimNode>(
          queue_, random_, *network_, node_options(id),
          [this](SimNode& node) {
            checkers_.observe(node);
            locks_.observe(node);
            clients_.observe(node);
          },
          [this](SimNode& node) { return clients_.make_front_door(node); }));
    }
  }
}

NodeOptions Cluster::node_options(ServerId id) {
  NodeOptions options;
  options.member.zab.self = id;
  options.member.zab.voters = voters_;
  options.member.zab.observers = observers_;
  options.member.zab.history_entries_max = history_entries_;
  if (random_.chance(1, 10)) {
    options.member.zab.counter_max = static_cast<std::uint32_t>(random_.between(150, 600));
  }
  options.member.snap_count = snap_count_;
  options.member.reap_interval = Millis{100};
  options.member.container_grace = Millis{500};
  options.member.session_timeout_min_ms = 1'000;
  options.member.touch_interval = Millis{100};
  options.member.enforce_quota = clients_.limited();
  options.store.segment_bytes = random_.between(16, 128) * 1024;
  options.store.snapshots_retained = 3;
  // Mostly quick disks, now and then one that takes a quarter of a second.
  options.disk_slowest = random_.chance(1, 8) ? Millis{250} : Millis{2};
  options.clock_speed = 0.9 + 0.02 * static_cast<double>(random_.below(11));
  return options;
}

SimNode& Cluster::any_node() {
  return *nodes_[random_.below(nodes_.size())];
}

void Cluster::schedule_operation() {
  const auto gap = random_.between(1, static_cast<std::uint64_t>(operation_gap_us_) * 2);
  queue_.after(std::chrono::microseconds{gap}, [this] {
    if (!working_) return;
    // Now and then a burst, which fills the pipeline.
    const auto times = random_.chance(1, 20) ? 20 : 1;
    SimNode& node = any_node();
    for (int i = 0; i < times; ++i) {
      if (random_.chance(1, 3)) {
        locks_.act(node);
      } else {
        workload_.act(node);
      }
    }
    schedule_operation();
  });
}

void Cluster::schedule_fault() {
  const auto gap = random_.between(1, static_cast<std::uint64_t>(fault_gap_ms_) * 2);
  queue_.after(Millis{static_cast<std::int64_t>(gap)}, [this] {
    if (!faulty_) return;
    ++faults_;
    fault();
    schedule_fault();
  });
}

void Cluster::fault() {
  const auto soon = [this](std::uint64_t max_ms, std::function<void()> what) {
    queue_.after(Millis{static_cast<std::int64_t>(random_.between(1, max_ms))}, std::move(what));
  };
  SimNode& node = any_node();
  switch (random_.below(10)) {
    case 0:
    case 1:
    case 2: {  // a crash, of the process or of the machine
      node.crash(random_.chance(1, 2));
      return soon(2'000, [&node] {
        if (!node.running()) node.start();
      });
    }
    case 3: {  // power loss everywhere
      for (auto& each : nodes_) each->crash(true);
      return soon(500, [this] {
        for (auto& each : nodes_) {
          if (!each->running()) each->start();
        }
      });
    }
    case 4:
    case 5: {  // SIGSTOP
      node.pause();
      return soon(1'500, [&node] { node.resume(); });
    }
    case 6: {
      if (node.running() && !node.paused()) node.member().purge();
      return;
    }
    default:
      return fault_network();
  }
}

void Cluster::fault_network() {
  SimNode& a = any_node();
  SimNode& b = any_node();
  switch (random_.below(5)) {
    case 0:
      if (&a != &b) network_->reset(a.id(), b.id());
      return;
    case 1:  // one way
      if (&a != &b) network_->set_cut(a.id(), b.id(), true);
      return;
    case 2:  // one server cut off
      for (auto& each : nodes_) {
        if (each.get() == &a) continue;
        network_->set_cut(a.id(), each->id(), true);
        network_->set_cut(each->id(), a.id(), true);
      }
      return;
    case 3: {  // two halves
      for (auto& x : nodes_) {
        for (auto& y : nodes_) {
          if ((x->id().value % 2) != (y->id().value % 2)) network_->set_cut(x->id(), y->id(), true);
        }
      }
      return;
    }
    default:
      return network_->heal();
  }
}

void Cluster::heal() {
  faulty_ = false;
  working_ = false;
  network_->heal();
  for (auto& node : nodes_) {
    node->resume();
    if (!node->running()) node->start();
  }
  clients_.calm();
}

bool Cluster::converged() {
  const auto first = nodes_.front()->member().status();
  // Whoever leads has deleted all that nobody uses.
  if (!nodes_.front()->member().tree().reapable().empty()) return false;
  return std::all_of(nodes_.begin(), nodes_.end(), [&](auto& node) {
    const auto status = node->member().status();
    return status.in_quorum && status.last_applied == first.last_applied &&
           status.digest == first.digest && status.pending_requests == 0;
  });
}

void Cluster::run_until(Instant end) {
  while (queue_.step(end)) {
  }
}

RunResult Cluster::run() {
  for (auto& node : nodes_) {
    if (random_.chance(9, 10)) {
      node->start();
    } else {
      queue_.after(Millis{static_cast<std::int64_t>(random_.below(2'000))}, [&node] {
        if (!node->running()) node->start();
      });
    }
  }
  schedule_operation();
  clients_.start(random_.between(1, 4));
  queue_.after(Millis{200}, [this] { schedule_fault(); });
  run_until(Millis{static_cast<std::int64_t>(random_.between(3'000, 9'000))});
  heal();
  const auto healed = queue_.now();
  // Long enough for a restart scheduled by a fault, an election, and a session to expire.
  run_until(healed + Millis{3'000});
  clients_.rest();
  // Longer than a session lives: from here on its client's pings alone keep it, and must.
  if (random_.chance(1, 2)) run_until(queue_.now() + Millis{4'000});
  for (auto& node : nodes_) workload_.mark(*node);
  const auto deadline = queue_.now() + Millis{30'000};
  while (workload_.marks_done() < nodes_.size() || !converged() || !clients_.settled()) {
    if (!queue_.step(deadline)) {
      std::string states;
      for (auto& node : nodes_) {
        const auto s = node->member().status();
        states +=
            fmt::format("\n  server {}: {} leader={} epoch={} applied={} logged={} pending={}{}",
                        node->id(), zab::to_string(s.state), s.leader, s.epoch, s.last_applied,
                        s.last_logged, s.pending_requests, s.in_quorum ? " in quorum" : "");
      }
      Checkers::violated(fmt::format("no convergence 30 s after healing ({} of {} marks):{}{}",
                                     workload_.marks_done(), nodes_.size(), states,
                                     clients_.describe()));
    }
  }
  RunResult result;
  result.converged_ms = (queue_.now() - healed).count() / 1'000'000;
  for (auto& node : nodes_) {
    workload_.check(node->member().tree());
    clients_.check(node->member().tree());
    locks_.check(*node);
  }
  result.topology = fmt::format("{} voters, {} observers", voters_.size(), observers_.size());
  result.trace = checkers_.trace();
  result.epochs = checkers_.epochs();
  result.positions = checkers_.positions();
  result.operations = workload_.operations();
  result.answered = workload_.answered();
  result.lock_grants = locks_.grants();
  result.lock_waits = locks_.waits();
  result.client_answers = clients_.world().answers;
  result.client_moves = clients_.world().moves;
  result.client_events = clients_.world().events;
  result.expired = clients_.expired();
  result.faults = faults_;
  for (auto& node : nodes_) node->crash(false);
  return result;
}

}  // namespace zkfs::sim
