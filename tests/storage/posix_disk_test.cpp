// SPDX-License-Identifier: Apache-2.0
#include "ensemble/storage/posix_disk.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "ensemble/storage/store.h"
#include "tests/storage/store_fixture.h"

namespace zkfs::storage {
namespace {

constexpr uid_t kNobody = 65534;

class PosixDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "zkfs-posix-disk-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
  }

  void TearDown() override { std::filesystem::remove_all(root_); }

  std::unique_ptr<Disk> disk(const std::string& below = "") {
    auto opened = open_posix_disk(root_ + below);
    EXPECT_TRUE(is_done(opened));
    return std::move(*opened);
  }

  static std::string problem(const Expected<std::unique_ptr<Disk>>& opened) {
    return opened ? std::string{} : opened.error().text;
  }

  std::string root_;
};

TEST_F(PosixDisk, RootIsMadeWithItsParents) {
  disk("/a/b/c");
  EXPECT_TRUE(std::filesystem::is_directory(root_ + "/a/b/c"));
}

TEST_F(PosixDisk, DataIsForItsOwnerOnly) {
  ASSERT_TRUE(is_done(disk("/d")->create("f")));

  struct stat status {};

  ASSERT_EQ(::stat((root_ + "/d").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0700U);
  ASSERT_EQ(::stat((root_ + "/d/f").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0077U, 0U);
}

TEST_F(PosixDisk, FileInTheWayIsNamed) {
  std::ofstream(root_ + "/file") << "x";
  const std::string text = problem(open_posix_disk(root_ + "/file"));
  EXPECT_NE(text.find(root_ + "/file: "), std::string::npos) << text;
  EXPECT_NE(text.find("a file is in the way"), std::string::npos) << text;
}

TEST_F(PosixDisk, UnwritableDirectoryIsNamedWithTheRemedy) {
  ASSERT_EQ(::chmod(root_.c_str(), 0555), 0);
  const bool is_root = ::geteuid() == 0;
  if (is_root) {
    ASSERT_EQ(::seteuid(kNobody), 0);
  }
  const std::string there = problem(open_posix_disk(root_));
  const std::string below = problem(open_posix_disk(root_ + "/new"));
  if (is_root) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  for (const std::string& text : {there, below}) {
    EXPECT_NE(text.find(root_), std::string::npos) << text;
    EXPECT_NE(text.find("Permission denied; check the directory's owner and permissions or pass "
                        "another --data-dir"),
              std::string::npos)
        << text;
  }
}

TEST_F(PosixDisk, FullDiskIsNamedWithTheRemedy) {
  if (::mount("tmpfs", root_.c_str(), "tmpfs", 0, "size=64k") != 0)
    GTEST_SKIP() << "needs the right to mount";
  {
    auto full = disk();
    auto file = full->create("f");
    ASSERT_TRUE(is_done(file));
    for (const auto& done :
         {(*file)->write_at(0, std::string(1U << 20U, 'x')), (*file)->reserve(1U << 20U)}) {
      EXPECT_FALSE(done);
      if (!done) {
        EXPECT_NE(done.error().text.find(root_ + "/f: "), std::string::npos) << done.error().text;
        EXPECT_NE(done.error().text.find(
                      "No space left on device; free space or pass another --data-dir"),
                  std::string::npos)
            << done.error().text;
      }
    }
  }
  EXPECT_EQ(::umount2(root_.c_str(), MNT_DETACH), 0);
}

TEST_F(PosixDisk, SecondProcessIsRefusedByItsLockWithThePid) {
  auto first = disk();
  ASSERT_TRUE(is_done(first->lock("zkfs.lock")));
  const auto second = disk()->lock("zkfs.lock");
  ASSERT_FALSE(second);
  EXPECT_EQ(
      second.error().text,
      fmt::format("{}/zkfs.lock: is held by process {}; stop that one or pass another --data-dir",
                  root_, ::getpid()));
}

TEST_F(PosixDisk, LockIsReleasedWithTheDisk) {
  ASSERT_TRUE(is_done(disk()->lock("zkfs.lock")));
  EXPECT_TRUE(is_done(disk()->lock("zkfs.lock")));
}

TEST_F(PosixDisk, OpenOfWhatIsNotThereNamesIt) {
  const auto file = disk()->open("version-2/x");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().text, root_ + "/version-2/x: open failed: No such file or directory");
}

TEST_F(PosixDisk, WritesAndReadsAnywhere) {
  auto file = disk()->create("f").value();
  ASSERT_TRUE(is_done(file->write_at(10, "abc")));
  EXPECT_EQ(file->read_at(9, 100).value(), std::string("\0abc", 4));
  EXPECT_EQ(file->read_at(50, 10).value(), "");
  ASSERT_TRUE(is_done(file->truncate(11)));
  EXPECT_EQ(file->size().value(), 11U);
  EXPECT_TRUE(is_done(file->sync()));
}

TEST_F(PosixDisk, ReservedRoomReadsAsZerosAndKeepsWhatIsThere) {
  auto file = disk()->create("f").value();
  ASSERT_TRUE(is_done(file->write_at(0, "abc")));
  ASSERT_TRUE(is_done(file->reserve(700'000)));
  EXPECT_EQ(file->size().value(), 700'000U);
  std::string expected(700'000, '\0');
  expected.replace(0, 3, "abc");
  EXPECT_TRUE(file->read_at(0, 700'000).value() == expected);
}

TEST_F(PosixDisk, ListIsSortedAndAnAbsentDirectoryIsEmpty) {
  auto here = disk();
  ASSERT_TRUE(is_done(here->make_directory("d")));
  ASSERT_TRUE(is_done(here->make_directory("d")));
  for (const char* name : {"d/b", "d/a", "d/c"}) ASSERT_TRUE(is_done(here->create(name)));
  ASSERT_TRUE(is_done(here->rename("d/c", "d/e")));
  ASSERT_TRUE(is_done(here->remove("d/b")));
  ASSERT_TRUE(is_done(here->sync_directory("d")));
  EXPECT_EQ(here->list("d").value(), (std::vector<std::string>{"a", "e"}));
  EXPECT_TRUE(here->list("none").value().empty());
  EXPECT_TRUE(here->exists("d/a"));
  EXPECT_FALSE(here->exists("d/b"));
}

TEST_F(PosixDisk, StoreKeepsItsPromisesOnIt) {
  const StoreOptions options{.segment_bytes = 3 << 20U, .snapshots_retained = 1};
  for (std::uint32_t round = 0; round < 3; ++round) {
    auto here = disk();
    auto store = Store::open(*here, options);
    ASSERT_TRUE(is_done(store));
    EXPECT_EQ((*store)->last_logged(), (Zxid{Epoch{round > 0 ? 1U : 0U}, round * 100}));
    for (std::uint32_t i = 1; i <= 100; ++i) {
      const std::vector entries{entry_of(Zxid{Epoch{1}, round * 100 + i}, 20'000)};
      ASSERT_TRUE(is_done((*store)->append(entries, Zxid{})));
    }
    ASSERT_TRUE(
        is_done((*store)->snapshot_begin(SnapshotOrigin::kOwn, Zxid{Epoch{1}, round * 100 + 50})));
    ASSERT_TRUE(is_done((*store)->snapshot_chunk(SnapshotOrigin::kOwn, "state")));
    ASSERT_TRUE(is_done((*store)->snapshot_finish(SnapshotOrigin::kOwn)));
    ASSERT_TRUE(is_done((*store)->purge()));
  }
}

}  // namespace
}  // namespace zkfs::storage
