// SPDX-License-Identifier: Apache-2.0
#include "tests/support/sim_disk.h"

#include <gtest/gtest.h>

namespace zkfs::testing {
namespace {

std::unique_ptr<storage::File> durable_file(SimDisk& disk,
                                            const std::string& path,
                                            const std::string& bytes) {
  auto file = disk.create(path).value();
  EXPECT_TRUE(file->write_at(0, bytes));
  EXPECT_TRUE(file->sync());
  EXPECT_TRUE(disk.sync_directory(""));
  return file;
}

// How often `outcome` is true in 200 crashes with other seeds.
template <typename Outcome>
int count(Outcome&& outcome) {
  int times = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SimDisk disk;
    Random random(seed);
    if (outcome(disk, random)) ++times;
  }
  return times;
}

TEST(SimDisk, SyncedBytesSurvive) {
  EXPECT_EQ(count([](SimDisk& disk, Random& random) {
              durable_file(disk, "f", "hello");
              disk.crash(random);
              return disk.content("f") == "hello";
            }),
            200);
}

TEST(SimDisk, UnsyncedSectorsAreKeptDroppedOrTornOneByOne) {
  int kept = 0;
  int dropped = 0;
  int torn = 0;
  int reordered = 0;
  count([&](SimDisk& disk, Random& random) {
    auto file = durable_file(disk, "f", std::string(1024, 'a'));
    EXPECT_TRUE(file->write_at(0, std::string(1024, 'b')));
    disk.crash(random);
    const std::string now = disk.content("f");
    const std::string first = now.substr(0, 512);
    if (first == std::string(512, 'a'))
      ++dropped;
    else if (first == std::string(512, 'b'))
      ++kept;
    else
      ++torn;
    if (first == std::string(512, 'a') && now.substr(512) == std::string(512, 'b')) ++reordered;
    return now.size() == 1024;
  });
  EXPECT_GT(kept, 20);
  EXPECT_GT(dropped, 20);
  EXPECT_GT(torn, 20);
  EXPECT_GT(reordered, 5);
}

TEST(SimDisk, UnsyncedGrowthMaySurviveOrNot) {
  const int grown = count([](SimDisk& disk, Random& random) {
    auto file = durable_file(disk, "f", "a");
    EXPECT_TRUE(file->reserve(2000));
    disk.crash(random);
    const auto size = disk.content("f").size();
    EXPECT_TRUE(size == 1 || size == 2000);
    return size == 2000;
  });
  EXPECT_GT(grown, 50);
  EXPECT_LT(grown, 150);
}

TEST(SimDisk, NameOfASyncedFileMayBeLost) {
  const int there = count([](SimDisk& disk, Random& random) {
    EXPECT_TRUE(disk.create("f").value()->sync());
    disk.crash(random);
    return disk.exists("f");
  });
  EXPECT_GT(there, 50);
  EXPECT_LT(there, 150);
}

TEST(SimDisk, DirectoryChangesSurviveAsAPrefix) {
  count([](SimDisk& disk, Random& random) {
    durable_file(disk, "old", "x");
    EXPECT_TRUE(disk.create("a"));
    EXPECT_TRUE(disk.create("b"));
    EXPECT_TRUE(disk.remove("old"));
    disk.crash(random);
    EXPECT_TRUE(disk.exists("a") || !disk.exists("b"));
    EXPECT_TRUE(disk.exists("b") || disk.exists("old"));
    return true;
  });
}

TEST(SimDisk, RenameIsAllOrNothing) {
  count([](SimDisk& disk, Random& random) {
    durable_file(disk, "f", "old");
    durable_file(disk, "f.tmp", "new");
    EXPECT_TRUE(disk.rename("f.tmp", "f"));
    disk.crash(random);
    EXPECT_EQ(disk.content("f"), disk.exists("f.tmp") ? "old" : "new");
    return true;
  });
}

TEST(SimDisk, RenameDoesNotMakeBytesDurable) {
  const int lost = count([](SimDisk& disk, Random& random) {
    auto file = disk.create("f.tmp").value();
    EXPECT_TRUE(file->write_at(0, "new"));
    EXPECT_TRUE(disk.rename("f.tmp", "f"));
    EXPECT_TRUE(disk.sync_directory(""));
    disk.crash(random);
    return disk.content("f") != "new";
  });
  EXPECT_GT(lost, 50);
}

TEST(SimDisk, SameSeedSameOutcome) {
  const auto run = [](std::uint64_t seed) {
    SimDisk disk;
    Random random(seed);
    auto file = durable_file(disk, "f", std::string(8192, 'a'));
    EXPECT_TRUE(file->write_at(100, std::string(8000, 'b')));
    disk.crash(random);
    return disk.content("f");
  };
  EXPECT_EQ(run(3), run(3));
  EXPECT_NE(run(3), run(4));
}

TEST(SimDisk, FilesOfAFormerLifeFail) {
  SimDisk disk;
  Random random(1);
  auto file = durable_file(disk, "f", "x");
  disk.crash(random);
  EXPECT_FALSE(file->write_at(0, "y"));
  EXPECT_FALSE(file->read_at(0, 1));
}

TEST(SimDisk, RestartKeepsWhatIsNotSynced) {
  SimDisk disk;
  EXPECT_TRUE(disk.create("f").value()->write_at(0, "x"));
  disk.restart();
  EXPECT_EQ(disk.content("f"), "x");
}

TEST(SimDisk, LockIsReleasedByACrash) {
  SimDisk disk;
  Random random(1);
  EXPECT_TRUE(disk.lock("l"));
  EXPECT_FALSE(disk.lock("l"));
  disk.crash(random);
  EXPECT_TRUE(disk.lock("l"));
}

TEST(SimDisk, StopsAfterSoManyChanges) {
  SimDisk disk;
  disk.stop_after(2);
  auto file = disk.create("f").value();
  EXPECT_TRUE(file->write_at(0, "x"));
  EXPECT_FALSE(file->write_at(1, "y"));
  EXPECT_FALSE(file->sync());
  EXPECT_TRUE(disk.stopped());
  disk.restart();
  EXPECT_EQ(disk.content("f"), "x");
}

TEST(SimDisk, SpaceIsLimited) {
  SimDisk disk;
  disk.set_space(100);
  auto file = disk.create("f").value();
  EXPECT_TRUE(file->write_at(0, std::string(100, 'x')));
  EXPECT_TRUE(file->write_at(0, std::string(100, 'y')));
  const auto full = file->write_at(1, std::string(100, 'z'));
  ASSERT_FALSE(full);
  EXPECT_NE(full.error().text.find("No space left on device"), std::string::npos);
}

}  // namespace
}  // namespace zkfs::testing
