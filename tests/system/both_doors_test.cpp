// SPDX-License-Identifier: Apache-2.0
// One tree behind two doors: what programs do through a mount and what ZooKeeper's clients do is
// the same to both, at once on the same node and after a sync elsewhere.
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "tests/system/client.h"
#include "tests/system/cluster.h"

namespace zkfs::testing {
namespace {

constexpr Seconds kLimit{5};

using Events = std::vector<std::string>;

// Every test has a directory of its own, made through the mount.
class BothDoors : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!fuse_available() || !kazoo_available()) return;
    cluster_ = new Cluster({.mount_options = "allow_other,session_timeout=4s",
                            .settings = {"extendedTypesEnabled=true", "minSessionTimeout=1000",
                                         "znode.container.checkIntervalMs=200"},
                            .client_ports = true});
  }

  static void TearDownTestSuite() {
    delete cluster_;
    cluster_ = nullptr;
  }

  void SetUp() override {
    ZKFS_NEEDS_FUSE();
    ZKFS_NEEDS_KAZOO();
    name_ = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    // A client without credentials is anyone: what is made here is everybody's.
    umask(0);
    ASSERT_EQ(mkdir(at(1).c_str(), 0777), 0);
    ASSERT_TRUE(cluster_->sync(2));
  }

  void TearDown() override { tool_ = Process(); }

  // This test's directory, or what is in it, in a node's mount.
  [[nodiscard]] std::string at(int node, const std::string& file = "") const {
    return cluster_->mnt(node, name_ + (file.empty() ? "" : "/" + file));
  }

  // The same for a client, without quotes and as a string of Python.
  [[nodiscard]] std::string path(const std::string& file = "") const {
    return "/" + name_ + (file.empty() ? "" : "/" + file);
  }

  [[nodiscard]] std::string quoted(const std::string& file = "") const {
    return "'" + path(file) + "'";
  }

  [[nodiscard]] bool is_there(int node, const std::string& file) const {
    return access(at(node, file).c_str(), F_OK) == 0;
  }

  // What a command prints, run in this test's directory of `node`; as user and group 1000 if asked.
  [[nodiscard]] std::string in(int node, const std::string& command, bool as_user = false) const {
    const std::string who = as_user ? "setpriv --reuid=1000 --regid=1000 --clear-groups " : "";
    return run("cd " + at(node) + " && " + who + "bash -c '" + command + "'").output;
  }

  // May be anyone's in every respect, as what clients make: a mode grants no children to a file.
  void open_to_all(const std::string& file) const {
    EXPECT_EQ(in(1, "setfattr -n user.zk.acl -v world:anyone:cdrwa " + file), "");
  }

  // inotifywait on this test's directory of `node`; see await().
  void watch(int node) {
    logs_.at(node - 1) = cluster_->directory(node) + "/events-" + name_;
    tools_.at(node - 1) = Process::start(
        {"inotifywait", "-m", "-e", "create,delete,modify,move", "--format", "%e %f", at(node)},
        logs_.at(node - 1));
    ASSERT_TRUE(eventually([&] { return told(node).find("Watches established") != Text::npos; }));
  }

  // What it printed until `last`, of which that is the last.
  std::string await(int node, const std::string& last) {
    EXPECT_TRUE(eventually([&] { return told(node).ends_with(last + "\n"); }, kLimit))
        << told(node);
    const auto text = told(node);
    return text.substr(text.find('\n', text.find("Watches established")) + 1);
  }

  static Cluster* cluster_;
  std::string name_;
  Process tool_;

 private:
  using Text = std::string;

  std::string told(int node) { return read_file(logs_.at(node - 1)); }

  std::array<std::string, 2> logs_;
  std::array<Process, 2> tools_;
};

Cluster* BothDoors::cluster_ = nullptr;

// --- data ---

TEST_F(BothDoors, WhatEchoWritesAClientReadsAtOnceAndElsewhereAfterASync) {
  Client here(*cluster_);
  Client there(*cluster_, {.nodes = {2}});
  for (int i = 0; i < 30; ++i) {
    const auto expected = fmt::format("b'{}\\n'", i);
    ASSERT_EQ(write_file(at(1, "f"), fmt::format("{}\n", i)), 0);
    ASSERT_EQ(here("k.get(" + quoted("f") + ")[0]"), expected);
    ASSERT_EQ(there(fmt::format("(k.sync({0}), k.get({0})[0])[1]", quoted("f"))), expected);
    ASSERT_EQ(here("k.get(" + quoted("f") + ")[1].version"), std::to_string(i));
  }
}

