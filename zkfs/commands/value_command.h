// SPDX-License-Identifier: Apache-2.0
// `zkfs get` and `zkfs set`: the value of a znode, verbatim. A directory's value is that of its
// entry `.@data`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace zkfs {

struct GetCommand {
  std::string path;
  bool sync = false;  // first let this server catch up with all that is committed
  bool stat = false;  // the stat block after the value, of the same version
};

struct SetCommand {
  std::string path;
  std::optional<std::string> data;      // "-" or nothing: standard input
  std::optional<std::int32_t> version;  // only if it has this one
};

// They return the exit code.
int run_get(const GetCommand& command);
int run_set(const SetCommand& command);

}  // namespace zkfs
