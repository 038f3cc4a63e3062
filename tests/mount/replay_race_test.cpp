// SPDX-License-Identifier: Apache-2.0
// Replay under way of something: local changes at the same time, floods, lost dentries, snapshots,
// workers and daemons that die.
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <optional>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "mount/replay.h"
#include "tests/mount/event_mount.h"

namespace zkfs::test {
namespace {

using Events = std::vector<std::string>;

class ReplayRace : public testing::Test {
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

  std::optional<EventMount> mount_;
  Watcher watcher_;
};

std::size_t count(const Events& events, const std::string& event) {
  return static_cast<std::size_t>(std::ranges::count(events, event));
}

// --- local changes ---

TEST_F(ReplayRace, LocalCreateShowsOnce) {
  watch("d", "d");
  ::close(::open(mount_->path("d/f").c_str(), O_WRONLY | O_CREAT, 0644));
  EXPECT_EQ(settled(), (Events{"d: CREATE f", "d: OPEN f", "d: CLOSE_WRITE f"}));
}

TEST_F(ReplayRace, LocalDeleteShowsOnce) {
  mount_->foreign(create_file("/d/f"));
  watch("d", "d");
  ASSERT_EQ(::unlink(mount_->path("d/f").c_str()), 0);
  EXPECT_EQ(settled(), (Events{"d: DELETE f"}));
}

TEST_F(ReplayRace, FirstLocalChildShowsTheFileTurnIntoADirectory) {
  mount_->foreign(create_plain("/d/f"));
  watch("d", "d");
  mount_->run([&] {
    const SessionId session = mount_->door().open_session(
        1000, "test", [](const tree::Outcome&) {}, [] {});
    mount_->door().submit(session, {}, create_file("/d/f/child"), [](const tree::Outcome&) {});
    mount_->door().pump();
  });
  EXPECT_EQ(settled(), (Events{"d: DELETE f", "d: CREATE,ISDIR f"}));
}

TEST_F(ReplayRace, EphemeralsOfALocalSessionThatEndsShowDelete) {
  watch("d", "d");
  mount_->run([&] {
    LocalDoor& door = mount_->door();
    const SessionId session = door.open_session(
        1000, "test", [](const tree::Outcome&) {}, [] {});
    auto create = std::get<server::CreateRequest>(create_file("/d/me"));
    create.type = tree::NodeType::kEphemeral;
    door.submit(session, {}, create, [](const tree::Outcome&) {});
    door.pump();
    door.close_session(session, [](const tree::Outcome&) {});
    door.pump();
  });
  EXPECT_EQ(settled(), (Events{"d: DELETE me"}));
}

TEST_F(ReplayRace, EphemeralsOfAForeignSessionThatEndsShowDelete) {
  SessionId session;
  mount_->run([&] {
    session = mount_->door().foreign_session();
    auto create = std::get<server::CreateRequest>(create_file("/d/me"));
    create.type = tree::NodeType::kEphemeral;
    mount_->door().inject_foreign(create, session);
  });
  watch("d", "d");
  watch("d/me", "me");
  mount_->run([&] { mount_->door().expire(session); });
  EXPECT_EQ(settled(), (Events{"me: ATTRIB", "me: DELETE_SELF", "me: IGNORED", "d: DELETE me"}));
}

// What the leader itself does (containers and TTL znodes that are over) is asked by session 0.
TEST_F(ReplayRace, RemovalByTheLeaderItselfShowsDelete) {
  mount_->foreign(create_directory("/d/pool"));
  watch("d", "d");
  mount_->run([&] { mount_->door().inject_foreign(remove("/d/pool"), SessionId{}); });
  EXPECT_EQ(settled(), (Events{"d: DELETE,ISDIR pool"}));
}

// Another mount of this very server, or a client connected to it: this mount's kernel knows
// nothing.
TEST_F(ReplayRace, ChangeByAnotherSessionOfThisServerShows) {
  watch("d", "d");
  mount_->run([&] {
    mount_->own_session_only();
    const SessionId session = mount_->door().open_session(
        1000, "test", [](const tree::Outcome&) {}, [] {});
    mount_->door().submit(session, {}, create_file("/d/f"), [](const tree::Outcome&) {});
    mount_->door().pump();
  });
  EXPECT_EQ(settled(), (Events{"d: CREATE f", "d: OPEN f", "d: CLOSE_WRITE f"}));
  ::close(::open(mount_->path("d/own").c_str(), O_WRONLY | O_CREAT, 0644));
  EXPECT_EQ(settled(), (Events{"d: CREATE own", "d: OPEN own", "d: CLOSE_WRITE own"}));
}

TEST_F(ReplayRace, LocalCreateAfterAPendingDeleteIsTheLastThingShown) {
  mount_->foreign(create_file("/d/f"));
  watch("d", "d");
  mount_->run([&] {
    // Both at once: the delete's poke cannot have begun.
    mount_->door().inject_foreign(remove("/d/f"));
    const SessionId session = mount_->door().open_session(
        1000, "test", [](const tree::Outcome&) {}, [] {});
    mount_->door().submit(session, {}, create_file("/d/f"), [](const tree::Outcome&) {});
    mount_->door().pump();
  });
  EXPECT_EQ(settled(), (Events{"d: DELETE f", "d: CREATE f", "d: OPEN f", "d: CLOSE_WRITE f"}));
}

// --- what was there before ---

TEST_F(ReplayRace, RecreatedFileIsAnotherInode) {
  mount_->foreign(create_file("/d/f"));
  watch("d", "d");
  watch("d/f", "f");
  mount_->run([&] {
    mount_->door().inject_foreign(remove("/d/f"));
    mount_->door().inject_foreign(create_file("/d/f"));
  });
  EXPECT_EQ(settled(), (Events{"f: ATTRIB", "f: DELETE_SELF", "f: IGNORED", "d: DELETE f",
                               "d: CREATE f", "d: OPEN f", "d: CLOSE_WRITE f"}));
}

TEST_F(ReplayRace, LookingAtTheNewStateFirstDoesNotSuppressTheEvents) {
  mount_->foreign(create_file("/d/f"));
  watch("d", "d");
  watch("d/f", "f");
  for (const pid_t worker : mount_->workers()) ::kill(worker, SIGSTOP);
  mount_->foreign(remove("/d/f"));
  mount_->foreign(create_file("/d/g"));

  struct stat attr {};

  EXPECT_NE(::stat(mount_->path("d/f").c_str(), &attr), 0);
  EXPECT_EQ(::stat(mount_->path("d/g").c_str(), &attr), 0);
  for (const pid_t worker : mount_->workers()) ::kill(worker, SIGCONT);
  const Events events = settled();
  EXPECT_EQ(count(events, "d: DELETE f"), 1U);
  EXPECT_EQ(count(events, "f: DELETE_SELF"), 1U);
  EXPECT_EQ(count(events, "d: CREATE g"), 1U);
}

TEST_F(ReplayRace, DeleteSelfOfAnOpenFileComesAtItsClose) {
  mount_->foreign(create_file("/d/f"));
  watch("d/f", "f");
  const int file = ::open(mount_->path("d/f").c_str(), O_RDONLY);
  ASSERT_GE(file, 0);
  watcher_.take();
  mount_->foreign(remove("/d/f"));
  EXPECT_EQ(settled(), (Events{"f: ATTRIB"}));

  struct stat attr {};

  EXPECT_EQ(::fstat(file, &attr), 0);
  EXPECT_EQ(attr.st_nlink, 0U);
  ::close(file);
  EXPECT_EQ(settled(), (Events{"f: DELETE_SELF", "f: IGNORED"}));
}

TEST_F(ReplayRace, EntriesOfARemovedTreeShowBeforeItsRemoval) {
  for (int i = 0; i < 20; ++i) {
    const std::string directory = fmt::format("/d/s{}", i);
    mount_->foreign(create_directory(directory));
    mount_->foreign(create_file(directory + "/x"));
    mount_->foreign(create_file(directory + "/y"));
    watch(directory.substr(1), fmt::format("s{}", i));
  }
  settled();
  mount_->run([&] {
    for (int i = 0; i < 20; ++i)
      for (const char* name : {"/x", "/y", ""})
        mount_->door().inject_foreign(remove(fmt::format("/d/s{}{}", i, name)));
  });
  const Events events = settled();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(count(events, fmt::format("s{}: DELETE x", i)), 1U);
    EXPECT_EQ(count(events, fmt::format("s{}: DELETE y", i)), 1U);
    EXPECT_EQ(count(events, fmt::format("s{}: DELETE_SELF", i)), 1U);
  }
}

// Memory pressure takes dentries away from watched inodes; then no handle leads to a directory.
TEST_F(ReplayRace, WatchesWithoutADentryAreServed) {
  mount_->foreign(create_directory("/d/deep"));
  mount_->foreign(create_file("/d/deep/f"));
  watch("d/deep", "p");
  watch("d/deep/f", "f");
  settled();
  std::ofstream("/proc/sys/vm/drop_caches") << "2\n" << std::flush;
  mount_->foreign(create_file("/d/deep/g"));
  mount_->foreign(set_acl("/d/deep/f"));
  EXPECT_EQ(settled(),
            (Events{"p: CREATE g", "p: OPEN g", "p: CLOSE_WRITE g", "p: ATTRIB f", "f: ATTRIB"}));
}

TEST_F(ReplayRace, WhatNobodyHoldsCausesNoPoke) {
  mount_->foreign(create_directory("/d/s"));
  mount_->settle();
  std::ofstream("/proc/sys/vm/drop_caches") << "2\n" << std::flush;
  // The kernel's FORGETs are on their way.
  for (bool held = true; held;)
    mount_->run([&] {
      const auto znode = mount_->door().tree().find_path("/d/s");
      held = mount_->inodes().held(mount::directory_node(znode->ino));
    });
  const auto before = mount_->counters();
  mount_->foreign(create_file("/d/s/f"));
  mount_->settle();
  const auto after = mount_->counters();
  EXPECT_EQ(after.queued, before.queued);
  EXPECT_EQ(after.skipped, before.skipped + 1);
}

// --- ghosts ---

TEST_F(ReplayRace, GhostGetsItsRealNameInTheOpenDescriptor) {
  mount_->foreign(create_file("/d/f"));
  mount_->settle();
  // As a create by a marker would leave it: the kernel knows the node by another name.
  const int file = ::open(mount_->path("d/f").c_str(), O_RDONLY);
  ASSERT_GE(file, 0);
  mount_->run([&] {
    const auto directory = mount_->door().tree().find_path("/d");
    const auto znode = mount_->door().tree().find_path("/d/f");
    mount_->replay().rename_ghost(mount::directory_node(directory->ino), "f", "job-0000000042",
                                  mount::file_node(znode->ino));
  });
  mount_->settle();
  std::array<char, 256> name{};
  const std::string link = fmt::format("/proc/self/fd/{}", file);
  ASSERT_GT(::readlink(link.c_str(), name.data(), name.size() - 1), 0);
  EXPECT_EQ(std::string(name.data()), mount_->path("d/job-0000000042"));
  ::close(file);
}

// --- floods ---

TEST_F(ReplayRace, FloodOfModifiesEndsWithTheLastOne) {
  mount_->foreign(create_file("/d/f"));
  mount_->foreign(create_file("/d/last"));
  watch("d", "d");
  settled();
  for (int i = 0; i < 200; ++i)
    mount_->run([&] {
      for (int j = 0; j < 100; ++j)
        mount_->door().inject_foreign(set_data("/d/f", std::to_string(i * 100 + j)));
    });
  const auto counters = mount_->counters();
  // Everything of the flood has fired when this returns: a change that waits in the queue would
  // take in the last one, and then come before the other file's.
  const Events flood = settled();
  ASSERT_GE(flood.size(), 3U);
  EXPECT_GT(counters.merged, 0U);
  EXPECT_EQ(counters.overflowed, 0U);
  EXPECT_EQ(flood.back(), "d: CLOSE_WRITE f");
  mount_->foreign(set_data("/d/last", "x"));
  mount_->foreign(set_data("/d/f", "end"));
  const Events events = settled();
  ASSERT_GE(events.size(), 6U);
  EXPECT_EQ(events.back(), "d: CLOSE_WRITE f");
  EXPECT_EQ(count(events, "d: CLOSE_WRITE last"), 1U);
}

TEST_F(ReplayRace, CreatesAndDeletesAreNotMerged) {
  watch("d", "d");
  mount_->run([&] {
    for (int i = 0; i < 1000; ++i) {
      mount_->door().inject_foreign(create_file("/d/f"));
      mount_->door().inject_foreign(remove("/d/f"));
    }
  });
  const Events events = settled();
  EXPECT_EQ(count(events, "d: CREATE f"), 1000U);
  EXPECT_EQ(count(events, "d: DELETE f"), 1000U);
}

// --- snapshots ---

TEST_F(ReplayRace, CatchingUpBySnapshotShowsTheNetDifference) {
  mount_->foreign(create_file("/d/changed"));
  mount_->foreign(create_file("/d/gone"));
  mount_->foreign(create_file("/d/moved"));
  mount_->foreign(create_file("/d/same"));
  watch("d", "d");
  watch("e", "e");
  settled();
  mount_->run([&] {
    std::vector<server::Operation> missed;
    missed.push_back(create_file("/d/born", "x"));
    missed.push_back(create_file("/d/shortlived"));
    missed.push_back(set_data("/d/changed", "y"));
    missed.push_back(remove("/d/gone"));
    missed.push_back(remove("/d/shortlived"));
    missed.push_back(rename("/d/moved", "/e/moved"));
    mount_->door().catch_up_by_snapshot(std::move(missed));
  });
  EXPECT_EQ(settled(),
            (Events{"d: DELETE gone", "d: MOVED_FROM moved #1", "e: MOVED_TO moved #1",
                    "d: CREATE born", "d: OPEN born", "d: MODIFY born", "d: CLOSE_WRITE born",
                    "d: MODIFY changed", "d: OPEN changed", "d: CLOSE_WRITE changed"}));
}

TEST_F(ReplayRace, CatchingUpShowsAMoveOutOfADirectoryThatIsGone) {
  mount_->foreign(create_directory("/d/s"));
  mount_->foreign(create_file("/d/s/f"));
  watch("d", "d");
  watch("d/s", "s");
  watch("d/s/f", "f");
  settled();
  mount_->run([&] {
    std::vector<server::Operation> missed;
    missed.push_back(rename("/d/s/f", "/d/g"));
    missed.push_back(remove("/d/s"));
    mount_->door().catch_up_by_snapshot(std::move(missed));
  });
  EXPECT_EQ(settled(), (Events{"s: MOVED_FROM f #1", "d: MOVED_TO g #1", "f: MOVE_SELF",
                               "s: DELETE_SELF", "s: IGNORED", "d: DELETE,ISDIR s"}));
}

TEST_F(ReplayRace, CatchingUpShowsTurnsExchangesAndTrees) {
  mount_->foreign(create_file("/d/turns"));
  mount_->foreign(create_file("/d/a"));
  mount_->foreign(create_directory("/e/b"));
  mount_->foreign(create_directory("/e/tree"));
  mount_->foreign(create_file("/e/tree/leaf"));
  watch("d", "d");
  watch("e", "e");
  watch("e/tree", "tree");
  settled();
  mount_->run([&] {
    std::vector<server::Operation> missed;
    missed.push_back(set_kind("/d/turns", tree::NodeKind::kDirectory));
    missed.push_back(rename("/d/a", "/e/b", true));
    missed.push_back(remove("/e/tree/leaf"));
    missed.push_back(remove("/e/tree"));
    mount_->door().catch_up_by_snapshot(std::move(missed));
  });
  const Events events = settled();
  for (const char* event :
       {"d: DELETE turns", "d: CREATE,ISDIR turns", "d: MOVED_FROM a #1", "e: MOVED_TO b #1",
        "e: MOVED_FROM,ISDIR b #2", "d: MOVED_TO,ISDIR a #2", "tree: DELETE leaf",
        "tree: DELETE_SELF", "tree: IGNORED", "e: DELETE,ISDIR tree"})
    EXPECT_EQ(count(events, event), 1U) << event;
  EXPECT_EQ(events.size(), 10U);
}

TEST_F(ReplayRace, CatchingUpCausesNothingForWhatNobodyHolds) {
  mount_->foreign(create_directory("/d/s"));
  mount_->foreign(create_file("/d/s/f"));
  mount_->make_forget({"/d", "/d/s", "/d/s/f"});
  const auto before = mount_->counters();
  mount_->run([&] {
    std::vector<server::Operation> missed;
    missed.push_back(set_data("/d/s/f", "x"));
    missed.push_back(create_file("/d/s/g"));
    missed.push_back(rename("/d/s/f", "/d/f"));
    mount_->door().catch_up_by_snapshot(std::move(missed));
  });
  mount_->settle();
  EXPECT_EQ(mount_->counters().queued, before.queued);
}

// --- deaths ---

TEST_F(ReplayRace, WorkOfADeadWorkerIsDoneByTheOthers) {
  watch("d", "d");
  watch("e", "e");
  const std::vector<pid_t> workers = mount_->workers();
  ASSERT_EQ(workers.size(), 2U);
  ::kill(workers[0], SIGSTOP);
  mount_->run([&] {
    for (int i = 0; i < 100; ++i) {
      mount_->door().inject_foreign(create_file(fmt::format("/d/f{}", i)));
      mount_->door().inject_foreign(create_file(fmt::format("/e/f{}", i)));
    }
  });
  ::kill(workers[0], SIGKILL);
  const Events events = settled();
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(count(events, fmt::format("d: CREATE f{}", i)), 1U);
    EXPECT_EQ(count(events, fmt::format("e: CREATE f{}", i)), 1U);
  }
}

