// SPDX-License-Identifier: Apache-2.0
// What is refused, and the data directory of zkfs that comes out.
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include <gtest/gtest.h>

#include "ensemble/base/limits.h"
#include "ensemble/storage/posix_disk.h"
#include "ensemble/storage/store.h"
#include "ensemble/tree/snapshot_codec.h"
#include "tests/import/source.h"

namespace zkfs::zookeeper {
namespace {

namespace fs = std::filesystem;

class Import : public testing::Test {
 protected:
  std::string problem(const std::string& log_dir = "") {
    const auto imported = read_zookeeper(source_.path(), log_dir);
    return imported ? "none" : imported.error().text;
  }

  Source source_;
  Source target_;
};

TEST_F(Import, TheStoreHoldsTheTreeTheZxidAndTheEpochs) {
  source_.write("snapshot.400000000", SnapshotText{.znodes = znodes()}.bytes());
  source_.write("log.400000001",
                log_header() + log_record(0x400000001, kCreateType, create("/a", Blob("x"), 1)));
  source_.write("currentEpoch", "4");
  source_.write("acceptedEpoch", "6\n");
  const auto imported = source_.read();
  ASSERT_TRUE(imported) << imported.error().text;
  EXPECT_EQ(imported->txns, 1U);
  auto disk = storage::open_posix_disk(target_.path());
  ASSERT_TRUE(write_data_dir(**disk, *imported));

  disk->reset();  // and the lock with it
  disk = storage::open_posix_disk(target_.path());
  const auto store = storage::Store::open(**disk, {});
  ASSERT_TRUE(store) << store.error().text;
  const storage::Recovered& recovered = (*store)->recovered();
  EXPECT_EQ(recovered.snapshot_zxid, Zxid(Epoch{4}, 1));
  EXPECT_EQ(recovered.committed, Zxid(Epoch{4}, 1));
  EXPECT_EQ(recovered.current_epoch, Epoch{4});
  EXPECT_EQ(recovered.accepted_epoch, Epoch{6});
  tree::SnapshotLoader loader;
  ASSERT_TRUE((*store)->read_snapshot([&](ByteView chunk) { return loader.add(chunk); }));
  const auto tree = loader.finish();
  ASSERT_TRUE(tree) << tree.error().text;
  EXPECT_EQ((*tree)->digest(), imported->tree->digest());
  // The log goes on there.
  const Entry next{Zxid(Epoch{7}, 1), Blob("x")};
  EXPECT_TRUE((*store)->append({&next, 1}, Zxid(Epoch{4}, 1)));
}

TEST_F(Import, TwoImportsOfOneDirectoryAreEqual) {
  source_.write_log(
      1, {{kCreateType, create("/b", Blob("x"), 1)}, {kCreateType, create("/a", Blob("y"), 2)}});
  EXPECT_EQ(source_.read()->tree->digest(), source_.read()->tree->digest());
}

TEST_F(Import, NamesAndValuesThatCannotBeAreListedWithTheRemedy) {
  const std::string name(256, 'n');
  source_.write_log(
      1, {{kCreateType, create("/" + name, Blob(), 1)},
          {kCreateType, create("/v", Blob(std::string(limits::kFrameBytesMax + 1, 'x')), 2)},
          {kCreateType, create("/ok", Blob(), 3)}});
  const std::string text = problem();
  EXPECT_NE(text.find("2 znodes cannot be imported; nothing was:"), std::string::npos) << text;
  EXPECT_NE(text.find("/" + name + ": the name has 256 bytes and 255 is the most"),
            std::string::npos);
  EXPECT_NE(text.find("/v: the value has "), std::string::npos);
  EXPECT_EQ(text.find("/ok"), std::string::npos);
}

TEST_F(Import, NoMoreThanTwentyAreListed) {
  std::vector<std::pair<std::int32_t, std::string>> txns;
  for (int i = 0; i < 30; ++i) {
    const std::string name(256 + static_cast<std::size_t>(i), 'n');
    txns.emplace_back(kCreateType, create("/" + name, Blob(), i + 1));
  }
  source_.write_log(1, txns);
  const std::string text = problem();
  EXPECT_NE(text.find("30 znodes"), std::string::npos);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 21);
}

TEST_F(Import, SnapshotsWithoutALogAskForIt) {
  source_.write("snapshot.5", SnapshotText{.znodes = znodes()}.bytes());
  EXPECT_NE(problem().find("give --log-dir with dataLogDir"), std::string::npos) << problem();
  EXPECT_EQ(problem(source_.path()), "none");
}

TEST_F(Import, TheLogMayBeElsewhere) {
  source_.write("snapshot.5", SnapshotText{.znodes = znodes()}.bytes());
  target_.write_log(6, {{kCreateType, create("/a", Blob(), 1)}});
  const auto imported = read_zookeeper(source_.path() + "/version-2", target_.path());
  ASSERT_TRUE(imported) << imported.error().text;
  EXPECT_TRUE(imported->tree->find_path("/a"));
}

TEST_F(Import, ADirectoryThatIsBeingWrittenIsRefused) {
  source_.write_log(1, {{kErrorType, error(-1)}});
  const std::string log = source_.path() + "/version-2/log.1";
  const int reading = open(log.c_str(), O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(problem(), "none");
  close(reading);
  const int writing = open(log.c_str(), O_RDWR | O_CLOEXEC);
  EXPECT_NE(problem().find("has it open for writing; stop the ZooKeeper server first"),
            std::string::npos)
      << problem();
  close(writing);
}

TEST_F(Import, WhatIsNoneOfZooKeepersIsRefused) {
  EXPECT_NE(problem().find("holds neither log.* nor snapshot.*"), std::string::npos) << problem();
  auto disk = storage::open_posix_disk(target_.path());
  Imported fresh;
  fresh.tree = std::make_unique<tree::DataTree>();
  ASSERT_TRUE(write_data_dir(**disk, fresh));
  disk->reset();
  const auto ours = read_zookeeper(target_.path(), target_.path());
  ASSERT_FALSE(ours);
  EXPECT_NE(ours.error().text.find("is of zkfs, not of ZooKeeper"), std::string::npos)
      << ours.error().text;
}

TEST_F(Import, EpochsThatAreNoNumbersAreRefused) {
  source_.write_log(1, {{kErrorType, error(-1)}});
  source_.write("currentEpoch", "four");
  EXPECT_NE(problem().find("currentEpoch: is not a decimal number"), std::string::npos)
      << problem();
}

}  // namespace
}  // namespace zkfs::zookeeper
