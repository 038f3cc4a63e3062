// SPDX-License-Identifier: Apache-2.0
#include "mount/event_zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "ensemble/base/check.h"
#include "mount/event_worker.h"

namespace zkfs::mount {

namespace {

constexpr int kSocket = 3;  // where it lies in the zygote
constexpr int kAnswerWaitMs = 1000;

// Daemon to zygote.
struct Order {
  std::int32_t fork = 0;  // how many workers; 0: none
  std::int32_t reap = 0;  // a worker that the daemon is done with; 0: none
};

// Zygote to daemon, after an order to fork; the sockets come along as descriptors.
struct Forked {
  std::int32_t error = 0;
  std::int32_t count = 0;
  std::array<std::int32_t, EventZygote::kSetMax> pids{};
};

// Room for the descriptors of a set, aligned as the kernel wants it.
union Passed {
  cmsghdr header;
  std::array<char, CMSG_SPACE(sizeof(int) * EventZygote::kSetMax)> bytes;
};

void become_zygote(int socket, pid_t daemon) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The daemon may have died between fork and prctl.
  if (::getppid() != daemon) ::_exit(0);
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  // It ends with its socket, as the workers do.
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE}) ::signal(number, SIG_IGN);
  ::prctl(PR_SET_NAME, "zkfs-zygote");
  (void)::chdir("/");
  if (socket != kSocket && ::dup2(socket, kSocket) < 0) ::_exit(1);
  const int nothing = ::open("/dev/null", O_RDWR);
  for (int standard = 0; nothing >= 0 && standard < kSocket; ++standard) ::dup2(nothing, standard);
  if (::close_range(kSocket + 1, ~0U, 0) != 0) ::_exit(1);
}

bool send_set(const Forked& forked, const std::vector<int>& sockets) {
  Forked bytes = forked;
  iovec part{.iov_base = &bytes, .iov_len = sizeof bytes};
  Passed passed{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!sockets.empty()) {
    message.msg_control = passed.bytes.data();
    message.msg_controllen = CMSG_SPACE(sizeof(int) * sockets.size());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * sockets.size());
    ::memcpy(CMSG_DATA(header), sockets.data(), sizeof(int) * sockets.size());
  }
  return ::sendmsg(kSocket, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof bytes);
}

// In the zygote. Half a set is none: its sockets are closed, which ends who was forked.
bool fork_set(int workers) {
  Forked forked;
  std::vector<int> sockets;
  const pid_t zygote = ::getpid();
  for (int i = 0; i < workers && i < EventZygote::kSetMax && forked.error == 0; ++i) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
      forked.error = errno;
      break;
    }
    const pid_t pid = ::fork();
    if (pid == 0) run_event_worker(ends[1], zygote);
    if (pid < 0) forked.error = errno;
    ::close(ends[1]);
    sockets.push_back(ends[0]);
    if (pid > 0) forked.pids.at(static_cast<std::size_t>(forked.count++)) = pid;
  }
  const bool sent = send_set(forked, forked.error == 0 ? sockets : std::vector<int>{});
  for (const int socket : sockets) ::close(socket);
  return sent;
}

[[noreturn]] void run_zygote(int socket, pid_t daemon) {
  become_zygote(socket, daemon);
  std::vector<pid_t> over;  // to be reaped
  for (;;) {
    Order order;
    const ssize_t size = ::recv(kSocket, &order, sizeof order, 0);
    if (size < 0 && errno == EINTR) continue;
    if (size != static_cast<ssize_t>(sizeof order)) ::_exit(0);
    if (order.reap > 0) over.push_back(order.reap);
    // One that is stuck is looked at again with the next order.
    std::erase_if(over, [](pid_t pid) { return ::waitpid(pid, nullptr, WNOHANG) != 0; });
    if (order.fork > 0 && !fork_set(order.fork)) ::_exit(0);
  }
}

std::unexpected<Problem> problem(std::string text) {
  return std::unexpected(Problem{std::move(text)});
}

std::vector<int> descriptors_of(msghdr& message) {
  std::vector<int> descriptors;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    descriptors.resize((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    ::memcpy(descriptors.data(), CMSG_DATA(header), descriptors.size() * sizeof(int));
  }
  return descriptors;
}

}  // namespace

struct EventZygote::State {
  pid_t pid = 0;
  int socket = -1;  // -1: gone, or given up

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  ~State() { give_up(); }

  void give_up() {
    if (socket < 0) return;
    ::close(std::exchange(socket, -1));
    // It waits for nobody but us; it may only have been stopped.
    ::kill(pid, SIGKILL);
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  bool send(const Order& order) const {
    return socket >= 0 && ::send(socket, &order, sizeof order, MSG_DONTWAIT | MSG_NOSIGNAL) ==
                              static_cast<ssize_t>(sizeof order);
  }
};

EventZygote::EventZygote(std::shared_ptr<State> state) : state_(std::move(state)) {}

EventZygote::~EventZygote() {
  state_->give_up();
}

Expected<std::unique_ptr<EventZygote>> EventZygote::spawn() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return problem(fmt::format("event zygote: socketpair: {}", ::strerror(errno)));
  const pid_t daemon = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) run_zygote(ends[1], daemon);
  const int error = errno;
  ::close(ends[1]);
  if (pid < 0) {
    ::close(ends[0]);
    return problem(fmt::format("event zygote: fork: {}", ::strerror(error)));
  }
  auto state = std::make_shared<State>();
  state->pid = pid;
  state->socket = ends[0];
  return std::unique_ptr<EventZygote>(new EventZygote(std::move(state)));
}

Expected<std::unique_ptr<EventHelper>> EventZygote::helper(int workers) {
  ZKFS_CHECK(workers > 0 && workers <= kSetMax, "a set of {} event workers", workers);
  constexpr const char* kGone = "the process that forks event workers is gone; restart the server";
  if (!state_->send({.fork = workers, .reap = 0})) return problem(kGone);
  pollfd ready{.fd = state_->socket, .events = POLLIN, .revents = 0};
  while (::poll(&ready, 1, kAnswerWaitMs) < 0 && errno == EINTR) {
  }
  Forked forked;
  iovec part{.iov_base = &forked, .iov_len = sizeof forked};
  Passed passed{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = passed.bytes.data();
  message.msg_controllen = passed.bytes.size();
  const ssize_t size = ::recvmsg(state_->socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size != static_cast<ssize_t>(sizeof forked)) {
    // An answer that came later would be taken for the next one's.
    state_->give_up();
    return problem(kGone);
  }
  const std::vector<int> sockets = descriptors_of(message);
  const auto reap = [weak = std::weak_ptr(state_)](pid_t pid) {
    if (const auto state = weak.lock()) (void)state->send({.fork = 0, .reap = pid});
  };
  const auto count = static_cast<std::size_t>(forked.count);
  if (forked.error != 0 || sockets.size() != count) {
    for (std::size_t i = 0; i < count; ++i) reap(forked.pids.at(i));
    for (const int socket : sockets) ::close(socket);
    return problem(fmt::format("event workers: {}", ::strerror(forked.error)));
  }
  std::vector<EventHelper::Worker> set;
  for (std::size_t i = 0; i < count; ++i) set.push_back({forked.pids.at(i), sockets[i]});
  return EventHelper::adopt(std::move(set), reap);
}

}  // namespace zkfs::mount
