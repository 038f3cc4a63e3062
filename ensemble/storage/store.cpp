// SPDX-License-Identifier: Apache-2.0
#include "ensemble/storage/store.h"

#include <fmt/core.h>

#include "ensemble/base/check.h"
#include "ensemble/storage/data_dir.h"
#include "ensemble/storage/epoch_store.h"
#include "ensemble/storage/snapshot_store.h"
#include "ensemble/storage/txn_log.h"

namespace zkfs::storage {

struct Store::State {
  State(Disk& d, const StoreOptions& o, const EpochStore& e)
      : disk(d), options(o), epochs(e), snapshots(d), log(d, o.segment_bytes) {}

  Expected<void> recover();
  [[nodiscard]] Expected<void> check_damaged_snapshots() const;
  Expected<void> finish_snapshot(SnapshotOrigin origin);
  Expected<void> purge();

  // Runs one change. After a failure what is on the disk is unknown, so the first one is the answer
  // to all that come after it.
  template <typename Change>
  Expected<void> change(Change&& what) {
    if (failure) return std::unexpected(*failure);
    auto done = std::forward<Change>(what)();
    if (!done) failure = done.error();
    return done;
  }

  Disk& disk;
  StoreOptions options;
  EpochStore epochs;
  SnapshotStore snapshots;
  TxnLog log;
  Recovered recovered;
  std::optional<Problem> failure;
};

Store::Store(std::unique_ptr<State> state) : state_(std::move(state)) {}

Store::~Store() = default;

Expected<std::unique_ptr<Store>> Store::open(Disk& disk, const StoreOptions& options) {
  ZKFS_TRY(prepare_data_dir(disk));
  std::vector<std::string> remarks;
  ZKFS_TRY(remove_temporaries(disk, remarks));
  const auto epochs = EpochStore::open(disk);
  if (!epochs) return std::unexpected(epochs.error());
  auto state = std::make_unique<State>(disk, options, *epochs);
  state->recovered.remarks = std::move(remarks);
  ZKFS_TRY(state->recover());
  return std::unique_ptr<Store>(new Store(std::move(state)));
}

Expected<void> Store::State::recover() {
  recovered.accepted_epoch = epochs.accepted();
  recovered.current_epoch = epochs.current();
  ZKFS_TRY(snapshots.open(recovered.remarks));
  LogBase base;
  if (const SnapshotStore::Snapshot* newest = snapshots.newest()) {
    base = {newest->header.generation, newest->header.zxid};
    recovered.has_snapshot = true;
    recovered.snapshot_zxid = newest->header.zxid;
  }
  auto found = log.open(base, recovered.remarks);
  if (!found) return std::unexpected(std::move(found).error());
  ZKFS_TRY(check_damaged_snapshots());
  recovered.entries = std::move(found->entries);
  recovered.committed = found->committed;
  // Names may so far be in the page cache only, as in TxnLog::open.
  return sync_data_dir(disk);
}

// A snapshot had its name only once it was durable, so an invalid one is damage; it does no harm if
// the log holds all that it held.
Expected<void> Store::State::check_damaged_snapshots() const {
  const SnapshotStore::Snapshot* base = snapshots.newest();
  const std::uint64_t generation = base == nullptr ? 0 : base->header.generation;
  for (const SnapshotStore::Snapshot& snapshot : snapshots.all()) {
    if (snapshot.state != SnapshotStore::Snapshot::State::kInvalid) continue;
    if (snapshot.header.generation <= generation && snapshot.header.zxid <= log.last()) continue;
    return std::unexpected(Problem{
        fmt::format("{}: is damaged, and the log, which ends with {}, does not make up for it; "
                    "restore the file, or move the data directory away so "
                    "that this member starts empty and is synchronised by the others",
                    disk.describe(data_path(snapshot_name(snapshot.header.zxid))), log.last())});
  }
  return {};
}

Recovered& Store::recovered() {
  return state_->recovered;
}

Expected<void> Store::read_snapshot(const std::function<Expected<void>(ByteView)>& chunk) {
  const SnapshotStore::Snapshot* newest = state_->snapshots.newest();
  ZKFS_CHECK(newest != nullptr, "read_snapshot without a snapshot");
  return state_->snapshots.read(newest->header.zxid, chunk);
}

Expected<void> Store::append(std::span<const Entry> entries, Zxid committed) {
  return state_->change([&] { return state_->log.append(entries, committed); });
}

Expected<void> Store::truncate_after(Zxid last) {
  return state_->change([&] { return state_->log.truncate_after(last); });
}

Expected<void> Store::save_accepted_epoch(Epoch epoch) {
  return state_->change([&] { return state_->epochs.save_accepted(epoch); });
}

Expected<void> Store::save_current_epoch(Epoch epoch) {
  return state_->change([&] { return state_->epochs.save_current(epoch); });
}

Expected<void> Store::snapshot_begin(SnapshotOrigin origin, Zxid zxid) {
  return state_->change([&] {
    const SnapshotStore::Snapshot* newest = state_->snapshots.newest();
    const std::uint64_t generation = newest == nullptr ? 0 : newest->header.generation;
    const bool replaces = origin == SnapshotOrigin::kReceived;
    return state_->snapshots.begin(origin, {replaces ? generation + 1 : generation, zxid});
  });
}

Expected<void> Store::snapshot_chunk(SnapshotOrigin origin, ByteView chunk) {
  return state_->change([&] { return state_->snapshots.chunk(origin, chunk); });
}

Expected<void> Store::snapshot_finish(SnapshotOrigin origin) {
  return state_->change([&] { return state_->finish_snapshot(origin); });
}

Expected<void> Store::State::finish_snapshot(SnapshotOrigin origin) {
  const auto zxid = snapshots.under_way(origin);
  if (origin == SnapshotOrigin::kReceived) {
    ZKFS_CHECK(zxid.has_value(), "no received snapshot is under way");
  } else if (zxid) {
    // A state is taken of what was logged; the beginning of an epoch is never logged.
    ZKFS_CHECK(*zxid <= log.last() || zxid->counter() == 0,
               "snapshot of {} beyond the log's last {}", *zxid, log.last());
  }
  const auto done = snapshots.finish(origin);
  if (!done) return std::unexpected(done.error());
  if (!*done) return {};
  const SnapshotHeader& header = **done;
  if (origin == SnapshotOrigin::kOwn) {
    log.raise_committed(header.zxid);
    return {};
  }
  // From here on the new generation is in force whatever happens. A state of the replaced history
  // must not become a snapshot of it.
  snapshots.abandon(SnapshotOrigin::kOwn);
  ZKFS_TRY(log.restart_after({header.generation, header.zxid}));
  return snapshots.remove_lower_generations();
}

void Store::snapshot_abandon(SnapshotOrigin origin) {
  state_->snapshots.abandon(origin);
}

Expected<void> Store::purge() {
  return state_->change([&] { return state_->purge(); });
}

// Snapshots first: then each one that is there has the log that it needs.
Expected<void> Store::State::purge() {
  const auto oldest = snapshots.purge(options.snapshots_retained);
  if (!oldest) return std::unexpected(oldest.error());
  return *oldest ? log.purge_before(**oldest) : Expected<void>{};
}

Zxid Store::last_logged() const {
  return state_->log.last();
}

std::uint64_t Store::disk_bytes() const {
  return state_->log.bytes() + state_->snapshots.bytes();
}

}  // namespace zkfs::storage
