// SPDX-License-Identifier: Apache-2.0
#include "zkfs/status_command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <sstream>

#include <fmt/format.h>

namespace zkfs {
namespace {

constexpr std::chrono::milliseconds kDeadline{3'000};

struct Answer {
  std::string text;
  int error = 0;  // errno of the read
  bool timed_out = false;
};

// Runs in the child: copies the file to `out`, tells an errno by the exit status.
[[noreturn]] void copy_file(const std::string& path, int out) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) _exit(errno);
  char buffer[4096];
  for (;;) {
    const ssize_t count = read(file, buffer, sizeof buffer);
    if (count < 0) _exit(errno);
    if (count == 0 || write(out, buffer, static_cast<std::size_t>(count)) != count) _exit(0);
  }
}

// Reads all of `pipe` until its end or the deadline; true if the end came.
bool read_until_end(int pipe, std::string& text) {
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd ready{.fd = pipe, .events = POLLIN, .revents = 0};
    if (left.count() <= 0 || poll(&ready, 1, static_cast<int>(left.count())) == 0) return false;
    char buffer[4096];
    const ssize_t count = read(pipe, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return true;
    text.append(buffer, static_cast<std::size_t>(count));
  }
}

// Reads a file of a mount in a process of its own: a read from a frozen server cannot be taken
// back, only abandoned.
Answer read_from_mount(const std::string& path) {
  Answer answer;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return {.text = "", .error = errno, .timed_out = false};
  const pid_t child = fork();
  if (child < 0) {
    answer.error = errno;
  } else if (child == 0) {
    copy_file(path, ends[1]);
  }
  close(ends[1]);
  if (child > 0) {
    answer.timed_out = !read_until_end(ends[0], answer.text);
    int status = 0;
    if (answer.timed_out) {
      kill(child, SIGKILL);  // not waited for: it may be beyond reach
    } else if (waitpid(child, &status, 0) == child && WIFEXITED(status)) {
      answer.error = WEXITSTATUS(status);
    }
  }
  close(ends[0]);
  return answer;
}

int complain(const std::string& mountpoint, const Answer& answer) {
  if (answer.timed_out) {
    fmt::print(stderr, "zkfs: {}: the server does not answer; is its process stopped?\n",
               mountpoint);
    return kExitTimedOut;
  }
  if (answer.error == ENOTCONN)
    fmt::print(stderr, "zkfs: {}: the server is gone; start zkfs serve again, or umount it\n",
               mountpoint);
  else
    fmt::print(stderr, "zkfs: {}: {}\n", mountpoint, std::strerror(answer.error));
  return kExitNo;
}

// The value of a line "name   value" of the status.
std::string value_of(const std::string& status, std::string_view name) {
  std::istringstream lines(status);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ' ') continue;
    const std::size_t value = line.find_first_not_of(' ', name.size());
    return value == std::string::npos ? "" : line.substr(value);
  }
  return "";
}

int status_of_one(std::string mountpoint) {
  std::error_code ignored;
  const std::vector<std::string> mounts = zkfs_mounts(mount::mounts_of_this_process());
  const auto mounted = [&mounts](const std::string& path) {
    return std::ranges::find(mounts, path) != mounts.end();
  };
  // First by the name alone: resolving it would ask a server that may not answer.
  std::string path = std::filesystem::absolute(mountpoint, ignored).lexically_normal().string();
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  if (!mounted(path)) path = std::filesystem::canonical(mountpoint, ignored).string();
  if (!mounted(path)) {
    fmt::print(stderr, "zkfs: {}: no zkfs is mounted there; zkfs status lists those that are\n",
               mountpoint);
    return kExitNo;
  }
  const Answer answer = read_from_mount(path + "/.zkfs/status");
  if (answer.timed_out || answer.error != 0) return complain(mountpoint, answer);
  std::fwrite(answer.text.data(), 1, answer.text.size(), stdout);
  return value_of(answer.text, "quorum") == "yes" ? kExitYes : kExitNoQuorum;
}

int status_of_all() {
  const std::vector<std::string> mounts = zkfs_mounts(mount::mounts_of_this_process());
  if (mounts.empty()) {
    fmt::print(stderr, "zkfs: no zkfs is mounted here; zkfs serve MOUNTPOINT mounts one\n");
    return kExitNo;
  }
  int worst = kExitYes;
  for (const std::string& mountpoint : mounts) {
    const Answer answer = read_from_mount(mountpoint + "/.zkfs/status");
    if (answer.timed_out || answer.error != 0) {
      worst = std::max(worst, complain(mountpoint, answer));
      continue;
    }
    const std::string& text = answer.text;
    fmt::print("{}  role={} server={} leader={} epoch={} zxid={} znodes={}\n", mountpoint,
               value_of(text, "role"), value_of(text, "server"), value_of(text, "leader"),
               value_of(text, "epoch"), value_of(text, "zxid"), value_of(text, "znodes"));
    if (value_of(text, "quorum") != "yes") worst = std::max<int>(worst, kExitNoQuorum);
  }
  return worst;
}

}  // namespace

std::vector<std::string> zkfs_mounts(const std::vector<mount::MountEntry>& all) {
  std::vector<std::string> mounts;
  for (const mount::MountEntry& entry : all) {
    if (entry.type != mount::kFilesystemType) continue;
    if (std::ranges::find(mounts, entry.path) == mounts.end()) mounts.push_back(entry.path);
  }
  return mounts;
}

int run_status(const StatusCommand& command) {
  return command.mountpoint.empty() ? status_of_all() : status_of_one(command.mountpoint);
}

}  // namespace zkfs
