// SPDX-License-Identifier: Apache-2.0
#include "ensemble/zab/learner.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "ensemble/base/check.h"
#include "ensemble/base/log.h"

namespace zkfs::zab {

Learner::Learner(Context& context, ServerId leader, std::uint64_t tag, Instant now)
    : context_(context),
      leader_(leader),
      tag_(tag),
      heard_(now),
      deadline_(now + context.config.discovery_timeout) {
  send_info(now);
}

void Learner::end(std::string reason) {
  if (!ended_) ended_ = std::move(reason);
}

void Learner::close() {
  if (phase_ == Phase::kReceiving) context_.emit(SnapshotAbandonEffect{});
}

void Learner::message(ServerId from, const Message& message, Instant now) {
  if (from != leader_ || ended_) return;
  std::visit(
      [&](const auto& m) {
        using M = std::decay_t<decltype(m)>;
        if constexpr (!std::is_same_v<M, Notification>) {
          if (m.tag != tag_) return;
          heard_ = now;
          answered_ = true;
          on(m, now);
        }
      },
      message);
}

// --- discovery ---

void Learner::send_info(Instant now) {
  context_.send(leader_, FollowerInfo{tag_, context_.accepted_epoch, context_.observer()});
  info_at_ = now + context_.config.notification_interval_min;
}

void Learner::on(const LeaderInfo& m, Instant now) {
  if (phase_ != Phase::kConnecting) return;
  if (m.new_epoch < context_.accepted_epoch) {
    end(fmt::format("server {} leads epoch {}, below the promised {}", leader_, m.new_epoch,
                    context_.accepted_epoch));
    return;
  }
  epoch_ = m.new_epoch;
  deadline_ = now + context_.config.sync_timeout;
  fresh_ = m.new_epoch > context_.accepted_epoch;
  if (fresh_) {
    phase_ = Phase::kPromising;
    context_.save_accepted_epoch(epoch_);
  } else {
    // Promised before, perhaps to another leader of the same number: the promise does not count.
    send_ack_epoch();
  }
}

void Learner::accepted_epoch_saved() {
  if (phase_ == Phase::kPromising) send_ack_epoch();
}

void Learner::send_ack_epoch() {
  phase_ = Phase::kAwaiting;
  context_.send(leader_, AckEpoch{tag_, context_.current_epoch, context_.history.last(),
                                  context_.history.committed(), fresh_, context_.want_snapshot});
}

// --- synchronisation ---

void Learner::on(const Diff& m, Instant /*now*/) {
  if (phase_ != Phase::kAwaiting) return;
  // Only an announcement: nothing moves before the entries are here (ZOOKEEPER-2355).
  if (m.from != context_.history.last()) {
    end(fmt::format("DIFF from {} but the log ends at {}", m.from, context_.history.last()));
    return;
  }
  phase_ = Phase::kSyncing;
}

void Learner::on(const Trunc& m, Instant /*now*/) {
  if (phase_ != Phase::kAwaiting) return;
  const History& history = context_.history;
  if (m.last < history.committed()) {
    end(fmt::format("TRUNC to {} would undo txns committed up to {}", m.last, history.committed()));
    return;
  }
  if (!history.contains(m.last)) {
    // When in doubt, a snapshot (ZOOKEEPER-2846, 4352).
    context_.want_snapshot = true;
    end(fmt::format("TRUNC to {} which this log does not hold", m.last));
    return;
  }
  ZKFS_LOG_INFO(zab, "truncating the log after zxid={} (was {})", m.last, history.last());
  context_.truncate_after(m.last);
  phase_ = Phase::kSyncing;
}

void Learner::on(const Snap& m, Instant /*now*/) {
  if (phase_ != Phase::kAwaiting) return;
  if (m.zxid < context_.history.committed()) {
    end(fmt::format("SNAP as of {} would undo txns committed up to {}", m.zxid,
                    context_.history.committed()));
    return;
  }
  phase_ = Phase::kReceiving;
  snapshot_zxid_ = m.zxid;
  context_.emit(SnapshotBeginEffect{m.zxid});
}

void Learner::on(const SnapChunk& m, Instant now) {
  if (phase_ != Phase::kReceiving) return;
  deadline_ = now + context_.config.sync_timeout;  // it moves
  if (!m.last) {
    context_.emit(SnapshotChunkEffect{m.bytes});
    return;
  }
  phase_ = Phase::kSyncing;
  context_.want_snapshot = false;
  context_.install_snapshot(snapshot_zxid_);
}

bool Learner::log_entries(const std::vector<Entry>& entries) {
  for (const auto& entry : entries) {
    if (!context_.history.accepts(entry.zxid)) {
      end(fmt::format("proposal {} does not follow {}", entry.zxid, context_.history.last()));
      return false;
    }
    context_.history.append(entry);
  }
  return true;
}

void Learner::on(const Proposal& m, Instant now) {
  if (phase_ < Phase::kSyncing || context_.observer()) return;
  if (phase_ == Phase::kSyncing) deadline_ = now + context_.config.sync_timeout;
  log_entries(m.entries);
}

void Learner::on(const Inform& m, Instant now) {
  if (phase_ < Phase::kSyncing || !context_.observer()) return;
  if (phase_ == Phase::kSyncing) deadline_ = now + context_.config.sync_timeout;
  if (!log_entries(m.entries) || m.entries.empty()) return;
  if (active()) context_.commit(m.entries.back().zxid);
}

void Learner::on(const NewLeader& m, Instant /*now*/) {
  if (phase_ != Phase::kSyncing) return;
  if (m.epoch != epoch_) {
    end(fmt::format("NEWLEADER of epoch {} in a conversation about {}", m.epoch, epoch_));
    return;
  }
  phase_ = Phase::kAdopting;
  context_.save_current_epoch(epoch_);
}

void Learner::current_epoch_saved() {
  if (phase_ != Phase::kAdopting) return;
  phase_ = Phase::kAcked;
  acked_ = durable_;
  context_.send(leader_, AckNewLeader{tag_, epoch_});
}

void Learner::on(const UpToDate& m, Instant /*now*/) {
  if (phase_ != Phase::kAcked) return;
  if (!context_.history.contains(m.committed)) {
    end(fmt::format("UPTODATE at {} which this log does not hold", m.committed));
    return;
  }
  phase_ = Phase::kActive;
  // A later joiner compares votes by leader and epoch: the facade refreshes ours from here on.
  const auto state = context_.observer() ? PeerState::kObserving : PeerState::kFollowing;
  // Delivered before the role is announced: what was in flight and decided is recognised first.
  context_.commit(m.committed);
  context_.emit(RoleEffect{state, leader_, epoch_, true, "up to date"});
}

// --- broadcast ---

void Learner::on(const Commit& m, Instant /*now*/) {
  if (!active()) return;
  if (!context_.history.contains(m.committed)) {
    end(fmt::format("COMMIT of {} which this log does not hold", m.committed));
    return;
  }
  context_.commit(m.committed);
}

void Learner::append_durable(Zxid zxid) {
  durable_ = std::max(durable_, zxid);
  acknowledge();
}

void Learner::acknowledge() {
  if (phase_ < Phase::kAcked || context_.observer() || durable_ <= acked_) return;
  acked_ = durable_;
  context_.send(leader_, Ack{tag_, durable_});
}

void Learner::on(const Ping& m, Instant now) {
  // It leads, and its disk or its quorum takes a while.
  if (phase_ == Phase::kConnecting) deadline_ = now + context_.config.discovery_timeout;
  context_.send(leader_, Pong{tag_, m.round});
}

void Learner::on(const SyncReply& m, Instant /*now*/) {
  context_.emit(SyncedEffect{m.id, m.committed});
}

void Learner::forward(Blob bytes) {
  ZKFS_CHECK(active(), "forward by a learner that is not active");
  context_.send(leader_, Forward{tag_, std::move(bytes)});
}

void Learner::request_sync(std::uint64_t id) {
  ZKFS_CHECK(active(), "sync by a learner that is not active");
  context_.send(leader_, SyncRequest{tag_, id});
}

void Learner::peer_down(ServerId peer) {
  if (peer == leader_) end(fmt::format("lost the link to leader {}", leader_));
}

void Learner::leader_looks() {
  // What a leader says arrives in order, so its leadership ended after it had begun. Without an
  // answer so far, it may only not know yet that it leads.
  if (answered_) end(fmt::format("leader {} looks again", leader_));
}

void Learner::paused(Instant now) {
  heard_ = std::max(heard_, now - context_.config.heartbeat_timeout / 2);
}

void Learner::tick(Instant now) {
  if (phase_ == Phase::kConnecting) {
    if (now >= deadline_) {
      end(fmt::format("server {} does not lead", leader_));
    } else if (now >= info_at_) {
      send_info(now);
    }
    return;
  }
  // One message may take longer than heartbeats on a slow link, and pings wait behind many.
  const bool receives = phase_ == Phase::kReceiving || phase_ == Phase::kSyncing;
  const Millis patience =
      receives ? context_.config.sync_timeout : context_.config.heartbeat_timeout;
  if (now - heard_ > patience) {
    end(fmt::format("leader {} silent for {} ms", leader_, patience.count()));
  } else if (!active() && now >= deadline_) {
    end(fmt::format("not in step with leader {} in time", leader_));
  }
}

void Learner::flush() {
  context_.flush_appends();
}

}  // namespace zkfs::zab
