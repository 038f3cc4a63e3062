// SPDX-License-Identifier: Apache-2.0
// `zkfs create`: makes one znode that did not exist, which appears with its value in one
// transaction, and prints the path it has. Exactly one of several creators of a name wins, on
// whichever servers they are. A persistent file with a value, and a directory or link with a
// number, are made under a temporary name first.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "ensemble/base/clock.h"

namespace zkfs {

struct CreateCommand {
  enum class Kind : std::uint8_t { kFile, kDirectory, kLink };

  Kind kind = Kind::kFile;
  std::string target;  // of kLink
  bool sequential = false;
  bool ephemeral = false;
  std::string owner;           // of an ephemeral: a pid; empty: the mount
  std::optional<Millis> ttl;   // of a TTL znode
  bool container = false;      // only with kDirectory
  bool parents = false;        // make missing directories above
  std::optional<mode_t> mode;  // default: 0666 or 0777, less the umask
  std::string path;
  std::optional<std::string> data;  // "-": standard input; nothing: an empty value
};

// Returns the exit code.
int run_create(const CreateCommand& command);

// The name that makes such a znode (contract section 3): command.path with its markers.
std::string marked_path(const CreateCommand& command);

}  // namespace zkfs
