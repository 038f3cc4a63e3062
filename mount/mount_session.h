// SPDX-License-Identifier: Apache-2.0
// MountSession: a session in the ensemble, and the requests made in its name. A mount's own session
// that is lost is replaced by a new one; requests that the ensemble refused for the old one (they
// are known not to have happened) are made again in the name of the new, in their old order. What
// may have happened is not repeated but answered kUnknownOutcome. Not repeated either are requests
// bound to one session (of a descriptor that holds a lock: another may hold it by now), nor
// anything of a session that ends with its owner (owner_sessions.h): those are answered
// kSessionExpired.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "ensemble/server/door.h"
#include "mount/metrics.h"

namespace zkfs::mount {

class MountSession {
 public:
  using Completion = server::Door::Completion;

  enum class AfterLoss : std::uint8_t { kReopen, kEnd };

  // `owner`: who it is for, as a person would want it.
  MountSession(server::Door& door,
               std::uint32_t timeout_ms,
               std::string owner,
               AfterLoss after_loss = AfterLoss::kReopen);
  ~MountSession();
  MountSession(const MountSession&) = delete;
  MountSession& operator=(const MountSession&) = delete;

  // From here on `latencies` gets how long each request took, from submit to answer.
  void measure(std::function<Instant()> now, Histogram& latencies);

  void start();

  // `lost` is called with the id of a session that the ensemble ended, before there is another.
  void on_lost(std::function<void(SessionId)> lost) { on_lost_ = std::move(lost); }

  // Goes on with the session of the daemon before this one, instead of start().
  void resume(const server::SessionHandover& session);

  // For the one after: requires that it is open and idle().
  [[nodiscard]] server::SessionHandover hand_over() const { return door_.hand_over(id_); }

  // Nothing asked is unanswered.
  [[nodiscard]] bool idle() const { return open_ && pending_.empty() && door_.idle(id_); }

  [[nodiscard]] const std::string& owner() const { return owner_; }

  // Closes the session. Requests under way are no longer heard of.
  void stop();
  // Closes the session behind the requests made so far, which get their answers; later ones are
  // answered kSessionExpired. `ended` is called when all is over, never from within. Must not be
  // destroyed before.
  void end(std::function<void()> ended);

  // 0 while there is none (yet).
  [[nodiscard]] SessionId id() const { return open_ ? id_ : SessionId{}; }

  // It is lost and not replaced, or was ended.
  [[nodiscard]] bool over() const { return over_ || ending_; }

  // As Door::submit, but answered kSessionExpired only if it is over, or if `bound` (not 0) is not
  // the session any more. Returns a ticket for forget(). `done` is never called from within.
  std::uint64_t submit(server::Identity identity,
                       server::Operation operation,
                       Completion done,
                       SessionId bound = {});
  void forget(std::uint64_t ticket);

 private:
  struct Pending {
    server::Identity identity;
    server::Operation operation;  // kept for a second time
    Completion done;
    SessionId session;         // it was sent for; 0: not sent
    std::uint64_t ticket = 0;  // the door's
    SessionId bound;           // 0: may go in the name of any
    Instant since{};           // submitted, if measured
  };

  void open();
  void opened(std::uint64_t generation, const tree::Outcome& outcome);
  void lost(std::uint64_t generation);
  void close_now();
  void send(std::uint64_t ticket, Pending& pending, SessionId session);
  void answered(std::uint64_t ticket, const tree::Outcome& outcome);

  server::Door& door_;
  std::uint32_t timeout_ms_;
  std::string owner_;
  AfterLoss after_loss_;
  std::function<void(SessionId)> on_lost_;
  std::function<void()> ended_;
  SessionId id_;
  bool open_ = false;
  bool over_ = false;
  bool ending_ = false;
  bool stopped_ = false;
  std::uint64_t generation_ = 0;  // of the session: answers for an older one are stale
  std::uint64_t last_ticket_ = 0;
  std::function<Instant()> now_;
  Histogram* latencies_ = nullptr;
  std::map<std::uint64_t, Pending> pending_;  // in the order of submission
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace zkfs::mount
