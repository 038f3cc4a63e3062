// SPDX-License-Identifier: Apache-2.0
// `zkfs wait`: until a path exists, is gone, or has changed, through whichever server. By inotify:
// it does not poll, and it watches before it looks, so that nothing that happens after it has
// looked is missed. What happened before it began is seen in the state it finds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ensemble/base/clock.h"

namespace zkfs {

struct WaitCommand {
  enum class For : std::uint8_t { kExists, kGone, kChanged, kChildren };

  For what = For::kExists;
  std::string path;
  std::optional<std::string> value;     // and its value is this, but for a newline at the end
  std::optional<std::int32_t> version;  // kChanged: since this version rather than since the start
  std::optional<Millis> timeout;
  bool print = false;  // the value then; for kChildren their names
};

// Returns the exit code; kExitTimedOut after the timeout, also of a server that does not answer.
int run_wait(const WaitCommand& command);

}  // namespace zkfs
