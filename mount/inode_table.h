// SPDX-License-Identifier: Apache-2.0
// InodeTable: which nodes the kernel holds, and by which numbers it knows them.
//
// Counts look-ups per node (an entry handed out adds one, FORGET takes some away); an inotify watch
// pins its inode in the kernel, so a node with a count is the only kind that anybody could be
// watching. FORGET is saturating.
//
// Ours and theirs: everything in here but fuse_ops goes by the numbers of node_id.h. The kernel has
// others for two kinds. The root of what it mounted is always 1 (FUSE_ROOT_ID), whichever directory
// that is. And a file that was made here keeps the provisional number it was made with as long as
// the kernel holds it, although it has a znode by then: under another number its open descriptors
// would be shown as deleted, and its watches would watch nothing.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "mount/node_id.h"

namespace zkfs::handover {
class Mount;
}

namespace zkfs::mount {

class InodeTable {
 public:
  // The directory that is mounted.
  void set_root(NodeId root) { root_ = root; }

  [[nodiscard]] NodeId root() const { return root_; }

  // Our number for the kernel's.
  [[nodiscard]] NodeId ours(NodeId theirs) const {
    if (theirs == kRootNode) return root_;
    if (face_of(theirs) != Face::kProvisional) return theirs;
    const auto it = adopted_.find(theirs);
    return it == adopted_.end() ? theirs : it->second.ours;
  }

  [[nodiscard]] NodeId theirs(NodeId ours) const {
    if (ours == root_) return kRootNode;
    const auto it = names_.find(ours);
    return it == names_.end() ? ours : it->second;
  }

  // The kernel is given an entry for the node; what to call it there.
  NodeId looked_up(NodeId node) {
    ++counts_[node];
    const NodeId name = theirs(node);
    if (name != node && node != root_) ++adopted_.at(name).count;
    return name;
  }

  // FORGET of the kernel's number. Our number, to be asked held() about.
  NodeId forget(NodeId theirs, std::uint64_t count) {
    const NodeId node = ours(theirs);
    const auto it = counts_.find(node);
    if (it != counts_.end()) {
      if (it->second > count) {
        it->second -= count;
      } else {
        counts_.erase(it);
      }
    }
    const auto adopted = adopted_.find(theirs);
    if (adopted != adopted_.end()) {
      if (adopted->second.count > count) {
        adopted->second.count -= count;
      } else {
        const auto name = names_.find(node);
        if (name != names_.end() && name->second == theirs) names_.erase(name);
        adopted_.erase(adopted);
      }
    }
    return node;
  }

  // `provisional`, which the kernel holds, is `node` from now on. If the kernel knows that one by
  // another number already, new look-ups go on using it.
  void adopt(NodeId provisional, NodeId node) {
    const auto it = counts_.find(provisional);
    if (it == counts_.end()) return;
    const std::uint64_t count = it->second;
    counts_.erase(it);
    adopted_[provisional] = {.ours = node, .count = count};
    if (!counts_.contains(node)) names_[node] = provisional;
    counts_[node] += count;
  }

  // The root always is.
  [[nodiscard]] bool held(NodeId node) const { return node == root_ || counts_.contains(node); }

  // Calls `f(node)` for every node held, in no particular order.
  template <typename F>
  void for_each(F&& f) const {
    for (const auto& [node, count] : counts_) f(node);
  }

  [[nodiscard]] std::size_t size() const { return counts_.size(); }

  // For the daemon that takes this one's place, and there (handover.cpp).
  void save(handover::Mount& out) const;
  void restore(const handover::Mount& in);

 private:
  struct Adopted {
    NodeId ours = 0;
    std::uint64_t count = 0;  // of the look-ups answered with the provisional number
  };

  NodeId root_ = kRootNode;
  std::unordered_map<NodeId, std::uint64_t> counts_;
  std::unordered_map<NodeId, Adopted> adopted_;  // by provisional number
  std::unordered_map<NodeId, NodeId> names_;     // ours to the provisional one
};

}  // namespace zkfs::mount
