// SPDX-License-Identifier: Apache-2.0
// What a watch without a dentry (the kernel was made to forget) is told of; and a watch by `..`.
#include <fcntl.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <optional>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "mount/replay.h"
#include "tests/mount/event_mount.h"

namespace zkfs::test {
namespace {

using Events = std::vector<std::string>;

std::size_t count(const Events& events, const std::string& event) {
  return static_cast<std::size_t>(std::ranges::count(events, event));
}

class ReplayPruned : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (!EventMount::possible()) GTEST_SKIP() << "needs root and /dev/fuse";
    mount_.emplace();
    mount_->foreign(create_directory("/d"));
    mount_->foreign(create_directory("/e"));
    mount_->settle();
  }

  void watch(const std::string& path, std::string label) {
    mount_->settle();
    watcher_.add(mount_->path(path), std::move(label));
  }

  Events settled() {
    mount_->settle();
    return watcher_.take();
  }

  void prune() {
    if (!GetParam()) return;
    settled();
    bool sent = false;
    mount_->run([&] { sent = mount_->helper().prune(0); });
    ASSERT_TRUE(sent);
    while (mount_->counters().prunes == 0) mount_->run([] {});
    mount_->run([] {});
  }

  std::optional<EventMount> mount_;
  Watcher watcher_;
};

TEST_P(ReplayPruned, AFileIsRemovedWithItsDirectory) {
  mount_->foreign(create_directory("/d/s"));
  mount_->foreign(create_file("/d/s/f"));
  watch("d/s/f", "f");
  prune();
  mount_->run([&] {
    mount_->door().inject_foreign(remove("/d/s/f"));
    mount_->door().inject_foreign(remove("/d/s"));
  });
  const Events events = settled();
  EXPECT_EQ(count(events, "f: DELETE_SELF"), 1U) << fmt::format("{}", fmt::join(events, ", "));
}

TEST_P(ReplayPruned, AFileIsRemovedWithItsDirectoryWhileThisNodeIsAway) {
  mount_->foreign(create_directory("/d/s"));
  mount_->foreign(create_file("/d/s/f"));
  watch("d/s/f", "f");
  prune();
  mount_->run([&] {
    std::vector<server::Operation> missed;
    missed.push_back(remove("/d/s/f"));
    missed.push_back(remove("/d/s"));
    mount_->door().catch_up_by_snapshot(std::move(missed));
  });
  const Events events = settled();
  EXPECT_EQ(count(events, "f: DELETE_SELF"), 1U) << fmt::format("{}", fmt::join(events, ", "));
}

TEST_P(ReplayPruned, ADirectoryIsEmptiedAndRemoved) {
  mount_->foreign(create_directory("/d/s"));
  mount_->foreign(create_file("/d/s/x"));
  watch("d/s", "s");
  prune();
  mount_->run([&] {
    mount_->door().inject_foreign(remove("/d/s/x"));
    mount_->door().inject_foreign(remove("/d/s"));
  });
  const Events events = settled();
  EXPECT_EQ(count(events, "s: DELETE x"), 1U) << fmt::format("{}", fmt::join(events, ", "));
  EXPECT_EQ(count(events, "s: DELETE_SELF"), 1U) << fmt::format("{}", fmt::join(events, ", "));
}

TEST_P(ReplayPruned, AFileIsSetAndItsDirectoryMoved) {
  mount_->foreign(create_directory("/d/s"));
  mount_->foreign(create_file("/d/s/f"));
  watch("d/s/f", "f");
  prune();
  mount_->run([&] {
    mount_->door().inject_foreign(set_data("/d/s/f", "new"));
    mount_->door().inject_foreign(rename("/d/s", "/e/s"));
  });
  const Events events = settled();
  EXPECT_GE(count(events, "f: MODIFY"), 1U) << fmt::format("{}", fmt::join(events, ", "));
}

