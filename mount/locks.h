// SPDX-License-Identifier: Apache-2.0
// Locks: flock(2) and fcntl(2) locks as locks of the ensemble (contract section 7). Who holds what
// is decided by the replicated lock table (tree/lock_table.h); here is one mount's side of it:
// requests that wait for their turn, and what becomes of them when their caller is interrupted, the
// session is lost, or a snapshot hid the grant.
//
// A lock belongs to (this mount's session, owner): `owner` is the kernel's number of an open file
// (flock, and fcntl's OFD locks) or of a process's file table (fcntl). No thread waits: a waiting
// request is a Reply in Parking. The grant arrives with the change feed, in the very transaction
// that gave the lock free.
//
// Two things of the kernel (reference/fuse.md section 5): a POSIX unlock at close arrives as FLUSH
// with the owner, not as SETLK; and EINTR may be answered only to a request that was interrupted.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <tuple>

#include "ensemble/server/door.h"
#include "mount/mount_session.h"
#include "mount/parking.h"
#include "mount/quorum_gate.h"
#include "mount/reply.h"

namespace zkfs::handover {
class Mount;
}

namespace zkfs::mount {

class Locks {
 public:
  struct Who {
    Ino ino;
    tree::LockSpace space = tree::LockSpace::kFlock;
    std::uint64_t owner = 0;
    pid_t process = 0;  // thread group; for people, and for closes that arrive without an owner

    friend bool operator==(const Who& a, const Who& b) {
      return a.ino == b.ino && a.space == b.space && a.owner == b.owner;
    }
  };

  struct What {
    tree::LockMode mode = tree::LockMode::kExclusive;
    tree::LockRange range;
    bool wait = false;
  };

  // Called before the request is answered 0: the lock is held in the name of `session`.
  using Granted = std::move_only_function<void(SessionId session)>;

  // All outlive it. `wait_max`: longer waits are answered ETIMEDOUT; 0: none is too long.
  Locks(const server::Door& door,
        MountSession& session,
        Parking& parking,
        QuorumGate& gate,
        std::function<Instant()> now,
        Millis wait_max);
  ~Locks();

  // Answers 0 once it is granted; EWOULDBLOCK - taken, and not to wait; EDEADLK; ENOLCK - no quorum
  // within timeo, or too many; EINTR; ETIMEDOUT.
  void lock(Reply reply, Who who, What what, Granted granted);
  // Answers 0 when it is given free on a quorum; without a quorum, when that was asked for.
  // `answer`: what is answered instead, an errno. The reply may be an empty one.
  void unlock(Reply reply, Who who, tree::LockRange range, int answer = 0);
  // The same for everything of `who`, after which nothing of his is left here.
  void unlock_all(Reply reply, Who who);
  // F_GETLK: what stands in the way, as this node knows it.
  void test(Reply reply, Who who, What what) const;

  // It may hold something.
  [[nodiscard]] bool asked(const Who& who) const { return asked_.contains(key(who)); }

  // Everything of `who` is given free; nobody waits for it.
  void release(const Who& who);
  // Whether somebody, or this process, may hold fcntl locks on the znode.
  [[nodiscard]] bool asked_of(Ino ino) const;
  [[nodiscard]] bool asked_by_process(Ino ino, pid_t process) const;

  // --- from the change feed ---
  void applied(const server::AppliedTxn& txn);
  // This server is part of a quorum again: what was granted meanwhile is held if the tree says so
  // now, the sessions that ended meanwhile included.
  void quorum_found();
  // What was held is lost (the caller fences descriptors), what waited stands in line anew.
  void session_lost(SessionId session);

  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

  // --- for the daemon that takes this one's place, and there (handover.cpp) ---
  // False: the ensemble has yet to say something about a lock.
  [[nodiscard]] bool settled() const;
  void save(handover::Mount& out) const;
  // What waited goes on waiting; the kernel asks again, and finds its place in the queue.
  void restore(const handover::Mount& in);
  // Gives up places that nobody has asked for again by now.
  void tick();

 private:
  using Key = std::tuple<std::uint64_t, tree::LockSpace, std::uint64_t>;

  struct Waiting {
    Parking::Id parked = 0;
    Who who;
    What what;
    Granted granted;
    bool queued = false;     // the ensemble said so, or a grant came before it could
    SessionId session;       // that it stands in line for, once queued
    bool cancelled = false;  // given up: the answer to the cancellation tells the rest
  };

  struct Asked {
    pid_t process = 0;
    std::uint64_t last_request = 0;
  };

  // A waiter of the daemon before this one, whom the kernel has sent again.
  bool take_over(Reply& reply, const Who& who, const What& what, Granted& granted);
  Parking::Terms terms_of(std::uint64_t request, const What& what);

  static Key key(const Who& who) { return {who.ino.value, who.space, who.owner}; }

  void ask(std::uint64_t request);
  void answered(std::uint64_t request, const tree::Outcome& outcome);
  void grant(std::uint64_t request);
  bool interrupted(std::uint64_t request);
  void cancel(std::uint64_t request);
  // A request of his may be granted yet.
  [[nodiscard]] bool waits(const Who& who) const;
  void cancelled(std::uint64_t request, const tree::Outcome& outcome);
  void give_back(std::uint64_t request, const Who& who, const What& what);
  void submit_unlock(const Who& who, tree::LockRange range, MountSession::Completion done);

  const server::Door& door_;
  MountSession& session_;
  Parking& parking_;
  QuorumGate& gate_;
  std::function<Instant()> now_;
  Millis wait_max_;
  std::uint64_t last_request_ = 0;
  std::map<std::uint64_t, Waiting> waiting_;  // by request
  std::map<Key, Asked> asked_;
  std::optional<Instant> orphans_until_;  // of waiters that were restored
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace zkfs::mount
