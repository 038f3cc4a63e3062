// SPDX-License-Identifier: Apache-2.0
#include "mount/mount_session.h"

#include <utility>

#include "ensemble/base/log.h"

namespace zkfs::mount {

MountSession::MountSession(server::Door& door,
                           std::uint32_t timeout_ms,
                           std::string owner,
                           AfterLoss after_loss)
    : door_(door), timeout_ms_(timeout_ms), owner_(std::move(owner)), after_loss_(after_loss) {}

MountSession::~MountSession() {
  *alive_ = false;
}

void MountSession::measure(std::function<Instant()> now, Histogram& latencies) {
  now_ = std::move(now);
  latencies_ = &latencies;
}

void MountSession::start() {
  open();
}

void MountSession::stop() {
  if (std::exchange(stopped_, true)) return;
  for (auto& [ticket, pending] : std::exchange(pending_, {})) {
    if (pending.ticket != 0) door_.forget(pending.ticket);
  }
  if (std::exchange(open_, false)) door_.close_session(id_, [](const tree::Outcome&) {});
}

void MountSession::end(std::function<void()> ended) {
  if (std::exchange(ending_, true)) return;
  ended_ = std::move(ended);
  // What was asked before it was open is sent first; opened() goes on.
  if (open_ || over_) close_now();
}

void MountSession::close_now() {
  // Answers come in the order of requests, so this one is the last.
  door_.close_session(id_, [this, alive = alive_](const tree::Outcome&) {
    if (*alive && ended_) std::exchange(ended_, nullptr)();
  });
}

void MountSession::open() {
  const std::uint64_t generation = ++generation_;
  open_ = false;
  id_ = door_.open_session(
      timeout_ms_, owner_,
      [this, generation, alive = alive_](const tree::Outcome& outcome) {
        if (*alive) opened(generation, outcome);
      },
      [this, generation, alive = alive_] {
        if (*alive) lost(generation);
      });
}

void MountSession::resume(const server::SessionHandover& session) {
  const std::uint64_t generation = ++generation_;
  id_ = session.id;
  open_ = true;
  door_.resume_session(session, [this, generation, alive = alive_] {
    if (*alive) lost(generation);
  });
  ZKFS_LOG_INFO(mount, "session {:#x} is taken over", id_);
}

void MountSession::opened(std::uint64_t generation, const tree::Outcome& outcome) {
  if (stopped_ || generation != generation_ || outcome.error != Error::kOk) return;
  open_ = true;
  ZKFS_LOG_INFO(mount, "session {:#x} is open", id_);
  for (auto& [ticket, pending] : pending_) {
    if (!pending.session) send(ticket, pending, id_);
  }
  if (ending_) close_now();
}

void MountSession::lost(std::uint64_t generation) {
  if (stopped_ || generation != generation_) return;
  const SessionId gone = id_;
  if (after_loss_ == AfterLoss::kEnd) {
    ZKFS_LOG_WARN(mount, "session {:#x} of {} is lost", id_, owner_);
    ++generation_;
    open_ = false;
    over_ = true;
    // What waited for it to open: the door refuses it. Not from within a call of the door's.
    for (auto& [ticket, pending] : pending_) {
      if (!pending.session) send(ticket, pending, gone);
    }
    if (ending_ && ended_) close_now();
    if (on_lost_) on_lost_(gone);
    return;
  }
  ZKFS_LOG_WARN(mount, "session {:#x} is lost, opening another", id_);
  open();
  if (on_lost_) on_lost_(gone);
}

std::uint64_t MountSession::submit(server::Identity identity,
                                   server::Operation operation,
                                   Completion done,
                                   SessionId bound) {
  const std::uint64_t ticket = ++last_ticket_;
  Pending& pending =
      pending_
          .emplace(ticket, Pending{std::move(identity), std::move(operation), std::move(done),
                                   SessionId{}, 0, bound, now_ ? now_() : Instant{}})
          .first->second;
  if (bound) {
    send(ticket, pending, bound);
  } else if (over()) {
    // The door refuses what is asked for no session.
    send(ticket, pending, over_ ? id_ : SessionId{});
  } else if (open_) {
    send(ticket, pending, id_);
  }
  return ticket;
}

void MountSession::send(std::uint64_t ticket, Pending& pending, SessionId session) {
  pending.session = session;
  pending.ticket = door_.submit(session, pending.identity, pending.operation,
                                [this, ticket, alive = alive_](const tree::Outcome& outcome) {
                                  if (*alive) answered(ticket, outcome);
                                });
}

void MountSession::answered(std::uint64_t ticket, const tree::Outcome& outcome) {
  const auto it = pending_.find(ticket);
  if (it == pending_.end()) return;
  const bool again = !it->second.bound && after_loss_ == AfterLoss::kReopen && !ending_;
  if (outcome.error == Error::kSessionExpired && !stopped_ && again) {
    const SessionId refused = std::exchange(it->second.session, SessionId{});
    it->second.ticket = 0;
    if (!open_) return;  // opened() sends it again
    if (refused == id_) {
      // The refusal overtook the news that the session is gone.
      lost(generation_);
    } else {
      send(ticket, it->second, id_);
    }
    return;
  }
  if (latencies_ != nullptr) latencies_->add(now_() - it->second.since);
  Completion done = std::move(it->second.done);
  pending_.erase(it);
  done(outcome);
}

void MountSession::forget(std::uint64_t ticket) {
  const auto it = pending_.find(ticket);
  if (it == pending_.end()) return;
  if (it->second.ticket != 0) door_.forget(it->second.ticket);
  pending_.erase(it);
}

}  // namespace zkfs::mount
