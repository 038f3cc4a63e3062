// SPDX-License-Identifier: Apache-2.0
// SessionTracker: which sessions have been silent for too long. Only a leader has one; a new leader
// starts it with every session of the tree, each with its full timeout from now (reference section
// 5). Buckets: expiry times are rounded up to the next multiple of `tick`, so a session ends
// between its timeout and one tick more after its last sign of life, and a touch costs one map
// step. Pure: time is handed in.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <unordered_map>
#include <vector>

#include "ensemble/base/clock.h"
#include "ensemble/base/ids.h"

namespace zkfs::server {

class SessionTracker {
 public:
  explicit SessionTracker(Millis tick);

  void add(SessionId session, std::uint32_t timeout_ms, Instant now);
  void remove(SessionId session);
  // A sign of life. Unknown sessions are ignored.
  void touch(SessionId session, Instant now);
  // Sessions whose time is over, in the order of ids; they are removed from the tracker.
  std::vector<SessionId> expired(Instant now);

  // When which sessions are over.
  [[nodiscard]] const std::map<Instant, std::set<SessionId>>& buckets() const { return buckets_; }

  [[nodiscard]] std::size_t size() const { return sessions_.size(); }

 private:
  struct Tracked {
    std::uint32_t timeout_ms = 0;
    Instant bucket{};
  };

  [[nodiscard]] Instant bucket_of(Instant now, std::uint32_t timeout_ms) const;

  Millis tick_;
  std::unordered_map<SessionId, Tracked> sessions_;
  std::map<Instant, std::set<SessionId>> buckets_;
};

}  // namespace zkfs::server
