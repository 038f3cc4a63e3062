// SPDX-License-Identifier: Apache-2.0
#include "ensemble/tree/acl.h"

#include <gtest/gtest.h>

#include "ensemble/tree/acl_table.h"

namespace zkfs::tree {
namespace {

using P = Permissions;

TEST(Acl, OpenIsWorldAll) {
  EXPECT_EQ(to_text(open_acl()), "world:anyone:cdrwa");
}

TEST(Acl, TextIsParsedAndWrittenBack) {
  const std::string text =
      "world:anyone:r,user:1000:cdrwa,group:0:,digest:bob:hash=:r,ip:10.0.0.0/"
      "8:w,ip:fe80::1:a,auth::cd,sasl:bob@X:d";
  const auto acl = parse_acl(text);
  ASSERT_TRUE(acl);
  EXPECT_EQ(acl->size(), 8U);
  EXPECT_EQ((*acl)[3], (AclEntry{P::kRead, "digest", "bob:hash="}));
  EXPECT_EQ(to_text(*acl), text);
}

TEST(Acl, PermissionsComeInAnyOrderAndLeaveInOne) {
  const auto acl = parse_acl("world:anyone:awrdc");
  ASSERT_TRUE(acl);
  EXPECT_EQ(*acl, open_acl());
}

TEST(Acl, AnX509SubjectMayContainCommas) {
  const std::string text = "x509:CN=a,O=b,C=de:r,world:anyone:r";
  const auto acl = parse_acl(text);
  ASSERT_TRUE(acl);
  ASSERT_EQ(acl->size(), 2U);
  EXPECT_EQ(acl->front().id, "CN=a,O=b,C=de");
  EXPECT_EQ(to_text(*acl), text);
}

TEST(Acl, DuplicatesCollapse) {
  const auto acl = parse_acl("user:1:r,user:2:r,user:1:r");
  ASSERT_TRUE(acl);
  EXPECT_EQ(to_text(*acl), "user:1:r,user:2:r");
}

class BadAcl : public testing::TestWithParam<const char*> {};

TEST_P(BadAcl, IsRefused) {
  const auto acl = parse_acl(GetParam());
  ASSERT_FALSE(acl) << to_text(*acl);
  EXPECT_EQ(acl.error(), Error::kInvalidAcl);
}

INSTANTIATE_TEST_SUITE_P(Acl,
                         BadAcl,
                         testing::Values("",
                                         ",",
                                         "world:anyone:r,",
                                         ",world:anyone:r",
                                         "world",
                                         "world:anyone",
                                         "world:somebody:r",
                                         "world::r",
                                         "world:anyone:rx",
                                         "bogus:x:r",
                                         ":x:r",
                                         "user:bob:r",
                                         "user::r",
                                         "user:-1:r",
                                         "user:007:r",
                                         "user:4294967295:r",
                                         "group:1 :r",
                                         "digest:bob:r",
                                         "digest:a:b:c:r",
                                         "ip:10.0.0.256:r",
                                         "ip:10.0.0.0/33:r",
                                         "ip:10.0.0.0/:r",
                                         "ip:fe80::/129:r",
                                         "ip:::ffff:1.2.3.4:r",
                                         "ip:host:r",
                                         "x509::r",
                                         "sasl::r",
                                         "world:anyone:r,bogus:x:r"));

TEST(Acl, ValidateKnowsTheSameRules) {
  EXPECT_TRUE(validate_acl(open_acl()));
  EXPECT_EQ(validate_acl({}).error(), Error::kInvalidAcl);
  EXPECT_EQ(validate_acl({{P::kAll, "super", "x"}}).error(), Error::kInvalidAcl);
}

// As ZooKeeper has it (reference/zookeeper.md section 6).
TEST(Acl, UnknownBitsAreAccepted) {
  EXPECT_TRUE(validate_acl({{0xffffffffU, "world", "anyone"}, {0, "world", "anyone"}}));
}

TEST(Acl, AnyoneMayReadWhatIsOpenOrEmpty) {
  EXPECT_TRUE(anyone_may_read(open_acl()));
  EXPECT_TRUE(anyone_may_read({}));
  EXPECT_TRUE(anyone_may_read({{P::kAll, "user", "1"}, {P::kRead, "world", "anyone"}}));
  EXPECT_FALSE(anyone_may_read({{P::kAll & ~P::kRead, "world", "anyone"}}));
  EXPECT_FALSE(anyone_may_read({{P::kAll, "user", "1"}, {P::kAll, "sasl", "anyone"}}));
}

TEST(AclTable, EqualListsShareANumber) {
  AclTable table;
  const auto one = table.intern(open_acl());
  const auto other = table.intern({});
  EXPECT_EQ(table.intern(open_acl()), one);
  EXPECT_NE(one, other);
  EXPECT_EQ(table.list(one), open_acl());
}

TEST(AclTable, ANumberIsUsedAgainAfterTheLastRelease) {
  AclTable table;
  const auto one = table.intern(open_acl());
  table.retain(one);
  table.release(one);
  EXPECT_NE(table.intern({}), one);
  table.release(one);
  EXPECT_EQ(table.intern({{P::kRead, "user", "1"}}), one);
}

}  // namespace
}  // namespace zkfs::tree
