// SPDX-License-Identifier: Apache-2.0
#include "ensemble/storage/log_record.h"

#include <gtest/gtest.h>

#include "ensemble/base/random.h"
#include "tests/storage/store_fixture.h"

namespace zkfs::storage {
namespace {

constexpr Zxid kFirst{Epoch{1}, 1};

// A segment of `batches` batches of `records` each, with zeros after it.
std::string segment_of(std::uint32_t batches, std::uint32_t records, std::size_t size = 20) {
  std::string bytes = encode_segment_header({0, kFirst, Zxid{}});
  std::uint32_t counter = 1;
  for (std::uint32_t b = 0; b < batches; ++b) {
    std::string batch;
    for (std::uint32_t r = 0; r < records; ++r) {
      encode_record(batch, {kFirst, Zxid{Epoch{1}, counter - 1}, bytes.size()},
                    entry_of(Zxid{Epoch{1}, counter}, size));
      ++counter;
    }
    bytes += batch;
  }
  bytes.resize(bytes.size() + 1024, '\0');
  return bytes;
}

std::string hex(ByteView bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

// The offset where record `index` (from 0) begins.
std::uint64_t start_of(const SegmentScan& scan, std::size_t index) {
  return index == 0 ? kSegmentHeaderBytes : scan.records[index - 1].end;
}

TEST(LogRecord, HeaderBytesAreGolden) {
  const std::string bytes = encode_segment_header({3, Zxid{Epoch{2}, 1}, Zxid{Epoch{1}, 9}});
  ASSERT_EQ(bytes.size(), kSegmentHeaderBytes);
  EXPECT_EQ(hex(bytes.substr(0, 48)),
            "5a4b46534c4f4731010000000000000003000000000000000100000002000000090000000100000000165c"
            "5ccede4cba");
  EXPECT_EQ(bytes.find_first_not_of('\0', 48), std::string::npos);
}

TEST(LogRecord, RecordBytesAreGolden) {
  std::string bytes;
  encode_record(bytes, {Zxid{Epoch{2}, 1}, Zxid{Epoch{1}, 9}, 512},
                {Zxid{Epoch{2}, 1}, Blob{"zkfs!"}});
  EXPECT_EQ(hex(bytes),
            "f04fb9648db7e0d2218d8aa7050000000100000002000000090000000100000000020000000000007a6b66"
            "7321000000");
}

TEST(LogRecord, HeaderRoundTrips) {
  const SegmentHeader header{7, Zxid{Epoch{5}, 1}, Zxid{Epoch{4}, 77}};
  EXPECT_EQ(decode_segment_header(encode_segment_header(header)), header);
}

TEST(LogRecord, AnyDamagedByteOfTheHeaderIsSeen) {
  const std::string good = encode_segment_header({7, Zxid{Epoch{5}, 1}, Zxid{Epoch{4}, 77}});
  for (std::size_t i = 0; i < 48; ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    EXPECT_FALSE(decode_segment_header(bad)) << i;
  }
}

TEST(LogRecord, ScanReturnsWhatWasWritten) {
  const auto scan = scan_segment(segment_of(3, 2), kFirst);
  EXPECT_EQ(scan.tail, SegmentScan::Tail::kClean);
  ASSERT_EQ(scan.records.size(), 6U);
  for (std::uint32_t i = 0; i < 6; ++i) {
    EXPECT_EQ(scan.records[i].entry, entry_of(Zxid{Epoch{1}, i + 1}));
    EXPECT_EQ(scan.records[i].committed, (Zxid{Epoch{1}, i}));
  }
}

TEST(LogRecord, EmptyEntryIsARecord) {
  std::string bytes = encode_segment_header({0, kFirst, Zxid{}});
  std::string batch;
  encode_record(batch, {kFirst, Zxid{}, bytes.size()}, {kFirst, Blob{}});
  const auto scan = scan_segment(bytes + batch, kFirst);
  ASSERT_EQ(scan.records.size(), 1U);
  EXPECT_TRUE(scan.records[0].entry.bytes.empty());
}

TEST(LogRecord, HoleInTheLastBatchIsATornTailAlthoughALaterRecordIsWhole) {
  std::string bytes = segment_of(2, 3);
  const auto good = scan_segment(bytes, kFirst);
  bytes.replace(start_of(good, 4), 8,
                std::string(8, '\0'));  // the second of three; the third one stays
  const auto scan = scan_segment(bytes, kFirst);
  EXPECT_EQ(scan.tail, SegmentScan::Tail::kTorn);
  EXPECT_EQ(scan.records.size(), 4U);
  EXPECT_EQ(scan.end, start_of(good, 4));
}

TEST(LogRecord, HoleBeforeALaterBatchIsDamage) {
  std::string bytes = segment_of(3, 3);
  const auto good = scan_segment(bytes, kFirst);
  bytes[start_of(good, 4) + 41] ^= 1;
  const auto scan = scan_segment(bytes, kFirst);
  EXPECT_EQ(scan.tail, SegmentScan::Tail::kDamaged);
  EXPECT_EQ(scan.end, start_of(good, 4));
  EXPECT_EQ(scan.proof, start_of(good, 6));  // the first one of the batch after
}

TEST(LogRecord, ZeroedRecordBeforeALaterBatchIsDamageToo) {
  std::string bytes = segment_of(3, 1, 600);
  const auto good = scan_segment(bytes, kFirst);
  const std::uint64_t start = start_of(good, 1);
  bytes.replace(start, start_of(good, 2) - start, std::string(start_of(good, 2) - start, '\0'));
  EXPECT_EQ(scan_segment(bytes, kFirst).tail, SegmentScan::Tail::kDamaged);
}

TEST(LogRecord, CopyOfARecordElsewhereCountsForNothing) {
  std::string bytes = segment_of(2, 1);
  const auto good = scan_segment(bytes, kFirst);
  const std::string copy = bytes.substr(start_of(good, 1), good.end - start_of(good, 1));
  bytes.replace(good.end + 64, copy.size(), copy);
  const auto scan = scan_segment(bytes, kFirst);
  EXPECT_EQ(scan.tail, SegmentScan::Tail::kTorn);
  EXPECT_EQ(scan.records.size(), 2U);
}

TEST(LogRecord, RecordOfAnotherSegmentCountsForNothing) {
  const auto scan = scan_segment(segment_of(2, 1), Zxid{Epoch{1}, 2});
  EXPECT_TRUE(scan.records.empty());
}

TEST(LogRecord, EveryTearingOfTheLastBatchIsATornTailOrWhole) {
  Random random(7);
  for (int round = 0; round < 500; ++round) {
    const std::string before = segment_of(2, 3, 300);
    std::string after = segment_of(3, 3, 300);
    const auto whole = scan_segment(after, kFirst);
    const std::uint64_t batch = start_of(whole, 6);
    std::string mixed = before;
    mixed.resize(after.size(), '\0');
    for (std::uint64_t at = batch / 512 * 512; at < after.size(); at += 512) {
      if (random.chance(1, 2)) mixed.replace(at, 512, after.substr(at, 512));
    }
    const auto scan = scan_segment(mixed, kFirst);
    ASSERT_NE(scan.tail, SegmentScan::Tail::kDamaged) << round;
    ASSERT_GE(scan.records.size(), 6U);
  }
}

// Fuzz: whatever the bytes, the scanner ends, and each entry that it returns is one that was
// written, in order.
void expect_prefix(const SegmentScan& scan, const SegmentScan& written) {
  ASSERT_LE(scan.records.size(), written.records.size());
  for (std::size_t i = 0; i < scan.records.size(); ++i) {
    ASSERT_EQ(scan.records[i].entry, written.records[i].entry);
    ASSERT_EQ(scan.records[i].committed, written.records[i].committed);
  }
  ASSERT_LE(scan.end, scan.content_end);
}

TEST(LogRecordFuzz, MutatedSegmentNeverInventsEntries) {
  Random random(11);
  const std::string good = segment_of(6, 3, 90);
  const auto written = scan_segment(good, kFirst);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = good;
    for (std::uint64_t n = random.between(1, 6); n > 0; --n) {
      const std::uint64_t at = random.below(bytes.size());
      switch (random.below(4)) {
        case 0:
          bytes[at] = static_cast<char>(random.next());
          break;
        case 1:
          bytes.resize(at + 1);
          break;
        case 2:
          bytes.replace(at, 64, std::string(64, '\0'));
          break;
        default:
          bytes.insert(at, bytes.substr(random.below(bytes.size()), random.below(200)));
          break;
      }
    }
    expect_prefix(scan_segment(bytes, kFirst), written);
    find_proof(bytes, kFirst, random.below(bytes.size() + 8));
    decode_segment_header(bytes);
  }
}

TEST(LogRecordFuzz, RandomBytesHoldNoEntries) {
  Random random(13);
  for (int round = 0; round < 2'000; ++round) {
    std::string bytes(random.below(3'000), '\0');
    for (char& c : bytes) c = static_cast<char>(random.next());
    const auto scan = scan_segment(bytes, kFirst);
    ASSERT_TRUE(scan.records.empty());
    ASSERT_FALSE(decode_segment_header(bytes));
  }
}

}  // namespace
}  // namespace zkfs::storage
