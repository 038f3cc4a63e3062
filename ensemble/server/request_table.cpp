// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/request_table.h"

#include <utility>

#include "ensemble/base/check.h"

namespace zkfs::server {

void RequestTable::open_session(SessionId id,
                                std::uint32_t timeout_ms,
                                std::function<void()> lost) {
  Local local;
  local.timeout_ms = timeout_ms;
  local.lost = std::move(lost);
  ZKFS_CHECK(sessions_.emplace(id, std::move(local)).second, "session {} opened twice", id);
}

SessionHandover RequestTable::hand_over(SessionId id) const {
  const auto it = sessions_.find(id);
  ZKFS_CHECK(it != sessions_.end(), "session {} is handed over, but was not opened here", id);
  const Local& local = it->second;
  ZKFS_CHECK(local.waiting.empty(), "session {} is handed over with {} requests unanswered", id,
             local.waiting.size());
  return {.id = id, .timeout_ms = local.timeout_ms, .next_xid = local.next_xid};
}

void RequestTable::resume_session(const SessionHandover& session, std::function<void()> lost) {
  open_session(session.id, session.timeout_ms, std::move(lost));
  Local& local = sessions_.at(session.id);
  local.create_sent = true;
  local.resumed = true;
  local.next_xid = session.next_xid;
}

void RequestTable::check_resumed(const tree::DataTree& tree) {
  std::vector<SessionId> gone;
  for (auto& [id, local] : sessions_) {
    if (std::exchange(local.resumed, false) && !tree.find_session(id)) gone.push_back(id);
  }
  for (const SessionId id : gone) session_closed(id);
}

void RequestTable::open_client_session(SessionId id,
                                       std::uint32_t timeout_ms,
                                       std::function<void()> lost) {
  open_session(id, timeout_ms, std::move(lost));
  sessions_.at(id).of_client = true;
}

void RequestTable::attach_session(SessionId id,
                                  std::uint32_t timeout_ms,
                                  Xid xid,
                                  std::function<void()> lost) {
  open_client_session(id, timeout_ms, std::move(lost));
  Local& local = sessions_.at(id);
  local.create_sent = true;
  local.attaching = xid;
}

void RequestTable::detach_session(SessionId id) {
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) return;
  // Its client's last sign of life counts, though the client is gone.
  if (it->second.of_client && !it->second.attaching && it->second.touched) left_touched_.insert(id);
  for (const Xid xid : it->second.waiting) {
    const auto ticket = tickets_.find({id, xid});
    pending_.erase(ticket->second);
    tickets_.erase(ticket);
  }
  sessions_.erase(it);
}

void RequestTable::session_attached(SessionId id, std::uint32_t attachment) {
  const auto it = sessions_.find(id);
  // Who is still attaching comes later in the order, and will have it then.
  if (it == sessions_.end() || it->second.attaching) return;
  if (attachment_of(Xid{it->second.next_xid}) == attachment) return;
  const auto lost = std::move(it->second.lost);
  detach_session(id);
  if (lost) lost();
}

void RequestTable::touch(SessionId id) {
  const auto it = sessions_.find(id);
  if (it != sessions_.end()) it->second.touched = true;
}

std::vector<SessionId> RequestTable::take_touched() {
  const auto left = std::exchange(left_touched_, {});
  std::vector<SessionId> result(left.begin(), left.end());
  for (auto& [id, local] : sessions_) {
    if (local.attaching || (local.of_client && !std::exchange(local.touched, false))) continue;
    result.push_back(id);
  }
  return result;
}

std::uint64_t RequestTable::add(std::uint64_t ticket,
                                SessionId session,
                                Identity identity,
                                Operation operation,
                                Completion done) {
  const auto it = sessions_.find(session);
  ZKFS_CHECK(it != sessions_.end(), "a request of session {} that was not opened here", session);
  Local& local = it->second;
  if (std::holds_alternative<CloseSessionRequest>(operation)) local.closing = true;
  const bool attaches = std::holds_alternative<AttachSessionRequest>(operation);
  const Xid xid = attaches ? *local.attaching : Xid{local.next_xid++};
  local.waiting.insert(xid);
  tickets_[{session, xid}] = ticket;
  pending_.emplace(
      ticket, Pending{session, xid, std::move(identity), std::move(operation), std::move(done)});
  unsent_.push_back(ticket);
  return ticket;
}

bool RequestTable::forget(std::uint64_t ticket) {
  const auto it = pending_.find(ticket);
  if (it == pending_.end()) return false;
  if (it->second.ever_sent) {
    // It may take effect; only nobody hears of it.
    it->second.done = [](const tree::Outcome&) {};
    it->second.forgotten = true;
    return true;
  }
  finish(it, {});
  return true;
}

