// SPDX-License-Identifier: Apache-2.0
// Log segments. Checksums would turn nearly every mutation of a segment away at the door, so the
// input is a script that writes one and then damages it; the scanner must never invent an entry.
// The input is scanned as it is, too.
#include "ensemble/storage/log_record.h"

#include <utility>

#include "ensemble/base/check.h"
#include "tests/fuzz/target.h"

namespace zkfs::fuzz {
namespace {

using namespace storage;

constexpr Zxid kFirst{Epoch{1}, 1};

struct Written {
  std::string segment = encode_segment_header({1, kFirst, Zxid{}});
  std::vector<Entry> entries;

  // `length` bytes in the batch that begins at `synced_to`.
  void append(unsigned length, std::uint64_t synced_to) {
    const Zxid zxid(Epoch{1}, static_cast<std::uint32_t>(entries.size()) + 1);
    entries.push_back({zxid, Blob(std::string(length, static_cast<char>(length)))});
    std::string batch = segment.substr(synced_to);
    encode_record(batch, {kFirst, Zxid{}, synced_to}, entries.back());
    segment.resize(synced_to);
    segment += batch;
  }
};

void check_scan(ByteView segment, const std::vector<Entry>& written) {
  const SegmentScan scan = scan_segment(segment, kFirst);
  ZKFS_CHECK(scan.records.size() <= written.size(), "{} records of {}", scan.records.size(),
             written.size());
  for (std::size_t i = 0; i < scan.records.size(); ++i)
    ZKFS_CHECK(scan.records[i].entry == written[i], "record {} is another", i);
  static_cast<void>(find_proof(segment, kFirst, scan.end));
}

void run_script(ByteView script) {
  Written written;
  std::uint64_t batch = written.segment.size();
  while (!script.empty() && written.entries.size() < 64) {
    const unsigned command = take_byte(script);
    if (command == 0xff) break;
    if (command % 4 == 0) batch = written.segment.size();
    written.append(command, batch);
  }
  std::string& segment = written.segment;
  segment.append(take_byte(script) * 8, '\0');
  while (!script.empty()) {
    const std::size_t at = (take_byte(script) * 256 + take_byte(script)) % segment.size();
    const unsigned what = take_byte(script);
    if (at < kSegmentHeaderBytes) continue;
    if (what == 0xff) {
      segment.resize(at);
    } else if (what % 2 == 0) {
      segment[at] = static_cast<char>(what);
    } else {
      const std::size_t length = std::min<std::size_t>(what * 8, segment.size() - at);
      segment.replace(at, length, length, '\0');
    }
  }
  check_scan(segment, written.entries);
}

}  // namespace

bool run_log_record(ByteView input) {
  run_script(input);
  static_cast<void>(decode_segment_header(input));
  static_cast<void>(scan_segment(input, kFirst));
  return true;
}

std::vector<std::string> log_record_seeds() {
  return {std::string("\4\5\6\4\5\377\20", 7), std::string("\4\4\4\377\20\2\70\2\2\110\1", 11),
          std::string("\1\2\3\377\0\2\120\377", 8)};
}

}  // namespace zkfs::fuzz
