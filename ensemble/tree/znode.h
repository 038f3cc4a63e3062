// SPDX-License-Identifier: Apache-2.0
// The read-only view of a znode that DataTree hands out. How a znode lies in memory is
// data_tree.cpp's affair.
#pragma once

#include <cstdint>
#include <string_view>

#include "ensemble/base/blob.h"
#include "ensemble/base/clock.h"
#include "ensemble/base/ids.h"
#include "ensemble/tree/acl.h"
#include "ensemble/tree/stat.h"
#include "ensemble/tree/txn.h"

namespace zkfs::tree {

// A copy of everything about one znode but its children's names; cheap (data and ACL are shared,
// not copied). `name` and `acl` point into the tree and are valid until the next apply().
struct Znode {
  Ino ino;
  Ino parent;  // 0 for the root
  std::string_view name;
  Blob data;
  Stat stat;
  const AclList* acl = nullptr;
  NodeType type = NodeType::kPersistent;
  NodeKind kind = NodeKind::kUnspecified;
  bool executable = false;
  // The latest of creation, mtime's setting and the last change of data, ACL, attributes or place;
  // st_ctime of the mount. Never goes back.
  WallMillis change_time = 0;
  std::int64_t ttl_ms = 0;
  std::int32_t create_counter = 0;   // the next sequence number
  std::uint32_t subdirectories = 0;  // children that the mount shows as directories

  // Contract section 1: made as a directory, or a container, or an unspecified znode that has or
  // had children.
  [[nodiscard]] bool is_directory() const {
    return kind == NodeKind::kDirectory || type == NodeType::kContainer ||
           (kind == NodeKind::kUnspecified && create_counter != 0);
  }
};

}  // namespace zkfs::tree
