// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/acl_check.h"

#include <gtest/gtest.h>

#include "tests/server/prep_fixture.h"

namespace zkfs::server {
namespace {

using tree::AclList;
using tree::Permissions;

bool matches(const std::string& scheme, const std::string& id, const Identity& identity) {
  return acl_allows({{Permissions::kRead, scheme, id}}, identity, Permissions::kRead);
}

struct Range {
  const char* range;
  const char* peer;
  bool in;
};

class AclAddress : public testing::TestWithParam<Range> {};

TEST_P(AclAddress, MatchesByPrefixWithinOneFamily) {
  EXPECT_EQ(matches("ip", GetParam().range, client({{"ip", GetParam().peer}})), GetParam().in)
      << GetParam().range << " and " << GetParam().peer;
}

INSTANTIATE_TEST_SUITE_P(Ranges,
                         AclAddress,
                         testing::Values(Range{"10.1.2.3", "10.1.2.3", true},
                                         Range{"10.1.2.3", "10.1.2.4", false},
                                         Range{"10.1.2.3/32", "10.1.2.4", false},
                                         Range{"10.0.0.0/8", "10.255.0.1", true},
                                         Range{"10.0.0.0/8", "11.0.0.1", false},
                                         Range{"10.0.0.0/9", "10.127.9.9", true},
                                         Range{"10.0.0.0/9", "10.128.0.0", false},
                                         Range{"10.9.9.9/8", "10.1.1.1", true},
                                         Range{"0.0.0.0/0", "203.0.113.9", true},
                                         Range{"0.0.0.0/0", "::1", false},
                                         Range{"10.1.2.3", "::ffff:10.1.2.3", true},
                                         Range{"fe80::/10", "febf::1", true},
                                         Range{"fe80::/10", "fec0::1", false},
                                         Range{"2001:db8::1", "2001:db8:0:0::1", true},
                                         Range{"2001:db8::1", "2001:db8::2", false},
                                         Range{"::/0", "10.1.2.3", false},
                                         Range{"10.1.2.3", "not an address", false}));

TEST(AclClient, MatchesAnEqualIdOfTheScheme) {
  const Identity bob = client({{"ip", "10.0.0.1"}, {"digest", "bob:H"}, {"sasl", "bob@REALM"}});
  EXPECT_TRUE(matches("digest", "bob:H", bob));
  EXPECT_FALSE(matches("digest", "bob:G", bob));
  EXPECT_TRUE(matches("sasl", "bob@REALM", bob));
  EXPECT_FALSE(matches("x509", "bob@REALM", bob));
  EXPECT_TRUE(matches("world", "anyone", bob));
}

TEST(AclClient, IsNoProcessAndNoRoot) {
  const Identity nobody = client({});
  EXPECT_FALSE(matches("user", "0", nobody));
  EXPECT_FALSE(matches("group", "0", nobody));
  EXPECT_FALSE(matches("user", "0", client({{"user", "0"}})));
  EXPECT_FALSE(matches("digest", "bob:H", nobody));
  EXPECT_FALSE(is_almighty(nobody));
  EXPECT_TRUE(matches("world", "anyone", nobody));
}

TEST(AclClient, SuperMayDoEverything) {
  const Identity super = client({{"ip", "10.0.0.1"}, {"super", ""}});
  EXPECT_TRUE(acl_allows({{0, "user", "5"}}, super, Permissions::kAdmin));
}

TEST(AclClient, EveryBitIsItsOwn) {
  const Identity bob = client({{"digest", "bob:H"}});
  const AclList acl{{Permissions::kRead | Permissions::kCreate, "digest", "bob:H"},
                    {Permissions::kDelete, "world", "anyone"},
                    {Permissions::kAll, "digest", "eve:H"}};
  EXPECT_TRUE(acl_allows(acl, bob, Permissions::kRead));
  EXPECT_TRUE(acl_allows(acl, bob, Permissions::kCreate));
  EXPECT_TRUE(acl_allows(acl, bob, Permissions::kDelete));
  EXPECT_FALSE(acl_allows(acl, bob, Permissions::kWrite));
  EXPECT_FALSE(acl_allows(acl, bob, Permissions::kAdmin));
}

TEST(AclProcess, MatchesNoSchemeOfClients) {
  const Identity process{.uid = 7, .gids = {8}};
  for (const char* scheme : {"ip", "digest", "x509", "sasl", "super"})
    EXPECT_FALSE(matches(scheme, "7", process)) << scheme;
  EXPECT_TRUE(matches("user", "7", process));
  EXPECT_TRUE(matches("group", "8", process));
}

TEST(AclToStore, AuthBecomesEachProvenIdInOrder) {
  const Identity bob = client({{"ip", "10.0.0.1"},
                               {"digest", "bob:H"},
                               {"super", ""},
                               {"x509", "CN=bob"},
                               {"sasl", "bob@R"},
                               {"digest", "eve:G"}});
  const auto stored =
      acl_to_store({{1, "world", "anyone"}, {9, "auth", "ignored"}, {9, "sasl", "bob@R"}}, bob);
  ASSERT_TRUE(stored.has_value());
  EXPECT_EQ(*stored, (AclList{{1, "world", "anyone"},
                              {9, "digest", "bob:H"},
                              {9, "x509", "CN=bob"},
                              {9, "sasl", "bob@R"},
                              {9, "digest", "eve:G"}}));
}

TEST(AclToStore, AuthOfNobodyIsInvalid) {
  const Identity nobody = client({{"ip", "10.0.0.1"}, {"super", ""}});
  const AclList acl{{31, "world", "anyone"}, {31, "auth", ""}};
  EXPECT_EQ(acl_to_store(acl, nobody).error(), Error::kInvalidAcl);
}

// Unknown bits are stored as they are, so nothing of this collapses.
TEST(AclToStore, WhatManyStandForIsBounded) {
  const Identity bob = client({{"digest", std::string(10'000, 'b') + ":H"}});
  AclList acl;
  for (std::uint32_t bits = 1; bits <= 1'000; ++bits) acl.push_back({bits, "auth", ""});
  EXPECT_EQ(acl_to_store(acl, bob).error(), Error::kTooLarge);
  acl.resize(100);
  EXPECT_EQ(acl_to_store(acl, bob)->size(), 100U);
}

TEST(AclToStore, WhatIsInvalidForClients) {
  const Identity bob = client({{"digest", "bob:H"}});
  for (const AclList& acl :
       {AclList{}, AclList{{31, "", ""}}, AclList{{31, "foo", "x"}}, AclList{{31, "world", "x"}},
        AclList{{31, "digest", ""}}, AclList{{31, "digest", "a:b:c"}}, AclList{{31, "ip", "x"}},
        AclList{{31, "ip", "10.0.0.0/33"}}, AclList{{31, "super", ""}}}) {
    const auto stored = acl_to_store(acl, bob);
    ASSERT_FALSE(stored.has_value()) << tree::to_text(acl);
    EXPECT_EQ(stored.error(), Error::kInvalidAcl);
  }
}

TEST(AclToStore, PermissionBitsAreStoredAsTheyAre) {
  const AclList acl{
      {0, "world", "anyone"}, {0xffffffffU, "world", "anyone"}, {64, "ip", "10.0.0.1/8"}};
  EXPECT_EQ(acl_to_store(acl, client({})), acl);
}

TEST(AclToStore, DuplicatesCollapseAndTheOrderStays) {
  const AclList acl{{1, "world", "anyone"},
                    {2, "world", "anyone"},
                    {1, "world", "anyone"},
                    {1, "user", "5"},
                    {2, "world", "anyone"}};
  EXPECT_EQ(acl_to_store(acl, client({})),
            (AclList{{1, "world", "anyone"}, {2, "world", "anyone"}, {1, "user", "5"}}));
}

TEST(AclMasked, HidesHashesAlone) {
  const AclList acl{{31, "digest", "bob:hash="}, {1, "world", "anyone"}, {1, "sasl", "a:b"}};
  EXPECT_EQ(masked_acl(acl),
            (AclList{{31, "digest", "bob:x"}, {1, "world", "anyone"}, {1, "sasl", "a:b"}}));
}

}  // namespace
}  // namespace zkfs::server
