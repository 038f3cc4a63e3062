// SPDX-License-Identifier: Apache-2.0
// Owners and permissions with real users, on a mount with allow_other: contract section 8. Scripts
// run as root; `as UID` becomes somebody else.
#include "tests/mount/local_mount.h"

namespace zkfs::test {
namespace {

class Permissions : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (IsSkipped()) return;
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, to become other users";
    with("allow_other");
  }

  // $T/said has what the last `denied` command complained about.
  std::string users(const std::string& script) {
    return sh(
        "as() { local u=$1; shift; setpriv --reuid=$u --regid=$u --clear-groups \"$@\"; }\n"
        "in_group() { local u=$1 g=$2; shift 2; setpriv --reuid=$u --regid=$u --groups=$g \"$@\"; "
        "}\n"
        "denied() { local why=$1; shift; ! \"$@\" > $T/said 2>&1 && grep -q \"$why\" $T/said; }\n" +
        script);
  }
};

TEST_F(Permissions, WhatAUserMakesIsHisWithHisUmask) {
  EXPECT_EQ(users("as 1000 sh -c 'umask 022; mkdir d; echo x > d/f; umask 077; echo y > d/g';"
                  "stat -c '%A %u %g %n' d d/f d/g;"
                  "getfattr --only-values -n user.zk.acl d; echo;"
                  "getfattr --only-values -n user.zk.acl d/g; echo"),
            "drwxr-xr-x 1000 1000 d\n"
            "-rw-r--r-- 1000 1000 d/f\n"
            "-rw------- 1000 1000 d/g\n"
            "user:1000:cdrwa,group:1000:r,world:anyone:r\n"
            "user:1000:cdrwa,group:1000:\n");
}

TEST_F(Permissions, OthersMayReadWhatTheWorldMayAndChangeNothing) {
  users(
      "as 1000 sh -c 'umask 022; mkdir d; echo x > d/f'; [ \"$(as 1001 cat d/f)\" = x ];"
      "for c in 'echo y > d/f' 'echo y >> d/f' 'echo z > d/g' 'rm d/f' 'mkdir d/x' 'touch d/f'"
      " 'mv d/f d/h' 'mv d/f .' 'ln -s f d/l' 'truncate -s 0 d/f'; do"
      " denied 'Permission denied' as 1001 sh -c \"$c\" || { echo \"allowed: $c\"; exit 1; }; done;"
      "[ \"$(cat d/f)\" = x ]");
}

TEST_F(Permissions, ReadIsGoneWhenTheWorldMayNot) {
  users(
      "as 1000 sh -c 'umask 077; mkdir d; echo x > d/f; chmod 755 d';"
      "denied 'Permission denied' as 1001 cat d/f; as 1000 chmod 604 d/f; as 1001 cat d/f;"
      "as 1000 chmod 711 d; denied 'Permission denied' as 1001 ls d;"
      "denied 'Permission denied' as 1001 cat d/f");
}

TEST_F(Permissions, AGroupMayWhatItsBitsSay) {
  users(
      "as 1000 sh -c 'umask 027; mkdir d; echo x > d/f'; in_group 1001 1000 cat d/f;"
      "denied 'Permission denied' in_group 1001 1000 sh -c 'echo y > d/f';"
      "as 1000 chmod g+w d d/f; in_group 1001 1000 sh -c 'echo y > d/f; echo n > d/new; rm d/f';"
      "denied 'Permission denied' as 1001 cat d/new");
}

TEST_F(Permissions, OnlyTheOwnerChangesModeAndAcl) {
  users(
      "as 1000 sh -c 'echo x > f; chmod 666 f';"
      "denied 'Operation not permitted' as 1001 chmod 600 f;"
      "denied 'Operation not permitted' as 1001 setfattr -n user.zk.acl -v world:anyone:r f;"
      "as 1000 setfattr -n user.zk.acl -v user:1000:cdrwa f; [ $(stat -c %a f) = 600 ]");
}

TEST_F(Permissions, OnlyRootGivesFilesAway) {
  users(
      "as 1000 sh -c 'echo x > f'; denied 'Operation not permitted' as 1000 chown 1001 f;"
      "chown 1001:1002 f; [ \"$(stat -c '%u %g' f)\" = '1001 1002' ]; as 1001 chmod 600 f;"
      "denied 'Permission denied' as 1000 cat f");
}

