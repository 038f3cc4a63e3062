// SPDX-License-Identifier: Apache-2.0
#include "mount/event_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "mount/event_worker.h"
#include "tests/mount/event_mount.h"

namespace zkfs::test {
namespace {

using mount::EventHelper;
using mount::kRootNode;
using mount::Poke;
using Events = std::vector<std::string>;

std::vector<pid_t> children() {
  std::vector<pid_t> pids;
  std::ifstream list(fmt::format("/proc/self/task/{}/children", ::getpid()));
  for (pid_t pid = 0; list >> pid;) pids.push_back(pid);
  return pids;
}

// The recipes need no FUSE below the root of what is attached: an ordinary directory will do.
class EventHelperTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    std::string pattern = "/tmp/zkfs-helper-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }

  void TearDown() override {
    helper_.reset();
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }

  void spawn(int workers) {
    auto helper = EventHelper::spawn(workers);
    ASSERT_TRUE(helper.has_value()) << helper.error().text;
    helper_ = std::move(*helper);
    pids_ = children();
    ASSERT_EQ(pids_.size(), static_cast<std::size_t>(workers));
  }

  void spawn_attached() {
    spawn(1);
    helper_->attach(directory_);
    ASSERT_EQ(result_of(0), 0);
    watcher_.add(directory_, "d");
  }

  // Waits for the completion of a poke.
  int result_of(std::uint64_t token) {
    while (!results_.contains(token)) {
      pollfd wait{helper_->descriptor(0), POLLIN, 0};
      if (::poll(&wait, 1, 5000) != 1) return -1;
      const bool alive =
          helper_->receive(wait.fd, [&](std::uint64_t done, int error) { results_[done] = error; });
      if (!alive) return -2;
    }
    return results_[token];
  }

  int poke(Poke::Kind kind, std::string name, std::string other = "") {
    Poke poke;
    poke.token = ++token_;
    poke.kind = kind;
    poke.parent = kRootNode;
    poke.name = std::move(name);
    if (!other.empty()) {
      poke.other_parent = kRootNode;
      poke.other_name = std::move(other);
    }
    EXPECT_TRUE(helper_->send(0, poke));
    return result_of(poke.token);
  }

  void make(const std::string& name) { std::ofstream(directory_ + '/' + name) << "x"; }

