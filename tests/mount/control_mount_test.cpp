// SPDX-License-Identifier: Apache-2.0
// The control directory (contract section 9) through a real mount.
#include <gtest/gtest.h>

#include "tests/mount/local_mount.h"

namespace zkfs::test {
namespace {

class ControlDirectory : public MountTest {};

TEST_F(ControlDirectory, IsThereAndNotListed) {
  EXPECT_EQ(sh("ls -A; cat .zkfs/status .zkfs/status.json"), "all is well\n{\"well\":true}\n");
}

TEST_F(ControlDirectory, ListsWhatTheContractNames) {
  EXPECT_EQ(sh("ls .zkfs | tr '\\n' ' '"),
            "config ensemble epoch leader locks log_level metrics role sessions status "
            "status.json zxid ");
}

TEST_F(ControlDirectory, CanBeRenamed) {
  with("control=.ctl");
  sh("cat .ctl/role; [ ! -e .zkfs ]; ls .ctl/ensemble");
}

TEST_F(ControlDirectory, FilesHaveTheirTrueSizeAndAreReadOnly) {
  sh("cd .zkfs; for f in $(find . -type f ! -name metrics); do"
     "  [ $(stat -c %s $f) = $(cat $f | wc -c) ] || { echo $f; exit 1; }; done;"
     "[ $(stat -c %a role) = 444 ]; [ $(stat -c %a log_level) = 644 ];"
     "[ $(stat -c %a sessions) = 555 ]");
}

TEST_F(ControlDirectory, NothingInItCanBeMadeChangedOrRemoved) {
  sh("! touch .zkfs/x 2>/dev/null || exit; ! rm .zkfs/role 2>/dev/null || exit; ! mkdir .zkfs "
     "2>/dev/null || exit;"
     "! mkdir .zkfs/sessions/x 2>/dev/null || exit; ! rmdir .zkfs/ensemble 2>/dev/null || exit;"
     "! mv .zkfs/role .zkfs/rule 2>/dev/null || exit; ! ln -s x .zkfs/y 2>/dev/null");
  sh("! { echo x > .zkfs/role; } 2>$T/e || exit; grep -q 'Permission denied' $T/e");
  sh("! { echo x > .zkfs/ensemble/1/zxid; } 2>$T/e || exit; grep -q 'Permission denied' $T/e");
}

TEST_F(ControlDirectory, NamesNobodyKnowsAreNotThere) {
  sh("for n in x ensemble/9 ensemble/01 ensemble/1/x sessions/0x99 sessions/1 role/x; do"
     "  [ ! -e .zkfs/$n ] || { echo $n; exit 1; }; done");
}

TEST_F(ControlDirectory, LogLevelIsWritable) {
  sh("echo error > .zkfs/log_level; [ $(cat .zkfs/log_level) = error ];"
     "! echo loud > .zkfs/log_level 2>/dev/null || exit; echo off > .zkfs/log_level");
}

TEST_F(ControlDirectory, ShowsTheZxidAsZooKeeperDoes) {
  EXPECT_EQ(sh("cat .zkfs/zxid"), fmt::format("{}\n", m().door().tree().last_applied()));
}

TEST_F(ControlDirectory, ShowsASessionAndWhatItOwns) {
  const std::string directory =
      fmt::format(".zkfs/sessions/{:#x}/", m().door().tree().sessions().at(0).id);
  EXPECT_EQ(sh("ls .zkfs/sessions | wc -l; cat " + directory + "owner"),
            "1\nnode 1 mount " + m().path() + "\n");
  EXPECT_EQ(sh("cd " + directory + "; cat timeout_ms watches ephemerals"), "10000\n0\n");
  EXPECT_EQ(sh("mkdir d; echo > d/a@eph; echo > b@eph; cat " + directory + "ephemerals"),
            "/d/a\n/b\n");
}

TEST_F(ControlDirectory, ASessionThatIsOverIsGone) {
  const SessionId other = m().door().foreign_session();
  const std::string name = fmt::format(".zkfs/sessions/{:#x}", other);
  const pid_t reader = m().start("exec 3< " + name +
                                 "/owner; touch $T/open; until [ -e $T/over ]; do :; done;"
                                 "cat <&3; [ ! -e " +
                                 name + " ]; stat -L -c %h /proc/self/fd/3");
  ASSERT_TRUE(m().drive_until([&] { return m().run("[ -e $T/open ]").status == 0; }));
  m().door().expire(other);
  sh("touch $T/over; ! ls " + name + " 2>/dev/null");
  const Ran ran = m().finish(reader);
  EXPECT_EQ(ran.out, "another node\n0\n") << "an open file keeps what it said";
}

TEST_F(ControlDirectory, ShowsTheMembersOfTheEnsemble) {
  EXPECT_EQ(sh("cd .zkfs/ensemble; ls; cat 2/address 2/role 2/state 2/zxid 2/latency_ms"),
            "1\n2\nhost:2888\nfollower\nin_sync\n0x100000001\n0.250\n");
}

TEST_F(ControlDirectory, WhatIsNotKnownIsEmpty) {
  EXPECT_EQ(sh("cat .zkfs/ensemble/1/latency_ms | wc -c"), "0\n");
}

TEST_F(ControlDirectory, ReadingNeedsNoQuorum) {
  with("quorum_loss=strict");
  m().set_quorum(false);
  sh("! cat nothing 2>/dev/null || exit; cd .zkfs; cat role zxid metrics config sessions/*/owner"
     " ensemble/2/address > /dev/null; find . > /dev/null");
}

TEST_F(ControlDirectory, MetricsCountRequestsAndCommits) {
  sh("echo a > f; echo b > f; mkdir d");
  const std::string text = sh("cat .zkfs/metrics");
  const std::string label = "mountpoint=\"" + m().path() + "\"";
  const auto has = [&](const std::string& line) { return text.find(line) != std::string::npos; };
  EXPECT_TRUE(has("zkfs_from_the_program 1\n")) << text;
  EXPECT_TRUE(has("zkfs_fuse_requests_total{" + label + ",operation=\"mkdir\"} 1\n")) << text;
  EXPECT_TRUE(has("zkfs_commit_seconds_count{" + label + "} 3\n")) << text;
  EXPECT_TRUE(has("zkfs_parked_requests{" + label + "} 0\n")) << text;
}

TEST_F(ControlDirectory, ConfigTellsTheOptionsInForce) {
  with("timeo=3s,commit=writer");
  const std::string text = sh("cat .zkfs/config");
  EXPECT_NE(text.find("timeo=3000ms\n"), std::string::npos) << text;
  EXPECT_NE(text.find("commit=writer\n"), std::string::npos) << text;
  EXPECT_NE(text.find("tickTime=2000\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace zkfs::test
