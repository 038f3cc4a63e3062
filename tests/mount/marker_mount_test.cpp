// SPDX-License-Identifier: Apache-2.0
// Names that create: contract section 3.
#include "tests/mount/local_mount.h"

namespace zkfs::test {
namespace {

class Markers : public MountTest {};

TEST_F(Markers, SequentialNamesCount) {
  EXPECT_EQ(sh("mkdir q; echo a > q/job-@seq; echo b > q/job-@seq; ls q; cat q/*"),
            "job-0000000000\njob-0000000001\na\nb\n");
}

TEST_F(Markers, SequentialEntryIsNeverSeenEmpty) {
  sh("mkdir q; echo payload > q/job-@seq");
  EXPECT_EQ(m().versions("/q/job-0000000000"), 1);
}

TEST_F(Markers, TheMarkerNameItselfNeverExists) {
  sh("echo a > job-@seq; [ ! -e job-@seq ]; ! cat job-@seq 2>/dev/null || exit; ! rm job-@seq "
     "2>/dev/null");
}

TEST_F(Markers, ManyAtOnceGetNamesOfTheirOwn) {
  sh("mkdir q; for i in $(seq 20); do echo $i > q/j@seq & done; wait;"
     "[ $(ls q | wc -l) = 20 ] && [ $(cat q/* | sort -u | wc -l) = 20 ]");
}

TEST_F(Markers, ExclusiveSequentialCreateAlwaysSucceeds) {
  sh("set -o noclobber; echo a > j@seq && echo b > j@seq && [ $(ls | wc -l) = 2 ]");
}

TEST_F(Markers, WorkWithMkdirSymlinkTouchCopyAndMove) {
  EXPECT_EQ(sh("echo v > f; mkdir d@seq; ln -s f l@seq; touch t@seq; cp f c@seq; mv f m@seq; ls"),
            "c0000000004\nd0000000001\nl0000000002\nm0000000005\nt0000000003\n");
}

TEST_F(Markers, EphemeralBelongsToTheMountsSession) {
  sh("echo x > me@eph; getfattr --only-values -n user.zk.type me | grep -q ephemeral;"
     "getfattr --only-values -n user.zk.owner me | grep -q 'node 1 mount'");
  const auto znode = m().door().tree().find_path("/me");
  ASSERT_TRUE(znode);
  m().door().expire(znode->stat.ephemeral_owner);
  EXPECT_FALSE(m().data("/me"));
}

TEST_F(Markers, EphemeralIsUpdatedByItsOwnSessionOnly) {
  sh("echo a > me@eph && echo b > me@eph && [ $(cat me) = b ]; echo p > persistent;"
     "! { echo c > persistent@eph; } 2>$T/e || exit; grep -q exists $T/e; [ $(cat persistent) = p "
     "]");
}

TEST_F(Markers, EphemeralsHaveNoChildren) {
  sh("echo a > me@eph; ! mkdir me/child 2>$T/e || exit; grep -q 'Not a directory' $T/e");
}

TEST_F(Markers, CombineInAnyOrder) {
  sh("echo a > m-@seq@eph; echo b > n-@eph@seq; ls");
  for (const char* path : {"/m-0000000000", "/n-0000000001"}) {
    const auto znode = m().door().tree().find_path(path);
    ASSERT_TRUE(znode) << path;
    EXPECT_EQ(znode->type, tree::NodeType::kEphemeral);
  }
}

TEST_F(Markers, TtlAndContainer) {
  sh("echo a > cache@ttl=30s; mkdir pool@container; [ -d pool ];"
     "[ $(getfattr --only-values -n user.zk.ttl cache) = 30000 ]");
  EXPECT_EQ(m().door().tree().find_path("/pool")->type, tree::NodeType::kContainer);
}

TEST_F(Markers, MoveKeepsTheAclToo) {
  m().door().inject_foreign(
      server::CreateRequest{.target = {{}, "/n"}, .data = Blob("x"), .acl = tree::open_acl()});
  EXPECT_EQ(sh("mv n n@ttl=1h; stat -c %a n; echo > f; chmod 640 f; mv f g-@seq@ttl=1h;"
               "stat -c %a g-*; getfattr --only-values -n user.zk.acl n"),
            "666\n640\nworld:anyone:cdrwa");
}

TEST_F(Markers, BadArgumentsAreInvalidAndUnknownWordsAreNames) {
  sh("! { echo x > a@ttl=soon; } 2>$T/e || exit; grep -q 'Invalid argument' $T/e; echo x > "
     "user@host;"
     "[ -f user@host ] && [ $(ls | wc -l) = 1 ]");
}

TEST_F(Markers, AnEphemeralOfAProcessGoesWithIt) {
  sh("mkdir m; bash -c 'echo x > m/me@eph=$$; [ -e m/me ]; :'; until [ -z \"$(ls m)\" ]; do :; "
     "done");
}

TEST_F(Markers, AnEphemeralOfAKilledProcessGoesWithIt) {
  sh("sleep 1000 & p=$!; echo x > me@eph=$p; [ -e me ]; kill -9 $p; until [ ! -e me ]; do :; done");
}

TEST_F(Markers, AProcessHasOneSessionForAllItsEphemerals) {
  sh("mkdir d; for i in 1 2 3; do echo $i > d/m-@seq@eph=$$; done; ln -s x l@eph=$$; mkdir "
     "e@eph=$$;"
     "[ $(getfattr --only-values -n user.zk.ephemeralOwner d/* e 2>/dev/null |"
     " sed 's/0x/\\n0x/g' | sort -u | grep -c .) = 1 ];"
     "getfattr --only-values -n user.zk.owner d/m-0000000000 | grep -q \"pid $$ bash\"");
  EXPECT_TRUE(m().drive_until([&] { return m().door().tree().sessions().size() == 1; }));
}

TEST_F(Markers, AnEphemeralOfAProcessIsUpdatedInItsName) {
  sh("echo a > me@eph=$$; echo b > me@eph=$$; [ $(cat me) = b ]; sleep 1000 & p=$!;"
     "! { echo c > me@eph=$p; } 2>/dev/null || exit; ! { echo c > me@eph; } 2>/dev/null || exit; "
     "kill $p;"
     "[ $(cat me) = b ]");
}

TEST_F(Markers, AnEphemeralOfAProcessThatIsNotThereIsInvalid) {
  sh("sh -c 'exit' & p=$!; wait $p; ! { echo x > me@eph=$p; } 2>$T/e || exit; grep -q Invalid "
     "$T/e; ! ls "
     "me");
}

TEST_F(Markers, WhatAnOwnerWritesAfterHisSessionEndedIsRefused) {
  const pid_t script = m().start(
      "exec 3> me@eph=$$; echo a >&3; : > made; until [ -e lost ]; do sleep 0.01; done;"
      "! echo b >&3 2>$T/e; grep -q 'Input/output' $T/e");
  ASSERT_TRUE(m().drive_until([&] { return m().data("/made").has_value(); }));
  ASSERT_TRUE(m().drive_until([&] { return m().door().tree().find_path("/me").has_value(); }));
  m().door().expire(m().door().tree().find_path("/me")->stat.ephemeral_owner);
  sh(": > lost");
  const Ran ran = m().finish(script);
  EXPECT_EQ(ran.status, 0) << ran.out;
}

TEST_F(Markers, AProcessThatLostItsSessionBeginsAnotherWithItsNextEphemeral) {
  const pid_t script = m().start(
      "echo a > me@eph=$$; : > made; until [ -e lost ]; do sleep 0.01; done; [ ! -e me ] || exit 2;"
      "echo b > me@eph=$$ || exit 3; [ \"$(cat me)\" = b ] || exit 4; echo c > me@eph=$$ || exit 5;"
      "[ \"$(cat me)\" = c ]");
  ASSERT_TRUE(m().drive_until([&] { return m().data("/made").has_value(); }));
  m().door().expire(m().door().tree().find_path("/me")->stat.ephemeral_owner);
  sh(": > lost");
  const Ran ran = m().finish(script);
  EXPECT_EQ(ran.status, 0) << ran.out;
  EXPECT_TRUE(m().drive_until([&] { return !m().data("/me"); }));
}

TEST_F(Markers, AnEphemeralOfAnOpenFileGoesWithItsLastClose) {
  sh("exec 3> me@eph=fd; echo x >&3; until [ -e me ]; do :; done; sleep 1000 & p=$!; exec 3>&-;"
     "[ -e me ]; kill $p; until [ ! -e me ]; do :; done; echo x > other@eph=fd;"
     "until [ ! -e other ]; do :; done");
  EXPECT_TRUE(m().drive_until([&] { return m().door().tree().sessions().size() == 1; }));
}

TEST_F(Markers, AnEphemeralOfAnOpenFileNeedsOne) {
  sh("! mkdir d@eph=fd 2>/dev/null || exit; ! ln -s x l@eph=fd 2>/dev/null || exit; [ -z \"$(ls)\" "
     "]");
}

TEST_F(Markers, AProcessIsMeantAsItsCallerNumbersIt) {
  sh("unshare --fork --pid --mount-proc bash -c '[ $$ = 1 ]; echo x > me@eph=$$; [ -e me ]; "
     "getfattr --only-values -n user.zk.owner me | grep -qv \"pid 1 \"';"
     "until [ ! -e me ]; do :; done");
}

TEST_F(Markers, APidThatTheCallersNamespaceDoesNotKnowIsInvalid) {
  sh("unshare --fork --pid --mount-proc bash -c '! { echo x > me@eph=4711; } 2>$T/e;"
     " grep -q Invalid $T/e'; [ -z \"$(ls)\" ]");
}

TEST_F(Markers, EphemeralsOfAProcessAreMadeByTouchCopyMoveAndAppend) {
  sh("mkdir d; sleep 1000 & p=$!; touch d/t@eph=$p; cp /etc/hostname d/c@eph=$p; echo v > v;"
     "mv v d/m@eph=$p; echo a >> d/a-@seq@eph=$p; mkdir d/d@eph=$p; [ $(ls d | wc -l) = 5 ];"
     "[ ! -e v ]; [ $(cat d/m) = v ]; kill $p; until [ -z \"$(ls d)\" ]; do :; done");
}

TEST_F(Markers, AnEphemeralOfAnOpenFileIsThereBeforeItIsWritten) {
  sh("exec 3> me@eph=fd; until [ -e me ]; do :; done; [ ! -s me ]; echo x >&3; [ $(cat me) = x ];"
     "exec 3>&-; until [ ! -e me ]; do :; done");
}

// What the marker made keeps its inode: a look-up by another must not orphan the descriptor.
TEST_F(Markers, TheNameInTheDescriptorSurvivesALookUp) {
  with("", true);
  EXPECT_EQ(
      sh("mkdir q; exec 7> q/j-@seq;"
         "until n=$(readlink /proc/$$/fd/7); [ \"${n##*/}\" != j-@seq ]; do :; done;"
         "ls -l q > /dev/null; cat q/j-0000000000; n=$(readlink /proc/$$/fd/7); echo ${n##*/}"),
      "j-0000000000\n");
}

TEST_F(Markers, TheDescriptorTellsTheName) {
  EXPECT_EQ(
      sh("exec 3> j-@seq; getfattr --only-values -n user.zk.name /proc/self/fd/3 2>/dev/null"),
      "j-0000000000");
}

TEST_F(Markers, ADescriptorLeftOpenIsMadeAndRenamed) {
  with("", true);
  EXPECT_EQ(sh("mkdir q; exec 3> q/j-@seq;"
               "until n=$(readlink /proc/$$/fd/3); [ \"${n##*/}\" != j-@seq ]; do :; done;"
               "echo ${n##*/}; echo data >&3; cat $n"),
            "j-0000000000\ndata\n");
}

// The shell opens it under another number first, and flushes as it moves it.
TEST_F(Markers, ADescriptorThatWasMovedIsMadeToo) {
  with("", true);
  EXPECT_EQ(sh("mkdir q; exec 7> q/j-@seq;"
               "until n=$(readlink /proc/$$/fd/7); [ \"${n##*/}\" != j-@seq ]; do :; done;"
               "echo ${n##*/}"),
            "j-0000000000\n");
}

TEST_F(Markers, ASlowWriterIsNotSeenEmpty) {
  for (const char* shell : {"bash", "dash"}) {
    // The consumer ends with what it first finds.
    const pid_t consumer =
        m().start("mkdir -p q; until [ \"$(ls q)\" ]; do :; done; cat q/*; rm q/*");
    m().run("mkdir -p q; (sleep 0.2; echo payload) > q/job-@seq", shell);
    EXPECT_EQ(m().finish(consumer).out, "payload\n") << shell;
  }
}

TEST_F(Markers, RenamedEntryIsTheFile) {
  with("", true);
  sh("mkdir q; exec 3<> q/j-@seq; echo data >&3; cat q/j-0000000000 | grep data; ls q");
}

}  // namespace
}  // namespace zkfs::test