TEST_F(BothDoors, WhatAClientDoesAMountShowsAtOnceAndElsewhereAfterASync) {
  Client client(*cluster_);
  for (int i = 0; i < 30; ++i) {
    // Looked up before, so that the kernel knows that it is not there.
    const auto file = fmt::format("f{}", i);
    ASSERT_FALSE(is_there(1, file));
    ASSERT_EQ(client(fmt::format("k.create({}, b'old')", quoted(file))), path(file));
    ASSERT_EQ(read_file(at(1, file)), "old");
    ASSERT_EQ(client(fmt::format("k.set({}, b'{}').version", quoted(file), i * 100)), "1");
    ASSERT_EQ(read_file(at(1, file)), std::to_string(i * 100));
    ASSERT_EQ(in(1, "stat -c %s " + file), std::to_string(std::to_string(i * 100).size()) + "\n");
    ASSERT_TRUE(cluster_->sync(2));
    ASSERT_EQ(read_file(at(2, file)), std::to_string(i * 100));
    ASSERT_EQ(client("k.delete(" + quoted(file) + ")"), "True");
    ASSERT_FALSE(is_there(1, file));
    ASSERT_EQ(in(1, "ls"), "");
    ASSERT_TRUE(cluster_->sync(2));
    ASSERT_FALSE(is_there(2, file));
  }
}

TEST_F(BothDoors, EmptyAndNullDataAreAnEmptyFile) {
  Client client(*cluster_);
  client("k.create(" + quoted("null") + ", None)");
  client("k.create(" + quoted("empty") + ", b'')");
  EXPECT_EQ(in(1, "stat -c \"%n %s %F\" *"),
            "empty 0 regular empty file\nnull 0 regular empty file\n");
  EXPECT_EQ(in(1, "cat null empty"), "");
  EXPECT_EQ(client("k.get(" + quoted("null") + ")[0]"), "None");
  EXPECT_EQ(in(1, ": > null; echo -n > new; echo x > full; : > full"), "");
  // Nothing was written: committed by the last close, which nobody waits for.
  const auto all =
      fmt::format("[k.get({} + '/' + n)[0] for n in ('null', 'empty', 'new', 'full')]", quoted());
  EXPECT_TRUE(eventually([&] { return client(all) == "[b'', b'', b'', b'']"; })) << client(all);
  EXPECT_EQ(in(1, "echo x > null; mkdir d; echo of-d > d/.@data"), "");
  EXPECT_EQ(client("k.set(" + quoted("null") + ", None).dataLength"), "0");
  EXPECT_EQ(read_file(at(1, "null")), "");
  EXPECT_EQ(client("k.get(" + quoted("d") + ")[0]"), "b'of-d\\n'");
}

TEST_F(BothDoors, ATransactionOfAClientIsSeenWhole) {
  Client client(*cluster_, {.nodes = {2}});
  ASSERT_EQ(write_file(at(2, "old"), "x"), 0);
  EXPECT_EQ(client(fmt::format("commit(('create', {0}, b'1'), ('create', {0} + '/b', b'2'), "
                               "('delete', {1}))",
                               quoted("a"), quoted("old"))),
            fmt::format("['{}', '{}', True]", path("a"), path("a/b")));
  EXPECT_EQ(in(2, "find | sort; cat a/.@data a/b"), ".\n./a\n./a/.@data\n./a/b\n12");
  EXPECT_EQ(
      client(fmt::format("commit(('create', {0}), ('check', {1}, 7))", quoted("c"), quoted("a"))),
      "['RolledBackError', 'BadVersionError']");
  EXPECT_FALSE(is_there(2, "c"));
}

