// SPDX-License-Identifier: Apache-2.0
// Markers: suffixes of a name that say what kind of znode to create (contract section 3). Pure.
//
//   name   := base marker+                 read from the right
//   marker := "@seq" | "@eph" | "@eph=" PID | "@eph=fd" | "@ttl=" NUMBER UNIT | "@container"
//   UNIT   := "ms" | "s" | "m" | "h" | "d"
//
// An unknown "@word" ends the reading: it and what is before it is the base. An empty base is
// allowed only with @seq (the name is then the number alone); without it the whole is an ordinary
// name.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "ensemble/tree/txn.h"

namespace zkfs::mount {

struct Marker {
  // Who an ephemeral lives and dies with.
  enum class Owner : std::uint8_t { kMount, kProcess, kFile };

  bool any = false;  // the name had a marker
  bool bad = false;  // a known marker with a bad argument, twice, or two that exclude each other
  bool sequential = false;
  tree::NodeType type = tree::NodeType::kPersistent;
  Owner owner = Owner::kMount;
  pid_t pid = 0;  // for kProcess
  std::int64_t ttl_ms = 0;
  std::string base;  // the name without its markers
};

Marker parse_marker(std::string_view name);

// The same without allocating: does the name end in a marker, good or bad?
bool reads_as_marker(std::string_view name);

}  // namespace zkfs::mount
