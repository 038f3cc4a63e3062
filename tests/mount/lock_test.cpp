// SPDX-License-Identifier: Apache-2.0
// Locks through a real mount of one node: contract section 7. What several nodes are needed for is
// in tests/system/lock_test.cpp.
#include "tests/mount/local_mount.h"

namespace zkfs::test {
namespace {

class LockMount : public MountTest {
 protected:
  static server::LockRequest foreign_lock(Ino ino, std::uint64_t request, bool wait = true) {
    return {.ino = ino,
            .space = tree::LockSpace::kFlock,
            .mode = tree::LockMode::kExclusive,
            .range = {},
            .owner = 77,
            .request = request,
            .pid = 1,
            .wait = wait};
  }

  Ino ino_of(const std::string& path) { return m().door().tree().find_path(path)->ino; }

  std::size_t waiting_on(const std::string& path) {
    std::size_t count = 0;
    const auto znode = m().door().tree().find_path(path);
    if (!znode) return 0;
    for (const auto& lock : m().door().tree().locks_of(znode->ino)) count += lock.waiting ? 1 : 0;
    return count;
  }

  std::size_t locks_on(const std::string& path) {
    const auto znode = m().door().tree().find_path(path);
    return znode ? m().door().tree().locks_of(znode->ino).size() : 0;
  }