TEST_F(BothDoors, CompareAndSetOfBothLosesNothing) {
  constexpr int kTimes = 40;
  Client client(*cluster_, {.nodes = {2}});
  ASSERT_EQ(client("k.create(" + quoted("n") + ", b'0')"), path("n"));
  ASSERT_TRUE(cluster_->sync(1));
  std::thread adds([&] {
    EXPECT_EQ(client(fmt::format("(lambda n: [n.__add__(1) for _ in range({})] and 'done')"
                                 "(k.Counter({}))",
                                 kTimes, quoted("n"))),
              "done");
  });
  for (int added = 0; added < kTimes;) {
    // Opened for reading and writing: the write holds only if the value is still the one read.
    const int fd = open(at(1, "n").c_str(), O_RDWR | O_CLOEXEC);
    std::array<char, 16> text{};
    EXPECT_GT(read(fd, text.data(), text.size() - 1), 0);
    const auto next = std::to_string(std::stoi(text.data()) + 1);
    if (pwrite(fd, next.data(), next.size(), 0) == static_cast<ssize_t>(next.size())) {
      ++added;
    } else {
      EXPECT_EQ(errno, ESTALE);
    }
    close(fd);
  }
  adds.join();
  ASSERT_TRUE(cluster_->sync(1));
  EXPECT_EQ(read_file(at(1, "n")), std::to_string(2 * kTimes));
}

TEST_F(BothDoors, OfTwoThatCreateTheSameNameOneWins) {
  constexpr int kNames = 60;
  Client client(*cluster_, {.nodes = {2}});
  std::string won;
  std::thread creates([&] {
    won =
        client(fmt::format("''.join(attempt(k.create, {} + '/' + str(i)) and 'c' or '.' "
                           "for i in range({}))",
                           quoted(), kNames));
  });
  std::string mine;
  for (int i = 0; i < kNames; ++i) {
    const int fd = open(at(1, std::to_string(i)).c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644);
    mine += fd >= 0 ? '.' : 'c';
    if (fd >= 0) close(fd);
  }
  creates.join();
  EXPECT_EQ(won, mine);
}

TEST_F(BothDoors, TheLargestValueOfAMountIsReadByAClient) {
  Client client(*cluster_);
  const auto write_of = [&](std::size_t size) {
    return write_file(at(1, "f"), std::string(size, 'x'));
  };
  std::size_t fits = 1'000'000;
  std::size_t too_large = 1 << 20;
  ASSERT_EQ(write_of(too_large), EFBIG);
  while (too_large - fits > 1) {
    const std::size_t size = (fits + too_large) / 2;
    (write_of(size) == 0 ? fits : too_large) = size;
  }
  ASSERT_EQ(write_of(fits), 0);
  EXPECT_EQ(client("len(k.get(" + quoted("f") + ")[0])"), std::to_string(fits));
}

TEST_F(BothDoors, SequentialNamesOfBothShareTheCounter) {
  Client client(*cluster_);
  EXPECT_EQ(client("k.create(" + quoted("job-") + ", sequence=True)"), path("job-0000000000"));
  EXPECT_EQ(in(1, "echo x > job-@seq; ls"), "job-0000000000\njob-0000000001\n");
  EXPECT_EQ(client("k.create(" + quoted("job-") + ", sequence=True)"), path("job-0000000002"));
  ASSERT_TRUE(cluster_->sync(2));
  EXPECT_EQ(in(2, "echo x > other-@seq; ls other*"), "other-0000000003\n");
  EXPECT_EQ(client("k.get_children(" + quoted() + ") and k.exists(" + quoted() + ").cversion"),
            "4");
}

TEST_F(BothDoors, AChildUnderAFileTurnsItIntoADirectory) {
  Client client(*cluster_);
  ASSERT_EQ(write_file(at(1, "f"), "data"), 0);
  open_to_all("f");
  const int fd = open(at(1, "f").c_str(), O_RDONLY);
  ASSERT_GE(fd, 0);
  watch(1);
  EXPECT_EQ(client("k.create(" + quoted("f/child") + ", b'c')"), path("f/child"));
  EXPECT_EQ(in(1, "stat -c %F f; cat f/.@data f/child"), "directory\ndatac");
  EXPECT_EQ(await(1, "CREATE,ISDIR f"), "DELETE f\nCREATE,ISDIR f\n");
  std::array<char, 16> buffer{};
  EXPECT_EQ(pread(fd, buffer.data(), buffer.size(), 0), 4);
  close(fd);
  // And stays one.
  EXPECT_EQ(client("k.delete(" + quoted("f/child") + ")"), "True");
  EXPECT_EQ(in(1, "stat -c %F f; ls -A f; rm -r f; ls"), "directory\n.@data\n");
}

