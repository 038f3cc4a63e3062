// SPDX-License-Identifier: Apache-2.0
// Election: the LOOKING role: fast leader election (reference/zookeeper.md 9.3). Voters exchange
// votes, adopt the best, and decide when a majority has the same; a member that finds an ensemble
// already led joins it.
//
// What differs from ZooKeeper, for speed and without touching safety (which discovery guards, by
// refusing a leader that has seen less than a follower):
// - links tell of a crash at once: a member without a link cannot vote, nor be voted for;
// - a member that has no links to a majority does not stand: it could not lead, and as the best
//   candidate it would keep the others waiting for as long as the network stays in parts. So the
//   best of those that stand is voted for by all it has links to, which are a majority;
// - a member that joins counts itself, and after a while takes a leader's own word alone: it may
//   have a link to the leader and to nobody else;
// - the wait for a better vote after a decision (200 ms there) ends at once when every voter that
//   is connected has the same vote, and is short otherwise.
// An observer takes part without a vote: it only listens and asks.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "ensemble/base/clock.h"
#include "ensemble/zab/context.h"

namespace zkfs::zab {

class Election {
 public:
  // Begins a new round with this member's own vote and tells everybody.
  Election(Context& context, Instant now);

  void notification(ServerId from, const Notification& notification, Instant now);
  void peer_up(ServerId peer, Instant now);
  void peer_down(ServerId peer, Instant now);
  void tick(Instant now);

  // The leader, once decided (possibly this member itself).
  [[nodiscard]] std::optional<ServerId> decided() const { return decided_; }

  // What this member would tell others now.
  [[nodiscard]] Notification own_notification() const;

  [[nodiscard]] const Vote& vote() const { return vote_; }

 private:
  // This member itself, or nobody if it cannot stand.
  [[nodiscard]] Vote initial_vote() const;
  [[nodiscard]] bool electable() const;
  void begin_round(std::uint64_t round, Instant now);
  void announce(Instant now);
  void from_looking(ServerId from, const Notification& n, Instant now);
  void from_settled(ServerId from, const Notification& n);
  void join(const Notification& n);
  void join_on_its_word();
  // Decides, or arms the wait for a better vote, if a majority has this member's vote.
  void consider(Instant now);
  [[nodiscard]] bool all_connected_agree() const;
  // `leader` says itself that it leads (rule 8 of 9.3: others may not know yet that it has died).
  [[nodiscard]] bool leads(ServerId leader) const;

  Context& context_;
  Vote vote_;
  // Votes of this round, this member's own included.
  std::map<ServerId, Vote> ballot_;
  // What members that are not LOOKING say; compared by leader and epoch only, since their zxid and
  // clock move on (ZOOKEEPER-1732, 1805, 1818).
  std::map<ServerId, Notification> settled_;
  std::optional<ServerId> decided_;
  std::optional<Instant> finalize_at_;
  Instant trust_at_{};  // from then on a leader's own word is enough
  Instant announce_at_{};
  Millis announce_interval_{};
};

}  // namespace zkfs::zab
