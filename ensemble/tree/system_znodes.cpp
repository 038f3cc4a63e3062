// SPDX-License-Identifier: Apache-2.0
#include "ensemble/tree/system_znodes.h"

#include <utility>

#include <fmt/format.h>

#include "ensemble/tree/tree_state.h"

namespace zkfs::tree {
namespace {

Node node_of(const SystemZnode& znode, AclTable& acls) {
  Node node;
  node.ino = znode.ino;
  node.name = NodeName(znode.name);
  if (znode.ino == kConfigIno) {
    node.version = node.aversion = -1;
    node.acl = acls.intern({AclEntry{Permissions::kRead, "world", "anyone"}});
  } else {
    node.kind = NodeKind::kDirectory;
    node.acl = acls.intern(open_acl());
  }
  return node;
}

}  // namespace

// The parents' create counters do not count them: the first sequential name in the root is number 0
// all the same.
Expected<void> add_system_znodes(TreeState& tree) {
  for (const SystemZnode& znode : kSystemZnodes) {
    const Slot parent = tree.find(znode.parent);
    const Slot there = tree.find_child(parent, znode.name);
    if (there != tree.find(znode.ino)) {
      return std::unexpected(Problem{fmt::format(
          "the name '{}' of ZooKeeper's own is taken in the tree by znode {}; rename it with the "
          "version of zkfs that wrote it",
          znode.name, there == kNoSlot ? Ino{} : tree.node(there).ino)});
    }
    if (there != kNoSlot) continue;
    const Slot slot = tree.add(node_of(znode, tree.acls()));
    tree.touch(parent);
    tree.link(slot, parent);
  }
  return {};
}

}  // namespace zkfs::tree
