// SPDX-License-Identifier: Apache-2.0
#include "ensemble/storage/storage_port.h"

#include <span>
#include <vector>

#include "ensemble/base/check.h"

namespace zkfs::storage {
namespace {

struct Execute {
  Store& store;

  Expected<void> operator()(const AppendOp& op) const {
    return store.append(op.entries, op.committed);
  }

  Expected<void> operator()(const TruncateOp& op) const { return store.truncate_after(op.last); }

  Expected<void> operator()(const SaveAcceptedEpochOp& op) const {
    return store.save_accepted_epoch(op.epoch);
  }

  Expected<void> operator()(const SaveCurrentEpochOp& op) const {
    return store.save_current_epoch(op.epoch);
  }

  Expected<void> operator()(const SnapshotBeginOp& op) const {
    return store.snapshot_begin(op.origin, op.zxid);
  }

  Expected<void> operator()(const SnapshotChunkOp& op) const {
    return store.snapshot_chunk(op.origin, op.chunk.view());
  }

  Expected<void> operator()(const SnapshotFinishOp& op) const {
    return store.snapshot_finish(op.origin);
  }

  Expected<void> operator()(const SnapshotAbandonOp& op) const {
    store.snapshot_abandon(op.origin);
    return {};
  }

  Expected<void> operator()(const PurgeOp&) const { return store.purge(); }
};

}  // namespace

Expected<void> execute(Store& store, const StorageOp& op) {
  return std::visit(Execute{store}, op);
}

Expected<void> execute_appends(Store& store, std::span<const AppendOp* const> ops) {
  ZKFS_CHECK(!ops.empty(), "a run of no appends");
  if (ops.size() == 1) return store.append(ops[0]->entries, ops[0]->committed);
  std::size_t count = 0;
  for (const AppendOp* op : ops) count += op->entries.size();
  std::vector<Entry> entries;
  entries.reserve(count);
  for (const AppendOp* op : ops)
    entries.insert(entries.end(), op->entries.begin(), op->entries.end());
  return store.append(entries, ops.back()->committed);
}

}  // namespace zkfs::storage
