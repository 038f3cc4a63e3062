// SPDX-License-Identifier: Apache-2.0
#include "ensemble/storage/store.h"

#include "tests/storage/store_fixture.h"

namespace zkfs::storage {
namespace {

constexpr Epoch kOne{1};
constexpr Epoch kTwo{2};

class Store : public StoreFixture {
 protected:
  void fill(std::uint32_t first, std::uint32_t last) {
    for (std::uint32_t i = first; i <= last; ++i)
      append(entries_of(kOne, i, i, 500), Zxid{kOne, i - 1});
  }

  void own(std::uint32_t counter) {
    snapshot(SnapshotOrigin::kOwn, Zxid{kOne, counter}, {fmt::format("state {}", counter)});
  }

  static std::string snapshot_path(std::uint32_t counter) {
    return fmt::format("version-2/snapshot.{:x}", Zxid{kOne, counter}.value);
  }
};

TEST_F(Store, EmptyDirectoryIsAnEmptyMember) {
  open();
  EXPECT_FALSE(found().has_snapshot);
  EXPECT_TRUE(found().entries.empty());
  EXPECT_TRUE(found().remarks.empty());
  EXPECT_EQ(store().last_logged(), Zxid{});
  EXPECT_EQ(found().committed, Zxid{});
}

TEST_F(Store, LogWithoutASnapshotIsAValidBeginning) {
  open();
  fill(1, 3);
  open();
  EXPECT_FALSE(found().has_snapshot);
  EXPECT_EQ(found().entries.size(), 3U);
}

TEST_F(Store, ReceivedSnapshotKillsOldLog) {
  open();
  fill(1, 20);
  snapshot(SnapshotOrigin::kReceived, Zxid{kOne, 7}, {"leader's"});
  EXPECT_EQ(store().last_logged(), (Zxid{kOne, 7}));
  append({entry_of(Zxid{kTwo, 1})});
  crash_and_open();
  EXPECT_EQ(found().snapshot_zxid, (Zxid{kOne, 7}));
  EXPECT_EQ(snapshot_text(), "leader's");
  EXPECT_EQ(found().entries, std::vector{entry_of(Zxid{kTwo, 1})});
}

TEST_F(Store, ReceivedSnapshotReplacesOldSnapshots) {
  open();
  fill(1, 20);
  own(10);
  snapshot(SnapshotOrigin::kReceived, Zxid{kOne, 7}, {"leader's"});
  EXPECT_EQ(files("snapshot."), std::vector<std::string>{"snapshot.100000007"});
}

TEST_F(Store, ReceivedSnapshotAtThePositionOfAnOwnOneReplacesIt) {
  open();
  fill(1, 20);
  own(7);
  snapshot(SnapshotOrigin::kReceived, Zxid{kOne, 7}, {"leader's"});
  crash_and_open();
  EXPECT_EQ(snapshot_text(), "leader's");
  EXPECT_TRUE(found().entries.empty());
}

TEST_F(Store, CrashWhileASnapshotIsInstalledLeavesTheOldHistoryOrTheNew) {
  int old_count = 0;
  int new_count = 0;
  for (std::uint64_t step = 0;; ++step) {
    disk_.wipe();
    open();
    fill(1, 20);
    ASSERT_TRUE(is_done(store().snapshot_begin(SnapshotOrigin::kReceived, Zxid{kOne, 7})));
    ASSERT_TRUE(is_done(store().snapshot_chunk(SnapshotOrigin::kReceived, "leader's")));
    disk_.stop_after(step);
    const bool done = store().snapshot_finish(SnapshotOrigin::kReceived).has_value();
    crash_and_open();
    if (found().has_snapshot) {
      EXPECT_EQ(store().last_logged(), (Zxid{kOne, 7}));
      EXPECT_TRUE(found().entries.empty());
      EXPECT_TRUE(files("log.").empty());
      ++new_count;
    } else {
      EXPECT_EQ(found().entries.size(), 20U);
      EXPECT_FALSE(done);
      ++old_count;
    }
    if (done) break;
  }
  EXPECT_GT(old_count, 0);
  EXPECT_GT(new_count, 1);
}

TEST_F(Store, OwnSnapshotOfTheReplacedHistoryIsDropped) {
  open();
  fill(1, 20);
  ASSERT_TRUE(is_done(store().snapshot_begin(SnapshotOrigin::kOwn, Zxid{kOne, 15})));
  snapshot(SnapshotOrigin::kReceived, Zxid{kOne, 7}, {"leader's"});
  EXPECT_TRUE(is_done(store().snapshot_chunk(SnapshotOrigin::kOwn, "old")));
  EXPECT_TRUE(is_done(store().snapshot_finish(SnapshotOrigin::kOwn)));
  EXPECT_EQ(files("snapshot."), std::vector<std::string>{"snapshot.100000007"});
}

TEST_F(Store, SnapshotsOfManyGenerationsFollowEachOther) {
  open();
  for (std::uint32_t round = 1; round <= 5; ++round) {
    const Epoch epoch{round};
    append(entries_of(epoch, 1, 10, 400));
    snapshot(SnapshotOrigin::kReceived, Zxid{epoch, 5}, {fmt::format("{}", round)});
    append(entries_of(epoch, 6, 8));
    snapshot(SnapshotOrigin::kOwn, Zxid{epoch, 7}, {fmt::format("own {}", round)});
    crash_and_open();
    EXPECT_EQ(found().snapshot_zxid, (Zxid{epoch, 7}));
    EXPECT_EQ(found().entries, entries_of(epoch, 8, 8));
  }
}

TEST_F(Store, CommittedIsAtLeastTheSnapshot) {
  open();
  append(entries_of(kOne, 1, 9));
  own(5);
  open();
  EXPECT_EQ(found().committed, (Zxid{kOne, 5}));
}

TEST_F(Store, TruncateToTheSnapshotIsPossible) {
  open();
  append(entries_of(kOne, 1, 9));
  own(5);
  ASSERT_TRUE(is_done(store().truncate_after(Zxid{kOne, 5})));
  append({entry_of(Zxid{kTwo, 1})});
  crash_and_open();
  EXPECT_EQ(found().entries, std::vector{entry_of(Zxid{kTwo, 1})});
}

TEST_F(Store, TruncateToASnapshotWhoseSegmentWasPurgedIsPossible) {
  options_ = {.segment_bytes = 600, .snapshots_retained = 1};
  open();
  for (std::uint32_t i = 1; i <= 9; ++i) append(entries_of(kOne, i, i));
  own(5);
  ASSERT_TRUE(is_done(store().purge()));
  ASSERT_EQ(files("log.").front(), "log.100000006");
  ASSERT_TRUE(is_done(store().truncate_after(Zxid{kOne, 5})));
  append({entry_of(Zxid{kTwo, 1})});
  crash_and_open();
  EXPECT_EQ(found().entries, std::vector{entry_of(Zxid{kTwo, 1})});
}

TEST_F(Store, PurgeKeepsTheNewestSnapshotsAndTheirLog) {
  open();
  fill(1, 60);
  for (const std::uint32_t at : {10U, 20U, 30U, 40U, 50U}) own(at);
  ASSERT_TRUE(is_done(store().purge()));
  EXPECT_EQ(
      files("snapshot."),
      (std::vector<std::string>{"snapshot.10000001e", "snapshot.100000028", "snapshot.100000032"}));
  ASSERT_TRUE(is_done(disk_.remove(snapshot_path(50))));
  ASSERT_TRUE(is_done(disk_.remove(snapshot_path(40))));
  open();
  EXPECT_EQ(found().entries, entries_of(kOne, 31, 60, 500));
}

TEST_F(Store, PurgeRemovesTheLogThatNoSnapshotNeeds) {
  open();
  fill(1, 60);
  const auto before = files("log.");
  for (const std::uint32_t at : {30U, 40U, 50U}) own(at);
  const auto bytes = store().disk_bytes();
  ASSERT_TRUE(is_done(store().purge()));
  EXPECT_LT(files("log.").size(), before.size());
  EXPECT_LT(store().disk_bytes(), bytes);
}

// ZOOKEEPER-3231
TEST_F(Store, PurgeCountsValidSnapshotsOnly) {
  open();
  fill(1, 60);
  for (const std::uint32_t at : {10U, 20U, 30U, 40U, 50U}) own(at);
  open();  // the newest is read; of the others nothing is known
  disk_.corrupt(snapshot_path(40), 58);
  disk_.corrupt(snapshot_path(20), 58);
  ASSERT_TRUE(is_done(store().purge()));
  EXPECT_EQ(
      files("snapshot."),
      (std::vector<std::string>{"snapshot.10000000a", "snapshot.10000001e", "snapshot.100000032"}));
  ASSERT_TRUE(is_done(disk_.remove(snapshot_path(50))));
  ASSERT_TRUE(is_done(disk_.remove(snapshot_path(30))));
  open();
  EXPECT_EQ(found().entries, entries_of(kOne, 11, 60, 500));
}

TEST_F(Store, PurgeWithoutASnapshotKeepsEverything) {
  open();
  fill(1, 40);
  const auto before = files("");
  ASSERT_TRUE(is_done(store().purge()));
  EXPECT_EQ(files(""), before);
}

TEST_F(Store, InterruptedPurgeLosesNothing) {
  options_.snapshots_retained = 1;
  for (std::uint64_t step = 0;; ++step) {
    disk_.wipe();
    open();
    fill(1, 40);
    for (const std::uint32_t at : {10U, 20U, 30U}) own(at);
    disk_.stop_after(step);
    const bool done = store().purge().has_value();
    crash_and_open();
    EXPECT_EQ(found().snapshot_zxid, (Zxid{kOne, 30}));
    EXPECT_EQ(found().entries, entries_of(kOne, 31, 40, 500));
    if (done) break;
  }
}

TEST_F(Store, SecondProcessIsRefused) {
  open();
  const auto second = zkfs::storage::Store::open(disk_, options_);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().text.find("zkfs.lock: is held by process"), std::string::npos);
}

TEST_F(Store, FullDiskIsAProblemThatNamesTheRemedy) {
  open();
  fill(1, 3);
  disk_.set_space(disk_.used() + 100);
  Expected<void> done;
  for (std::uint32_t i = 4; done && i < 40; ++i)
    done = store().append(entries_of(kOne, i, i, 500), Zxid{});
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().text.find("No space left on device; free space"), std::string::npos);
}

