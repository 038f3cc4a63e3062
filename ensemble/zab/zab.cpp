// SPDX-License-Identifier: Apache-2.0
#include "ensemble/zab/zab.h"

#include <utility>

#include "ensemble/base/check.h"
#include "ensemble/base/log.h"
#include "ensemble/zab/to_text.h"

namespace zkfs::zab {

Zab::Zab(Config config, Epoch accepted, Epoch current, History history, std::uint64_t seed)
    : context_(std::move(config), accepted, current, std::move(history), seed),
      role_(std::in_place_type<Election>, context_, Instant{}),
      next_tag_(context_.random.next() | 1U) {
  ZKFS_CHECK(current <= accepted, "currentEpoch {} above acceptedEpoch {}", current, accepted);
  context_.handed_to_disk = context_.history.last();
  context_.effects.clear();  // of the placeholder role; start() begins the real one
  context_.round = 0;
}

void Zab::start(Instant now) {
  last_tick_ = now;
  look("started", now);
  check_role(now);
}

// --- roles ---

void Zab::look(std::string reason, Instant now) {
  if (auto* learner = std::get_if<Learner>(&role_)) learner->close();
  // What this role appended is this role's, not the next one's.
  context_.flush_appends();
  ++context_.role;
  early_infos_.clear();
  ZKFS_LOG_INFO(zab, "looking: {} (epoch={} zxid={} committed={})", reason, context_.current_epoch,
                context_.history.last(), context_.history.committed());
  context_.emit(RoleEffect{PeerState::kLooking, ServerId{}, context_.current_epoch, false,
                           std::move(reason)});
  role_.emplace<Election>(context_, now);
}

void Zab::settle(Instant now) {
  const auto& election = std::get<Election>(role_);
  const ServerId leader = *election.decided();
  settled_vote_ = election.vote();
  settled_vote_.leader = leader;
  ++context_.role;
  const auto early = std::move(early_infos_);
  early_infos_.clear();
  if (leader == context_.config.self) {
    ZKFS_LOG_INFO(zab, "elected: leading, round={} vote={}", context_.round, settled_vote_.zxid);
    context_.emit(
        RoleEffect{PeerState::kLeading, leader, context_.current_epoch, false, "elected"});
    auto& role = role_.emplace<Leader>(context_, now);
    for (const auto& [from, info] : early) role.follower_info(from, info, now);
  } else {
    const auto state = context_.observer() ? PeerState::kObserving : PeerState::kFollowing;
    ZKFS_LOG_INFO(zab, "{} server {}, round={}", to_string(state), leader, context_.round);
    context_.emit(RoleEffect{state, leader, context_.current_epoch, false, "decided"});
    role_.emplace<Learner>(context_, leader, next_tag_++, now);
  }
  // Whoever still looks learns of it at once.
  context_.broadcast(own_notification());
}

void Zab::check_role(Instant now) {
  // Each transition begins a role that may at once be over (an ensemble of one decides alone).
  for (;;) {
    if (const auto* election = std::get_if<Election>(&role_)) {
      if (!election->decided()) return;
      settle(now);
    } else if (const auto* leader = std::get_if<Leader>(&role_)) {
      if (!leader->ended()) return;
      look(fmt::format("leadership ended: {}", *leader->ended()), now);
    } else {
      const auto& learner = std::get<Learner>(role_);
      if (!learner.ended()) return;
      look(fmt::format("left the leader: {}", *learner.ended()), now);
    }
  }
}

Notification Zab::own_notification() const {
  if (const auto* election = std::get_if<Election>(&role_)) return election->own_notification();
  Vote vote = settled_vote_;
  // After synchronisation all report the epoch they share, or late joiners would see votes that
  // differ and never join (ZOOKEEPER-1732, 1818).
  if (active()) vote.epoch = context_.current_epoch;
  return Notification{state(), vote, context_.round};
}

// --- inputs ---

void Zab::message(ServerId from, const Message& message, Instant now) {
  if (!context_.connected(from)) return;
  if (log::enabled(log::Level::kDebug)) {
    ZKFS_LOG_DEBUG(zab, "from {}: {}", from, to_text(message));
  }
  if (const auto* n = std::get_if<Notification>(&message)) {
    on_notification(from, *n, now);
  } else if (auto* leader = std::get_if<Leader>(&role_)) {
    to_leader(*leader, from, message, now);
  } else if (auto* learner = std::get_if<Learner>(&role_)) {
    learner->message(from, message, now);
  } else if (const auto* info = std::get_if<FollowerInfo>(&message)) {
    early_infos_[from] = *info;
  }
  check_role(now);
}

void Zab::on_notification(ServerId from, const Notification& n, Instant now) {
  if (auto* election = std::get_if<Election>(&role_)) {
    if (n.state == PeerState::kLooking) early_infos_.erase(from);
    election->notification(from, n, now);
  } else if (n.state == PeerState::kLooking) {
    if (auto* learner = std::get_if<Learner>(&role_); learner != nullptr && from == leader()) {
      learner->leader_looks();
      if (learner->ended()) {
        check_role(now);
        return on_notification(from, n, now);  // a vote of the election that begins
      }
    }
    // Rule 9: answer whoever looks.
    context_.send(from, own_notification());
  }
}

void Zab::to_leader(Leader& leader, ServerId from, const Message& message, Instant now) {
  if (const auto* m = std::get_if<FollowerInfo>(&message))
    return leader.follower_info(from, *m, now);
  if (const auto* m = std::get_if<AckEpoch>(&message)) return leader.ack_epoch(from, *m, now);
  if (const auto* m = std::get_if<AckNewLeader>(&message))
    return leader.ack_new_leader(from, *m, now);
  if (const auto* m = std::get_if<Ack>(&message)) return leader.ack(from, *m, now);
  if (const auto* m = std::get_if<Pong>(&message)) return leader.pong(from, *m, now);
  if (const auto* m = std::get_if<Forward>(&message)) return leader.forward(from, *m, now);
  if (const auto* m = std::get_if<SyncRequest>(&message)) return leader.sync_request(from, *m, now);
}

void Zab::peer_up(ServerId peer, Instant now) {
  if (context_.connected(peer)) peer_down(peer, now);
  context_.links.insert(peer);
  if (auto* election = std::get_if<Election>(&role_)) election->peer_up(peer, now);
  check_role(now);
}

void Zab::peer_down(ServerId peer, Instant now) {
  context_.links.erase(peer);
  early_infos_.erase(peer);
  std::visit(
      [&](auto& role) {
        if constexpr (std::is_same_v<std::decay_t<decltype(role)>, Election>) {
          role.peer_down(peer, now);
        } else {
          role.peer_down(peer);
        }
      },
      role_);
  check_role(now);
}

void Zab::tick(Instant now) {
  const bool was_paused = now - last_tick_ > context_.config.heartbeat_timeout / 2;
  last_tick_ = now;
  if (auto* learner = std::get_if<Learner>(&role_); learner != nullptr && was_paused) {
    learner->paused(now);
  }
  std::visit([now](auto& role) { role.tick(now); }, role_);
  check_role(now);
}

void Zab::disk_done(std::uint64_t op, Instant now) {
  while (!context_.pending.empty() && context_.pending.front().op <= op) {
    const PendingOp done = context_.pending.front();
    context_.pending.pop_front();
    if (done.role == context_.role) op_done(done);
  }
  if (context_.pending.empty()) context_.disk_hangs = false;
  check_role(now);
}

void Zab::op_done(const PendingOp& op) {
  std::visit(
      [&](auto& role) {
        if constexpr (!std::is_same_v<std::decay_t<decltype(role)>, Election>) {
          switch (op.kind) {
            case PendingOp::Kind::kAppend:
              return role.append_durable(op.zxid);
            case PendingOp::Kind::kAcceptedEpoch:
              return role.accepted_epoch_saved();
            case PendingOp::Kind::kCurrentEpoch:
              return role.current_epoch_saved();
            case PendingOp::Kind::kTruncate:
            case PendingOp::Kind::kInstall:
              return;
          }
        }
      },
      role_);
}

// --- from the server above ---

bool Zab::leading() const {
  const auto* leader = std::get_if<Leader>(&role_);
  return leader != nullptr && leader->active();
}

bool Zab::active() const {
  const auto* learner = std::get_if<Learner>(&role_);
  return leading() || (learner != nullptr && learner->active());
}

std::optional<Zxid> Zab::next_zxid(Instant now) {
  const auto zxid = std::get<Leader>(role_).next_zxid();
  if (!zxid) check_role(now);
  return zxid;
}

Zxid Zab::propose(Blob bytes) {
  return std::get<Leader>(role_).propose(std::move(bytes));
}

void Zab::forward(Blob bytes) {
  std::get<Learner>(role_).forward(std::move(bytes));
}

void Zab::request_sync(std::uint64_t id) {
  if (auto* leader = std::get_if<Leader>(&role_)) {
    leader->request_sync(id);
  } else {
    std::get<Learner>(role_).request_sync(id);
  }
}

bool Zab::converses(ServerId learner, std::uint64_t tag) const {
  const auto* leader = std::get_if<Leader>(&role_);
  return leader != nullptr && leader->converses(learner, tag);
}

void Zab::snapshot_sent(ServerId learner, std::uint64_t tag, Zxid zxid) {
  if (auto* leader = std::get_if<Leader>(&role_)) leader->snapshot_sent(learner, tag, zxid);
}

std::vector<Effect> Zab::flush(Instant now, const LinkRoom& room) {
  Zxid keep_after = context_.history.committed();
  if (auto* leader = std::get_if<Leader>(&role_)) {
    leader->flush(now, room);
    keep_after = leader->keep_after();
  } else if (auto* learner = std::get_if<Learner>(&role_)) {
    learner->flush();
  }
  context_.flush_appends();
  context_.history.trim(std::min(keep_after, context_.handed_to_disk),
                        context_.config.history_entries_max, context_.config.history_bytes_max);
  return std::exchange(context_.effects, {});
}

PeerState Zab::state() const {
  if (std::holds_alternative<Leader>(role_)) return PeerState::kLeading;
  if (std::holds_alternative<Election>(role_)) return PeerState::kLooking;
  return context_.observer() ? PeerState::kObserving : PeerState::kFollowing;
}

ServerId Zab::leader() const {
  if (std::holds_alternative<Leader>(role_)) return context_.config.self;
  if (const auto* learner = std::get_if<Learner>(&role_)) return learner->leader();
  return ServerId{};
}

std::size_t Zab::learners_in_step() const {
  const auto* leader = std::get_if<Leader>(&role_);
  return leader == nullptr ? 0 : leader->in_step();
}

std::vector<LearnerStatus> Zab::learners() const {
  const auto* leader = std::get_if<Leader>(&role_);
  return leader == nullptr ? std::vector<LearnerStatus>{} : leader->learners();
}

std::size_t Zab::outstanding() const {
  const auto* leader = std::get_if<Leader>(&role_);
  return leader == nullptr ? 0 : leader->outstanding();
}

}  // namespace zkfs::zab
