// SPDX-License-Identifier: Apache-2.0
// OwnerSessions: the sessions of those who own ephemerals beside the mount itself: processes
// (`@eph=PID`) and open files (`@eph=fd`), contract section 3. Like a ZooKeeper client, each has a
// session of its own; its end closes the session, and one transaction removes all it owned. A
// process is held by a pidfd, so its number's next bearer is never taken for it. A node that dies
// takes them along: nobody keeps them alive, and they expire.
//
// A session that the ensemble ended is not replaced: its ephemerals are gone, and whatever is asked
// in its name fails (EIO).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>

#include "ensemble/server/door.h"
#include "mount/mount_session.h"

namespace zkfs::handover {
class Mount;
}

namespace zkfs::mount {

class OwnerSessions {
 public:
  using Shared = std::shared_ptr<MountSession>;

  OwnerSessions(asio::io_context& context, server::Door& door, std::uint32_t timeout_ms);
  ~OwnerSessions();
  OwnerSessions(const OwnerSessions&) = delete;
  OwnerSessions& operator=(const OwnerSessions&) = delete;

  // The session of process `pid`, as the thread `caller` numbers processes; opened if there is
  // none. `user` is who asks: root, or the user whose process it is, for its session could be
  // filled up by others. Errors, as an errno: EINVAL - there is no such process, or it cannot be
  // told which one is meant (a caller in a pid namespace that is not visible from here); EPERM -
  // another user's.
  std::expected<Shared, int> of_process(pid_t pid, pid_t caller, uid_t user);

  // A new session for a file that `opener` opens; to be ended by end().
  Shared of_file(pid_t opener);
  // Closes it behind what was asked in its name.
  void end(const Shared& session);

  // The same, if it is one of of_file().
  void end_of_file(const Shared& session) {
    if (files_.contains(session.get())) end(session);
  }

  // True for a session that was opened here and is not yet over.
  [[nodiscard]] bool own(SessionId session) const;

  // Closes all. Requests under way are no longer heard of.
  void stop();

  [[nodiscard]] std::size_t processes() const { return processes_.size(); }

  // --- for the daemon that takes this one's place, and there (handover.cpp) ---
  [[nodiscard]] bool settled() const;
  void save(handover::Mount& out) const;
  void restore(const handover::Mount& in);
  // An open session; null if there is none.
  [[nodiscard]] Shared find(SessionId session) const;

 private:
  struct Process {
    Shared session;
    std::unique_ptr<asio::posix::stream_descriptor> pidfd;
  };

  Shared make(const std::string& owner);
  void watch(pid_t pid, Process process);
  void exited(pid_t pid, const MountSession* of);

  asio::io_context& context_;
  server::Door& door_;
  std::uint32_t timeout_ms_;
  std::map<pid_t, Process> processes_;
  std::map<const MountSession*, Shared> files_;
  std::map<const MountSession*, Shared> ending_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace zkfs::mount
