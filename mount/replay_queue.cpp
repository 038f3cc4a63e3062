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

constexpr std::uint64_t kNotUrgent = 1ULL << 63U;

}  // namespace

ReplayQueue::ReplayQueue(std::size_t workers, std::size_t bound)
    : bound_(bound), workers_(workers) {}

std::string ReplayQueue::key(NodeId directory, std::string_view name) {
  std::string key(reinterpret_cast<const char*>(&directory), sizeof directory);
  key.append(name);
  return key;
}

template <typename F>
void ReplayQueue::for_names(const Poke& poke, F&& f) {
  f(key(poke.parent, poke.name));
  if (poke.other_parent != 0) f(key(poke.other_parent, poke.other_name));
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
  if (waiting_.size() >= bound_) make_room();
  place(std::move(item), false);
  return Pushed::kQueued;
}

void ReplayQueue::push_urgent(ReplayItem item) {
  place(std::move(item), true);
}

void ReplayQueue::place(ReplayItem item, bool urgent) {
  Entry& entry = waiting_.emplace_back();
  entry.self = std::prev(waiting_.end());
  entry.item = std::move(item);
  entry.item.poke.token = ++last_token_;
  entry.urgent = urgent;
  const Poke& poke = entry.item.poke;
  // Nothing comes after the removal in there, so a quiet one does not matter.
  const NodeId removed =
      poke.kind == Poke::Kind::kRemoveDirectory ? entry.item.subject.node : NodeId{0};
  link(entry, poke.parent);
  if (poke.other_parent != 0) link(entry, poke.other_parent);
  if (lines_.contains(removed)) link(entry, removed);
  ZKFS_CHECK(!urgent || entry.links.size() == 1, "urgent, but not of one directory name={}",
             poke.name);
  if (entry.blocked == 0) make_ready(entry);
  note_names(entry);
}

void ReplayQueue::link(Entry& entry, NodeId directory) {
  if (std::ranges::find(entry.links, directory, &Link::directory) != entry.links.end()) return;
  Line& line = lines_[directory];
  auto before = line.end();
  if (entry.urgent)
    before = std::ranges::find_if(line, [](Entry* e) { return !e->sent && !e->urgent; });
  if (before != line.begin()) {
    ++entry.blocked;
  } else if (before != line.end() && (*before)->blocked++ == 0) {
    unready(**before);
  }
  entry.links.push_back({directory, line.insert(before, &entry)});
}

void ReplayQueue::make_ready(Entry& entry) {
  entry.rank = ++last_rank_ | (entry.urgent || entry.overtakes ? 0 : kNotUrgent);
  ready_[entry.rank] = &entry;
}

void ReplayQueue::unready(Entry& entry) {
  ready_.erase(std::exchange(entry.rank, 0));
}

// Takes it out of its directories; whoever comes next there may go.
void ReplayQueue::unlink(Entry& entry) {
  unready(entry);
  for (const Link& link : entry.links) {
    const auto line = lines_.find(link.directory);
    const bool first = line->second.begin() == link.at;
    line->second.erase(link.at);
    if (line->second.empty()) {
      lines_.erase(line);
    } else if (Entry* next = line->second.front(); first && --next->blocked == 0 && !next->sent) {
      make_ready(*next);
    }
  }
  entry.links.clear();
}

void ReplayQueue::note_names(Entry& entry) {
  for_names(entry.item.poke, [&](std::string name_key) {
    Name& name = names_[std::move(name_key)];
    // An urgent one is the last of its name only where it is the only one.
    if (++name.pending != 1 && entry.urgent) return;
    name.last_token = entry.item.poke.token;
    name.last_waiting = &entry;
  });
}

void ReplayQueue::forget_names(const Entry& entry) {
  for_names(entry.item.poke, [&](const std::string& name_key) {
    const auto name = names_.find(name_key);
    if (name->second.last_waiting == &entry) name->second.last_waiting = nullptr;
    if (--name->second.pending == 0) names_.erase(name);
  });
}

