// SPDX-License-Identifier: Apache-2.0
// What a Member is made of, for member.cpp (its doors) and member_state.cpp (what happens behind
// them: effects of the machine, the pipeline, sessions, snapshots) only.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <utility>

#include "ensemble/base/random.h"
#include "ensemble/server/member.h"
#include "ensemble/server/prep.h"
#include "ensemble/server/reaper.h"
#include "ensemble/server/request_table.h"
#include "ensemble/server/session_tracker.h"
#include "ensemble/server/snapshot_streams.h"
#include "ensemble/zab/zab.h"

namespace zkfs::server {

struct Member::State {
  // What a leader has and nobody else: it begins and ends with the leadership.
  struct Leading {
    Leading(const tree::DataTree& tree, const MemberConfig& config, Now now)
        : prep(tree),
          sessions(config.zab.heartbeat_interval),
          reaper({config.reap_interval, config.container_grace}, now) {
      prep.enforce_quota(config.enforce_quota);
      prep.skip_acl(config.skip_acl);
    }

    void count(std::uint64_t bytes) {
      ++proposals.count;
      proposals.last_bytes = bytes;
      proposals.max_bytes = std::max(proposals.max_bytes, bytes);
      if (proposals.min_bytes == 0 || bytes < proposals.min_bytes) proposals.min_bytes = bytes;
    }

    Prep prep;
    SessionTracker sessions;
    std::set<ServerId> low_space;  // voters with little room
    Reaper reaper;
    WallMillis last_time = 0;
    Proposals proposals;
    Instant quota_warnings_at{};  // not told before
  };

  struct PendingSync {
    SyncCompletion done;
    std::optional<Zxid> target;  // known once the leader has answered
  };

  State(MemberConfig config_in,
        std::unique_ptr<tree::DataTree> tree_in,
        const storage::Recovered& recovered,
        storage::StoragePort& storage_in,
        PeerPort& peers_in)
      : config(std::move(config_in)),
        random(config.seed),
        tree(std::move(tree_in)),
        storage(storage_in),
        peers(peers_in),
        zab(config.zab,
            recovered.accepted_epoch,
            recovered.current_epoch,
            zab::History(recovered.snapshot_zxid, recovered.entries, tree->last_applied()),
            random.next()),
        streams([this](storage::StorageOp op) { return submit_op(std::move(op)); },
                peers,
                [this](ServerId learner, std::uint64_t tag, Zxid zxid) {
                  zab.snapshot_sent(learner, tag, zxid);
                }) {
    choose_snapshot_point();
    // What was read back counts: a server that is restarted often must take snapshots, too, or its
    // log grows for ever.
    for (const auto& entry : recovered.entries) {
      bytes_since_snapshot += entry.bytes.size();
      if (entry.zxid <= recovered.committed) ++txns_since_snapshot;
    }
  }

  // --- inputs and outputs ---
  void dirty();
  std::uint64_t submit_op(storage::StorageOp op);
  void submit_zab_op(std::uint64_t op, storage::StorageOp storage_op);
  void flush();
  bool turn();

  // --- effects, one each ---
  void on(zab::SendEffect& e) { peers.send(e.to, std::move(e.message)); }

  void on(zab::AppendEffect& e) {
    for (const auto& entry : e.entries) bytes_since_snapshot += entry.bytes.size();
    submit_zab_op(e.op, storage::AppendOp{std::move(e.entries), e.committed});
  }

  void on(zab::TruncateEffect& e) { submit_zab_op(e.op, storage::TruncateOp{e.last}); }

  void on(zab::SaveAcceptedEpochEffect& e) {
    submit_zab_op(e.op, storage::SaveAcceptedEpochOp{e.epoch});
  }

  void on(zab::SaveCurrentEpochEffect& e) {
    submit_zab_op(e.op, storage::SaveCurrentEpochOp{e.epoch});
  }

  void on(zab::SnapshotBeginEffect& e) { streams.begin_incoming(e.zxid); }

  void on(zab::SnapshotChunkEffect& e) { streams.incoming_chunk(e.bytes); }

  void on(zab::SnapshotInstallEffect& e);

  void on(zab::SnapshotAbandonEffect& /*e*/) { streams.abandon_incoming(); }

  void on(zab::DeliverEffect& e) {
    for (const auto& entry : e.entries) apply(entry);
  }

  void on(zab::RoleEffect& e);

  void on(zab::SnapshotWantedEffect& e) { streams.begin_outgoing(e.learner, e.tag, *tree); }

  void on(zab::ForwardedEffect& e);
  void on(zab::SyncedEffect& e);

  // --- the pipeline ---
  void apply(const Entry& entry);
  void track_sessions(const tree::Txn& txn);
  void propose(const Request& request);
  bool drain_inbox();
  bool send_unsent();
  void answer_syncs();
  void complete_due();
  void maybe_snapshot();
  void choose_snapshot_point();
  void touch_sessions();
  void note_space(ServerId server, bool low);
  void warn_of_quotas();
  void expire_sessions();
  void reap();
  void publish_config();
  SessionId new_session_id();

  MemberConfig config;
  Random random;
  Now now;
  std::unique_ptr<tree::DataTree> tree;
  storage::StoragePort& storage;
  PeerPort& peers;
  zab::Zab zab;
  SnapshotStreams streams;
  std::vector<ChangeSubscriber*> subscribers;
  std::function<void()> wake;
  bool woken = false;
  bool stopped = false;

  std::uint64_t last_token = 0;
  std::deque<std::pair<std::uint64_t, std::uint64_t>> zab_ops;  // storage token, zab's op

  std::optional<Leading> leading;

  // Of a leader: what waits to be decided, in order; `from` 0: its own.
  struct Inbound {
    ServerId from;
    std::uint64_t tag = 0;
    Request request;
  };

  std::deque<Inbound> inbox;
  std::size_t operations_left = 0;  // that this flush may still prepare
  bool active = false;
  std::optional<Instant> quorum_lost_since;

  RequestTable requests;
  std::vector<RequestTable::Due> due;
  std::uint64_t last_ticket = 0;
  std::map<std::uint64_t, PendingSync> syncs;  // by ticket
  std::vector<std::uint64_t> unsent_syncs;
  std::uint64_t last_session = 0;  // the number last given away; 0: none yet
  Instant touch_at{};
  bool low_space = false;
  std::optional<bool> told_low_space;  // to the present leader

  std::uint64_t txns_since_snapshot = 0;
  std::uint64_t bytes_since_snapshot = 0;
  std::uint64_t snapshot_after_txns = 0;
};

}  // namespace zkfs::server
