// SPDX-License-Identifier: Apache-2.0
// History: the member's log as ZAB sees it: a contiguous run of entries in memory, (base, last], of
// which those up to `committed` are decided. It mirrors what has been handed to the disk, in the
// same order; the disk may be behind, never ahead.
//
// Invariants: base <= committed <= last; each entry follows() the one before it (ZOOKEEPER-4925);
// entries above `committed` are never trimmed, entries up to it never truncated. Every path by
// which an entry reaches this member goes through append(), so a leader's DIFF has no holes.
#pragma once

#include <cstddef>
#include <deque>
#include <span>
#include <vector>

#include "ensemble/base/entry.h"

namespace zkfs::zab {

class History {
 public:
  // `base` is the position of the snapshot that `entries` continue (0: the beginning).
  // Requires: base <= committed <= the last of them; entries contiguous.
  History(Zxid base, std::vector<Entry> entries, Zxid committed);

  [[nodiscard]] Zxid base() const { return base_; }

  [[nodiscard]] Zxid last() const { return entries_.empty() ? base_ : entries_.back().zxid; }

  [[nodiscard]] Zxid committed() const { return committed_; }

  [[nodiscard]] std::size_t size() const { return entries_.size(); }

  [[nodiscard]] std::size_t bytes() const { return bytes_; }

  // True if the log holds `zxid`, or begins directly after it.
  [[nodiscard]] bool contains(Zxid zxid) const;

  // The greatest position held (base included) that is not above `zxid`. Requires: zxid >= base.
  [[nodiscard]] Zxid greatest_at_most(Zxid zxid) const;

  // True if `zxid` may be appended.
  [[nodiscard]] bool accepts(Zxid zxid) const { return follows(last(), zxid); }

  // Requires: accepts(entry.zxid).
  void append(Entry entry);

  // Drops what lies after `zxid`. Requires: contains(zxid), zxid >= committed.
  void truncate_after(Zxid zxid);

  // Decides everything up to `zxid` and returns what was not decided before, in order.
  // Requires: contains(zxid). A zxid at or below committed() returns nothing.
  std::vector<Entry> commit(Zxid zxid);

  // The whole log is replaced by a snapshot as of `zxid`.
  void reset(Zxid zxid);

  // Entries after `zxid` up to `limit`, as many as fit in `bytes_max` but at least one if there is
  // any. Requires: contains(zxid).
  [[nodiscard]] std::vector<Entry> after(Zxid zxid, Zxid limit, std::size_t bytes_max) const;

  // Forgets the oldest committed entries beyond the limits of limits.h, none above `keep_after`.
  void trim(Zxid keep_after, std::size_t entries_max, std::size_t bytes_max);

 private:
  // The index of the first entry above `zxid`.
  [[nodiscard]] std::size_t index_after(Zxid zxid) const;

  Zxid base_;
  Zxid committed_;
  std::deque<Entry> entries_;
  std::size_t bytes_ = 0;
};

}  // namespace zkfs::zab