  std::string directory_;
  std::unique_ptr<EventHelper> helper_;
  std::vector<pid_t> pids_;
  std::map<std::uint64_t, int> results_;
  std::uint64_t token_ = 0;
  Watcher watcher_;
};

// --- recipes ---

TEST_F(EventHelperTest, EachKindFiresItsEvents) {
  spawn_attached();
  const std::vector<std::pair<std::function<int()>, Events>> expected{
      {[&] { return poke(Poke::Kind::kCreateFile, "f"); },
       {"d: CREATE f", "d: OPEN f", "d: CLOSE_WRITE f"}},
      {[&] { return poke(Poke::Kind::kCreateWithData, "g"); },
       {"d: CREATE g", "d: OPEN g", "d: MODIFY g", "d: CLOSE_WRITE g"}},
      {[&] { return poke(Poke::Kind::kCreateSymlink, "l"); }, {"d: CREATE l"}},
      {[&] { return poke(Poke::Kind::kMakeDirectory, "s"); }, {"d: CREATE,ISDIR s"}},
      {[&] { return poke(Poke::Kind::kModify, "f"); },
       {"d: MODIFY f", "d: OPEN f", "d: CLOSE_WRITE f"}},
      {[&] { return poke(Poke::Kind::kAttributes, "f"); }, {"d: ATTRIB f"}},
      {[&] { return poke(Poke::Kind::kRename, "f", "h"); },
       {"d: MOVED_FROM f #1", "d: MOVED_TO h #1"}},
      {[&] { return poke(Poke::Kind::kExchange, "g", "h"); },
       {"d: MOVED_FROM g #1", "d: MOVED_TO h #1", "d: MOVED_FROM h #2", "d: MOVED_TO g #2"}},
      {[&] { return poke(Poke::Kind::kUnlink, "g"); }, {"d: DELETE g"}},
      {[&] { return poke(Poke::Kind::kRemoveDirectory, "s"); }, {"d: DELETE,ISDIR s"}},
  };
  for (const auto& [act, events] : expected) {
    EXPECT_EQ(act(), 0);
    EXPECT_EQ(watcher_.take(), events);
  }
}

TEST_F(EventHelperTest, NoPokeFollowsASymlink) {
  spawn_attached();
  make("target");
  ASSERT_EQ(::symlink("target", (directory_ + "/l").c_str()), 0);
  watcher_.take();
  EXPECT_EQ(poke(Poke::Kind::kModify, "l"), 0);
  EXPECT_EQ(poke(Poke::Kind::kAttributes, "l"), 0);
  EXPECT_EQ(poke(Poke::Kind::kCreateFile, "l"), EEXIST);
  EXPECT_EQ(watcher_.take(), (Events{"d: MODIFY l", "d: ATTRIB l"}));
}

TEST_F(EventHelperTest, FailureIsReportedWithItsErrno) {
  spawn_attached();
  EXPECT_EQ(poke(Poke::Kind::kUnlink, "missing"), ENOENT);
  EXPECT_EQ(poke(Poke::Kind::kMakeDirectory, "s"), 0);
  EXPECT_EQ(poke(Poke::Kind::kMakeDirectory, "s"), EEXIST);
}

TEST_F(EventHelperTest, PokesOfADirectoryAreDoneInOrder) {
  spawn_attached();
  std::vector<std::uint64_t> order;
  for (std::uint64_t token = 1; token <= 20; ++token) {
    Poke poke;
    poke.token = token;
    poke.kind = token % 2 == 1 ? Poke::Kind::kCreateFile : Poke::Kind::kUnlink;
    poke.parent = kRootNode;
    poke.name = "f";
    ASSERT_TRUE(helper_->send(0, poke));
  }
  while (order.size() < 20) {
    pollfd wait{helper_->descriptor(0), POLLIN, 0};
    ASSERT_EQ(::poll(&wait, 1, 5000), 1);
    helper_->receive(wait.fd, [&](std::uint64_t token, int error) {
      EXPECT_EQ(error, 0);
      order.push_back(token);
    });
  }
  EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST_F(EventHelperTest, FullSocketRefusesInsteadOfBlocking) {
  spawn(1);
  ::kill(pids_[0], SIGSTOP);
  Poke poke;
  poke.token = 1;
  poke.parent = kRootNode;
  poke.name = "f";
  int sent = 0;
  while (sent < 100'000 && helper_->send(0, poke)) ++sent;
  EXPECT_GT(sent, 8);
  EXPECT_LT(sent, 100'000);
  ::kill(pids_[0], SIGCONT);
}

// --- attaching ---

TEST_F(EventHelperTest, AttachThatFailsIsReportedAndSoIsEveryPoke) {
  spawn(1);
  helper_->attach(directory_ + "/missing");
  EXPECT_EQ(result_of(0), ENOENT);
  EXPECT_EQ(poke(Poke::Kind::kCreateFile, "f"), ENOENT);
}

TEST_F(EventHelperTest, DetachedWorkerTouchesNothing) {
  spawn_attached();
  helper_->detach();
  EXPECT_NE(poke(Poke::Kind::kCreateFile, "f"), 0);
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/f"));
}

TEST_F(EventHelperTest, NameWithAnImpossibleLengthIsNotEncoded) {
  Poke poke;
  poke.name = std::string(5000, 'x');
  EXPECT_TRUE(mount::encode_order(poke).empty());
  poke.name = "f";
  poke.parent_path = std::string(5000, 'x');
  EXPECT_FALSE(mount::encode_order(poke).empty());
}

// --- the processes ---

TEST_F(EventHelperTest, WorkerHoldsNothingButItsSocket) {
  const int secret = ::open("/etc/hostname", O_RDONLY);
  spawn(2);
  ::close(secret);
  // An answer shows that they have finished setting themselves up.
  helper_->attach("/missing");
  ASSERT_EQ(result_of(0), ENOENT);
  const std::string process = fmt::format("/proc/{}", pids_[0]);
  std::map<std::string, std::string> open;
  for (const auto& entry : std::filesystem::directory_iterator(process + "/fd"))
    open[entry.path().filename()] = std::filesystem::read_symlink(entry.path());
  EXPECT_EQ(open.size(), 4U);
  for (const char* standard : {"0", "1", "2"}) EXPECT_EQ(open[standard], "/dev/null");
  EXPECT_TRUE(open["3"].starts_with("socket:")) << open["3"];
  EXPECT_EQ(std::filesystem::read_symlink(process + "/cwd"), "/");
  std::string name;
  std::ifstream(process + "/comm") >> name;
  EXPECT_EQ(name, "zkfs-events");
}

TEST_F(EventHelperTest, SignalsOfTheProcessGroupDoNotEndAWorker) {
  spawn_attached();
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::kill(pids_[0], number);
  EXPECT_EQ(poke(Poke::Kind::kCreateFile, "f"), 0);
}

TEST_F(EventHelperTest, WorkersAreKnownByPidUntilTheyDie) {
  spawn(2);
  EXPECT_TRUE(helper_->is_worker(pids_[0]));
  EXPECT_FALSE(helper_->is_worker(::getpid()));
  EXPECT_FALSE(helper_->is_worker(0));
  ::kill(pids_[0], SIGKILL);
  pollfd wait{helper_->descriptor(0), POLLIN, 0};
  ASSERT_EQ(::poll(&wait, 1, 5000), 1);
  EXPECT_FALSE(helper_->receive(wait.fd, [](std::uint64_t, int) {}));
  EXPECT_FALSE(helper_->is_worker(pids_[0]));
  EXPECT_EQ(helper_->living_count(), 1U);
  EXPECT_EQ(helper_->descriptor(0), -1);
  EXPECT_EQ(children(), std::vector<pid_t>{pids_[1]});
}

TEST_F(EventHelperTest, NothingCanBeSentToADeadWorker) {
  spawn(2);
  ::kill(pids_[1], SIGKILL);
  pollfd wait{helper_->descriptor(1), POLLIN, 0};
  ASSERT_EQ(::poll(&wait, 1, 5000), 1);
  helper_->receive(wait.fd, [](std::uint64_t, int) {});
  Poke poke;
  poke.token = 1;
  poke.parent = kRootNode;
  poke.name = "f";
  EXPECT_FALSE(helper_->send(1, poke));
  EXPECT_TRUE(helper_->send(0, poke));
}

TEST_F(EventHelperTest, EndReapsItsWorkers) {
  spawn(3);
  helper_.reset();
  EXPECT_TRUE(children().empty());
}

TEST_F(EventHelperTest, EndDoesNotWaitForAWorkerThatDoesNot) {
  spawn(1);
  ::kill(pids_[0], SIGSTOP);
  helper_.reset();
  EXPECT_TRUE(children().empty());
}

TEST_F(EventHelperTest, WorkersDieWithTheirDaemon) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const pid_t daemon = ::fork();
  if (daemon == 0) {
    spawn_attached();
    // It would also end with its socket; stopped, it cannot see that.
    ::kill(pids_[0], SIGSTOP);
    (void)!::write(pipe[1], &pids_[0], sizeof(pid_t));
    for (;;) ::pause();
  }
  pid_t worker = 0;
  ASSERT_EQ(::read(pipe[0], &worker, sizeof worker), static_cast<ssize_t>(sizeof worker));
  ::close(pipe[0]);
  ::close(pipe[1]);
  pollfd wait{static_cast<int>(::syscall(SYS_pidfd_open, worker, 0)), POLLIN, 0};
  ::kill(daemon, SIGKILL);
  EXPECT_EQ(::waitpid(daemon, nullptr, 0), daemon);
  EXPECT_EQ(::poll(&wait, 1, 5000), 1);
  ::close(wait.fd);
}

// --- handles ---

TEST_F(EventHelperTest, DirectoryTheKernelDoesNotHoldIsStaleWithoutARequest) {
  if (!EventMount::possible()) GTEST_SKIP() << "needs /dev/fuse";
  spawn(1);
  EventMount mount;
  mount.foreign(create_directory("/d"));
  mount.settle();
  helper_->attach(mount.path());
  ASSERT_EQ(result_of(0), 0);
  const std::size_t requests = mount.request_count();
  Poke poke;
  poke.token = 1;
  poke.kind = Poke::Kind::kModify;
  poke.parent = mount::directory_node(Ino{4711});
  poke.name = "f";
  ASSERT_TRUE(helper_->send(0, poke));
  EXPECT_EQ(result_of(1), ESTALE);
  EXPECT_EQ(mount.request_count(), requests);
  helper_->detach();
}

TEST_F(EventHelperTest, DirectoryTheKernelHoldsIsFoundByItsNumber) {
  if (!EventMount::possible()) GTEST_SKIP() << "needs /dev/fuse";
  spawn(1);
  EventMount mount;
  mount.foreign(create_directory("/d"));
  mount.foreign(create_file("/d/f"));
  Watcher watcher;
  watcher.add(mount.path("d"), "d");
  mount.settle();
  watcher.take();
  helper_->attach(mount.path());
  ASSERT_EQ(result_of(0), 0);
  Poke poke;
  poke.token = 1;
  poke.kind = Poke::Kind::kModify;
  mount.run([&] { poke.parent = mount::directory_node(mount.door().tree().find_path("/d")->ino); });
  poke.name = "f";
  ASSERT_TRUE(helper_->send(0, poke));
  EXPECT_EQ(result_of(1), 0);
  EXPECT_EQ(watcher.take(), (Events{"d: MODIFY f", "d: OPEN f", "d: CLOSE_WRITE f"}));
  helper_->detach();
}

}  // namespace
}  // namespace zkfs::test
