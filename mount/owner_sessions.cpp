// SPDX-License-Identifier: Apache-2.0
#include "mount/owner_sessions.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include <asio/post.hpp>
#include <fmt/core.h>

#include "ensemble/base/log.h"
#include "mount/task_state.h"

namespace zkfs::mount {

namespace {

// Not in Debian 12's libc.
int pidfd_open(pid_t pid) {
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U));
}

bool has_ended(int pidfd) {
  struct pollfd ended {
    .fd = pidfd, .events = POLLIN, .revents = 0
  };

  return ::poll(&ended, 1, 0) == 1;
}

}  // namespace

OwnerSessions::OwnerSessions(asio::io_context& context,
                             server::Door& door,
                             std::uint32_t timeout_ms)
    : context_(context), door_(door), timeout_ms_(timeout_ms) {}

OwnerSessions::~OwnerSessions() {
  *alive_ = false;
}

OwnerSessions::Shared OwnerSessions::make(const std::string& owner) {
  auto session =
      std::make_shared<MountSession>(door_, timeout_ms_, owner, MountSession::AfterLoss::kEnd);
  session->start();
  return session;
}

std::expected<OwnerSessions::Shared, int> OwnerSessions::of_process(pid_t pid,
                                                                    pid_t caller,
                                                                    uid_t user) {
  const pid_t here = pid_seen_from_here(pid, caller);
  if (here == 0) return std::unexpected(EINVAL);
  if (user != 0 && user_of(here) != user) return std::unexpected(EPERM);
  if (const auto it = processes_.find(here); it != processes_.end()) {
    // Its number may have a new bearer already, whose end we have not been told of. One whose
    // session was lost begins another.
    if (!has_ended(it->second.pidfd->native_handle()) && !it->second.session->over()) {
      return it->second.session;
    }
    exited(here, it->second.session.get());
  }
  const int pidfd = pidfd_open(here);
  if (pidfd < 0) return std::unexpected(EINVAL);
  Process process;
  process.pidfd = std::make_unique<asio::posix::stream_descriptor>(context_, pidfd);
  if (has_ended(pidfd)) return std::unexpected(EINVAL);
  process.session =
      make(fmt::format("node {} pid {} {}", door_.status().self, here, command_of(here)));
  const Shared session = process.session;
  watch(here, std::move(process));
  return session;
}

void OwnerSessions::watch(pid_t pid, Process process) {
  process.pidfd->async_wait(
      asio::posix::stream_descriptor::wait_read,
      [this, alive = alive_, pid, of = process.session.get()](const asio::error_code& error) {
        if (!error && *alive) exited(pid, of);
      });
  processes_[pid] = std::move(process);
}

void OwnerSessions::exited(pid_t pid, const MountSession* of) {
  const auto it = processes_.find(pid);
  if (it == processes_.end() || it->second.session.get() != of) return;
  const Shared session = std::move(it->second.session);
  processes_.erase(it);
  ZKFS_LOG_DEBUG(mount, "process {} ended, its session goes", pid);
  end(session);
}

OwnerSessions::Shared OwnerSessions::of_file(pid_t opener) {
  const Shared session = make(fmt::format("node {} open file of pid {} {}", door_.status().self,
                                          opener, command_of(opener)));
  files_[session.get()] = session;
  return session;
}

void OwnerSessions::end(const Shared& session) {
  files_.erase(session.get());
  ending_[session.get()] = session;
  session->end([this, alive = alive_, key = session.get()] {
    // Not from within its own callback.
    if (*alive)
      asio::post(context_, [this, alive, key] {
        if (*alive) ending_.erase(key);
      });
  });
}

bool OwnerSessions::own(SessionId session) const {
  const auto is_it = [session](const auto& entry) { return entry.second->id() == session; };
  return std::ranges::any_of(
             processes_,
             [session](const auto& entry) { return entry.second.session->id() == session; }) ||
         std::ranges::any_of(files_, is_it) || std::ranges::any_of(ending_, is_it);
}

void OwnerSessions::stop() {
  for (auto& [pid, process] : std::exchange(processes_, {})) process.session->stop();
  for (auto& [key, session] : std::exchange(files_, {})) session->stop();
  for (auto& [key, session] : std::exchange(ending_, {})) session->stop();
}

}  // namespace zkfs::mount
