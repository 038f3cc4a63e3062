// SPDX-License-Identifier: Apache-2.0
#include "zkfs/commands/lock_command.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "zkfs/commands/client.h"
#include "zkfs/commands/deadline.h"
#include "zkfs/commands/lock_holder.h"

namespace zkfs {
namespace {

using Clock = std::chrono::steady_clock;
using mount::LockState;

constexpr Millis kLostRelease{100};
constexpr int kExitCannotRun = 126;
constexpr int kExitNotFound = 127;
constexpr std::array kForwarded{SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

int poll_limit(std::optional<Clock::time_point> deadline) {
  if (!deadline) return -1;
  const auto left = std::chrono::ceil<Millis>(*deadline - Clock::now()).count();
  constexpr Millis::rep kMax = std::numeric_limits<int>::max();
  return static_cast<int>(std::clamp(left, Millis::rep{0}, kMax));
}

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : kForwarded) sigaddset(&set, number);
  sigaddset(&set, SIGCHLD);
  return set;
}

// The terminal, if we are in its foreground; it is lent to the command's process group.
class Terminal {
 public:
  Terminal() : ours_(tcgetpgrp(STDIN_FILENO) == getpgrp()) {
    // To take it back from the background is what it is for.
    if (ours_) signal(SIGTTOU, SIG_IGN);
  }

  void lend(pid_t group) const {
    if (ours_) tcsetpgrp(STDIN_FILENO, group);
  }

  void take_back() const { lend(getpgrp()); }

 private:
  bool ours_;
};

// The command, in a process group of its own.
class Job {
 public:
  // Requires: handled_signals() are blocked; `mask` is what was blocked before.
  Job(const LockCommand& command, const std::string& token, const sigset_t& mask) {
    std::fflush(stdout);
    const pid_t parent = getpid();
    group_ = fork();
    if (group_ == 0) become(command, token, mask, parent);
    if (group_ < 0) return;
    setpgid(group_, group_);  // whoever of the two comes first
    terminal_.lend(group_);
  }

  [[nodiscard]] pid_t group() const { return group_; }

  void send(int number) const { kill(-group_, number); }

