// SPDX-License-Identifier: Apache-2.0
// Contract section 5: changes made on another node fire local inotify events.
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include <gtest/gtest.h>

#include "tests/system/cluster.h"

namespace zkfs::testing {
namespace {

// A watch on a directory; events as text: "CREATE f", "DELETE,ISDIR d".
class Watch {
 public:
  explicit Watch(const std::string& path,
                 std::uint32_t mask = IN_ALL_EVENTS & ~(IN_ACCESS | IN_OPEN | IN_CLOSE_NOWRITE))
      : fd_(inotify_init1(IN_CLOEXEC)) {
    watch_ = inotify_add_watch(fd_, path.c_str(), mask);
  }

  ~Watch() { close(fd_); }

  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // Events until `last` was among them or the time is over.
  std::vector<std::string> until(const std::string& last, Millis limit = Seconds(10)) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (std::find(seen_.begin(), seen_.end(), last) == seen_.end()) {
      const auto left =
          std::chrono::duration_cast<Millis>(deadline - std::chrono::steady_clock::now());
      pollfd item{fd_, POLLIN, 0};
      if (left.count() <= 0 || poll(&item, 1, static_cast<int>(left.count())) <= 0) break;
      read_some();
    }
    return std::exchange(seen_, {});
  }

 private:
  void read_some() {
    alignas(inotify_event) std::array<char, 65536> buffer{};
    const ssize_t size = read(fd_, buffer.data(), buffer.size());
    for (ssize_t at = 0; at < size;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      seen_.push_back(text(*event));
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
    }
  }

  static std::string text(const inotify_event& event) {
    static const std::vector<std::pair<std::uint32_t, const char*>> kNames{
        {IN_CREATE, "CREATE"},       {IN_DELETE, "DELETE"},
        {IN_MODIFY, "MODIFY"},       {IN_CLOSE_WRITE, "CLOSE_WRITE"},
        {IN_ATTRIB, "ATTRIB"},       {IN_MOVED_FROM, "MOVED_FROM"},
        {IN_MOVED_TO, "MOVED_TO"},   {IN_DELETE_SELF, "DELETE_SELF"},
        {IN_MOVE_SELF, "MOVE_SELF"}, {IN_IGNORED, "IGNORED"}};
    std::string result;
    for (const auto& [bit, name] : kNames) {
      if ((event.mask & bit) != 0) result += name;
    }
    if ((event.mask & IN_ISDIR) != 0) result += ",ISDIR";
    if (event.len > 0) result += std::string(" ") + event.name;
    return result;
  }

  int fd_;
  int watch_ = -1;
  std::vector<std::string> seen_;
};

using Events = std::vector<std::string>;

class Inotify : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (fuse_available()) cluster_ = new Cluster();
  }

  static void TearDownTestSuite() {
    delete cluster_;
    cluster_ = nullptr;
  }

  void SetUp() override {
    ZKFS_NEEDS_FUSE();
    name_ = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    ASSERT_EQ(mkdir(here().c_str(), 0755), 0);
    ASSERT_TRUE(cluster_->sync(2));
  }

  // This test's directory where it is watched, and where it is changed.
  std::string here(const std::string& file = "") {
    return cluster_->mnt(1, name_ + (file.empty() ? "" : "/" + file));
  }

  std::string there(const std::string& file = "") {
    return cluster_->mnt(2, name_ + (file.empty() ? "" : "/" + file));
  }

  static Cluster* cluster_;
  std::string name_;
};

Cluster* Inotify::cluster_ = nullptr;

TEST_F(Inotify, ARemoteCreateWithDataIsCreateModifyCloseWrite) {
  Watch watch(here());
  ASSERT_EQ(write_file(there("f"), "data"), 0);
  auto events = watch.until("MODIFY f");
  // The create itself ends with a CLOSE_WRITE; the data brings another.
  if (events.back() == "MODIFY f") {
    const auto rest = watch.until("CLOSE_WRITE f");
    events.insert(events.end(), rest.begin(), rest.end());
  }
  EXPECT_EQ(events.front(), "CREATE f");
  EXPECT_NE(std::find(events.begin(), events.end(), "MODIFY f"), events.end());
  EXPECT_EQ(events.back(), "CLOSE_WRITE f");
}

TEST_F(Inotify, ARemoteSetIsModifyCloseWriteAndTheValueIsThere) {
  ASSERT_EQ(write_file(here("f"), "old"), 0);
  ASSERT_TRUE(cluster_->sync(2));
  Watch watch(here());
  ASSERT_EQ(write_file(there("f"), "new"), 0);
  EXPECT_EQ(watch.until("CLOSE_WRITE f"), (Events{"MODIFY f", "CLOSE_WRITE f"}));
  EXPECT_EQ(read_file(here("f")), "new");
}

TEST_F(Inotify, ARemoteDeleteIsDeleteAndDeleteSelf) {
  ASSERT_EQ(write_file(here("f"), "x"), 0);
  ASSERT_TRUE(cluster_->sync(2));
  Watch directory(here());
  Watch file(here("f"));
  ASSERT_EQ(unlink(there("f").c_str()), 0);
  EXPECT_EQ(directory.until("DELETE f").back(), "DELETE f");
  const auto events = file.until("DELETE_SELF");
  EXPECT_NE(std::find(events.begin(), events.end(), "DELETE_SELF"), events.end());
}

