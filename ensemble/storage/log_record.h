// SPDX-License-Identifier: Apache-2.0
// The bytes of a log segment, and how to tell a crash from damage. Pure: no Disk here, so the
// scanner can be fuzzed.
//
// A segment is one header of 512 bytes (a sector of its own: no append ever rewrites it), then
// records, then zeros to the end of the file, which is reserved ahead. Numbers are little-endian.
//
//   header    0  magic "ZKFSLOG1"
//             8  u32 version 1, u32 0
//            16  u64 generation (store.h)
//            24  u64 first: the first record's zxid, as in the file's name
//            32  u64 previous: the zxid before it; segments join if the one before ends with it
//            40  u64 XXH3 of bytes 0..39, then zeros
//   record    0  u64 XXH3 of bytes 8..40+length, seeded by position
//             8  u32 tag, a function of position, never 0; u32 length
//            16  u64 zxid
//            24  u64 commit mark, at most zxid
//            32  u64 synced_to
//            40  bytes, then zeros to a multiple of 8
//
// "Position" is (first, offset in the file). It goes into tag and checksum so that a record counts
// only where it was written: neither a copy inside a znode's data nor an old block of another file
// can pass for one.
//
// Crash story. A batch of records is one write and one fdatasync, and is acknowledged after that. A
// batch that was not may be on the disk in any part: sectors reach the disk in any order, so a
// record in its middle can be missing while a later one is whole. That is a torn tail: nobody was
// promised anything, and it must not stop a member. Damage before records that were acknowledged
// must stop it: going on would drop entries that a quorum counts on.
//
// What tells them apart is synced_to: the offset where the record's batch begins. The writer had
// everything before it synced, because batches are synced one by one. Let the first invalid record
// be at offset h (the hole):
//
//      [ batch 1 ][ batch 2      ][ batch 3 ]
//                 ^b2    ^h       ^b3              synced_to is b2 in batch 2, b3 in batch 3
//
//   - There is a valid record after h with synced_to > h (here: of batch 3). Its writer had seen
//     the bytes at h synced. They were durable and are now invalid: damage, refused.
//   - There is none. Then no batch was begun after the one with h was synced: h lies in the last
//     batch, and valid records after h, if any, belong to it too (synced_to <= h). A torn tail: it
//     is zeroed from h on and that is synced before anything is appended. A crash meanwhile leaves
//     the record at h invalid as it was: a torn tail again.
//   - Records of the last batch before h are kept: entries that were submitted, without a gap.
//   - A segment that is not the last one was synced to its end before the next was begun: anything
//     invalid in it is damage.
//   - The header is synced before the first record is written. So an invalid header with any valid
//     record behind it (synced_to >= 512 > 0 = h) is damage; without one the segment was being made
//     and holds nothing.
//
// The limit of the rule: damage inside the very last acknowledged batch looks like a torn tail and
// is cut, with a remark. The fault model: a sector that is being rewritten holds old and new bytes
// afterwards, in any mix, but no others.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ensemble/base/entry.h"

namespace zkfs::storage {

inline constexpr ByteView kSegmentMagic = "ZKFSLOG1";
inline constexpr std::size_t kSegmentHeaderBytes = 512;
inline constexpr std::size_t kRecordHeaderBytes = 40;
inline constexpr std::size_t kRecordAlignment = 8;

struct SegmentHeader {
  std::uint64_t generation = 0;
  Zxid first;
  Zxid previous;

  friend bool operator==(const SegmentHeader&, const SegmentHeader&) = default;
};

// kSegmentHeaderBytes bytes.
std::string encode_segment_header(const SegmentHeader& header);
// Nothing if the bytes are not a valid header of this version.
std::optional<SegmentHeader> decode_segment_header(ByteView bytes);

// What one batch of records has in common.
struct BatchFrame {
  Zxid segment_first;
  Zxid committed;               // the commit mark
  std::uint64_t synced_to = 0;  // the offset where the batch begins
};

// The bytes a record of `length` bytes takes, with header and padding.
std::size_t record_bytes(std::size_t length);
// Appends the record to `out`, which holds the batch from frame.synced_to on. Requires: at most
// limits::kEntryBytesMax bytes.
void encode_record(std::string& out, const BatchFrame& frame, const Entry& entry);

struct LogRecord {
  Entry entry;
  Zxid committed;
  std::uint64_t synced_to = 0;
  std::uint64_t end = 0;  // offset after it
};

struct SegmentScan {
  enum class Tail : std::uint8_t {
    kClean,    // zeros only
    kTorn,     // remains of a batch that was never acknowledged
    kDamaged,  // damage of something that was durable
  };
  std::vector<LogRecord> records;  // all before `end`; contiguous, the first one is `first`
  std::uint64_t end =
      kSegmentHeaderBytes;  // after the last valid record: where the next one belongs
  Tail tail = Tail::kClean;
  std::uint64_t content_end = 0;  // after the last byte that is not zero; `end` if clean
  std::uint64_t proof = 0;        // kDamaged: the offset of the valid record that proves it
};

// Reads a whole segment whose header is valid and names `first`. Any bytes are allowed.
SegmentScan scan_segment(ByteView segment, Zxid first);

// The offset of a valid record after `hole` which proves that the bytes at `hole` were once
// durable; nothing if there is none.
std::optional<std::uint64_t> find_proof(ByteView segment, Zxid first, std::uint64_t hole);

}  // namespace zkfs::storage