  // Its exit code once it has ended.
  std::optional<int> reap() {
    int status = 0;
    const pid_t found = waitpid(group_, &status, WNOHANG | WUNTRACED);
    if (found != group_) return std::nullopt;
    if (WIFSTOPPED(status)) {
      // Stop along, as its shell expects; it wakes us.
      terminal_.take_back();
      raise(SIGSTOP);
      terminal_.lend(group_);
      send(SIGCONT);
      return std::nullopt;
    }
    terminal_.take_back();
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  [[noreturn]] static void become(const LockCommand& command,
                                  const std::string& token,
                                  const sigset_t& mask,
                                  pid_t parent) {
    setpgid(0, 0);
    die_with_parent(parent);
    signal(SIGTTOU, SIG_DFL);
    sigprocmask(SIG_SETMASK, &mask, nullptr);
    setenv("ZKFS_LOCK_TOKEN", token.c_str(), 1);
    std::vector<char*> argv;
    for (const std::string& word : command.command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    execvp(argv[0], argv.data());
    const int error = errno;
    complain(command.command.front(), std::strerror(error));
    _exit(error == ENOENT ? kExitNotFound : kExitCannotRun);
  }

  Terminal terminal_;
  pid_t group_ = -1;
};

std::string text_of(LockState state) {
  switch (state) {
    case LockState::kHeld:
      return "the lock is held";
    case LockState::kNone:
      return "the lock is not held any more";
    case LockState::kSuspect:
      return "no quorum for so long that others may be given the lock soon";
    case LockState::kLost:
      return "the lock was lost: this server was cut off, and its session ended";
  }
  return "";
}

// Runs the command and watches over the lock.
class Watcher {
 public:
  Watcher(const LockCommand& command, LockHolder& holder) : command_(command), holder_(holder) {}

  // The exit code.
  int run(const std::string& token) {
    const sigset_t set = handled_signals();
    sigset_t before;
    sigprocmask(SIG_BLOCK, &set, &before);
    signals_ = Descriptor(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    Job job(command_, token, before);
    if (!signals_ || job.group() < 0) return complain("fork", std::strerror(errno));
    holder_.guard(job.group());
    heard_ = Clock::now();
    std::optional<int> ended;
    while (!ended) {
      await();
      take_signals(job);
      take_reports(job);
      ended = job.reap();
    }
    // What is left of its group works under a lock that is not held.
    if (stopping_) job.send(SIGKILL);
    return stopping_ ? static_cast<int>(kExitNo) : *ended;
  }

  [[nodiscard]] bool lost() const { return stopping_; }

 private:
  void await() {
    // Once the holder is gone its end of the socket would be readable for ever.
    std::array<pollfd, 2> ready{
        {{signals_.get(), POLLIN, 0}, {stopping_ ? -1 : holder_.descriptor(), POLLIN, 0}}};
    (void)poll(ready.data(), ready.size(),
               poll_limit(stopping_ ? kill_at_ : heard_ + command_.suspect_after));
  }

  void take_signals(Job& job) const {
    signalfd_siginfo info{};
    while (read(signals_.get(), &info, sizeof info) == sizeof info) {
      const int number = static_cast<int>(info.ssi_signo);
      if (number != SIGCHLD) job.send(number);
    }
  }

  void take_reports(Job& job) {
    if (stopping_) {
      if (kill_at_ && Clock::now() >= *kill_at_) {
        job.send(SIGKILL);
        kill_at_.reset();
      }
      return;
    }
    while (true) {
      const auto report = holder_.next();
      if (!report && report.error() == EAGAIN) break;
      if (!report) return stop(job, "the process that watches the lock is gone");
      if (report->error == ENOTCONN || report->error == ECONNABORTED)
        return stop(job, "the server is gone");
      if (report->error != 0) return stop(job, std::strerror(report->error));
      if (report->lock.state != LockState::kHeld) return stop(job, text_of(report->lock.state));
      heard_ = Clock::now();
    }
    if (Clock::now() - heard_ >= command_.suspect_after)
      stop(job, "the server does not answer; others may be given the lock soon");
  }

  void stop(Job& job, const std::string& why) {
    complain(command_.path, why + "; the command is ended");
    stopping_ = true;
    kill_at_ = Clock::now() + command_.grace;
    job.send(SIGTERM);
    job.send(SIGCONT);
  }

  const LockCommand& command_;
  LockHolder& holder_;
  Descriptor signals_;
  Clock::time_point heard_;
  bool stopping_ = false;
  std::optional<Clock::time_point> kill_at_;
};

int refused(const LockCommand& command, int error) {
  switch (error) {
    case EWOULDBLOCK:
      return complain(command.path, "is locked by another");
    case ENOTTY:
      return complain(
          command.path,
          "the locks of this mount hold on one machine only; use flock(1) for those, or "
          "a newer zkfs serve");
    case EISDIR:
      return complain(command.path, "is a directory; lock a file in it");
    case ENOENT:
      return complain(command.path, "its directory does not exist; zkfs create -d -p makes it");
    case EINTR:
    case ESRCH:
      return complain(command.path, "the process that waits for the lock was killed");
    default:
      return complain_errno(command.path, error);
  }
}

// The grant, or the exit code.
std::expected<LockReport, int> await_grant(const LockCommand& command, LockHolder& holder) {
  std::optional<Clock::time_point> deadline;
  if (command.wait) deadline = Clock::now() + *command.wait;
  while (true) {
    pollfd ready{.fd = holder.descriptor(), .events = POLLIN, .revents = 0};
    const int count = poll(&ready, 1, poll_limit(deadline));
    if (count == 0 && poll_limit(deadline) == 0) {
      return std::unexpected(
          complain(command.path, "timed out; another holds the lock, or the server does not answer",
                   kExitTimedOut));
    }
    if (count <= 0) continue;
    const auto report = holder.next();
    if (!report && report.error() == EAGAIN) continue;
    const int error = report ? report->error : report.error();
    if (error != 0) return std::unexpected(refused(command, error));
    if (report->lock.state == LockState::kNone) return std::unexpected(refused(command, ENOTTY));
    if (report->lock.state != LockState::kHeld)
      return std::unexpected(complain(command.path, text_of(report->lock.state)));
    return *report;
  }
}

}  // namespace

int run_lock(const LockCommand& command) {
  auto holder = LockHolder::start(
      {.path = command.path, .shared = command.shared, .try_only = command.try_only});
  if (!holder) return complain("fork", std::strerror(holder.error()));
  const auto granted = await_grant(command, *holder);
  if (!granted) return granted.error();
  const std::string token = fmt::format("{:#x}", granted->lock.zxid);
  if (command.print_token && print_all(token + "\n") != kExitYes) return kExitNo;
  Watcher watcher(command, *holder);
  const int code = watcher.run(token);
  // Who lost it has nothing to give up, and perhaps a server that does not answer.
  holder->release(watcher.lost() ? kLostRelease : command.suspect_after);
  return code;
}

}  // namespace zkfs
