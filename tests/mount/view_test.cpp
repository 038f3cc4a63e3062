// SPDX-License-Identifier: Apache-2.0
#include "mount/view.h"

#include <gtest/gtest.h>

namespace zkfs::mount {
namespace {

tree::Znode znode_with(const tree::AclList& acl) {
  tree::Znode znode;
  znode.ino = Ino{7};
  znode.acl = &acl;
  return znode;
}

TEST(View, EveryOwnedModeOfAFileComesBack) {
  for (mode_t mode = 0; mode < 0777; ++mode) {
    if ((mode & 0111U) != 0) continue;  // execution is an attribute of its own
    const tree::AclList acl = acl_for({mode, 1000, 50}, false, {});
    const Ownership back = ownership(znode_with(acl), false);
    EXPECT_EQ(back.mode, mode);
    EXPECT_EQ(back.uid, 1000U);
    EXPECT_EQ(back.gid, 50U);
    EXPECT_TRUE(tree::validate_acl(acl)) << mode;
    EXPECT_EQ(tree::parse_acl(tree::to_text(acl)).value_or(tree::AclList{}), acl) << mode;
  }
}

TEST(View, EveryModeOfADirectoryComesBackWithExecuteLikeRead) {
  for (mode_t mode = 0; mode <= 0777; ++mode) {
    const mode_t rw = mode & 0666U;
    const mode_t wanted = rw | ((rw & 0444U) >> 2U);
    const tree::AclList acl = acl_for({wanted, 0, 0}, true, {});
    EXPECT_EQ(ownership(znode_with(acl), true).mode, wanted);
  }
}

TEST(View, OpenAclIsRootsAndEverybodys) {
  const tree::AclList acl = tree::open_acl();
  EXPECT_EQ(ownership(znode_with(acl), false).mode, 0666U);
  EXPECT_EQ(ownership(znode_with(acl), true).mode, 0777U);
  EXPECT_EQ(ownership(znode_with(acl), true).uid, 0U);
}

TEST(View, UmaskedCreateOfTheContract) {
  EXPECT_EQ(tree::to_text(acl_for({0644, 1000, 50}, false, {})),
            "user:1000:cdrwa,group:50:r,world:anyone:r");
}

TEST(View, OtherSchemesSurvive) {
  const tree::AclList keep{{1, "digest", "bob:hash="}, {31, "user", "5"}, {1, "ip", "10.0.0.1"}};
  const tree::AclList acl = acl_for({0600, 6, 0}, false, keep);
  ASSERT_EQ(acl.size(), 3U);
  EXPECT_EQ(acl[0].id, "6");
  EXPECT_EQ(acl[1].scheme, "digest");
  EXPECT_EQ(acl[2].scheme, "ip");
}

TEST(View, ExecutableFollowsRead) {
  const tree::AclList acl = acl_for({0640, 1, 1}, false, {});
  tree::Znode znode = znode_with(acl);
  znode.executable = true;
  EXPECT_EQ(ownership(znode, false).mode, 0750U);
}

TEST(View, OrdinaryNamesAreShownAsTheyAre) {
  for (const char* name : {"plain", "user@host", "100%", "100%25", "a%20b", "%40", "%", "a@seqx"}) {
    EXPECT_EQ(shown_name(name), name);
    EXPECT_EQ(real_name(name), name);
  }
}

TEST(View, NamesThatMeanSomethingAreEscapedAndFound) {
  for (const char* name : {"job@seq", ".@data", "x@data", "x@dir", "a@ttl=1s", "job%40seq",
                           "job%2540seq", "a%25@seq", "a@ttl=bad"}) {
    const std::string shown = shown_name(name);
    EXPECT_NE(shown, name);
    EXPECT_EQ(real_name(shown), name) << shown;
    EXPECT_EQ(shown.find('@'), std::string::npos) << shown;
  }
}

TEST(View, NoTwoNamesAreShownAlike) {
  EXPECT_NE(shown_name("job@seq"), shown_name("job%40seq"));
  EXPECT_NE(shown_name("job%40seq"), shown_name("job%2540seq"));
}

TEST(View, FacesOfOneZnodeDiffer) {
  tree::Znode znode;
  znode.ino = Ino{9};
  znode.kind = tree::NodeKind::kDirectory;
  znode.subdirectories = 3;
  znode.stat.data_length = 600;
  const struct stat directory = attributes(znode, directory_node(znode.ino));
  const struct stat data = attributes(znode, file_node(znode.ino));
  EXPECT_TRUE(S_ISDIR(directory.st_mode));
  EXPECT_EQ(directory.st_nlink, 5U);
  EXPECT_EQ(directory.st_ino, 9U);
  EXPECT_TRUE(S_ISREG(data.st_mode));
  EXPECT_NE(data.st_ino, directory.st_ino);
  EXPECT_EQ(data.st_size, 600);
  EXPECT_EQ(data.st_blocks, 2);
}

}  // namespace
}  // namespace zkfs::mount
