// SPDX-License-Identifier: Apache-2.0
// Contract section 10: the helpers of the program over a real mount. What they print and how they
// exit.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include <gtest/gtest.h>

#include "tests/system/cluster.h"

namespace zkfs::testing {
namespace {

// `zkfs WORDS`, by a shell.
std::string zkfs(const std::string& words) {
  return std::string(ZKFS_PROGRAM) + " " + words;
}

std::string xattr(const std::string& path, const std::string& name) {
  return run("getfattr --only-values -n user.zk." + name + " " + path + " 2>/dev/null").output;
}

// One line that begins as all of ours do and names the thing.
void expect_complaint(const CommandResult& result, int status, const std::string& thing) {
  EXPECT_EQ(result.status, status) << result.output;
  EXPECT_TRUE(result.output.starts_with("zkfs: " + thing + ": ")) << result.output;
  EXPECT_EQ(std::count(result.output.begin(), result.output.end(), '\n'), 1) << result.output;
}

// One server for all tests here; each works in a directory of its own.
class Commands : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (fuse_available()) cluster_ = new Cluster({.nodes = 1});
  }

  static void TearDownTestSuite() {
    delete cluster_;
    cluster_ = nullptr;
  }

  void SetUp() override {
    ZKFS_NEEDS_FUSE();
    directory_ = cluster_->mnt(1, ::testing::UnitTest::GetInstance()->current_test_info()->name());
    ASSERT_EQ(mkdir(directory_.c_str(), 0755), 0);
  }

  // A path in this test's directory.
  [[nodiscard]] std::string at(const std::string& name = "") const {
    return name.empty() ? directory_ : directory_ + "/" + name;
  }

  // A process that runs `zkfs WORDS`, known to watch the path.
  Process waiting(const std::string& words, const std::string& log) {
    Process process = Process::start({"/bin/bash", "-c", "exec " + zkfs(words)}, log);
    const std::string pid = std::to_string(process.pid());
    // With a timeout the waiting is a child's.
    EXPECT_TRUE(eventually([&] {
      return run("for p in " + pid + " $(cat /proc/" + pid + "/task/" + pid +
                 "/children); do grep -q ^inotify /proc/$p/fdinfo/* && exit 0; done; exit 1")
                 .status == 0;
    }));
    return process;
  }

  static Cluster* cluster_;
  std::string directory_;
};

Cluster* Commands::cluster_ = nullptr;

// --- create ---

TEST_F(Commands, CreatePrintsThePathAndStoresTheValueVerbatim) {
  const auto result = run(zkfs("create " + at("a") + " 'a value'"));
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.output, at("a") + "\n");
  EXPECT_EQ(read_file(at("a")), "a value");
}

TEST_F(Commands, CreateAndItsValueAreOneTransaction) {
  for (const char* options : {"", "-s ", "-e ", "--ttl 1h ", "-s -e "}) {
    const auto made = run(zkfs("create " + std::string(options) + at("f") + " value"));
    ASSERT_EQ(made.status, 0) << made.output;
    const std::string path = made.output.substr(0, made.output.size() - 1);
    EXPECT_EQ(xattr(path, "dataVersion"), "0") << options;
    EXPECT_EQ(xattr(path, "cZxid"), xattr(path, "mZxid")) << options;
    EXPECT_EQ(read_file(path), "value") << options;
    ASSERT_EQ(run(zkfs("rm " + path)).status, 0);
  }
}

TEST_F(Commands, CreateTakesTheLargestValueInOneTransaction) {
  const auto made = run("head -c 1044479 /dev/zero | " + zkfs("create " + at("f") + " -"));
  ASSERT_EQ(made.status, 0) << made.output;
  EXPECT_EQ(xattr(at("f"), "dataVersion"), "0");
  EXPECT_EQ(xattr(at("f"), "dataLength"), "1044479");
  expect_complaint(run("head -c 1044480 /dev/zero | " + zkfs("create " + at("g") + " -")), 1,
                   "standard input");
  EXPECT_NE(access(at("g").c_str(), F_OK), 0);
}

