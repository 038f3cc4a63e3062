// SPDX-License-Identifier: Apache-2.0
// Rules of the contract that take more than one node to see.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "tests/system/cluster.h"

namespace zkfs::testing {
namespace {

// One ensemble for all tests of this file: each works in a directory of its own.
class Contract : public ::testing::Test {
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
    directory_ = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    ASSERT_EQ(mkdir(at(1).c_str(), 0755), 0);
    sync_all();
  }

  // A path in this test's directory, on a node.
  std::string at(int node, const std::string& name = "") {
    return cluster_->mnt(node, directory_ + (name.empty() ? "" : "/" + name));
  }

  void sync_all() {
    for (int i = 1; i <= 3; ++i) ASSERT_TRUE(cluster_->sync(i));
  }

  static std::string xattr(const std::string& path, const std::string& name) {
    return run("getfattr --only-values -n user.zk." + name + " " + path + " 2>/dev/null").output;
  }

  static Cluster* cluster_;
  std::string directory_;
};

Cluster* Contract::cluster_ = nullptr;

TEST_F(Contract, OneVersionForARedirectionOfSeveralCommands) {
  ASSERT_EQ(write_file(at(1, "f"), "0"), 0);
  for (const char* shell : {"bash", "dash"}) {
    const auto before = std::stoi(xattr(at(1, "f"), "dataVersion"));
    run(std::string(shell) + " -c '{ echo a; date; echo b; } > " + at(1, "f") + "'");
    EXPECT_EQ(std::stoi(xattr(at(1, "f"), "dataVersion")), before + 1) << shell;
  }
}

TEST_F(Contract, ExactlyOneExclusiveCreatorWins) {
  std::vector<std::thread> threads;
  std::array<int, 9> results{};
  for (std::size_t i = 0; i < results.size(); ++i) {
    threads.emplace_back([&, i] {
      const int fd =
          open(at(static_cast<int>(i % 3) + 1, "lock").c_str(), O_CREAT | O_EXCL | O_WRONLY, 0644);
      results.at(i) = fd < 0 ? errno : 0;
      if (fd >= 0) close(fd);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(std::count(results.begin(), results.end(), 0), 1);
  EXPECT_EQ(std::count(results.begin(), results.end(), EEXIST), 8);
}

TEST_F(Contract, AppendsFromAllNodesLoseNothingAndTearNoLine) {
  ASSERT_EQ(write_file(at(1, "f"), ""), 0);
  sync_all();
  std::vector<std::thread> threads;
  for (int node = 1; node <= 3; ++node) {
    threads.emplace_back([&, node] {
      for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(append_file(at(node, "f"), std::to_string(node) + "-" + std::to_string(i) + "\n"),
                  0);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  sync_all();
  EXPECT_EQ(run("sort -u " + at(2, "f") + " | wc -l").output, "300\n");
  EXPECT_EQ(run("grep -cvE '^[123]-[0-9]+$' " + at(2, "f")).output, "0\n");
}

TEST_F(Contract, CompareAndSetThroughReadWriteFailsWithEstale) {
  ASSERT_EQ(write_file(at(1, "f"), "one"), 0);
  sync_all();
  const int fd = open(at(2, "f").c_str(), O_RDWR);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(write_file(at(3, "f"), "two"), 0);
  EXPECT_EQ(pwrite(fd, "xxx", 3, 0), -1);
  EXPECT_EQ(errno, ESTALE);
  close(fd);
  sync_all();
  EXPECT_EQ(read_file(at(1, "f")), "two");
}

TEST_F(Contract, SequentialNamesFromAllNodesAreUnique) {
  std::vector<std::thread> threads;
  for (int node = 1; node <= 3; ++node) {
    threads.emplace_back([&, node] {
      for (int i = 0; i < 30; ++i) EXPECT_EQ(write_file(at(node, "job-@seq"), "x"), 0);
    });
  }
  for (auto& thread : threads) thread.join();
  sync_all();
  EXPECT_EQ(run("ls " + at(1) + " | grep -cE '^job-[0-9]{10}$'").output, "90\n");
}

TEST_F(Contract, TheDescriptorTellsTheNameOfASequentialFile) {
  // The xattr commits the file and tells at once; the link in /proc follows when the kernel's entry
  // has been renamed, which no call can await.
  const auto result =
      run("exec 3> " + at(1, "job-@seq") +
          "; getfattr --only-values -n user.zk.name /proc/self/fd/3 2>/dev/null; echo; "
          "until n=$(readlink /proc/$$/fd/3) && [ ${n%@seq} = $n ]; do :; done; basename $n");
  EXPECT_EQ(result.output, "job-0000000000\njob-0000000000\n");
}

TEST_F(Contract, InodeNumbersAreTheSameEverywhereAndKeptByRename) {
  ASSERT_EQ(write_file(at(1, "f"), "x"), 0);
  sync_all();

  struct stat on_one {};

  struct stat on_two {};

  struct stat renamed {};

  ASSERT_EQ(stat(at(1, "f").c_str(), &on_one), 0);
  ASSERT_EQ(stat(at(2, "f").c_str(), &on_two), 0);
  EXPECT_EQ(on_one.st_ino, on_two.st_ino);
  ASSERT_EQ(rename(at(2, "f").c_str(), at(2, "g").c_str()), 0);
  ASSERT_EQ(stat(at(2, "g").c_str(), &renamed), 0);
  EXPECT_EQ(renamed.st_ino, on_one.st_ino);
}

TEST_F(Contract, RenameMovesASubtreeInOneTransaction) {
  run("mkdir -p " + at(1, "a/b/c") + " && echo deep > " + at(1, "a/b/c/f"));
  ASSERT_EQ(rename(at(1, "a").c_str(), at(1, "z").c_str()), 0);
  sync_all();
  EXPECT_EQ(read_file(at(3, "z/b/c/f")), "deep\n");
  EXPECT_NE(access(at(3, "a").c_str(), F_OK), 0);
}

TEST_F(Contract, AReaderKeepsTheValueItOpened) {
  ASSERT_EQ(write_file(at(1, "f"), std::string(100'000, 'a')), 0);
  sync_all();
  const int fd = open(at(2, "f").c_str(), O_RDONLY);
  ASSERT_GE(fd, 0);
  std::string text(200'000, '\0');
  ASSERT_EQ(read(fd, text.data(), 10), 10);
  ASSERT_EQ(write_file(at(1, "f"), std::string(150'000, 'b')), 0);
  sync_all();
  ssize_t total = 10;
  for (ssize_t n = 0; (n = read(fd, text.data() + total, 65536)) > 0;) total += n;
  close(fd);
  EXPECT_EQ(total, 100'000);
  EXPECT_EQ(text.substr(0, 100'000), std::string(100'000, 'a'));
  EXPECT_EQ(read_file(at(2, "f")), std::string(150'000, 'b'));
}

TEST_F(Contract, ALinkRenamedOverAnOpenFileIsAnotherFile) {
  ASSERT_EQ(write_file(at(1, "f"), "value"), 0);
  sync_all();
  const int reader = open(at(2, "f").c_str(), O_RDONLY);
  const int writer = open(at(2, "f").c_str(), O_WRONLY | O_APPEND);
  ASSERT_GE(reader, 0);
  ASSERT_GE(writer, 0);
  ASSERT_EQ(run("cd " + at(1) + " && ln -s target l && mv -T l f").status, 0);
  sync_all();

  struct stat status {};

  EXPECT_EQ(fstat(reader, &status), 0) << strerror(errno);
  EXPECT_TRUE(S_ISREG(status.st_mode));
  EXPECT_EQ(status.st_nlink, 0U);
  std::array<char, 10> text{};
  EXPECT_EQ(read(reader, text.data(), text.size()), 5) << strerror(errno);
  close(reader);
  EXPECT_EQ(write(writer, "more", 4), 4);
  EXPECT_EQ(fsync(writer), -1);
  EXPECT_EQ(errno, ESTALE);
  close(writer);
  EXPECT_EQ(std::filesystem::read_symlink(at(2, "f")), "target");
}

TEST_F(Contract, NoReaderEverSeesAnEmptyOrMixedValue) {
  const std::string a(70'000, 'a');
  const std::string b(90'000, 'b');
  ASSERT_EQ(write_file(at(1, "f"), a), 0);
  sync_all();
  bool done = false;
  std::thread writer([&] {
    for (int i = 0; i < 150; ++i) EXPECT_EQ(write_file(at(1, "f"), i % 2 == 0 ? b : a), 0);
    done = true;
  });
  int torn = 0;
  int reads = 0;
  while (!done) {
    const auto text = read_file(at(reads % 3 + 1, "f"));
    if (text != a && text != b) ++torn;
    ++reads;
  }
  writer.join();
  EXPECT_EQ(torn, 0) << "of " << reads;
  EXPECT_GT(reads, 10);
}

TEST_F(Contract, TheDataOfADirectoryIsAnEntryOfIt) {
  ASSERT_EQ(write_file(at(1, ".@data"), "inner"), 0);
  sync_all();
  EXPECT_EQ(read_file(at(2, ".@data")), "inner");
  EXPECT_EQ(run("ls -A " + at(2)).output, ".@data\n");
  EXPECT_EQ(run("ls " + at(2)).output, "");
  EXPECT_EQ(run("rmdir " + at(2)).status, 1);
  EXPECT_EQ(run("rm -r " + at(2)).status, 0);
}

TEST_F(Contract, SedAndEditorsReplaceAValueAtomically) {
  ASSERT_EQ(write_file(at(1, "conf"), "port=1\n"), 0);
  sync_all();
  EXPECT_EQ(run("sed -i s/1/2/ " + at(2, "conf")).status, 0);
  sync_all();
  EXPECT_EQ(read_file(at(3, "conf")), "port=2\n");
  EXPECT_EQ(run("ls -A " + at(1)).output, "conf\n");
}

TEST_F(Contract, TouchIsANewVersionAndExplicitTimesAreNot) {
  ASSERT_EQ(write_file(at(1, "f"), "x"), 0);
  const auto before = std::stoi(xattr(at(1, "f"), "dataVersion"));
  run("touch " + at(1, "f"));
  EXPECT_EQ(std::stoi(xattr(at(1, "f"), "dataVersion")), before + 1);
  run("touch -d 2020-01-02T03:04:05Z " + at(1, "f"));
  EXPECT_EQ(std::stoi(xattr(at(1, "f"), "dataVersion")), before + 1);
  sync_all();
  EXPECT_EQ(run("stat -c %Y " + at(2, "f")).output, "1577934245\n");
}

TEST_F(Contract, AStatBlockAsXattrsIsTheSameOnEveryNode) {
  ASSERT_EQ(write_file(at(1, "f"), "four"), 0);
  sync_all();
  for (const char* name :
       {"cZxid", "mZxid", "pZxid", "ctime", "mtime", "dataVersion", "cversion", "aclVersion",
        "ephemeralOwner", "dataLength", "numChildren", "type", "acl", "path", "stat"}) {
    const auto value = xattr(at(1, "f"), name);
    EXPECT_FALSE(value.empty()) << name;
    EXPECT_EQ(value, xattr(at(3, "f"), name)) << name;
  }
}

TEST_F(Contract, TooLargeAValueIsRefusedAndStoresNothing) {
  ASSERT_EQ(write_file(at(1, "f"), "small"), 0);
  EXPECT_EQ(write_file(at(1, "f"), std::string(2'000'000, 'x')), EFBIG);
  EXPECT_EQ(read_file(at(1, "f")), "small");
}

TEST_F(Contract, AfterASyncEverythingCommittedElsewhereIsShown) {
  ASSERT_EQ(write_file(at(1, "f"), "0"), 0);
  sync_all();
  for (int i = 1; i <= 30; ++i) {
    ASSERT_EQ(write_file(at(1, "f"), std::to_string(i)), 0);
    ASSERT_EQ(write_file(at(1, "new" + std::to_string(i)), "x"), 0);
    const int fd = open(at(2, "f").c_str(), O_RDONLY);  // any descriptor: a reader's ...
    ASSERT_EQ(fsync(fd), 0);
    close(fd);
    EXPECT_EQ(read_file(at(2, "f")), std::to_string(i));
    const int directory = open(at(3).c_str(), O_RDONLY | O_DIRECTORY);  // ... or a directory's
    ASSERT_EQ(fsync(directory), 0);
    close(directory);
    EXPECT_EQ(access(at(3, "new" + std::to_string(i)).c_str(), F_OK), 0) << i;
  }
}

TEST_F(Contract, AnEphemeralOfAProcessIsSeenEverywhereAndGoesEverywhere) {
  const std::string log = cluster_->directory(1) + "/owner";
  auto owner = Process::start({"sleep", "1000"}, log);
  const auto pid = std::to_string(owner.pid());
  ASSERT_EQ(run("echo x > " + at(1, "me@eph=" + pid)).status, 0);
  sync_all();
  EXPECT_EQ(read_file(at(2, "me")), "x\n");
  EXPECT_NE(xattr(at(3, "me"), "owner").find("node 1 pid " + pid), std::string::npos);
  EXPECT_NE(run("echo y > " + at(2, "me@eph") + " 2>&1").output.find("File exists"),
            std::string::npos);
  owner.signal(SIGKILL);
  EXPECT_TRUE(eventually([&] { return access(at(3, "me").c_str(), F_OK) != 0; }));
}

// Its marker's name is seen where it was made, and only there.
TEST_F(Contract, WatchersElsewhereSeeASequentialFileByItsRealNameOnly) {
  const std::string logs = cluster_->directory(1) + "/watch";
  std::vector<Process> watchers;
  for (int node = 1; node <= 2; ++node) {
    const std::string log = logs + std::to_string(node);
    watchers.push_back(Process::start({"inotifywait", "-m", "--format", "%e %f", at(node)}, log));
    ASSERT_TRUE(eventually(
        [&] { return read_file(log).find("Watches established") != std::string::npos; }));
  }
  run("echo x > " + at(1, "job-@seq"));
  const auto seen = [&](int node, const std::string& event) {
    return read_file(logs + std::to_string(node)).find(event) != std::string::npos;
  };
  EXPECT_TRUE(eventually([&] { return seen(1, "MOVED_TO job-0000000000\n"); }));
  EXPECT_TRUE(eventually([&] { return seen(2, "CLOSE_WRITE,CLOSE job-0000000000\n"); }));
  EXPECT_TRUE(seen(2, "CREATE job-0000000000\n"));
  EXPECT_FALSE(seen(2, "@seq"));
}

TEST_F(Contract, FanotifySeesChangesMadeElsewhere) {
  const auto result =
      run("python3 - " + at(2) + " " + at(1) +
          " <<'P'\n"
          "import ctypes, os, struct, subprocess, sys, time\n"
          "libc = ctypes.CDLL(None, use_errno=True)\n"
          "fd = libc.fanotify_init(0xc02, os.O_RDONLY)  # FAN_REPORT_DFID_NAME, non-blocking\n"
          "CREATE, DELETE, CLOSE_WRITE = 0x100, 0x200, 8\n"
          "mask = ctypes.c_uint64(CREATE | DELETE | CLOSE_WRITE | 0x08000000)\n"
          "assert libc.fanotify_mark(fd, 1, mask, -100, sys.argv[1].encode()) == 0\n"
          "def await_event(wanted):\n"
          "    end = time.monotonic() + 20\n"
          "    while time.monotonic() < end:\n"
          "        try: data = os.read(fd, 4096)\n"
          "        except BlockingIOError: time.sleep(0.01); continue\n"
          "        while data:\n"
          "            size, mask = struct.unpack_from('IxxxxQ', data)\n"
          "            if mask & wanted: return\n"
          "            data = data[size:]\n"
          "    raise SystemExit('no event %x' % wanted)\n"
          "subprocess.check_call(['sh', '-c', 'echo x > \"$0/f\"', sys.argv[2]])\n"
          "await_event(CLOSE_WRITE)\n"
          "os.unlink(sys.argv[2] + '/f'); await_event(DELETE)\n"
          "P");
  EXPECT_EQ(result.status, 0) << result.output;
}

TEST_F(Contract, TailFollowsWhatIsAppendedElsewhere) {
  ASSERT_EQ(write_file(at(1, "log"), "first\n"), 0);
  sync_all();
  const std::string log = cluster_->directory(1) + "/tail";
  const auto tail = Process::start({"tail", "-s", "0.05", "-F", at(2, "log")}, log);
  ASSERT_TRUE(eventually([&] { return read_file(log) == "first\n"; }));
  ASSERT_EQ(append_file(at(1, "log"), "second\n"), 0);
  EXPECT_TRUE(eventually([&] { return read_file(log) == "first\nsecond\n"; })) << read_file(log);
}

TEST_F(Contract, ATtlNodeGoesEverywhereOnceItIsUnchangedForItsTime) {
  ASSERT_EQ(write_file(at(1, "kept@ttl=1h"), "x"), 0);
  const auto begun = std::chrono::steady_clock::now();
  ASSERT_EQ(write_file(at(1, "cache@ttl=2s"), "x"), 0);
  const auto gone = [&](int node) { return access(at(node, "cache").c_str(), F_OK) != 0; };
  EXPECT_TRUE(eventually([&] { return gone(1) && gone(2) && gone(3); }));
  EXPECT_GE(std::chrono::steady_clock::now() - begun, Millis(1990));
  EXPECT_EQ(access(at(2, "kept").c_str(), F_OK), 0);
}

TEST_F(Contract, AContainerGoesAfterItsLastChild) {
  ASSERT_EQ(mkdir(at(1, "pool@container").c_str(), 0755), 0);
  ASSERT_EQ(mkdir(at(1, "unused@container").c_str(), 0755), 0);
  ASSERT_EQ(write_file(at(1, "pool/child"), ""), 0);
  ASSERT_TRUE(cluster_->sync(2));
  ASSERT_EQ(unlink(at(2, "pool/child").c_str()), 0);
  EXPECT_TRUE(eventually([&] { return access(at(3, "pool").c_str(), F_OK) != 0; }, Seconds(40)));
  EXPECT_EQ(access(at(3, "unused").c_str(), F_OK), 0) << "it never had a child";
}

TEST_F(Contract, TarCarriesATreeOutAndBackIn) {
  run("mkdir -p " + at(1, "t/d") + "; echo 1 > " + at(1, "t/one") + "; echo data > " +
      at(1, "t/d/.@data") + "; ln -s one " + at(1, "t/link"));
  const auto result =
      run("tar -C " + at(1) + " -cf - t | (mkdir " + at(1, "back") + " && tar -C " + at(1, "back") +
          " -xf -) && diff -r --no-dereference " + at(1, "t") + " " + at(1, "back/t"));
  EXPECT_EQ(result.status, 0) << result.output;
}

}  // namespace
}  // namespace zkfs::testing
