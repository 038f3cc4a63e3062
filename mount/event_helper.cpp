// SPDX-License-Identifier: Apache-2.0
#include "mount/event_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "ensemble/base/check.h"
#include "ensemble/base/log.h"
#include "mount/event_worker.h"

namespace zkfs::mount {

namespace {

constexpr std::chrono::milliseconds kReapWait{1000};

// Waits for a worker's end, `patience` at most. True once it has ended; a child is reaped then.
bool reap(pid_t pid, std::chrono::milliseconds patience) {
  const int handle = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  bool ended = handle < 0;
  if (handle >= 0) {
    pollfd wait{handle, POLLIN, 0};
    while (::poll(&wait, 1, static_cast<int>(patience.count())) < 0 && errno == EINTR) {
    }
    ended = (wait.revents & POLLIN) != 0;
    ::close(handle);
  }
  const pid_t reaped = ::waitpid(pid, nullptr, WNOHANG);
  return reaped == pid || (ended && reaped < 0 && errno == ECHILD);
}

}  // namespace

struct EventHelper::State {
  std::vector<Worker> workers;
  std::function<void(pid_t)> over;  // of adopted ones

  bool send(const Worker& worker, const std::string& bytes) const;
  void bury(Worker& worker);
  void end(Worker& worker);
};

bool EventHelper::State::send(const Worker& worker, const std::string& bytes) const {
  if (worker.socket < 0) return false;
  const auto size = static_cast<ssize_t>(bytes.size());
  return ::send(worker.socket, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL) == size;
}

// It has ended, or closed its socket, which it never does alive. Its pid stays taken until it is
// reaped, so is_worker cannot take a stranger for it.
void EventHelper::State::bury(Worker& worker) {
  ::close(std::exchange(worker.socket, -1));
  const pid_t pid = std::exchange(worker.pid, 0);
  ::kill(pid, SIGKILL);
  if (!reap(pid, kReapWait))
    ZKFS_LOG_WARN(mount, "event worker did not end, left to init pid={}", pid);
  if (over) over(pid);
}

void EventHelper::State::end(Worker& worker) {
  if (worker.pid == 0) return;
  ::close(std::exchange(worker.socket, -1));
  const pid_t pid = std::exchange(worker.pid, 0);
  if (!reap(pid, kReapWait)) {
    ::kill(pid, SIGKILL);
    if (!reap(pid, kReapWait))
      ZKFS_LOG_WARN(mount, "event worker is stuck in a call, left to init pid={}", pid);
  }
  if (over) over(pid);
}

EventHelper::EventHelper(std::unique_ptr<State> state) : state_(std::move(state)) {}

EventHelper::~EventHelper() {
  // All sockets first, so that they end side by side.
  for (Worker& worker : state_->workers)
    if (worker.socket >= 0) ::shutdown(worker.socket, SHUT_RDWR);
  for (Worker& worker : state_->workers) state_->end(worker);
}

Expected<std::unique_ptr<EventHelper>> EventHelper::spawn(int workers) {
  std::unique_ptr<EventHelper> helper(new EventHelper(std::make_unique<State>()));
  const pid_t daemon = ::getpid();
  for (int i = 0; i < workers; ++i) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
      return std::unexpected(
          Problem{fmt::format("event worker {}: socketpair: {}", i, ::strerror(errno))});
    const pid_t pid = ::fork();
    if (pid == 0) run_event_worker(ends[1], daemon);
    const int error = errno;
    ::close(ends[1]);
    if (pid < 0) {
      ::close(ends[0]);
      return std::unexpected(
          Problem{fmt::format("event worker {}: fork: {}", i, ::strerror(error))});
    }
    helper->state_->workers.push_back({pid, ends[0]});
  }
  return helper;
}

std::unique_ptr<EventHelper> EventHelper::adopt(std::vector<Worker> workers,
                                                std::function<void(pid_t)> over) {
  std::unique_ptr<EventHelper> helper(new EventHelper(std::make_unique<State>()));
  helper->state_->workers = std::move(workers);
  helper->state_->over = std::move(over);
  return helper;
}

void EventHelper::attach(const std::string& mountpoint) {
  const std::string order = encode_attach(mountpoint);
  for (const Worker& worker : state_->workers)
    if (worker.socket >= 0 && !state_->send(worker, order))
      ZKFS_LOG_ERROR(mount, "event worker cannot be told to attach pid={}", worker.pid);
}

void EventHelper::detach() {
  const std::string order = encode_detach();
  for (const Worker& worker : state_->workers)
    if (worker.socket >= 0 && !state_->send(worker, order))
      ZKFS_LOG_WARN(mount, "event worker cannot be told to detach pid={}", worker.pid);
}

bool EventHelper::is_worker(pid_t pid) const {
  return worker_of(pid).has_value();
}

std::size_t EventHelper::worker_count() const {
  return state_->workers.size();
}

std::size_t EventHelper::living_count() const {
  std::size_t count = 0;
  for (const Worker& worker : state_->workers) count += worker.pid != 0 ? 1 : 0;
  return count;
}

std::optional<std::size_t> EventHelper::worker_of(pid_t pid) const {
  for (std::size_t i = 0; pid != 0 && i < state_->workers.size(); ++i)
    if (state_->workers[i].pid == pid) return i;
  return std::nullopt;
}

int EventHelper::descriptor(std::size_t worker) const {
  return state_->workers.at(worker).socket;
}

bool EventHelper::prune(std::size_t worker) {
  return state_->send(state_->workers.at(worker), encode_prune());
}

bool EventHelper::send(std::size_t worker, const Poke& poke) {
  ZKFS_CHECK(poke.token != 0, "poke without a token name={}", poke.name);
  const std::string order = encode_order(poke);
  ZKFS_CHECK(!order.empty(), "poke with an impossible name of {} bytes", poke.name.size());
  return state_->send(state_->workers.at(worker), order);
}

std::vector<int> EventHelper::descriptors() const {
  std::vector<int> descriptors;
  for (const Worker& worker : state_->workers)
    if (worker.socket >= 0) descriptors.push_back(worker.socket);
  return descriptors;
}

bool EventHelper::receive(int descriptor,
                          const std::function<void(std::uint64_t token, int error)>& done) {
  for (Worker& worker : state_->workers) {
    if (worker.socket != descriptor || descriptor < 0) continue;
    for (;;) {
      WorkerDone message;
      const ssize_t size = ::recv(descriptor, &message, sizeof message, MSG_DONTWAIT);
      if (size == static_cast<ssize_t>(sizeof message)) {
        done(message.token, message.error);
        continue;
      }
      if (size < 0 && errno == EINTR) continue;
      if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
      state_->bury(worker);
      return false;
    }
  }
  return false;
}

}  // namespace zkfs::mount
