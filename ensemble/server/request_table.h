// SPDX-License-Identifier: Apache-2.0
// RequestTable: the sessions this server opened and the requests its front doors wait for, from
// submission until the txn comes back committed. Knows nothing of roles; the member asks it what to
// send (again) and tells it what was decided.
//
// Exactly once: within a session requests are numbered in order and always sent in that order, over
// links that keep order, to one leader at a time; they are sent again only after this server is in
// step with a new leader and everything of the new history has been delivered here. A request that
// is then still waiting is in no history.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ensemble/base/ids.h"
#include "ensemble/server/door.h"
#include "ensemble/server/request.h"
#include "ensemble/tree/data_tree.h"

namespace zkfs::server {

class RequestTable {
 public:
  using Completion = Door::Completion;

  // A completion that is due, with what to tell it. Called by the member once nothing is half done.
  struct Due {
    Completion done;
    tree::Outcome outcome;
    // Of a client's session: to be called before the next txn is applied (client_door.h).
    bool at_once = false;
    std::uint64_t ticket = 0;
  };

  void open_session(SessionId id, std::uint32_t timeout_ms, std::function<void()> lost);

  // --- sessions of clients (client_door.h) ---
  void open_client_session(SessionId id, std::uint32_t timeout_ms, std::function<void()> lost);
  // A session that may exist; it is local once the request to attach, numbered `xid`, is granted.
  void attach_session(SessionId id, std::uint32_t timeout_ms, Xid xid, std::function<void()> lost);
  // Drops the session and what it waits for; nobody is told.
  void detach_session(SessionId id);
  // Somebody attached to `id`; it is not this server's any more unless it was this server.
  void session_attached(SessionId id, std::uint32_t attachment);
  void touch(SessionId id);

  // See door.h.
  [[nodiscard]] bool idle(SessionId id) const {
    const auto it = sessions_.find(id);
    return it != sessions_.end() && it->second.waiting.empty();
  }

  [[nodiscard]] SessionHandover hand_over(SessionId id) const;
  void resume_session(const SessionHandover& session, std::function<void()> lost);
  // This server is in step with a leader: sessions that were resumed and are not in the tree have
  // ended meanwhile.
  void check_resumed(const tree::DataTree& tree);

  [[nodiscard]] bool is_local(SessionId id) const { return sessions_.contains(id); }

  // Opened here, and not by a client.
  [[nodiscard]] bool is_own(SessionId id) const {
    const auto it = sessions_.find(id);
    return it != sessions_.end() && !it->second.of_client;
  }

  // Those that live: of the server's own all, of clients those touched since the last call, also
  // those that have been detached since.
  [[nodiscard]] std::vector<SessionId> take_touched();

  // Takes a request in; `session` must be local. Returns its ticket.
  std::uint64_t add(std::uint64_t ticket,
                    SessionId session,
                    Identity identity,
                    Operation operation,
                    Completion done);
  // True if the ticket was one of this table.
  bool forget(std::uint64_t ticket);

  // Whoever asked for it was told that it failed, or is gone.
  [[nodiscard]] bool is_forgotten(SessionId session, Xid xid) const;

  // Requests not sent since the last resend_all(), oldest first; marks them sent.
  std::vector<Request> take_unsent();
  // A new leader: everything that waits is unsent again.
  void resend_all();

  // A txn of (session, xid) was applied with this outcome.
  // What is due now, if somebody waited for it.
  std::optional<Due> decided(SessionId session, Xid xid, const tree::Outcome& outcome);
  // The ensemble closed a session. Calls `lost` unless this server asked for it.
  void session_closed(SessionId session);
  // The tree was replaced by a snapshot: what became of each waiting request is looked up there.
  void reconcile(const tree::DataTree& tree, std::vector<Due>& due);

  // Everything still waiting, to be told `error`. The table is empty afterwards.
  std::vector<Due> drain(Error error);

  [[nodiscard]] std::size_t pending() const { return pending_.size(); }

 private:
  struct Local {
    std::uint32_t timeout_ms = 0;
    std::function<void()> lost;
    // The request to create it has been sent: the ensemble may know it. Once it may, a tree without
    // it means that it may have been there and ended, taking the outcomes of its requests along.
    bool create_sent = false;
    bool closing = false;
    bool resumed = false;  // and not yet seen to have lived on
    bool of_client = false;
    bool touched = true;           // since the last report
    std::optional<Xid> attaching;  // the number of the request to attach, until it is decided
    std::uint64_t next_xid = 1;
    std::set<Xid> waiting;
  };

  struct Pending {
    SessionId session;
    Xid xid;
    Identity identity;
    Operation operation;
    Completion done;
    bool sent = false;       // to the present leader
    bool ever_sent = false;  // to any
    bool forgotten = false;  // nobody hears of its outcome
  };

  using PendingMap = std::map<std::uint64_t, Pending>;  // by ticket: the order of submission

  Due finish(PendingMap::iterator it, tree::Outcome outcome);

  std::map<SessionId, Local> sessions_;
  std::set<SessionId> left_touched_;  // of clients that have gone since the last report
  PendingMap pending_;
  std::map<std::pair<SessionId, Xid>, std::uint64_t> tickets_;
  std::deque<std::uint64_t> unsent_;
};

}  // namespace zkfs::server