TEST_F(Commands, CreateWithoutDataIsEmptyAndReadsNoInput) {
  EXPECT_EQ(run("echo unread | { " + zkfs("create " + at("f")) + "; cat; }").output,
            at("f") + "\nunread\n");
  EXPECT_EQ(xattr(at("f"), "dataLength"), "0");
  EXPECT_EQ(xattr(at("f"), "dataVersion"), "0");
}

TEST_F(Commands, CreateOfWhatExistsIsOneAndChangesNothing) {
  ASSERT_EQ(run(zkfs("create " + at("f") + " first")).status, 0);
  expect_complaint(run(zkfs("create " + at("f") + " second")), 1, at("f"));
  expect_complaint(run(zkfs("create " + at("f"))), 1, at("f"));
  expect_complaint(run(zkfs("create -d " + at("f"))), 1, at("f"));
  ASSERT_EQ(symlink("f", at("l").c_str()), 0);
  expect_complaint(run(zkfs("create " + at("l") + " x")), 1, at("l"));
  EXPECT_EQ(read_file(at("f")), "first");
  EXPECT_EQ(xattr(at("f"), "dataVersion"), "0");
}

TEST_F(Commands, OneOfManyCreatorsWins) {
  const auto result = run("for i in $(seq 12); do " + zkfs("create " + at("f") + " $i") +
                          " & done 2>/dev/null | grep -c .; wait");
  EXPECT_EQ(result.output, "1\n");
  EXPECT_EQ(xattr(at("f"), "dataVersion"), "0");
}

TEST_F(Commands, SequentialNamesOfEveryKindAreTold) {
  for (const char* options : {"-s", "-s -d", "-s -l target", "-s --container", "-s -e"}) {
    const auto made = run(zkfs("create " + std::string(options) + " " + at("n-")));
    ASSERT_EQ(made.status, 0) << options << made.output;
    EXPECT_TRUE(made.output.starts_with(at("n-0000000"))) << made.output;
    const std::string path = made.output.substr(0, made.output.size() - 1);
    EXPECT_EQ(run("test -e " + path + " || test -L " + path).status, 0) << path;
  }
  EXPECT_EQ(run("ls -A " + at() + " | grep -cvE '^n-[0-9]{10}$'").output, "0\n");
}

TEST_F(Commands, ASequentialNameMayBeTheNumberAlone) {
  EXPECT_EQ(run(zkfs("create -s " + at() + "/ v")).output, at("0000000000") + "\n");
}

TEST_F(Commands, CreateMakesTheDirectoriesAboveIfAsked) {
  expect_complaint(run(zkfs("create " + at("x/y/z") + " v")), 1, at("x/y"));
  EXPECT_EQ(run(zkfs("create -p " + at("x/y/z") + " v")).status, 0);
  EXPECT_EQ(run(zkfs("create -p " + at("x/y/w") + " v")).status, 0);
  EXPECT_EQ(read_file(at("x/y/z")), "v");
}

TEST_F(Commands, CreateGivesTypesKindsAndMode) {
  run(zkfs("create --container " + at("c")) + "; " + zkfs("create --ttl 1h " + at("t")) + "; " +
      zkfs("create -l dest " + at("l")) + "; " + zkfs("create --mode 600 " + at("m")) + "; " +
      zkfs("create -e " + at("e")));
  EXPECT_EQ(xattr(at("c"), "type"), "container");
  EXPECT_EQ(xattr(at("t"), "ttl"), "3600000");
  EXPECT_EQ(run("readlink " + at("l")).output, "dest\n");
  EXPECT_EQ(run("stat -c %a " + at("m")).output, "600\n");
  EXPECT_EQ(xattr(at("e"), "type"), "ephemeral");
}

TEST_F(Commands, AnEphemeralOfAProcessGoesWithIt) {
  auto owner = Process::start(
      {"/bin/bash", "-c", zkfs("create -e$$ " + at("e") + " v") + "; exec sleep 1000"},
      "/dev/null");
  ASSERT_TRUE(eventually([&] { return read_file(at("e")) == "v"; }));
  EXPECT_EQ(xattr(at("e"), "type"), "ephemeral");
  EXPECT_EQ(xattr(at("e"), "dataVersion"), "0");
  owner.signal(SIGKILL);
  EXPECT_EQ(run(zkfs("wait --gone --timeout 10 " + at("e"))).status, 0);
}

