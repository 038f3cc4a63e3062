// SPDX-License-Identifier: Apache-2.0
#include "ensemble/storage/snapshot_store.h"

#include "tests/storage/store_fixture.h"

namespace zkfs::storage {
namespace {

constexpr Epoch kOne{1};

std::string hex(ByteView bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

class SnapshotStore : public StoreFixture {
 protected:
  void SetUp() override {
    open();
    append(entries_of(kOne, 1, 30, 300), Zxid{kOne, 30});
  }

  void own(std::uint32_t counter) {
    snapshot(SnapshotOrigin::kOwn, Zxid{kOne, counter}, {"a", "bc", "def"});
  }

  static std::string path(std::uint32_t counter) {
    return fmt::format("version-2/snapshot.{:x}", Zxid{kOne, counter}.value);
  }
};

TEST_F(SnapshotStore, BytesAreGolden) {
  snapshot(SnapshotOrigin::kOwn, Zxid{kOne, 2}, {"zkfs"});
  EXPECT_EQ(hex(disk_.content(path(2))),
            "5a4b4653534e415001000000000000000000000000000000020000000100000040f169af36ed026f43484e"
            "4b04000000ca8e4d3c24af87667a6b6673444f4e4500000000ca8e4d3c24af87660100000000000000d0d7"
            "6b2092b39706");
}

TEST_F(SnapshotStore, ChunksComeBackInOrder) {
  own(10);
  crash_and_open();
  EXPECT_EQ(found().snapshot_zxid, (Zxid{kOne, 10}));
  EXPECT_EQ(snapshot_text(), "abcdef");
  EXPECT_EQ(found().entries, entries_of(kOne, 11, 30, 300));
}

TEST_F(SnapshotStore, SnapshotWithoutChunksIsValid) {
  snapshot(SnapshotOrigin::kOwn, Zxid{kOne, 3}, {});
  open();
  EXPECT_TRUE(found().has_snapshot);
  EXPECT_EQ(snapshot_text(), "");
}

TEST_F(SnapshotStore, LargeSnapshotIsSyncedAsItGrows) {
  const std::string chunk(256 * 1024, 'c');
  ASSERT_TRUE(is_done(store().snapshot_begin(SnapshotOrigin::kOwn, Zxid{kOne, 3})));
  const auto before = disk_.changes();
  for (int i = 0; i < 40; ++i)
    ASSERT_TRUE(is_done(store().snapshot_chunk(SnapshotOrigin::kOwn, chunk)));
  EXPECT_EQ(disk_.changes() - before, 42U);  // 10 MiB: a sync after each 4
  ASSERT_TRUE(is_done(store().snapshot_finish(SnapshotOrigin::kOwn)));
  crash_and_open();
  EXPECT_EQ(snapshot_text().size(), 40 * chunk.size());
}

TEST_F(SnapshotStore, UnfinishedOneIsRemovedAtStart) {
  ASSERT_TRUE(is_done(store().snapshot_begin(SnapshotOrigin::kOwn, Zxid{kOne, 3})));
  ASSERT_TRUE(is_done(store().snapshot_chunk(SnapshotOrigin::kOwn, "abc")));
  open();
  EXPECT_FALSE(found().has_snapshot);
  EXPECT_TRUE(files("snapshot.").empty());
}

TEST_F(SnapshotStore, AbandonedOneLeavesNothing) {
  ASSERT_TRUE(is_done(store().snapshot_begin(SnapshotOrigin::kOwn, Zxid{kOne, 3})));
  store().snapshot_abandon(SnapshotOrigin::kOwn);
  EXPECT_TRUE(files("snapshot.").empty());
}

TEST_F(SnapshotStore, BeginningAnewAbandonsTheEarlierOne) {
  ASSERT_TRUE(is_done(store().snapshot_begin(SnapshotOrigin::kOwn, Zxid{kOne, 3})));
  own(4);
  EXPECT_EQ(files("snapshot."), std::vector<std::string>{"snapshot.100000004"});
}

TEST_F(SnapshotStore, OneOfEachOriginMayBeUnderWay) {
  const Zxid zxid{kOne, 30};
  ASSERT_TRUE(is_done(store().snapshot_begin(SnapshotOrigin::kOwn, zxid)));
  ASSERT_TRUE(is_done(store().snapshot_begin(SnapshotOrigin::kReceived, zxid)));
  ASSERT_TRUE(is_done(store().snapshot_chunk(SnapshotOrigin::kOwn, "own")));
  ASSERT_TRUE(is_done(store().snapshot_chunk(SnapshotOrigin::kReceived, "received")));
  ASSERT_TRUE(is_done(store().snapshot_finish(SnapshotOrigin::kOwn)));
  EXPECT_EQ(snapshot_text(), "own");
  ASSERT_TRUE(is_done(store().snapshot_finish(SnapshotOrigin::kReceived)));
  EXPECT_EQ(snapshot_text(), "received");
}

TEST_F(SnapshotStore, AnyDamagedByteIsSeen) {
  own(10);
  own(20);
  const std::string good = disk_.content(path(20));
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 4);
    disk_.put(path(20), bad);
    open();
    EXPECT_EQ(found().snapshot_zxid, (Zxid{kOne, 10})) << i;
    EXPECT_TRUE(remarked("not a valid snapshot")) << i;
  }
}

TEST_F(SnapshotStore, AnyTruncationIsSeen) {
  own(10);
  own(20);
  const std::string good = disk_.content(path(20));
  for (std::size_t size = 0; size < good.size(); ++size) {
    disk_.put(path(20), good.substr(0, size));
    open();
    EXPECT_EQ(found().snapshot_zxid, (Zxid{kOne, 10})) << size;
  }
  disk_.put(path(20), good + "x");
  open();
  EXPECT_EQ(found().snapshot_zxid, (Zxid{kOne, 10}));
}

TEST_F(SnapshotStore, InvalidOneIsPassedOverIfTheLogMakesUpForIt) {
  own(10);
  own(20);
  disk_.corrupt(path(20), 60);
  open();
  EXPECT_EQ(found().snapshot_zxid, (Zxid{kOne, 10}));
  EXPECT_EQ(found().entries, entries_of(kOne, 11, 30, 300));
}

TEST_F(SnapshotStore, InvalidOneThatTheLogDoesNotReachIsRefused) {
  snapshot(SnapshotOrigin::kReceived, Zxid{kOne, 40}, {"abc"});
  disk_.corrupt(path(40), 58);
  EXPECT_NE(refusal().find("the log, which ends with 0x0, does not make up for it"),
            std::string::npos)
      << refusal();
}

TEST_F(SnapshotStore, NoValidOneAndALogThatBeginsLaterIsRefused) {
  snapshot(SnapshotOrigin::kReceived, Zxid{kOne, 40}, {"abc"});
  append(entries_of(kOne, 41, 42));
  disk_.corrupt(path(40), 58);
  EXPECT_NE(refusal(), "");
}

TEST_F(SnapshotStore, GapToTheLogIsRefused) {
  own(10);
  ASSERT_TRUE(is_done(store().snapshot_begin(SnapshotOrigin::kReceived, Zxid{kOne, 40})));
  ASSERT_TRUE(is_done(store().snapshot_finish(SnapshotOrigin::kReceived)));
  append(entries_of(kOne, 41, 42));
  const std::string log = disk_.content("version-2/log.100000029");
  disk_.put("version-2/log.100000029",
            encode_snapshot_header({}) + log.substr(40));  // a foreign header
  EXPECT_NE(refusal(), "");
}

TEST_F(SnapshotStore, OwnSnapshotKeepsTheLog) {
  own(10);
  EXPECT_EQ(store().last_logged(), (Zxid{kOne, 30}));
  append(entries_of(kOne, 31, 31));
}

TEST_F(SnapshotStore, InitialSnapshotOfNothingIsPossible) {
  disk_.wipe();
  open();
  snapshot(SnapshotOrigin::kOwn, Zxid{}, {"root"});
  append(entries_of(kOne, 1, 2));
  crash_and_open();
  EXPECT_TRUE(found().has_snapshot);
  EXPECT_EQ(found().entries, entries_of(kOne, 1, 2));
}

TEST_F(SnapshotStore, SnapshotAtTheBeginningOfAnEpochJoinsTheLog) {
  snapshot(SnapshotOrigin::kOwn, Zxid{Epoch{2}, 0}, {"x"});
  append(entries_of(Epoch{2}, 1, 2));
  crash_and_open();
  EXPECT_EQ(found().snapshot_zxid, (Zxid{Epoch{2}, 0}));
  EXPECT_EQ(found().entries, entries_of(Epoch{2}, 1, 2));
}

}  // namespace
}  // namespace zkfs::storage
