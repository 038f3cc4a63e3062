// SPDX-License-Identifier: Apache-2.0
// Change: what one step of a txn did to the tree, for whoever must tell others (watches, inotify
// replay, parked requests).
#pragma once

#include <cstdint>
#include <string>

#include "ensemble/base/ids.h"
#include "ensemble/tree/acl.h"
#include "ensemble/tree/txn.h"

namespace zkfs::tree {

struct Change {
  enum class Kind : std::uint8_t {
    kCreated,     // ino appeared as (parent, name)
    kDeleted,     // ino disappeared from (parent, name)
    kData,        // ino's data was set
    kAcl,         // ino's ACL was set
    kAttributes,  // mtime, kind or execute bit was set
    kMoved,       // ino went from (old_parent, old_name) to (parent, name)
    kReplaced,   // a rename put the data of `other` (which disappeared from (old_parent, old_name))
                 // into ino at (parent, name)
    kExchanged,  // ino, now at (parent, name), and `other`, now at (old_parent, old_name), swapped
                 // places
    kBecameDirectory,  // a first child made ino, which was shown as none, a directory (contract
                       // section 1)
    kLockGranted,      // the lock request `request` of `session` for ino, which had waited, was
                       // granted; no other member means anything, and the znode may be gone
  };
  Kind kind = Kind::kData;
  Ino ino;
  Ino parent;
  std::string name;
  Ino other;
  Ino old_parent;
  std::string old_name;
  // How the mount shows ino (for a deleted one: showed), and whether it has data.
  bool directory = false;
  NodeKind node_kind = NodeKind::kUnspecified;
  std::uint32_t data_size = 0;
  // The same of ino before the change, where there was one; otherwise as above. Of kExchanged: of
  // `other`, which was at (parent, name).
  bool was_directory = false;
  NodeKind old_node_kind = NodeKind::kUnspecified;
  bool had_data = false;
  // The ACL that the tree no longer has: of kDeleted ino's, of kReplaced that of `other`, of kAcl
  // the one before. Empty if anyone may read by it.
  AclList lost_acl;
  // For kLockGranted.
  SessionId session;
  std::uint64_t request = 0;
};

}  // namespace zkfs::tree
