// SPDX-License-Identifier: Apache-2.0
// zkfs import as a user runs it, and an ensemble that goes on with what it made.
#include <sys/stat.h>

#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/import/source.h"
#include "tests/system/cluster.h"

namespace zkfs::zookeeper {
namespace {

using testing::Cluster;
using testing::CommandResult;
using testing::run;

// Of epoch 5: a directory with a value, a child, an ephemeral, three sequential names.
void write_sample(const Source& source) {
  source.write("snapshot.500000000", SnapshotText{.znodes = znodes()}.bytes());
  std::string log = log_header();
  std::uint64_t zxid = 0x500000001;
  for (const std::string& body :
       {create("/a", Blob("value"), 1), create("/a/b", Blob("child"), 1),
        create("/e", Blob(), 2, true), create("/a/s-0000000001", Blob(), 2),
        create("/a/s-0000000002", Blob(), 3)})
    log += log_record(zxid++, kCreateType, body);
  source.write("log.500000001", log + "torn");
  source.write("currentEpoch", "5");
  source.write("acceptedEpoch", "5");
}

CommandResult import(const std::string& source, const std::string& target) {
  return run(fmt::format(ZKFS_PROGRAM " import --data-dir {} {}", target, source));
}

TEST(ImportCommandLine, TellsWhatWasImportedAndWhatNot) {
  const Source source;
  const Source target;
  write_sample(source);
  const auto result = import(source.path(), target.path());
  EXPECT_EQ(result.status, 0) << result.output;
  for (const char* line :
       {"last zxid 0x500000005, 5 transactions after the snapshot, epoch 5",
        "left out: 0 sessions, 1 ephemerals", "torn by a crash", "10 bytes of data"})
    EXPECT_NE(result.output.find(line), std::string::npos) << line << " in " << result.output;
  const auto dump = run(fmt::format(ZKFS_PROGRAM " dump --snapshot -d {}", target.path()));
  EXPECT_EQ(dump.status, 0) << dump.output;
  EXPECT_NE(dump.output.find("\"/a/b\""), std::string::npos) << dump.output;
  EXPECT_NE(dump.output.find("as of 0x500000005"), std::string::npos) << dump.output;
}

TEST(ImportCommandLine, NeverWritesIntoADirectoryWithData) {
  const Source source;
  const Source target;
  write_sample(source);
  ASSERT_EQ(import(source.path(), target.path()).status, 0);
  const auto again = import(source.path(), target.path());
  EXPECT_EQ(again.status, 1);
  EXPECT_NE(again.output.find("is there already; give a --data-dir without data"),
            std::string::npos)
      << again.output;
  EXPECT_EQ(import(source.path(), source.path()).status, 1);
}

TEST(ImportCommandLine, WritesNothingIfAnythingCannotBeImported) {
  const Source source;
  const Source target;
  source.write_log(1, {{kCreateType, create("/" + std::string(300, 'x'), Blob(), 1)}});
  EXPECT_EQ(import(source.path(), target.path() + "/new").status, 1);
  EXPECT_EQ(run("test -e " + target.path() + "/new").status, 1);
}

// Two of three have it, the third begins empty.
TEST(ImportCommandLine, AnEnsembleGoesOnWhereZooKeeperEnded) {
  ZKFS_NEEDS_FUSE();
  const Source source;
  write_sample(source);
  Cluster cluster({.start = false});
  for (const int node : {1, 2}) {
    const auto result = import(source.path(), cluster.directory(node) + "/data");
    ASSERT_EQ(result.status, 0) << result.output;
  }
  cluster.start_all();
  for (int node = 1; node <= 3; ++node) {
    ASSERT_TRUE(cluster.sync(node));
    EXPECT_EQ(testing::read_file(cluster.mnt(node, "a/.@data")), "value");
    EXPECT_EQ(testing::read_file(cluster.mnt(node, "a/b")), "child");
    EXPECT_EQ(run("test -e " + cluster.mnt(node, "e")).status, 1);
  }
  // The next sequential name, and zxids of a later epoch.
  const auto made = run(ZKFS_PROGRAM " create -s " + cluster.mnt(3, "a/s-"));
  EXPECT_EQ(made.output, cluster.mnt(3, "a/s-0000000003\n"));
  const auto zxid = run("getfattr --absolute-names --only-values -n user.zk.cZxid " +
                        cluster.mnt(3, "a/s-0000000003"));
  EXPECT_EQ(zxid.output.substr(0, 3), "0x6") << zxid.output;
  EXPECT_TRUE(cluster.same_everywhere());
}

}  // namespace
}  // namespace zkfs::zookeeper