TEST_F(ReplayRace, WithoutWorkersTheMountGoesOn) {
  watch("d", "d");
  for (const pid_t worker : mount_->workers()) ::kill(worker, SIGKILL);
  for (std::size_t living = 2; living != 0;)
    mount_->run([&] { living = mount_->helper().living_count(); });
  mount_->foreign(create_file("/d/f"));

  struct stat attr {};

  EXPECT_EQ(::stat(mount_->path("d/f").c_str(), &attr), 0);
  EXPECT_EQ(settled(), Events{});
}

// Read-only for its users; the superblock must not be (`mount -o remount,bind,ro`).
TEST_F(ReplayRace, MountThatIsReadOnlyForItsUsersShowsEvents) {
  const unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY;
  ASSERT_EQ(::mount(nullptr, mount_->path().c_str(), nullptr, flags, nullptr), 0);
  mount_->run([&] { mount_->helper().attach(mount_->path()); });
  watch("d", "d");
  EXPECT_EQ(::open(mount_->path("d/x").c_str(), O_WRONLY | O_CREAT, 0644), -1);
  mount_->foreign(create_file("/d/f"));
  EXPECT_EQ(settled(), (Events{"d: CREATE f", "d: OPEN f", "d: CLOSE_WRITE f"}));
}

TEST_F(ReplayRace, UnmountDoesNotWaitForTheClone) {
  watch("d", "d");
  mount_->foreign(create_file("/d/f"));
  mount_->settle();
  ::umount2(mount_->path().c_str(), 0);

  struct stat attr {};

  ASSERT_EQ(::stat(mount_->path().c_str(), &attr), 0);
  // The clone still holds the filesystem; its last holder gone, watchers are told.
  mount_->run([&] {
    mount_->replay().stop();
    mount_->helper().detach();
  });
  pollfd wait{watcher_.descriptor(), POLLIN, 0};
  while (::poll(&wait, 1, 5000) == 1) {
    const Events events = watcher_.take();
    if (count(events, "d: IGNORED") != 0) return SUCCEED();
  }
  FAIL() << "the filesystem is still held";
}

