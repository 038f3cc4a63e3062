// SPDX-License-Identifier: Apache-2.0
#include "mount/mount_session.h"

#include <utility>

#include "ensemble/base/log.h"

namespace zkfs::mount {

MountSession::MountSession(server::Door& door, std::uint32_t timeout_ms, std::string owner)
    : door_(door), timeout_ms_(timeout_ms), owner_(std::move(owner)) {}

MountSession::~MountSession() {
  *alive_ = false;
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

void MountSession::opened(std::uint64_t generation, const tree::Outcome& outcome) {
  if (stopped_ || generation != generation_ || outcome.error != Error::kOk) return;
  open_ = true;
  ZKFS_LOG_INFO(mount, "session {:#x} is open", id_);
  for (auto& [ticket, pending] : pending_) {
    if (!pending.session) send(ticket, pending);
  }
}

void MountSession::lost(std::uint64_t generation) {
  if (stopped_ || generation != generation_) return;
  ZKFS_LOG_WARN(mount, "session {:#x} is lost, opening another", id_);
  open();
}

std::uint64_t MountSession::submit(server::Identity identity,
                                   server::Operation operation,
                                   Completion done) {
  const std::uint64_t ticket = ++last_ticket_;
  Pending& pending = pending_
                         .emplace(ticket, Pending{std::move(identity), std::move(operation),
                                                  std::move(done), SessionId{}, 0})
                         .first->second;
  if (open_) send(ticket, pending);
  return ticket;
}

void MountSession::send(std::uint64_t ticket, Pending& pending) {
  pending.session = id_;
  pending.ticket = door_.submit(id_, pending.identity, pending.operation,
                                [this, ticket, alive = alive_](const tree::Outcome& outcome) {
                                  if (*alive) answered(ticket, outcome);
                                });
}

void MountSession::answered(std::uint64_t ticket, const tree::Outcome& outcome) {
  const auto it = pending_.find(ticket);
  if (it == pending_.end()) return;
  if (outcome.error == Error::kSessionExpired && !stopped_) {
    const SessionId refused = std::exchange(it->second.session, SessionId{});
    it->second.ticket = 0;
    if (!open_) return;  // opened() sends it again
    if (refused == id_) {
      // The refusal overtook the news that the session is gone.
      lost(generation_);
    } else {
      send(ticket, it->second);
    }
    return;
  }
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
