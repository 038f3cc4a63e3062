// SPDX-License-Identifier: Apache-2.0
#include "tests/zab/world.h"

#include <algorithm>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "ensemble/base/log.h"
#include "ensemble/zab/to_text.h"

namespace zkfs::zab::testing {

bool Durable::holds(Zxid zxid) const {
  return zxid <= base || std::any_of(entries.begin(), entries.end(),
                                     [&](const Entry& e) { return e.zxid == zxid; });
}

World::World(Id voters, Id observers, std::uint32_t counter_max) {
  log::set_level(log::Level::kOff);
  Config config;
  config.counter_max = counter_max;
  for (Id id = 1; id <= voters; ++id) config.voters.emplace_back(id);
  for (Id id = voters + 1; id <= voters + observers; ++id) config.observers.emplace_back(id);
  for (Id id = 1; id <= voters + observers; ++id) {
    config.self = ServerId{id};
    nodes_[id].config = config;
  }
}

std::vector<Id> World::ids() const {
  std::vector<Id> result;
  for (const auto& [id, node] : nodes_) result.push_back(id);
  return result;
}

void World::preset(const Durable& disk) {
  std::vector<Entry> known = disk.tree;
  for (const auto& entry : disk.entries) {
    if (entry.zxid <= disk.mark) known.push_back(entry);
  }
  if (known.size() > decided_.size()) decided_ = std::move(known);
}

// --- life and death ---

void World::start(Id id) {
  Node& node = nodes_.at(id);
  const Durable& disk = node.disk;
  const Zxid committed = std::max(disk.base, std::min(disk.mark, disk.last()));
  node.applied = disk.tree;
  for (const auto& entry : disk.entries) {
    if (entry.zxid <= committed) node.applied.push_back(entry);
  }
  node.zab = std::make_unique<Zab>(node.config, disk.accepted, disk.current,
                                   History(disk.base, disk.entries, committed), ++seed_);
  node.zab->start(now_);
  flush(id);
}

void World::start_all() {
  for (const Id id : ids()) start(id);
  for (const Id id : ids()) link_all(id);
}

void World::crash(Id id) {
  Node& node = nodes_.at(id);
  for (const Id other : ids()) {
    if (other != id && linked(id, other)) link_down(id, other, true);
    queues_[{other, id}].clear();
    seen_.erase({id, other});
  }
  node.zab.reset();
  node.queue.clear();
  node.received.clear();
  node.incoming.reset();
  node.outgoing.clear();
  node.applied.clear();
  node.active = false;
  node.synced.clear();
  for (auto it = sync_floor_.begin(); it != sync_floor_.end();) {
    it = it->first.first == id ? sync_floor_.erase(it) : std::next(it);
  }
}

// --- links ---

bool World::linked(Id a, Id b) const {
  const auto it = links_.find(key(a, b));
  return it != links_.end() && it->second.alive;
}

void World::link_up(Id a, Id b, bool lazy) {
  if (linked(a, b) || !nodes_.at(a).zab || !nodes_.at(b).zab) return;
  Link& link = links_[key(a, b)];
  ++link.incarnation;
  link.alive = true;
  queues_[{a, b}].push_back(Up{});
  queues_[{b, a}].push_back(Up{});
  if (lazy) return;
  while (!seen_.contains({a, b}) && deliver(b, a)) {
  }
  while (!seen_.contains({b, a}) && deliver(a, b)) {
  }
}

void World::link_down(Id a, Id b, bool lazy, std::size_t kept) {
  if (!linked(a, b)) return;
  links_[key(a, b)].alive = false;
  for (const auto& direction : {std::pair{a, b}, std::pair{b, a}}) {
    auto& queue = queues_[direction];
    std::size_t messages = 0;
    std::erase_if(queue, [&](const Item& item) {
      return std::holds_alternative<Message>(item) && ++messages > kept;
    });
    if (nodes_.at(direction.second).zab) queue.push_back(Down{});
  }
  if (lazy) return;
  while (deliver(a, b)) {
    if (in_flight(a, b) == 0) break;
  }
  while (deliver(b, a)) {
    if (in_flight(b, a) == 0) break;
  }
}

void World::link_all(Id id) {
  for (const Id other : ids()) {
    if (other != id) link_up(id, other);
  }
}

void World::send(Id from, Id to, Message message) {
  const auto it = links_.find(key(from, to));
  if (it == links_.end() || !it->second.alive) return;
  const auto seen = seen_.find({from, to});
  if (seen == seen_.end() || seen->second != it->second.incarnation) return;
  queues_[{from, to}].push_back(std::move(message));
}

std::size_t World::in_flight(Id from, Id to) const {
  const auto it = queues_.find({from, to});
  return it == queues_.end() ? 0 : it->second.size();
}

std::size_t World::txns_in_flight(Id from, Id to) const {
  std::size_t count = 0;
  const auto it = queues_.find({from, to});
  if (it == queues_.end()) return 0;
  for (const auto& item : it->second) {
    const auto* message = std::get_if<Message>(&item);
    const auto* proposal = message == nullptr ? nullptr : std::get_if<Proposal>(message);
    if (proposal != nullptr) count += proposal->entries.size();
  }
  return count;
}

void World::drop(Id from, Id to) {
  auto& queue = queues_[{from, to}];
  if (!queue.empty() && std::holds_alternative<Message>(queue.front())) queue.pop_front();
}

bool World::deliver(Id from, Id to, bool flush_now) {
  auto& queue = queues_[{from, to}];
  if (queue.empty() || !nodes_.at(to).zab) return false;
  if (const auto* m = std::get_if<Message>(&queue.front()); m != nullptr && hold) {
    if (hold(from, to, *m)) return false;
  }
  const Item item = std::move(queue.front());
  queue.pop_front();
  Zab& machine = zab(to);
  if (std::holds_alternative<Up>(item)) {
    // The newest incarnation: an older one's Down was delivered before this.
    seen_[{to, from}] = links_.at(key(from, to)).incarnation;
    machine.peer_up(ServerId{from}, now_);
  } else if (std::holds_alternative<Down>(item)) {
    if (seen_.erase({to, from}) != 0) machine.peer_down(ServerId{from}, now_);
  } else {
    machine.message(ServerId{from}, std::get<Message>(item), now_);
  }
  if (flush_now) flush(to);
  return true;
}

void World::deliver_all(const std::function<bool()>& until) {
  std::size_t count = 0;
  for (bool any = true; any;) {
    any = false;
    for (const Id from : ids()) {
      for (const Id to : ids()) {
        if (until && until()) return;
        if (from == to || !deliver(from, to)) continue;
        any = true;
        ASSERT_LT(++count, 100'000U) << "the members never fall silent";
      }
    }
  }
}

void World::inject(Id from, Id to, const Message& message) {
  zab(to).message(ServerId{from}, message, now_);
  flush(to);
}

// --- time ---

void World::tick(Millis step) {
  now_ += step;
  for (auto& [id, node] : nodes_) {
    if (!node.zab) continue;
    node.zab->tick(now_);
    flush(id);
  }
}

void World::run(Millis time) {
  run_until([] { return false; }, time);
}

bool World::run_until(const std::function<bool()>& done, Millis limit) {
  const Instant end = now_ + limit;
  deliver_all();
  while (!done()) {
    if (now_ >= end) return false;
    tick(Millis{10});
    deliver_all();
  }
  return true;
}

// --- effects ---

void World::flush(Id id) {
  Node& node = nodes_.at(id);
  for (bool first = true;; first = false) {
    auto effects = node.zab->flush(now_, [&](ServerId to) -> std::size_t {
      // One txn at a time where it is limited.
      if (link_txns_max == std::numeric_limits<std::size_t>::max()) return link_txns_max;
      return txns_in_flight(id, to.value) < link_txns_max ? 1 : 0;
    });
    for (auto& effect : effects) carry_out(id, effect);
    if (first || !slow_snapshots) send_chunks(id);
    if (node.disk_auto && !node.queue.empty()) {
      disk_done(id);
      return;
    }
    if (effects.empty() && !first) break;
  }
  check();
}

void World::carry_out(Id id, Effect& effect) {
  Node& node = nodes_.at(id);
  if (trace) trace(id, to_text(effect, false));
  if (record) node.effects.push_back(effect);
  if (auto* send_effect = std::get_if<SendEffect>(&effect)) {
    send(id, send_effect->to.value, std::move(send_effect->message));
  } else if (const auto* deliver_effect = std::get_if<DeliverEffect>(&effect)) {
    for (const auto& entry : deliver_effect->entries) delivered(id, entry);
  } else if (const auto* role_effect = std::get_if<RoleEffect>(&effect)) {
    role(id, *role_effect);
  } else if (const auto* wanted = std::get_if<SnapshotWantedEffect>(&effect)) {
    begin_snapshot(id, wanted->learner.value, wanted->tag);
  } else if (const auto* synced = std::get_if<SyncedEffect>(&effect)) {
    node.synced[synced->id] = synced->zxid;
    EXPECT_GE(synced->zxid, (sync_floor_[{id, synced->id}])) << "a sync missed a committed txn";
  } else if (std::holds_alternative<SnapshotBeginEffect>(effect)) {
    node.incoming.emplace();
  } else if (const auto* chunk = std::get_if<SnapshotChunkEffect>(&effect)) {
    const auto text = std::string{chunk->bytes.view()};
    const auto colon = text.find(':');
    node.incoming->push_back(
        Entry{Zxid{std::stoull(text.substr(0, colon))}, Blob{text.substr(colon + 1)}});
  } else if (std::holds_alternative<SnapshotAbandonEffect>(effect)) {
    node.incoming.reset();
  } else if (const auto* install = std::get_if<SnapshotInstallEffect>(&effect)) {
    EXPECT_EQ(node.incoming->empty() ? Zxid{} : node.incoming->back().zxid, install->zxid);
    EXPECT_GE(node.incoming->size(), node.applied.size()) << "a snapshot took the tree back";
    node.applied = *node.incoming;
    node.received.push_back(std::move(*node.incoming));
    node.incoming.reset();
    node.queue.push_back(effect);
  } else if (!std::holds_alternative<ForwardedEffect>(effect)) {
    if (const auto* append = std::get_if<AppendEffect>(&effect)) {
      for (const auto& entry : append->entries) {
        const auto [it, fresh] = bytes_.emplace(entry.zxid, entry.bytes);
        EXPECT_EQ(it->second.view(), entry.bytes.view()) << "two txns at " << to_text(entry.zxid);
      }
    }
    node.queue.push_back(effect);
  }
}

void World::begin_snapshot(Id from, Id to, std::uint64_t tag) {
  Node& node = nodes_.at(from);
  send(from, to, Snap{tag, node.applied.empty() ? Zxid{} : node.applied.back().zxid});
  node.outgoing.push_back({to, tag, node.applied, 0});
}

void World::send_chunks(Id from) {
  Node& node = nodes_.at(from);
  while (!node.outgoing.empty()) {
    auto& [to, tag, tree, next] = node.outgoing.front();
    if (next == tree.size()) {
      send(from, to, SnapChunk{tag, {}, true});
      node.zab->snapshot_sent(ServerId{to}, tag, tree.empty() ? Zxid{} : tree.back().zxid);
      node.outgoing.pop_front();
    } else {
      const Entry& entry = tree[next++];
      const auto text = fmt::format("{}:{}", entry.zxid.value, entry.bytes.view());
      send(from, to, SnapChunk{tag, Blob{text}, false});
    }
    if (slow_snapshots) return;
  }
}

// --- disks ---

void World::apply_op(Node& node, const Effect& op) {
  Durable& disk = node.disk;
  if (const auto* append = std::get_if<AppendEffect>(&op)) {
    for (const auto& entry : append->entries) {
      EXPECT_TRUE(follows(disk.last(), entry.zxid)) << "a hole in the log on the disk";
      disk.entries.push_back(entry);
    }
    disk.mark = std::max(disk.mark, std::min(append->committed, disk.last()));
  } else if (const auto* cut = std::get_if<TruncateEffect>(&op)) {
    EXPECT_TRUE(disk.holds(cut->last));
    EXPECT_GE(cut->last, disk.mark);
    std::erase_if(disk.entries, [&](const Entry& e) { return e.zxid > cut->last; });
  } else if (const auto* accepted = std::get_if<SaveAcceptedEpochEffect>(&op)) {
    EXPECT_GT(accepted->epoch, disk.accepted);
    disk.accepted = accepted->epoch;
  } else if (const auto* current = std::get_if<SaveCurrentEpochEffect>(&op)) {
    EXPECT_GE(current->epoch, disk.current);
    EXPECT_LE(current->epoch, disk.accepted);
    disk.current = current->epoch;
  } else if (const auto* install = std::get_if<SnapshotInstallEffect>(&op)) {
    disk.base = install->zxid;
    disk.mark = install->zxid;
    disk.entries.clear();
    disk.tree = std::move(node.received.front());
    node.received.pop_front();
  }
}

namespace {

std::uint64_t op_number(const Effect& effect) {
  return std::visit(
      [](const auto& e) -> std::uint64_t {
        if constexpr (requires { e.op; }) {
          return e.op;
        } else {
          return 0;
        }
      },
      effect);
}

}  // namespace

void World::disk_done(Id id, std::size_t count) {
  Node& node = nodes_.at(id);
  std::uint64_t op = 0;
  for (; count > 0 && !node.queue.empty(); --count) {
    op = op_number(node.queue.front());
    apply_op(node, node.queue.front());
    node.queue.pop_front();
  }
  if (op == 0) return;
  node.zab->disk_done(op, now_);
  flush(id);
}

void World::snapshot(Id id) {
  Node& node = nodes_.at(id);
  if (!node.queue.empty()) return;
  Durable& disk = node.disk;
  const Zxid zxid = node.applied.empty() ? Zxid{} : node.applied.back().zxid;
  if (zxid <= disk.base || !disk.holds(zxid)) return;
  disk.base = zxid;
  disk.mark = std::max(disk.mark, zxid);
  disk.tree = node.applied;
  std::erase_if(disk.entries, [&](const Entry& e) { return e.zxid <= zxid; });
}

// --- from above ---

Zxid World::propose(Id id, const std::string& text, bool flush_now) {
  const auto zxid = zab(id).next_zxid(now_);
  if (zxid) zab(id).propose(Blob{text});
  if (flush_now || !zxid) flush(id);
  return zxid.value_or(Zxid{});
}

void World::request_sync(Id id, std::uint64_t sync) {
  sync_floor_[{id, sync}] = decided_.empty() ? Zxid{} : decided_.back().zxid;
  zab(id).request_sync(sync);
  flush(id);
}

// --- checks ---

void World::delivered(Id id, const Entry& entry) {
  Node& node = nodes_.at(id);
  const std::size_t position = node.applied.size();
  node.applied.push_back(entry);
  if (position < decided_.size()) {
    EXPECT_EQ(decided_[position], entry)
        << "server " << id << " delivered " << to_text(entry.zxid) << " where others delivered "
        << to_text(decided_[position].zxid);
    return;
  }
  ASSERT_EQ(position, decided_.size());
  decided_.push_back(entry);
}

void World::role(Id id, const RoleEffect& effect) {
  nodes_.at(id).active = effect.active;
  if (!effect.active || effect.state != PeerState::kLeading) return;
  const auto [it, fresh] = established_.emplace(effect.epoch, id);
  EXPECT_TRUE(fresh) << "epoch " << effect.epoch.value << " was established twice, by "
                     << it->second << " and " << id;
}

void World::check() {
  if (decided_.empty()) return;
  // Whatever anybody has delivered is on the disks of a quorum, from that moment on for ever.
  const Zxid last = decided_.back().zxid;
  std::set<ServerId> holders;
  for (const auto& [id, node] : nodes_) {
    if (node.disk.holds(last)) holders.emplace(id);
  }
  EXPECT_TRUE(Quorum(nodes_.begin()->second.config.voters).contained_in(holders))
      << to_text(last) << " is delivered but on the disks of " << holders.size() << " only";
}

Id World::leader() const {
  Id best = 0;
  for (const auto& [id, node] : nodes_) {
    if (!node.zab || !node.zab->leading()) continue;
    if (best == 0 || node.zab->current_epoch() > nodes_.at(best).zab->current_epoch()) best = id;
  }
  return best;
}

bool World::active(Id id) const {
  const Node& node = nodes_.at(id);
  return node.zab && node.zab->active();
}

bool World::all_active() const {
  return std::all_of(nodes_.begin(), nodes_.end(),
                     [this](const auto& item) { return !item.second.zab || active(item.first); });
}

bool World::converged() const {
  const Id first = leader();
  if (first == 0 || !all_active()) return false;
  const Epoch epoch = nodes_.at(first).zab->current_epoch();
  return std::all_of(nodes_.begin(), nodes_.end(), [&](const auto& item) {
    return !item.second.zab || (item.second.applied.size() == decided_.size() &&
                                item.second.zab->current_epoch() == epoch);
  });
}

std::string World::texts(Id id) const {
  std::string result;
  for (const auto& entry : nodes_.at(id).applied) {
    if (!result.empty()) result += ' ';
    result += entry.bytes.view();
  }
  return result;
}

}  // namespace zkfs::zab::testing
