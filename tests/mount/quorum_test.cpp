// SPDX-License-Identifier: Apache-2.0
// What happens without a quorum, and to whoever waits: contract section 6.
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "tests/mount/local_mount.h"

namespace zkfs::test {
namespace {

using std::chrono::milliseconds;

class Quorum : public MountTest {};

TEST_F(Quorum, ChangesFailReadOnlyAfterTimeo) {
  with("timeo=200ms");
  sh("echo v > f; mkdir d");
  m().set_quorum(false);
  for (const char* change : {"echo x > f", "echo x > new", "mkdir e", "rmdir d", "rm f", "mv f g",
                             "touch f", "set -o noclobber; echo x > new", "chmod 600 f"}) {
    const Ran ran = m().run(std::string("{ ") + change + "; } 2>&1");
    EXPECT_NE(ran.status, 0) << change;
    EXPECT_NE(ran.out.find("Read-only file system"), std::string::npos) << change << ran.out;
  }
}

TEST_F(Quorum, ReadsGoOn) {
  sh("echo v > f; mkdir d; ln -s f l");
  m().set_quorum(false);
  EXPECT_EQ(sh("cat f; ls; readlink l; stat -c %s f; cat .zkfs/role"),
            "v\nd\nf\nl\nf\n2\nleading\n");
  sh("getfattr -n user.zk.stale f > /dev/null");
}

TEST_F(Quorum, StrictReadsFail) {
  with("quorum_loss=strict");
  sh("echo v > f");
  m().set_quorum(false);
  sh("! cat f 2>$T/e || exit; grep -q 'Input/output error' $T/e; cat .zkfs/role");
  m().set_quorum(true);
  sh("cat f");
}

TEST_F(Quorum, OpenWaitsForTheElection) {
  sh("echo old > f");
  m().set_quorum(false);
  const pid_t pid = m().start("echo x > f");
  EXPECT_FALSE(m().drive_until([&] { return m().data("/f") != "old\n"; }, milliseconds(200)));
  m().set_quorum(true);
  EXPECT_EQ(m().finish(pid).status, 0);
  EXPECT_EQ(m().data("/f"), "x\n");
}

TEST_F(Quorum, ACreateWaitsInItsFirstWrite) {
  m().set_quorum(false);
  const pid_t pid = m().start("echo x > f");
  EXPECT_FALSE(m().drive_until([&] { return m().data("/f").has_value(); }, milliseconds(200)));
  m().set_quorum(true);
  EXPECT_EQ(m().finish(pid).status, 0);
  EXPECT_EQ(m().data("/f"), "x\n");
}

TEST_F(Quorum, QuorumLostBetweenOpenAndCloseIsWaitedOut) {
  const pid_t pid = m().start(
      "exec 3>f; python3 -c 'import os, time\nos.write(3, b\"x\"); open(os.environ[\"T\"] + "
      "\"/written\", \"w\")\nwhile not os.path.exists(os.environ[\"T\"] + \"/go\"): "
      "time.sleep(0.01)'; "
      "exec 3>&-; echo closed");
  const std::string base = m().path().substr(0, m().path().rfind('/'));
  EXPECT_TRUE(m().drive_until([&] { return std::filesystem::exists(base + "/written"); }));
  m().set_quorum(false);
  std::ofstream(base + "/go").close();
  EXPECT_FALSE(m().drive_until([&] { return m().data("/f").has_value(); }, milliseconds(200)));
  m().set_quorum(true);
  EXPECT_EQ(m().finish(pid).out, "closed\n");
  EXPECT_EQ(m().data("/f"), "x");
  EXPECT_EQ(m().versions("/f"), 1);
}

TEST_F(Quorum, WhatANewFilesOpenerAsksOfItsNameFailsReadOnlyToo) {
  with("timeo=200ms");
  const pid_t pid = m().start(
      "python3 - <<'P'\n"
      "import errno, os, time\n"
      "f = open('f', 'w'); open(os.environ['T'] + '/opened', 'w')\n"
      "while not os.path.exists(os.environ['T'] + '/go'): time.sleep(0.01)\n"
      "for call in [lambda: os.unlink('f'), lambda: os.rename('f', 'g'), lambda: open('f'),\n"
      "             lambda: os.truncate('f', 0)]:\n"
      "    try: call()\n"
      "    except OSError as e: assert e.errno == errno.EROFS, e\n"
      "    else: raise SystemExit('not refused')\n"
      "open(os.environ['T'] + '/refused', 'w')\n"
      "P");
  const std::string base = m().path().substr(0, m().path().rfind('/'));
  const auto there = [base](const char* name) { return std::filesystem::exists(base + name); };
  ASSERT_TRUE(m().drive_until([&] { return there("/opened"); }));
  m().set_quorum(false);
  std::ofstream(base + "/go").close();
  EXPECT_TRUE(m().drive_until([&] { return there("/refused"); }));
  m().set_quorum(true);
  const Ran ran = m().finish(pid);
  EXPECT_EQ(ran.status, 0) << ran.out;
}

// The kernel itself holds a directory's lock during mkdir, unlink and rename; writers of files, new
// ones too, wait without it.
TEST_F(Quorum, WaitingWritersDoNotBlockOthers) {
  sh("mkdir d; echo v > d/f");
  m().set_quorum(false);
  const pid_t overwrites = m().start("echo w > d/f");
  const pid_t creates = m().start("echo w > d/new");
  EXPECT_FALSE(m().drive_until([] { return false; }, milliseconds(100)));
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(sh("cat d/f; ls d; [ ! -e d/new ]; [ ! -e d/other ]"), "v\nf\n");
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
  m().set_quorum(true);
  EXPECT_EQ(m().finish(overwrites).status, 0);
  EXPECT_EQ(m().finish(creates).status, 0);
  EXPECT_EQ(sh("cat d/f d/new"), "w\nw\n");
}

TEST_F(Quorum, ABlockedWriterIsKilledAtOnce) {
  with("quorum_loss=wait");
  sh("echo v > f; mkdir d");
  for (const char* change : {"exec mkdir e", "exec touch f", "exec rm f", "exec cp f h",
                             "exec mv f g", "exec cat f > h", "exec cp f h"}) {
    m().set_quorum(false);
    const pid_t pid = m().start(change);
    EXPECT_FALSE(m().drive_until([] { return false; }, milliseconds(100)));
    const auto begun = std::chrono::steady_clock::now();
    ::kill(pid, SIGKILL);
    EXPECT_EQ(m().finish(pid).status, 128 + SIGKILL) << change;
    EXPECT_LT(std::chrono::steady_clock::now() - begun, milliseconds(1500)) << change;
    m().set_quorum(true);
  }
}

TEST_F(Quorum, ACloseThatWaitsIsKilled) {
  // Held back: the request is with the ensemble when the kill comes.
  m().door().hold();
  const pid_t pid = m().start("exec dd if=/dev/zero of=f bs=1 count=1 status=none");
  EXPECT_TRUE(m().drive_until([&] { return m().data("/f").has_value(); }));
  ::kill(pid, SIGKILL);
  EXPECT_EQ(m().finish(pid).status, 128 + SIGKILL);
  m().door().release();
}

TEST_F(Quorum, AHarmlessSignalDoesNotDisturb) {
  m().door().hold();
  const pid_t pid = m().start("trap : USR1; mkdir d && echo made");
  EXPECT_TRUE(m().drive_until([&] { return m().data("/d").has_value(); }));
  ::kill(-pid, SIGURG);
  ::kill(-pid, SIGWINCH);
  EXPECT_FALSE(m().drive_until([] { return false; }, milliseconds(200)));
  m().door().release();
  const Ran ran = m().finish(pid);
  EXPECT_EQ(ran.out, "made\n");
}

TEST_F(Quorum, CommitTimeoAnswersEio) {
  with("commit_timeo=200ms");
  sh("printf v > f");
  m().door().hold();
  const Ran ran = m().run("cp /etc/hostname f 2>&1");
  EXPECT_NE(ran.status, 0);
  EXPECT_NE(ran.out.find("Input/output error"), std::string::npos) << ran.out;
  m().door().release();
}

TEST_F(Quorum, ALostSessionIsReplacedAndItsRequestsRepeated) {
  sh("echo me > me@eph");
  const auto session = m().door().tree().find_path("/me")->stat.ephemeral_owner;
  m().door().expire(session);
  EXPECT_EQ(sh("echo v > f; cat f; echo again > me@eph; cat me"), "v\nagain\n");
  EXPECT_NE(m().door().tree().find_path("/me")->stat.ephemeral_owner, session);
}

TEST_F(Quorum, SyncOfAReadDescriptorWaitsForTheEnsemble) {
  sh("echo v > f; sync f; sync .");
  m().door().hold();
  const pid_t pid = m().start("sync f");
  EXPECT_FALSE(m().drive_until([] { return false; }, milliseconds(100)));
  m().door().release();
  EXPECT_EQ(m().finish(pid).status, 0);
}

// What only a last close commits, and what may come right after it; none may see the state before.
class AfterALastClose : public MountTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(AfterALastClose, WaitsForItsCommit) {
  sh("mkdir d; echo old > f");
  m().pause(true);
  const pid_t pid = m().start(GetParam());
  EXPECT_TRUE(m().drive_until([&] { return m().door().pending() > 0; }));
  EXPECT_FALSE(m().drive_until([] { return false; }, milliseconds(50)));
  m().pause(false);
  EXPECT_EQ(m().finish(pid).out, "ok\n");
}

INSTANTIATE_TEST_SUITE_P(Quorum,
                         AfterALastClose,
                         ::testing::Values(": > f; [ -z \"$(cat f)\" ] && echo ok",
                                           ": > f; [ $(stat -c %s f) = 0 ] && echo ok",
                                           ": > d/g; [ -e d/g ] && echo ok",
                                           ": > d/g; [ \"$(ls d)\" = g ] && echo ok",
                                           ": > d/g@seq; [ -e d/g0000000000 ] && echo ok"));

TEST_F(Quorum, WhatALastCloseCommitsIsNotWaitedForWithoutAQuorum) {
  sh("echo old > f");
  m().pause(true);
  sh(": > f");
  m().set_quorum(false);
  EXPECT_EQ(sh("cat f"), "old\n");
  m().set_quorum(true);
  m().pause(false);
  EXPECT_EQ(sh("cat f"), "");
}

}  // namespace
}  // namespace zkfs::test