TEST_F(Commands, NothingIsMadeElsewhere) {
  const std::string foreign = cluster_->directory(1) + "/job-";
  expect_complaint(run(zkfs("create -s " + foreign)), 1, cluster_->directory(1));
  expect_complaint(run(zkfs("lock " + foreign + " -- true")), 1, foreign);
  EXPECT_EQ(run("ls " + cluster_->directory(1)).output.find("job-"), std::string::npos);
}

// --- get, set ---

TEST_F(Commands, GetIsVerbatimAndTakesADirectorysValue) {
  ASSERT_EQ(write_file(at("f"), std::string("a\0b\n\n", 5)), 0);
  EXPECT_EQ(run(zkfs("get " + at("f"))).output, std::string("a\0b\n\n", 5));
  ASSERT_EQ(run(zkfs("set " + at() + " of-directory")).status, 0);
  EXPECT_EQ(run(zkfs("get --sync " + at())).output, "of-directory");
}

TEST_F(Commands, GetWithStatTellsBoth) {
  ASSERT_EQ(write_file(at("f"), "v"), 0);
  const auto result = run(zkfs("get --stat " + at("f")));
  EXPECT_TRUE(result.output.starts_with("v\ncZxid = 0x")) << result.output;
  EXPECT_NE(result.output.find("\ndataVersion = 0\n"), std::string::npos);
}

TEST_F(Commands, GetOfNothingIsOne) {
  expect_complaint(run(zkfs("get " + at("no"))), 1, at("no"));
  expect_complaint(run(zkfs("get --sync " + at("no"))), 1, at("no"));
  expect_complaint(run(zkfs("get /proc/version")), 1, "/proc/version");
}

TEST_F(Commands, SetIsOneVersionAndCreatesNothing) {
  expect_complaint(run(zkfs("set " + at("f") + " x")), 1, at("f"));
  ASSERT_EQ(write_file(at("f"), "long value"), 0);
  EXPECT_EQ(run(zkfs("set " + at("f") + " short")).status, 0);
  EXPECT_EQ(read_file(at("f")), "short");
  EXPECT_EQ(xattr(at("f"), "dataVersion"), "1");
  EXPECT_EQ(run("echo piped | " + zkfs("set " + at("f"))).status, 0);
  EXPECT_EQ(read_file(at("f")), "piped\n");
  EXPECT_EQ(run(zkfs("set " + at("f") + " ''")).status, 0);
  EXPECT_EQ(xattr(at("f"), "dataLength"), "0");
  EXPECT_EQ(xattr(at("f"), "dataVersion"), "3");
}

TEST_F(Commands, CompareAndSetReplacesTheWholeValueOnce) {
  ASSERT_EQ(write_file(at("f"), "value"), 0);
  const std::vector<std::string> values{"a longer value", "short", "", "x"};
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto result =
        run(zkfs("set --version " + std::to_string(i) + " " + at("f") + " '" + values[i] + "'"));
    ASSERT_EQ(result.status, 0) << result.output;
    EXPECT_EQ(read_file(at("f")), values[i]);
    EXPECT_EQ(xattr(at("f"), "dataVersion"), std::to_string(i + 1));
  }
}

TEST_F(Commands, CompareAndSetOfAnotherVersionIsOneAndChangesNothing) {
  ASSERT_EQ(write_file(at("f"), "v"), 0);
  for (const char* data : {"new", "''"}) {
    expect_complaint(run(zkfs("set --version 1 " + at("f") + " " + data)), 1, at("f"));
  }
  EXPECT_EQ(read_file(at("f")), "v");
  EXPECT_EQ(xattr(at("f"), "dataVersion"), "0");
}

