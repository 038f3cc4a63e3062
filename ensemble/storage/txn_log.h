// SPDX-License-Identifier: Apache-2.0
// TxnLog: the sequence of log segments of one member (their bytes and the torn-tail rule:
// log_record.h). Owned by the Store.
//
// Life of a segment. Begun when the one before is full: created, room reserved, header written,
// file synced, directory synced, and only then written to. Room is reserved ahead of the write
// position in steps of kReserveStepBytes. A block that is only reserved is converted by its first
// write, which costs the fdatasync after it a commit of the filesystem's journal; so a batch takes
// zeros with it, in the same write, for the next few of its size, and those change no metadata.
// That each byte is written twice is the price; above a size it is not worth it. Measured on ext4,
// write+fdatasync, p50 and bytes on the disk for each (same run, on a busy machine; zeros for a
// MiB):
//                     only reserved            zeros ahead
//           256 B      95 us    4.5 KB       107 us    6.0 KB
//           4 KiB     183 us    8.2 KB       116 us    9.5 KB
//          16 KiB     246 us     23 KB       130 us     34 KB
//          32 KiB     297 us     40 KB       124 us     65 KB
//         100 KiB     327 us    110 KB       168 us    201 KB
// A segment never stays empty: one without records is removed at open.
//
// Crash story, beyond log_record.h:
//   - truncate_after: later segments go first, the newest before the older, the directory synced
//     after each, so what remains is always contiguous. The segment with the cut is written anew
//     beside the old one (the bytes to keep, at the same offsets), synced and renamed over it:
//     zeroing in place could be interrupted with a later record still whole, which would look like
//     damage. The last record that stays takes over the commit mark of what goes, before anything
//     goes, so that what is known to be committed never shrinks.
//   - restart_after (a snapshot of a higher generation is already in force): old segments are
//     removed in any order; those left behind are dead by their generation and removed at open.
//   - purge_before removes the oldest first. Segments before the one that holds the snapshot's
//     position are not read at open, only their headers.
//   - open writes the last batch once more and syncs it. It may have been in the page cache only:
//     the former process was killed before its fdatasync, or that failed, in which case the kernel
//     may have marked the pages clean.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ensemble/base/entry.h"
#include "ensemble/storage/disk.h"
#include "ensemble/storage/log_record.h"

namespace zkfs::storage {

inline constexpr std::uint64_t kReserveStepBytes = 1024 * 1024;
// Zeros for so many batches more, within these bounds.
inline constexpr std::uint64_t kZeroBatches = 8;
inline constexpr std::uint64_t kZeroBytesMin = 64 * 1024;
inline constexpr std::uint64_t kZeroBytesMax = 1024 * 1024;
// None for batches of this size: their own bytes take longer than the journal's commit.
inline constexpr std::uint64_t kZeroBatchBytesMax = 256 * 1024;

// What the log continues: the newest valid snapshot, or nothing (all zero).
struct LogBase {
  std::uint64_t generation = 0;
  Zxid zxid;
};

struct LogFound {
  std::vector<Entry> entries;  // after the base, contiguous
  Zxid committed;              // the highest commit mark, at most the last entry; at least the base
};

class TxnLog {
 public:
  // `disk` outlives this. Requires: segment_bytes > kSegmentHeaderBytes.
  TxnLog(Disk& disk, std::uint64_t segment_bytes);

  // Reads what is there, once, before anything else. Fails with: damage (log_record.h); segments
  // that do not join each other or the base; segments of a higher generation than the base; the
  // disk's problems.
  Expected<LogFound> open(const LogBase& base, std::vector<std::string>& remarks);

  // One write, one sync; two more if a segment begins. Requires: entries follow last() and each
  // other. `committed` is the mark; each record gets at most its own zxid, so that a mark never
  // vouches for what came later.
  Expected<void> append(std::span<const Entry> entries, Zxid committed);

  // Durably drops what comes after `last`. Fails with: `last` is not in the log, or lies below what
  // is known to be committed.
  Expected<void> truncate_after(Zxid last);

  // Drops everything; the log continues after `base`, whose snapshot is durable.
  Expected<void> restart_after(const LogBase& base);

  // Removes the segments that hold nothing after `oldest`.
  Expected<void> purge_before(Zxid oldest);

  // Notes that everything up to `zxid` is known to be committed (a snapshot was taken there).
  void raise_committed(Zxid zxid) { committed_ = std::max(committed_, zxid); }

  // The last entry, or the base if there is none after it.
  [[nodiscard]] Zxid last() const { return last_; }

  // Bytes of all segments, with the room reserved.
  [[nodiscard]] std::uint64_t bytes() const;

 private:
  struct Segment {
    SegmentHeader header;
    std::uint64_t bytes = 0;
  };

  // Where a truncation cuts.
  struct Cut {
    std::size_t segments = 0;  // that stay
    LogRecord record;          // the last one that stays in the newest of these
    std::uint64_t end = 0;     // of that segment's records
    bool raise = false;        // if the record must take over a commit mark from what goes
  };

  Expected<void> load_headers(std::vector<std::string>& remarks);
  Expected<void> load_header(const std::string& name,
                             bool newest,
                             std::vector<std::string>& remarks);
  Expected<void> accept_headerless(const std::string& name,
                                   bool newest,
                                   std::vector<std::string>& remarks);
  Expected<std::size_t> first_needed() const;
  Expected<SegmentScan> scan(const Segment& segment) const;
  Expected<LogFound> load_records(std::size_t from, std::vector<std::string>& remarks);
  Expected<void> take_records(SegmentScan& scan, const Segment& segment, LogFound& found);
  Expected<void> settle_newest(const SegmentScan& scan, std::vector<std::string>& remarks);
  Expected<void> rewrite_last_batch(File& file, const SegmentScan& scan) const;
  Expected<void> drop_newest();
  Expected<void> begin_segment(Zxid first);
  Expected<void> write_at_end(std::uint64_t bytes);
  Expected<Cut> find_cut(Zxid last) const;
  Expected<void> rewrite(const Cut& cut, std::uint64_t end);
  [[nodiscard]] std::string path_of(const Segment& segment) const;
  [[nodiscard]] Problem damaged(const Segment& segment, const SegmentScan& scan) const;

  Disk& disk_;
  std::uint64_t segment_bytes_;
  LogBase base_;
  std::vector<Segment> segments_;  // by first zxid; of base_.generation
  std::unique_ptr<File> active_;   // the newest segment, if appends may continue in it
  std::uint64_t position_ = 0;     // in active_: after the last record, everything before it synced
  std::uint64_t written_ = 0;      // in active_: blocks up to here were written, zeros or not
  Zxid last_;
  Zxid committed_;
  std::string buffer_;  // what is to be written at position_; kept for its capacity
};

}  // namespace zkfs::storage