TEST_F(BothDoors, ContainersAndTtlNodesOfClientsAreWhatTheyAre) {
  Client client(*cluster_);
  EXPECT_EQ(client("container(" + quoted("pool") + ")"), path("pool"));
  EXPECT_EQ(client("ttl(" + quoted("cache") + ", 300)"), path("cache"));
  EXPECT_EQ(in(1, "stat -c %F pool; getfattr --only-values -n user.zk.type pool cache"),
            "directory\ncontainerttl");
  EXPECT_TRUE(eventually([&] { return !is_there(1, "cache"); }));
}

TEST_F(BothDoors, AChrootedClientHasADirectoryAsItsRoot) {
  ASSERT_EQ(mkdir(at(1, "app").c_str(), 0777), 0);
  ASSERT_EQ(write_file(at(1, "app/f"), "x"), 0);
  Client client(*cluster_, {.chroot = path("app")});
  EXPECT_EQ(client("k.get_children('/')"), "['f']");
  EXPECT_EQ(client("k.create('/g', b'y')"), "/g");
  EXPECT_EQ(read_file(at(1, "app/g")), "y");
  client("k.get('/f', watch=watch)");
  ASSERT_EQ(write_file(at(1, "app/f"), "z"), 0);
  EXPECT_TRUE(client.told("CHANGED /f"));
}

TEST_F(BothDoors, NamesThatMeanSomethingToAMountAreWhatTheyAre) {
  Client client(*cluster_);
  for (const char* file : {"me@eph", "job-@seq", ".@data", "%41", "a b"}) {
    EXPECT_EQ(client("k.create(" + quoted(file) + ", b'1')"), path(file));
  }
  EXPECT_EQ(in(1, "ls -A | LC_ALL=C sort"), "%41\n.%40data\na b\njob-%40seq\nme%40eph\n");
  EXPECT_EQ(in(1, "getfattr --only-values -n user.zk.name me%40eph"), "me@eph");
}

// --- watches of clients ---

TEST_F(BothDoors, OneShotWatchesOfClientsFireOnWhatProgramsDo) {
  Client client(*cluster_);
  Client remote(*cluster_, {.nodes = {2}});
  ASSERT_EQ(remote("k.sync('/')"), "/");
  const auto both = [&](const std::string& expression) {
    client(expression);
    remote(expression);
  };
  const auto fires = [&](const std::string& command, const std::string& event) {
    EXPECT_EQ(in(1, command), "");
    EXPECT_EQ(client.until(event, kLimit), Events{event}) << command;
    EXPECT_EQ(remote.until(event, kLimit), Events{event}) << command;
  };
  both("k.exists(" + quoted("f") + ", watch=watch)");
  fires("echo x > f", "CREATED " + path("f"));
  for (const char* command : {"echo y > f", "echo z >> f", "touch f", "echo t > t; mv t f"}) {
    both("k.get(" + quoted("f") + ", watch=watch)");
    fires(command, "CHANGED " + path("f"));
  }
  both("k.get(" + quoted("f") + ", watch=watch)");
  // Neither changes the data.
  EXPECT_EQ(in(1, "chmod 664 f; cat f > /dev/null"), "");
  fires("rm f", "DELETED " + path("f"));
  for (const char* command : {"mkdir d", "rmdir d", "ln -s x l", "rm l", "echo > g", "mv g h"}) {
    both("k.get_children(" + quoted() + ", watch=watch)");
    fires(command, "CHILD " + path());
  }
}

