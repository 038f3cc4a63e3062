// SPDX-License-Identifier: Apache-2.0
// Effect: what the machine wants done, in order. The machine itself touches nothing. Sends that
// rest on durability are issued only after the disk reported it, so whoever carries effects out
// owes no ordering beyond: storage effects in order among themselves, sends to one peer in order,
// deliveries in order.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "ensemble/base/entry.h"
#include "ensemble/zab/message.h"

namespace zkfs::zab {

struct SendEffect {
  ServerId to;
  Message message;
};

// --- storage: `op` comes back through Zab::disk_done ---

struct AppendEffect {
  std::uint64_t op = 0;
  std::vector<Entry> entries;
  Zxid committed;  // the mark to record with them
};

struct TruncateEffect {
  std::uint64_t op = 0;
  Zxid last;
};

struct SaveAcceptedEpochEffect {
  std::uint64_t op = 0;
  Epoch epoch;
};

struct SaveCurrentEpochEffect {
  std::uint64_t op = 0;
  Epoch epoch;
};

// A learner receives a whole tree: begin, chunks, then install (verify, make durable, replace tree
// and log), or abandon.
struct SnapshotBeginEffect {
  Zxid zxid;
};

struct SnapshotChunkEffect {
  Blob bytes;
};

struct SnapshotInstallEffect {
  std::uint64_t op = 0;
  Zxid zxid;
};

struct SnapshotAbandonEffect {};

// --- upwards ---

// Committed entries, each exactly once, in order, directly after those delivered before.
struct DeliverEffect {
  std::vector<Entry> entries;
};

// The member's part changed. `active`: it takes part in a quorum from here on (a leader that may
// propose, a learner that is in step).
struct RoleEffect {
  PeerState state = PeerState::kLooking;
  ServerId leader;
  Epoch epoch;
  bool active = false;
  std::string reason;
};

// A leader is to stream its applied tree to `learner` as SnapChunks of `tag`, having sent Snap with
// its position, and to call Zab::snapshot_sent at the end.
struct SnapshotWantedEffect {
  ServerId learner;
  std::uint64_t tag = 0;
};

// An active leader received what a learner's server forwarded. Whoever acts on it later than at
// once must ask Zab::converses(from, tag) again: the learner may have begun anew, and will then
// send again.
struct ForwardedEffect {
  ServerId from;
  std::uint64_t tag = 0;
  Blob bytes;
};

// Zab::request_sync(id) came to this: done when the tree has reached `zxid`.
struct SyncedEffect {
  std::uint64_t id = 0;
  Zxid zxid;
};

using Effect = std::variant<SendEffect,
                            AppendEffect,
                            TruncateEffect,
                            SaveAcceptedEpochEffect,
                            SaveCurrentEpochEffect,
                            SnapshotBeginEffect,
                            SnapshotChunkEffect,
                            SnapshotInstallEffect,
                            SnapshotAbandonEffect,
                            DeliverEffect,
                            RoleEffect,
                            SnapshotWantedEffect,
                            ForwardedEffect,
                            SyncedEffect>;

}  // namespace zkfs::zab
