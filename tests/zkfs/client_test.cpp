// SPDX-License-Identifier: Apache-2.0
#include "zkfs/commands/client.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include <gtest/gtest.h>

#include "ensemble/base/limits.h"
#include "zkfs/commands/create_command.h"
#include "zkfs/commands/deadline.h"

namespace zkfs {
namespace {

using std::chrono::seconds;

TEST(ClientPath, SplitsLikeDirnameAndBasename) {
  EXPECT_EQ(directory_of("/zk/a/b"), "/zk/a");
  EXPECT_EQ(directory_of("/zk/a/"), "/zk");
  EXPECT_EQ(directory_of("/zk"), "/");
  EXPECT_EQ(directory_of("/"), "/");
  EXPECT_EQ(directory_of("a"), ".");
  EXPECT_EQ(directory_of("a//b"), "a");
  EXPECT_EQ(name_of("/zk/a/b"), "b");
  EXPECT_EQ(name_of("/zk/a/"), "a");
  EXPECT_EQ(name_of("a"), "a");
}

TEST(ClientPath, JoinsWithOneSlash) {
  EXPECT_EQ(joined("/", "a"), "/a");
  EXPECT_EQ(joined("/zk", "a"), "/zk/a");
  EXPECT_EQ(joined(".", "a"), "a");
}

TEST(CreateMarkers, AreTheContractsInOneName) {
  CreateCommand command;
  command.path = "q/job-";
  EXPECT_EQ(marked_path(command), "q/job-");
  command.sequential = true;
  EXPECT_EQ(marked_path(command), "q/job-@seq");
  command.ephemeral = true;
  EXPECT_EQ(marked_path(command), "q/job-@seq@eph");
  command.owner = "4711";
  EXPECT_EQ(marked_path(command), "q/job-@seq@eph=4711");
  command.ephemeral = false;
  command.ttl = seconds(30);
  EXPECT_EQ(marked_path(command), "q/job-@seq@ttl=30000ms");
  command.ttl.reset();
  command.container = true;
  EXPECT_EQ(marked_path(command), "q/job-@seq@container");
}

TEST(RequireZkfs, RefusesAnotherFilesystemAndWhatIsNotThere) {
  EXPECT_EQ(require_zkfs("/proc").error(), kNotZkfs);
  EXPECT_EQ(require_zkfs("/no/such/path").error(), ENOENT);
}

TEST(ReadAll, StopsAtTheLargestValue) {
  const Descriptor zeros(open("/dev/zero", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(read_all(zeros.get()).error(), EFBIG);
}

TEST(RunWithin, HandsTheExitCodeOn) {
  EXPECT_EQ(run_within(seconds(60), [] { return 3; }), 3);
}

TEST(RunWithin, EndsWhatIsNotDone) {
  EXPECT_EQ(run_within(Millis(20), [] { return pause(); }), std::nullopt);
}

}  // namespace
}  // namespace zkfs