  // `call`: of python's fcntl.
  void expect_lost_lock_told(const std::string& call) {
    // Not a shell: it would flush, which commits.
    const pid_t holder = m().start(
        "echo 0 > job; python3 -c '\n"
        "import fcntl, os, time\n"
        "f = os.open(\"job\", os.O_WRONLY | os.O_TRUNC)\n"
        "fcntl." +
        call +
        "(f, fcntl.LOCK_EX)\n"
        "os.write(f, b\"stale\\n\")\n"
        "open(\"held\", \"w\").close()\n"
        "while not os.path.exists(\"lost\"): time.sleep(0.01)\n"
        "try:\n"
        "  os.close(f)\n"
        "  os._exit(1)\n"
        "except OSError as e: os._exit(0 if e.errno == 5 else 2)'");
    ASSERT_TRUE(m().drive_until([&] { return m().data("/held").has_value(); }));
    m().door().expire(m().door().tree().locks_of(ino_of("/job")).at(0).session);
    sh(": > lost");
    const Ran ran = m().finish(holder);
    EXPECT_EQ(ran.status, 0) << ran.out;
    EXPECT_NE(m().data("/job"), "stale\n");
  }
};

TEST_F(LockMount, FlockMakesItsFileAndRunsTheCommand) {
  EXPECT_EQ(sh("flock job echo ran; [ -f job ]"), "ran\n");
  m().drive_until([&] { return locks_on("/job") == 0; });
  EXPECT_EQ(locks_on("/job"), 0U);
}

TEST_F(LockMount, ASecondHolderWaitsForTheFirst) {
  EXPECT_EQ(sh("exec 3> job; flock 3; flock job sh -c 'echo second >> order' 3>&- &"
               " until grep -q waiting .zkfs/locks/job; do :; done;"
               " echo first >> order; exec 3>&-; wait; cat order"),
            "first\nsecond\n");
}

TEST_F(LockMount, WithoutWaitingItIsRefused) {
  sh(": > job; exec 3< job; flock -n 3; ! flock -n job true || exit; flock -u 3; flock -n job "
     "true");
}

TEST_F(LockMount, SharedHoldersShareAndExcludeAnExclusiveOne) {
  sh(": > job; exec 3< job 4< job; flock -s -n 3; flock -s -n 4; ! flock -n job true || exit;"
     "exec 3<&-; ! flock -n job true || exit; exec 4<&-; flock job true");
}

TEST_F(LockMount, AWaitThatTakesTooLongIsGivenUpAndLeavesNothing) {
  sh(": > job; exec 3< job; flock 3; ! flock -w 0.3 job true");
  EXPECT_EQ(waiting_on("/job"), 0U);
}

TEST_F(LockMount, AKilledHolderGivesItFree) {
  sh("flock job sh -c 'echo $$ > pid; exec sleep 1000' & until [ -s pid ]; do :; done;"
     "kill -9 $(cat pid); flock -w 20 job true");
}

TEST_F(LockMount, AKilledWaiterLeavesTheQueue) {
  const pid_t holder = m().start(": > job; exec flock job sleep 1000");
  ASSERT_TRUE(m().drive_until([&] { return locks_on("/job") == 1; }));
  const pid_t waiter = m().start("exec flock job true");
  ASSERT_TRUE(m().drive_until([&] { return waiting_on("/job") == 1; }));
  ::kill(waiter, SIGKILL);
  m().finish(waiter);
  EXPECT_TRUE(m().drive_until([&] { return waiting_on("/job") == 0; }));
  EXPECT_EQ(locks_on("/job"), 1U);
  sh("pkill -P " + std::to_string(holder));
  m().finish(holder);
}

TEST_F(LockMount, ManyWaitersAreServedInTheOrderInWhichTheyCame) {
  const pid_t holder = m().start(
      ": > job; exec 3< job; flock 3; until [ -e $T/go ]; do sleep 0.01; done; exec 3<&-");
  ASSERT_TRUE(m().drive_until([&] { return locks_on("/job") == 1; }));
  std::vector<pid_t> waiters;
  for (std::size_t i = 0; i < 10; ++i) {
    waiters.push_back(m().start("flock job sh -c 'echo " + std::to_string(i) + " >> order'"));
    ASSERT_TRUE(m().drive_until([&] { return waiting_on("/job") == i + 1; }));
  }
  const pid_t go = m().start(": > $T/go");
  for (const pid_t pid : waiters) EXPECT_EQ(m().finish(pid).status, 0);
  m().finish(go);
  m().finish(holder);
  EXPECT_EQ(m().data("/order"), "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
}

TEST_F(LockMount, AnotherNodesLockIsWaitedFor) {
  sh(": > job");
  const SessionId other = m().door().foreign_session();
  m().door().inject_foreign(foreign_lock(ino_of("/job"), 1), other);
  const pid_t waiter = m().start("flock job echo mine");
  ASSERT_TRUE(m().drive_until([&] { return waiting_on("/job") == 1; }));
  m().door().expire(other);
  EXPECT_EQ(m().finish(waiter).out, "mine\n");
}

TEST_F(LockMount, AGrantHiddenInASnapshotIsFound) {
  sh(": > job");
  const SessionId other = m().door().foreign_session();
  m().door().inject_foreign(foreign_lock(ino_of("/job"), 1), other);
  const pid_t waiter = m().start("flock job echo mine");
  ASSERT_TRUE(m().drive_until([&] { return waiting_on("/job") == 1; }));
  m().door().catch_up_by_snapshot({server::CloseSessionRequest{}}, other);
  EXPECT_EQ(m().finish(waiter).out, "mine\n");
}

TEST_F(LockMount, AWaiterOutlivesTheLossOfTheSession) {
  sh(": > job");
  const SessionId other = m().door().foreign_session();
  m().door().inject_foreign(foreign_lock(ino_of("/job"), 1), other);
  const pid_t waiter = m().start("flock job echo mine");
  ASSERT_TRUE(m().drive_until([&] { return waiting_on("/job") == 1; }));
  for (const auto& lock : m().door().tree().locks_of(ino_of("/job"))) {
    if (lock.waiting) m().door().expire(lock.session);
  }
  ASSERT_TRUE(m().drive_until([&] { return waiting_on("/job") == 1; }));
  m().door().expire(other);
  EXPECT_EQ(m().finish(waiter).out, "mine\n");
}

TEST_F(LockMount, AHolderWhoseSessionIsLostCannotWriteAnyMore) {
  const pid_t holder = m().start(
      "echo 0 > job; exec 3> job; flock 3; : > held; until [ -e lost ]; do sleep 0.01; done;"
      "! echo stale >&3 2>$T/e; grep -q 'Input/output' $T/e");
  ASSERT_TRUE(m().drive_until([&] { return m().data("/held").has_value(); }));
  m().door().expire(m().door().tree().locks_of(ino_of("/job")).at(0).session);
  sh(": > lost");
  const Ran ran = m().finish(holder);
  EXPECT_EQ(ran.status, 0) << ran.out;
  EXPECT_NE(m().data("/job"), "stale\n");
}

TEST_F(LockMount, WhatWasWrittenUnderALostLockIsNotStored) {
  expect_lost_lock_told("flock");
}

TEST_F(LockMount, TheFencingTokenGrowsWithEveryGrant) {
  const std::string out =
      sh("for i in 1 2 3; do flock job getfattr --only-values -n user.zk.lock.zxid job; echo; done;"
         "! getfattr -n user.zk.lock.zxid job 2>/dev/null");
  std::vector<std::string> tokens;
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) tokens.push_back(line);
  ASSERT_EQ(tokens.size(), 3U);
  EXPECT_LT(std::stoull(tokens[0], nullptr, 16), std::stoull(tokens[1], nullptr, 16));
  EXPECT_LT(std::stoull(tokens[1], nullptr, 16), std::stoull(tokens[2], nullptr, 16));
}

TEST_F(LockMount, WithoutAQuorumNoneIsGranted) {
  with("timeo=200ms");
  sh(": > job");
  m().set_quorum(false);
  const Ran ran = m().run("flock job true");
  EXPECT_NE(ran.status, 0);
  EXPECT_NE(ran.out.find("No locks available"), std::string::npos) << ran.out;
}

// --- fcntl ---

class FcntlMount : public LockMount {
 protected:
  // A python program with `f` open and lockf at hand.
  std::string python(const std::string& program) {
    return sh("cat > $T/p.py <<'END'\nimport fcntl, os, sys, struct\n" + program +
              "\nEND\npython3 $T/p.py");
  }
};

TEST_F(FcntlMount, RangesOfOneFileAreLockedApart) {
  python(
      "f = open('db', 'w+b')\n"
      "fcntl.lockf(f, fcntl.LOCK_EX, 10, 0)\n"
      "if os.fork() == 0:\n"
      "  g = open('db', 'r+b')\n"
      "  fcntl.lockf(g, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 10)\n"
      "  try:\n"
      "    fcntl.lockf(g, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 9)\n"
      "    os._exit(1)\n"
      "  except BlockingIOError:\n"
      "    os._exit(0)\n"
      "assert os.wait()[1] == 0");
}

TEST_F(FcntlMount, UnlockingTheMiddleSplitsARange) {
  python(
      "f = open('db', 'w+b')\n"
      "fcntl.lockf(f, fcntl.LOCK_EX, 30, 0)\n"
      "fcntl.lockf(f, fcntl.LOCK_UN, 10, 10)\n"
      "if os.fork() == 0:\n"
      "  g = open('db', 'r+b')\n"
      "  fcntl.lockf(g, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 10)\n"
      "  for start in (0, 20):\n"
      "    try:\n"
      "      fcntl.lockf(g, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, start)\n"
      "      os._exit(1)\n"
      "    except BlockingIOError: pass\n"
      "  os._exit(0)\n"
      "assert os.wait()[1] == 0");
}

TEST_F(FcntlMount, AnyCloseOfTheFileGivesAllLocksOfTheProcessFree) {
  python(
      "f = open('db', 'w+b')\n"
      "fcntl.lockf(f, fcntl.LOCK_EX, 10, 0)\n"
      "open('db', 'r+b').close()\n"
      "if os.fork() == 0:\n"
      "  g = open('db', 'r+b')\n"
      "  fcntl.lockf(g, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 0)\n"
      "  os._exit(0)\n"
      "assert os.wait()[1] == 0");
}

TEST_F(FcntlMount, GetlkTellsWhoHoldsIt) {
  python(
      "f = open('db', 'w+b')\n"
      "fcntl.lockf(f, fcntl.LOCK_EX, 10, 5)\n"
      "if os.fork() == 0:\n"
      "  g = open('db', 'r+b')\n"
      "  ask = struct.pack('hhqqi', fcntl.F_WRLCK, 0, 0, 0, 0)\n"
      "  t, w, start, length, pid = struct.unpack('hhqqi', fcntl.fcntl(g, fcntl.F_GETLK, "
      "ask)[:28])\n"
      "  ok = (t, start, length, pid) == (fcntl.F_WRLCK, 5, 10, os.getppid())\n"
      "  os._exit(0 if ok else 1)\n"
      "assert os.wait()[1] == 0");
}

TEST_F(FcntlMount, AWaiterIsWokenByTheUnlock) {
  python(
      "f = open('db', 'w+b')\n"
      "fcntl.lockf(f, fcntl.LOCK_EX)\n"
      "r, w = os.pipe()\n"
      "if os.fork() == 0:\n"
      "  g = open('db', 'r+b')\n"
      "  os.write(w, b'x')\n"
      "  fcntl.lockf(g, fcntl.LOCK_EX)\n"
      "  os._exit(0)\n"
      "os.read(r, 1)\n"
      "fcntl.lockf(f, fcntl.LOCK_UN)\n"
      "assert os.wait()[1] == 0");
}

TEST_F(FcntlMount, ACircleOfWaitersIsRefused) {
  python(
      "f = open('db', 'w+b')\n"
      "fcntl.lockf(f, fcntl.LOCK_EX, 1, 0)\n"
      "r, w = os.pipe()\n"
      "child = os.fork()\n"
      "if child == 0:\n"
      "  g = open('db', 'r+b')\n"
      "  fcntl.lockf(g, fcntl.LOCK_EX, 1, 1)\n"
      "  os.write(w, b'x')\n"
      "  try:\n"
      "    fcntl.lockf(g, fcntl.LOCK_EX, 1, 0)\n"
      "    os._exit(1)\n"
      "  except OSError as e: os._exit(0 if e.errno == 35 else 2)\n"
      "os.read(r, 1)\n"
      "try:\n"
      "  fcntl.lockf(f, fcntl.LOCK_EX, 1, 1)\n"
      "except OSError as e:\n"
      "  assert e.errno == 35\n"
      "  os.kill(child, 9)\n"
      "  os._exit(0)\n"
      "assert os.wait()[1] == 0");
}

TEST_F(FcntlMount, SqliteCountsToTwoHundredFromFourProcesses) {
  sh("sqlite3 db 'create table t(n); insert into t values(0);'");
  sh("for p in 1 2 3 4; do (for i in $(seq 50); do"
     " sqlite3 -cmd '.timeout 60000' db 'update t set n = n + 1;' || exit 1; done) & done;"
     "for p in 1 2 3 4; do wait -n || exit 1; done; [ $(sqlite3 db 'select n from t') = 200 ]");
}

TEST_F(FcntlMount, AWaiterOutlivesAnotherCloseOfItsProcess) {
  sh(": > db");
  const SessionId other = m().door().foreign_session();
  server::LockRequest foreign = foreign_lock(ino_of("/db"), 1);
  foreign.space = tree::LockSpace::kPosix;
  m().door().inject_foreign(foreign, other);
  const pid_t p = m().start(
      "cat > $T/p.py <<'END'\nimport fcntl, os, threading, time\n"
      "f = open('db', 'r+b')\n"
      "def wait():\n"
      "  fcntl.lockf(f, fcntl.LOCK_EX)\n"
      "  fcntl.lockf(f, fcntl.LOCK_UN)\n"
      "t = threading.Thread(target=wait)\n"
      "t.start()\n"
      "while not os.path.exists('go'): time.sleep(0.01)\n"
      "open('db', 'r+b').close()\n"
      "open('closed', 'w').close()\n"
      "t.join()\n"
      "END\nexec python3 $T/p.py");
  ASSERT_TRUE(m().drive_until([&] { return waiting_on("/db") == 1; }));
  sh(": > go");
  ASSERT_TRUE(m().drive_until([&] { return m().data("/closed").has_value(); }));
  m().door().expire(other);
  EXPECT_EQ(m().finish(p).status, 0);
  EXPECT_TRUE(m().drive_until([&] { return locks_on("/db") == 0; }, std::chrono::seconds(3)));
}

TEST_F(FcntlMount, AChildsLastCloseOfAnInheritedFileLeavesTheParentsLocks) {
  python(
      "import time\n"
      "open('db', 'w').close()\n"
      "a = os.open('db', os.O_RDONLY)\n"
      "r, w = os.pipe()\n"
      "if os.fork() == 0:\n"
      "  os.close(w)\n"
      "  os.read(r, 1)\n"
      "  os._exit(0)\n"
      "os.close(a)\n"
      "b = open('db', 'r+b')\n"
      "fcntl.lockf(b, fcntl.LOCK_EX)\n"
      "os.close(w)\n"  // the child ends, its copy of `a` is closed
      "os.wait()\n"
      "if os.fork() == 0:\n"
      "  g = open('db', 'r+b')\n"
      "  try:\n"
      "    fcntl.lockf(g, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
      "    os._exit(1)\n"
      "  except BlockingIOError:\n"
      "    os._exit(0)\n"
      "assert os.wait()[1] == 0, 'two hold the lock'");
}

TEST_F(FcntlMount, ACloseOfWhatIsOpenForReadingGivesThemFree) {
  python(
      "f = open('db', 'w+b')\n"
      "fcntl.lockf(f, fcntl.LOCK_EX, 10, 0)\n"
      "open('db', 'rb').close()\n"
      "if os.fork() == 0:\n"
      "  g = open('db', 'r+b')\n"
      "  fcntl.lockf(g, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 0)\n"
      "  os._exit(0)\n"
      "assert os.wait()[1] == 0");
}

TEST_F(LockMount, ALockGoesThoughItsFileWasRenamedOverAnother) {
  const pid_t holder = m().start(
      ": > a; : > b; exec 3< a; flock 3; : > $T/held; until [ -e $T/go ]; do sleep 0.01; done;"
      " mv a b; exec 3<&-; : > done");
  ASSERT_TRUE(m().drive_until([&] { return locks_on("/a") == 1; }));
  const pid_t waiter = m().start("exec 4< a; flock -w 5 4 && echo got");
  ASSERT_TRUE(m().drive_until([&] { return waiting_on("/a") == 1; }));
  const pid_t go = m().start(": > $T/go");
  m().finish(go);
  EXPECT_EQ(m().finish(holder).status, 0);
  EXPECT_EQ(m().finish(waiter).out, "got\n");
  m().drive_until([&] { return m().door().tree().locked().empty(); }, std::chrono::seconds(2));
  EXPECT_EQ(m().door().tree().locked().size(), 0U);
}

TEST_F(FcntlMount, WhatWasWrittenUnderALostLockIsToldAtClose) {
  expect_lost_lock_told("lockf");
}

TEST_F(LockMount, WhatWasWrittenUnderALockIsThereOnceItIsGivenFree) {
  sh("echo 0 > job; cat > $T/p.py <<'END'\nimport fcntl, os, subprocess\n"
     "f = os.open('job', os.O_WRONLY | os.O_TRUNC)\n"
     "fcntl.flock(f, fcntl.LOCK_EX)\n"
     "os.write(f, b'1\\n')\n"
     "fcntl.flock(f, fcntl.LOCK_UN)\n"
     "got = subprocess.run(['flock', 'job', 'cat', 'job'], stdout=subprocess.PIPE).stdout\n"
     "assert got == b'1\\n', got\n"
     "END\npython3 $T/p.py");
}

TEST_F(LockMount, WhoIsGrantedByASnapshotReadsWhatItHolds) {
  sh("echo old > job");
  const SessionId other = m().door().foreign_session();
  m().door().inject_foreign(foreign_lock(ino_of("/job"), 1), other);
  const pid_t waiter = m().start("exec 3< job; flock 3; cat <&3");
  ASSERT_TRUE(m().drive_until([&] { return waiting_on("/job") == 1; }));
  m().door().catch_up_by_snapshot(
      {server::SetDataRequest{{ino_of("/job"), {}}, Blob("new\n"), server::kAnyVersion},
       server::CloseSessionRequest{}},
      other);
  EXPECT_EQ(m().finish(waiter).out, "new\n");
}

TEST_F(LockMount, AKilledExclusiveCreatorOfAnEphemeralLeavesNoSession) {
  sh(": > x");
  const std::size_t before = m().door().tree().sessions().size();
  m().pause(true);
  const pid_t p = m().start("set -C; echo x > me@eph=fd");
  m().drive_until([&] { return m().door().pending() != 0; });
  ::kill(p, SIGKILL);
  m().finish(p);
  m().pause(false);
  m().drive_until([&] { return m().door().pending() == 0; });
  EXPECT_TRUE(m().drive_until([&] { return m().door().tree().sessions().size() == before; },
                              std::chrono::seconds(2)));
}

}  // namespace
}  // namespace zkfs::test
