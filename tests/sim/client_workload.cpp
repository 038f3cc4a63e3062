// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/client_workload.h"

#include <algorithm>
#include <utility>

namespace zkfs::sim {
namespace {

// Clocks of servers run at 0.9 to 1.1 of the true speed.
Instant soonest(std::uint32_t timeout_ms) {
  return Millis{timeout_ms} * 10 / 11;
}

Instant latest(std::uint32_t timeout_ms) {
  return Millis{timeout_ms} * 10 / 9;
}

// From a client to the leader: links, what a conversation and a server gather before they tell.
constexpr Millis kTouchOnItsWay{500};
// From a leader that finds a session silent to the server where it is seen: links, disks, buckets.
constexpr Millis kEndOnItsWay{2'500};

}  // namespace

ClientWorkload::ClientWorkload(Random& random,
                               EventQueue& queue,
                               Checkers& checkers,
                               std::vector<std::unique_ptr<SimNode>>& nodes)
    : world_{
          .random = random, .queue = queue, .checkers = checkers, .nodes = nodes, .history = {}} {}

std::unique_ptr<FrontDoor> ClientWorkload::make_front_door(SimNode& node) {
  client_port::Settings settings;
  settings.self = node.id();
  return std::make_unique<SimClientPort>(node, world_.random, std::move(settings), world_.history);
}

void ClientWorkload::start(std::size_t clients) {
  for (std::size_t i = 0; i < clients; ++i) {
    clients_.push_back(std::make_unique<SimClient>(world_, i));
    clients_.back()->start();
  }
}

void ClientWorkload::calm() {
  calm_ = true;
  for (auto& client : clients_) client->calm(world_.random.chance(1, 3));
}

void ClientWorkload::rest() {
  for (auto& client : clients_) client->rest();
}

void ClientWorkload::observe_quiet() {
  const ServerId leader =
      world_.nodes.front()->running() ? world_.nodes.front()->member().status().leader : ServerId{};
  const bool quiet =
      leader && std::all_of(world_.nodes.begin(), world_.nodes.end(), [&](const auto& node) {
        return node->running() && !node->paused() && node->member().in_quorum() &&
               node->member().status().leader == leader;
      });
  if (!quiet || leader != leader_) quiet_since_.reset();
  leader_ = leader;
  if (quiet && !quiet_since_) quiet_since_ = world_.queue.now();
}

void ClientWorkload::observe(SimNode& node) {
  if (calm_) observe_quiet();
  const tree::DataTree& tree = node.member().tree();
  if (tree.last_applied() < world_.history.position()) return;
  world_.history.reached(tree.last_applied());
  for (auto& client : clients_) {
    for (auto& session : client->sessions()) {
      if (session.ended || tree.has_session(session.id)) continue;
      session.ended = world_.queue.now();
      if (!session.closing) ++expired_;
      judge_end(session);
    }
  }
}

void ClientWorkload::judge_end(const ClientSession& session) const {
  if (session.closing) return;
  const auto judge = [&](Instant sign, Instant slack, std::string_view what) {
    if (*session.ended >= sign + soonest(session.timeout_ms) - slack) return;
    Checkers::violated(fmt::format("session {:#x} of {} ms ended {} ms after {}", session.id,
                                   session.timeout_ms, (*session.ended - sign) / Millis{1}, what));
  };
  judge(session.last_decided, Instant{}, "a request that was decided");
  if (quiet_since_ && session.last_answered >= *quiet_since_) {
    judge(session.last_answered, kTouchOnItsWay, "a request that was answered");
  }
  if (!quiet_since_) return;
  const Instant silent = std::max(session.last_sent, *quiet_since_);
  if (*session.ended > silent + latest(session.timeout_ms) + kEndOnItsWay) {
    Checkers::violated(fmt::format("session {:#x} of {} ms was silent for {} ms before it ended",
                                   session.id, session.timeout_ms,
                                   (*session.ended - silent) / Millis{1}));
  }
}

bool ClientWorkload::settled() const {
  const tree::DataTree& tree = world_.nodes.front()->member().tree();
  for (const auto& session : tree.sessions()) {
    // (Those, too, whose client never heard that they were opened.)
    if (!session.owner.starts_with("client ")) continue;
    if (std::none_of(clients_.begin(), clients_.end(),
                     [&](const auto& client) { return client->present() == session.id; })) {
      return false;
    }
  }
  return std::all_of(clients_.begin(), clients_.end(),
                     [](const auto& client) { return client->settled(); });
}

std::string ClientWorkload::describe() const {
  std::string text;
  for (const auto& client : clients_) text += "\n  client " + client->describe();
  for (const auto& session : world_.nodes.front()->member().tree().sessions()) {
    text += fmt::format("\n  session {:#x} of {}", session.id, session.owner);
  }
  return text;
}

void ClientWorkload::check(const tree::DataTree& tree) const {
  for (const auto& client : clients_) client->check_sessions();
  // What the history has at its end, the tree has.
  for (const auto& [path, state] : world_.history.last()) {
    const auto znode = tree.find_path(path);
    if (state.exists != znode.has_value() ||
        (znode && (znode->data.view() != state.data || znode->stat.mzxid != state.mzxid))) {
      Checkers::violated(fmt::format("{} is not in the final tree as history has it", path));
    }
    if (znode && state.owner && !tree.has_session(state.owner)) {
      Checkers::violated(fmt::format("{} outlived its session {:#x}", path, state.owner));
    }
  }
  // What was acknowledged and nobody but its session takes away.
  for (const auto& client : clients_) {
    for (const auto& session : client->sessions()) {
      const bool lives = tree.has_session(session.id);
      if (session.closed && lives) Checkers::violated("a session that was closed lives");
      for (const auto& connection : session.connections) {
        for (const auto& request : connection.requests) {
          if (!request.path.starts_with("/c/e") || !request.answered || request.error != 0)
            continue;
          if (tree.find_path(request.path).has_value() != lives) {
            Checkers::violated(fmt::format("{} is {}there, its session is {}there", request.path,
                                           lives ? "not " : "", lives ? "" : "not "));
          }
        }
      }
    }
  }
}

}  // namespace zkfs::sim
