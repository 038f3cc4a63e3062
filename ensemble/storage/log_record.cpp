// SPDX-License-Identifier: Apache-2.0
#include "ensemble/storage/log_record.h"

#include <algorithm>
#include <array>

#include "ensemble/base/check.h"
#include "ensemble/base/checksum.h"
#include "ensemble/base/limits.h"
#include "ensemble/storage/little_endian.h"

namespace zkfs::storage {
namespace {

constexpr ByteView kMagic = kSegmentMagic;
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeaderChecksumAt = 40;
constexpr std::size_t kTagAt = 8;
constexpr std::size_t kLengthAt = 12;
constexpr std::size_t kZxidAt = 16;
constexpr std::size_t kCommittedAt = 24;
constexpr std::size_t kSyncedToAt = 32;

std::size_t align(std::size_t bytes) {
  return (bytes + kRecordAlignment - 1) / kRecordAlignment * kRecordAlignment;
}

std::uint64_t position_seed(Zxid first, std::uint64_t offset) {
  const std::array<std::uint64_t, 2> position{first.value, offset};
  return XXH3_64bits(position.data(), sizeof(position));
}

// Never 0, so that zeros are never the start of a record.
std::uint32_t position_tag(std::uint64_t seed) {
  return static_cast<std::uint32_t>(seed) | 1U;
}

struct RecordView {
  Zxid zxid;
  Zxid committed;
  std::uint64_t synced_to;
  std::uint64_t end;
  ByteView bytes;
};

std::optional<RecordView> decode_record(ByteView segment, Zxid first, std::uint64_t offset) {
  if (offset + kRecordHeaderBytes > segment.size()) return std::nullopt;
  const ByteView at = segment.substr(offset);
  const std::uint64_t seed = position_seed(first, offset);
  if (get_little<std::uint32_t>(at, kTagAt) != position_tag(seed)) return std::nullopt;
  const auto length = get_little<std::uint32_t>(at, kLengthAt);
  if (length > limits::kEntryBytesMax) return std::nullopt;
  if (length > at.size() - kRecordHeaderBytes) return std::nullopt;
  const ByteView covered = at.substr(kTagAt, kRecordHeaderBytes - kTagAt + length);
  if (get_little<std::uint64_t>(at, 0) != checksum64(covered, seed)) return std::nullopt;
  return RecordView{Zxid{get_little<std::uint64_t>(at, kZxidAt)},
                    Zxid{get_little<std::uint64_t>(at, kCommittedAt)},
                    get_little<std::uint64_t>(at, kSyncedToAt), offset + record_bytes(length),
                    at.substr(kRecordHeaderBytes, length)};
}

// After the last byte at or after `from` that is not zero; `from` if there is none.
std::uint64_t end_of_content(ByteView segment, std::uint64_t from) {
  if (from >= segment.size()) return from;
  const std::size_t last = segment.find_last_not_of('\0');
  return last == ByteView::npos || last < from ? from : last + 1;
}

}  // namespace

std::string encode_segment_header(const SegmentHeader& header) {
  std::string out{kMagic};
  put_little(out, kVersion);
  put_little(out, std::uint32_t{0});
  put_little(out, header.generation);
  put_little(out, header.first.value);
  put_little(out, header.previous.value);
  put_little(out, checksum64(out));
  out.resize(kSegmentHeaderBytes, '\0');
  return out;
}

std::optional<SegmentHeader> decode_segment_header(ByteView bytes) {
  if (bytes.size() < kSegmentHeaderBytes) return std::nullopt;
  if (!bytes.starts_with(kMagic)) return std::nullopt;
  if (get_little<std::uint64_t>(bytes, kHeaderChecksumAt) !=
      checksum64(bytes.substr(0, kHeaderChecksumAt))) {
    return std::nullopt;
  }
  if (get_little<std::uint32_t>(bytes, kMagic.size()) != kVersion) return std::nullopt;
  return SegmentHeader{get_little<std::uint64_t>(bytes, 16),
                       Zxid{get_little<std::uint64_t>(bytes, 24)},
                       Zxid{get_little<std::uint64_t>(bytes, 32)}};
}

std::size_t record_bytes(std::size_t length) {
  return align(kRecordHeaderBytes + length);
}

void encode_record(std::string& out, const BatchFrame& frame, const Entry& entry) {
  const std::uint32_t length = entry.bytes.size();
  ZKFS_CHECK(length <= limits::kEntryBytesMax, "entry {} of {} bytes", entry.zxid, length);
  const std::size_t start = out.size();
  const std::uint64_t seed = position_seed(frame.segment_first, frame.synced_to + start);
  put_little(out, std::uint64_t{0});
  put_little(out, position_tag(seed));
  put_little(out, length);
  put_little(out, entry.zxid.value);
  put_little(out, frame.committed.value);
  put_little(out, frame.synced_to);
  out.append(entry.bytes.view());
  std::string checksum;
  put_little(checksum, checksum64(ByteView{out}.substr(start + kTagAt), seed));
  out.replace(start, checksum.size(), checksum);
  out.resize(start + record_bytes(length), '\0');
}

SegmentScan scan_segment(ByteView segment, Zxid first) {
  SegmentScan scan;
  Zxid previous;
  while (const auto record = decode_record(segment, first, scan.end)) {
    const bool in_order =
        scan.records.empty() ? record->zxid == first : follows(previous, record->zxid);
    if (!in_order || record->synced_to > scan.end) {
      // Whole, but not what a writer of ours would have put here: no crash makes this.
      scan.tail = SegmentScan::Tail::kDamaged;
      scan.content_end = end_of_content(segment, scan.end);
      scan.proof = scan.end;
      return scan;
    }
    previous = record->zxid;
    scan.records.push_back({Entry{record->zxid, Blob{record->bytes}}, record->committed,
                            record->synced_to, record->end});
    scan.end = record->end;
  }
  scan.content_end = end_of_content(segment, scan.end);
  if (scan.content_end == scan.end) return scan;
  const auto proof = find_proof(segment, first, scan.end);
  scan.tail = proof ? SegmentScan::Tail::kDamaged : SegmentScan::Tail::kTorn;
  scan.proof = proof.value_or(0);
  return scan;
}

std::optional<std::uint64_t> find_proof(ByteView segment, Zxid first, std::uint64_t hole) {
  const std::uint64_t content_end = end_of_content(segment, hole);
  std::uint64_t offset = std::max<std::uint64_t>(align(hole), kSegmentHeaderBytes);
  for (; offset < content_end; offset += kRecordAlignment) {
    const auto record = decode_record(segment, first, offset);
    if (record && record->synced_to > hole && record->synced_to <= offset) return offset;
  }
  return std::nullopt;
}

}  // namespace zkfs::storage
