// SPDX-License-Identifier: Apache-2.0
// The net difference of two trees as changes that replay can show: what a member missed that was
// caught up by a snapshot. Pure.
#pragma once

#include <vector>

#include "ensemble/tree/change.h"
#include "ensemble/tree/data_tree.h"
#include "mount/inode_table.h"

namespace zkfs::mount {

// What differs, as far as anybody could be watching it (InodeTable::watchable): such nodes, and the
// children of such directories. In an order in which it could have happened: first removals and
// moves, children before their directory and each name left before it is taken; then creations,
// data, attributes. Two that swap places are an exchange. Where several move in a circle one of
// them goes too early, and is shown once more by its attributes at the end, so that the last that
// is told of each name is that it is there.
std::vector<tree::Change> net_difference(const tree::DataTree& before,
                                         const tree::DataTree& after,
                                         const InodeTable& inodes);

}  // namespace zkfs::mount
