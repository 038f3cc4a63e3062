// SPDX-License-Identifier: Apache-2.0
#include "ensemble/tree/tree_builder.h"

#include <algorithm>
#include <utility>

#include "ensemble/base/check.h"
#include "ensemble/tree/data_tree_state.h"

namespace zkfs::tree {
namespace {

void take_stat(const ZnodeState& state, Node& node) {
  node.czxid = state.czxid;
  node.mzxid = state.mzxid;
  node.pzxid = state.pzxid;
  node.ctime = state.ctime;
  node.mtime = state.mtime;
  node.change_time = std::max(state.ctime, state.mtime);
  node.version = state.version;
  node.aversion = state.aversion;
}

}  // namespace

TreeBuilder::TreeBuilder() : tree_(std::make_unique<DataTree>()) {}

TreeBuilder::~TreeBuilder() = default;

Ino TreeBuilder::put(Ino parent, std::string_view name, const ZnodeState& state) {
  TreeState& tree = tree_->state_->tree;
  ZKFS_CHECK(state.type != NodeType::kEphemeral, "an ephemeral {} without a session", name);
  const Slot above = parent ? tree.find(parent) : kNoSlot;
  ZKFS_CHECK(!parent || above != kNoSlot, "{}: no parent {}", name, parent);
  const Slot there = parent ? tree.find_child(above, name) : tree.find(kRootIno);
  if (there != kNoSlot) {
    take_stat(state, tree.touch(there));
    tree.set_data(there, state.data);
    tree.set_acl(there, state.acl);
    tree.set_create_counter(there, state.create_counter);
    return tree.node(there).ino;
  }
  Node node;
  node.ino = tree.next_ino();
  tree.set_next_ino(Ino{node.ino.value + 1});
  take_stat(state, node);
  node.create_counter = state.create_counter;
  node.name = NodeName(name);
  node.data = state.data;
  node.acl = tree.acls().intern(state.acl);
  node.type = state.type;
  if (state.type == NodeType::kTtl) node.owner_or_ttl = static_cast<std::uint64_t>(state.ttl_ms);
  const Ino ino = node.ino;
  const Slot slot = tree.add(std::move(node));
  tree.touch(above);
  tree.enlist(slot);
  tree.link(slot, above);
  return ino;
}

std::unique_ptr<DataTree> TreeBuilder::finish(Zxid last_applied) {
  TreeState& tree = tree_->state_->tree;
  tree.set_last_applied(last_applied);
  tree.settle();
  return std::move(tree_);
}

}  // namespace zkfs::tree
