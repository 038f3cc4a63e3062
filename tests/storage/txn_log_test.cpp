// SPDX-License-Identifier: Apache-2.0
#include "ensemble/storage/txn_log.h"

#include "ensemble/storage/log_record.h"
#include "tests/storage/store_fixture.h"

namespace zkfs::storage {
namespace {

constexpr Epoch kOne{1};
constexpr Epoch kTwo{2};

class TxnLog : public StoreFixture {
 protected:
  static std::string log_path(Zxid first) { return fmt::format("version-2/log.{:x}", first.value); }

  SegmentScan scan(Zxid first) { return scan_segment(disk_.content(log_path(first)), first); }

  void damage(Zxid first, std::size_t record) {
    const auto records = scan(first).records;
    ASSERT_LT(record, records.size());
    disk_.corrupt(log_path(first), records[record].end - 9);
  }
};

TEST_F(TxnLog, EntriesComeBackInOrder) {
  open();
  append(entries_of(kOne, 1, 3));
  append(entries_of(kOne, 4, 5));
  append(entries_of(kTwo, 1, 2));
  open();
  auto expected = entries_of(kOne, 1, 5);
  for (const Entry& entry : entries_of(kTwo, 1, 2)) expected.push_back(entry);
  EXPECT_EQ(found().entries, expected);
  EXPECT_EQ(store().last_logged(), (Zxid{kTwo, 2}));
}

TEST_F(TxnLog, AcknowledgedEntriesSurviveAPowerFailure) {
  open();
  append(entries_of(kOne, 1, 3));
  crash_and_open();
  EXPECT_EQ(found().entries, entries_of(kOne, 1, 3));
}

TEST_F(TxnLog, AppendIsOneWriteAndOneSync) {
  open();
  append(entries_of(kOne, 1, 1));
  const auto before = disk_.changes();
  append(entries_of(kOne, 2, 9));
  EXPECT_EQ(disk_.changes() - before, 2U);
}

TEST_F(TxnLog, ABatchTakesZerosForThoseAfterIt) {
  options_.segment_bytes = 4 * kReserveStepBytes;
  open();
  const auto written = [&](std::vector<Entry> entries) {
    const auto before = disk_.bytes_written();
    append(std::move(entries));
    return disk_.bytes_written() - before;
  };
  const auto small = record_bytes(20);
  EXPECT_EQ(written(entries_of(kOne, 1, 1)), kSegmentHeaderBytes + small + kZeroBytesMin);
  EXPECT_EQ(written(entries_of(kOne, 2, 2)), small);
  const auto large = 100 * record_bytes(1000);
  EXPECT_EQ(written(entries_of(kOne, 3, 102, 1000)), large + kZeroBatches * large);
  EXPECT_EQ(written(entries_of(kOne, 103, 103)), small);
  const auto huge = 1'000 * record_bytes(1000);
  ASSERT_GE(huge, kZeroBatchBytesMax);
  EXPECT_EQ(written(entries_of(kOne, 104, 1'103, 1000)), huge);
  EXPECT_EQ(written(entries_of(kOne, 1'104, 1'104)), small + kZeroBytesMin);
  crash_and_open();
  EXPECT_EQ(found().entries.size(), 1'104U);
}

TEST_F(TxnLog, EmptyAppendTouchesNothing) {
  open();
  const auto before = disk_.changes();
  append({});
  EXPECT_EQ(disk_.changes(), before);
}

TEST_F(TxnLog, FullSegmentIsFollowedByAnother) {
  open();
  for (std::uint32_t i = 1; i <= 40; ++i) append(entries_of(kOne, i, i, 500));
  EXPECT_GT(files("log.").size(), 3U);
  crash_and_open();
  EXPECT_EQ(found().entries, entries_of(kOne, 1, 40, 500));
}

TEST_F(TxnLog, BatchLargerThanASegmentIsOneSegment) {
  open();
  append(entries_of(kOne, 1, 20, 1000));
  append(entries_of(kOne, 21, 21));
  EXPECT_EQ(files("log."), (std::vector<std::string>{"log.100000001", "log.100000015"}));
  crash_and_open();
  EXPECT_EQ(found().entries.size(), 21U);
}

TEST_F(TxnLog, TornTailIsCutNotFatal) {
  open();
  append(entries_of(kOne, 1, 3));
  append(entries_of(kOne, 4, 6));
  damage(Zxid{kOne, 1}, 4);
  open();
  EXPECT_EQ(found().entries, entries_of(kOne, 1, 4));
  EXPECT_TRUE(remarked("cut at offset"));
}

TEST_F(TxnLog, CutTailIsGoneForGood) {
  open();
  append(entries_of(kOne, 1, 3));
  append(entries_of(kOne, 4, 6));
  damage(Zxid{kOne, 1}, 4);
  open();
  append({entry_of(Zxid{kTwo, 1})});
  crash_and_open();
  EXPECT_EQ(found().entries.back(), entry_of(Zxid{kTwo, 1}));
  EXPECT_EQ(found().entries.size(), 5U);
  EXPECT_TRUE(found().remarks.empty());
}

TEST_F(TxnLog, DamageInTheMiddleIsRefused) {
  open();
  append(entries_of(kOne, 1, 3));
  append(entries_of(kOne, 4, 6));
  damage(Zxid{kOne, 1}, 1);
  const std::string text = refusal();
  const auto offset = scan(Zxid{kOne, 1}).end;
  EXPECT_NE(text.find("/sim/version-2/log.100000001"), std::string::npos) << text;
  EXPECT_NE(text.find(fmt::format("offset {} is damaged", offset)), std::string::npos) << text;
  EXPECT_NE(text.find("move the data directory away"), std::string::npos) << text;
}

TEST_F(TxnLog, RefusalChangesNothing) {
  open();
  append(entries_of(kOne, 1, 3));
  append(entries_of(kOne, 4, 6));
  damage(Zxid{kOne, 1}, 1);
  const std::string before = disk_.content(log_path(Zxid{kOne, 1}));
  EXPECT_NE(refusal(), "");
  EXPECT_EQ(disk_.content(log_path(Zxid{kOne, 1})), before);
}

TEST_F(TxnLog, TornTailOfASegmentThatIsNotTheLastIsRefused) {
  open();
  for (std::uint32_t i = 1; i <= 12; ++i) append(entries_of(kOne, i, i, 500));
  const auto records = scan(Zxid{kOne, 1}).records;
  damage(Zxid{kOne, 1}, records.size() - 1);
  EXPECT_NE(refusal().find("a later segment shows that it was durable"), std::string::npos);
}

TEST_F(TxnLog, MissingSegmentIsRefused) {
  open();
  for (std::uint32_t i = 1; i <= 30; ++i) append(entries_of(kOne, i, i, 500));
  const auto names = files("log.");
  ASSERT_GE(names.size(), 3U);
  ASSERT_TRUE(is_done(disk_.remove("version-2/" + names[1])));
  EXPECT_NE(refusal().find("but the segment before it ends with"), std::string::npos);
}

TEST_F(TxnLog, MissingSegmentBeforeANewEpochIsRefused) {
  options_.segment_bytes = 600;  // each append begins a segment
  open();
  append(entries_of(kOne, 1, 1));
  append(entries_of(kOne, 2, 2));
  append(entries_of(kTwo, 1, 1));  // would follow 1:1 as well by its number
  ASSERT_TRUE(is_done(disk_.remove(log_path(Zxid{kOne, 2}))));
  EXPECT_NE(refusal().find("but the segment before it ends with"), std::string::npos);
}

TEST_F(TxnLog, MissingBeginningIsRefused) {
  open();
  for (std::uint32_t i = 1; i <= 12; ++i) append(entries_of(kOne, i, i, 500));
  ASSERT_TRUE(is_done(disk_.remove(log_path(Zxid{kOne, 1}))));
  EXPECT_NE(refusal().find("entries between are missing"), std::string::npos);
}

// ZOOKEEPER-2332
TEST_F(TxnLog, EmptyLastSegmentIsTolerated) {
  open();
  append(entries_of(kOne, 1, 3));
  disk_.put("version-2/log.100000004", "");
  open();
  EXPECT_EQ(found().entries, entries_of(kOne, 1, 3));
  EXPECT_TRUE(remarked("begun but never used"));
  append(entries_of(kOne, 4, 4));
}

TEST_F(TxnLog, LastSegmentWithAHeaderOnlyIsTolerated) {
  open();
  append(entries_of(kOne, 1, 3));
  disk_.put("version-2/log.100000004", encode_segment_header({0, Zxid{kOne, 4}, Zxid{kOne, 3}}));
  open();
  EXPECT_EQ(found().entries, entries_of(kOne, 1, 3));
  append({entry_of(Zxid{kTwo, 1})});  // another entry than the name said
  open();
  EXPECT_EQ(store().last_logged(), (Zxid{kTwo, 1}));
}

TEST_F(TxnLog, DamagedHeaderBeforeEntriesIsRefused) {
  open();
  append(entries_of(kOne, 1, 3));
  disk_.corrupt(log_path(Zxid{kOne, 1}), 20);
  EXPECT_NE(refusal().find("the header at offset 0 is damaged"), std::string::npos);
}

TEST_F(TxnLog, SegmentUnderAnotherNameIsRefused) {
  open();
  append(entries_of(kOne, 1, 3));
  ASSERT_TRUE(is_done(disk_.rename(log_path(Zxid{kOne, 1}), log_path(Zxid{kOne, 2}))));
  EXPECT_NE(refusal().find("says that it begins with"), std::string::npos);
}

TEST_F(TxnLog, EntriesOfAKilledProcessAreMadeDurable) {
  open();
  append(entries_of(kOne, 1, 2));
  // The process dies between write and sync; what it wrote is in the page cache only, and is found.
  disk_.stop_after(1);
  ASSERT_FALSE(store().append(entries_of(kOne, 3, 3), Zxid{}));
  open();
  ASSERT_EQ(found().entries.size(), 3U);
  crash_and_open();
  EXPECT_EQ(found().entries, entries_of(kOne, 1, 3));
}

TEST_F(TxnLog, TruncateDropsWhatComesAfter) {
  open();
  append(entries_of(kOne, 1, 6));
  ASSERT_TRUE(is_done(store().truncate_after(Zxid{kOne, 4})));
  EXPECT_EQ(store().last_logged(), (Zxid{kOne, 4}));
  crash_and_open();
  EXPECT_EQ(found().entries, entries_of(kOne, 1, 4));
}

TEST_F(TxnLog, TruncateGoesBackOverSegments) {
  open();
  for (std::uint32_t i = 1; i <= 40; ++i) append(entries_of(kOne, i, i, 500));
  ASSERT_TRUE(is_done(store().truncate_after(Zxid{kOne, 9})));
  append({entry_of(Zxid{kTwo, 1})});
  crash_and_open();
  ASSERT_EQ(found().entries.size(), 10U);
  EXPECT_EQ(found().entries.back(), entry_of(Zxid{kTwo, 1}));
}

TEST_F(TxnLog, TruncateToTheEndOfASegmentIsPossible) {
  options_.segment_bytes = 600;
  open();
  for (std::uint32_t i = 1; i <= 5; ++i) append(entries_of(kOne, i, i));
  ASSERT_TRUE(is_done(store().truncate_after(Zxid{kOne, 3})));
  append({entry_of(Zxid{kTwo, 1})});
  crash_and_open();
  ASSERT_EQ(found().entries.size(), 4U);
}

TEST_F(TxnLog, TruncateToNothingIsPossible) {
  open();
  append(entries_of(kOne, 1, 6));
  ASSERT_TRUE(is_done(store().truncate_after(Zxid{})));
  append({entry_of(Zxid{kTwo, 1})});
  crash_and_open();
  EXPECT_EQ(found().entries, std::vector{entry_of(Zxid{kTwo, 1})});
}

TEST_F(TxnLog, InterruptedTruncateLeavesAContiguousLog) {
  for (std::uint64_t step = 0;; ++step) {
    disk_.wipe();
    open();
    for (std::uint32_t i = 1; i <= 20; ++i) append(entries_of(kOne, i, i, 500));
    disk_.stop_after(step);
    const bool done = store().truncate_after(Zxid{kOne, 3}).has_value();
    crash_and_open();
    const auto count = static_cast<std::uint32_t>(found().entries.size());
    EXPECT_EQ(found().entries, entries_of(kOne, 1, count, 500));
    EXPECT_GE(count, 3U);
    if (!done) continue;
    EXPECT_EQ(count, 3U);
    break;
  }
}

TEST_F(TxnLog, TruncateToWhatIsNotThereFails) {
  open();
  append(entries_of(kOne, 1, 3));
  append(entries_of(kTwo, 1, 3));
  const auto done = store().truncate_after(Zxid{kOne, 7});
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().text.find("there is no such entry"), std::string::npos);
}

TEST_F(TxnLog, TruncateOfWhatIsCommittedFails) {
  open();
  append(entries_of(kOne, 1, 6), Zxid{kOne, 4});
  EXPECT_FALSE(store().truncate_after(Zxid{kOne, 3}));
}

TEST_F(TxnLog, CommitMarkIsRecovered) {
  open();
  append(entries_of(kOne, 1, 3));
  append(entries_of(kOne, 4, 5), Zxid{kOne, 2});
  open();
  EXPECT_EQ(found().committed, (Zxid{kOne, 2}));
}

TEST_F(TxnLog, CommitMarkSurvivesATruncation) {
  options_.segment_bytes = 600;
  open();
  append(entries_of(kOne, 1, 3));
  append(entries_of(kOne, 4, 5), Zxid{kOne, 2});
  ASSERT_TRUE(is_done(store().truncate_after(Zxid{kOne, 3})));
  crash_and_open();
  EXPECT_EQ(found().committed, (Zxid{kOne, 2}));
}

TEST_F(TxnLog, CommitMarkNeverExceedsTheLog) {
  open();
  append(entries_of(kOne, 1, 3), Zxid{kOne, 9});
  open();
  EXPECT_EQ(found().committed, (Zxid{kOne, 3}));
}

TEST_F(TxnLog, AppendWithAHoleAborts) {
  open();
  append(entries_of(kOne, 1, 3));
  EXPECT_DEATH((void)store().append(entries_of(kOne, 5, 5), Zxid{}),
               "append of 0x100000005 after 0x100000003");
}

TEST_F(TxnLog, LogMayBeginWithAnyEpoch) {
  open();
  append({entry_of(Zxid{Epoch{7}, 1})});
  crash_and_open();
  EXPECT_EQ(store().last_logged(), (Zxid{Epoch{7}, 1}));
}

}  // namespace
}  // namespace zkfs::storage