// What may be sent ahead to a worker that is at something of the same directory.
ReplayQueue::Entry* ReplayQueue::following(const Worker& worker) {
  if (worker.sent.size() >= kWindow || (worker.turn >= kWindow && !ready_.empty())) return nullptr;
  const Entry& last = worker.sent.back();
  if (last.links.size() != 1) return nullptr;
  const Link& link = last.links.front();
  const auto next = std::next(link.at);
  if (next == lines_.at(link.directory).end() || (*next)->links.size() != 1) return nullptr;
  return *next;
}

ReplayItem* ReplayQueue::next(std::size_t number) {
  Worker& worker = workers_[number];
  if (worker.sent.empty()) {
    worker.turn = 0;
    worker.offered = ready_.empty() ? nullptr : ready_.begin()->second;
  } else {
    worker.offered = following(worker);
  }
  return worker.offered == nullptr ? nullptr : &worker.offered->item;
}

void ReplayQueue::sent(std::size_t number) {
  Worker& worker = workers_[number];
  Entry* entry = std::exchange(worker.offered, nullptr);
  ZKFS_CHECK(entry != nullptr, "nothing was offered to worker {}", number);
  unready(*entry);
  entry->sent = true;
  ++worker.turn;
  worker.sent.splice(worker.sent.end(), waiting_, entry->self);
  for_names(entry->item.poke, [&](const std::string& name_key) {
    Name& name = names_.at(name_key);
    if (name.last_waiting == entry) name.last_waiting = nullptr;
  });
}

ReplayItem* ReplayQueue::current(std::size_t worker) {
  Entries& under_way = workers_[worker].sent;
  return under_way.empty() ? nullptr : &under_way.front().item;
}

std::optional<ReplayItem> ReplayQueue::finish(std::size_t worker, std::uint64_t token) {
  Entries& under_way = workers_[worker].sent;
  if (under_way.empty() || under_way.front().item.poke.token != token) return std::nullopt;
  Entry& entry = under_way.front();
  forget_names(entry);
  unlink(entry);
  ReplayItem item = std::move(entry.item);
  under_way.pop_front();
  return item;
}

void ReplayQueue::worker_ended(std::size_t worker) {
  Entries& under_way = workers_[worker].sent;
  for (Entry& entry : under_way) {
    entry.sent = false;
    entry.overtakes = true;
    if (entry.blocked == 0) make_ready(entry);
  }
  waiting_.splice(waiting_.begin(), under_way);
}

ReplayQueue::Entries::iterator ReplayQueue::drop(Entries::iterator at) {
  forget_names(*at);
  unlink(*at);
  ++overflowed_;
  return waiting_.erase(at);
}

void ReplayQueue::make_room() {
  // A pass over everything must pay: after one that freed little, wait until much has changed.
  if (pushes_to_collapse_ == 0) {
    collapse();
    pushes_to_collapse_ = waiting_.size() <= bound_ - bound_ / 8 ? 0 : bound_ / 4;
  } else {
    --pushes_to_collapse_;
  }
  while (waiting_.size() >= bound_) {
    // Urgent ones are as few as the files being created here.
    const auto oldest = std::ranges::find(waiting_, false, &Entry::urgent);
    if (oldest == waiting_.end()) return;
    drop(oldest);
  }
}

void ReplayQueue::collapse() {
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    bool superseded = !at->urgent;
    for_names(at->item.poke, [&](const std::string& name_key) {
      superseded = superseded && names_.at(name_key).last_token != at->item.poke.token;
    });
    at = superseded ? drop(at) : std::next(at);
  }
}

void ReplayQueue::clear() {
  while (!waiting_.empty()) {
    forget_names(waiting_.front());
    unlink(waiting_.front());
    waiting_.pop_front();
  }
}

}  // namespace zkfs::mount
