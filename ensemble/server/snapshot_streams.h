// SPDX-License-Identifier: Apache-2.0
// SnapshotStreams: snapshots on their way: this server's own to its disk, the leader's tree to
// learners, and a leader's tree arriving here. Each is cut into chunks, a few per turn, paced by
// what its sink has taken, so that neither the event loop nor memory feels a large tree.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "ensemble/base/ids.h"
#include "ensemble/server/member.h"
#include "ensemble/storage/storage_port.h"
#include "ensemble/tree/snapshot_codec.h"

namespace zkfs::server {

class SnapshotStreams {
 public:
  // Submits a storage operation and returns its token.
  using SubmitOp = std::function<std::uint64_t(storage::StorageOp)>;
  // A snapshot has been sent whole to a learner, as of a zxid.
  using Sent = std::function<void(ServerId learner, std::uint64_t tag, Zxid zxid)>;

  SnapshotStreams(SubmitOp submit, PeerPort& peers, Sent sent);

  // --- this server's own ---
  void begin_own(tree::DataTree& tree);

  [[nodiscard]] bool own_under_way() const { return own_ != nullptr || !own_in_flight_.empty(); }

  // --- to learners ---
  void begin_outgoing(ServerId learner, std::uint64_t tag, tree::DataTree& tree);
  void drop_outgoing();

  // --- from the leader ---
  void begin_incoming(Zxid zxid);
  void incoming_chunk(const Blob& bytes);
  // The tree, verified. A stream that does not verify is a broken invariant (it came over TCP,
  // checksummed at its source): aborts.
  std::unique_ptr<tree::DataTree> finish_incoming();
  void abandon_incoming();

  // The tree that cursors read is about to be replaced: own and outgoing snapshots are dropped.
  void drop_cursors();

  // Moves each stream on by at most a chunk. True if there is more to do at once.
  bool pump();
  void disk_done(std::uint64_t token);

 private:
  struct Outgoing {
    std::uint64_t tag = 0;
    std::unique_ptr<tree::SnapshotCursor> cursor;
  };

  bool pump_own();
  bool pump_outgoing(ServerId learner, Outgoing& outgoing, bool& finished);

  SubmitOp submit_;
  PeerPort& peers_;
  Sent sent_;
  std::unique_ptr<tree::SnapshotCursor> own_;
  std::deque<std::pair<std::uint64_t, std::size_t>> own_in_flight_;  // token, bytes
  std::size_t own_bytes_ = 0;
  std::map<ServerId, Outgoing> outgoing_;
  std::unique_ptr<tree::SnapshotLoader> incoming_;
};

}  // namespace zkfs::server
