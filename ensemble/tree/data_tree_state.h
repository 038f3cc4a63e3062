// SPDX-License-Identifier: Apache-2.0
// What a DataTree points to; for data_tree.cpp, the snapshot's two ends and
// tree_builder.cpp only.
#pragma once

#include "ensemble/tree/data_tree.h"
#include "ensemble/tree/tree_state.h"

namespace zkfs::tree {

struct DataTree::State {
  TreeState tree;
};

}  // namespace zkfs::tree
