// SPDX-License-Identifier: Apache-2.0
#include "mount/fusermount.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <spawn.h>

namespace zkfs::mount {

namespace {

constexpr const char* kProgram = "fusermount3";
constexpr std::chrono::seconds kPatience{10};

std::unexpected<Problem> problem(std::string text) {
  return std::unexpected(Problem{std::move(text)});
}

struct Ended {
  int status = -1;   // of waitpid; -1: it did not start, or did not end
  std::string said;  // on standard error, or why it did not run
};

// What it says until it closes its standard error, which is its end, or the deadline.
bool read_until_end(int fd, std::string& text) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
    const int found = left.count() <= 0 ? 0 : ::poll(&ready, 1, static_cast<int>(left.count()));
    if (found < 0 && errno == EINTR) continue;
    if (found <= 0) return false;
    std::array<char, 1024> buffer;
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return true;
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

// One line of it.
std::string trimmed(std::string text) {
  for (char& c : text) c = c == '\n' ? ' ' : c;
  while (text.ends_with(' ')) text.pop_back();
  const std::string prefix = fmt::format("{}: ", kProgram);
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

// Runs it. `passed`, if not negative, is the socket it may answer through.
Ended run(std::vector<std::string> arguments, int passed) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return {.status = -1, .said = std::strerror(errno)};
  std::vector<char*> words;
  std::string name = kProgram;
  words.push_back(name.data());
  for (std::string& argument : arguments) words.push_back(argument.data());
  words.push_back(nullptr);
  // A setuid program heeds little of an environment, and needs none but this.
  constexpr int kPassed = 3;
  std::string variable = fmt::format("_FUSE_COMMFD={}", kPassed);
  std::string path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  const std::array<char*, 3> environment{path.data(), passed < 0 ? nullptr : variable.data(),
                                         nullptr};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
  ::posix_spawn_file_actions_adddup2(&actions, 2, 1);
  if (passed >= 0) ::posix_spawn_file_actions_adddup2(&actions, passed, kPassed);
  // It must be able to be killed, and the daemon blocks signals while it starts.
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t pid = -1;
  const int error =
      ::posix_spawnp(&pid, kProgram, &actions, &attributes, words.data(), environment.data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  Ended ended;
  if (error != 0) {
    ended.said = fmt::format("{}; install fuse3, or run as root", std::strerror(error));
  } else {
    const bool over = read_until_end(ends[0], ended.said);
    if (!over) ::kill(pid, SIGKILL);
    while (::waitpid(pid, &ended.status, 0) < 0 && errno == EINTR) continue;
    ended.said = over ? trimmed(std::move(ended.said)) : "does not end";
  }
  ::close(ends[0]);
  return ended;
}

// The descriptor that came through the socket; -1 if none.
int receive_descriptor(int socket) {
  char byte = 0;
  iovec part{.iov_base = &byte, .iov_len = 1};

  union {
    cmsghdr header;
    std::array<char, CMSG_SPACE(sizeof(int))> bytes;
  } passed{};

  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = passed.bytes.data();
  message.msg_controllen = passed.bytes.size();
  if (::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0) return -1;
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return -1;
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}

}  // namespace

std::string fusermount_options(const MountOptions& options) {
  std::string text = "subtype=zkfs,fsname=";
  for (const char c : options.source) {
    if (c == ',' || c == '\\') text += '\\';
    text += c;
  }
  if (!options.exec) text += ",noexec";
  if (options.read_only) text += ",ro";
  if (options.allow_other) text += ",allow_other,default_permissions";
  return text;
}

Expected<int> fusermount(const std::string& path, const MountOptions& options) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return problem(fmt::format("{}: socketpair: {}", kProgram, std::strerror(errno)));
  const Ended ended = run({"-o", fusermount_options(options), "--", path}, ends[1]);
  ::close(ends[1]);
  const int fd = ended.status == 0 ? receive_descriptor(ends[0]) : -1;
  ::close(ends[0]);
  if (fd < 0) return problem(fmt::format("mounting at {}: {}: {}", path, kProgram, ended.said));
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  return fd;
}

Expected<void> fusermount_unmount(const std::string& path) {
  const Ended ended = run({"-u", "-z", "--", path}, -1);
  if (ended.status == 0) return {};
  return problem(fmt::format("unmounting {}: {}: {}", path, kProgram, ended.said));
}

}  // namespace zkfs::mount
