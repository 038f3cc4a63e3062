// SPDX-License-Identifier: Apache-2.0
#include "ensemble/tree/slot_table.h"

#include <unordered_map>
#include <vector>

#include <gtest/gtest.h>

#include "ensemble/base/random.h"

namespace zkfs::tree {
namespace {

// A table whose slots have the keys they are given; `spread` 0 makes all hashes collide.
class Keyed {
 public:
  explicit Keyed(std::uint64_t spread) : spread_(spread) {}

  void insert(std::uint64_t key, Slot slot) {
    if (keys_.size() <= slot) keys_.resize(slot + 1);
    keys_[slot] = key;
    table_.insert(hash(key), slot, [this](Slot s) { return hash(keys_[s]); });
  }

  void erase(std::uint64_t key, Slot slot) { table_.erase(hash(key), slot); }

  Slot find(std::uint64_t key) const {
    return table_.find(hash(key), [&](Slot s) { return keys_[s] == key; });
  }

 private:
  [[nodiscard]] std::uint64_t hash(std::uint64_t key) const { return key * spread_; }

  std::uint64_t spread_;
  SlotTable table_;
  std::vector<std::uint64_t> keys_;
};

void expect_agreement(std::uint64_t spread, std::uint64_t keys, int steps) {
  Random random(spread + keys);
  Keyed table(spread);
  std::unordered_map<std::uint64_t, Slot> expected;
  std::vector<Slot> free;
  for (Slot s = 0; s < keys; ++s) free.push_back(s);
  for (int i = 0; i < steps; ++i) {
    // Phases of growth and of decline, so that tables grow, shrink and fill with erased cells.
    const std::uint64_t key = random.below(keys);
    const bool growing = (i / 2000) % 2 == 0;
    const auto it = expected.find(key);
    ASSERT_EQ(table.find(key), it == expected.end() ? kNoSlot : it->second);
    if (it == expected.end() && random.chance(growing ? 9 : 2, 10)) {
      table.insert(key, free.back());
      expected[key] = free.back();
      free.pop_back();
    } else if (it != expected.end() && random.chance(growing ? 2 : 9, 10)) {
      table.erase(key, it->second);
      free.push_back(it->second);
      expected.erase(it);
    }
  }
  for (std::uint64_t key = 0; key < keys; ++key) {
    ASSERT_EQ(table.find(key), expected.contains(key) ? expected[key] : kNoSlot);
  }
}

TEST(SlotTable, AgreesWithAMap) {
  expect_agreement(0x9e3779b97f4a7c15ULL, 3000, 40000);
}

TEST(SlotTable, SurvivesHashesThatAllCollide) {
  expect_agreement(0, 40, 20000);
}

TEST(SlotTable, StaysCorrectUnderEndlessChurnOfOneKey) {
  Keyed table(0x9e3779b97f4a7c15ULL);
  for (std::uint64_t key = 0; key < 100000; ++key) {
    table.insert(key, 0);
    ASSERT_EQ(table.find(key), 0U);
    table.erase(key, 0);
    ASSERT_EQ(table.find(key), kNoSlot);
  }
}

}  // namespace
}  // namespace zkfs::tree
