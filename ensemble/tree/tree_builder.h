// SPDX-License-Identifier: Apache-2.0
// TreeBuilder: a tree made of znodes as they are rather than by txns: what comes from elsewhere has
// versions, times and zxids already. Sessions and ephemerals it knows none of.
#pragma once

#include <memory>
#include <string_view>

#include "ensemble/base/blob.h"
#include "ensemble/base/clock.h"
#include "ensemble/base/ids.h"
#include "ensemble/tree/acl.h"
#include "ensemble/tree/data_tree.h"
#include "ensemble/tree/txn.h"

namespace zkfs::tree {

// All of a znode but its place, its number and its children.
struct ZnodeState {
  Blob data;
  AclList acl;
  Zxid czxid, mzxid, pzxid;
  WallMillis ctime = 0, mtime = 0;
  std::int32_t version = 0, aversion = 0, create_counter = 0;
  NodeType type = NodeType::kPersistent;
  std::int64_t ttl_ms = 0;  // for kTtl
};

class TreeBuilder {
 public:
  // Begins with a fresh tree.
  TreeBuilder();
  ~TreeBuilder();
  TreeBuilder(const TreeBuilder&) = delete;
  TreeBuilder& operator=(const TreeBuilder&) = delete;

  // A znode that a fresh tree has takes the state and keeps its number, type and kind; any other is
  // added under the next number, with an unspecified kind. The same calls in the same order make
  // equal trees. Requires: the parent is there, the name is valid (tree/path.h); the root has
  // neither. Not kEphemeral.
  Ino put(Ino parent, std::string_view name, const ZnodeState& state);

  // The tree as of `last_applied`, which is at least every zxid given. The builder is used up.
  std::unique_ptr<DataTree> finish(Zxid last_applied);

 private:
  std::unique_ptr<DataTree> tree_;
};

}  // namespace zkfs::tree