TEST_F(ReplayRace, UserBlockedInADirectoryStopsNeitherOthersNorTheEnd) {
  watch("d", "d");
  watch("e", "e");
  mount_->freeze();
  const pid_t user = ::fork();
  if (user == 0) {
    // With /dev/fuse open it would keep alive the connection it waits for.
    ::close_range(3, ~0U, 0);
    ::open(mount_->path("d/blocked").c_str(), O_WRONLY | O_CREAT, 0644);
    ::_exit(0);
  }
  while (mount_->frozen_count() == 0) std::this_thread::yield();
  // These two are in different lanes only if the hash says so; the blocked one is second.
  mount_->foreign(create_file("/e/free"));
  Events seen;
  while (count(seen, "e: CREATE free") == 0)
    std::ranges::copy(watcher_.take(), std::back_inserter(seen));
  mount_->foreign(create_file("/d/waits"));
  // Ends with a worker blocked on the lock of d.
  mount_.reset();
  int status = 0;
  EXPECT_EQ(::waitpid(user, &status, 0), user);
}

TEST(ReplayBlocked, UsersBlockedInSomeDirectoriesDelayTheEventsOfNoOther) {
  if (!EventMount::possible()) GTEST_SKIP() << "needs root and /dev/fuse";
  constexpr int kWorkers = 4;
  constexpr int kFree = 50;
  EventMount mount(kWorkers);
  Watcher watcher;
  const auto make_watched = [&](const std::string& directory) {
    mount.foreign(create_directory("/" + directory));
    mount.settle();
    watcher.add(mount.path(directory), directory);
  };
  // One worker is left.
  for (int i = 0; i + 1 < kWorkers; ++i) make_watched(fmt::format("blocked{}", i));
  for (int i = 0; i < kFree; ++i) make_watched(fmt::format("free{}", i));
  mount.freeze();
  std::vector<pid_t> users;
  for (int i = 0; i + 1 < kWorkers; ++i) {
    users.push_back(::fork());
    if (users.back() != 0) continue;
    ::close_range(3, ~0U, 0);
    ::open(mount.path(fmt::format("blocked{}/x", i)).c_str(), O_WRONLY | O_CREAT, 0644);
    ::_exit(0);
  }
  while (mount.frozen_count() + 1 < kWorkers) std::this_thread::yield();
  mount.run([&] {
    for (int i = 0; i + 1 < kWorkers; ++i)
      for (int j = 0; j < 20; ++j)
        mount.door().inject_foreign(create_file(fmt::format("/blocked{}/f{}", i, j)));
    for (int i = 0; i < kFree; ++i)
      mount.door().inject_foreign(create_file(fmt::format("/free{}/f", i)));
  });
  Events seen;
  const auto seen_free = [&] {
    return std::ranges::count_if(seen, [](const std::string& event) {
      return event.starts_with("free") && event.find("CREATE") != std::string::npos;
    });
  };
  pollfd wait{watcher.descriptor(), POLLIN, 0};
  while (seen_free() < kFree && ::poll(&wait, 1, 5000) == 1)
    std::ranges::copy(watcher.take(), std::back_inserter(seen));
  EXPECT_EQ(seen_free(), kFree);
  EXPECT_EQ(count(seen, "blocked0: CREATE f0"), 0U);
  mount.thaw();
  for (const pid_t user : users) EXPECT_EQ(::waitpid(user, nullptr, 0), user);
  mount.settle();
  std::ranges::copy(watcher.take(), std::back_inserter(seen));
  for (int i = 0; i + 1 < kWorkers; ++i)
    for (int j = 0; j < 20; ++j)
      EXPECT_EQ(count(seen, fmt::format("blocked{}: CREATE f{}", i, j)), 1U);
}

