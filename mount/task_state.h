// SPDX-License-Identifier: Apache-2.0
// TaskState: what /proc tells of a caller: its thread group, whether a deadly signal waits for it,
// whether it sleeps or is exiting. The kernel's INTERRUPT does not say which signal it was
// (reference/fuse.md section 8). Reading /proc never touches our own mount.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace zkfs::mount {

struct TaskState {
  pid_t group = 0;             // Tgid
  bool fatal_pending = false;  // a signal that will end it is pending and not blocked
  bool exiting = false;        // past the point of return: it closes its files
  bool sleeping = false;       // waits for something
};

// Of the thread `thread`; nothing if it is gone, or 0 (a foreign pid namespace).
std::optional<TaskState> read_task_state(pid_t thread);

// The thread group alone; 0 if unknown.
pid_t thread_group_of(pid_t thread);

// True if standard input, output or error of `thread` is the open file with this inode number. Asks
// /proc/<tid>/fdinfo, which the kernel answers by itself.
bool is_standard_stream(pid_t thread, std::uint64_t inode);

// The process that `caller` (a thread) calls `pid`: the same number if they share our pid
// namespace, otherwise what /proc tells of the one that bears it in his. 0 if that cannot be told:
// `caller` is 0, gone, or there is no such process in his namespace.
pid_t pid_seen_from_here(pid_t pid, pid_t caller);

// The real user of a process; nothing if it is gone.
std::optional<uid_t> user_of(pid_t pid);

// The command's name, as /proc/<pid>/comm has it; "?" if it is gone.
std::string command_of(pid_t pid);

// From the text of /proc/<tid>/status: all but `exiting`. For tests.
TaskState parse_task_status(std::string_view status);

}  // namespace zkfs::mount
