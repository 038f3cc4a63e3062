// SPDX-License-Identifier: Apache-2.0
// Which pokes show a change of the tree to those who watch it. Pure. A change of what the kernel
// does not hold plans nothing.
#pragma once

#include <span>
#include <string>
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

// The pokes for the change at the front of `changes`, in order, and how many changes they show: a
// directory that was removed by a move into its place is one with that move.
struct ReplayPlan {
  std::vector<ReplayItem> items;
  std::size_t shown = 1;
};

// Requires: not empty.
ReplayPlan plan_replay(std::span<const tree::Change> changes, const ReplayWorld& world);

// What shows a move in one of its two directories when the other cannot be reached: it was removed
// since, and the kernel does not hold it.
std::vector<ReplayItem> plan_halves(const ReplayItem& move, const ReplayWorld& world);

// The path of a directory node as the mount shows it, from its root (a directory node, too),
// without a leading '/'. Empty for the root and for what is gone.
std::string shown_path(const tree::DataTree& tree, NodeId directory, NodeId root);

}  // namespace zkfs::mount
