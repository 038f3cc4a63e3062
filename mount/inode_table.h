// SPDX-License-Identifier: Apache-2.0
// InodeTable: which nodes the kernel holds. Counts look-ups per NodeId (an entry handed out adds
// one, FORGET takes some away); an inotify watch pins its inode in the kernel, so a node with a
// count is the only kind that anybody could be watching. FORGET is saturating.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "mount/node_id.h"

namespace zkfs::mount {

class InodeTable {
 public:
  void looked_up(NodeId node) { ++counts_[node]; }

  void forget(NodeId node, std::uint64_t count) {
    const auto it = counts_.find(node);
    if (it == counts_.end()) return;
    if (it->second > count) {
      it->second -= count;
    } else {
      counts_.erase(it);
    }
  }

  // The root always is.
  [[nodiscard]] bool held(NodeId node) const { return node == kRootNode || counts_.contains(node); }

  // Calls `f(node)` for every node held, in no particular order.
  template <typename F>
  void for_each(F&& f) const {
    for (const auto& [node, count] : counts_) f(node);
  }

  [[nodiscard]] std::size_t size() const { return counts_.size(); }

 private:
  std::unordered_map<NodeId, std::uint64_t> counts_;
};

}  // namespace zkfs::mount
