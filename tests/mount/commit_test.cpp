// SPDX-License-Identifier: Apache-2.0
// When what is written becomes a version: contract section 2, the table of reference/fuse.md 4.3.
#include "tests/mount/local_mount.h"

namespace zkfs::test {
namespace {

struct Command {
  const char* name;
  const char* shell;
  const char* script;   // writes f, which exists unless `fresh`
  int versions;         // beside the one that made it
  const char* content;  // afterwards; null: not looked at
  bool fresh = false;
};

void PrintTo(const Command& command, std::ostream* out) {
  *out << command.name;
}

class VersionsOf : public MountTest, public ::testing::WithParamInterface<Command> {};

TEST_P(VersionsOf, Command) {
  const Command& command = GetParam();
  if (!command.fresh) {
    sh("printf old > f");
  }
  const int before = m().versions("/f");
  sh(command.script, command.shell);
  // The commit of a last close may still be under way.
  EXPECT_TRUE(m().drive_until([&] { return m().versions("/f") - before >= command.versions; }));
  EXPECT_EQ(m().versions("/f") - before, command.versions);
  if (command.content != nullptr) {
    EXPECT_EQ(m().data("/f"), command.content);
  }
}

const Command kCommands[] = {
    {"BashEcho", "bash", "echo x > f", 1, "x\n"},
    {"DashEcho", "dash", "echo x > f", 1, "x\n"},
    {"BashEchoFresh", "bash", "echo x > f", 1, "x\n", true},
    {"DashEchoFresh", "dash", "echo x > f", 1, "x\n", true},
    {"BashThreeLines", "bash", "printf 'a\\nb\\nc\\n' > f", 1, "a\nb\nc\n"},
    {"BashThreeLinesFresh", "bash", "printf 'a\\nb\\nc\\n' > f", 1, "a\nb\nc\n", true},
    {"BashGroupOfBuiltins", "bash", "{ echo a; echo b; } > f", 1, "a\nb\n"},
    {"BashGroupWithTrue", "bash", "{ echo a; /bin/true; echo b; } > f", 1, "a\nb\n"},
    {"DashGroupWithTrue", "dash", "{ echo a; /bin/true; echo b; } > f", 1, "a\nb\n"},
    {"BashGroupWithExternal", "bash", "{ echo a; /bin/echo E; echo b; } > f", 1, "a\nE\nb\n"},
    {"DashGroupWithExternal", "dash", "{ echo a; /bin/echo E; echo b; } > f", 1, "a\nE\nb\n"},
    {"GroupOfExternalsFresh", "bash", "{ date; uname; } > f", 1, nullptr, true},
    {"ForLoop", "bash", "for i in 1 2 3; do echo $i; done > f", 1, "1\n2\n3\n"},
    {"Subshell", "bash", "(echo a; echo b) > f", 1, "a\nb\n"},
    {"BashCat", "bash", "printf hi > $T/in; cat $T/in > f", 1, "hi"},
    {"DashCat", "dash", "printf hi > $T/in; cat $T/in > f", 1, "hi"},
    {"Cp", "bash", "printf hi > $T/in; cp $T/in f", 1, "hi"},
    {"Tee", "bash", "echo hi | tee f > /dev/null", 1, "hi\n"},
    {"DdInPieces", "bash", "head -c 2048 /dev/zero | dd of=f bs=512 status=none", 1, nullptr},
    {"BashTruncate", "bash", ": > f", 1, ""},
    {"DashTruncate", "dash", ": > f", 1, ""},
    {"BashTruncateFresh", "bash", ": > f", 1, "", true},
    {"TouchFresh", "bash", "touch f", 1, "", true},
    {"Touch", "bash", "touch f", 1, "old"},
    {"TouchDate", "bash", "touch -d 2001-01-01 f", 0, "old"},
    {"BashAppend", "bash", "{ echo a; echo b; } >> f", 1, "olda\nb\n"},
    {"DashAppend", "dash", "{ echo a; /bin/echo b; } >> f", 1, "olda\nb\n"},
    {"BashAppendFresh", "bash", "echo a >> f", 1, "a\n", true},
    {"TruncateTool", "bash", "truncate -s 2 f", 1, "ol"},
    {"DescriptorKeptOpen", "bash", "exec 3>f; echo a >&3; echo b >&3; exec 3>&-", 2, "a\nb\n"},
    {"DdConvNotrunc", "bash", "printf X | dd of=f bs=1 seek=1 conv=notrunc status=none", 1, "oXd"},
    {"ReadOnlyOpen", "bash", "cat f; exec 3<f; cat <&3", 0, "old"},
    {"SedInPlace", "bash", "sed -i s/old/new/ f", 1, "new"},
};

INSTANTIATE_TEST_SUITE_P(Commit, VersionsOf, ::testing::ValuesIn(kCommands), [](const auto& row) {
  return std::string(row.param.name);
});

class Commit : public MountTest {};

TEST_F(Commit, OpeningWithTruncationChangesNothingYet) {
  sh("printf old > f; exec 3>f; [ $(cat f) = old ] && [ $(stat -c %s f) = 3 ]; printf new >&3;"
     "exec 3>&-; [ $(cat f) = new ]");
  EXPECT_EQ(m().versions("/f"), 2);
}

TEST_F(Commit, CreateWithNoclobberMakesExactlyOneWinner) {
  const std::string won = sh(
      "set -o noclobber; for i in 1 2 3 4 5 6; do (echo $i > lock) 2>/dev/null && echo won & done; "
      "wait");
  EXPECT_EQ(won, "won\n");
}

TEST_F(Commit, ExclusiveCreateOfAnExistingNameFails) {
  sh("echo a > f; ! (set -o noclobber; echo b > f) 2>$T/e; grep -q 'cannot overwrite' $T/e");
  sh("python3 -c 'import os\ntry: os.open(\"f\", os.O_CREAT|os.O_EXCL|os.O_WRONLY)\n"
     "except FileExistsError: print(\"ok\")' | grep ok");
  EXPECT_EQ(m().data("/f"), "a\n");
}

TEST_F(Commit, NobodyElseFindsAFileBeforeItsFirstCommit) {
  sh("exec 3>f; ! env test -e f && [ -z \"$(ls)\" ] && echo a >&3 && [ \"$(cat f)\" = a ]");
}

TEST_F(Commit, AFileIsThereForItsOpenerBeforeItsFirstCommit) {
  sh("python3 - <<'P'\n"
     "import os\n"
     "with open('f', 'w') as f:\n"
     "    os.chmod('f', 0o600)\n"
     "    assert os.stat('f').st_mode & 0o777 == 0o600 and 'f' not in os.listdir('.')\n"
     "    f.write('a')\n"
     "assert open('f').read() == 'a' and os.stat('f').st_mode & 0o777 == 0o600\n"
     "P");
  EXPECT_EQ(m().versions("/f"), 1);
}

TEST_F(Commit, WhatItsOpenerRenamesOrRemovesIsCommittedFirst) {
  sh("python3 - <<'P'\n"
     "import os\n"
     "with open('tmp', 'w') as f:\n"
     "    f.write('a')\n"
     "    os.rename('tmp', 'f')\n"
     "assert open('f').read() == 'a' and not os.path.exists('tmp')\n"
     "with open('g', 'w') as g: os.unlink('g')\n"
     "assert os.listdir('.') == ['f']\n"
     "with open('h', 'w') as h:\n"
     "    h.write('x'); h.flush()\n"
     "    assert open('h').read() == 'x'\n"
     "P");
}

TEST_F(Commit, AppendsOfManyLoseNothing) {
  sh("for i in 1 2 3 4 5 6 7 8; do (for j in 1 2 3 4 5; do echo line$i.$j >> f; done) & done; wait;"
     "[ $(wc -l < f) = 40 ] && [ $(sort -u f | wc -l) = 40 ]");
}

TEST_F(Commit, ReadAndWriteIsCompareAndSet) {
  sh("printf 1 > f; exec 3<>f; printf 2 > f; ! printf 9 >&3 2>$T/e; grep -qi stale $T/e; cat $T/e");
  EXPECT_EQ(m().data("/f"), "2");
}

TEST_F(Commit, CompareAndSetRearmsTheDescriptor) {
  sh("printf 111 > f; exec 3<>f; printf 2 >&3 && printf 3 >&3");
  EXPECT_EQ(m().data("/f"), "231");
}

TEST_F(Commit, ReaderKeepsTheValueItOpened) {
  EXPECT_EQ(sh("echo old > f; exec 3<f; echo new > f; cat <&3; cat f"), "old\nnew\n");
}

TEST_F(Commit, ReaderThatWasToldTheEndReadsOnInTheNewestValue) {
  EXPECT_EQ(sh("echo a > f; exec 3<f; cat <&3; echo b >> f; cat <&3; echo c >> f; cat <&3"),
            "a\nb\nc\n");
}

TEST_F(Commit, ReaderInTheMiddleKeepsItsValue) {
  EXPECT_EQ(sh("echo old > f; exec 3<f; read -N1 -u3 x; echo new > f; cat <&3"), "ld\n");
}

// Only what was appended: all that was read before is part of the newest value then.
TEST_F(Commit, ReaderAtTheEndGoesOnInWhatWasAppended) {
  EXPECT_EQ(sh("echo a > f; exec 3<f; cat <&3; echo b >> f; cat <&3; echo other, longer > f;"
               "cat <&3; exec 4<f; echo x > f; cat <&4"),
            "a\nb\nother, longer\n");
}

TEST_F(Commit, TailFollowsAppendsAndReCreation) {
  EXPECT_EQ(sh("echo old > f; : > $T/out; tail -s 0.05 -n 1 -F f 2>$T/e > $T/out & p=$!;"
               "await() { until grep -qx \"$1\" $T/out; do sleep 0.02; done; };"
               "await old; echo b >> f; await b; echo c >> f; await c; rm f; echo new > f;"
               "await new; kill $p; cat $T/out"),
            "old\nb\nc\nnew\n");
}

TEST_F(Commit, ReaderKeepsTheValueOfARemovedFile) {
  EXPECT_EQ(sh("echo old > f; exec 3<f; rm f; cat <&3; stat -L -c %h /proc/self/fd/3"), "old\n0\n");
}

TEST_F(Commit, WritingAfterDeletionIsStale) {
  sh("echo old > f; exec 3>>f; rm f; ! echo x >&3 2>$T/e; grep -qi stale $T/e");
  EXPECT_FALSE(m().data("/f"));
}

TEST_F(Commit, FsyncIsACommitPoint) {
  sh("python3 -c 'import os\nf = os.open(\"f\", os.O_CREAT|os.O_WRONLY|os.O_TRUNC)\n"
     "os.write(f, b\"a\"); os.fsync(f)\nassert open(\"f\").read() == \"a\"'");
  EXPECT_EQ(m().versions("/f"), 1);
}

TEST_F(Commit, SynchronousWritesCommitEach) {
  sh("printf old > f; python3 -c 'import os\nf = os.open(\"f\", os.O_WRONLY|os.O_TRUNC|os.O_SYNC)\n"
     "os.write(f, b\"a\"); os.write(f, b\"b\")'");
  EXPECT_EQ(m().versions("/f"), 3);
  EXPECT_EQ(m().data("/f"), "ab");
}

TEST_F(Commit, OptionWriteCommitsEachWrite) {
  with("commit=write");
  sh("exec 3>f; echo a >&3; echo b >&3");
  EXPECT_EQ(m().versions("/f"), 2);
  EXPECT_EQ(m().data("/f"), "a\nb\n");
}

TEST_F(Commit, OptionWriterCommitsForWhoeverWrote) {
  with("commit=writer");
  sh("printf old > f; { echo a; /bin/echo E; echo b; } > f");
  EXPECT_EQ(m().versions("/f"), 3);
  EXPECT_EQ(m().data("/f"), "a\nE\nb\n");
}

TEST_F(Commit, TooLargeAValueIsRefusedAndNothingStored) {
  sh("printf old > f; ! head -c 2M /dev/zero | dd of=f bs=64K status=none 2>$T/e;"
     "grep -q 'File too large' $T/e");
  EXPECT_EQ(m().data("/f"), "old");
  sh("! truncate -s 3M f 2>$T/e || exit; grep -q 'File too large' $T/e");
}

TEST_F(Commit, OneMebibyteLessOverheadFits) {
  sh("head -c 1040000 /dev/urandom > $T/big; : > f; cp $T/big f && cmp $T/big f");
  EXPECT_EQ(m().versions("/f"), 2);
}

TEST_F(Commit, OwnUncommittedSizeIsSeenByTheWriter) {
  sh("printf old > f; python3 -c 'import os\nf = open(\"f\", \"w\")\nf.write(\"12345\"); "
     "f.flush()\n"
     "assert os.fstat(f.fileno()).st_size == 5\n"
     "assert os.popen(\"stat -c %s f\").read() == \"3\\n\"'");
}

TEST_F(Commit, ReadWriteFileIsReadBackByItsWriter) {
  sh("python3 -c 'f = open(\"f\", \"w+\")\nf.write(\"abc\"); f.seek(0)\nassert f.read() == "
     "\"abc\"'");
  sh("python3 -c 'f = open(\"f\", \"a+\")\nf.write(\"d\"); f.seek(0)\nassert f.read() == "
     "\"abcd\"'");
  EXPECT_EQ(m().data("/f"), "abcd");
}

TEST_F(Commit, OpenFileFollowsARename) {
  sh("echo a > tmp; echo old > f; exec 3>>tmp; mv tmp f; echo b >&3; exec 3>&-; cat f");
  EXPECT_EQ(m().data("/f"), "a\nb\n");
}

TEST_F(Commit, FailureIsKeptInAnAttributeUntilTheNextSuccess) {
  // Write-only without truncation: the version must still be the one it opened.
  sh("printf abc > f; exec 3<f; python3 -c 'import os\nf = os.open(\"f\", os.O_WRONLY)\n"
     "os.write(f, b\"X\"); os.system(\"printf new > f\")\n"
     "try: os.close(f)\nexcept OSError as e: print(e)' | grep -i stale;"
     "getfattr -n user.zk.error f | grep errno=116");
  EXPECT_EQ(m().data("/f"), "new");
  sh("printf again > f; ! getfattr -n user.zk.error f 2>/dev/null");
}

// A torn or empty value would be one that no writer wrote.
TEST_F(Commit, NoReadIsTorn) {
  sh("python3 - <<'P'\n"
     "import os, time\n"
     "size = 65536\n"
     "open('f', 'w').write('0' * size)\n"
     "child = os.fork()\n"
     "if child == 0:\n"
     "    for n in range(400):\n"
     "        f = os.open('f', os.O_WRONLY | os.O_TRUNC)\n"
     "        for part in range(4): os.write(f, str(n % 10).encode() * (size // 4))\n"
     "        os.close(f)\n"
     "    os._exit(0)\n"
     "bad = reads = 0\n"
     "while os.waitpid(child, os.WNOHANG)[0] == 0:\n"
     "    f = os.open('f', os.O_RDONLY)\n"
     "    data = b''\n"
     "    while chunk := os.read(f, 4096): data += chunk\n"
     "    os.close(f)\n"
     "    reads += 1\n"
     "    if len(data) != size or len(set(data)) != 1: bad += 1\n"
     "assert reads > 10 and bad == 0, (reads, bad)\n"
     "P");
}

}  // namespace
}  // namespace zkfs::test
