// SPDX-License-Identifier: Apache-2.0
// Store: everything durable of one member, over a Disk. Synchronous: when a call returns, its
// effect survives power loss. DiskThread runs it on a thread of its own in production; the
// simulator calls the same code on a simulated disk.
//
// Directory layout (data_dir.h), all under <dataDir>/version-2/:
//   zkfs.lock  acceptedEpoch  currentEpoch  log.<hex zxid of first entry>  snapshot.<hex zxid>
//   *.tmp
//
// Generations. A snapshot received from a leader replaces the log: entries logged before may be
// divergent. Such a snapshot carries generation g+1, and so do log segments begun after it.
// Recovery takes the highest generation of any valid snapshot; segments of a lower one are dead and
// removed. So a crash between "snapshot renamed" and "old log removed" leaves nothing that could be
// mistaken for history.
//
// Commit mark. Each log record carries the highest zxid its writer knew to be committed. Recovery
// may apply entries up to the highest mark; what lies above is the log's tail, offered in
// elections, possibly truncated later, and never shown to anybody before a leader commits it.
//
// Errors: any Problem from append, truncate, save or install is fatal to the member: what is on the
// disk is then unknown. The first one is the answer to every later change.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ensemble/base/entry.h"
#include "ensemble/base/error.h"
#include "ensemble/base/ids.h"
#include "ensemble/storage/disk.h"

namespace zkfs::storage {

struct StoreOptions {
  // A log segment has at most this size, and the next one is begun when it is full (preAllocSize).
  std::uint64_t segment_bytes = 64ULL * 1024 * 1024;
  // Snapshots kept by purge(), with the log they need (autopurge.snapRetainCount).
  std::uint32_t snapshots_retained = 3;
};

// What was found at open.
struct Recovered {
  Epoch accepted_epoch;
  Epoch current_epoch;
  // The newest valid snapshot's position; zxid 0 and `has_snapshot` false if there is none.
  bool has_snapshot = false;
  Zxid snapshot_zxid;
  // All valid entries after snapshot_zxid, contiguous (follows()).
  std::vector<Entry> entries;
  // Entries up to here are known to be committed; at least snapshot_zxid.
  Zxid committed;
  // Things worth a line of log: a torn tail that was cut, a temporary file removed, an invalid
  // snapshot passed over.
  std::vector<std::string> remarks;
};

enum class SnapshotOrigin : std::uint8_t {
  kOwn,       // taken from this member's tree: the log stays
  kReceived,  // from a leader: the log is replaced (generation + 1)
};

class Store {
 public:
  // Locks the directory and recovers. Fails with a line that names file, offset and remedy when:
  // the directory is held by another process; a log record other than a torn tail of the last
  // segment is damaged; segments do not join; no snapshot is valid although the log does not start
  // at the beginning; a damaged snapshot whose entries the log does not hold; an epoch file does
  // not parse; acceptedEpoch < currentEpoch.
  static Expected<std::unique_ptr<Store>> open(Disk& disk, const StoreOptions& options);
  ~Store();

  // Valid until the next call that changes something. `entries` may be moved from.
  Recovered& recovered();

  // Calls `chunk` with each chunk of the newest valid snapshot in order. Fails if it cannot be read
  // any more or `chunk` fails.
  Expected<void> read_snapshot(const std::function<Expected<void>(ByteView)>& chunk);

  // Appends and makes durable with one write and one sync (two more if a segment ends). Requires:
  // entries follow the log's last and each other. `committed` is the mark to record.
  Expected<void> append(std::span<const Entry> entries, Zxid committed);
  // Drops every entry after `last`. Fails with: `last` is neither in the log nor the snapshot's
  // zxid, or lies below what is known to be committed.
  Expected<void> truncate_after(Zxid last);
  Expected<void> save_accepted_epoch(Epoch epoch);
  Expected<void> save_current_epoch(Epoch epoch);

  // Snapshots are written aside: begin, chunks, then finish, which syncs, renames, and syncs the
  // directory. One of each origin may be under way at once; beginning anew abandons the earlier one
  // of that origin. Chunks are synced as they grow so that finish does not stall the log.
  Expected<void> snapshot_begin(SnapshotOrigin origin, Zxid zxid);
  Expected<void> snapshot_chunk(SnapshotOrigin origin, ByteView chunk);
  // kReceived: afterwards the log is empty and continues after `zxid` of begin.
  // An own one that is under way then is dropped: its chunks and its finish do nothing. Likewise
  // after snapshot_abandon(kOwn).
  Expected<void> snapshot_finish(SnapshotOrigin origin);
  void snapshot_abandon(SnapshotOrigin origin);

  // Removes snapshots beyond those retained (invalid ones do not count, ZOOKEEPER-3231) and the
  // segments that no retained one needs.
  Expected<void> purge();

  // The last entry in the log (the snapshot's zxid if the log is empty).
  [[nodiscard]] Zxid last_logged() const;
  // Bytes that log and snapshots take, for status.
  [[nodiscard]] std::uint64_t disk_bytes() const;

 private:
  struct State;
  explicit Store(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace zkfs::storage