// The kernel sees a new file and asks only for the directory.
TEST_F(Permissions, AMarkersNameOpensNothingThatTheModeForbids) {
  users(
      "chmod 777 .; umask 077; echo secret > me@eph; for how in '3<>' '3>' '3>>'; do"
      " denied 'Permission denied' as 1001 bash -c \"exec $how me@eph\"; done; chmod 646 me;"
      "as 1001 bash -c 'echo mine > me@eph'; [ \"$(cat me)\" = mine ]");
}

// Rights are asked for at open: cp -p, tar and git write what is read-only by its close.
TEST_F(Permissions, WhatIsReadOnlyByItsCloseIsStored) {
  users(
      "chmod 777 .; as 1000 sh -c 'umask 377; { echo a; echo b; } > f; cp -p f g';"
      "[ $(stat -c %a f) = 400 ]; [ $(wc -l < f) = 2 ]; [ $(wc -l < g) = 2 ];"
      "denied 'Permission denied' as 1000 sh -c 'echo more >> f';"
      "as 1000 sh -c 'umask 077; exec 3>h; echo a >&3; chmod 400 h; echo b >&3';"
      "[ $(wc -l < h) = 2 ]");
}

TEST_F(Permissions, RootMayEverything) {
  users("as 1000 sh -c 'umask 777; mkdir d; echo x > f'; cat f; ls d; echo y > f; rm f; rmdir d");
}

TEST_F(Permissions, TheEnsembleRefusesWhatTheKernelDidNotAsk) {
  // The kernel checks against what it has just been told; the leader against the newest state.
  users(
      "as 1000 sh -c 'umask 022; mkdir d; exec 3<d; : > ready; until [ -e go ]; do :; done;"
      " echo x > d/f' & until [ -e ready ]; do :; done; chown 0 d; : > go; ! wait $!");
}

TEST_F(Permissions, TheExecuteBitIsKeptAndProgramsDoNotRunByDefault) {
  users(
      "printf '#!/bin/sh\\n' > s; chmod 755 s; [ $(stat -c %a s) = 755 ];"
      "denied 'Permission denied' ./s; chmod a-x s; [ $(stat -c %a s) = 644 ]");
}

TEST_F(Permissions, ProgramsRunWithTheOptionExec) {
  with("allow_other,exec");
  users("printf '#!/bin/sh\\necho ran\\n' > s; chmod 755 s; [ $(./s) = ran ]");
}

TEST_F(Permissions, EphemeralsAreBoundToOnesOwnProcessesOnly) {
  users(
      "mkdir -m 777 d; sleep 1000 & p=$!; denied 'not permitted' as 1000 sh -c \"echo x > "
      "d/a@eph=$p\";"
      "as 1000 sh -c 'echo x > d/b@eph=$$; [ -e d/b ]'; setpriv --reuid=1000 --regid=1000 "
      "--clear-groups sleep 1000 & q=$!; until [ $(stat -c %u /proc/$q) = 1000 ]; do :; done;"
      "echo x > d/c@eph=$q; [ -e d/c ]; kill $p $q");
}

TEST_F(Permissions, PosixAclsAreNotSupported) {
  users(
      "echo x > f; denied 'not supported' setfattr -n system.posix_acl_access -v"
      " 0x0200000001000600ffffffff04000400ffffffff20000400ffffffff f;"
      "denied 'not supported' getfattr -n system.posix_acl_access f");
}

TEST_F(Permissions, WithoutAllowOtherNobodyElseEnters) {
  with("");
  users(
      "echo x > f; denied 'Permission denied' as 1000 cat f; denied 'Permission denied' as 1000 "
      "ls");
}

TEST_F(Permissions, AnUnknownSchemeIsKeptThroughChmod) {
  users(
      "echo x > f; setfattr -n user.zk.acl -v user:0:cdrwa,digest:bob:hash=:r f; chmod 640 f;"
      "getfattr --only-values -n user.zk.acl f | grep -q digest:bob:hash=:r;"
      "[ $(stat -c %a f) = 640 ]");
}

}  // namespace
}  // namespace zkfs::test
