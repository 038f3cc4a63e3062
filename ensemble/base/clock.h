// SPDX-License-Identifier: Apache-2.0
// Time as the pure code sees it: a value that is handed in. Nothing below the front doors reads a
// clock.
#pragma once

#include <chrono>
#include <cstdint>

namespace zkfs {

// Monotonic time since some fixed moment of this process (or of the simulation).
using Millis = std::chrono::milliseconds;
using Instant = std::chrono::nanoseconds;

// Wall-clock time in milliseconds since 1970, as in ctime and mtime. Only a leader reads it, at
// proposal.
using WallMillis = std::int64_t;

// Both clocks at one moment.
struct Now {
  Instant monotonic{};
  WallMillis wall = 0;
};

}  // namespace zkfs
