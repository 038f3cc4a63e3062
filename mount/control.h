// SPDX-License-Identifier: Apache-2.0
// Control: the control directory (contract section 9) as a small tree of directories and files that
// exist while what they tell of does: made when they are asked for, from what this server knows.
// Never listed in the root; reading needs no quorum. Filesystem asks by node and knows nothing of
// what is in it.
//
//   status status.json role zxid epoch leader metrics config log_level
//   ensemble/<id>/{address,role,state,zxid,latency_ms}
//   sessions/<id>/{owner,timeout_ms,ephemerals,watches}
//   locks/<path> (control_locks.h)
//
// A node is a checksum of its path and type, so it is the same each time it is looked up; whatever
// the kernel holds is in a table (hold, forget), which also settles two paths with one checksum. A
// path that becomes a directory is another node: the kernel does not bear one that changes its
// type.
//
// Not const where it cannot be: nothing here changes but the table and the log level.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ensemble/server/door.h"
#include "mount/mount.h"
#include "mount/node_id.h"

namespace zkfs::mount {

class Control {
 public:
  // A file or directory that exists now.
  struct Entry {
    std::string path;  // from the control directory, without a leading '/'
    bool directory = false;
    NodeId node = 0;

    // The last part of the path.
    [[nodiscard]] std::string_view name() const;
  };

  Control(const server::Door& door, ControlFiles files) : door_(door), files_(std::move(files)) {}

  // The znode that is mounted: what is told of znodes stays below it, and paths begin there.
  void set_root(Ino root) { root_ = root; }

  // The control directory itself. Always there, needs not be held.
  static NodeId directory() { return node_id(Face::kControl, 1); }

  // Nothing if `parent` is no directory (any more) or has no such name.
  [[nodiscard]] std::optional<Entry> find(NodeId parent, std::string_view name) const;
  // What is in a directory, in a stable order; nothing in what is none.
  [[nodiscard]] std::vector<Entry> list(NodeId directory) const;

  // The kernel has the node from here on: only what is held can be asked for below.
  void hold(const Entry& entry);
  // What is held.
  [[nodiscard]] std::vector<Entry> all_held() const;
  // The kernel has it no more.
  void forget(NodeId node);

  [[nodiscard]] bool is_directory(NodeId node) const;
  [[nodiscard]] bool writable(NodeId node) const;

  // What a file says now. Empty if what it told of is gone.
  [[nodiscard]] std::string read(NodeId node) const;
  // Returns an errno: EINVAL - not a value this file takes; EACCES - not writable.
  int write(NodeId node, std::string_view text);

  // Of a node, with the true size (tools that trust st_size would read nothing); nlink is 0 if what
  // it told of is gone.
  [[nodiscard]] struct stat attributes(NodeId node) const;
  [[nodiscard]] struct stat attributes(const Entry& entry) const;

  // How many nodes the kernel holds. For tests.
  [[nodiscard]] std::size_t held() const { return held_.size(); }

 private:
  [[nodiscard]] Entry entry(std::string path, bool directory) const;
  [[nodiscard]] std::optional<Entry> at(NodeId node) const;
  // Which of the two it is, if it exists.
  [[nodiscard]] std::optional<bool> is_directory_at(std::string_view path) const;
  [[nodiscard]] std::string text_at(std::string_view path) const;
  [[nodiscard]] std::string text_of_session(const tree::Session& session,
                                            std::string_view file) const;
  [[nodiscard]] std::optional<tree::Session> session_named(std::string_view name) const;
  [[nodiscard]] std::optional<EnsembleMember> member_named(std::string_view name) const;

  const server::Door& door_;
  ControlFiles files_;
  Ino root_ = kRootIno;
  std::unordered_map<NodeId, Entry> held_;
};

}  // namespace zkfs::mount
