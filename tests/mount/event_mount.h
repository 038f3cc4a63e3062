// SPDX-License-Identifier: Apache-2.0
// EventMount: the least of a mount that replay can be tested with: a tree behind a LocalDoor,
// served on a real mount point by a thread of its own, users' requests answered from the tree, the
// workers' by Replay. Watcher: what inotify tells about it, as text.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ensemble/server/request.h"
#include "mount/replay.h"
#include "tests/support/local_door.h"

namespace zkfs::test {

class EventMount {
 public:
  // Whether this machine allows it; tests skip if not.
  static bool possible();

  // Forks the workers, mounts, attaches. Aborts the process if that fails. Requires: this process
  // has one thread.
  explicit EventMount(int workers = 2);
  ~EventMount();
  EventMount(const EventMount&) = delete;
  EventMount& operator=(const EventMount&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

  [[nodiscard]] std::string path(std::string_view below) const {
    return path_ + '/' + std::string(below);
  }

  // Calls `f` on the loop's thread and waits for it.
  void run(const std::function<void()>& f);
  // Commits on another node.
  void foreign(server::Operation operation);
  // Until every poke is done.
  void settle();

  // Until the kernel holds none of these any more. Requires: nobody uses them.
  void make_forget(const std::vector<std::string>& paths);

  // To be touched within run() only.
  LocalDoor& door();
  mount::Replay& replay();
  mount::InodeTable& inodes();
  mount::EventHelper& helper();

  // From now on only what this mount's users ask for is known to its kernel; before, whatever is
  // asked for at this door. Within run() only.
  void own_session_only();
  // Pids of the workers that live.
  [[nodiscard]] std::vector<pid_t> workers();
  // Requests of users to make or remove something are not answered before thaw().
  void freeze();
  void thaw();
  std::size_t frozen_count();
  mount::ReplayCounters counters();
  // Look-ups and attribute requests so far, of anybody.
  std::size_t request_count();

 private:
  struct State;
  std::string path_;
  std::unique_ptr<State> state_;
};

// Operations by path.
server::Operation create_file(std::string path, std::string data = "");
server::Operation create_plain(std::string path, std::string data = "");  // kind unspecified
server::Operation create_directory(std::string path);
server::Operation create_symlink(std::string path, std::string target);
server::Operation set_data(std::string path, std::string data);
server::Operation set_mtime(std::string path, WallMillis mtime);
server::Operation set_kind(std::string path, tree::NodeKind kind);
server::Operation set_acl(std::string path);
server::Operation remove(std::string path);
server::Operation rename(std::string from, std::string to, bool exchange = false);

class Watcher {
 public:
  Watcher();
  ~Watcher();
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  // Events of this path are told as "LABEL: NAMES"; ACCESS and NOWRITE events are not asked for.
  void add(const std::string& path, std::string label);
  // What has come since the last call, such as "d: CREATE,ISDIR sub"; the cookies of moves are
  // numbered from 1 within one call: "d: MOVED_FROM a #1".
  std::vector<std::string> take();

  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
  std::vector<std::pair<int, std::string>> labels_;
};

}  // namespace zkfs::test
