// SPDX-License-Identifier: Apache-2.0
// `zkfs lock PATH -- COMMAND`: runs a command while holding a lock of the ensemble, on one machine
// at a time, and ends the command if the lock may be lost, which flock(1) cannot know of: a server
// that is cut off loses its locks when its session ends.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ensemble/base/clock.h"

namespace zkfs {

struct LockCommand {
  std::string path;
  bool shared = false;
  bool try_only = false;       // -n
  std::optional<Millis> wait;  // -w
  bool print_token = false;
  Millis grace{5'000};          // from SIGTERM to SIGKILL
  Millis suspect_after{3'000};  // of a server that does not answer
  std::vector<std::string> command;
};

// Returns the exit code: the command's (128 + N if signal N ended it; 126 and 127 if it could not
// be run), kExitNo if the lock was refused or lost, kExitTimedOut if it was not granted in time.
int run_lock(const LockCommand& command);

}  // namespace zkfs
