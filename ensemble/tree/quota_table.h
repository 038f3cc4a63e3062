// SPDX-License-Identifier: Apache-2.0
// QuotaTable: what each subtree with a quota holds, kept up with every step of a txn. A quota is a
// znode below /zookeeper/quota that has a child zookeeper_limits or zookeeper_stats; its subject is
// the znode whose path is what follows, which need not be there. Derived from the tree: not in the
// digest, not in snapshots, counted anew when one is loaded.
//
// Costs: nothing but a comparison while there are no quotas; then O(depth) for a znode created,
// removed or written; O(its subtree) for a directory that is moved, and for a quota that is set.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "ensemble/base/ids.h"
#include "ensemble/tree/quota.h"
#include "ensemble/tree/slot_table.h"

namespace zkfs::tree {

class TreeState;

class QuotaTable {
 public:
  // `tree` outlives it and calls the functions below.
  explicit QuotaTable(const TreeState& tree) : tree_(tree) {}

  // Of the quota `ino`, a znode below /zookeeper/quota. Nothing: it is none.
  [[nodiscard]] std::optional<QuotaUsage> usage(Ino ino) const;

  // While a tree is loaded nothing is counted; count_all() ends that.
  void pause() { paused_ = true; }

  void count_all();

  // `slot`, with all below it, has got its place.
  void linked(Slot slot);
  // It is about to lose it.
  void unlinking(Slot slot);
  void data_changed(Slot slot, std::int64_t bytes);

 private:
  [[nodiscard]] bool in_quota_tree(Slot slot) const;
  // True for a child that makes its parent a quota.
  [[nodiscard]] bool makes_quota(Slot slot) const;
  [[nodiscard]] bool has_other_mark(Slot slot) const;
  // From below the root to `slot`; empty where it is, or lies below, /zookeeper.
  [[nodiscard]] std::vector<Slot> path_to(Slot slot) const;

  struct Covering {
    std::vector<QuotaUsage*> quotas;  // of its own path and those above
    Slot own = kNoSlot;               // what lies at its own path below /zookeeper/quota
  };

  Covering covering(Slot slot);
  [[nodiscard]] QuotaUsage total(Slot slot) const;
  [[nodiscard]] Slot subject_of(Slot quota) const;
  void count(Slot quota);
  // The quotas strictly below `quota`.
  [[nodiscard]] std::vector<Slot> below(Slot quota) const;

  const TreeState& tree_;
  bool paused_ = false;
  std::unordered_map<Ino, QuotaUsage> quotas_;
};

}  // namespace zkfs::tree
