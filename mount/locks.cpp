// SPDX-License-Identifier: Apache-2.0
#include "mount/locks.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "ensemble/base/log.h"
#include "mount/errno_map.h"
#include "mount/task_state.h"

namespace zkfs::mount {

namespace {

// How long an interrupted caller waits for the ensemble to take his request out of the queue.
constexpr Millis kCancelWait{1000};

}  // namespace

Locks::Locks(const server::Door& door,
             MountSession& session,
             Parking& parking,
             QuorumGate& gate,
             std::function<Instant()> now,
             Millis wait_max)
    : door_(door),
      session_(session),
      parking_(parking),
      gate_(gate),
      now_(std::move(now)),
      wait_max_(wait_max) {}

Locks::~Locks() {
  *alive_ = false;
}

// --- asking ---

void Locks::lock(Reply reply, Who who, What what, Granted granted) {
  gate_.admit(
      std::move(reply),
      [this, who, what, granted = std::move(granted)](Reply admitted) mutable {
        if (take_over(admitted, who, what, granted)) return;
        const std::uint64_t request = ++last_request_;
        Waiting& waiting = waiting_[request];
        waiting.who = who;
        waiting.what = what;
        waiting.granted = std::move(granted);
        Asked& asked = asked_[key(who)];
        asked.process = who.process;
        asked.last_request = request;
        // Parking may answer at once (the mount stops) and forget the request before it is sent.
        const Parking::Id parked = parking_.park(
            std::move(admitted), [this, request](Parking::Why) { cancel(request); },
            terms_of(request, what));
        const auto it = waiting_.find(request);
        if (it == waiting_.end() || it->second.cancelled) return;
        it->second.parked = parked;
        ask(request);
      },
      ENOLCK, true);
}

Parking::Terms Locks::terms_of(std::uint64_t request, const What& what) {
  Parking::Terms terms;
  if (what.wait) terms.on_signal = [this, request] { return interrupted(request); };
  if (what.wait && wait_max_.count() > 0) {
    terms.deadline = now_() + wait_max_;
    terms.deadline_error = ETIMEDOUT;
  }
  return terms;
}

bool Locks::take_over(Reply& reply, const Who& who, const What& what, Granted& granted) {
  const auto it = std::ranges::find_if(waiting_, [&](const auto& entry) {
    const Waiting& waiting = entry.second;
    return waiting.parked == 0 && waiting.queued && waiting.who == who &&
           waiting.what.mode == what.mode && waiting.what.range.first == what.range.first &&
           waiting.what.range.last == what.range.last;
  });
  if (it == waiting_.end()) return false;
  const std::uint64_t request = it->first;
  it->second.granted = std::move(granted);
  it->second.parked = parking_.park(
      std::move(reply), [this, request](Parking::Why) { cancel(request); },
      terms_of(request, what));
  const auto place = door_.tree().lock_of_request(who.ino, session_.id(), request);
  if (!place) {
    ask(request);
  } else if (!place->waiting) {
    grant(request);
  }
  return true;
}

void Locks::ask(std::uint64_t request) {
  Waiting& waiting = waiting_.at(request);
  waiting.queued = false;
  const Who& who = waiting.who;
  const What& what = waiting.what;
  session_.submit({},
                  server::LockRequest{.ino = who.ino,
                                      .space = who.space,
                                      .mode = what.mode,
                                      .range = what.range,
                                      .owner = who.owner,
                                      .request = request,
                                      .pid = static_cast<std::uint32_t>(who.process),
                                      .wait = what.wait},
                  [this, alive = alive_, request](const tree::Outcome& outcome) {
                    if (*alive) answered(request, outcome);
                  });
}

void Locks::answered(std::uint64_t request, const tree::Outcome& outcome) {
  const auto it = waiting_.find(request);
  if (it == waiting_.end()) return;  // granted by the feed before the answer came
  Waiting& waiting = it->second;
  if (outcome.error == Error::kOk) return grant(request);
  if (outcome.error == Error::kLockQueued) {
    waiting.queued = true;
    waiting.session = session_.id();
    // The session may have ended since, the place in the queue with it.
    const auto place = door_.tree().lock_of_request(waiting.who.ino, waiting.session, request);
    if (!place) {
      if (!waiting.cancelled) ask(request);
    } else if (!place->waiting) {
      grant(request);
    }
    return;
  }
  if (outcome.error == Error::kUnknownOutcome && !waiting.cancelled) return ask(request);
  const Parking::Id parked = waiting.parked;
  waiting_.erase(it);
  Reply reply = parking_.take(parked);
  if (!reply.pending()) return;
  reply.error(outcome.error == Error::kQuotaExceeded ? ENOLCK : errno_of(outcome.error));
}

void Locks::grant(std::uint64_t request) {
  const auto it = waiting_.find(request);
  if (it == waiting_.end()) return;
  // Only what the tree says now is held: the session it was granted to may be gone by the time the
  // news is here.
  const SessionId session = session_.id();
  if (!door_.in_quorum()) {
    // News of the past: the next txn may be the end of the session. quorum_found() looks again.
    it->second.queued = true;
    it->second.session = session;
    return;
  }
  const auto held = door_.tree().lock_of_request(it->second.who.ino, session, request);
  if (!held || held->waiting) {
    if (!held && !it->second.cancelled) ask(request);
    return;
  }
  // Taken over from another daemon, and the kernel has not asked again yet.
  if (it->second.parked == 0) return;
  Waiting waiting = std::move(it->second);
  waiting_.erase(it);
  Reply reply = parking_.take(waiting.parked);
  if (!reply.pending()) return give_back(request, waiting.who, waiting.what);
  if (waiting.granted) waiting.granted(session);
  reply.ok();
}

// --- giving up ---

// A signal that he handles himself (flock -w), or one that ends him. True: he is answered later.
bool Locks::interrupted(std::uint64_t request) {
  const auto it = waiting_.find(request);
  if (it == waiting_.end() || !door_.in_quorum()) return false;
  if (it->second.cancelled) return true;
  cancel(request);
  // The ensemble may have granted it already: then he is told so, not that he was interrupted.
  parking_.limit(it->second.parked, now_() + kCancelWait, EINTR);
  return true;
}

// Also called when Parking has answered.
void Locks::cancel(std::uint64_t request) {
  const auto it = waiting_.find(request);
  if (it == waiting_.end() || std::exchange(it->second.cancelled, true)) return;
  session_.submit({}, server::CancelLockRequest{.ino = it->second.who.ino, .request = request},
                  [this, alive = alive_, request](const tree::Outcome& outcome) {
                    if (*alive) cancelled(request, outcome);
                  });
}

void Locks::cancelled(std::uint64_t request, const tree::Outcome& /*outcome*/) {
  const auto it = waiting_.find(request);
  if (it == waiting_.end()) return;  // it was granted before, and answered so
  const auto held = door_.tree().lock_of_request(it->second.who.ino, session_.id(), request);
  if (held && !held->waiting) {
    if (it->second.parked != 0) return grant(request);
    const Waiting orphan = std::move(it->second);
    waiting_.erase(it);
    return give_back(request, orphan.who, orphan.what);
  }
  const Parking::Id parked = it->second.parked;
  waiting_.erase(it);
  if (Reply reply = parking_.take(parked); reply.pending()) reply.error(EINTR);
}

void Locks::tick() {
  if (!orphans_until_ || now_() < *orphans_until_) return;
  orphans_until_.reset();
  std::vector<std::uint64_t> orphans;
  for (const auto& [request, waiting] : waiting_) {
    if (waiting.parked == 0) orphans.push_back(request);
  }
  for (const std::uint64_t request : orphans) cancel(request);
}

// Granted to somebody who had been answered already. What he asked for since stands.
void Locks::give_back(std::uint64_t request, const Who& who, const What& what) {
  const auto asked = asked_.find(key(who));
  if (asked != asked_.end() && asked->second.last_request != request) return;
  submit_unlock(who, what.range, [](const tree::Outcome&) {});
}

// --- unlocking ---

void Locks::submit_unlock(const Who& who, tree::LockRange range, MountSession::Completion done) {
  session_.submit(
      {},
      server::UnlockRequest{.ino = who.ino, .space = who.space, .range = range, .owner = who.owner},
      std::move(done));
}

void Locks::unlock(Reply reply, Who who, tree::LockRange range, int answer) {
  if (asked(who) && reply.pending() && door_.in_quorum()) {
    Parking::Terms terms;
    terms.may_exit = true;
    const Parking::Id parked = parking_.park(std::move(reply), {}, std::move(terms));
    return submit_unlock(who, range, [this, alive = alive_, parked, answer](const tree::Outcome&) {
      if (!*alive) return;
      if (Reply waiting = parking_.take(parked); waiting.pending()) waiting.error(answer);
    });
  }
  // Without a quorum nobody else can be given it before this is decided either.
  if (asked(who)) submit_unlock(who, range, [](const tree::Outcome&) {});
  if (reply.pending()) reply.error(answer);
}

void Locks::unlock_all(Reply reply, Who who) {
  unlock(std::move(reply), who, {});
  // A request of another thread of his may be granted yet, and is to be given free then.
  if (!waits(who)) asked_.erase(key(who));
}

bool Locks::waits(const Who& who) const {
  return std::ranges::any_of(waiting_, [&](const auto& entry) {
    return entry.second.who == who && !entry.second.cancelled;
  });
}

void Locks::release(const Who& who) {
  if (asked_.erase(key(who)) == 0) return;
  submit_unlock(who, {}, [](const tree::Outcome&) {});
}

bool Locks::asked_by_process(Ino ino, pid_t process) const {
  for (auto it = asked_.lower_bound(Key{ino.value, tree::LockSpace::kPosix, 0});
       it != asked_.end() && std::get<0>(it->first) == ino.value; ++it) {
    if (it->second.process == process) return true;
  }
  return false;
}

bool Locks::asked_of(Ino ino) const {
  const auto it = asked_.lower_bound(Key{ino.value, tree::LockSpace::kPosix, 0});
  return it != asked_.end() && std::get<0>(it->first) == ino.value;
}

// --- asking without wanting ---

void Locks::test(Reply reply, Who who, What what) const {
  const auto conflict = door_.tree().lock_conflict(who.ino, who.space, what.mode, what.range,
                                                   session_.id(), who.owner);

  struct flock answer {};

  answer.l_type = F_UNLCK;
  answer.l_whence = SEEK_SET;
  if (conflict) {
    answer.l_type = conflict->mode == tree::LockMode::kExclusive ? F_WRLCK : F_RDLCK;
    answer.l_start = static_cast<off_t>(conflict->range.first);
    const std::uint64_t length = conflict->range.last - conflict->range.first + 1;
    // 0: to the end, however far that is.
    const bool endless = conflict->range.last >= static_cast<std::uint64_t>(INT64_MAX);
    answer.l_len = endless ? 0 : static_cast<off_t>(length);
    // Another node's processes have no number here.
    if (conflict->session == session_.id()) answer.l_pid = static_cast<pid_t>(conflict->pid);
  }
  reply.lock(answer);
}

// --- the change feed ---

void Locks::applied(const server::AppliedTxn& txn) {
  if (waiting_.empty()) return;
  const SessionId session = session_.id();
  for (const tree::Change& change : txn.changes) {
    if (change.kind == tree::Change::Kind::kLockGranted && change.session == session) {
      grant(change.request);
    }
  }
}

void Locks::quorum_found() {
  std::vector<std::uint64_t> queued;
  for (const auto& [request, waiting] : waiting_) {
    if (waiting.queued && !waiting.cancelled) queued.push_back(request);
  }
  for (const std::uint64_t request : queued) grant(request);
}

void Locks::session_lost(SessionId session) {
  std::vector<std::uint64_t> again;
  for (auto& [request, waiting] : waiting_) {
    if (waiting.queued && waiting.session == session && !waiting.cancelled) {
      again.push_back(request);
    }
  }
  // What nobody waits for is over with the session.
  std::erase_if(waiting_, [session](const auto& entry) {
    return entry.second.queued && entry.second.session == session && entry.second.cancelled;
  });
  for (const std::uint64_t request : again) ask(request);
}

}  // namespace zkfs::mount
