// SPDX-License-Identifier: Apache-2.0
// What zkfs dump makes of a data directory, which a Store has open meanwhile.
#include "zkfs/commands/dump_command.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ensemble/storage/data_dir.h"
#include "ensemble/storage/inspect.h"
#include "ensemble/storage/posix_disk.h"
#include "ensemble/storage/store.h"
#include "ensemble/tree/snapshot_codec.h"
#include "ensemble/tree/txn_codec.h"
#include "zkfs/options.h"

namespace zkfs {
namespace {

namespace fs = std::filesystem;
using Show = DumpCommand::Show;

constexpr std::uint64_t kSmallSegment = 4096;

class DumpCommandTest : public testing::Test {
 protected:
  struct Result {
    int code = 0;
    std::string out;
    std::string errors;
  };

  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "zkfs-dump-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    disk_ = std::move(*storage::open_posix_disk(root_));
    store_ = std::move(*storage::Store::open(*disk_, {.segment_bytes = kSmallSegment}));
  }

  void TearDown() override {
    store_.reset();
    fs::remove_all(root_);
  }

  static Zxid zxid(std::uint32_t counter) { return Zxid{Epoch{1}, counter}; }

  // Appends the creation of a file, as the next transaction.
  void create(const std::string& name, Zxid committed, std::size_t size = 3) {
    tree::CreateTxn txn;
    txn.parent = kRootIno;
    txn.name = name;
    txn.ino = Ino{++last_ + 1};
    txn.data = Blob(std::string(size, 'x'));
    txn.kind = tree::NodeKind::kFile;
    const Entry entry{zxid(last_),
                      tree::encode(tree::Txn{SessionId{1}, Xid{last_}, {}, 1000, txn})};
    ASSERT_TRUE(store_->append({&entry, 1}, committed));
    ahead_.apply(entry.zxid, *tree::decode_txn(entry.bytes.view()));
  }

  // Of everything that was appended.
  void take_snapshot() {
    using enum storage::SnapshotOrigin;
    ASSERT_TRUE(store_->snapshot_begin(kOwn, ahead_.last_applied()));
    const auto cursor = ahead_.begin_snapshot();
    while (const auto chunk = cursor->next(100'000, 1000))
      ASSERT_TRUE(store_->snapshot_chunk(kOwn, chunk->view()));
    ASSERT_TRUE(store_->snapshot_finish(kOwn));
  }

  void damage(const std::string& name, std::uint64_t offset) const {
    std::fstream stream(path(name), std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(static_cast<std::streamoff>(offset));
    stream.put('!');
  }

  [[nodiscard]] std::string path(const std::string& name) const {
    return root_ + "/" + storage::data_path(name);
  }

  Result dump(Show show, std::optional<Zxid> to = {}) {
    DumpCommand command;
    command.data_dir = root_;
    command.show = show;
    command.to = to;
    return run(command);
  }

  static Result run(const DumpCommand& command) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int code = run_dump(command);
    return {code, testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
  }

  std::string root_;
  std::unique_ptr<storage::Disk> disk_;
  std::unique_ptr<storage::Store> store_;
  tree::DataTree ahead_;
  std::uint32_t last_ = 0;
};

TEST_F(DumpCommandTest, RecordsAboveTheHighestMarkAreLoggedOnly) {
  create("a", Zxid{});
  create("b", zxid(1));
  create("c", zxid(1));
  const Result result = dump(Show::kTxns);
  EXPECT_EQ(result.code, kExitYes) << result.errors;
  EXPECT_NE(result.out.find("0x100000001 committed "), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("0x100000002 logged "), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("0x100000003 logged "), std::string::npos) << result.out;
}

TEST_F(DumpCommandTest, TheTreeIsOfWhatIsCommitted) {
  create("a", Zxid{});
  create("b", zxid(2));
  create("c", zxid(2));
  const Result result = dump(Show::kTree);
  EXPECT_EQ(result.code, kExitYes) << result.errors;
  EXPECT_NE(result.out.find("\"/b\" file "), std::string::npos) << result.out;
  EXPECT_EQ(result.out.find("\"/c\""), std::string::npos) << result.out;
  EXPECT_EQ(dump(Show::kTree, zxid(1)).out.find("\"/b\""), std::string::npos);
}

TEST_F(DumpCommandTest, TheTreeIsTheSnapshotAndTheLogAfterIt) {
  create("a", zxid(1));
  take_snapshot();
  create("b", zxid(2));
  create("c", zxid(3));
  EXPECT_NE(dump(Show::kSnapshot).out.find("\"/a\" file "), std::string::npos);
  EXPECT_EQ(dump(Show::kSnapshot).out.find("\"/b\""), std::string::npos);
  const Result tree = dump(Show::kTree);
  EXPECT_EQ(tree.code, kExitYes) << tree.errors;
  EXPECT_NE(tree.out.find(fmt::format("digest {:016x}", ahead_.digest())), std::string::npos)
      << tree.out;
}

TEST_F(DumpCommandTest, ADamagedSnapshotIsToldAndTheLogMakesUpForIt) {
  create("a", zxid(1));
  take_snapshot();
  damage("snapshot.100000001", 60);
  const Result result = dump(Show::kTree);
  EXPECT_EQ(result.code, kExitNo);
  EXPECT_TRUE(result.errors.starts_with("zkfs: " + path("snapshot.100000001") + ": "))
      << result.errors;
  EXPECT_NE(result.out.find("\"/a\" file "), std::string::npos) << result.out;
  EXPECT_EQ(dump(Show::kSnapshot).code, kExitNo);
}

TEST_F(DumpCommandTest, ATornTailIsShownAndIsNoFailure) {
  create("a", zxid(1));
  create("b", zxid(2));
  const std::uint64_t second = storage::read_log_file(path("log.100000001"))->scan.records[0].end;
  damage("log.100000001", second + 41);
  const Result result = dump(Show::kTxns);
  EXPECT_EQ(result.code, kExitYes) << result.errors;
  EXPECT_NE(result.out.find(fmt::format("# torn tail at offset {}, ", second)), std::string::npos)
      << result.out;
  EXPECT_EQ(result.out.find("\"b\""), std::string::npos);
}

TEST_F(DumpCommandTest, AMissingSegmentIsTold) {
  create("a", zxid(1), 4000);
  create("b", zxid(2), 4000);
  create("c", zxid(3), 4000);
  fs::remove(path("log.100000002"));
  const Result result = dump(Show::kTxns);
  EXPECT_EQ(result.code, kExitNo);
  EXPECT_NE(result.errors.find(path("log.100000003") + ": continues 0x100000002"),
            std::string::npos)
      << result.errors;
  EXPECT_EQ(dump(Show::kTree).code, kExitNo);
}

TEST_F(DumpCommandTest, FilesAreShownAsWhatTheyAre) {
  create("a", zxid(1));
  take_snapshot();
  DumpCommand command;
  command.files = {path("snapshot.100000001"), path("log.100000001"), "/proc/version"};
  const Result result = run(command);
  EXPECT_EQ(result.code, kExitNo);
  EXPECT_NE(result.out.find("create parent=1 name=\"a\""), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("\"/a\" file "), std::string::npos) << result.out;
  EXPECT_TRUE(result.errors.starts_with("zkfs: /proc/version: neither ")) << result.errors;
}

}  // namespace
}  // namespace zkfs
