// SPDX-License-Identifier: Apache-2.0
// Several mounts of one server: at start, and added while it runs through mount.zkfs, mount(8) and
// fstab (contract section 10).
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "tests/system/cluster.h"

namespace zkfs::testing {
namespace {

namespace fs = std::filesystem;

class Mounts : public ::testing::Test {
 protected:
  void SetUp() override {
    ZKFS_NEEDS_FUSE();
    for (const char* name : {"a", "b", "c"}) fs::create_directory(at(name));
    fs::create_symlink(ZKFS_PROGRAM, helper());
  }

  void TearDown() override {
    if (server_.pid() > 0) server_.signal(SIGTERM);
    // Servers that mount.zkfs started end with their last mount.
    for (const char* name : {"a", "b", "c"}) umount2(at(name).c_str(), MNT_DETACH);
    eventually([&] { return !fs::exists(socket()); });
  }

  [[nodiscard]] std::string at(const std::string& name) const {
    return cluster_.directory(1) + "/" + name;
  }

  [[nodiscard]] std::string helper() const { return at("mount.zkfs"); }

  [[nodiscard]] std::string config() const { return at("zoo.cfg"); }

  [[nodiscard]] std::string socket() const { return at("data/control.sock"); }

  // zkfs serve with these arguments after the configuration; returns when it listens and serves.
  void serve(const std::vector<std::string>& arguments) {
    std::vector<std::string> line{ZKFS_PROGRAM, "serve", "--config", config()};
    line.insert(line.end(), arguments.begin(), arguments.end());
    server_ = Process::start(line, at("log"));
    ASSERT_TRUE(eventually([&] {
      return !server_.running() || read_file(at("log")).find("(in quorum)") != std::string::npos;
    }));
    ASSERT_TRUE(server_.running()) << read_file(at("log"));
  }

  CommandResult mount(const std::string& name, const std::string& options = "") {
    return run(helper() + " " + config() + " " + at(name) +
               (options.empty() ? "" : " -o " + options));
  }

  // The pid of the server that holds the data directory.
  [[nodiscard]] std::string owner() const { return read_file(at("data/version-2/zkfs.lock")); }

