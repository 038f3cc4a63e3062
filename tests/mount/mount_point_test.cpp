// SPDX-License-Identifier: Apache-2.0
#include "mount/mount_point.h"

#include <gtest/gtest.h>

#include "mount/fusermount.h"

namespace zkfs::mount {
namespace {

TEST(MountPoint, MountinfoIsUnderstood) {
  const auto entries = parse_mountinfo(
      "36 35 98:0 / / rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n"
      "44 36 0:43 / /mnt/a\\040b rw,nosuid shared:7 master:2 - fuse.zkfs zk1:/ rw,user_id=0\n"
      "garbage\n");
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].type, "ext3");
  EXPECT_EQ(entries[1].id, 44);
  EXPECT_EQ(entries[1].path, "/mnt/a b");
  EXPECT_EQ(entries[1].type, "fuse.zkfs");
  EXPECT_EQ(entries[1].source, "zk1:/");
}

TEST(Fusermount, OptionsEscapeTheSource) {
  MountOptions options;
  options.source = "a,b\\c";
  EXPECT_EQ(fusermount_options(options), "subtype=zkfs,fsname=a\\,b\\\\c,noexec");
  options.exec = options.read_only = options.allow_other = true;
  options.source = "zkfs";
  EXPECT_EQ(fusermount_options(options),
            "subtype=zkfs,fsname=zkfs,ro,allow_other,default_permissions");
}

}  // namespace
}  // namespace zkfs::mount
