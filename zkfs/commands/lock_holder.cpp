// SPDX-License-Identifier: Apache-2.0
#include "zkfs/commands/lock_holder.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "zkfs/commands/deadline.h"

namespace zkfs {
namespace {

constexpr Millis kAskEvery{100};
constexpr mode_t kFileMode = 0666;
// What the parent says: a process group to guard, or this.
constexpr pid_t kDone = 0;

// One datagram, with a descriptor if `fd` is one.
bool send_report(int socket, LockReport report, int fd) {
  iovec bytes{&report, sizeof report};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof report;
}

// --- in the holder ---

LockReport ask(int fd) {
  LockReport report;
  if (ioctl(fd, mount::kIoctlLockState, &report.lock) != 0) report.error = errno;
  return report;
}

// A file that one open creates is in the tree once it is asked for its name; only then has it a
// number that all know. That others make it, too, is no failure.
int make_file(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, kFileMode));
  if (!file) return errno;
  const auto name = attribute(file.get(), "name");
  return name ? 0 : name.error();
}

Answer<Descriptor> take(const LockWish& wish) {
  // Before anything is created elsewhere.
  if (const auto there = require_zkfs_directory(directory_of(wish.path)); !there) {
    if (there.error() != kNotZkfs || !require_zkfs(wish.path))
      return std::unexpected(there.error());
  }
  Descriptor file(open(wish.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file && errno == ENOENT) {
    if (const int error = make_file(wish.path); error != 0) return std::unexpected(error);
    file = Descriptor(open(wish.path.c_str(), O_RDONLY | O_CLOEXEC));
  }
  if (!file) return std::unexpected(errno);

  struct stat status {};

  if (fstat(file.get(), &status) == 0 && S_ISDIR(status.st_mode)) return std::unexpected(EISDIR);
  const int operation = (wish.shared ? LOCK_SH : LOCK_EX) | (wish.try_only ? LOCK_NB : 0);
  while (flock(file.get(), operation) != 0) {
    if (errno != EINTR) return std::unexpected(errno);
  }
  return file;
}

[[noreturn]] void hold(int socket, int fd) {
  pid_t group = kDone;
  while (true) {
    pollfd told{.fd = socket, .events = POLLIN, .revents = 0};
    if (poll(&told, 1, static_cast<int>(kAskEvery.count())) <= 0) {
      send_report(socket, ask(fd), -1);
      continue;
    }
    pid_t word = kDone;
    if (recv(socket, &word, sizeof word, 0) == sizeof word) {
      group = word;
      if (group != kDone) continue;
      flock(fd, LOCK_UN);
    } else if (group != kDone) {
      // The parent is gone. Nobody would watch over what it ran.
      kill(-group, SIGKILL);
    }
    _exit(0);
  }
}

[[noreturn]] void be_holder(int socket, const LockWish& wish, pid_t parent) {
  die_with_parent(parent);
  // Signals of the terminal are for the parent.
  setpgid(0, 0);
  const auto file = take(wish);
  LockReport first = file ? ask(file->get()) : LockReport{.error = file.error(), .lock = {}};
  const bool granted = first.error == 0;
  if (!send_report(socket, first, granted ? file->get() : -1) || !granted) _exit(0);
  // From here on the parent's end is seen at the socket: what it ran must end before the lock does.
  prctl(PR_SET_PDEATHSIG, 0);
  hold(socket, file->get());
}

}  // namespace

// --- in the parent ---

Answer<LockHolder> LockHolder::start(const LockWish& wish) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return std::unexpected(errno);
  Descriptor ours(ends[0]);
  Descriptor theirs(ends[1]);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return std::unexpected(errno);
  if (pid == 0) {
    ours.close();
    be_holder(theirs.get(), wish, parent);
  }
  return LockHolder(std::move(ours), pid);
}

LockHolder::~LockHolder() {
  if (socket_) end(Millis(0));
}

Answer<LockReport> LockHolder::next() {
  LockReport report;
  iovec bytes{&report, sizeof report};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t size = recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return std::unexpected(EAGAIN);
  if (size != sizeof report) return std::unexpected(ESRCH);
  if (const cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    lock_ = Descriptor(fd);
  }
  return report;
}

void LockHolder::guard(pid_t group) {
  (void)send(socket_.get(), &group, sizeof group, MSG_NOSIGNAL);
}

void LockHolder::release(Millis limit) {
  (void)send(socket_.get(), &kDone, sizeof kDone, MSG_NOSIGNAL);
  end(limit);
}

void LockHolder::end(Millis limit) {
  const Descriptor ended(open_pidfd(pid_));
  pollfd item{.fd = ended.get(), .events = POLLIN, .revents = 0};
  if (limit.count() == 0 || poll(&item, 1, static_cast<int>(limit.count())) <= 0) {
    kill(pid_, SIGKILL);
    (void)poll(&item, 1, static_cast<int>(kAskEvery.count()));
  }
  waitpid(pid_, nullptr, WNOHANG);
  socket_.close();
  lock_.close();
}

}  // namespace zkfs
