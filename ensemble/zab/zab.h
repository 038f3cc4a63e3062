// SPDX-License-Identifier: Apache-2.0
// Zab: the whole protocol machine of one member: which role it plays, and the common face of the
// roles. Pure: no socket, disk, clock or thread. Inputs are messages, link changes, time, and
// completions of its storage operations; outputs are the Effects that flush() returns.
//
//            decided: self                     quorum lost, zxids used up
//   LOOKING ---------------> LEADING  ------------------------------------> LOOKING
//      \---- decided: other -> FOLLOWING / OBSERVING -- leader lost ----------^
//
// The simulator (tests/sim) and the daemon drive this very class.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "ensemble/base/clock.h"
#include "ensemble/zab/config.h"
#include "ensemble/zab/context.h"
#include "ensemble/zab/effect.h"
#include "ensemble/zab/election.h"
#include "ensemble/zab/leader.h"
#include "ensemble/zab/learner.h"

namespace zkfs::zab {

class Zab {
 public:
  // The epochs and the history are those found on the disk; history.committed() is what the server
  // above has applied. `seed` must differ between incarnations (tags are made from it).
  Zab(Config config, Epoch accepted, Epoch current, History history, std::uint64_t seed);
  // Its roles refer to what they share.
  Zab(const Zab&) = delete;
  Zab& operator=(const Zab&) = delete;

  // --- inputs ---
  void start(Instant now);
  void message(ServerId from, const Message& message, Instant now);
  // A new link; whatever was said over an earlier one is void.
  void peer_up(ServerId peer, Instant now);
  void peer_down(ServerId peer, Instant now);
  void tick(Instant now);
  // Storage operations up to `op` are durable.
  void disk_done(std::uint64_t op, Instant now);

  // --- from the server above ---
  // True for a leader that may propose.
  [[nodiscard]] bool leading() const;
  // True while it takes part in a quorum.
  [[nodiscard]] bool active() const;
  // See Leader. Requires: leading(). next_zxid() empty: the leadership has ended.
  std::optional<Zxid> next_zxid(Instant now);
  Zxid propose(Blob bytes);
  // To the leader's server. Requires: active(), not leading().
  void forward(Blob bytes);
  // Requires: active().
  void request_sync(std::uint64_t id);
  // True while this member leads and `tag` is its conversation with `learner`.
  [[nodiscard]] bool converses(ServerId learner, std::uint64_t tag) const;
  void snapshot_sent(ServerId learner, std::uint64_t tag, Zxid zxid);

  // Gathers what the turn came to and returns all effects since the last flush, in order. `room`
  // paces only what brings a learner up; when there was none, the next flush goes on.
  std::vector<Effect> flush(Instant now, const LinkRoom& room);

  [[nodiscard]] PeerState state() const;
  // 0 while LOOKING.
  [[nodiscard]] ServerId leader() const;

  [[nodiscard]] Epoch current_epoch() const { return context_.current_epoch; }

  [[nodiscard]] Epoch accepted_epoch() const { return context_.accepted_epoch; }

  [[nodiscard]] const History& history() const { return context_.history; }

  [[nodiscard]] std::size_t learners_in_step() const;
  // Of a leader; empty otherwise.
  [[nodiscard]] std::vector<LearnerStatus> learners() const;
  [[nodiscard]] std::size_t outstanding() const;

 private:
  void look(std::string reason, Instant now);
  void settle(Instant now);
  void check_role(Instant now);
  [[nodiscard]] Notification own_notification() const;
  void on_notification(ServerId from, const Notification& n, Instant now);
  void to_leader(Leader& leader, ServerId from, const Message& message, Instant now);
  void op_done(const PendingOp& op);

  Context context_;
  std::variant<Election, Leader, Learner> role_;
  // FOLLOWERINFOs that came before this member knew that it leads.
  std::map<ServerId, FollowerInfo> early_infos_;
  // What this member tells others while it is settled: refreshed when the epoch is adopted.
  Vote settled_vote_;
  std::uint64_t next_tag_;
  Instant last_tick_{};
};

}  // namespace zkfs::zab
