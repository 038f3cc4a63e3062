// SPDX-License-Identifier: Apache-2.0
// InodeTable: which nodes the kernel holds, and by which numbers it knows them.
//
// Counts look-ups per node (an entry handed out adds one, FORGET takes some away); an inotify watch
// pins its inode in the kernel, so a node with a count is the only kind that anybody could be
// watching. FORGET is saturating.
//
// And only if somebody else than the event workers has looked it up since the kernel holds it: with
// timeouts of 0 the kernel asks for every step of everybody's path, in their name. Otherwise what
// the workers touch to show a change would itself count as watched, the next change of it would be
// shown as well, and under load the mount would never stop showing everything to nobody. The kernel
// forgets nothing by itself while memory lasts; replay.cpp makes it, when that pays.
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
    held_[node].by_users = true;
    return add(node);
  }

  NodeId looked_up_by_worker(NodeId node) { return add(node); }

  // Somebody else than a worker has come there without a look-up: by `..` from a directory that was
  // moved (replay.cpp), or by a file handle.
  void used(NodeId node) {
    if (const auto it = held_.find(node); it != held_.end()) it->second.by_users = true;
  }

  // FORGET of the kernel's number. Our number, to be asked held() about.
  NodeId forget(NodeId theirs, std::uint64_t count) {
    const NodeId node = ours(theirs);
    const auto it = held_.find(node);
    if (it != held_.end()) {
      if (it->second.count > count) {
        it->second.count -= count;
      } else {
        held_.erase(it);
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
    const auto it = held_.find(provisional);
    if (it == held_.end()) return;
    const Held former = it->second;
    held_.erase(it);
    adopted_[provisional] = {.ours = node, .count = former.count};
    if (!held_.contains(node)) names_[node] = provisional;
    Held& now = held_[node];
    now.count += former.count;
    now.by_users |= former.by_users;
  }

  // The kernel holds it. The root always is.
  [[nodiscard]] bool held(NodeId node) const { return node == root_ || held_.contains(node); }

  // Somebody could be watching it: it is held, and not just by the workers. The root always is.
  [[nodiscard]] bool watchable(NodeId node) const {
    const auto it = held_.find(node);
    return node == root_ || (it != held_.end() && it->second.by_users);
  }

  // Calls `f(node)` for every node watchable, but maybe the root, in no particular order.
  template <typename F>
  void for_each_watchable(F&& f) const {
    for (const auto& [node, held] : held_) {
      if (held.by_users) f(node);
    }
  }

  // How many are held.
  [[nodiscard]] std::size_t size() const { return held_.size(); }

  // For the daemon that takes this one's place, and there (handover.cpp).
  void save(handover::Mount& out) const;
  void restore(const handover::Mount& in);

 private:
  struct Held {
    std::uint64_t count = 0;
    bool by_users = false;  // looked up by somebody else than a worker since it is held
  };

  struct Adopted {
    NodeId ours = 0;
    std::uint64_t count = 0;  // of the look-ups answered with the provisional number
  };

  NodeId add(NodeId node) {
    ++held_[node].count;
    const NodeId name = theirs(node);
    if (name != node && node != root_) ++adopted_.at(name).count;
    return name;
  }

  NodeId root_ = kRootNode;
  std::unordered_map<NodeId, Held> held_;
  std::unordered_map<NodeId, Adopted> adopted_;  // by provisional number
  std::unordered_map<NodeId, NodeId> names_;     // ours to the provisional one
};

}  // namespace zkfs::mount
