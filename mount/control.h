// SPDX-License-Identifier: Apache-2.0
// Control: the files of the control directory (contract section 9): one value a file, made when it
// is asked for. Never listed in the root; reading needs no quorum.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ensemble/server/door.h"
#include "mount/mount.h"
#include "mount/node_id.h"

namespace zkfs::mount {

class Control {
 public:
  Control(const server::Door& door, ControlFiles files) : door_(door), files_(std::move(files)) {}

  static NodeId directory() { return node_id(Face::kControl, 1); }

  static bool is_directory(NodeId node) { return node == directory(); }

  // Names in the order of listing.
  [[nodiscard]] static std::vector<std::string> names();
  // The node of a file; nothing if there is no such name.
  [[nodiscard]] static std::optional<NodeId> find(std::string_view name);
  [[nodiscard]] static bool writable(NodeId node);

  // What a file says now.
  [[nodiscard]] std::string read(NodeId node) const;
  // Returns an errno: EINVAL - not a value this file takes; EACCES - not writable.
  int write(NodeId node, std::string_view text);

  [[nodiscard]] struct stat attributes(NodeId node) const;

 private:
  const server::Door& door_;
  ControlFiles files_;
};

}  // namespace zkfs::mount