// --- a daemon killed outright ---

struct Ended {
  bool ended = false;
  char state = '?';
};

Ended wait_for_end(int pidfd, pid_t pid) {
  pollfd wait{pidfd, POLLIN, 0};
  Ended result;
  result.ended = ::poll(&wait, 1, 5000) == 1;
  std::ifstream stat(fmt::format("/proc/{}/stat", pid));
  std::string skip;
  stat >> skip >> skip >> result.state;
  return result;
}

TEST(ReplayKilled, DaemonKilledWithPokesUnderWayLeavesNothingStuck) {
  if (!EventMount::possible()) GTEST_SKIP() << "needs root and /dev/fuse";
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  const pid_t daemon = ::fork();
  if (daemon == 0) {
    EventMount mount;
    mount.foreign(create_directory("/d"));
    mount.settle();
    Watcher watcher;
    watcher.add(mount.path("d"), "d");
    std::string line = mount.path() + "\n";
    for (const pid_t worker : mount.workers()) line += fmt::format("{}\n", worker);
    mount.run([&] {
      for (int i = 0; i < 5'000; ++i)
        mount.door().inject_foreign(create_file(fmt::format("/d/f{}", i)));
    });
    (void)!::write(pipe[1], line.data(), line.size());
    mount.settle();
    for (;;) ::pause();
  }
  ::close(pipe[1]);
  std::array<char, 256> text{};
  ASSERT_GT(::read(pipe[0], text.data(), text.size() - 1), 0);
  ::close(pipe[0]);
  std::istringstream lines(text.data());
  std::string path;
  std::vector<std::pair<pid_t, int>> workers;
  lines >> path;
  for (pid_t pid = 0; lines >> pid;)
    workers.emplace_back(pid, static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  ASSERT_EQ(workers.size(), 2U);
  ::kill(daemon, SIGKILL);
  EXPECT_EQ(::waitpid(daemon, nullptr, 0), daemon);
  for (const auto& [pid, pidfd] : workers) {
    const Ended result = wait_for_end(pidfd, pid);
    EXPECT_TRUE(result.ended) << pid << " is in state " << result.state;
    ::close(pidfd);
  }
  EXPECT_EQ(::umount2(path.c_str(), MNT_DETACH), 0);
  EXPECT_EQ(::rmdir(path.c_str()), 0);
}

}  // namespace
}  // namespace zkfs::test
