// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/client_history.h"

#include <algorithm>

#include "tests/sim/checkers.h"

namespace zkfs::sim {
namespace {

using server::EventType;

const ClientHistory::State kAbsent;

bool is_child(std::string_view path) {
  return path.starts_with("/c/");
}

}  // namespace

bool ClientHistory::is_tracked(std::string_view path) {
  return path == kDirectory || path == kQuota || path == kQuotaLimits || is_child(path) ||
         path.starts_with("/s");
}

ClientHistory::State ClientHistory::state_of(const tree::DataTree& tree, std::string_view path) {
  State state;
  const auto znode = tree.find_path(path);
  if (!znode) return state;
  state.exists = true;
  state.data = znode->data.view();
  state.mzxid = znode->stat.mzxid;
  state.version = znode->stat.version;
  state.owner = znode->stat.ephemeral_owner;
  for (const auto& entry : *znode->acl) {
    if (entry.scheme == "digest") state.user = entry.id.substr(0, entry.id.find(':'));
  }
  return state;
}

void ClientHistory::note(const std::string& path, Zxid zxid, State state) {
  const State& before = at(path, zxid);
  if (before == state) return;
  if (state.exists && state.data != before.data && !state.data.empty()) {
    const auto [it, fresh] = effects_.emplace(state.data, state.mzxid);
    if (!fresh && it->second != state.mzxid) {
      Checkers::violated(
          fmt::format("{} took effect at {} and at {}", state.data, it->second, state.mzxid));
    }
  }
  if (before.exists != state.exists && is_child(path)) child_changes_.push_back(zxid);
  const auto type = !state.exists    ? EventType::kDeleted
                    : !before.exists ? EventType::kCreated
                                     : EventType::kDataChanged;
  steps_.push_back({zxid, path, type});
  paths_[path].emplace_back(zxid, std::move(state));
}

void ClientHistory::applied(const tree::DataTree& tree, const server::AppliedTxn& txn) {
  if (txn.zxid <= position_) return;
  position_ = txn.zxid;
  for (const auto& change : txn.changes) {
    using Kind = tree::Change::Kind;
    if (change.kind != Kind::kCreated && change.kind != Kind::kDeleted &&
        change.kind != Kind::kData) {
      continue;
    }
    std::string path = tree.path_of(change.ino);
    if (change.kind == Kind::kDeleted) {
      const std::string parent = tree.path_of(change.parent);
      path = (parent == "/" ? "" : parent) + "/" + change.name;
    }
    if (!is_tracked(path)) continue;
    State state = state_of(tree, path);
    // Only the end of its session or a client takes an ephemeral away.
    note(path, txn.zxid, std::move(state));
  }
}

void ClientHistory::jumped(const tree::DataTree& tree) {
  const Zxid to = tree.last_applied();
  if (to <= position_) return;
  gaps_.emplace_back(position_, to);
  position_ = to;
  std::map<std::string, State> all{{std::string(kQuota), {}}, {std::string(kQuotaLimits), {}}};
  for (const auto& [path, states] : paths_) all.emplace(path, State{});
  for (const Ino ino : tree.children_of(kRootIno)) all.emplace(tree.path_of(ino), State{});
  if (const auto directory = tree.find_path(kDirectory)) {
    for (const Ino ino : tree.children_of(directory->ino)) all.emplace(tree.path_of(ino), State{});
  }
  for (const auto& [path, nothing] : all) {
    if (is_tracked(path)) note(path, to, state_of(tree, path));
  }
}

bool ClientHistory::known(Zxid after, Zxid to) const {
  return std::none_of(gaps_.begin(), gaps_.end(),
                      [&](const auto& gap) { return gap.first < to && gap.second > after; });
}

const ClientHistory::State& ClientHistory::at(std::string_view path, Zxid zxid) const {
  const auto found = paths_.find(path);
  if (found == paths_.end()) return kAbsent;
  const States& states = found->second;
  const auto next =
      std::upper_bound(states.begin(), states.end(), zxid,
                       [](Zxid wanted, const auto& state) { return wanted < state.first; });
  return next == states.begin() ? kAbsent : std::prev(next)->second;
}

std::optional<Zxid> ClientHistory::first_change(std::string_view path, Zxid after) const {
  const auto found = paths_.find(path);
  if (found == paths_.end()) return std::nullopt;
  const States& states = found->second;
  const auto next =
      std::upper_bound(states.begin(), states.end(), after,
                       [](Zxid wanted, const auto& state) { return wanted < state.first; });
  if (next == states.end()) return std::nullopt;
  return next->first;
}

std::optional<Zxid> ClientHistory::first_child_change(Zxid after) const {
  const auto next = std::upper_bound(child_changes_.begin(), child_changes_.end(), after);
  if (next == child_changes_.end()) return std::nullopt;
  return *next;
}

std::vector<std::string> ClientHistory::children(Zxid zxid) const {
  std::vector<std::string> names;
  for (auto it = paths_.lower_bound("/c/"); it != paths_.end() && is_child(it->first); ++it) {
    if (at(it->first, zxid).exists) names.push_back(it->first.substr(3));
  }
  return names;
}

std::optional<Zxid> ClientHistory::effect(const std::string& mark) const {
  const auto found = effects_.find(mark);
  if (found == effects_.end()) return std::nullopt;
  return found->second;
}

std::map<std::string, ClientHistory::State> ClientHistory::last() const {
  std::map<std::string, State> result;
  for (const auto& [path, states] : paths_) result.emplace(path, states.back().second);
  return result;
}

}  // namespace zkfs::sim
