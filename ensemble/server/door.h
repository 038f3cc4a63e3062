// SPDX-License-Identifier: Apache-2.0
// Door: what a front door (the mount; later the client port) may ask of the member, in process and
// on the core thread. Member implements it; tests of front doors put a local tree behind it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ensemble/base/clock.h"
#include "ensemble/base/error.h"
#include "ensemble/base/ids.h"
#include "ensemble/server/request.h"
#include "ensemble/tree/data_tree.h"
#include "ensemble/zab/message.h"

namespace zkfs::server {

// One committed txn as it was applied here.
struct AppliedTxn {
  Zxid zxid;
  SessionId session;  // who asked; 0: the leader itself
  // Asked through this very member by a session of its own, not a client's, and not forgotten since
  // (the kernel already knows of it, if the mount asked).
  bool local = false;
  std::span<const tree::Change> changes;
};

// Follows what happens to the tree, in order, on the core thread. Must not call back into Member
// except for reads and submit.
class ChangeSubscriber {
 public:
  virtual ~ChangeSubscriber() = default;
  virtual void applied(const AppliedTxn& txn) = 0;
  // The tree is about to be replaced by a snapshot from the leader (`before` and `after` are whole
  // trees; `after` becomes current on return).
  virtual void replaced(const tree::DataTree& before, const tree::DataTree& after) = 0;
  // This server began or ceased to be part of a quorum.
  virtual void quorum_changed(bool in_quorum) = 0;
};

struct MemberStatus {
  ServerId self;
  zab::PeerState state = zab::PeerState::kLooking;
  ServerId leader;  // 0 if none
  Epoch epoch;      // currentEpoch
  Zxid last_applied;
  Zxid last_logged;
  bool in_quorum = false;
  std::optional<Instant> quorum_lost_since;  // empty while in a quorum
  std::size_t pending_requests = 0;
  std::size_t outstanding_proposals = 0;
  std::size_t learners_in_sync = 0;  // of a leader, without itself
  std::uint64_t znodes = 0;
  std::uint64_t data_bytes = 0;
  std::uint64_t sessions = 0;
  std::uint64_t digest = 0;
};

struct SessionHandover {
  SessionId id;
  std::uint32_t timeout_ms = 0;
  std::uint64_t next_xid = 0;  // numbered on: what was decided must not be taken for new
};

class Door {
 public:
  using Completion = std::move_only_function<void(const tree::Outcome&)>;
  // kOk, or kShutdown.
  using SyncCompletion = std::move_only_function<void(Error)>;

  virtual ~Door() = default;

  // Opens a session of this server's own and keeps it alive until close_session or stop. The
  // completion's outcome is kOk, or kShutdown; it waits for a quorum as long as it takes. `lost` is
  // called if the ensemble closes or expires it.
  virtual SessionId open_session(std::uint32_t timeout_ms,
                                 std::string owner,
                                 Completion opened,
                                 std::function<void()> lost) = 0;
  virtual void close_session(SessionId session, Completion closed) = 0;

  // A process that is replaced by another in its place (the same server, a newer program) hands its
  // sessions over: what the next one must know to go on with one of them. Requires: it was opened
  // here, and idle().
  [[nodiscard]] virtual SessionHandover hand_over(SessionId session) const = 0;
  // Nothing asked in its name is undecided, of what was forgotten either.
  [[nodiscard]] virtual bool idle(SessionId session) const = 0;
  // Goes on with such a session. `lost` is called as in open_session; also if it has ended by the
  // time there is a quorum.
  virtual void resume_session(const SessionHandover& session, std::function<void()> lost) = 0;

  // Asks for `operation` in the name of `session`, which was opened here. Never refused for lack of
  // a quorum: it waits (front doors that must not wait ask status() first). Calls `done` exactly
  // once, from within flush() or stop(). Returns a ticket for forget(). Errors: those of the
  // operation; kSessionExpired; kShutdown; kUnknownOutcome - the session was lost while a snapshot
  // hid what became of it.
  virtual std::uint64_t submit(SessionId session,
                               Identity identity,
                               Operation operation,
                               Completion done) = 0;
  // The caller no longer waits for `ticket`: its completion will not be called. What was sent stays
  // sent.
  virtual void forget(std::uint64_t ticket) = 0;

  // `done` is called once this server's tree holds everything that was committed anywhere before
  // this call. Returns a ticket.
  virtual std::uint64_t sync(SyncCompletion done) = 0;

  // The committed state as this server knows it. Valid until the next driving call.
  [[nodiscard]] virtual const tree::DataTree& tree() const = 0;
  [[nodiscard]] virtual MemberStatus status() const = 0;
  // May `more` be added at `ino`, or as its child `name` unless that is empty, by the quotas as
  // this server knows them, and if its configuration has them enforced? What submit() comes to is
  // not promised.
  [[nodiscard]] virtual bool has_quota_room(Ino ino,
                                            std::string_view name,
                                            const tree::QuotaUsage& more) const = 0;
  // True while this server takes part in a quorum: the leader is active, or this learner is up to
  // date with one.
  [[nodiscard]] virtual bool in_quorum() const = 0;
  // When it last ceased to be; empty while it is.
  [[nodiscard]] virtual std::optional<Instant> quorum_lost_since() const = 0;
  virtual void subscribe(ChangeSubscriber* subscriber) = 0;
  // Not from within a call to a subscriber.
  virtual void unsubscribe(ChangeSubscriber* subscriber) = 0;
};

}  // namespace zkfs::server