TEST_F(Inotify, RemoteDirectoriesComeAndGo) {
  Watch watch(here());
  ASSERT_EQ(mkdir(there("d").c_str(), 0755), 0);
  EXPECT_EQ(watch.until("CREATE,ISDIR d"), (Events{"CREATE,ISDIR d"}));
  ASSERT_EQ(rmdir(there("d").c_str()), 0);
  EXPECT_EQ(watch.until("DELETE,ISDIR d"), (Events{"DELETE,ISDIR d"}));
}

TEST_F(Inotify, ARemoteRenameIsMovedFromMovedTo) {
  ASSERT_EQ(write_file(here("a"), "x"), 0);
  ASSERT_TRUE(cluster_->sync(2));
  Watch watch(here());
  ASSERT_EQ(rename(there("a").c_str(), there("b").c_str()), 0);
  EXPECT_EQ(watch.until("MOVED_TO b"), (Events{"MOVED_FROM a", "MOVED_TO b"}));
}

TEST_F(Inotify, ALocalChangeFiresOnce) {
  Watch watch(here());
  ASSERT_EQ(write_file(here("f"), "x"), 0);
  ASSERT_EQ(write_file(there("end"), "x"), 0);
  const auto events = watch.until("CREATE end");
  EXPECT_EQ(std::count(events.begin(), events.end(), "CREATE f"), 1);
  EXPECT_EQ(std::count(events.begin(), events.end(), "CLOSE_WRITE f"), 1);
}

TEST_F(Inotify, AReplayedEventMakesNoVersion) {
  ASSERT_EQ(write_file(here("f"), "x"), 0);
  ASSERT_TRUE(cluster_->sync(2));
  Watch watch(here());
  ASSERT_EQ(write_file(there("f"), "y"), 0);
  watch.until("CLOSE_WRITE f");
  EXPECT_EQ(
      run("getfattr --only-values -n user.zk.dataVersion " + here("f") + " 2>/dev/null").output,
      "1");
}

TEST_F(Inotify, TheLastOfManyRemoteChangesIsNotLost) {
  ASSERT_EQ(write_file(here("f"), "0"), 0);
  ASSERT_TRUE(cluster_->sync(2));
  Watch watch(here());
  for (int i = 1; i <= 300; ++i) ASSERT_EQ(write_file(there("f"), std::to_string(i)), 0);
  ASSERT_EQ(write_file(there("end"), "x"), 0);
  watch.until("CREATE end");
  EXPECT_EQ(read_file(here("f")), "300");
}

TEST_F(Inotify, InotifywaitRecursivelySeesARemoteTree) {
  const auto log = "/tmp/zkfs-inotifywait-" + std::to_string(getpid());
  auto process = Process::start(
      {"inotifywait", "-mr", "-e", "create,close_write", "--format", "%e %w%f", here()}, log);
  ASSERT_TRUE(
      eventually([&] { return read_file(log).find("Watches established") != std::string::npos; }));
  run("mkdir " + there("d"));
  ASSERT_TRUE(eventually([&] {
    return read_file(log).find("CREATE,ISDIR " + here("d")) != std::string::npos;
  })) << read_file(log);
  // inotifywait adds its watch on the new directory after the event; what is created meanwhile
  // nobody can see.
  ASSERT_TRUE(eventually([&] {
    write_file(there("d/f"), "x");
    return read_file(log).find("CLOSE_WRITE") != std::string::npos;
  })) << read_file(log);
  process.signal(SIGTERM);
  process.wait(Seconds(5));
  unlink(log.c_str());
}

TEST(InotifyReadOnly, AMountThatRefusesWritesStillTellsOfRemoteChanges) {
  ZKFS_NEEDS_FUSE();
  Cluster cluster;
  ASSERT_EQ(write_file(cluster.mnt(2, "f"), "old"), 0);
  ASSERT_EQ(cluster.stop(1), 0);
  auto command = cluster.command(1);
  command.insert(command.end() - 1, {"-o", "ro"});
  cluster.process(1) = Process::start(command, cluster.directory(1) + "/log");
  ASSERT_TRUE(cluster.await_serving(1));
  EXPECT_EQ(write_file(cluster.mnt(1, "f"), "x"), EROFS);
  Watch watch(cluster.mnt(1));
  ASSERT_EQ(write_file(cluster.mnt(2, "f"), "new"), 0);
  EXPECT_EQ(watch.until("CLOSE_WRITE f"), (Events{"MODIFY f", "CLOSE_WRITE f"}));
}

TEST_F(Inotify, KillingTheEventWorkersLeavesNothingStuck) {
  Watch watch(here());
  const auto pid = std::to_string(cluster_->process(1).pid());
  const auto killed = run("kill -KILL $(cat /proc/" + pid + "/task/" + pid + "/children)");
  ASSERT_EQ(killed.status, 0) << killed.output;
  ASSERT_EQ(write_file(there("f"), "x"), 0);
  ASSERT_TRUE(cluster_->sync(1));
  EXPECT_EQ(read_file(here("f")), "x");
  EXPECT_EQ(write_file(here("g"), "y"), 0);
}

}  // namespace
}  // namespace zkfs::testing
