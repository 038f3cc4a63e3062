// SPDX-License-Identifier: Apache-2.0
#include "mount/replay_queue.h"

#include <algorithm>
#include <utility>

#include "ensemble/base/check.h"

namespace zkfs::mount {

namespace {

bool carries_data(Poke::Kind kind) {
  return kind == Poke::Kind::kModify || kind == Poke::Kind::kCreateWithData;
}

// The directories a poke is ordered with, other than its parent.
NodeId removed_directory(const ReplayItem& item) {
  return item.poke.kind == Poke::Kind::kRemoveDirectory ? item.subject.node : 0;
}

}  // namespace

ReplayQueue::ReplayQueue(std::size_t lanes, std::size_t bound, LaneOf lane_of)
    : bound_(bound), lane_of_(std::move(lane_of)), lanes_(lanes) {}

std::string ReplayQueue::key(NodeId directory, std::string_view name) {
  std::string key(reinterpret_cast<const char*>(&directory), sizeof directory);
  key.append(name);
  return key;
}

template <typename F>
void ReplayQueue::for_names(const Poke& poke, F&& f) {
  f(poke.parent, key(poke.parent, poke.name));
  if (poke.other_parent != 0) f(poke.other_parent, key(poke.other_parent, poke.other_name));
}

bool ReplayQueue::pending(NodeId directory, std::string_view name) const {
  return names_.contains(key(directory, name));
}

bool ReplayQueue::merge(const ReplayItem& item) {
  const Poke::Kind kind = item.poke.kind;
  if (kind != Poke::Kind::kModify && kind != Poke::Kind::kAttributes) return false;
  const auto name = names_.find(key(item.poke.parent, item.poke.name));
  if (name == names_.end() || name->second.last_waiting == nullptr) return false;
  ReplayItem& last = name->second.last_waiting->item;
  if (last.subject.node != item.subject.node || last.poke.parent != item.poke.parent) return false;
  const bool same = last.poke.kind == kind;
  if (!same && !(carries_data(last.poke.kind) && carries_data(kind))) return false;
  last.subject.size = item.subject.size;
  return true;
}

ReplayQueue::Pushed ReplayQueue::push(ReplayItem item) {
  if (merge(item)) return Pushed::kMerged;
  if (waiting_ >= bound_) make_room();
  item.poke.token = ++last_token_;
  place(Entry{std::move(item), {}, 0, false});
  return Pushed::kQueued;
}

void ReplayQueue::push_urgent(ReplayItem item) {
  item.poke.token = ++last_token_;
  place(Entry{std::move(item), {}, 0, true});
}

void ReplayQueue::place(Entry entry) {
  const std::uint64_t token = entry.item.poke.token;
  if (!entry.urgent) place_gates(entry);
  Lane& lane = lanes_[lane_of_(entry.item.poke.parent)];
  Entries& list = entry.urgent ? lane.urgent : lane.waiting;
  list.push_back(std::move(entry));
  ++waiting_;
  for_names(list.back().item.poke, [&](NodeId directory, std::string name_key) {
    ++directories_[directory];
    Name& name = names_[std::move(name_key)];
    ++name.pending;
    name.last_token = token;
    name.last_waiting = &list.back();
  });
}

void ReplayQueue::place_gates(Entry& entry) {
  const std::size_t own = lane_of_(entry.item.poke.parent);
  const auto gate = [&](NodeId directory) {
    const std::size_t lane = lane_of_(directory);
    if (lane == own || std::ranges::find(entry.gates, lane) != entry.gates.end()) return;
    entry.gates.push_back(lane);
    Entry gate_entry;
    gate_entry.gate_of = entry.item.poke.token;
    lanes_[lane].waiting.push_back(std::move(gate_entry));
  };
  entry.gates.clear();
  if (entry.item.poke.other_parent != 0) gate(entry.item.poke.other_parent);
  // Nothing comes after the removal in there, so an empty one needs no gate.
  const NodeId removed = removed_directory(entry.item);
  if (removed != 0 && directories_.contains(removed)) gate(removed);
  if (!entry.gates.empty()) gated_[entry.item.poke.token] = entry.gates.size();
}

void ReplayQueue::drop_open_gates(Lane& lane) {
  while (!lane.waiting.empty() && lane.waiting.front().gate_of != 0 &&
         !gated_.contains(lane.waiting.front().gate_of))
    lane.waiting.pop_front();
}

bool ReplayQueue::gates_reached(const Entry& entry) {
  return std::ranges::all_of(entry.gates, [&](std::size_t number) {
    Lane& lane = lanes_[number];
    drop_open_gates(lane);
    return lane.sent.empty() && !lane.waiting.empty() &&
           lane.waiting.front().gate_of == entry.item.poke.token;
  });
}

ReplayItem* ReplayQueue::next(std::size_t number) {
  Lane& lane = lanes_[number];
  if (!lane.urgent.empty()) return &lane.urgent.front().item;
  drop_open_gates(lane);
  if (lane.waiting.empty()) return nullptr;
  Entry& front = lane.waiting.front();
  if (front.gate_of != 0 || !gates_reached(front)) return nullptr;
  return &front.item;
}

void ReplayQueue::sent(std::size_t number) {
  Lane& lane = lanes_[number];
  Entries& from = lane.urgent.empty() ? lane.waiting : lane.urgent;
  ZKFS_CHECK(!from.empty() && from.front().gate_of == 0, "nothing to send in lane {}", number);
  lane.sent.splice(lane.sent.end(), from, from.begin());
  --waiting_;
  Entry* entry = &lane.sent.back();
  for_names(entry->item.poke, [&](NodeId, const std::string& name_key) {
    Name& name = names_.at(name_key);
    if (name.last_waiting == entry) name.last_waiting = nullptr;
  });
}

ReplayItem* ReplayQueue::current(std::size_t lane) {
  return lanes_[lane].sent.empty() ? nullptr : &lanes_[lane].sent.front().item;
}

std::optional<ReplayItem> ReplayQueue::finish(std::size_t number, std::uint64_t token) {
  Entries& under_way = lanes_[number].sent;
  if (under_way.empty() || under_way.front().item.poke.token != token) return std::nullopt;
  forget(under_way.front());
  ReplayItem item = std::move(under_way.front().item);
  under_way.pop_front();
  return item;
}

// Takes an entry that is about to go out of the index and opens its gates.
void ReplayQueue::forget(const Entry& entry) {
  gated_.erase(entry.item.poke.token);
  for_names(entry.item.poke, [&](NodeId directory, const std::string& name_key) {
    if (const auto count = directories_.find(directory); --count->second == 0)
      directories_.erase(count);
    const auto name = names_.find(name_key);
    if (name->second.last_waiting == &entry) name->second.last_waiting = nullptr;
    if (--name->second.pending == 0) names_.erase(name);
  });
}

ReplayQueue::Entries::iterator ReplayQueue::drop(Lane& lane, Entries::iterator at) {
  forget(*at);
  --waiting_;
  ++overflowed_;
  return lane.waiting.erase(at);
}

void ReplayQueue::make_room() {
  // A pass over everything must pay: after one that freed little, wait until much has changed.
  if (pushes_to_collapse_ == 0) {
    collapse();
    pushes_to_collapse_ = waiting_ <= bound_ - bound_ / 8 ? 0 : bound_ / 4;
  } else {
    --pushes_to_collapse_;
  }
  while (waiting_ >= bound_ && waiting_ > 0) drop_oldest();
}

void ReplayQueue::collapse() {
  for (Lane& lane : lanes_) {
    for (auto at = lane.waiting.begin(); at != lane.waiting.end();) {
      bool superseded = at->gate_of == 0;
      if (superseded)
        for_names(at->item.poke, [&](NodeId, const std::string& name_key) {
          superseded = superseded && names_.at(name_key).last_token != at->item.poke.token;
        });
      at = superseded ? drop(lane, at) : std::next(at);
    }
  }
}

void ReplayQueue::drop_oldest() {
  Lane* oldest = nullptr;
  for (Lane& lane : lanes_) {
    drop_open_gates(lane);
    const auto first = std::ranges::find(lane.waiting, 0U, &Entry::gate_of);
    if (first == lane.waiting.end()) continue;
    const auto token = first->item.poke.token;
    if (oldest == nullptr ||
        token < std::ranges::find(oldest->waiting, 0U, &Entry::gate_of)->item.poke.token)
      oldest = &lane;
  }
  // Only urgent ones are left; they are as few as the files being created here.
  if (oldest == nullptr) return;
  drop(*oldest, std::ranges::find(oldest->waiting, 0U, &Entry::gate_of));
}

void ReplayQueue::lane_ended(std::size_t ended) {
  // Everything that has not been sent elsewhere is placed anew, in the order of tokens, because the
  // gates between lanes have changed. What was under way in the lane is older than what waits.
  std::vector<Entry> entries;
  const auto take = [&](Entries& list) {
    for (Entry& entry : list)
      if (entry.gate_of == 0) {
        forget(entry);
        entries.push_back(std::move(entry));
      }
    list.clear();
  };
  take(lanes_[ended].sent);
  for (Lane& lane : lanes_) {
    take(lane.urgent);
    take(lane.waiting);
  }
  waiting_ = 0;
  std::ranges::sort(entries, {}, [](const Entry& entry) { return entry.item.poke.token; });
  for (Lane& lane : lanes_)
    for (Entry& entry : lane.sent)
      if (!entry.urgent) place_gates(entry);
  for (Entry& entry : entries) place(std::move(entry));
}

void ReplayQueue::clear() {
  for (Lane& lane : lanes_) {
    for (Entries* list : {&lane.urgent, &lane.waiting}) {
      for (const Entry& entry : *list)
        if (entry.gate_of == 0) forget(entry);
      list->clear();
    }
  }
  waiting_ = 0;
}

}  // namespace zkfs::mount
