// SPDX-License-Identifier: Apache-2.0
// `.@data`, `dir@data`, `leaf@dir`: contract section 1.
#include "tests/mount/local_mount.h"

namespace zkfs::test {
namespace {

class DataEntry : public MountTest {};

TEST_F(DataEntry, AlwaysResolvesAndIsListedOnlyWithData) {
  EXPECT_EQ(sh("mkdir d; cat d/.@data; ls -A d; echo v > d/.@data; ls -A d; ls d; echo d/*"),
            ".@data\nd/*\n");
  EXPECT_EQ(m().data("/d"), "v\n");
}

TEST_F(DataEntry, TheRootHasOne) {
  EXPECT_EQ(sh("echo v > .@data; cat .@data; rm .@data; cat .@data"), "v\n");
}

TEST_F(DataEntry, IsReachedFromOutside) {
  EXPECT_EQ(sh("mkdir d; echo v > d@data; cat d/.@data d@data; ls"), "v\nv\nd\n");
}

TEST_F(DataEntry, RemovingItEmptiesTheData) {
  sh("mkdir d; echo v > d/.@data; rm d/.@data; [ -d d ]");
  EXPECT_EQ(m().data("/d"), "");
}

TEST_F(DataEntry, RenamingAFileOntoItSetsIt) {
  EXPECT_EQ(sh("mkdir d; echo v > d/tmp; mv d/tmp d/.@data; cat d/.@data; ls -A d"), "v\n.@data\n");
}

TEST_F(DataEntry, MovingItAwayCopiesAndEmpties) {
  sh("mkdir d; echo v > d/.@data; mv d/.@data f 2>/dev/null; [ $(cat f) = v ]");
  EXPECT_EQ(m().data("/d"), "");
}

TEST_F(DataEntry, SurvivesCopyAndTarBothWays) {
  sh("mkdir -p d/e; echo 1 > d/.@data; echo 2 > d/e/.@data; echo 3 > d/f;"
     "cp -r d $T/out; [ $(cat $T/out/.@data) = 1 ]; cp -r $T/out d2; [ $(cat d2/e/.@data) = 2 ];"
     "tar cf $T/a.tar d; mkdir x; tar -C x -xf $T/a.tar; diff -r d x/d");
  EXPECT_EQ(m().data("/x/d"), "1\n");
}

TEST_F(DataEntry, RemoveRecursivelyWorks) {
  sh("mkdir -p d/e; echo 1 > d/.@data; echo 2 > d/e/.@data; rm -r d; [ ! -e d ]");
}

TEST_F(DataEntry, ALeafIsGivenChildrenThroughItsDirectoryAlias) {
  EXPECT_EQ(sh("echo v > leaf; echo c > leaf@dir/child; [ -d leaf ]; cat leaf/child leaf/.@data"),
            "c\nv\n");
}

TEST_F(DataEntry, AliasesAreNotNamesToCreate) {
  sh("! { echo x > nothing@dir; } 2>/dev/null || exit; ! { echo x > nothing@data; } 2>/dev/null || "
     "exit; [ -z "
     "\"$(ls -A)\" ]");
}

TEST_F(DataEntry, EditorsSaveByRenameOntoIt) {
  sh("mkdir d; echo old > d/.@data; sed -i s/old/new/ d/.@data; [ $(cat d/.@data) = new ]; [ -d d "
     "]");
}

TEST_F(DataEntry, InodeNumberDiffersFromTheDirectorys) {
  sh("mkdir d; [ $(stat -c %i d) != $(stat -c %i d/.@data) ]");
}

}  // namespace
}  // namespace zkfs::test
