// SPDX-License-Identifier: Apache-2.0
// Leader: the LEADING role, from the decision of the election to the loss of a quorum.
//
//   discovery  collect FOLLOWERINFO until a quorum (self included); new epoch: highest promise + 1
//   promising  acceptedEpoch durable here, LEADERINFO out, collect ACKEPOCH until a quorum; whoever
//              has seen more than this member ends this leadership (it would lose committed txns)
//   adopting   currentEpoch becoming durable here
//   syncing    bring each learner in step (DIFF, TRUNC, SNAP), NEWLEADER, collect acks of a quorum
//   active     all of the initial history is committed; propose, ack, commit
//
// A learner's position in the log is one number, `sent`: whatever lies after it is sent, in
// batches, whether that is synchronisation or broadcast. So a learner cannot miss what was proposed
// while it was being synchronised (ZOOKEEPER-1319, TLA+ issues 1-3), and NEWLEADER cannot overtake
// it (ZOOKEEPER-3104).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ensemble/base/clock.h"
#include "ensemble/zab/context.h"

namespace zkfs::zab {

// What a leader knows of a learner, for status.
struct LearnerStatus {
  ServerId id;
  bool observer = false;
  bool in_step = false;               // up to date with this leader; else on its way
  Zxid acked;                         // durable there; 0: nothing heard of; observers do not tell
  std::optional<Instant> round_trip;  // of the last heartbeat that came back
};

class Leader {
 public:
  Leader(Context& context, Instant now);

  // --- from learners; all but the first ignore a tag that is not the learner's present one ---
  void follower_info(ServerId from, const FollowerInfo& m, Instant now);
  void ack_epoch(ServerId from, const AckEpoch& m, Instant now);
  void ack_new_leader(ServerId from, const AckNewLeader& m, Instant now);
  void ack(ServerId from, const Ack& m, Instant now);
  void pong(ServerId from, const Pong& m, Instant now);
  void forward(ServerId from, const Forward& m, Instant now);
  void sync_request(ServerId from, const SyncRequest& m, Instant now);
  void peer_down(ServerId peer);

  // --- from the disk ---
  void accepted_epoch_saved();
  void current_epoch_saved();
  void append_durable(Zxid zxid);

  // --- from the server above ---
  [[nodiscard]] bool active() const { return phase_ == Phase::kActive; }

  // The position the next proposal will have; empty if this epoch has no more (ZOOKEEPER-1277), in
  // which case the leadership ends. Requires: active().
  std::optional<Zxid> next_zxid();
  // Requires: active(), next_zxid() not empty.
  Zxid propose(Blob bytes);
  // Answered with a SyncedEffect once a quorum has confirmed this leadership. Requires: active().
  void request_sync(std::uint64_t id);
  // The snapshot wanted for (learner, tag) has been sent whole, as of `zxid`.
  void snapshot_sent(ServerId learner, std::uint64_t tag, Zxid zxid);

  void tick(Instant now);
  // Sends what has gathered: entries and commits to learners, entries to the disk, due pings.
  void flush(Instant now, const LinkRoom& room);

  // Set when this leadership must end, with the reason.
  [[nodiscard]] const std::optional<std::string>& ended() const { return ended_; }

  [[nodiscard]] Epoch epoch() const { return epoch_; }

  // True while `tag` is the conversation with `learner`.
  [[nodiscard]] bool converses(ServerId learner, std::uint64_t tag) const;

  // Learners that are in step, for status.
  [[nodiscard]] std::size_t in_step() const;
  // In the order of ids.
  [[nodiscard]] std::vector<LearnerStatus> learners() const;

  [[nodiscard]] std::size_t outstanding() const { return outstanding_; }

  // History up to here may be needed by a learner whose snapshot is under way.
  [[nodiscard]] Zxid keep_after() const;

 private:
  enum class Phase : std::uint8_t {
    kDiscovery,
    kSavingAccepted,
    kPromising,
    kAdopting,
    kSyncing,
    kActive
  };

  struct Learner {
    enum class Phase : std::uint8_t {
      kInfo,        // FOLLOWERINFO came
      kPromised,    // LEADERINFO sent
      kWaiting,     // ACKEPOCH came; cannot be synchronised yet
      kSnapshot,    // a snapshot is being streamed to it
      kCatchingUp,  // it is sent what comes after its log or its snapshot
      kSyncing,     // NEWLEADER sent
      kInStep,      // it acknowledged NEWLEADER
    };
    std::uint64_t tag = 0;
    bool observer = false;
    Phase phase = Phase::kInfo;
    AckEpoch state;
    Zxid sent;           // entries up to here were sent
    Zxid snapshot;       // kSnapshot: history after this is kept
    Zxid acked;          // durable there
    Zxid at_new_leader;  // `sent` when NEWLEADER was sent
    // UPTODATE waits until this is committed: the end of the log when NEWLEADER was sent. Requests
    // that the learner forwarded in an earlier conversation with this very leader lie no later, so
    // it recognises them before it sends again what is still waiting.
    Zxid up_to_date_at;
    bool up_to_date = false;
    Zxid commit_sent;
    Instant heard{};
    std::uint64_t pong_round = 0;
    std::optional<Instant> round_trip;  // for status only
  };

  struct PendingSync {
    ServerId from;  // this member itself, or a learner
    std::uint64_t tag = 0;
    std::uint64_t id = 0;
    std::uint64_t round = 0;
    Zxid committed;
  };

  Learner* find(ServerId from, std::uint64_t tag, Instant now);
  void end(std::string reason);
  void maybe_choose_epoch();
  [[nodiscard]] bool promise_owed() const;
  void maybe_adopt();
  void send_leader_info(ServerId id, Learner& learner);
  void synchronise(ServerId id, Learner& learner);
  void synchronise_waiting();
  static void begin_catching_up(Learner& learner, Zxid from);
  void catch_up(ServerId id, Learner& learner, std::size_t room);
  // True if that is all there is; at most about `room` bytes are sent.
  bool send_entries(ServerId id, Learner& learner, std::size_t room);
  void maybe_activate();
  void send_up_to_date(ServerId id, Learner& learner);
  void maybe_commit();
  void answer_syncs();
  [[nodiscard]] bool quorum_heard(Instant now) const;
  [[nodiscard]] bool is_synchronised(const Learner& learner) const;
  // History up to here is not needed by the learner.
  [[nodiscard]] Zxid keep_after(const Learner& learner) const;
  void drop_hindmost();
  [[nodiscard]] std::set<ServerId> ponged(std::uint64_t round) const;

  Context& context_;
  Phase phase_ = Phase::kDiscovery;
  Epoch epoch_;
  std::map<ServerId, Learner> learners_;
  std::set<ServerId> infos_;     // voters whose FOLLOWERINFO counts
  std::set<ServerId> promises_;  // voters that promised this epoch afresh
  std::set<ServerId> adopted_;   // voters that acknowledged NEWLEADER
  Epoch highest_promise_;
  Zxid initial_last_;            // end of the initial history
  std::uint32_t counter_ = 0;    // of the last proposal
  Zxid durable_;                 // here
  std::size_t outstanding_ = 0;  // proposals without a commit
  std::uint64_t ping_round_ = 0;
  bool ping_now_ = false;
  Instant ping_at_{};
  Instant pinged_{};  // when ping_round_ began
  Instant deadline_{};
  std::optional<Instant> disk_awaited_since_;  // kSavingAccepted, kAdopting
  std::vector<PendingSync> syncs_;
  std::optional<std::string> ended_;
};

}  // namespace zkfs::zab
