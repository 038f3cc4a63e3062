// SPDX-License-Identifier: Apache-2.0
// Contract section 5, as the tools see it that people watch files with: each follows changes made
// on another node. Also where they look from: bind mounts, other mount namespaces, containers.
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <map>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "tests/system/cluster.h"

namespace zkfs::testing {
namespace {

class InotifyTools : public ::testing::Test {
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
    scratch_ = "/tmp/zkfs-tools-" + std::to_string(getpid()) + "-" + name_;
    std::filesystem::create_directories(scratch_);
  }

  void TearDown() override {
    tool_ = Process();
    if (!scratch_.empty()) std::filesystem::remove_all(scratch_);
  }

  // This test's directory where it is watched, and where it is changed.
  std::string here(const std::string& file = "") {
    return cluster_->mnt(1, name_ + (file.empty() ? "" : "/" + file));
  }

  std::string there(const std::string& file = "") {
    return cluster_->mnt(2, name_ + (file.empty() ? "" : "/" + file));
  }

  std::string out() { return scratch_ + "/out"; }

  void start_tool(const std::string& command) {
    // In a pid namespace, so that whatever it starts ends with it.
    tool_ = Process::start(
        {"unshare", "--pid", "--fork", "--kill-child", "/bin/bash", "-c", command}, out());
  }

  bool told(const std::string& text, Millis limit = Seconds(20)) {
    return eventually([&] { return read_file(out()).find(text) != std::string::npos; }, limit);
  }

  std::size_t times_told(const std::string& line) {
    const std::string text = "\n" + read_file(out());
    std::size_t count = 0;
    for (auto at = text.find("\n" + line + "\n"); at != std::string::npos;
         at = text.find("\n" + line + "\n", at + 1))
      ++count;
    return count;
  }

  static Cluster* cluster_;
  std::string name_;
  std::string scratch_;
  Process tool_;
};

Cluster* InotifyTools::cluster_ = nullptr;

#define ZKFS_NEEDS_TOOL(tool) \
  if (run("command -v " tool).status != 0) GTEST_SKIP() << tool " is not installed"

TEST_F(InotifyTools, InotifywaitSeesEveryCreateAndDeleteOfAFlood) {
  constexpr int kFiles = 1'000;
  start_tool("exec inotifywait -m -r -e create,delete --format '%e %f' " + here());
  ASSERT_TRUE(told("Watches established"));
  std::thread writer([&] {
    run("cd " + there() + " && for i in {1.." + std::to_string(kFiles) +
        "}; do echo $i > f$i; done; rm f*; echo > end");
  });
  EXPECT_TRUE(told("CREATE end", Seconds(60)));
  writer.join();
  for (int i = 1; i <= kFiles; ++i) {
    ASSERT_EQ(times_told("CREATE f" + std::to_string(i)), 1U) << i;
    ASSERT_EQ(times_told("DELETE f" + std::to_string(i)), 1U) << i;
  }
}

// A watcher of a whole tree, as inotifywait -mr, entr -d, and file managers are: after the event of
// a new directory it adds a watch, then looks what is there already.
class TreeWatcher {
 public:
  explicit TreeWatcher(const std::string& root) : fd_(inotify_init1(IN_CLOEXEC)) { add(root); }

  ~TreeWatcher() { close(fd_); }

  TreeWatcher(const TreeWatcher&) = delete;
  TreeWatcher& operator=(const TreeWatcher&) = delete;

