// SPDX-License-Identifier: Apache-2.0
// A mount that shows a subtree as the whole: option root=.
#include "tests/mount/local_mount.h"

namespace zkfs::test {
namespace {

class RootOption : public MountTest {
 protected:
  void SetUp() override {
    MountTest::SetUp();
    if (!IsSkipped()) with("root=/apps/one", true);
  }

  tree::Outcome foreign(server::Operation operation) {
    return m().door().inject_foreign(std::move(operation));
  }

  static server::CreateRequest directory(const std::string& path) {
    return {.target = {{}, path},
            .data = {},
            .acl = tree::open_acl(),
            .type = tree::NodeType::kPersistent,
            .kind = tree::NodeKind::kDirectory};
  }

  void make_root() {
    foreign(directory("/apps"));
    foreign(directory("/apps/one"));
  }
};

TEST_F(RootOption, IsTheWholeThatIsSeen) {
  make_root();
  sh("mkdir d; echo x > d/f; echo y > g; ln -s d/f l; mv g d/g; [ \"$(ls)\" = \"d\nl\" ]; cat l");
  EXPECT_EQ(m().data("/apps/one/d/f"), "x\n");
  EXPECT_EQ(m().data("/apps/one/d/g"), "y\n");
}

TEST_F(RootOption, IsAnEmptyDirectoryUntilItExists) {
  sh("[ -z \"$(ls -A)\" ]; ! mkdir d 2>$T/e; grep -q 'No such file' $T/e; [ -e .zkfs/role ]");
  make_root();
  sh("mkdir d; [ \"$(ls)\" = d ]");
}

TEST_F(RootOption, PathsBeginThere) {
  make_root();
  EXPECT_EQ(sh("mkdir d; echo x > d/f; getfattr --only-values -n user.zk.path d/f; echo;"
               "getfattr --only-values -n user.zk.path ."),
            "/d/f\n/");
}

TEST_F(RootOption, LocksAreListedByTheirPathsThere) {
  make_root();
  sh("mkdir d; exec 3> d/job; flock 3; [ \"$(ls .zkfs/locks)\" = d ]; grep -q held "
     ".zkfs/locks/d/job");
}

TEST_F(RootOption, DotDotStaysThere) {
  make_root();
  sh("mkdir d; cd d; ls ..; [ \"$(ls ..)\" = d ]; [ -e ../.zkfs/role ]");
}

TEST_F(RootOption, ChangesMadeElsewhereWakeWatchersThere) {
  make_root();
  const pid_t watcher = m().start(
      "timeout 20 inotifywait -e create . > $T/events 2> $T/said & "
      "until grep -q established $T/said; do sleep 0.01; done; : > $T/ready; wait");
  ASSERT_TRUE(m().drive_until([&] { return m().run("[ -e $T/ready ]").status == 0; }));
  foreign(directory("/apps/one/new"));
  m().finish(watcher);
  EXPECT_EQ(sh("cat $T/events"), "./ CREATE,ISDIR new\n");
}

TEST_F(RootOption, WhatMovesInOrOutAppearsAndDisappears) {
  make_root();
  foreign(directory("/apps/other"));
  foreign(directory("/apps/other/d"));
  foreign(server::RenameRequest{.source = {{}, "/apps/other/d"}, .target = {{}, "/apps/one/d"}});
  EXPECT_EQ(sh("ls"), "d\n");
  foreign(server::RenameRequest{.source = {{}, "/apps/one/d"}, .target = {{}, "/apps/other/d"}});
  EXPECT_EQ(sh("ls"), "");
}

TEST_F(RootOption, GoesOnUnderAnotherNameWhenItIsMoved) {
  make_root();
  sh("echo x > f");
  foreign(server::RenameRequest{.source = {{}, "/apps/one"}, .target = {{}, "/apps/two"}});
  EXPECT_EQ(sh("cat f; getfattr --only-values -n user.zk.path f"), "x\n/f");
}

TEST_F(RootOption, MustBeAPath) {
  mount::MountOptions options;
  EXPECT_FALSE(mount::parse_mount_options("root=app", options));
  EXPECT_FALSE(mount::parse_mount_options("root=/app/", options));
}

}  // namespace
}  // namespace zkfs::test
