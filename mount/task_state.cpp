// SPDX-License-Identifier: Apache-2.0
#include "mount/task_state.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <string>

#include <fmt/core.h>

namespace zkfs::mount {

namespace {

constexpr std::uint64_t kExitingFlag = 0x4;  // PF_EXITING in field 9 of /proc/<tid>/stat

std::string read_proc(pid_t thread, const char* file) {
  const std::string path = fmt::format("/proc/{}/{}", thread, file);
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::array<char, 4096> buffer;  // NOLINT: filled by read
  const ssize_t length = ::read(fd, buffer.data(), buffer.size());
  ::close(fd);
  return length > 0 ? std::string(buffer.data(), static_cast<std::size_t>(length)) : std::string();
}

std::string_view field(std::string_view status, std::string_view name) {
  const auto at = status.find(name);
  if (at == std::string_view::npos) return {};
  std::string_view value = status.substr(at + name.size());
  value = value.substr(0, value.find('\n'));
  const auto start = value.find_first_not_of(" \t");
  return start == std::string_view::npos ? std::string_view{} : value.substr(start);
}

std::uint64_t number(std::string_view text, int base) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, base);
  return value;
}

constexpr std::uint64_t bit(int signal) {
  return 1ULL << static_cast<unsigned>(signal - 1);
}

// Signals that do not end a process by default.
constexpr std::uint64_t kHarmless = bit(SIGCHLD) | bit(SIGCONT) | bit(SIGURG) | bit(SIGWINCH) |
                                    bit(SIGSTOP) | bit(SIGTSTP) | bit(SIGTTIN) | bit(SIGTTOU);

bool is_exiting(pid_t thread) {
  const std::string stat = read_proc(thread, "stat");
  // The command, field 2, may hold anything but ends at the last ')'. Flags are the 7th after it.
  const auto close = stat.rfind(')');
  if (close == std::string::npos) return false;
  std::string_view rest = std::string_view(stat).substr(close + 1);
  for (int i = 0; i < 7; ++i) {
    const auto space = rest.find(' ');
    if (space == std::string_view::npos) return false;
    rest = rest.substr(space + 1);
  }
  return (number(rest, 10) & kExitingFlag) != 0;
}

}  // namespace

TaskState parse_task_status(std::string_view status) {
  TaskState state;
  state.group = static_cast<pid_t>(number(field(status, "\nTgid:"), 10));
  const std::string_view run = field(status, "\nState:");
  state.sleeping = run.starts_with('S');
  const std::uint64_t pending =
      number(field(status, "\nSigPnd:"), 16) | number(field(status, "\nShdPnd:"), 16);
  const std::uint64_t blocked = number(field(status, "\nSigBlk:"), 16);
  const std::uint64_t ignored = number(field(status, "\nSigIgn:"), 16);
  const std::uint64_t caught = number(field(status, "\nSigCgt:"), 16);
  const std::uint64_t deadly = pending & ~blocked & ~ignored & ~caught & ~kHarmless;
  state.fatal_pending = deadly != 0 || (pending & bit(SIGKILL)) != 0;
  return state;
}

std::optional<TaskState> read_task_state(pid_t thread) {
  if (thread <= 0) return {};
  const std::string status = read_proc(thread, "status");
  if (status.empty()) return {};
  TaskState state = parse_task_status(status);
  state.exiting = is_exiting(thread);
  return state;
}

bool is_standard_stream(pid_t thread, std::uint64_t inode) {
  for (const char* file : {"fdinfo/0", "fdinfo/1", "fdinfo/2"}) {
    const std::string info = read_proc(thread, file);
    if (number(field(info, "\nino:"), 10) == inode) return true;
  }
  return false;
}

pid_t thread_group_of(pid_t thread) {
  if (thread <= 0) return 0;
  const std::string status = read_proc(thread, "status");
  return status.empty() ? 0 : parse_task_status(status).group;
}

std::optional<uid_t> user_of(pid_t pid) {
  const std::string status = read_proc(pid, "status");
  const std::string_view users = field(status, "\nUid:");
  if (users.empty()) return {};
  return static_cast<uid_t>(number(users.substr(0, users.find('\t')), 10));
}

std::string command_of(pid_t pid) {
  std::string name = read_proc(pid, "comm");
  if (!name.empty() && name.back() == '\n') name.pop_back();
  return name.empty() ? "?" : name;
}

namespace {

// Which pid namespace a process is in; empty if it is gone.
std::string pid_namespace(std::string_view process) {
  const std::string path = fmt::format("/proc/{}/ns/pid", process);
  std::array<char, 64> target;  // NOLINT: filled by readlink
  const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
  return length > 0 ? std::string(target.data(), static_cast<std::size_t>(length)) : std::string();
}

// The number in its innermost namespace, the last of NSpid.
pid_t innermost_pid(std::string_view status) {
  const std::string_view all = field(status, "\nNSpid:");
  return static_cast<pid_t>(number(all.substr(all.find_last_of(" \t") + 1), 10));
}

}  // namespace

pid_t pid_seen_from_here(pid_t pid, pid_t caller) {
  if (pid <= 0 || caller <= 0) return 0;
  const std::string his = pid_namespace(std::to_string(caller));
  if (his.empty()) return 0;
  if (his == pid_namespace("self")) return pid;
  DIR* all = ::opendir("/proc");
  if (all == nullptr) return 0;
  pid_t found = 0;
  while (const dirent* entry = ::readdir(all)) {
    const auto candidate = static_cast<pid_t>(number(entry->d_name, 10));
    if (candidate <= 0 || pid_namespace(entry->d_name) != his) continue;
    if (innermost_pid(read_proc(candidate, "status")) == pid) {
      found = candidate;
      break;
    }
  }
  ::closedir(all);
  return found;
}

}  // namespace zkfs::mount