TEST_F(Commands, ACounterByCompareAndSetLosesNothing) {
  ASSERT_EQ(write_file(at("f"), "0"), 0);
  // Each adds one ten times, looking again whenever another was faster.
  const std::string add =
      "for i in 1 2 3 4 5 6 7 8 9 10; do until out=$(" + zkfs("get --stat " + at("f")) +
      ") && v=${out#*dataVersion = } && " +
      zkfs("set --version ${v%%$'\\n'*} " + at("f") + " $((${out%%$'\\n'*} + 1))") +
      " 2>/dev/null; do :; done; done";
  const auto result = run("( " + add + " ) & ( " + add + " ) & ( " + add + " ) & wait");
  EXPECT_EQ(read_file(at("f")), "30") << result.output;
  EXPECT_EQ(xattr(at("f"), "dataVersion"), "30");
}

// --- rm, ls, stat ---

TEST_F(Commands, RmTakesWhatIsEmptyAndAllWithR) {
  run("mkdir -p " + at("d/e") + "; echo v > " + at("d/.@data") + "; echo x > " + at("d/f"));
  expect_complaint(run(zkfs("rm " + at("d"))), 1, at("d"));
  EXPECT_EQ(run(zkfs("rm " + at("d/e") + " " + at("d/f"))).status, 0);
  // Its value would be lost.
  expect_complaint(run(zkfs("rm " + at("d"))), 1, at("d"));
  EXPECT_EQ(run(zkfs("rm -r " + at("d"))).status, 0);
  expect_complaint(run(zkfs("rm -r " + at("d"))), 1, at("d"));
}

TEST_F(Commands, RmGoesOnAfterAFailure) {
  ASSERT_EQ(write_file(at("f"), ""), 0);
  expect_complaint(run(zkfs("rm " + at("no") + " " + at("f"))), 1, at("no"));
  EXPECT_NE(access(at("f").c_str(), F_OK), 0);
}

TEST_F(Commands, RmLeavesTheMountPoint) {
  ASSERT_EQ(write_file(at("f"), ""), 0);
  expect_complaint(run(zkfs("rm -r " + cluster_->mnt(1))), 1, cluster_->mnt(1));
  EXPECT_EQ(access(at("f").c_str(), F_OK), 0);
}

TEST_F(Commands, LsSortsByBytesAndShowsChildrenOnly) {
  run("mkdir -p " + at("d/e") + "; cd " + at() + "; echo v > .@data; touch b B a d/e/f" +
      "; touch .zkfs-create-0123456789abcdef");
  EXPECT_EQ(run(zkfs("ls " + at())).output, "B\na\nb\nd\n");
  EXPECT_EQ(run(zkfs("ls -R " + at())).output, "B\na\nb\nd\nd/e\nd/e/f\n");
  EXPECT_EQ(run("cd " + at("d") + " && " + zkfs("ls")).output, "e\n");
  EXPECT_EQ(run(zkfs("ls " + at("a"))).output, at("a") + "\n");
  expect_complaint(run(zkfs("ls " + at("no"))), 1, at("no"));
}

TEST_F(Commands, LsInDetailTellsTypeVersionSizeAndOwner) {
  run(zkfs("create -e " + at("e") + " abc") + "; ln -s t " + at("l"));
  const auto lines = run(zkfs("ls -l " + at())).output;
  EXPECT_EQ(run("echo '" + lines +
                "' | grep -cE '^file +ephemeral +0 +3 [0-9TZ:.-]+ +0x[0-9a-f]+ "
                "e$|^symlink .* l -> t$'")
                .output,
            "2\n")
      << lines;
}

TEST_F(Commands, StatTellsWhatTheAttributesTell) {
  ASSERT_EQ(write_file(at("f"), "abc"), 0);
  const auto text = run(zkfs("stat " + at("f"))).output;
  for (const std::string& line : std::vector<std::string>{
           "path = /StatTellsWhatTheAttributesTell/f", "kind = file", "type = persistent",
           "dataLength = 3", "cZxid = " + xattr(at("f"), "cZxid"),
           "acl = " + xattr(at("f"), "acl")}) {
    EXPECT_NE(("\n" + text).find("\n" + line + "\n"), std::string::npos) << line << "\n" << text;
  }
  ASSERT_EQ(symlink("t", at("l").c_str()), 0);
  EXPECT_NE(run(zkfs("stat " + at("l"))).output.find("target = t\n"), std::string::npos);
  expect_complaint(run(zkfs("stat " + at("no"))), 1, at("no"));
}

// --- wait ---

