// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/watch_table.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "ensemble/base/check.h"
#include "ensemble/base/checksum.h"

namespace zkfs::server {
namespace {

constexpr std::size_t kRecursive = static_cast<std::size_t>(WatchKind::kPersistentRecursive);

// visit(prefix, hash) for the root, each ancestor and `path` itself, downwards. A path's hash
// continues its parent's, so that all of them take one pass over the text.
template <typename Visit>
std::uint64_t hash_downwards(std::string_view path, Visit&& visit) {
  std::uint64_t hash = checksum64({});
  visit(path.substr(0, 1), hash);
  for (std::size_t start = 1; start < path.size();) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    hash = checksum64(ByteView(path.substr(start, end - start)), hash);
    visit(path.substr(0, end), hash);
    start = end + 1;
  }
  return hash;
}

std::uint64_t hash_of_path(std::string_view path) {
  return hash_downwards(path, [](std::string_view, std::uint64_t) {});
}

bool is_beneath(std::string_view path, std::string_view above) {
  if (above.size() <= 1) return path.size() > 1;
  return path.size() > above.size() && path[above.size()] == '/' && path.starts_with(above);
}

// Kinds that a type means, as [first, last].
std::pair<std::size_t, std::size_t> kinds_of(WatcherType type) {
  const auto only = [](WatchKind kind) {
    return std::pair{static_cast<std::size_t>(kind), static_cast<std::size_t>(kind)};
  };
  switch (type) {
    case WatcherType::kChildren:
      return only(WatchKind::kChild);
    case WatcherType::kData:
      return only(WatchKind::kData);
    case WatcherType::kPersistent:
      return only(WatchKind::kPersistent);
    case WatcherType::kPersistentRecursive:
      return only(WatchKind::kPersistentRecursive);
    case WatcherType::kAny:
      break;
  }
  return {0, kRecursive};
}

template <typename T>
void sort_unique(std::vector<T>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

}  // namespace

std::uint64_t WatchTable::hash_of(WatcherId watcher, std::uint32_t place) {
  std::uint64_t hash = (std::uint64_t{watcher} << 32U) | place;
  hash = (hash ^ (hash >> 32U)) * 0xd6e8feb86659fd93ULL;
  hash = (hash ^ (hash >> 32U)) * 0xd6e8feb86659fd93ULL;
  return hash ^ (hash >> 32U);
}

WatchTable::Slot WatchTable::find_path(std::string_view path, std::uint64_t hash) const {
  return by_path_.find(hash, [&](Slot slot) { return paths_pool_[slot].view() == path; });
}

WatchTable::Slot WatchTable::find_watch(WatcherId watcher, Slot path, std::size_t kind) const {
  const std::uint32_t place = place_of(path, kind);
  return by_place_.find(hash_of(watcher, place), [&](Slot slot) {
    return watches_pool_[slot].watcher == watcher && watches_pool_[slot].place == place;
  });
}

// --- changing ---

WatchTable::Slot WatchTable::path_to_watch(std::string_view path) {
  const std::uint64_t hash = hash_of_path(path);
  const Slot there = find_path(path, hash);
  if (there != kNoSlot) return there;
  const Slot slot = paths_pool_.allocate();
  ZKFS_CHECK(slot < kNoSlot / kKinds, "{} watched paths", paths_);
  Path& entry = paths_pool_[slot];
  entry.text = std::make_unique_for_overwrite<char[]>(path.size());
  entry.size = static_cast<std::uint32_t>(path.size());
  std::memcpy(entry.text.get(), path.data(), path.size());
  by_path_.insert(hash, slot, [this](Slot s) { return hash_of_path(paths_pool_[s].view()); });
  ++paths_;
  return slot;
}

bool WatchTable::add(WatcherId watcher, std::string_view path, WatchKind kind) {
  const auto k = static_cast<std::size_t>(kind);
  const Slot here = path_to_watch(path);
  if (find_watch(watcher, here, k) != kNoSlot) return false;
  if (watcher >= watchers_.size()) watchers_.resize(std::size_t{watcher} + 1);
  const Slot slot = watches_pool_.allocate();
  Watch& watch = watches_pool_[slot];
  watch.watcher = watcher;
  watch.place = place_of(here, k);
  watch.next_here = std::exchange(paths_pool_[here].first[k], slot);
  watch.next_own = std::exchange(watchers_[watcher].first, slot);
  if (watch.next_here != kNoSlot) watches_pool_[watch.next_here].previous_here = slot;
  if (watch.next_own != kNoSlot) watches_pool_[watch.next_own].previous_own = slot;
  by_place_.insert(hash_of_watch(slot), slot, [this](Slot s) { return hash_of_watch(s); });
  if (watchers_[watcher].count++ == 0) ++active_watchers_;
  if (k == kRecursive) ++recursive_;
  ++watches_;
  return true;
}

// Leaves the path, even if nobody watches it any more.
void WatchTable::erase(Slot slot) {
  const Watch watch = watches_pool_[slot];
  by_place_.erase(hash_of_watch(slot), slot);
  Watcher& watcher = watchers_[watch.watcher];
  if (watch.previous_here != kNoSlot) {
    watches_pool_[watch.previous_here].next_here = watch.next_here;
  } else {
    paths_pool_[watch.path()].first[watch.kind()] = watch.next_here;
  }
  if (watch.previous_own != kNoSlot) {
    watches_pool_[watch.previous_own].next_own = watch.next_own;
  } else {
    watcher.first = watch.next_own;
  }
  if (watch.next_here != kNoSlot) {
    watches_pool_[watch.next_here].previous_here = watch.previous_here;
  }
  if (watch.next_own != kNoSlot) watches_pool_[watch.next_own].previous_own = watch.previous_own;
  watches_pool_.free(slot);
  if (--watcher.count == 0) --active_watchers_;
  if (watch.kind() == kRecursive) --recursive_;
  --watches_;
}

void WatchTable::free_path_if_unwatched(Slot slot) {
  const Path& path = paths_pool_[slot];
  for (const Slot first : path.first) {
    if (first != kNoSlot) return;
  }
  by_path_.erase(hash_of_path(path.view()), slot);
  paths_pool_.free(slot);
  --paths_;
}

void WatchTable::release_if_empty() {
  constexpr Slot kWorthIt = 4096;
  if (watches_ != 0 || watches_pool_.end() < kWorthIt) return;
  paths_pool_ = {};
  watches_pool_ = {};
  by_path_ = {};
  by_place_ = {};
}

bool WatchTable::remove(WatcherId watcher, std::string_view path, WatcherType type) {
  const Slot here = find_path(path, hash_of_path(path));
  if (here == kNoSlot) return false;
  bool found = false;
  const auto [first, last] = kinds_of(type);
  for (std::size_t kind = first; kind <= last; ++kind) {
    const Slot watch = find_watch(watcher, here, kind);
    if (watch == kNoSlot) continue;
    erase(watch);
    found = true;
  }
  if (found) free_path_if_unwatched(here);
  release_if_empty();
  return found;
}

bool WatchTable::drop(WatcherId watcher, std::size_t at_most) {
  for (; count_of(watcher) != 0; --at_most) {
    if (at_most == 0) return false;
    const Slot watch = watchers_[watcher].first;
    const Slot path = watches_pool_[watch].path();
    erase(watch);
    free_path_if_unwatched(path);
  }
  release_if_empty();
  return true;
}

// --- firing ---

void WatchTable::fire_watched(EventType type, std::string_view path, std::vector<WatcherId>& to) {
  ++fires_;
  const bool children = type == EventType::kChildrenChanged;
  if (recursive_ != 0 && !children) tell_recursive(path, to);
  const Slot here = find_path(path, hash_of_path(path));
  if (here == kNoSlot) return;
  tell(here, WatchKind::kPersistent, to);
  if (!children) consume(here, WatchKind::kData, to);
  if (children || type == EventType::kDeleted) consume(here, WatchKind::kChild, to);
  free_path_if_unwatched(here);
  release_if_empty();
}

void WatchTable::tell(Slot path, WatchKind kind, std::vector<WatcherId>& to) {
  Slot slot = paths_pool_[path].first[static_cast<std::size_t>(kind)];
  for (; slot != kNoSlot; slot = watches_pool_[slot].next_here) {
    const WatcherId id = watches_pool_[slot].watcher;
    if (std::exchange(watchers_[id].told, fires_) != fires_) to.push_back(id);
  }
}

void WatchTable::tell_recursive(std::string_view path, std::vector<WatcherId>& to) {
  hash_downwards(path, [&](std::string_view prefix, std::uint64_t hash) {
    const Slot slot = find_path(prefix, hash);
    if (slot != kNoSlot) tell(slot, WatchKind::kPersistentRecursive, to);
  });
}

void WatchTable::consume(Slot path, WatchKind kind, std::vector<WatcherId>& to) {
  tell(path, kind, to);
  Slot& first = paths_pool_[path].first[static_cast<std::size_t>(kind)];
  while (first != kNoSlot) erase(first);
}

// --- looking ---

bool WatchTable::contains(WatcherId watcher, std::string_view path, WatcherType type) const {
  const Slot here = find_path(path, hash_of_path(path));
  if (here == kNoSlot) return false;
  const auto [first, last] = kinds_of(type);
  for (std::size_t kind = first; kind <= last; ++kind) {
    if (find_watch(watcher, here, kind) != kNoSlot) return true;
  }
  return false;
}

std::size_t WatchTable::count_of(WatcherId watcher) const {
  return watcher < watchers_.size() ? watchers_[watcher].count : 0;
}

std::vector<std::string> WatchTable::paths_of(WatcherId watcher) const {
  std::vector<std::string_view> found;
  found.reserve(count_of(watcher));
  Slot slot = watcher < watchers_.size() ? watchers_[watcher].first : kNoSlot;
  for (; slot != kNoSlot; slot = watches_pool_[slot].next_own) {
    found.push_back(paths_pool_[watches_pool_[slot].path()].view());
  }
  sort_unique(found);
  return {found.begin(), found.end()};
}

void WatchTable::for_each_path(
    const std::function<void(std::string_view, const std::vector<WatcherId>&)>& visit) const {
  std::vector<Slot> slots;
  slots.reserve(paths_);
  for (Slot slot = 0; slot < paths_pool_.end(); ++slot) {
    if (paths_pool_[slot].text != nullptr) slots.push_back(slot);
  }
  std::sort(slots.begin(), slots.end(),
            [this](Slot a, Slot b) { return paths_pool_[a].view() < paths_pool_[b].view(); });
  std::vector<WatcherId> watchers;
  for (const Slot path : slots) {
    watchers.clear();
    for (Slot slot : paths_pool_[path].first) {
      for (; slot != kNoSlot; slot = watches_pool_[slot].next_here) {
        watchers.push_back(watches_pool_[slot].watcher);
      }
    }
    sort_unique(watchers);
    visit(paths_pool_[path].view(), watchers);
  }
}

void WatchTable::for_each_watcher(const std::function<void(WatcherId)>& visit) const {
  for (std::size_t id = 0; id < watchers_.size(); ++id) {
    if (watchers_[id].count != 0) visit(static_cast<WatcherId>(id));
  }
}

std::vector<std::string> WatchTable::paths_beneath(std::string_view path) const {
  std::vector<std::string> result;
  for (Slot slot = 0; slot < paths_pool_.end(); ++slot) {
    const Path& entry = paths_pool_[slot];
    if (entry.text != nullptr && is_beneath(entry.view(), path)) result.emplace_back(entry.view());
  }
  std::sort(result.begin(), result.end());
  return result;
}

std::vector<WatcherId> WatchTable::recursive_watchers(std::string_view path) const {
  std::vector<WatcherId> result;
  if (recursive_ == 0) return result;
  for (Slot slot = 0; slot < paths_pool_.end(); ++slot) {
    const Path& entry = paths_pool_[slot];
    Slot watch = entry.first[kRecursive];
    if (watch == kNoSlot) continue;
    if (entry.view() != path && !is_beneath(entry.view(), path) && !is_beneath(path, entry.view()))
      continue;
    for (; watch != kNoSlot; watch = watches_pool_[watch].next_here) {
      result.push_back(watches_pool_[watch].watcher);
    }
  }
  sort_unique(result);
  return result;
}

}  // namespace zkfs::server
