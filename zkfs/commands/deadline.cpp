// SPDX-License-Identifier: Apache-2.0
#include "zkfs/commands/deadline.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>

#include "zkfs/commands/client.h"

namespace zkfs {
namespace {

// Until the process has ended; false after `limit`.
bool await_end(int pidfd, Millis limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (true) {
    const auto left = std::chrono::ceil<Millis>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    constexpr Millis::rep kMax = std::numeric_limits<int>::max();
    pollfd ended{.fd = pidfd, .events = POLLIN, .revents = 0};
    if (poll(&ended, 1, static_cast<int>(std::min(left.count(), kMax))) > 0) return true;
  }
}

}  // namespace

std::optional<int> run_within(Millis limit, const std::function<int()>& work) {
  std::fflush(stdout);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) return complain("fork", std::strerror(errno));
  if (child == 0) {
    die_with_parent(parent);
    const int code = work();
    std::fflush(stdout);
    _exit(code);
  }
  const Descriptor ended(open_pidfd(child));
  if (!ended) return complain("pidfd_open", std::strerror(errno));
  if (!await_end(ended.get(), limit)) {
    kill(child, SIGKILL);  // not waited for: it may be beyond reach
    return std::nullopt;
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void die_with_parent(int parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(128 + SIGKILL);
}

int open_pidfd(int pid) {
  return static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
}

}  // namespace zkfs
