// SPDX-License-Identifier: Apache-2.0
// SlotTable: a hash table of 32-bit slots and nothing else; keys stay in the nodes that the slots
// name, so an entry costs 4 bytes divided by the load (0.31 to 0.62). Open addressing with linear
// probing over the top bits of a 64-bit hash. Growing is spread over the inserts that follow: the
// old table is emptied a few cells at a time while both are searched, so that no insert into a tree
// of millions stops the core thread for long. Iteration order does not exist.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

namespace zkfs::tree {

using Slot = std::uint32_t;
inline constexpr Slot kNoSlot = 0xffffffffU;

class SlotTable {
 public:
  // The slot with this hash for which same(slot) holds, or kNoSlot.
  template <typename Same>
  [[nodiscard]] Slot find(std::uint64_t hash, Same&& same) const {
    const Slot slot = current_.slot_at(current_.locate(hash, same));
    return slot != kNoSlot ? slot : old_.slot_at(old_.locate(hash, same));
  }

  // Starts to fetch the memory that find or insert with this hash will need soon.
  void prefetch(std::uint64_t hash) const {
    if (current_.capacity != 0) __builtin_prefetch(&current_.cells[hash >> current_.shift]);
  }

  // Requires: the key is not in the table. hash_of(slot) gives the hash of any slot that is.
  template <typename HashOf>
  void insert(std::uint64_t hash, Slot slot, HashOf&& hash_of) {
    migrate(kCellsPerStep, hash_of);
    if ((current_.used + 1) * 8 > current_.capacity * 5) rehash(count_ + 1, hash_of);
    current_.place(hash, slot);
    ++count_;
  }

  // Requires: the slot is in the table under this hash.
  void erase(std::uint64_t hash, Slot slot) {
    const auto same = [slot](Slot other) { return other == slot; };
    if (!current_.erase(current_.locate(hash, same))) old_.erase(old_.locate(hash, same));
    --count_;
  }

  // Makes room for `count` entries at once. Requires: the table is empty.
  void reserve(std::size_t count) { current_ = Cells(capacity_for(count, kCapacityMin)); }

 private:
  static constexpr std::size_t kCapacityMin = 16;
  // A table is full again after 5/16 of its capacity at the soonest and is at least half as large
  // as the one before: 8 cells a step empty the old one in time.
  static constexpr std::size_t kCellsPerStep = 8;
  static constexpr std::size_t kNoCell = ~std::size_t{0};

  struct Free {
    void operator()(std::uint32_t* cells) const { std::free(cells); }
  };

  struct Cells {
    static constexpr std::uint32_t kEmpty = 0;  // any other value: slot + 1
    static constexpr std::uint32_t kErased = 0xffffffffU;

    std::unique_ptr<std::uint32_t[], Free> cells;
    std::size_t capacity = 0;  // a power of two, or 0
    std::size_t used = 0;      // cells that are not empty; less than the capacity
    unsigned shift = 63;

    Cells() = default;

    // calloc: fresh pages of a large table are zeroed by the kernel one by one as they are touched.
    explicit Cells(std::size_t size)
        : cells(static_cast<std::uint32_t*>(std::calloc(size, sizeof(std::uint32_t)))),
          capacity(size),
          shift(64U - static_cast<unsigned>(std::countr_zero(size))) {
      if (cells == nullptr) throw std::bad_alloc();
    }

    template <typename Same>
    [[nodiscard]] std::size_t locate(std::uint64_t hash, Same&& same) const {
      if (capacity == 0) return kNoCell;
      for (std::size_t i = hash >> shift;; i = (i + 1) & (capacity - 1)) {
        if (cells[i] == kEmpty) return kNoCell;
        if (cells[i] != kErased && same(cells[i] - 1)) return i;
      }
    }

    [[nodiscard]] Slot slot_at(std::size_t cell) const {
      return cell == kNoCell ? kNoSlot : cells[cell] - 1;
    }

    void place(std::uint64_t hash, Slot slot) {
      std::size_t i = hash >> shift;
      while (cells[i] != kEmpty && cells[i] != kErased) i = (i + 1) & (capacity - 1);
      if (cells[i] == kEmpty) ++used;
      cells[i] = slot + 1;
    }

    // An erased cell before an empty one ends no probe early, so it can be empty itself, and so can
    // those before it.
    bool erase(std::size_t i) {
      if (i == kNoCell) return false;
      cells[i] = kErased;
      if (cells[(i + 1) & (capacity - 1)] != kEmpty) return true;
      for (; cells[i] == kErased; i = (i - 1) & (capacity - 1)) {
        cells[i] = kEmpty;
        --used;
      }
      return true;
    }
  };

  // The smallest capacity of which `count` is at most 5/16.
  static std::size_t capacity_for(std::size_t count, std::size_t at_least) {
    std::size_t capacity = at_least;
    while (count * 16 > capacity * 5) capacity *= 2;
    return capacity;
  }

  template <typename HashOf>
  void rehash(std::size_t count, HashOf&& hash_of) {
    migrate(kNoCell, hash_of);
    const std::size_t half = current_.capacity / 2;
    old_ = std::exchange(current_,
                         Cells(capacity_for(count, half < kCapacityMin ? kCapacityMin : half)));
    migrated_ = 0;
  }

  template <typename HashOf>
  void migrate(std::size_t cells_max, HashOf&& hash_of) {
    if (old_.capacity == 0) return;
    for (; cells_max > 0 && migrated_ < old_.capacity; --cells_max, ++migrated_) {
      std::uint32_t& cell = old_.cells[migrated_];
      if (cell == Cells::kEmpty || cell == Cells::kErased) continue;
      current_.place(hash_of(cell - 1), cell - 1);
      cell = Cells::kErased;
    }
    if (migrated_ == old_.capacity) old_ = Cells();
  }

  Cells current_;
  Cells old_;                 // being emptied into current_; capacity 0: none
  std::size_t migrated_ = 0;  // cells of old_ that are done
  std::size_t count_ = 0;
};

}  // namespace zkfs::tree