TEST_F(BothDoors, ARenamedDirectoryIsDeletionsAndCreationsOfItsWholeTree) {
  Client client(*cluster_, {.nodes = {2}});
  EXPECT_EQ(in(1, "mkdir -p old/sub; echo x > old/sub/f"), "");
  client("k.sync('/')");
  for (const char* file : {"old", "old/sub", "old/sub/f", "new", "new/sub", "new/sub/f"}) {
    client("k.exists(" + quoted(file) + ", watch=watch)");
  }
  client("k.get_children(" + quoted() + ", watch=watch)");
  client("k.exists(" + quoted("end") + ", watch=watch)");
  EXPECT_EQ(in(1, "mv old new; echo > end"), "");
  auto events = client.until("CREATED " + path("end"));
  std::sort(events.begin(), events.end());
  EXPECT_EQ(events, (Events{"CHILD " + path(), "CREATED " + path("end"), "CREATED " + path("new"),
                            "CREATED " + path("new/sub"), "CREATED " + path("new/sub/f"),
                            "DELETED " + path("old"), "DELETED " + path("old/sub"),
                            "DELETED " + path("old/sub/f")}));
  EXPECT_EQ(client("k.get(" + quoted("new/sub/f") + ")[0]"), "b'x\\n'");
}

TEST_F(BothDoors, DataWatchAndChildrenWatchFollowAShell) {
  Client client(*cluster_, {.nodes = {2}});
  client("watch_data(" + quoted("f") + ")");
  client("watch_children(" + quoted() + ")");
  EXPECT_TRUE(client.told("children " + path() + " []"));
  EXPECT_EQ(in(1, "echo 1 > f"), "");
  EXPECT_TRUE(client.told("children " + path() + " ['f']"));
  EXPECT_EQ(in(1, "echo 2 > f"), "");
  EXPECT_TRUE(client.told("data " + path("f") + " b'2\\n' 1"));
  EXPECT_EQ(in(1, "echo 3 > t"), "");
  EXPECT_TRUE(client.told("children " + path() + " ['f', 't']"));
  EXPECT_EQ(in(1, "mv t f"), "");
  EXPECT_TRUE(client.told("data " + path("f") + " b'3\\n' 2"));
  EXPECT_EQ(in(1, "rm f; mkdir d"), "");
  EXPECT_TRUE(client.told("children " + path() + " ['d']"));
}

// --- events of the mount ---

TEST_F(BothDoors, InotifySeesWhatAClientDoesOnceOnItsNodeAndOnceElsewhere) {
  EXPECT_EQ(in(1, "echo 0 > f"), "");
  ASSERT_TRUE(cluster_->sync(2));
  watch(1);
  watch(2);
  Client client(*cluster_);
  // Each once the one before was seen: changes of one file may merge.
  std::string expected;
  const auto does = [&](const std::string& expression, const std::string& events) {
    ASSERT_NE(client(expression).substr(0, 1), "!") << expression;
    expected += events + "\n";
    const auto last = events.substr(events.rfind('\n') + 1);
    ASSERT_EQ(await(1, last), expected) << expression;
    ASSERT_EQ(await(2, last), expected) << expression;
  };
  does("k.set(" + quoted("f") + ", b'1')", "MODIFY f");
  does("k.create(" + quoted("empty") + ")", "CREATE empty");
  does("k.create(" + quoted("g") + ", b'1')", "CREATE g\nMODIFY g");
  does("k.delete(" + quoted("g") + ")", "DELETE g");
  does("k.create(" + quoted("e") + ", ephemeral=True)", "CREATE e");
  does("k.stop()", "DELETE e");
}

TEST_F(BothDoors, AServiceReloadsItsConfigurationForEachSetOfAClient) {
  Client client(*cluster_, {.nodes = {2}});
  const auto log = cluster_->directory(1) + "/reloads";
  EXPECT_EQ(in(1, "echo -n one > conf"), "");
  tool_ =
      Process::start({"unshare", "--pid", "--fork", "--kill-child", ZKFS_RECIPES "/config-watch",
                      at(1, "conf"), "sh", "-c", "cat \"$CONFIG\"; echo"},
                     log);
  EXPECT_TRUE(eventually([&] { return read_file(log) == "one\n"; })) << read_file(log);
  client("k.sync('/')");
  client("k.set(" + quoted("conf") + ", b'two')");
  ASSERT_TRUE(eventually([&] { return read_file(log) == "one\ntwo\n"; })) << read_file(log);
  client("k.set(" + quoted("conf") + ", b'three')");
  EXPECT_TRUE(eventually([&] { return read_file(log) == "one\ntwo\nthree\n"; })) << read_file(log);
}