TEST_F(Commands, WaitIsOverAtOnceIfItIsSo) {
  ASSERT_EQ(write_file(at("f"), "v\n"), 0);
  EXPECT_EQ(run(zkfs("wait " + at("f"))).status, 0);
  EXPECT_EQ(run(zkfs("wait --value v " + at("f"))).status, 0);
  EXPECT_EQ(run(zkfs("wait --gone " + at("no/such"))).status, 0);
  EXPECT_EQ(run(zkfs("wait --changed --version 7 " + at("f"))).status, 0);
  EXPECT_EQ(run(zkfs("wait --print " + at("f"))).output, "v\n");
}

TEST_F(Commands, WaitTimesOutWithFour) {
  expect_complaint(run(zkfs("wait --timeout 50ms " + at("no"))), 4, at("no"));
}

TEST_F(Commands, WaitSeesAPathComeWhoseDirectoriesDidNotExist) {
  const std::string log = cluster_->directory(1) + "/wait1";
  auto process = waiting("wait --value done --print " + at("x/y/z"), log);
  run("mkdir -p " + at("x/y"));
  ASSERT_EQ(write_file(at("x/y/z"), "not yet"), 0);
  EXPECT_EQ(process.wait(Millis(300)), -1);
  ASSERT_EQ(write_file(at("x/y/z"), "done"), 0);
  EXPECT_EQ(process.wait(Seconds(10)), 0);
  EXPECT_EQ(read_file(log), "done");
}

TEST_F(Commands, WaitSeesAPathGoWithItsDirectory) {
  run("mkdir -p " + at("x/y") + "; touch " + at("x/y/z"));
  auto process = waiting("wait --gone " + at("x/y/z"), "/dev/null");
  ASSERT_EQ(rename(at("x").c_str(), at("elsewhere").c_str()), 0);
  EXPECT_EQ(process.wait(Seconds(10)), 0);
}

TEST_F(Commands, WaitFollowsADirectoryThatIsReplaced) {
  run("mkdir -p " + at("x/y"));
  auto process = waiting("wait " + at("x/y/z"), "/dev/null");
  run("mv " + at("x") + " " + at("old") + "; mkdir -p " + at("x/y") + "; touch " + at("old/y/z"));
  EXPECT_EQ(process.wait(Millis(300)), -1);
  ASSERT_EQ(write_file(at("x/y/z"), ""), 0);
  EXPECT_EQ(process.wait(Seconds(10)), 0);
}

TEST_F(Commands, WaitForAChangeIsWokenBySetByRemoveAndByReplace) {
  for (const std::string& change :
       std::vector<std::string>{"echo new > $f", "rm $f", "echo x > $f.new; mv $f.new $f",
                                "touch $f", "exec 3<>$f; echo x >&3"}) {
    ASSERT_EQ(write_file(at("f"), "v"), 0);
    auto process = waiting("wait --timeout 20 --changed " + at("f"), "/dev/null");
    run("f=" + at("f") + "; " + change);
    EXPECT_EQ(process.wait(Seconds(10)), 0) << change;
  }
}

TEST_F(Commands, WaitForAChangeIsNotWokenByOtherFilesOrAttributes) {
  ASSERT_EQ(write_file(at("f"), "v"), 0);
  auto process = waiting("wait --changed " + at("f"), "/dev/null");
  run("touch " + at("g") + "; chmod 600 " + at("f") + "; cat " + at("f"));
  EXPECT_EQ(process.wait(Millis(300)), -1);
}

TEST_F(Commands, WaitSeesTheValueOfADirectoryChange) {
  auto process = waiting("wait --changed --print " + at(), cluster_->directory(1) + "/wait2");
  ASSERT_EQ(write_file(at(".@data"), "v"), 0);
  EXPECT_EQ(process.wait(Seconds(10)), 0);
  EXPECT_EQ(read_file(cluster_->directory(1) + "/wait2"), "v");
}