bool RequestTable::is_forgotten(SessionId session, Xid xid) const {
  const auto ticket = tickets_.find({session, xid});
  return ticket != tickets_.end() && pending_.at(ticket->second).forgotten;
}

std::vector<Request> RequestTable::take_unsent() {
  std::vector<Request> result;
  for (const auto ticket : std::exchange(unsent_, {})) {
    const auto it = pending_.find(ticket);
    if (it == pending_.end() || it->second.sent) continue;
    Pending& pending = it->second;
    pending.sent = true;
    pending.ever_sent = true;
    Local& local = sessions_.at(pending.session);
    if (std::holds_alternative<CreateSessionRequest>(pending.operation)) local.create_sent = true;
    // To attach twice does no harm, so nobody need remember that it was done.
    const bool attaches = std::holds_alternative<AttachSessionRequest>(pending.operation);
    const Xid first = attaches ? Xid{} : *local.waiting.begin();
    result.push_back(
        Request{pending.session, pending.xid, first, pending.identity, pending.operation});
  }
  return result;
}

void RequestTable::resend_all() {
  unsent_.clear();
  for (auto& [ticket, pending] : pending_) {
    pending.sent = false;
    unsent_.push_back(ticket);
  }
}

RequestTable::Due RequestTable::finish(PendingMap::iterator it, tree::Outcome outcome) {
  Pending& pending = it->second;
  tickets_.erase({pending.session, pending.xid});
  bool at_once = false;
  if (const auto found = sessions_.find(pending.session); found != sessions_.end()) {
    Local& local = found->second;
    at_once = local.of_client;
    local.waiting.erase(pending.xid);
    if (local.attaching == pending.xid) {
      local.attaching.reset();
      if (outcome.error == Error::kOk) {
        local.next_xid = first_xid(static_cast<std::uint32_t>(outcome.version)).value;
      } else {
        local.closing = true;
      }
    }
    // Closed, and the last of its requests answered: nothing of it remains.
    if (local.closing && local.waiting.empty()) sessions_.erase(found);
  }
  Due due{std::move(pending.done), std::move(outcome), at_once, it->first};
  pending_.erase(it);
  return due;
}

std::optional<RequestTable::Due> RequestTable::decided(SessionId session,
                                                       Xid xid,
                                                       const tree::Outcome& outcome) {
  const auto ticket = tickets_.find({session, xid});
  if (ticket == tickets_.end()) return std::nullopt;
  return finish(pending_.find(ticket->second), outcome);
}

void RequestTable::session_closed(SessionId session) {
  const auto it = sessions_.find(session);
  if (it == sessions_.end() || it->second.closing) return;
  // Requests still waiting are answered kSessionExpired by the leader; the entry goes with the
  // last.
  const auto lost = std::move(it->second.lost);
  it->second.closing = true;
  if (it->second.waiting.empty()) sessions_.erase(it);
  if (lost) lost();
}

void RequestTable::reconcile(const tree::DataTree& tree, std::vector<Due>& due) {
  for (auto it = pending_.begin(); it != pending_.end();) {
    const Pending& pending = it->second;
    const bool creates = std::holds_alternative<CreateSessionRequest>(pending.operation);
    if (auto outcome = tree.outcome_of(pending.session, pending.xid)) {
      due.push_back(finish(it++, std::move(*outcome)));
    } else if (creates && tree.find_session(pending.session)) {
      due.push_back(finish(it++, {}));
    } else if (tree.find_session(pending.session) || !sessions_.at(pending.session).create_sent) {
      ++it;  // not in this history: will be sent again
    } else if (std::holds_alternative<CloseSessionRequest>(pending.operation)) {
      due.push_back(finish(it++, {}));  // it is closed
    } else {
      // The session ended in the part of history that the snapshot hides, and its outcomes with it.
      tree::Outcome hidden;
      hidden.error = pending.ever_sent ? Error::kUnknownOutcome : Error::kSessionExpired;
      due.push_back(finish(it++, std::move(hidden)));
    }
  }
  std::vector<SessionId> gone;
  for (const auto& [id, local] : sessions_) {
    if (local.create_sent && !tree.find_session(id)) gone.push_back(id);
  }
  for (const auto id : gone) session_closed(id);
}

std::vector<RequestTable::Due> RequestTable::drain(Error error) {
  std::vector<Due> due;
  for (auto it = pending_.begin(); it != pending_.end();) {
    tree::Outcome outcome;
    outcome.error = error;
    due.push_back(finish(it++, std::move(outcome)));
  }
  unsent_.clear();
  return due;
}

}  // namespace zkfs::server
