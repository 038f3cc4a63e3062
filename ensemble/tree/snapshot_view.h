// SPDX-License-Identifier: Apache-2.0
// SnapshotView: the znodes of a TreeState as they were when the view was made, read bit by bit
// while txns go on. It walks the slots in order; before a txn changes or frees a node that the walk
// has not reached, the TreeState calls before_change() and the view copies the node (data shared).
// Nodes created since are told by their czxid. Memory: one bit per slot, and the copies not yet
// read.
#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include "ensemble/base/ids.h"
#include "ensemble/tree/node_pool.h"

namespace zkfs::tree {

class TreeState;

class SnapshotView {
 public:
  // Registers with `tree`, which must outlive the view or be left alone by it afterwards (see
  // detach).
  explicit SnapshotView(TreeState& tree);
  ~SnapshotView();
  SnapshotView(const SnapshotView&) = delete;
  SnapshotView& operator=(const SnapshotView&) = delete;

  // Called by the TreeState before anything replicated about the live node at `slot` changes.
  void before_change(Slot slot);
  // Called by the TreeState that ends before its view: nothing can be read any more.
  void detach();

  // A node as of the view's making. Valid until the next call of anything here or of the tree's
  // apply().
  struct Item {
    const Node* node = nullptr;
    Ino parent;
  };

  // The next one, looking at no more than `slots_max` slots, which it counts down. No node: the
  // end, or slots_max came to 0.
  Item next(std::size_t& slots_max);
  [[nodiscard]] bool done() const;

  [[nodiscard]] const TreeState& tree() const;

 private:
  struct PreImage {
    Node node;  // holds a reference to its ACL
    Ino parent;
  };

  void drop_front();

  TreeState* tree_;
  Zxid zxid_;
  Slot position_ = 0;  // slots below have been visited
  Slot end_;           // slots from here on came later
  std::vector<bool> taken_;
  std::deque<PreImage> pre_images_;
  bool front_is_out_ = false;  // the front pre-image was handed out by the last next()
};

}  // namespace zkfs::tree
