// SPDX-License-Identifier: Apache-2.0
// WatchTable: who watches which path, as ZooKeeper's clients ask for it (reference/zookeeper.md
// section 4, with the rules of 3.9: one-shot, persistent and recursive watches of one path live
// side by side). Pure and single-threaded. Watches are on names, not on znodes: there need be none.
//
// A registration is (watcher, path, kind). Adding, finding and removing one costs the same however
// many others the path or the watcher has; firing costs the watches that fire, and where there are
// recursive watches one look-up for each component of the path. About 100 bytes a watch beside the
// text of its path, which is held once (tests/server/watch_memory_test.cpp measures it). What was
// freed is used again, and given back when the last watch has gone.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ensemble/tree/slot_table.h"

namespace zkfs::server {

// A connection, as its owner numbers it: from 0, and the numbers of those that have gone again (the
// table has 16 bytes for each number up to the highest).
using WatcherId = std::uint32_t;

// ZooKeeper's numbers.
enum class EventType : std::int32_t {
  kCreated = 1,
  kDeleted = 2,
  kDataChanged = 3,
  kChildrenChanged = 4,
};

enum class WatchKind : std::uint8_t {
  kData,   // one-shot: getData, exists (of what is there, or is not yet)
  kChild,  // one-shot: getChildren
  kPersistent,
  kPersistentRecursive,  // for all that is beneath too; never hears kChildrenChanged
};

// What removeWatches and checkWatches mean, with ZooKeeper's numbers.
enum class WatcherType : std::int32_t {
  kChildren = 1,
  kData = 2,
  kAny = 3,
  kPersistent = 4,
  kPersistentRecursive = 5,
};

class WatchTable {
 public:
  WatchTable() = default;
  WatchTable(const WatchTable&) = delete;
  WatchTable& operator=(const WatchTable&) = delete;

  // False: it was registered already.
  bool add(WatcherId watcher, std::string_view path, WatchKind kind);

  // `type` happened to `path`: replaces the content of `to` by whom to tell, each once, in no
  // particular order. One-shot watches that fire are gone, also those of a watcher that must not be
  // told because it may not read (reference 4.6). kDeleted fires data and child watches alike, and
  // who has both is told once: ask once for a delete.
  void fire(EventType type, std::string_view path, std::vector<WatcherId>& to) {
    to.clear();
    if (!empty()) fire_watched(type, path, to);
  }

  // True if the watcher has such a watch on exactly this path; kAny: any.
  [[nodiscard]] bool contains(WatcherId watcher, std::string_view path, WatcherType type) const;
  // Removes what contains() would find. False: there was none.
  bool remove(WatcherId watcher, std::string_view path, WatcherType type);
  // Removes all of a watcher, or `at_most` of them: a million take the better part of a second.
  // True once none is left; only then may its number be used for another.
  bool drop(WatcherId watcher, std::size_t at_most = SIZE_MAX);

  [[nodiscard]] bool empty() const { return watches_ == 0; }

  // Registrations; paths with any; watchers with any.
  [[nodiscard]] std::size_t watches() const { return watches_; }

  [[nodiscard]] std::size_t paths() const { return paths_; }

  [[nodiscard]] std::size_t watchers() const { return active_watchers_; }

  [[nodiscard]] std::size_t count_of(WatcherId watcher) const;

  // The paths that one watcher has any watch on, ascending.
  [[nodiscard]] std::vector<std::string> paths_of(WatcherId watcher) const;
  // Each watched path, ascending, with its watchers, ascending. Sorts all: for administrators.
  void for_each_path(
      const std::function<void(std::string_view path, const std::vector<WatcherId>& watchers)>&
          visit) const;
  // Each watcher with any watch, ascending.
  void for_each_watcher(const std::function<void(WatcherId watcher)>& visit) const;

  // Paths strictly beneath `path` that anybody watches, ascending. Looks at every watched path.
  [[nodiscard]] std::vector<std::string> paths_beneath(std::string_view path) const;
  // Who has a recursive watch that hears of something at or beneath `path`: one there, or above.
  // Ascending, each once. Looks at every watched path if there are any recursive watches.
  [[nodiscard]] std::vector<WatcherId> recursive_watchers(std::string_view path) const;

