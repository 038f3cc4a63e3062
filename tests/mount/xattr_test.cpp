// SPDX-License-Identifier: Apache-2.0
#include "mount/xattr.h"

#include <gtest/gtest.h>

namespace zkfs::mount {
namespace {

class XattrTest : public ::testing::Test {
 protected:
  XattrTest() {
    znode.ino = kRootIno;
    znode.name = "f";
    znode.stat.czxid = Zxid(0x1b00133dc0);
    znode.stat.version = 3;
    znode.stat.ctime = 0;
    znode.kind = tree::NodeKind::kFile;
  }

  std::string text(const char* name) { return xattr_text(znode, name, context).value_or("(none)"); }

  tree::DataTree tree;
  tree::Znode znode;
  XattrContext context{
      .tree = tree, .data_of_directory = false, .root = {}, .error = {}, .stale = {}};
};

TEST_F(XattrTest, NumbersHaveTheirForms) {
  EXPECT_EQ(text("cZxid"), "0x1b00133dc0");
  EXPECT_EQ(text("dataVersion"), "3");
  EXPECT_EQ(text("ephemeralOwner"), "0x0");
  EXPECT_EQ(text("type"), "persistent");
  EXPECT_EQ(text("kind"), "file");
}

TEST_F(XattrTest, StatIsThatOfZkCli) {
  EXPECT_EQ(text("stat").substr(0, 54), "cZxid = 0x1b00133dc0\nctime = Thu Jan 01 00:00:00 UTC 1");
}

TEST_F(XattrTest, WhatAZnodeHasNotIsNotListed) {
  EXPECT_EQ(text("ttl"), "(none)");
  EXPECT_EQ(text("owner"), "(none)");
  EXPECT_EQ(text("error"), "(none)");
  for (const std::string& name : xattr_names(znode, context)) {
    EXPECT_TRUE(xattr_text(znode, name.substr(kXattrPrefix.size()), context)) << name;
    EXPECT_NE(name, "user.zk.ttl");
  }
}

TEST_F(XattrTest, KindsAreRead) {
  EXPECT_EQ(parse_kind("directory"), tree::NodeKind::kDirectory);
  EXPECT_EQ(parse_kind("file"), tree::NodeKind::kFile);
  EXPECT_FALSE(parse_kind("symlink"));
}

}  // namespace
}  // namespace zkfs::mount