TEST_F(Store, NothingIsLostToAFullDisk) {
  open();
  disk_.set_space(16'000);
  std::uint32_t acknowledged = 0;
  while (store().append(entries_of(kOne, acknowledged + 1, acknowledged + 1, 500), Zxid{}))
    ++acknowledged;
  disk_.set_space(1'000'000);
  open();
  EXPECT_EQ(found().entries, entries_of(kOne, 1, acknowledged, 500));
  append(entries_of(kOne, acknowledged + 1, acknowledged + 1, 500));
}

TEST_F(Store, FailureOfASyncEndsEverything) {
  open();
  fill(1, 3);
  disk_.fail_sync(1);
  const auto first = store().append(entries_of(kOne, 4, 4), Zxid{});
  ASSERT_FALSE(first);
  const auto second = store().save_accepted_epoch(Epoch{1});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().text, first.error().text);
}

TEST_F(Store, EntriesOfAFailedSyncAreDurableOnceTheyAreShown) {
  open();
  fill(1, 3);
  disk_.fail_sync(1);
  ASSERT_FALSE(store().append(entries_of(kOne, 4, 4, 500), Zxid{}));
  open();
  const auto shown = found().entries;
  crash_and_open();
  EXPECT_EQ(found().entries, shown);
}

TEST_F(Store, HalfAWriteIsATornTail) {
  open();
  fill(1, 3);
  disk_.fail_write(1);
  ASSERT_FALSE(store().append(entries_of(kOne, 4, 4, 500), Zxid{}));
  open();
  EXPECT_EQ(found().entries, entries_of(kOne, 1, 3, 500));
  EXPECT_TRUE(remarked("was cut"));
}

}  // namespace
}  // namespace zkfs::storage
