// SPDX-License-Identifier: Apache-2.0
#include "tests/mount/local_mount.h"

namespace zkfs::test {
namespace {

class Xattr : public MountTest {};

TEST_F(Xattr, AreListedWithTheirValues) {
  const std::string text = sh("echo v > f; echo w > f; getfattr -d f 2>/dev/null");
  EXPECT_NE(text.find("user.zk.dataVersion=\"1\""), std::string::npos) << text;
  EXPECT_NE(text.find("user.zk.path=\"/f\""), std::string::npos);
  EXPECT_NE(text.find("user.zk.ephemeralOwner=\"0x0\""), std::string::npos);
  EXPECT_NE(text.find("user.zk.kind=\"file\""), std::string::npos);
}

TEST_F(Xattr, ReadOnlyOnesCannotBeSet) {
  sh("touch f; ! setfattr -n user.zk.cZxid -v 1 f 2>$T/e || exit; grep -q 'not permitted' $T/e;"
     "! setfattr -x user.zk.cZxid f 2>$T/e || exit; grep -q 'not permitted' $T/e");
}

TEST_F(Xattr, UnknownOnesAndOtherNamespaces) {
  sh("touch f; ! getfattr -n user.zk.nothing f 2>$T/e || exit; grep -q 'No such attribute' $T/e;"
     "! setfattr -n user.other -v 1 f 2>$T/e || exit; grep -q 'not supported' $T/e;"
     "! setfattr -n trusted.x -v 1 f 2>$T/e || exit; grep -q 'not supported' $T/e");
}

TEST_F(Xattr, AclIsWritable) {
  EXPECT_EQ(sh("touch f; setfattr -n user.zk.acl -v world:anyone:r,user:1000:cdrwa f;"
               "stat -c '%a %u' f; getfattr --only-values -n user.zk.acl f"),
            "644 1000\nworld:anyone:r,user:1000:cdrwa");
  sh("! setfattr -n user.zk.acl -v nonsense f 2>$T/e || exit; grep -q 'Invalid argument' $T/e");
}

TEST_F(Xattr, KindTurnsAFileIntoADirectoryAndBack) {
  sh("echo v > f; setfattr -n user.zk.kind -v directory f; [ -d f ]; cat f/.@data | grep v;"
     "setfattr -n user.zk.kind -v file f; [ -f f ]; touch g; ! setfattr -n user.zk.kind -v x g "
     "2>/dev/null");
}

TEST_F(Xattr, ChmodKeepsForeignSchemes) {
  sh("touch f; setfattr -n user.zk.acl -v user:0:cdrwa,digest:bob:hash=:r f; chmod 600 f;"
     "getfattr --only-values -n user.zk.acl f | grep -q digest:bob:hash=:r");
}

TEST_F(Xattr, ASymbolicLinkListsNone) {
  EXPECT_EQ(sh("ln -s f l; getfattr -h -d l; python3 -c 'import os\nprint(os.listxattr(\"l\", "
               "follow_symlinks=False))'"),
            "[]\n");
}

TEST_F(Xattr, SizeIsAskedForFirst) {
  sh("touch f; python3 -c 'import os\nassert os.getxattr(\"f\", \"user.zk.name\") == b\"f\"\n"
     "assert \"user.zk.stat\" in os.listxattr(\"f\")'");
}

}  // namespace
}  // namespace zkfs::test