TEST_P(ReplayPruned, AFileIsMadeInADirectoryThatIsMoved) {
  mount_->foreign(create_directory("/d/s"));
  watch("d/s", "s");
  prune();
  mount_->run([&] {
    mount_->door().inject_foreign(create_file("/d/s/f"));
    mount_->door().inject_foreign(rename("/d/s", "/e/s"));
  });
  const Events events = settled();
  EXPECT_EQ(count(events, "s: CREATE f"), 1U) << fmt::format("{}", fmt::join(events, ", "));
  EXPECT_EQ(count(events, "s: MOVE_SELF"), 1U) << fmt::format("{}", fmt::join(events, ", "));
}

TEST_P(ReplayPruned, AFileIsSetMovedAndSet) {
  mount_->foreign(create_directory("/d/s"));
  mount_->foreign(create_file("/d/s/f"));
  watch("d/s/f", "f");
  prune();
  mount_->run([&] {
    mount_->door().inject_foreign(set_data("/d/s/f", "new"));
    mount_->door().inject_foreign(rename("/d/s/f", "/e/f"));
    mount_->door().inject_foreign(set_data("/e/f", "newer"));
    mount_->door().inject_foreign(remove("/d/s"));
  });
  const Events events = settled();
  EXPECT_GE(count(events, "f: MODIFY"), 1U) << fmt::format("{}", fmt::join(events, ", "));
  EXPECT_EQ(count(events, "f: MOVE_SELF"), 1U) << fmt::format("{}", fmt::join(events, ", "));
}

INSTANTIATE_TEST_SUITE_P(, ReplayPruned, testing::Bool());

// A directory that a user is in is moved, elsewhere, into one that no user has looked up here.
TEST(ReplayWatchable, TheParentOfADirectoryThatWasMovedIsWatchedByDotDot) {
  if (!EventMount::possible()) GTEST_SKIP() << "needs root and /dev/fuse";
  EventMount mount;
  mount.foreign(create_directory("/d"));
  mount.foreign(create_directory("/e"));
  mount.foreign(create_directory("/d/s"));
  mount.settle();
  const int inside = ::open(mount.path("d/s").c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_GE(inside, 0);
  mount.foreign(rename("/d/s", "/e/s"));
  mount.settle();
  Watcher watcher;
  watcher.add(fmt::format("/proc/self/fd/{}/..", inside), "up");
  mount.foreign(create_file("/e/new"));
  mount.settle();
  const Events events = watcher.take();
  EXPECT_EQ(count(events, "up: CREATE new"), 1U) << fmt::format("{}", fmt::join(events, ", "));
  ::close(inside);
}

// A user looks at the new place before the replay gets there.
TEST(ReplayWatchable, ADirectoryThatIsLookedUpInItsNewPlaceFirstShowsItsMove) {
  if (!EventMount::possible()) GTEST_SKIP() << "needs root and /dev/fuse";
  EventMount mount;
  mount.foreign(create_directory("/d"));
  mount.foreign(create_directory("/e"));
  mount.foreign(create_directory("/d/s"));
  mount.settle();
  Watcher watcher;
  watcher.add(mount.path("d"), "d");
  watcher.add(mount.path("e"), "e");
  watcher.add(mount.path("d/s"), "s");
  const std::vector<pid_t> workers = mount.workers();
  for (const pid_t pid : workers) ::kill(pid, SIGSTOP);
  mount.foreign(rename("/d/s", "/e/s"));

  struct stat now {};

  EXPECT_EQ(::stat(mount.path("e/s").c_str(), &now), 0);
  for (const pid_t pid : workers) ::kill(pid, SIGCONT);
  mount.settle();
  const Events events = watcher.take();
  EXPECT_EQ(events, (Events{"d: MOVED_FROM,ISDIR s #1", "e: MOVED_TO,ISDIR s #1", "s: MOVE_SELF"}));
}

}  // namespace
}  // namespace zkfs::test
