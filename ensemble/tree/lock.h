// SPDX-License-Identifier: Apache-2.0
// Advisory locks: the words they are spoken of with. What they do is lock_table.h.
#pragma once

#include <cstdint>

#include "ensemble/base/ids.h"

namespace zkfs::tree {

// flock(2) and fcntl(2) locks of one file know nothing of each other, as in Linux.
enum class LockSpace : std::uint8_t { kFlock = 0, kPosix = 1 };

enum class LockMode : std::uint8_t { kShared = 0, kExclusive = 1 };

// Bytes first..last, both included. A flock is always of the whole file.
struct LockRange {
  std::uint64_t first = 0;
  std::uint64_t last = UINT64_MAX;

  [[nodiscard]] bool overlaps(LockRange other) const {
    return first <= other.last && other.first <= last;
  }

  [[nodiscard]] bool contains(LockRange other) const {
    return first <= other.first && other.last <= last;
  }

  friend bool operator==(const LockRange&, const LockRange&) = default;
};

// A lock that is held, or a request that waits for one.
struct LockView {
  Ino ino;
  LockSpace space = LockSpace::kFlock;
  LockMode mode = LockMode::kShared;
  LockRange range{};
  // Who: the mount's session and, chosen by the mount, an open file (flock) or the file table of a
  // process (fcntl).
  SessionId session;
  std::uint64_t owner = 0;
  // The request that asked for it, numbered within the session by who asked; for a held piece: the
  // one granted last.
  std::uint64_t request = 0;
  std::uint32_t pid = 0;  // for people and F_GETLK only
  Zxid zxid;              // granted (held) or asked (waiting); the grant's is the fencing token
  bool waiting = false;

  friend bool operator==(const LockView&, const LockView&) = default;
};

// A request that waited and was granted.
struct LockGrant {
  Ino ino;
  SessionId session;
  std::uint64_t request = 0;
};

}  // namespace zkfs::tree
