// SPDX-License-Identifier: Apache-2.0
// Learner: the FOLLOWING and OBSERVING role, from the decision of the election until the leader is
// lost.
//
//   connecting   FOLLOWERINFO out (repeated), waiting for LEADERINFO
//   promising    acceptedEpoch becoming durable
//   awaiting     ACKEPOCH out, waiting for DIFF, TRUNC or SNAP
//   receiving    chunks of a snapshot
//   syncing      proposals up to NEWLEADER
//   adopting     currentEpoch becoming durable, after all that came before it on the disk
//   acked        ACK of NEWLEADER out, waiting for UPTODATE; proposals are logged and acknowledged
//   active       in step: commits are delivered, requests forwarded
//
// Durability (reference/zookeeper.md 9.7): data first, epoch second, acknowledgement third, by the
// order of the disk's queue. Nothing is delivered before the leader said that it is committed, so
// an aborted synchronisation leaves nothing to undo in the tree (ZOOKEEPER-2355, 3642, 5094), and
// no proposal is acknowledged before NEWLEADER is (ZOOKEEPER-4685).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ensemble/base/clock.h"
#include "ensemble/zab/context.h"

namespace zkfs::zab {

class Learner {
 public:
  // `tag` names the conversation: never used before by this member.
  Learner(Context& context, ServerId leader, std::uint64_t tag, Instant now);

  [[nodiscard]] ServerId leader() const { return leader_; }

  [[nodiscard]] bool active() const { return phase_ == Phase::kActive; }

  // Any message of `from`; those of another sender or conversation are dropped.
  void message(ServerId from, const Message& message, Instant now);
  void peer_down(ServerId peer);
  // The leader told that it is LOOKING.
  void leader_looks();

  void accepted_epoch_saved();
  void current_epoch_saved();
  void append_durable(Zxid zxid);

  // Requires: active().
  void forward(Blob bytes);
  void request_sync(std::uint64_t id);

  void tick(Instant now);
  // This process did not run for a while: silence meanwhile is not the leader's.
  void paused(Instant now);
  void flush();

  [[nodiscard]] const std::optional<std::string>& ended() const { return ended_; }

  // Must be called when the role ends: drops a snapshot half received.
  void close();

 private:
  enum class Phase : std::uint8_t {
    kConnecting,
    kPromising,
    kAwaiting,
    kReceiving,
    kSyncing,
    kAdopting,
    kAcked,
    kActive
  };

  void end(std::string reason);
  void send_info(Instant now);
  void send_ack_epoch();
  void on(const LeaderInfo& m, Instant now);
  void on(const Diff& m, Instant now);
  void on(const Trunc& m, Instant now);
  void on(const Snap& m, Instant now);
  void on(const SnapChunk& m, Instant now);
  void on(const Proposal& m, Instant now);
  void on(const Inform& m, Instant now);
  void on(const NewLeader& m, Instant now);
  void on(const UpToDate& m, Instant now);
  void on(const Commit& m, Instant now);
  void on(const Ping& m, Instant now);
  void on(const SyncReply& m, Instant now);

  // Messages that a leader does not send.
  template <typename Other>
  void on(const Other& /*m*/, Instant /*now*/) {}

  bool log_entries(const std::vector<Entry>& entries);
  void acknowledge();

  Context& context_;
  ServerId leader_;
  std::uint64_t tag_;
  Phase phase_ = Phase::kConnecting;
  Epoch epoch_;
  bool fresh_ = false;
  bool answered_ = false;  // the leader has spoken in this conversation
  Zxid snapshot_zxid_;
  Zxid durable_;  // of what came in this conversation
  Zxid acked_;
  Instant heard_;
  Instant info_at_{};
  Instant deadline_;
  std::optional<std::string> ended_;
};

}  // namespace zkfs::zab
