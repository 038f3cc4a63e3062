// SPDX-License-Identifier: Apache-2.0
#include "ensemble/storage/inspect.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "ensemble/storage/data_dir.h"
#include "ensemble/storage/posix_disk.h"
#include "tests/storage/store_fixture.h"

namespace zkfs::storage {
namespace {

namespace fs = std::filesystem;

// A real directory with a Store that is open, as of a member that runs.
class Inspect : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "zkfs-inspect-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    disk_ = std::move(*open_posix_disk(root_));
    store_ = std::move(*Store::open(*disk_, {.segment_bytes = kSmallSegment}));
  }

  void TearDown() override {
    store_.reset();
    fs::remove_all(root_);
  }

  void append(std::uint32_t first, std::uint32_t last, std::size_t size = 20) {
    const auto entries = entries_of(Epoch{1}, first, last, size);
    ASSERT_TRUE(is_done(store_->append(entries, Zxid{Epoch{1}, first})));
  }

  void take_snapshot(Zxid zxid) {
    ASSERT_TRUE(is_done(store_->snapshot_begin(SnapshotOrigin::kOwn, zxid)));
    ASSERT_TRUE(is_done(store_->snapshot_chunk(SnapshotOrigin::kOwn, "chunk")));
    ASSERT_TRUE(is_done(store_->snapshot_finish(SnapshotOrigin::kOwn)));
  }

  std::string path(const std::string& name) { return root_ + "/" + data_path(name); }

  // Changes a byte of a file.
  static void damage(const std::string& file, std::uint64_t offset) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(static_cast<std::streamoff>(offset));
    stream.put('!');
  }

  // Every file's name and content.
  std::map<std::string, std::string> contents() {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(root_)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream stream(entry.path(), std::ios::binary);
      all[entry.path()] = {std::istreambuf_iterator<char>(stream), {}};
    }
    return all;
  }

  std::string root_;
  std::unique_ptr<Disk> disk_;
  std::unique_ptr<Store> store_;
};

TEST_F(Inspect, ListsSegmentsAndSnapshotsInOrder) {
  append(1, 2, 3000);
  append(3, 4, 3000);
  take_snapshot(Zxid{Epoch{1}, 2});
  const auto files = list_data_files(root_);
  ASSERT_TRUE(is_done(files));
  ASSERT_EQ(files->size(), 3U);
  EXPECT_EQ(files->at(0).path, path("log.100000001"));
  EXPECT_EQ(files->at(1).path, path("log.100000003"));
  EXPECT_EQ(files->at(2).path, path("snapshot.100000002"));
  EXPECT_EQ(files->at(2).kind, DataFile::Kind::kSnapshot);
}

TEST_F(Inspect, TakesTheInnerDirectoryToo) {
  append(1, 1);
  const auto files = list_data_files(root_ + "/version-2");
  ASSERT_TRUE(is_done(files));
  EXPECT_EQ(files->size(), 1U);
}

TEST_F(Inspect, ReadsTheRecordsOfAStoreThatIsOpen) {
  append(1, 3);
  const auto log = read_log_file(path("log.100000001"));
  ASSERT_TRUE(is_done(log));
  EXPECT_EQ(log->header.first, Zxid(Epoch{1}, 1));
  ASSERT_EQ(log->scan.records.size(), 3U);
  EXPECT_EQ(log->scan.records[2].entry, entry_of(Zxid{Epoch{1}, 3}));
  EXPECT_EQ(log->scan.tail, SegmentScan::Tail::kClean);
}

TEST_F(Inspect, ShowsATornTailAndLeavesItThere) {
  append(1, 3);
  damage(path("log.100000001"), kSegmentHeaderBytes + 2 * record_bytes(20) + 45);
  const auto before = contents();
  const auto log = read_log_file(path("log.100000001"));
  ASSERT_TRUE(is_done(log));
  EXPECT_EQ(log->scan.tail, SegmentScan::Tail::kTorn);
  EXPECT_EQ(log->scan.records.size(), 2U);
  EXPECT_EQ(contents(), before);
}

TEST_F(Inspect, TellsDamageFromATornTail) {
  append(1, 1);
  append(2, 2);
  damage(path("log.100000001"), kSegmentHeaderBytes + 45);
  const auto log = read_log_file(path("log.100000001"));
  ASSERT_TRUE(is_done(log));
  EXPECT_EQ(log->scan.tail, SegmentScan::Tail::kDamaged);
}

TEST_F(Inspect, ReadsASnapshotAndFindsDamageInIt) {
  append(1, 1);
  take_snapshot(Zxid{Epoch{1}, 1});
  std::string chunks;
  const auto take = [&chunks](ByteView chunk) -> Expected<void> {
    chunks += chunk;
    return {};
  };
  const auto header = read_snapshot_file(path("snapshot.100000001"), take);
  ASSERT_TRUE(is_done(header));
  EXPECT_EQ(header->zxid, Zxid(Epoch{1}, 1));
  EXPECT_EQ(chunks, "chunk");
  damage(path("snapshot.100000001"), 40 + 16 + 1);
  const auto again = read_snapshot_file(path("snapshot.100000001"), take);
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().text.find("damaged chunk"), std::string::npos) << again.error().text;
}

TEST_F(Inspect, TellsWhatAFileIs) {
  append(1, 1);
  take_snapshot(Zxid{Epoch{1}, 1});
  EXPECT_EQ(identify_data_file(path("log.100000001"))->kind, DataFile::Kind::kLog);
  EXPECT_EQ(identify_data_file(path("snapshot.100000001"))->kind, DataFile::Kind::kSnapshot);
  EXPECT_FALSE(identify_data_file(path("zkfs.lock")));
}

TEST_F(Inspect, RefusesADirectoryWithoutEither) {
  const auto files = list_data_files(root_);
  ASSERT_FALSE(files);
  EXPECT_NE(files.error().text.find(root_), std::string::npos);
}

}  // namespace
}  // namespace zkfs::storage
