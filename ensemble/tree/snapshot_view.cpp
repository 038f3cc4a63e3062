// SPDX-License-Identifier: Apache-2.0
#include "ensemble/tree/snapshot_view.h"

#include "ensemble/base/check.h"
#include "ensemble/tree/tree_state.h"

namespace zkfs::tree {

SnapshotView::SnapshotView(TreeState& tree)
    : tree_(&tree), zxid_(tree.last_applied()), end_(tree.slots_end()), taken_(end_) {
  tree.add_view(*this);
}

SnapshotView::~SnapshotView() {
  if (tree_ == nullptr) return;
  tree_->remove_view(*this);
  while (!pre_images_.empty()) drop_front();
}

void SnapshotView::detach() {
  pre_images_.clear();
  tree_ = nullptr;
}

const TreeState& SnapshotView::tree() const {
  ZKFS_CHECK(tree_ != nullptr, "a snapshot at {} outlived its tree", zxid_);
  return *tree_;
}

void SnapshotView::before_change(Slot slot) {
  if (slot < position_ || slot >= end_ || taken_[slot]) return;
  const Node& node = tree_->node(slot);
  if (node.czxid > zxid_) return;
  taken_[slot] = true;
  tree_->acls().retain(node.acl);
  pre_images_.push_back({node, tree_->parent_of(slot)});
}

SnapshotView::Item SnapshotView::next(std::size_t& slots_max) {
  if (std::exchange(front_is_out_, false)) drop_front();
  if (slots_max > 0 && !pre_images_.empty()) {
    --slots_max;
    front_is_out_ = true;
    return {&pre_images_.front().node, pre_images_.front().parent};
  }
  for (; slots_max > 0 && position_ < end_; --slots_max) {
    const Slot slot = position_++;
    if (taken_[slot]) continue;
    const Node& node = tree().node(slot);
    if (!node.ino || node.czxid > zxid_) continue;
    --slots_max;
    return {&node, tree().parent_of(slot)};
  }
  return {};
}

bool SnapshotView::done() const {
  return position_ == end_ && pre_images_.size() == (front_is_out_ ? 1U : 0U);
}

void SnapshotView::drop_front() {
  tree_->acls().release(pre_images_.front().node.acl);
  pre_images_.pop_front();
}

}  // namespace zkfs::tree
