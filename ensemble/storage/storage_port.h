// SPDX-License-Identifier: Apache-2.0
// StoragePort: the asynchronous face of a Store, which the member uses. Operations are carried out
// strictly in the order of submission, each durable before the next one begins (consecutive appends
// are merged into one), and completed in that order through the function given at construction.
// That order is what "data first, epoch second, acknowledgement third" (ZOOKEEPER-4643, 4785) rests
// on.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "ensemble/base/entry.h"
#include "ensemble/base/ids.h"
#include "ensemble/storage/store.h"

namespace zkfs::storage {

struct AppendOp {
  std::vector<Entry> entries;
  Zxid committed;
};

struct TruncateOp {
  Zxid last;
};

struct SaveAcceptedEpochOp {
  Epoch epoch;
};

struct SaveCurrentEpochOp {
  Epoch epoch;
};

struct SnapshotBeginOp {
  SnapshotOrigin origin;
  Zxid zxid;
};

struct SnapshotChunkOp {
  SnapshotOrigin origin;
  Blob chunk;
};

struct SnapshotFinishOp {
  SnapshotOrigin origin;
};

struct SnapshotAbandonOp {
  SnapshotOrigin origin;
};

struct PurgeOp {};

using StorageOp = std::variant<AppendOp,
                               TruncateOp,
                               SaveAcceptedEpochOp,
                               SaveCurrentEpochOp,
                               SnapshotBeginOp,
                               SnapshotChunkOp,
                               SnapshotFinishOp,
                               SnapshotAbandonOp,
                               PurgeOp>;

class StoragePort {
 public:
  virtual ~StoragePort() = default;
  // Queues `op`. `token` comes back when it is durable; tokens rise.
  virtual void submit(std::uint64_t token, StorageOp op) = 0;
};

// Carries out one operation (not merged). Shared by DiskThread and the simulator.
Expected<void> execute(Store& store, const StorageOp& op);

// Carries out a run of AppendOps as one: one write, one sync. Requires: at least one. The mark is
// the last one's.
Expected<void> execute_appends(Store& store, std::span<const AppendOp* const> ops);

}  // namespace zkfs::storage
