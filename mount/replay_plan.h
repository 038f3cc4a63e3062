// SPDX-License-Identifier: Apache-2.0
// Which pokes show a change of the tree to those who watch it. Pure. A change of what the kernel
// does not hold plans nothing.
#pragma once

#include <optional>
#include <vector>

#include "ensemble/tree/change.h"
#include "ensemble/tree/data_tree.h"
#include "mount/inode_table.h"
#include "mount/replay_queue.h"

namespace zkfs::mount {

// What a change is planned against.
struct ReplayWorld {
  const tree::DataTree& tree;  // the state after the change, or later
  const InodeTable& inodes;
};

// The pokes for one change, in order. `had_data`: whether a directory had data before a kData of
// it; empty if not known, then it is guessed: it had if anybody ever looked at `.@data`.
std::vector<ReplayItem> plan_replay(const tree::Change& change,
                                    const ReplayWorld& world,
                                    std::optional<bool> had_data);

// A change between two trees, and had_data for it.
struct NetChange {
  tree::Change change;
  bool had_data = false;
};

// What differs, as far as the kernel holds it: held nodes, and the children of held directories.
// Removals come first, children before parents; then moves, creations, data, attributes.
std::vector<NetChange> net_difference(const tree::DataTree& before,
                                      const tree::DataTree& after,
                                      const InodeTable& inodes);

// The path of a directory node as the mount shows it, from its root (a directory node, too),
// without a leading '/'. Empty for the root and for what is gone.
std::string shown_path(const tree::DataTree& tree, NodeId directory, NodeId root);

}  // namespace zkfs::mount
