// SPDX-License-Identifier: Apache-2.0
#include "ensemble/zab/leader.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "ensemble/base/check.h"
#include "ensemble/base/limits.h"
#include "ensemble/base/log.h"

namespace zkfs::zab {

Leader::Leader(Context& context, Instant now)
    : context_(context),
      highest_promise_(std::max(context.accepted_epoch, context.promise_heard)),
      ping_at_(now),
      deadline_(now + context.config.discovery_timeout) {
  infos_.insert(context_.config.self);
  maybe_choose_epoch();
}

void Leader::end(std::string reason) {
  if (!ended_) ended_ = std::move(reason);
}

Leader::Learner* Leader::find(ServerId from, std::uint64_t tag, Instant now) {
  const auto it = learners_.find(from);
  if (it == learners_.end() || it->second.tag != tag) return nullptr;
  it->second.heard = now;
  return &it->second;
}

// --- discovery ---

void Leader::follower_info(ServerId from, const FollowerInfo& m, Instant now) {
  if (find(from, m.tag, now) != nullptr) return;  // repeated
  Learner& learner = learners_[from];
  learner = Learner{};
  learner.tag = m.tag;
  learner.observer = m.observer || !context_.quorum.is_voter(from);
  learner.heard = now;
  context_.promise_heard = std::max(context_.promise_heard, m.accepted_epoch);
  if (phase_ == Phase::kDiscovery) {
    // An observer's promise raises the epoch as well, but does not count (9.5 step 2).
    highest_promise_ = std::max(highest_promise_, m.accepted_epoch);
    if (!learner.observer) infos_.insert(from);
    maybe_choose_epoch();
  } else if (m.accepted_epoch > epoch_) {
    // It can never follow this epoch. A new election gives an epoch above its promise.
    end(fmt::format("server {} has promised epoch {}, above {}", from, m.accepted_epoch, epoch_));
  } else if (phase_ != Phase::kSavingAccepted) {
    send_leader_info(from, learner);
  }
}

void Leader::maybe_choose_epoch() {
  if (phase_ != Phase::kDiscovery || !context_.quorum.contained_in(infos_)) return;
  epoch_ = Epoch{highest_promise_.value + 1};
  phase_ = Phase::kSavingAccepted;
  // Durable before anybody hears of it: a later incarnation must not propose it again.
  context_.save_accepted_epoch(epoch_);
}

void Leader::accepted_epoch_saved() {
  if (phase_ != Phase::kSavingAccepted) return;
  phase_ = Phase::kPromising;
  promises_.insert(context_.config.self);
  for (auto& [id, learner] : learners_) send_leader_info(id, learner);
  maybe_adopt();
}

void Leader::send_leader_info(ServerId id, Learner& learner) {
  if (learner.phase != Learner::Phase::kInfo) return;
  learner.phase = Learner::Phase::kPromised;
  context_.send(id, LeaderInfo{learner.tag, epoch_});
}

void Leader::ack_epoch(ServerId from, const AckEpoch& m, Instant now) {
  Learner* learner = find(from, m.tag, now);
  if (learner == nullptr || learner->phase != Learner::Phase::kPromised) return;
  learner->state = m;
  learner->phase = Learner::Phase::kWaiting;
  if (phase_ == Phase::kPromising && m.fresh && !learner->observer) {
    const Vote theirs{m.current_epoch, m.last_logged, ServerId{0}};
    const Vote ours{context_.current_epoch, context_.history.last(), ServerId{0}};
    if (theirs > ours) {
      end(fmt::format("server {} has seen more: epoch {} zxid {} against epoch {} zxid {}", from,
                      m.current_epoch, m.last_logged, ours.epoch, ours.zxid));
      return;
    }
    promises_.insert(from);
    maybe_adopt();
  }
  synchronise(from, *learner);
}

void Leader::maybe_adopt() {
  if (phase_ != Phase::kPromising || !context_.quorum.contained_in(promises_)) return;
  phase_ = Phase::kAdopting;
  initial_last_ = context_.history.last();
  // The disk works in order: when this is durable, so is all of the initial history.
  context_.save_current_epoch(epoch_);
}

void Leader::current_epoch_saved() {
  if (phase_ != Phase::kAdopting) return;
  phase_ = Phase::kSyncing;
  deadline_ = Instant::max();
  durable_ = initial_last_;
  adopted_.insert(context_.config.self);
  synchronise_waiting();
  maybe_activate();
}

// --- synchronisation ---

void Leader::synchronise(ServerId id, Learner& learner) {
  if (learner.phase != Learner::Phase::kWaiting) return;
  if (phase_ != Phase::kSyncing && phase_ != Phase::kActive) return;
  // An observer may hold only what is committed, and before activation that is not known.
  if (learner.observer && phase_ != Phase::kActive) return;
  const History& history = context_.history;
  const AckEpoch& state = learner.state;
  // 1. Too far behind for the log in memory, or its log is of no use: a whole tree.
  if (state.want_snapshot || state.last_logged < history.base()) {
    // The tree sent is the applied one; it must not take the learner back.
    if (history.committed() < state.applied) return;  // again once active
    learner.phase = Learner::Phase::kSnapshot;
    learner.snapshot = history.committed();
    context_.emit(SnapshotWantedEffect{id, learner.tag});
    return;
  }
  // 2. Its log is a prefix of ours: what is missing.
  if (history.contains(state.last_logged)) {
    context_.send(id, Diff{learner.tag, state.last_logged});
    begin_catching_up(learner, state.last_logged);
    return;
  }
  // 3. It holds something that ours does not: cut it there. Sound across epochs as well: entries of
  // an epoch exist only after that epoch was established, so its initial history, which both logs
  // hold below that epoch's entries, is the same in both. The learner checks that it has `last`.
  const Zxid last = history.greatest_at_most(state.last_logged);
  if (last < state.applied) {
    ZKFS_LOG_ERROR(zab,
                   "server {} claims committed txns up to {} that this leader lacks (ours {}); "
                   "it is refused: is its data directory from another ensemble?",
                   id, state.applied, last);
    learners_.erase(id);
    return;
  }
  context_.send(id, Trunc{learner.tag, last});
  begin_catching_up(learner, last);
}

void Leader::snapshot_sent(ServerId id, std::uint64_t tag, Zxid zxid) {
  const auto it = learners_.find(id);
  if (it == learners_.end() || it->second.tag != tag) return;
  if (it->second.phase != Learner::Phase::kSnapshot) return;
  begin_catching_up(it->second, zxid);
}

void Leader::begin_catching_up(Learner& learner, Zxid from) {
  learner.phase = Learner::Phase::kCatchingUp;
  learner.sent = from;
}

// As much at once as the link has room for: what was written while a snapshot travelled may be more
// than a link may hold (limits::kPeerQueueBytesMax), and a link that is cut for that begins again
// with a snapshot, for ever.
void Leader::catch_up(ServerId id, Learner& learner, std::size_t room) {
  if (!send_entries(id, learner, room)) return;
  learner.phase = Learner::Phase::kSyncing;
  learner.at_new_leader = learner.sent;
  learner.up_to_date_at = context_.history.last();
  context_.send(id, NewLeader{learner.tag, epoch_});
}

bool Leader::send_entries(ServerId id, Learner& learner, std::size_t room) {
  const Zxid limit = learner.observer ? context_.history.committed() : context_.history.last();
  while (learner.sent < limit) {
    if (room == 0) return false;
    auto entries = context_.history.after(
        learner.sent, limit, std::min<std::size_t>(room, limits::kProposalBatchBytesMax));
    for (const Entry& entry : entries) room -= std::min<std::size_t>(room, entry.bytes.size());
    learner.sent = entries.back().zxid;
    if (learner.observer) {
      context_.send(id, Inform{learner.tag, std::move(entries)});
    } else {
      context_.send(id, Proposal{learner.tag, std::move(entries)});
    }
  }
  return true;
}

void Leader::ack_new_leader(ServerId from, const AckNewLeader& m, Instant now) {
  Learner* learner = find(from, m.tag, now);
  if (learner == nullptr || learner->phase != Learner::Phase::kSyncing || m.epoch != epoch_) return;
  learner->phase = Learner::Phase::kInStep;
  // NEWLEADER came after these in the stream, and its ack after they were durable.
  learner->acked = std::max(learner->acked, learner->at_new_leader);
  if (!learner->observer) adopted_.insert(from);
  maybe_activate();
  maybe_commit();
}

void Leader::maybe_activate() {
  if (phase_ != Phase::kSyncing || !context_.quorum.contained_in(adopted_)) return;
  phase_ = Phase::kActive;
  // The initial history is what a quorum has adopted: all of it is committed by that.
  // Delivered before the role is announced: whoever serves from then on has seen it.
  context_.commit(initial_last_);
  context_.emit(RoleEffect{
      PeerState::kLeading, context_.config.self, epoch_, true,
      fmt::format("{} of {} voters in step", adopted_.size(), context_.quorum.voters().size())});
  synchronise_waiting();
}

void Leader::synchronise_waiting() {
  // A learner may be refused, which removes it.
  std::vector<ServerId> waiting;
  for (const auto& [id, learner] : learners_) {
    if (learner.phase == Learner::Phase::kWaiting) waiting.push_back(id);
  }
  for (const ServerId id : waiting) synchronise(id, learners_.at(id));
}

void Leader::send_up_to_date(ServerId id, Learner& learner) {
  const Zxid committed = std::min(context_.history.committed(), learner.sent);
  if (learner.up_to_date || !active() || committed < learner.up_to_date_at) return;
  learner.up_to_date = true;
  learner.commit_sent = committed;
  context_.send(id, UpToDate{learner.tag, committed});
}

// --- broadcast ---

std::optional<Zxid> Leader::next_zxid() {
  ZKFS_CHECK(active(), "a proposal of a leader that is not active");
  if (counter_ >= context_.config.counter_max) {
    end(fmt::format("epoch {} has used all its zxids", epoch_));
    return std::nullopt;
  }
  return Zxid{epoch_, counter_ + 1};
}

Zxid Leader::propose(Blob bytes) {
  const auto zxid = next_zxid();
  ZKFS_CHECK(zxid.has_value(), "a proposal beyond the last counter of epoch {}", epoch_);
  ++counter_;
  ++outstanding_;
  context_.history.append(Entry{*zxid, std::move(bytes)});
  return *zxid;
}

void Leader::ack(ServerId from, const Ack& m, Instant now) {
  Learner* learner = find(from, m.tag, now);
  if (learner == nullptr || learner->phase != Learner::Phase::kInStep || learner->observer) return;
  if (m.zxid > learner->sent) {
    ZKFS_LOG_ERROR(zab, "server {} acknowledges {} but was sent {}; it is dropped", from, m.zxid,
                   learner->sent);
    learners_.erase(from);
    return;
  }
  learner->acked = std::max(learner->acked, m.zxid);
  maybe_commit();
}

void Leader::append_durable(Zxid zxid) {
  // Of the initial history nothing counts before current_epoch_saved().
  if (phase_ != Phase::kSyncing && phase_ != Phase::kActive) return;
  durable_ = std::max(durable_, zxid);
  maybe_commit();
}

void Leader::maybe_commit() {
  if (!active()) return;
  std::vector<Zxid> reached{durable_};
  for (const auto& [id, learner] : learners_) {
    if (learner.phase == Learner::Phase::kInStep && !learner.observer) {
      reached.push_back(learner.acked);
    }
  }
  const Zxid committed = context_.quorum.majority_reached(std::move(reached));
  if (committed <= context_.history.committed()) return;
  // Older epochs' entries were committed at activation, so this is one of our own.
  ZKFS_CHECK(committed.epoch() == epoch_, "commit of {} in epoch {}", committed, epoch_);
  context_.commit(committed);
  outstanding_ = counter_ - committed.counter();
}

void Leader::forward(ServerId from, const Forward& m, Instant now) {
  const Learner* learner = find(from, m.tag, now);
  if (learner == nullptr || !active() || !learner->up_to_date) return;
  context_.emit(ForwardedEffect{from, m.tag, m.bytes});
}

// --- liveness, and the quorum's confirmation of it ---

void Leader::pong(ServerId from, const Pong& m, Instant now) {
  Learner* learner = find(from, m.tag, now);
  if (learner == nullptr) return;
  learner->pong_round = std::max(learner->pong_round, m.round);
  if (m.round == ping_round_) learner->round_trip = now - pinged_;
  answer_syncs();
}

void Leader::request_sync(std::uint64_t id) {
  ZKFS_CHECK(active(), "sync at a leader that is not active");
  syncs_.push_back({context_.config.self, 0, id, ping_round_ + 1, context_.history.committed()});
  ping_now_ = true;
}

void Leader::sync_request(ServerId from, const SyncRequest& m, Instant now) {
  if (find(from, m.tag, now) == nullptr || !active()) return;
  syncs_.push_back({from, m.tag, m.id, ping_round_ + 1, context_.history.committed()});
  ping_now_ = true;
}

std::set<ServerId> Leader::ponged(std::uint64_t round) const {
  std::set<ServerId> result{context_.config.self};
  for (const auto& [id, learner] : learners_) {
    if (!learner.observer && learner.pong_round >= round) result.insert(id);
  }
  return result;
}

void Leader::answer_syncs() {
  std::size_t answered = 0;
  for (const auto& sync : syncs_) {
    if (!context_.quorum.contained_in(ponged(sync.round))) break;
    ++answered;
    if (sync.from == context_.config.self) {
      context_.emit(SyncedEffect{sync.id, sync.committed});
    } else if (const auto it = learners_.find(sync.from);
               it != learners_.end() && it->second.tag == sync.tag) {
      context_.send(sync.from, SyncReply{sync.tag, sync.id, sync.committed});
    }
  }
  syncs_.erase(syncs_.begin(), syncs_.begin() + static_cast<std::ptrdiff_t>(answered));
}

// Pings wait behind what synchronises it: megabytes, on a slow link seconds (initLimit, as in
// ZooKeeper; whether it is there is the link's affair meanwhile).
bool Leader::is_synchronised(const Learner& learner) const {
  return learner.phase == Learner::Phase::kSnapshot ||
         learner.phase == Learner::Phase::kCatchingUp || learner.phase == Learner::Phase::kSyncing;
}

bool Leader::quorum_heard(Instant now) const {
  std::set<ServerId> heard{context_.config.self};
  for (const auto& [id, learner] : learners_) {
    const Millis limit = phase_ == Phase::kSyncing && is_synchronised(learner)
                             ? context_.config.sync_timeout
                             : context_.config.heartbeat_timeout;
    if (!learner.observer && now - learner.heard <= limit) {
      heard.insert(id);
    }
  }
  return context_.quorum.contained_in(heard);
}

void Leader::peer_down(ServerId peer) {
  learners_.erase(peer);
  infos_.erase(peer);
  if (phase_ == Phase::kDiscovery) return;
  std::set<ServerId> linked{context_.config.self};
  for (const auto& [id, learner] : learners_) linked.insert(id);
  if (!context_.quorum.contained_in(linked)) {
    end(fmt::format("lost the link to server {}, and with it the quorum", peer));
  }
}

// Some voter has yet to answer LEADERINFO: its disk may be slow. It gives up by itself in the end.
bool Leader::promise_owed() const {
  return std::any_of(learners_.begin(), learners_.end(), [](const auto& item) {
    return !item.second.observer && item.second.phase == Learner::Phase::kPromised;
  });
}

void Leader::tick(Instant now) {
  if (phase_ == Phase::kDiscovery) {
    if (now >= deadline_) end("no quorum of followers came");
  } else if (!quorum_heard(now)) {
    end(fmt::format("no quorum heard for {} ms", context_.config.heartbeat_timeout.count()));
  } else if (phase_ == Phase::kPromising && now >= deadline_ && !promise_owed()) {
    end("no quorum promised in time");
  }
  if (phase_ != Phase::kSavingAccepted && phase_ != Phase::kAdopting) {
    disk_awaited_since_.reset();
  } else if (!disk_awaited_since_) {
    disk_awaited_since_ = now;
  } else if (now - *disk_awaited_since_ > context_.config.sync_timeout) {
    // Those that wait for this leader may be a quorum without it.
    context_.disk_hangs = true;
    end("this server's disk does not answer");
  }
  // A learner that is silent for long is dropped; when it wakes it will begin again.
  std::erase_if(learners_, [&](const auto& item) {
    const Learner& learner = item.second;
    return now - learner.heard > (is_synchronised(learner) ? context_.config.sync_timeout
                                                           : context_.config.heartbeat_timeout * 4);
  });
}

void Leader::flush(Instant now, const LinkRoom& room) {
  drop_hindmost();
  for (auto& [id, learner] : learners_) {
    if (learner.phase == Learner::Phase::kCatchingUp) catch_up(id, learner, room(id));
    if (learner.phase != Learner::Phase::kSyncing && learner.phase != Learner::Phase::kInStep) {
      continue;
    }
    send_entries(id, learner, std::numeric_limits<std::size_t>::max());
    if (learner.phase == Learner::Phase::kInStep) send_up_to_date(id, learner);
    const Zxid committed = std::min(context_.history.committed(), learner.sent);
    // Inform is proposal and commit in one.
    if (learner.up_to_date && committed > learner.commit_sent) {
      learner.commit_sent = committed;
      if (!learner.observer) context_.send(id, Commit{learner.tag, committed});
    }
  }
  context_.flush_appends();
  if (ping_now_ || now >= ping_at_) {
    ping_now_ = false;
    ping_at_ = now + context_.config.heartbeat_interval;
    pinged_ = now;
    ++ping_round_;
    for (const auto& [id, learner] : learners_) {
      context_.send(id, Ping{learner.tag, ping_round_, context_.history.committed()});
    }
    answer_syncs();  // an ensemble of one has nobody to wait for
  }
}

bool Leader::converses(ServerId learner, std::uint64_t tag) const {
  const auto it = learners_.find(learner);
  return it != learners_.end() && it->second.tag == tag;
}

std::size_t Leader::in_step() const {
  return static_cast<std::size_t>(
      std::count_if(learners_.begin(), learners_.end(),
                    [](const auto& item) { return item.second.phase == Learner::Phase::kInStep; }));
}

std::vector<LearnerStatus> Leader::learners() const {
  std::vector<LearnerStatus> all;
  for (const auto& [id, learner] : learners_) {
    all.push_back({.id = id,
                   .observer = learner.observer,
                   .in_step = learner.phase == Learner::Phase::kInStep,
                   .acked = learner.acked,
                   .round_trip = learner.round_trip});
  }
  return all;
}

Zxid Leader::keep_after(const Learner& learner) const {
  switch (learner.phase) {
    case Learner::Phase::kSnapshot:
      return learner.snapshot;
    case Learner::Phase::kCatchingUp:
    case Learner::Phase::kSyncing:
    case Learner::Phase::kInStep:
      return learner.sent;
    default:
      return Zxid{~std::uint64_t{0}};
  }
}

Zxid Leader::keep_after() const {
  Zxid result = context_.history.committed();
  for (const auto& [id, learner] : learners_) result = std::min(result, keep_after(learner));
  return result;
}

// Written faster than its link takes it, what a learner has missed would grow for ever.
void Leader::drop_hindmost() {
  if (context_.history.bytes() <= context_.config.history_held_bytes_max) return;
  const Zxid hindmost = keep_after();
  if (hindmost == context_.history.committed()) return;
  std::erase_if(learners_, [&](const auto& item) {
    const bool drop = keep_after(item.second) == hindmost;
    if (drop) {
      ZKFS_LOG_WARN(zab, "server {} is brought up slower than is written, and must begin again",
                    item.first);
    }
    return drop;
  });
}

}  // namespace zkfs::zab
