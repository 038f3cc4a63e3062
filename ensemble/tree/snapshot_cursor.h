// SPDX-License-Identifier: Apache-2.0
// What a SnapshotCursor holds; for snapshot_codec.cpp and data_tree.cpp only.
#pragma once

#include <vector>

#include "ensemble/proto/snapshot.pb.h"
#include "ensemble/tree/lock.h"
#include "ensemble/tree/session_table.h"
#include "ensemble/tree/snapshot_codec.h"
#include "ensemble/tree/snapshot_view.h"

namespace zkfs::tree {

// Format 1 had no system znodes.
inline constexpr std::uint32_t kSnapshotFormat = 2;
inline constexpr std::uint32_t kOldestSnapshotFormat = 1;

struct SnapshotCursor::State {
  enum class Phase { kHeader, kSessions, kLocks, kZnodes, kEnd, kDone };

  explicit State(TreeState& tree);

  SnapshotView view;
  Zxid zxid;
  proto::SnapshotHeader header;
  // Copies; their SlotLists mean nothing here, and outcomes go as they are written.
  std::vector<SessionRecord> sessions;
  std::size_t next_session = 0;
  bool session_begun = false;   // some of the next one's outcomes are written
  std::vector<LockView> locks;  // copies
  std::size_t next_lock = 0;
  std::vector<bool> acls_written;  // by number
  Phase phase = Phase::kHeader;
};

}  // namespace zkfs::tree