  Cluster cluster_{{.nodes = 1, .start = false}};
  Process server_;
};

// --- at start ---

TEST_F(Mounts, OfOneServerShowTheSameTreeEachWithItsOptions) {
  serve({"--mount", at("b") + ",ro,control=.ctl", "-o", "timeo=3s", at("a")});
  ASSERT_EQ(write_file(at("a/f"), "x"), 0);
  EXPECT_EQ(read_file(at("b/f")), "x");
  EXPECT_EQ(write_file(at("b/f"), "y"), EROFS);
  EXPECT_NE(run("cat " + at("a/.zkfs/config")).output.find("timeo=3000ms"), std::string::npos);
  EXPECT_NE(run("cat " + at("b/.ctl/config")).output.find("timeo=10000ms"), std::string::npos);
}

TEST_F(Mounts, EachHasASessionOfItsOwn) {
  serve({"--mount", at("b"), at("a")});
  ASSERT_EQ(write_file(at("b/mine@eph"), "x"), 0);
  EXPECT_EQ(run("ls " + at("a/.zkfs/sessions") + " | wc -l").output, "2\n");
  ASSERT_EQ(run("umount " + at("b")).status, 0);
  EXPECT_TRUE(eventually([&] { return !fs::exists(at("a/mine")); }));
  EXPECT_EQ(run("ls " + at("a/.zkfs/sessions") + " | wc -l").output, "1\n");
}

TEST_F(Mounts, AChangeThroughOneWakesWatchersOfTheOtherAndItsOwnOnce) {
  serve({"--mount", at("b"), at("a")});
  const auto watch = [&](const std::string& name) {
    return Process::start(
        {"inotifywait", "-m", "-e", "create", "-e", "delete", "--format", "%e %f", at(name)},
        at("events-" + name));
  };
  const Process first = watch("a");
  const Process second = watch("b");
  const auto events = [&](const std::string& name) { return read_file(at("events-" + name)); };
  for (const char* name : {"a", "b"}) {
    ASSERT_TRUE(eventually([&] { return events(name).find("established") != std::string::npos; }));
  }
  const auto told = [&](const std::string& expected) {
    for (const char* name : {"a", "b"}) {
      EXPECT_TRUE(eventually([&] { return events(name).ends_with(expected); })) << events(name);
      EXPECT_TRUE(events(name).ends_with("established.\n" + expected)) << events(name);
    }
  };
  ASSERT_EQ(write_file(at("a/f"), "x"), 0);
  // A deletion before the creation has been replayed would be the kernel's event, then both again.
  told("CREATE f\n");
  fs::remove(at("b/f"));
  told("CREATE f\nDELETE f\n");
}

TEST_F(Mounts, TheServerEndsWithTheLast) {
  serve({"--mount", at("b"), at("a")});
  ASSERT_EQ(run("umount " + at("a")).status, 0);
  ASSERT_EQ(write_file(at("b/f"), "x"), 0);
  ASSERT_EQ(run("umount " + at("b")).status, 0);
  EXPECT_EQ(server_.wait(Seconds(10)), 0);
}

TEST_F(Mounts, AKeptServerNeedsNone) {
  serve({"--keep"});
  EXPECT_EQ(mount("a").status, 0);
  ASSERT_EQ(write_file(at("a/f"), "x"), 0);
  ASSERT_EQ(run("umount " + at("a")).status, 0);
  EXPECT_EQ(mount("b").status, 0);
  EXPECT_EQ(read_file(at("b/f")), "x");
  EXPECT_TRUE(server_.running());
}

TEST_F(Mounts, TheEventWorkersOfOneEndWithIt) {
  serve({"--mount", at("b"), at("a")});
  const std::string workers =
      "pgrep -P $(pgrep -P " + std::to_string(server_.pid()) + ") | wc -l | tr -d '\\n'";
  const int before = std::stoi(run(workers).output);
  EXPECT_GT(before, 0);
  ASSERT_EQ(run("umount " + at("b")).status, 0);
  EXPECT_TRUE(eventually([&] { return std::stoi(run(workers).output) == before / 2; }));
}

TEST_F(Mounts, ASignalTakesAllDown) {
  serve({"--mount", at("b"), at("a")});
  server_.signal(SIGTERM);
  EXPECT_EQ(server_.wait(Seconds(10)), 0);
  EXPECT_EQ(run("grep -c " + cluster_.directory(1) + " /proc/self/mountinfo").output, "0\n");
  EXPECT_FALSE(fs::exists(socket()));
}

TEST_F(Mounts, OneThatCannotBeMountedIsRefusedAtStart) {
  const auto result = run(std::string(ZKFS_PROGRAM) + " serve --config " + config() + " --mount " +
                          at("missing") + " " + at("a"));
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.output.find(at("missing")), std::string::npos) << result.output;
  EXPECT_EQ(run("grep -c " + at("a") + " /proc/self/mountinfo").output, "0\n");
}

// --- added later ---

TEST_F(Mounts, AddedLaterAreUsableOnReturn) {
  serve({at("a")});
  ASSERT_EQ(write_file(at("a/f"), "x"), 0);
  EXPECT_EQ(mount("b", "_netdev,nofail,user,x-systemd.automount").status, 0);
  EXPECT_EQ(read_file(at("b/f")), "x");
  EXPECT_EQ(run("findmnt -n -o SOURCE,FSTYPE " + at("b") + " | tr -s ' '").output,
            config() + " fuse.zkfs\n");
}

TEST_F(Mounts, AddedLaterReplayEvents) {
  Cluster three;
  const std::string more = three.directory(1) + "/more";
  fs::create_directory(more);
  ASSERT_EQ(run("ln -s " ZKFS_PROGRAM " " + three.directory(1) + "/mount.zkfs; " +
                three.directory(1) + "/mount.zkfs " + three.directory(1) + "/zoo.cfg " + more)
                .status,
            0);
  Process watcher = Process::start({"inotifywait", "-q", "-e", "create", more}, at("events"));
  int attempt = 0;
  ASSERT_TRUE(eventually([&] {
    write_file(three.mnt(2, "new" + std::to_string(++attempt)), "x");
    return !watcher.running();
  }));
  EXPECT_NE(read_file(at("events")).find("CREATE new"), std::string::npos);
}

TEST_F(Mounts, RefusalsAreOneLineAndHarmNobody) {
  serve({at("a")});
  fs::create_directory(at("a/sub"));
  const std::pair<std::string, std::string> rows[] = {
      {at("a"), "already"},
      {at("a/sub"), "lies on the zkfs at " + at("a")},
      {at("missing"), "create it first"},
      {at("data"), "data directory lies under"},
      {at("zoo.cfg"), "not a directory"}};
  for (const auto& [mountpoint, words] : rows) {
    const auto result = run(helper() + " " + config() + " " + mountpoint);
    EXPECT_EQ(result.status, 32) << mountpoint;
    EXPECT_NE(result.output.find(words), std::string::npos) << result.output;
    EXPECT_EQ(std::count(result.output.begin(), result.output.end(), '\n'), 1) << result.output;
  }
  EXPECT_EQ(write_file(at("a/f"), "x"), 0);
}

TEST_F(Mounts, ASymbolicLinkToTheOwnMountDoesNotHangTheServer) {
  serve({at("a")});
  fs::create_directory(at("a/sub"));
  fs::create_directory_symlink(at("a"), at("link"));
  EXPECT_EQ(run(helper() + " " + config() + " " + at("link/sub")).status, 32);
  EXPECT_EQ(write_file(at("a/f"), "x"), 0);
}

TEST_F(Mounts, ABindMountOfTheOwnMountDoesNotHangTheServer) {
  serve({at("a")});
  ASSERT_EQ(run("mount --bind " + at("a") + " " + at("b")).status, 0);
  const auto result = mount("b");
  run("umount " + at("b"));
  EXPECT_EQ(result.status, 32);
  EXPECT_NE(result.output.find("already"), std::string::npos) << result.output;
  EXPECT_EQ(write_file(at("a/f"), "x"), 0);
}

// --- mount.zkfs starts the server ---

TEST_F(Mounts, TheHelperStartsAServerThatEndsWithItsLastMount) {
  ASSERT_EQ(mount("a").status, 0);
  ASSERT_EQ(write_file(at("a/f"), "x"), 0);
  ASSERT_EQ(mount("b").status, 0);
  EXPECT_EQ(read_file(at("b/f")), "x");
  EXPECT_EQ(run("cat " + at("a/.zkfs/sessions/*/owner") + " | wc -l").output, "2\n");
  ASSERT_EQ(run("umount " + at("a") + " " + at("b")).status, 0);
  EXPECT_TRUE(eventually([&] { return !fs::exists(socket()); }));
  // And another one right after it.
  ASSERT_EQ(mount("c").status, 0);
  EXPECT_EQ(read_file(at("c/f")), "x");
}

TEST_F(Mounts, RightAfterTheLastUnmountTheNextServerIsWaitedFor) {
  for (int round = 0; round < 5; ++round) {
    ASSERT_EQ(mount("a").status, 0) << round;
    ASSERT_EQ(write_file(at("a/f"), std::to_string(round)), 0);
    ASSERT_EQ(run("umount " + at("a")).status, 0);
  }
  ASSERT_EQ(mount("a").status, 0);
  EXPECT_EQ(read_file(at("a/f")), "4");
}

TEST_F(Mounts, TwoHelpersAtOnceStartOneServer) {
  const std::string line = helper() + " " + config() + " ";
  const auto both =
      run(line + at("a") + " & one=$!; " + line + at("b") + "; two=$?; wait $one && exit $two");
  EXPECT_EQ(both.status, 0) << both.output;
  ASSERT_EQ(write_file(at("a/f"), "x"), 0);
  EXPECT_EQ(read_file(at("b/f")), "x");
}

TEST_F(Mounts, TheHelperTellsWhyTheServerDoesNotStart) {
  std::ofstream(config(), std::ios::app) << "tickTime=fast\n";
  const auto wrong = mount("a");
  EXPECT_EQ(wrong.status, 32);
  EXPECT_NE(wrong.output.find("tickTime=fast"), std::string::npos) << wrong.output;
  run("sed -i /fast/d " + config() + "; touch " + at("b/something"));
  const auto full = mount("b");
  EXPECT_EQ(full.status, 32);
  EXPECT_NE(full.output.find("not empty"), std::string::npos) << full.output;
  EXPECT_EQ(run(helper() + " /nonexistent " + at("a")).status, 32);
  EXPECT_EQ(run(helper() + " " + at("a")).status, 1);
}

TEST_F(Mounts, TheHelperTakesADeadMountOver) {
  ASSERT_EQ(mount("a").status, 0);
  ASSERT_EQ(write_file(at("a/f"), "x"), 0);
  ::kill(std::stoi(owner()), SIGKILL);
  ASSERT_TRUE(eventually([&] { return run("ls " + at("a")).status != 0; }));
  ASSERT_EQ(mount("a").status, 0);
  EXPECT_EQ(read_file(at("a/f")), "x");
  EXPECT_EQ(run("grep -c ' " + at("a") + " ' /proc/self/mountinfo").output, "1\n");
}

TEST_F(Mounts, AFrozenServerIsToldOfAndNotWaitedForEver) {
  serve({"--keep"});
  server_.signal(SIGSTOP);
  // The patience is 30 s; nobody else may be kept waiting by it, so the test does not wait either.
  Process helper_process = Process::start({helper(), config(), at("a")}, at("out"));
  EXPECT_EQ(helper_process.wait(Millis(300)), -1);
  server_.signal(SIGCONT);
  EXPECT_EQ(helper_process.wait(Seconds(10)), 0);
}

// --- the service manager ---

TEST_F(Mounts, TheServiceManagerHearsOfReadinessRoleLifeAndTheEnd) {
  const std::string path = at("notify");
  const int manager = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ASSERT_LT(path.size(), sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  ASSERT_EQ(::bind(manager, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const timeval limit{.tv_sec = 10, .tv_usec = 0};
  ::setsockopt(manager, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  const auto hears = [&](const std::string& wanted) {
    char buffer[256];
    for (ssize_t count = 0; (count = ::recv(manager, buffer, sizeof buffer, 0)) >= 0;) {
      if (std::string(buffer, static_cast<std::size_t>(count)).starts_with(wanted)) return true;
    }
    return false;
  };
  server_ = Process::start({"env", "NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=300000", ZKFS_PROGRAM,
                            "serve", "--config", config(), at("a")},
                           at("log"));
  EXPECT_TRUE(hears("READY=1"));
  EXPECT_EQ(write_file(at("a/f"), "x"), 0) << "ready is usable";
  EXPECT_TRUE(hears("STATUS=standalone of server 1"));
  EXPECT_TRUE(hears("WATCHDOG=1"));
  EXPECT_TRUE(hears("WATCHDOG=1"));
  server_.signal(SIGTERM);
  EXPECT_TRUE(hears("STOPPING=1"));
  EXPECT_EQ(server_.wait(Seconds(10)), 0);
  ::close(manager);
}

// --- mount(8) ---

// In a mount namespace of its own, /usr/sbin with our helper in it.
std::string with_helper(const std::string& directory, const std::string& script) {
  const std::string setup = "set -e; cd " + directory +
                            "; mkdir real fake; mount --bind /usr/sbin real;"
                            "cp -rs $PWD/real/. fake/; ln -sf " ZKFS_PROGRAM
                            " fake/mount.zkfs;"
                            "mount --bind fake /usr/sbin;";
  return "unshare -m bash -c '" + setup + script + "'";
}

TEST_F(Mounts, Mount8AndUmount8WorkByTypeZkfs) {
  const auto result =
      run(with_helper(cluster_.directory(1),
                      "mount -t zkfs zoo.cfg $PWD/a -o nofail,timeo=3s; echo x > a/f;"
                      "mount -t zkfs zoo.cfg $PWD/b -o ro; cat b/f; umount a; umount -l b"));
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(result.output, "x\n");
}

TEST_F(Mounts, LinesOfFstabWork) {
  std::ofstream(at("fstab")) << config() << " " << at("a")
                             << " zkfs _netdev,nofail,x-systemd.requires=zkfs.service 0 0\n"
                             << config() << " " << at("b") << " zkfs ro,user 0 0\n";
  const auto result =
      run(with_helper(cluster_.directory(1),
                      "mount --fstab fstab -a; echo x > a/f; cat b/f; mount --fstab fstab -a;"
                      "grep -c \" $PWD/[ab] \" /proc/self/mountinfo; umount --all -t fuse.zkfs"));
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(result.output, "x\n2\n") << "a second mount -a finds both there";
}

// --- an ordinary user ---

// As nobody, in a mount namespace where /dev/fuse is for everybody, as distributions have it. The
// directory u is his; ./zkfs is the program.
std::string as_nobody(const std::string& directory, const std::string& script) {
  const std::string setup =
      "set -e; exec 2>&1; mount -t tmpfs -o mode=755,dev none " + directory + "; cd " + directory +
      "; mknod -m 666 fuse c 10 229; mount --bind fuse /dev/fuse; touch zkfs; mount "
      "--bind " ZKFS_PROGRAM " zkfs; ln -s zkfs mount.zkfs; mkdir -p u/m; chown -R 65534:65534 u;";
  std::ofstream(directory + "/../script") << script;
  const std::string user =
      "exec setpriv --reuid=65534 --regid=65534 --clear-groups bash 3< ../script /dev/fd/3";
  return "unshare -m bash -c '" + setup + user + "'";
}

class AsUser : public Mounts {
 protected:
  void SetUp() override {
    Mounts::SetUp();
    if (IsSkipped()) return;
    if (run("test -u \"$(command -v fusermount3)\"").status != 0)
      GTEST_SKIP() << "fusermount3 is not here, or not setuid";
    // So that he gets there.
    fs::permissions(at(".."),
                    fs::perms::owner_all | fs::perms::group_exec | fs::perms::others_exec);
    fs::create_directory(at("user"));
  }

  CommandResult as_user(const std::string& script) {
    return run(as_nobody(at("user"),
                         "set -e\ntrap '[ -e u/d/zkfs.log ] && cat u/d/zkfs.log' ERR\n" + script));
  }
};

TEST_F(AsUser, MountsAndUnmountsThroughFusermount3) {
  const auto result = as_user(
      "mkdir u/d; ./mount.zkfs $PWD/u/d u/m\n"
      "echo x > u/m/f; cat u/m/f\n"
      "stat -c %u u/m/f\n"
      "grep -c ' - fuse.zkfs .*user_id=65534' /proc/self/mountinfo\n"
      "fusermount3 -u u/m\n"
      "! grep -qF \" $PWD/u/m \" /proc/self/mountinfo\n"
      "grep -q 'replay is off' u/d/zkfs.log");
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(result.output, "x\n65534\n1\n");
}

TEST_F(AsUser, ASignalUnmountsToo) {
  const auto result = as_user(
      "mkdir u/d; ./mount.zkfs $PWD/u/d u/m\n"
      "pid=$(cat u/d/version-2/zkfs.lock); kill $pid; tail --pid=$pid -f /dev/null\n"
      "! grep -F \" $PWD/u/m \" /proc/self/mountinfo");
  EXPECT_EQ(result.status, 0) << result.output;
}

TEST_F(AsUser, ADeadMountIsTakenOver) {
  const auto result = as_user(
      "mkdir u/d; ./mount.zkfs $PWD/u/d u/m; echo x > u/m/f\n"
      "pid=$(cat u/d/version-2/zkfs.lock); kill -9 $pid; tail --pid=$pid -f /dev/null\n"
      "./mount.zkfs $PWD/u/d u/m; cat u/m/f; fusermount3 -u u/m");
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_EQ(result.output, "x\n");
}

TEST_F(AsUser, WhatFusermount3RefusesIsToldInOneLine) {
  const auto result =
      as_user("mkdir u/d; ./mount.zkfs $PWD/u/d u/m -o allow_other && exit 9; exit 0");
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_NE(result.output.find("user_allow_other"), std::string::npos) << result.output;
  EXPECT_EQ(std::count(result.output.begin(), result.output.end(), '\n'), 1) << result.output;
}

}  // namespace
}  // namespace zkfs::testing
