// SPDX-License-Identifier: Apache-2.0
// MountSession: this mount's session in the ensemble, and the requests made in its name. A session
// that is lost is replaced by a new one; requests that the ensemble refused for the old one (they
// are known not to have happened) are made again in the name of the new, in their old order. What
// may have happened is not repeated but answered kUnknownOutcome.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "ensemble/server/door.h"

namespace zkfs::mount {

class MountSession {
 public:
  using Completion = server::Door::Completion;

  MountSession(server::Door& door, std::uint32_t timeout_ms, std::string owner);
  ~MountSession();
  MountSession(const MountSession&) = delete;
  MountSession& operator=(const MountSession&) = delete;

  void start();
  // Closes the session. Requests under way are no longer heard of.
  void stop();

  // 0 while there is none (yet).
  [[nodiscard]] SessionId id() const { return open_ ? id_ : SessionId{}; }

  // As Door::submit, but never answered kSessionExpired. Returns a ticket for forget(). `done` is
  // never called from within.
  std::uint64_t submit(server::Identity identity, server::Operation operation, Completion done);
  void forget(std::uint64_t ticket);

 private:
  struct Pending {
    server::Identity identity;
    server::Operation operation;  // kept for a second time
    Completion done;
    SessionId session;         // it was sent for; 0: not sent
    std::uint64_t ticket = 0;  // the door's
  };

  void open();
  void opened(std::uint64_t generation, const tree::Outcome& outcome);
  void lost(std::uint64_t generation);
  void send(std::uint64_t ticket, Pending& pending);
  void answered(std::uint64_t ticket, const tree::Outcome& outcome);

  server::Door& door_;
  std::uint32_t timeout_ms_;
  std::string owner_;
  SessionId id_;
  bool open_ = false;
  bool stopped_ = false;
  std::uint64_t generation_ = 0;  // of the session: answers for an older one are stale
  std::uint64_t last_ticket_ = 0;
  std::map<std::uint64_t, Pending> pending_;  // in the order of submission
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace zkfs::mount