// --- ephemerals ---

TEST_F(BothDoors, AnEphemeralOfAClosedClientIsGoneAtOnce) {
  Client client(*cluster_);
  client("k.create(" + quoted("e") + ", b'x', ephemeral=True)");
  EXPECT_EQ(in(1, "cat e; getfattr --only-values -n user.zk.type e"), "xephemeral");
  EXPECT_EQ(in(1, "getfattr --only-values -n user.zk.ephemeralOwner e"),
            client("hex(k.client_id[0])"));
  EXPECT_NE(in(1, "echo > e/x").find("Not a directory"), std::string::npos);
  client("k.stop()");
  EXPECT_FALSE(is_there(1, "e"));
  ASSERT_TRUE(cluster_->sync(2));
  EXPECT_FALSE(is_there(2, "e"));
}

TEST_F(BothDoors, AnEphemeralOfAKilledClientIsGoneAfterItsTimeout) {
  Client client(*cluster_, {.timeout = Seconds(1)});
  client("k.create(" + quoted("e") + ", ephemeral=True)");
  ASSERT_TRUE(cluster_->sync(2));
  // For longer than the timeout it is kept by pings.
  EXPECT_FALSE(eventually([&] { return !is_there(2, "e"); }, Millis(2'500)));
  client.kill();
  EXPECT_TRUE(is_there(2, "e"));
  EXPECT_TRUE(eventually([&] { return !is_there(2, "e"); }, Seconds(6)));
  EXPECT_EQ(in(2, "ls"), "");
}

TEST_F(BothDoors, ClientsSeeTheEphemeralsOfProcessesComeAndGo) {
  Client client(*cluster_, {.nodes = {2}});
  auto owner = Process::start({"sleep", "1000"}, "/dev/null");
  client("k.exists(" + quoted("its") + ", watch=watch)");
  ASSERT_EQ(write_file(at(1, fmt::format("its@eph={}", owner.pid())), "x"), 0);
  EXPECT_TRUE(client.told("CREATED " + path("its")));
  open_to_all("its");
  EXPECT_EQ(client("k.exists(" + quoted("its") + ", watch=watch).ephemeralOwner != 0"), "True");
  EXPECT_EQ(client("k.create(" + quoted("its/child") + ")"), "! NoChildrenForEphemeralsError");
  owner.signal(SIGKILL);
  EXPECT_TRUE(client.told("DELETED " + path("its")));
}

// --- permissions ---

TEST_F(BothDoors, WhatAClientKeepsToItsDigestNoUserReads) {
  Client owner(*cluster_, {.digest = "bob:secret"});
  Client other(*cluster_);
  ASSERT_EQ(owner("k.create(" + quoted("f") +
                  ", b'x', acl=[make_digest_acl('bob', 'secret', all=True)])"),
            path("f"));
  EXPECT_EQ(other("k.get(" + quoted("f") + ")"), "! NoAuthError");
  EXPECT_NE(in(1, "cat f", true).find("Permission denied"), std::string::npos);
  EXPECT_NE(in(1, "echo y > f", true).find("Permission denied"), std::string::npos);
  // Root on a member may do everything.
  EXPECT_EQ(in(1, "cat f; stat -c %a f"), "x600\n");
  EXPECT_NE(in(1, "getfattr --only-values -n user.zk.acl f").find("digest:bob:"),
            std::string::npos);
}

TEST_F(BothDoors, WhatChmodAllowsClientsSeeAndAreHeldTo) {
  Client client(*cluster_);
  EXPECT_EQ(in(1, "umask 022; echo x > f; chown 1000:1001 f; chmod 640 f"), "");
  for (const char* expression : {"k.get({})", "k.set({}, b'y')", "acls({})"}) {
    EXPECT_EQ(client(fmt::format(fmt::runtime(expression), quoted("f"))), "! NoAuthError");
  }
  EXPECT_EQ(in(1, "cat f", true), "x\n");
  EXPECT_EQ(in(1, "chmod 644 f"), "");
  EXPECT_EQ(client("acls(" + quoted("f") + ")"), "user:1000:rwcda,group:1001:r,world:anyone:r");
  EXPECT_EQ(client("k.get(" + quoted("f") + ")[0]"), "b'x\\n'");
  EXPECT_EQ(client("k.set(" + quoted("f") + ", b'y')"), "! NoAuthError");
  EXPECT_EQ(client("set_acls(" + quoted("f") + ", 'world:anyone:rwcda')"), "! NoAuthError");
}

TEST_F(BothDoors, EntriesOfUsersAndGroupsAreSettableByClients) {
  Client client(*cluster_);
  client("k.create(" + quoted("f") + ", b'x')");
  EXPECT_EQ(in(1, "echo y > f; cat f", true), "y\n");
  EXPECT_EQ(client("set_acls(" + quoted("f") + ", 'user:1000:r,group:7:rw,world:anyone:a')"), "1");
  EXPECT_EQ(in(1, "stat -c \"%u %g %a\" f"), "1000 7 460\n");
  EXPECT_EQ(in(1, "cat f", true), "y\n");
  EXPECT_NE(in(1, "echo z > f", true).find("Permission denied"), std::string::npos);
  EXPECT_EQ(client("set_acls(" + quoted("f") + ", 'user:1001:r,world:anyone:a')"), "2");
  EXPECT_NE(in(1, "cat f", true).find("Permission denied"), std::string::npos);
}

// --- locks ---

// Two kinds of lock: zkfs.7 tells that they do not know of each other.
TEST_F(BothDoors, FlockAndKazoosLockDoNotExcludeEachOther) {
  Client client(*cluster_, {.nodes = {2}});
  ASSERT_EQ(write_file(at(1, "job"), ""), 0);
  open_to_all("job");
  client("k.sync('/')");
  const int fd = open(at(1, "job").c_str(), O_RDONLY);
  ASSERT_EQ(flock(fd, LOCK_EX), 0);
  EXPECT_EQ(client("k.Lock(" + quoted("job") + ").acquire(timeout=5)"), "True");
  // Its children have made the file a directory; the lock is held on.
  ASSERT_TRUE(cluster_->sync(1));
  EXPECT_EQ(in(1, "stat -c %F job"), "directory\n");
  EXPECT_NE(read_file(cluster_->mnt(2, ".zkfs/locks/" + name_ + "/job")), "");
  EXPECT_EQ(flock(fd, LOCK_UN), 0);
  close(fd);
  EXPECT_EQ(in(1, "flock -n job true; echo $?"), "0\n");
}

// --- quotas ---

TEST_F(BothDoors, AQuotaSetByAClientIsEdquotToAShellAndItsCountsAFile) {
  Cluster cluster({.nodes = 1, .settings = {"enforceQuota=true"}, .client_ports = true});
  Client client(cluster);
  const auto sh = [&](const std::string& command) {
    return run("umask 0; cd " + cluster.mnt(1) + " && " + command).output;
  };
  EXPECT_EQ(sh("mkdir app"), "");
  client("k.ensure_path('/zookeeper/quota/app')");
  client("k.create('/zookeeper/quota/app/zookeeper_limits', b'count=3,bytes=-1;byteHardLimit=11')");
  client("k.create('/zookeeper/quota/app/zookeeper_stats', b'count=0,bytes=0')");
  EXPECT_EQ(sh("echo 123456 > app/f"), "");
  EXPECT_EQ(sh("cat zookeeper/quota/app/zookeeper_stats"), "count=2,bytes=7");
  // A shell sees what a write says, not what a close does.
  for (const char* command : {"echo 123456 > app/g", "echo 123456 > app/f; echo 1234 >> app/f",
                              "echo 123456 > o; mv o app/g", "echo 12345678901 1<> app/f"}) {
    const auto refused = sh(command);
    EXPECT_NE(refused.find("Disk quota exceeded"), std::string::npos) << command << refused;
  }
  EXPECT_EQ(sh("cat app/f; cat zookeeper/quota/app/zookeeper_stats"), "123456\ncount=2,bytes=7");
  EXPECT_EQ(sh("echo 12 > app/g; echo 1 > app/g; echo 12345678 > app/f; ls app"), "f\ng\n");
  EXPECT_EQ(client("k.get('/zookeeper/quota/app/zookeeper_stats')[0]"), "b'count=3,bytes=11'");
}

}  // namespace
}  // namespace zkfs::testing