 private:
  using Slot = tree::Slot;
  static constexpr Slot kNoSlot = tree::kNoSlot;
  static constexpr std::size_t kKinds = 4;

  // Objects in chunks that never move, addressed by slots.
  template <typename T>
  class Pool {
   public:
    Slot allocate() {
      if (!free_.empty()) {
        const Slot slot = free_.back();
        free_.pop_back();
        return slot;
      }
      if (end_ % kChunk == 0) chunks_.push_back(std::make_unique<T[]>(kChunk));
      return end_++;
    }

    void free(Slot slot) {
      (*this)[slot] = T();
      free_.push_back(slot);
    }

    T& operator[](Slot slot) { return chunks_[slot / kChunk][slot % kChunk]; }

    const T& operator[](Slot slot) const { return chunks_[slot / kChunk][slot % kChunk]; }

    // Slots ever handed out lie below this.
    [[nodiscard]] Slot end() const { return end_; }

   private:
    static constexpr Slot kChunk = 512;

    std::vector<std::unique_ptr<T[]>> chunks_;
    std::vector<Slot> free_;
    Slot end_ = 0;
  };

  struct Path {
    std::unique_ptr<char[]> text;  // null: the slot is free
    std::uint32_t size = 0;
    std::array<Slot, kKinds> first{kNoSlot, kNoSlot, kNoSlot, kNoSlot};  // watches of each kind

    [[nodiscard]] std::string_view view() const { return {text.get(), size}; }
  };

  // In two doubly linked lists: that of its path and kind, and that of its watcher.
  struct Watch {
    WatcherId watcher = 0;
    std::uint32_t place = 0;  // the path's slot and the kind, see place_of()
    Slot next_here = kNoSlot, previous_here = kNoSlot;
    Slot next_own = kNoSlot, previous_own = kNoSlot;

    [[nodiscard]] Slot path() const { return place / kKinds; }

    [[nodiscard]] std::size_t kind() const { return place % kKinds; }
  };

  static_assert(sizeof(Path) == 32 && sizeof(Watch) == 24);

  struct Watcher {
    Slot first = kNoSlot;
    std::uint32_t count = 0;
    std::uint64_t told = 0;  // the number of the last fire() that told it
  };

  static std::uint32_t place_of(Slot path, std::size_t kind) {
    return path * static_cast<std::uint32_t>(kKinds) + static_cast<std::uint32_t>(kind);
  }

  static std::uint64_t hash_of(WatcherId watcher, std::uint32_t place);

  [[nodiscard]] std::uint64_t hash_of_watch(Slot watch) const {
    return hash_of(watches_pool_[watch].watcher, watches_pool_[watch].place);
  }

  [[nodiscard]] Slot find_path(std::string_view path, std::uint64_t hash) const;
  [[nodiscard]] Slot find_watch(WatcherId watcher, Slot path, std::size_t kind) const;
  Slot path_to_watch(std::string_view path);
  void fire_watched(EventType type, std::string_view path, std::vector<WatcherId>& to);
  void tell(Slot path, WatchKind kind, std::vector<WatcherId>& to);
  void tell_recursive(std::string_view path, std::vector<WatcherId>& to);
  void consume(Slot path, WatchKind kind, std::vector<WatcherId>& to);
  void erase(Slot watch);
  void free_path_if_unwatched(Slot path);
  void release_if_empty();

  Pool<Path> paths_pool_;
  Pool<Watch> watches_pool_;
  tree::SlotTable by_path_;   // paths_pool_, by text
  tree::SlotTable by_place_;  // watches_pool_, by watcher, path and kind
  std::vector<Watcher> watchers_;
  std::size_t watches_ = 0;
  std::size_t paths_ = 0;
  std::size_t active_watchers_ = 0;
  std::size_t recursive_ = 0;  // watches of that kind
  std::uint64_t fires_ = 0;
};

}  // namespace zkfs::server
