// SPDX-License-Identifier: Apache-2.0
// What members say to each other: one struct per message, a variant of them all. How they look on
// the wire is peer/peer_codec.h's affair.
//
// A link between two members carries all of it, in order. Everything between a leader and a learner
// carries a Tag: the number the learner gave this conversation in its FOLLOWERINFO. A message with
// another tag belongs to a conversation that has ended (the learner went back to LOOKING, the link
// broke, a process restarted) and is dropped by whoever receives it. So no ack, commit or request
// can leak from one epoch's conversation into another's.
//
// Names and numbers of phases: reference/zookeeper.md section 9, ZAB paper section IV.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "ensemble/base/blob.h"
#include "ensemble/base/entry.h"
#include "ensemble/base/ids.h"

namespace zkfs::zab {

// The four states of a member.
enum class PeerState : std::uint8_t { kLooking = 0, kFollowing = 1, kLeading = 2, kObserving = 3 };

std::string_view to_string(PeerState state);

// Whom a member wants as leader, and how much that one has seen. Ordered by (epoch, zxid, leader):
// the greater is the better candidate.
struct Vote {
  Epoch epoch;  // the candidate's currentEpoch
  Zxid zxid;    // the last txn in the candidate's log
  ServerId leader;

  friend constexpr auto operator<=>(const Vote&, const Vote&) = default;
};

// --- election ---

struct Notification {
  PeerState state = PeerState::kLooking;
  Vote vote;
  std::uint64_t round = 0;  // the sender's logical clock
};

// --- discovery ---

// Learner -> leader, opening the conversation `tag`. (OBSERVERINFO where `observer` is set.)
struct FollowerInfo {
  std::uint64_t tag = 0;
  Epoch accepted_epoch;
  bool observer = false;
};

struct LeaderInfo {
  std::uint64_t tag = 0;
  Epoch new_epoch;
};

// The learner's promise, durable, not to follow an older epoch. `fresh` is false if it had accepted
// this very epoch before this conversation: then it may have promised it to another leader and is
// not counted (reference 9.5 step 3).
struct AckEpoch {
  std::uint64_t tag = 0;
  Epoch current_epoch;
  Zxid last_logged;
  Zxid applied;  // committed as far as the learner knows; never to be truncated
  bool fresh = true;
  bool want_snapshot = false;  // its log could not be cut where an earlier conversation wanted it
};

// --- synchronisation ---

// Nothing to undo; proposals after `from` follow.
struct Diff {
  std::uint64_t tag = 0;
  Zxid from;
};

// Drop everything after `last`; proposals after it follow.
struct Trunc {
  std::uint64_t tag = 0;
  Zxid last;
};

// A whole tree as of `zxid` follows in SnapChunks, then proposals after it.
struct Snap {
  std::uint64_t tag = 0;
  Zxid zxid;
};

struct SnapChunk {
  std::uint64_t tag = 0;
  Blob bytes;
  bool last = false;  // an empty one ends the stream
};

// The learner now holds all of the leader's history at the start of `epoch`.
struct NewLeader {
  std::uint64_t tag = 0;
  Epoch epoch;
};

// All of that, and currentEpoch = epoch, is durable at the learner.
struct AckNewLeader {
  std::uint64_t tag = 0;
  Epoch epoch;
};

// A quorum holds it: serve. Everything up to `committed` is committed.
struct UpToDate {
  std::uint64_t tag = 0;
  Zxid committed;
};

// --- broadcast ---

// To followers. Entries in order, directly after those sent before.
struct Proposal {
  std::uint64_t tag = 0;
  std::vector<Entry> entries;
};

// Everything proposed in this conversation up to `zxid` is durable at the learner.
struct Ack {
  std::uint64_t tag = 0;
  Zxid zxid;
};

struct Commit {
  std::uint64_t tag = 0;
  Zxid committed;
};

// To observers: entries that are committed already.
struct Inform {
  std::uint64_t tag = 0;
  std::vector<Entry> entries;
};

// Leader -> learner, each heartbeat. `round` rises; the answer says that the learner was still
// following when it got it.
struct Ping {
  std::uint64_t tag = 0;
  std::uint64_t round = 0;
  Zxid committed;
};

struct Pong {
  std::uint64_t tag = 0;
  std::uint64_t round = 0;
};

// Learner -> leader: bytes for the server above (a forwarded request, touched sessions). ZAB does
// not look inside.
struct Forward {
  std::uint64_t tag = 0;
  Blob bytes;
};

// Learner -> leader: "tell me a zxid that covers everything committed anywhere before now". The
// leader answers after a quorum has confirmed that it still leads (a heartbeat round begun after
// the request), which ZooKeeper's sync does not do.
struct SyncRequest {
  std::uint64_t tag = 0;
  std::uint64_t id = 0;
};

struct SyncReply {
  std::uint64_t tag = 0;
  std::uint64_t id = 0;
  Zxid committed;
};

using Message = std::variant<Notification,
                             FollowerInfo,
                             LeaderInfo,
                             AckEpoch,
                             Diff,
                             Trunc,
                             Snap,
                             SnapChunk,
                             NewLeader,
                             AckNewLeader,
                             UpToDate,
                             Proposal,
                             Ack,
                             Commit,
                             Inform,
                             Ping,
                             Pong,
                             Forward,
                             SyncRequest,
                             SyncReply>;

}  // namespace zkfs::zab