TEST_F(Commands, WaitForChildrenTellsThem) {
  ASSERT_EQ(write_file(at("a"), ""), 0);
  auto process = waiting("wait --children --print " + at(), cluster_->directory(1) + "/wait3");
  ASSERT_EQ(write_file(at("a"), "a new value is no new child"), 0);
  EXPECT_EQ(process.wait(Millis(300)), -1);
  ASSERT_EQ(mkdir(at("b").c_str(), 0755), 0);
  EXPECT_EQ(process.wait(Seconds(10)), 0);
  EXPECT_EQ(read_file(cluster_->directory(1) + "/wait3"), "a\nb\n");
}

TEST_F(Commands, NoWakeUpIsLostHoweverCloseTheChangeIs) {
  for (int i = 0; i < 40; ++i) {
    const std::string path = at("r" + std::to_string(i)) + "/f";
    const auto result = run(zkfs("wait --timeout 20 " + path) + " & mkdir -p $(dirname " + path +
                            "); echo v > " + path + "; wait $!");
    ASSERT_EQ(result.status, 0) << result.output;
  }
}

TEST_F(Commands, WaitRefusesAnotherFilesystem) {
  expect_complaint(run(zkfs("wait --timeout 5 /proc/nothing")), 1, "/proc/nothing");
}

// --- dump ---

TEST_F(Commands, DumpReadsARunningServersLog) {
  ASSERT_EQ(write_file(at("dumped"), "value"), 0);
  run("touch " + at("after"));
  const std::string data = cluster_->directory(1) + "/data";
  const auto before = run("cd " + data + "/version-2 && stat -c '%n %s %Y %Z' *").output;
  const auto txns = run(zkfs("dump --data-dir " + data));
  EXPECT_EQ(txns.status, 0) << txns.output;
  EXPECT_EQ(run("grep -cE '^0x[0-9a-f]+ committed .* create parent=[0-9]+ name=\"dumped\" .* "
                "data=5 ' << 'END'\n" +
                txns.output + "END")
                .output,
            "1\n");
  const auto tree = run(zkfs("dump --tree -d " + data));
  EXPECT_EQ(tree.status, 0) << tree.output;
  EXPECT_NE(tree.output.find("\"/DumpReadsARunningServersLog/dumped\" file persistent "),
            std::string::npos)
      << tree.output;
  EXPECT_EQ(run("cd " + data + "/version-2 && stat -c '%n %s %Y %Z' *").output, before);
}

TEST_F(Commands, DumpShowsTheRangeAskedFor) {
  run(zkfs("create " + at("f") + " v"));
  const auto zxid = xattr(at("f"), "cZxid");
  const auto txns = run(zkfs("dump -d " + cluster_->directory(1) + "/data --from " + zxid +
                             " --to " + zxid + " | grep -v ^#"));
  EXPECT_TRUE(txns.output.starts_with(zxid + " ")) << txns.output;
  EXPECT_EQ(std::count(txns.output.begin(), txns.output.end(), '\n'), 1);
}

TEST_F(Commands, DumpTellsDamage) {
  run(zkfs("create " + at("f") + " v"));
  const std::string copy = cluster_->directory(1) + "/damaged";
  run("cp " + cluster_->directory(1) + "/data/version-2/log.* " + copy +
      "; printf X | dd of=" + copy + " bs=1 seek=560 conv=notrunc 2>/dev/null");
  const auto result = run(zkfs("dump " + copy + " 2>&1 >/dev/null"));
  expect_complaint(result, 1, copy);
  EXPECT_NE(result.output.find("damaged at offset 512"), std::string::npos) << result.output;
  expect_complaint(run(zkfs("dump /proc/version")), 1, "/proc/version");
}

// --- lock ---

TEST_F(Commands, LockRunsTheCommandAndExitsWithItsStatus) {
  const auto result = run(zkfs("lock " + at("l") + " -- sh -c 'echo $ZKFS_LOCK_TOKEN; exit 7'"));
  EXPECT_EQ(result.status, 7) << result.output;
  EXPECT_TRUE(result.output.starts_with("0x")) << result.output;
  EXPECT_EQ(run(zkfs("lock " + at("l") + " -- sh -c 'kill -TERM $$'")).status, 143);
  EXPECT_EQ(run(zkfs("lock " + at("l") + " -- /no/such/command")).status, 127);
  EXPECT_EQ(run(zkfs("lock " + at("l") + " -- /proc/version")).status, 126);
}

