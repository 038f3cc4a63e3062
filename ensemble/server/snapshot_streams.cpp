// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/snapshot_streams.h"

#include "ensemble/base/check.h"
#include "ensemble/base/limits.h"
#include "ensemble/base/log.h"

namespace zkfs::server {
namespace {

// Znodes visited in one turn: some hundred microseconds.
constexpr std::size_t kNodesPerTurn = 2'000;

}  // namespace

using storage::SnapshotOrigin;

SnapshotStreams::SnapshotStreams(SubmitOp submit, PeerPort& peers, Sent sent)
    : submit_(std::move(submit)), peers_(peers), sent_(std::move(sent)) {}

void SnapshotStreams::begin_own(tree::DataTree& tree) {
  ZKFS_CHECK(!own_under_way(), "a snapshot while another is being written");
  own_ = tree.begin_snapshot();
  submit_(storage::SnapshotBeginOp{SnapshotOrigin::kOwn, own_->zxid()});
  ZKFS_LOG_INFO(server, "snapshot begun zxid={} znodes={}", own_->zxid(), tree.node_count());
}

void SnapshotStreams::begin_outgoing(ServerId learner, std::uint64_t tag, tree::DataTree& tree) {
  Outgoing outgoing{tag, tree.begin_snapshot()};
  const Zxid zxid = outgoing.cursor->zxid();
  ZKFS_LOG_INFO(server, "sending a snapshot to server {} zxid={} znodes={}", learner, zxid,
                tree.node_count());
  peers_.send(learner, zab::Snap{tag, zxid});
  outgoing_[learner] = std::move(outgoing);
}

void SnapshotStreams::drop_outgoing() {
  outgoing_.clear();
}

void SnapshotStreams::begin_incoming(Zxid zxid) {
  ZKFS_LOG_INFO(server, "receiving a snapshot zxid={}", zxid);
  incoming_ = std::make_unique<tree::SnapshotLoader>();
  submit_(storage::SnapshotBeginOp{SnapshotOrigin::kReceived, zxid});
}

void SnapshotStreams::incoming_chunk(const Blob& bytes) {
  ZKFS_CHECK(incoming_ != nullptr, "a chunk of no snapshot");
  const auto added = incoming_->add(bytes.view());
  ZKFS_CHECK(added.has_value(), "a snapshot from the leader cannot be read: {}",
             added.error().text);
  submit_(storage::SnapshotChunkOp{SnapshotOrigin::kReceived, bytes});
}

std::unique_ptr<tree::DataTree> SnapshotStreams::finish_incoming() {
  ZKFS_CHECK(incoming_ != nullptr, "the end of no snapshot");
  auto tree = incoming_->finish();
  ZKFS_CHECK(tree.has_value(), "a snapshot from the leader does not verify: {}", tree.error().text);
  incoming_.reset();
  return std::move(*tree);
}

void SnapshotStreams::abandon_incoming() {
  incoming_.reset();
  submit_(storage::SnapshotAbandonOp{SnapshotOrigin::kReceived});
}

void SnapshotStreams::drop_cursors() {
  outgoing_.clear();
  if (own_ == nullptr) return;
  own_.reset();
  submit_(storage::SnapshotAbandonOp{SnapshotOrigin::kOwn});
}

bool SnapshotStreams::pump() {
  bool more = own_ != nullptr && pump_own();
  for (auto it = outgoing_.begin(); it != outgoing_.end();) {
    bool finished = false;
    more = pump_outgoing(it->first, it->second, finished) || more;
    it = finished ? outgoing_.erase(it) : std::next(it);
  }
  return more;
}

bool SnapshotStreams::pump_own() {
  if (own_bytes_ >= limits::kSnapshotWindowBytes) return false;
  auto chunk = own_->next(limits::kSnapshotChunkBytes, kNodesPerTurn);
  if (chunk) {
    const std::size_t bytes = chunk->size();
    own_bytes_ += bytes;
    own_in_flight_.emplace_back(
        submit_(storage::SnapshotChunkOp{SnapshotOrigin::kOwn, std::move(*chunk)}), bytes);
    return true;
  }
  own_.reset();
  own_in_flight_.emplace_back(submit_(storage::SnapshotFinishOp{SnapshotOrigin::kOwn}), 0);
  return false;
}

bool SnapshotStreams::pump_outgoing(ServerId learner, Outgoing& outgoing, bool& finished) {
  if (peers_.queued_bytes(learner) >= limits::kSnapshotWindowBytes) return false;
  auto chunk = outgoing.cursor->next(limits::kSnapshotChunkBytes, kNodesPerTurn);
  if (chunk) {
    peers_.send(learner, zab::SnapChunk{outgoing.tag, std::move(*chunk), false});
    return true;
  }
  peers_.send(learner, zab::SnapChunk{outgoing.tag, {}, true});
  sent_(learner, outgoing.tag, outgoing.cursor->zxid());
  finished = true;
  return true;
}

void SnapshotStreams::disk_done(std::uint64_t token) {
  while (!own_in_flight_.empty() && own_in_flight_.front().first <= token) {
    own_bytes_ -= own_in_flight_.front().second;
    own_in_flight_.pop_front();
    if (own_in_flight_.empty() && own_ == nullptr) ZKFS_LOG_INFO(server, "snapshot ended");
  }
}

}  // namespace zkfs::server
