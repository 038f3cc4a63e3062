// SPDX-License-Identifier: Apache-2.0
// Reaper: which containers and TTL znodes are to be deleted now. Only an active leader has one; a
// new leader's knows nothing of what the one before has seen. Pure: time is handed in.
//
// A znode is deleted when it has no children and
// - a container: once had some, and this leader has seen it without for `container_grace`;
// - a TTL znode: its last change (data, ACL or attributes) lies its ttl back by the wall clock,
// and,
//   if it once had children, this leader has seen it unchanged and without for its ttl.
// "Seen" is by the monotonic clock, from scan to scan; that a child came and went between two is
// told by pzxid.
//
// The wall clock may be set. What this leader takes it to be is never ahead of what it was when the
// leadership began plus the time gone by since, so that nothing is deleted early by a clock that
// jumps forward; after a jump a TTL znode goes once this leader has seen it unchanged for its ttl.
// A clock that is set back makes deletions late. A new leader believes its own clock: clocks of
// servers that differ by more than a ttl delete by as much too early or late.
//
// Whether a deletion succeeded is not asked: what is still there at a later scan is tried again.
// The request carries the version seen, so that a write on its way saves the znode.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <unordered_map>
#include <vector>

#include "ensemble/base/clock.h"
#include "ensemble/base/ids.h"
#include "ensemble/server/request.h"
#include "ensemble/tree/data_tree.h"

namespace zkfs::server {

class Reaper {
 public:
  struct Config {
    Millis interval{1'000};  // between scans, and between batches of deletions
    Millis container_grace{10'000};
  };

  // Deletions asked for at once.
  static constexpr std::size_t kBatchMax = 1'000;

  // `now`: when the leadership became active.
  Reaper(Config config, Now now);

  // What to delete now; mostly nothing. To be called at every tick. A scan looks at every candidate
  // (DataTree::reapable), so the more there are, the longer it is until the next.
  std::vector<DeleteRequest> due(const tree::DataTree& tree, Now now);

  // Candidates it keeps in mind, for tests.
  [[nodiscard]] std::size_t observed() const { return seen_.size(); }

 private:
  // Since when a candidate has been as it is now.
  struct Seen {
    Instant since{};
    Zxid pzxid;
    WallMillis changed = 0;
    std::uint64_t scan = 0;
  };

  // The wall clock as far as it is believed.
  [[nodiscard]] WallMillis believed(Now now) const;
  // For how long the candidate has been seen as it is.
  Instant seen_for(const tree::Znode& znode, Now now);
  [[nodiscard]] bool is_due(const tree::Znode& znode, Now now);
  void scan(const tree::DataTree& tree, Now now);

  Config config_;
  Now begun_;
  Instant next_{};       // batch
  Instant next_scan_{};  // and when the batches of the last one are out
  std::uint64_t scans_ = 0;
  std::unordered_map<Ino, Seen> seen_;
  std::deque<Ino> found_;  // by the last scan, not yet asked for
};

}  // namespace zkfs::server