  // Takes in events until `path` is known or the time is over.
  bool until(const std::string& path) {
    pollfd item{fd_, POLLIN, 0};
    while (!known_.contains(path)) {
      if (poll(&item, 1, 10'000) <= 0) return false;
      read_some();
    }
    return true;
  }

  [[nodiscard]] bool knows(const std::string& path) const { return known_.contains(path); }

 private:
  void add(const std::string& directory) {
    const int watch = inotify_add_watch(fd_, directory.c_str(), IN_CREATE | IN_MOVED_TO);
    if (watch < 0) return;
    directories_[watch] = directory;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(directory, error))
      found(entry.path(), entry.is_directory(error));
  }

  void found(const std::string& path, bool directory) {
    if (known_.insert(path).second && directory) add(path);
  }

  void read_some() {
    alignas(inotify_event) std::array<char, 65536> buffer{};
    const ssize_t size = read(fd_, buffer.data(), buffer.size());
    for (ssize_t at = 0; at < size;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      if (event->len > 0)
        found(directories_[event->wd] + "/" + event->name, (event->mask & IN_ISDIR) != 0);
    }
  }

  int fd_;
  std::map<int, std::string> directories_;
  std::set<std::string> known_;
};

TEST_F(InotifyTools, WatcherOfATreeMissesNothingInDirectoriesFilledAtOnce) {
  constexpr int kDirectories = 150;
  TreeWatcher watcher(here());
  std::thread writer([&] {
    run("cd " + there() + " && for i in {1.." + std::to_string(kDirectories) +
        "}; do mkdir d$i; echo 1 > d$i/f; mkdir d$i/e; echo 2 > d$i/e/g; echo 3 > d$i/late; done; "
        "echo > end");
  });
  EXPECT_TRUE(watcher.until(here("end")));
  writer.join();
  for (int i = 1; i <= kDirectories; ++i) {
    const std::string directory = "d" + std::to_string(i);
    for (const char* file : {"/f", "/e/g", "/late"})
      ASSERT_TRUE(watcher.knows(here(directory + file)) || watcher.until(here(directory + file)))
          << directory << file;
  }
}

TEST_F(InotifyTools, EntrRunsItsCommandWithTheNewValue) {
  ZKFS_NEEDS_TOOL("entr");
  ASSERT_EQ(write_file(here("config"), "first"), 0);
  ASSERT_TRUE(cluster_->sync(2));
  start_tool("ls " + here("config") + " | exec entr -n cat /_");
  ASSERT_TRUE(told("first"));
  // A change that comes while its command has just run is lost on entr, on any filesystem.
  const auto told_of = [&](const std::string& value, const std::string& command) {
    return eventually([&] {
      run("cd " + there() + " && " + command);
      return told(value, Millis(300));
    });
  };
  EXPECT_TRUE(told_of("second", "echo second > config"));
  EXPECT_TRUE(told_of("third", "echo third > tmp && mv tmp config"));
  EXPECT_TRUE(told_of("fourth", "echo fourth > config")) << "no watch left on what was replaced";
}

TEST_F(InotifyTools, FswatchTellsOfChangesInATree) {
  ZKFS_NEEDS_TOOL("fswatch");
  ASSERT_EQ(mkdir(here("sub").c_str(), 0755), 0);
  ASSERT_TRUE(cluster_->sync(2));
  start_tool("exec fswatch -r -x --event-flag-separator=, " + here());
  // It does not say when it is ready.
  ASSERT_TRUE(eventually([&] {
    write_file(there("sub/probe"), "x");
    return read_file(out()).find("probe") != std::string::npos;
  }));
  ASSERT_EQ(write_file(there("sub/f"), "x"), 0);
  EXPECT_TRUE(told(here("sub/f") + " Created"));
  ASSERT_EQ(unlink(there("sub/f").c_str()), 0);
  EXPECT_TRUE(eventually([&] {
    const std::string text = read_file(out());
    return text.find(here("sub/f") + " Removed") != std::string::npos;
  }));
}

// coreutils' tail does not use inotify on FUSE, it polls the descriptor, every second here.
TEST_F(InotifyTools, TailFollowsWhatIsAppendedReplacedAndMadeAnew) {
  ASSERT_EQ(write_file(here("log"), "one\n"), 0);
  ASSERT_TRUE(cluster_->sync(2));
  start_tool("exec tail -s 0.1 -F " + here("log"));
  ASSERT_TRUE(told("one\n"));
  ASSERT_EQ(append_file(there("log"), "two\n"), 0);
  EXPECT_TRUE(told("two\n"));
  ASSERT_EQ(append_file(there("log"), "three\n"), 0);
  EXPECT_TRUE(told("three\n"));
  EXPECT_EQ(read_file(out()), "one\ntwo\nthree\n");
  // Shorter: it begins from the start.
  ASSERT_EQ(write_file(there("tmp"), "rotated\n"), 0);
  ASSERT_EQ(rename(there("tmp").c_str(), there("log").c_str()), 0);
  EXPECT_TRUE(told("rotated\n"));
  ASSERT_EQ(append_file(there("log"), "four\n"), 0);
  EXPECT_TRUE(told("four\n"));
  ASSERT_EQ(unlink(there("log").c_str()), 0);
  EXPECT_TRUE(told("No such file"));
  ASSERT_EQ(write_file(there("log"), "anew\n"), 0);
  EXPECT_TRUE(told("anew\n"));
}

// --- services ---

// Whatever bursts come, whoever reads again at each event ends with the last value.
TEST_F(InotifyTools, ReloaderNeverMissesTheLastValue) {
  ASSERT_EQ(write_file(here("config"), "0"), 0);
  ASSERT_TRUE(cluster_->sync(2));
  const int fd = inotify_init1(IN_CLOEXEC);
  ASSERT_GE(inotify_add_watch(fd, here().c_str(), IN_CLOSE_WRITE | IN_MOVED_TO), 0);
  std::string last;
  const auto follow = [&](const std::string& value) {
    pollfd item{fd, POLLIN, 0};
    while (last != value && poll(&item, 1, 10'000) > 0) {
      std::array<char, 65536> buffer{};
      if (read(fd, buffer.data(), buffer.size()) <= 0) break;
      last = read_file(here("config"));
    }
  };
  for (int round = 1; round <= 15; ++round) {
    const std::string value = std::to_string(round) + "-last";
    std::thread writer([&] {
      // In place and by rename, in bursts of any length.
      run("cd " + there() + " && for i in {1.." + std::to_string(round * 3) + "}; do echo -n " +
          std::to_string(round) +
          "-$i > config; echo -n x > tmp; mv tmp config;"
          " done; " +
          (round % 2 == 0 ? "echo -n " + value + " > config"
                          : "echo -n " + value + " > tmp; mv tmp config"));
    });
    follow(value);
    writer.join();
    ASSERT_EQ(last, value);
  }
  close(fd);
}

TEST_F(InotifyTools, InotifywaitLoopInAShellEndsWithTheLastValue) {
  ASSERT_EQ(write_file(here("config"), "0"), 0);
  ASSERT_TRUE(cluster_->sync(2));
  start_tool("inotifywait -m -q -e close_write,moved_to --format %f " + here() +
             " | while read -r _; do echo value=$(cat " + here("config") + "); done");
  ASSERT_TRUE(eventually([&] {
    write_file(there("probe"), "x");
    return read_file(out()).find("value=0") != std::string::npos;
  }));
  run("cd " + there() + " && for i in {1..200}; do echo $i > config; done");
  EXPECT_TRUE(told("value=200\n"));
}

// What systemd's path units do (core/path.c): a watch on the path and on each of its parents, each
// with the mask for what could make a difference there; at any event they watch anew and look.
class PathUnit {
 public:
  explicit PathUnit(std::string path) : path_(std::move(path)) { watch(); }

  ~PathUnit() { close(fd_); }

  PathUnit(const PathUnit&) = delete;
  PathUnit& operator=(const PathUnit&) = delete;

  // PathExists=: waits for events until the path is there (or not).
  bool until_exists(bool wanted) {
    while ((access(path_.c_str(), F_OK) == 0) != wanted)
      if (!next()) return false;
    watch();
    return true;
  }

  // PathChanged=/PathModified=: waits for an event on the path itself.
  bool until_changed() {
    while (!changed_)
      if (!next()) return false;
    changed_ = false;
    return true;
  }

 private:
  void watch() {
    constexpr std::uint32_t kParent = IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB | IN_CREATE |
                                      IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_MASK_ADD;
    constexpr std::uint32_t kPath = IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB | IN_CLOSE_WRITE |
                                    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                                    IN_MODIFY | IN_MASK_ADD;
    for (std::size_t slash = path_.find('/', 1); slash != std::string::npos;
         slash = path_.find('/', slash + 1))
      if (inotify_add_watch(fd_, path_.substr(0, slash).c_str(), kParent) < 0) return;
    if (const int self = inotify_add_watch(fd_, path_.c_str(), kPath); self >= 0)
      selves_.insert(self);
  }

  bool next() {
    pollfd item{fd_, POLLIN, 0};
    if (poll(&item, 1, 10'000) <= 0) return false;
    alignas(inotify_event) std::array<char, 65536> buffer{};
    const ssize_t size = read(fd_, buffer.data(), buffer.size());
    for (ssize_t at = 0; at < size;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      changed_ = changed_ || selves_.contains(event->wd);
    }
    watch();
    return true;
  }

  std::string path_;
  int fd_ = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  std::set<int> selves_;
  bool changed_ = false;
};

TEST_F(InotifyTools, PathUnitSeesItsPathComeAndGoAndChange) {
  PathUnit unit(here("a/b/flag"));
  std::atomic<int> step = 0;
  std::thread writer([&] {
    const std::vector<std::string> commands{"mkdir a; mkdir a/b; echo 1 > a/b/flag",
                                            "echo 2 > a/b/flag",
                                            "echo 3 > a/b/tmp; mv a/b/tmp a/b/flag",
                                            "mv a gone",
                                            "mv gone a",
                                            "rm -r a"};
    for (std::size_t i = 0; i < commands.size(); ++i) {
      EXPECT_TRUE(eventually([&] { return step >= static_cast<int>(i); })) << i;
      const auto done = run("set -e; cd " + there() + "; " + commands[i]);
      EXPECT_EQ(done.status, 0) << commands[i] << ": " << done.output;
    }
  });
  EXPECT_TRUE(unit.until_exists(true));
  ++step;
  EXPECT_TRUE(unit.until_changed());
  ++step;
  EXPECT_TRUE(unit.until_changed());
  ++step;
  EXPECT_TRUE(unit.until_exists(false));
  ++step;
  EXPECT_TRUE(unit.until_exists(true));
  ++step;
  EXPECT_TRUE(unit.until_exists(false));
  writer.join();
}

// --- from where they look ---

TEST_F(InotifyTools, EventsArriveThroughABindMount) {
  const std::string bind = scratch_ + "/bind";
  ASSERT_EQ(mkdir(bind.c_str(), 0755), 0);
  ASSERT_EQ(run("mount --bind " + here() + " " + bind).status, 0);
  start_tool("exec inotifywait -m -e create,close_write --format '%e %f' " + bind);
  EXPECT_TRUE(told("Watches established"));
  write_file(there("f"), "x");
  EXPECT_TRUE(told("CLOSE_WRITE,CLOSE f"));
  tool_ = Process();
  EXPECT_EQ(run("umount " + bind).status, 0);
}

TEST_F(InotifyTools, EventsArriveInAnotherMountNamespace) {
  start_tool("exec unshare -m inotifywait -m -e create,close_write --format '%e %f' " + here());
  ASSERT_TRUE(told("Watches established"));
  ASSERT_EQ(write_file(there("f"), "x"), 0);
  EXPECT_TRUE(told("CLOSE_WRITE,CLOSE f"));
}

TEST_F(InotifyTools, EventsArriveInAContainerWithABindOfASubdirectory) {
  ASSERT_EQ(mkdir(here("sub").c_str(), 0755), 0);
  ASSERT_TRUE(cluster_->sync(2));
  const std::string inside = scratch_ + "/inside";
  ASSERT_EQ(mkdir(inside.c_str(), 0755), 0);
  start_tool("exec unshare --mount --pid --fork --kill-child bash -c 'mount --bind " + here("sub") +
             " " + inside +
             " && exec inotifywait -m -r -e create,close_write,delete --format \"%e %f\" " +
             inside + "'");
  ASSERT_TRUE(told("Watches established"));
  ASSERT_EQ(write_file(there("sub/f"), "x"), 0);
  EXPECT_TRUE(told("CLOSE_WRITE,CLOSE f"));
  ASSERT_EQ(write_file(there("elsewhere"), "x"), 0);
  ASSERT_EQ(unlink(there("sub/f").c_str()), 0);
  EXPECT_TRUE(told("DELETE f"));
  EXPECT_EQ(read_file(out()).find("elsewhere"), std::string::npos);
}

}  // namespace
}  // namespace zkfs::testing
