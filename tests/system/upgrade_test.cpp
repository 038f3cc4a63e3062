// SPDX-License-Identifier: Apache-2.0
// Upgrade in place: SIGUSR2 has a server become the program that lies where its own was started
// from, and nobody who uses its mount notices but by a pause (contract section 6).
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <map>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "tests/system/cluster.h"

namespace zkfs::testing {
namespace {

class Upgrade : public ::testing::Test {
 protected:
  void SetUp() override { ZKFS_NEEDS_FUSE(); }

  // Sends the signal and waits until the log tells that it is done.
  static bool upgrade(Cluster& cluster, int node) {
    const auto times = [&] { return count(cluster, node, "took over"); };
    const int before = times();
    cluster.process(node).signal(SIGUSR2);
    return eventually([&] { return times() > before; }) && cluster.await_serving(node);
  }

  static int count(Cluster& cluster, int node, const std::string& what) {
    const std::string log = cluster.log(node);
    int found = 0;
    for (auto at = log.find(what); at != std::string::npos; at = log.find(what, at + 1)) ++found;
    return found;
  }

  static std::string read_all(int fd) {
    std::string text(4096, '\0');
    const ssize_t length = pread(fd, text.data(), text.size(), 0);
    text.resize(length < 0 ? 0 : static_cast<std::size_t>(length));
    return text;
  }
};

TEST_F(Upgrade, OpenFilesGoOn) {
  Cluster cluster;
  ASSERT_EQ(write_file(cluster.mnt(1, "f"), "old"), 0);
  const int reader = open(cluster.mnt(1, "f").c_str(), O_RDONLY);
  const int writer = open(cluster.mnt(1, "new").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0640);
  const int updater = open(cluster.mnt(1, "f").c_str(), O_RDWR);
  ASSERT_EQ(write(writer, "one,", 4), 4);
  ASSERT_TRUE(upgrade(cluster, 1));
  EXPECT_EQ(pwrite(updater, "new", 3, 0), 3) << strerror(errno);
  EXPECT_EQ(read_all(reader), "old");
  EXPECT_EQ(write(writer, "two", 3), 3);
  EXPECT_EQ(close(writer), 0);
  EXPECT_EQ(read_file(cluster.mnt(1, "new")), "one,two");
  EXPECT_EQ(read_file(cluster.mnt(1, "f")), "new");

  struct stat attr {};

  ASSERT_EQ(stat(cluster.mnt(1, "new").c_str(), &attr), 0);
  EXPECT_EQ(attr.st_mode & 0777U, 0640U);
  close(reader);
  close(updater);
}

TEST_F(Upgrade, WorkingDirectoriesAndListingsGoOn) {
  Cluster cluster;
  ASSERT_EQ(mkdir(cluster.mnt(1, "d").c_str(), 0755), 0);
  for (int i = 0; i < 2000; ++i) {
    ASSERT_EQ(write_file(cluster.mnt(1, "d/" + std::to_string(i)), ""), 0);
  }
  const int here = open(cluster.mnt(1, "d").c_str(), O_RDONLY | O_DIRECTORY);
  DIR* listing = opendir(cluster.mnt(1, "d").c_str());
  std::set<std::string> names;
  for (int i = 0; i < 100; ++i) names.insert(readdir(listing)->d_name);
  ASSERT_TRUE(upgrade(cluster, 1));
  while (const dirent* entry = readdir(listing)) names.insert(entry->d_name);
  closedir(listing);
  EXPECT_EQ(names.size(), 2002U);
  EXPECT_EQ(faccessat(here, "1999", F_OK, 0), 0);
  close(here);
}

TEST_F(Upgrade, WatchesGoOn) {
  Cluster cluster;
  ASSERT_EQ(write_file(cluster.mnt(1, "f"), "0"), 0);
  ASSERT_TRUE(cluster.sync(2));
  const int watcher = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  ASSERT_GE(inotify_add_watch(watcher, cluster.mnt(1, "f").c_str(), IN_CLOSE_WRITE), 0);
  ASSERT_TRUE(upgrade(cluster, 1));
  ASSERT_EQ(write_file(cluster.mnt(2, "f"), "1"), 0);
  std::array<char, 4096> events{};
  EXPECT_TRUE(eventually([&] { return read(watcher, events.data(), events.size()) > 0; }));
  close(watcher);
}

// What is on its way to watchers when the server is replaced.
TEST_F(Upgrade, WatchersAreToldOfEachCreationOnce) {
  Cluster cluster;
  ASSERT_EQ(mkdir(cluster.mnt(1, "d").c_str(), 0755), 0);
  ASSERT_TRUE(cluster.sync(2));
  const int watcher = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  ASSERT_GE(inotify_add_watch(watcher, cluster.mnt(1, "d").c_str(), IN_CREATE), 0);
  std::atomic<bool> stop = false;
  int made = 0;
  std::thread maker([&] {
    for (; !stop; ++made) {
      EXPECT_EQ(mkdir(cluster.mnt(2, "d/" + std::to_string(made)).c_str(), 0755), 0);
    }
  });
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(upgrade(cluster, 1));
  stop = true;
  maker.join();
  std::map<std::string, int> told;
  EXPECT_TRUE(eventually([&] {
    alignas(inotify_event) std::array<char, 16'384> events{};
    const ssize_t length = read(watcher, events.data(), events.size());
    for (ssize_t at = 0; at < length;) {
      const auto* event = reinterpret_cast<const inotify_event*>(events.data() + at);
      ++told[event->name];
      at += static_cast<ssize_t>(sizeof *event + event->len);
    }
    return told.size() == static_cast<std::size_t>(made);
  }));
  for (const auto& [name, times] : told) EXPECT_EQ(times, 1) << name;
  close(watcher);
}

TEST_F(Upgrade, LocksStayHeldAndWaitersKeepTheirPlace) {
  Cluster cluster;
  const int holder = open(cluster.mnt(1, "job").c_str(), O_RDONLY | O_CREAT, 0644);
  ASSERT_EQ(flock(holder, LOCK_EX), 0);
  std::vector<int> order;
  std::vector<std::thread> waiters;
  const auto waiting = [&] {
    return run("grep -c waiting " + cluster.mnt(2, ".zkfs/locks/job")).output;
  };
  for (int i = 0; i < 3; ++i) {
    waiters.emplace_back([&, i] {
      const int fd = open(cluster.mnt(1, "job").c_str(), O_RDONLY);
      EXPECT_EQ(flock(fd, LOCK_EX), 0);
      order.push_back(i);
      close(fd);
    });
    ASSERT_TRUE(eventually([&] { return waiting() == std::to_string(i + 1) + "\n"; }));
  }
  ASSERT_TRUE(upgrade(cluster, 1));
  EXPECT_EQ(waiting(), "3\n");
  const int other = open(cluster.mnt(2, "job").c_str(), O_RDONLY);
  EXPECT_EQ(flock(other, LOCK_EX | LOCK_NB), -1);
  close(other);
  close(holder);
  for (std::thread& waiter : waiters) waiter.join();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
}

TEST_F(Upgrade, EphemeralsStayAndStillGoWithTheirOwners) {
  Cluster cluster({.mount_options = "session_timeout=4s"});
  Process owner = Process::start({"sleep", "1000"}, cluster.directory(1) + "/owner");
  ASSERT_EQ(write_file(cluster.mnt(1, "its@eph=" + std::to_string(owner.pid())), ""), 0);
  ASSERT_EQ(write_file(cluster.mnt(1, "mounts@eph"), ""), 0);
  ASSERT_TRUE(upgrade(cluster, 1));
  // Longer than the session's timeout: they are kept alive.
  EXPECT_FALSE(eventually(
      [&] {
        return access(cluster.mnt(2, "its").c_str(), F_OK) != 0 ||
               access(cluster.mnt(2, "mounts").c_str(), F_OK) != 0;
      },
      Seconds(6)));
  owner.signal(SIGKILL);
  owner.wait(Seconds(5));
  EXPECT_TRUE(eventually([&] { return access(cluster.mnt(2, "its").c_str(), F_OK) != 0; }));
  EXPECT_EQ(cluster.stop(1), 0);
  EXPECT_TRUE(eventually([&] { return access(cluster.mnt(2, "mounts").c_str(), F_OK) != 0; }));
}

// Whatever somebody is doing meanwhile is done once.
TEST_F(Upgrade, NothingIsLostOrDoneTwiceUnderLoad) {
  Cluster cluster;
  std::atomic<bool> stop = false;
  std::atomic<int> failures = 0;
  std::array<int, 4> done{};
  std::vector<std::thread> callers;
  for (std::size_t i = 0; i < done.size(); ++i) {
    callers.emplace_back([&, i] {
      const std::string log = cluster.mnt(1, "log" + std::to_string(i));
      write_file(log, "");
      while (!stop) {
        const std::string name = std::to_string(done.at(i));
        if (append_file(log, name + "\n") != 0) ++failures;
        if (mkdir(cluster.mnt(1, "d" + std::to_string(i) + "." + name).c_str(), 0755) != 0) {
          ++failures;
        }
        ++done.at(i);
      }
    });
  }
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(upgrade(cluster, 1));
  stop = true;
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(failures, 0);
  for (std::size_t i = 0; i < done.size(); ++i) {
    std::string expected;
    for (int n = 0; n < done.at(i); ++n) expected += std::to_string(n) + "\n";
    EXPECT_EQ(read_file(cluster.mnt(1, "log" + std::to_string(i))), expected);
  }
  EXPECT_TRUE(cluster.same_everywhere());
}

TEST_F(Upgrade, WithoutAQuorumItIsGivenUpAndTheServerGoesOn) {
  Cluster cluster;
  cluster.kill(2);
  cluster.kill(3);
  ASSERT_TRUE(eventually([&] { return cluster.role(1) == "looking"; }));
  // A commit that cannot end.
  std::thread writer([&] { write_file(cluster.mnt(1, "f"), "x"); });
  cluster.process(1).signal(SIGUSR2);
  EXPECT_TRUE(eventually([&] {
    return count(cluster, 1, "upgrade given up") == 1 || count(cluster, 1, "took over") == 1;
  }));
  cluster.start(2);
  EXPECT_TRUE(cluster.await_serving(1));
  writer.join();
  EXPECT_EQ(cluster.stop(1), 0);
}

TEST_F(Upgrade, AProgramThatDoesNotStartIsNotBecome) {
  Cluster cluster({.nodes = 1, .start = false});
  const std::string program = cluster.directory(1) + "/zkfs";
  ASSERT_EQ(run("cp " + cluster.command(1).front() + " " + program).status, 0);
  std::vector<std::string> command = cluster.command(1);
  command.front() = program;
  cluster.process(1) = Process::start(command, cluster.directory(1) + "/log");
  ASSERT_TRUE(cluster.await_serving(1));
  ASSERT_EQ(run("rm " + program + "; printf '#!/bin/sh\nexit 1\n' > " + program + "; chmod 755 " +
                program)
                .status,
            0);
  cluster.process(1).signal(SIGUSR2);
  EXPECT_TRUE(eventually([&] { return count(cluster, 1, "upgrade given up") == 1; }));
  EXPECT_EQ(write_file(cluster.mnt(1, "f"), "x"), 0);
}

}  // namespace
}  // namespace zkfs::testing