TEST_F(Commands, LockTokensGrowAndArePrintedIfAsked) {
  std::string last;
  for (int i = 0; i < 3; ++i) {
    const auto result = run(zkfs("lock --print-token " + at("l") + " -- true"));
    ASSERT_EQ(result.status, 0) << result.output;
    EXPECT_TRUE(result.output.size() > last.size() || result.output > last) << result.output;
    last = result.output;
  }
}

TEST_F(Commands, LockExcludesSharesAndRefuses) {
  const auto inner = [this](const std::string& outer, const std::string& words) {
    return run(zkfs("lock " + outer + " " + at("l") + " -- " +
                    zkfs("lock " + words + " " + at("l") + " -- echo in")));
  };
  const std::string locked = "zkfs: " + at("l") + ": is locked by another\n";
  EXPECT_EQ(inner("", "-n").output, locked);
  EXPECT_EQ(inner("-s", "-n").output, locked);
  EXPECT_EQ(inner("", "-n -s").output, locked);
  EXPECT_EQ(inner("", "-n").status, 1);
  expect_complaint(inner("", "-w 100ms"), 4, at("l"));
  EXPECT_EQ(inner("-s", "-n -s").output, "in\n");
}

TEST_F(Commands, LockAndFlockExcludeEachOther) {
  const auto inside = run(zkfs("lock " + at("l") + " -- flock -n -E 9 " + at("l") + " true"));
  EXPECT_EQ(inside.status, 9) << inside.output;
  const auto outside = run("flock " + at("l") + " " + zkfs("lock -n " + at("l") + " -- true"));
  expect_complaint(outside, 1, at("l"));
  EXPECT_NE(outside.output.find("is locked by another"), std::string::npos) << outside.output;
}

TEST_F(Commands, ALockIsFreeWhenItsCommandHasEnded) {
  for (int i = 0; i < 10; ++i) {
    const auto result = run(zkfs("lock -n " + at("l") + " -- true"));
    ASSERT_EQ(result.status, 0) << result.output;
  }
}

TEST_F(Commands, OneCommandAtATime) {
  const std::string add = "v=$(cat " + at("n") + "); echo $((v + 1)) > " + at("n");
  ASSERT_EQ(write_file(at("n"), "0\n"), 0);
  const auto result = run("for i in $(seq 10); do " +
                          zkfs("lock " + at("l") + " -- sh -c '" + add + "'") + " & done; wait");
  EXPECT_EQ(read_file(at("n")), "10\n") << result.output;
}

TEST_F(Commands, LockForwardsSignalsAndEndsWithItsParent) {
  const std::string log = cluster_->directory(1) + "/lock1";
  auto process = Process::start({ZKFS_PROGRAM, "lock", at("l"), "--", "bash", "-c",
                                 "trap 'echo told; exit 5' TERM; echo ready; sleep 1000 & wait"},
                                log);
  ASSERT_TRUE(eventually([&] { return read_file(log) == "ready\n"; })) << read_file(log);
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait(Seconds(10)), 5);
  EXPECT_EQ(read_file(log), "ready\ntold\n");

  const std::string pid = cluster_->directory(1) + "/lock2";
  auto killed = Process::start(
      {ZKFS_PROGRAM, "lock", at("l"), "--", "bash", "-c", "echo $BASHPID; sleep 1000 & wait"}, pid);
  ASSERT_TRUE(eventually([&] { return !read_file(pid).empty(); }));
  killed.signal(SIGKILL);
  const std::string group = read_file(pid).substr(0, read_file(pid).find('\n'));
  EXPECT_TRUE(eventually([&] { return ::kill(-std::stoi(group), 0) != 0; }));
  EXPECT_TRUE(eventually([&] { return run(zkfs("lock -n " + at("l") + " -- true")).status == 0; }));
}

TEST_F(Commands, LockRefusesADirectoryAndAMissingOne) {
  expect_complaint(run(zkfs("lock " + at() + " -- true")), 1, at());
  expect_complaint(run(zkfs("lock " + at("no/l") + " -- true")), 1, at("no/l"));
}

}  // namespace
}  // namespace zkfs::testing
