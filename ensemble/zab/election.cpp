// SPDX-License-Identifier: Apache-2.0
#include "ensemble/zab/election.h"

#include <algorithm>
#include <set>

namespace zkfs::zab {

Election::Election(Context& context, Instant now)
    : context_(context), trust_at_(now + context.config.discovery_timeout) {
  begin_round(context_.round + 1, now);
  consider(now);
}

bool Election::electable() const {
  std::set<ServerId> reachable = context_.links;
  reachable.insert(context_.config.self);
  return !context_.observer() && !context_.disk_hangs && context_.quorum.contained_in(reachable);
}

Vote Election::initial_vote() const {
  // Nobody: the least vote there is never wins.
  if (!electable()) return Vote{Epoch{0}, Zxid{0}, ServerId{0}};
  return Vote{context_.current_epoch, context_.history.last(), context_.config.self};
}

void Election::begin_round(std::uint64_t round, Instant now) {
  context_.round = round;
  vote_ = initial_vote();
  ballot_.clear();
  if (!context_.observer()) ballot_[context_.config.self] = vote_;
  finalize_at_.reset();
  announce_interval_ = context_.config.notification_interval_min;
  announce(now);
}

Notification Election::own_notification() const {
  return Notification{PeerState::kLooking, vote_, context_.round};
}

void Election::announce(Instant now) {
  context_.broadcast(own_notification());
  announce_at_ = now + announce_interval_;
}

void Election::notification(ServerId from, const Notification& n, Instant now) {
  // Only voters count, as senders and as candidates (rule 3).
  if (decided_ || !context_.quorum.is_voter(from)) return;
  switch (n.state) {
    case PeerState::kLooking:
      return from_looking(from, n, now);
    case PeerState::kFollowing:
    case PeerState::kLeading:
      return from_settled(from, n);
    case PeerState::kObserving:
      return;
  }
}

void Election::from_looking(ServerId from, const Notification& n, Instant now) {
  settled_.erase(from);
  if (n.vote.leader && !context_.quorum.is_voter(n.vote.leader)) return;
  if (n.round < context_.round) {
    // The sender is behind; our vote brings it into this round.
    context_.send(from, own_notification());
    return;
  }
  bool changed = false;
  if (n.round > context_.round) {
    context_.round = n.round;
    ballot_.clear();
    vote_ = std::max(initial_vote(), n.vote);
    changed = true;
  } else if (n.vote > vote_) {
    vote_ = n.vote;
    changed = true;
  }
  if (changed) {
    finalize_at_.reset();
    if (!context_.observer()) {
      ballot_[context_.config.self] = vote_;
      announce_interval_ = context_.config.notification_interval_min;
      announce(now);
    }
  }
  ballot_[from] = n.vote;
  consider(now);
}

bool Election::leads(ServerId leader) const {
  if (leader == context_.config.self) return false;
  const auto it = settled_.find(leader);
  return it != settled_.end() && it->second.state == PeerState::kLeading &&
         context_.connected(leader);
}

void Election::from_settled(ServerId from, const Notification& n) {
  ballot_.erase(from);
  settled_[from] = n;
  std::set<ServerId> supporters;
  for (const auto& [id, said] : settled_) {
    if (said.vote.leader == n.vote.leader && said.vote.epoch == n.vote.epoch) supporters.insert(id);
  }
  const ServerId leader = n.vote.leader;
  if (leads(leader)) {
    auto with_self = supporters;
    with_self.insert(context_.config.self);
    if (context_.quorum.contained_in(with_self)) return join(n);
  }
  // Rule 7a: in the same round the settled voters' ballots count beside the LOOKING ones'. This
  // lets the last of three join a leader that waits for its quorum (two have decided, one was
  // slow).
  if (n.round != context_.round || context_.observer()) return;
  for (const auto& [id, vote] : ballot_) {
    if (vote.leader == leader) supporters.insert(id);
  }
  if (!context_.quorum.contained_in(supporters)) return;
  if (leads(leader)) {
    join(n);
  } else if (leader == context_.config.self && vote_.leader == leader) {
    // A majority of this round already follows this member.
    decided_ = leader;
  }
}

void Election::join(const Notification& n) {
  context_.round = n.round;
  vote_ = n.vote;
  decided_ = n.vote.leader;
}

void Election::join_on_its_word() {
  const Notification* best = nullptr;
  for (const auto& [id, said] : settled_) {
    if (said.vote.leader != id || !leads(id)) continue;
    if (best == nullptr || said.vote.epoch > best->vote.epoch) best = &said;
  }
  if (best != nullptr) join(*best);
}

bool Election::all_connected_agree() const {
  const auto& voters = context_.quorum.voters();
  return std::all_of(voters.begin(), voters.end(), [this](ServerId id) {
    if (id != context_.config.self && !context_.connected(id)) return true;
    const auto it = ballot_.find(id);
    return it != ballot_.end() && it->second == vote_;
  });
}

void Election::consider(Instant now) {
  // An observer joins only a leader that says it leads; see from_settled().
  if (decided_ || context_.observer()) return;
  if (vote_.leader != context_.config.self && !context_.connected(vote_.leader)) return;
  std::set<ServerId> agreeing;
  for (const auto& [id, vote] : ballot_) {
    if (vote == vote_) agreeing.insert(id);
  }
  if (!context_.quorum.contained_in(agreeing)) {
    finalize_at_.reset();
  } else if (all_connected_agree()) {
    decided_ = vote_.leader;
  } else if (!finalize_at_) {
    finalize_at_ = now + context_.config.finalize_wait;
  } else if (now >= *finalize_at_) {
    decided_ = vote_.leader;
  }
}

void Election::peer_up(ServerId peer, Instant now) {
  const Vote own = initial_vote();
  if (!decided_ && !context_.observer() && own > vote_) {
    // With this link it can stand.
    vote_ = own;
    ballot_[context_.config.self] = own;
    finalize_at_.reset();
    announce(now);
    consider(now);
  } else {
    context_.send(peer, own_notification());
  }
}

void Election::peer_down(ServerId peer, Instant now) {
  ballot_.erase(peer);
  settled_.erase(peer);
  if (decided_ || context_.observer()) return;
  if (vote_.leader == peer || (vote_.leader == context_.config.self && !electable())) {
    // The candidate is gone; everybody must choose among those that are left.
    begin_round(context_.round + 1, now);
  }
  consider(now);
}

void Election::tick(Instant now) {
  if (decided_) return;
  if (now >= announce_at_) {
    // An observer waits for others' words alone, so it keeps asking often.
    const auto max = context_.observer() ? context_.config.notification_interval_min * 4
                                         : context_.config.notification_interval_max;
    announce_interval_ = std::min(announce_interval_ * 2, max);
    announce(now);
  }
  if (now >= trust_at_) join_on_its_word();
  consider(now);
}

}  // namespace zkfs::zab
