// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/digest_auth.h"

#include <gtest/gtest.h>

namespace zkfs::server {
namespace {

// The first is the superDigest of ZooKeeper's own tests; the others were computed with openssl.
TEST(DigestAuth, IsWhatClientsCompute) {
  EXPECT_EQ(digest_id("super:test"), "super:D/InIHSb7yEEbrWz8b9l71RjZJU=");
  EXPECT_EQ(digest_id("bob:bobsecret"), "bob:WGAwC+XYxdw8bJ5K6KcPh8oL58U=");
  EXPECT_EQ(digest_id("a:b:c"), "a:cLzgnoJ6mP5qz3w+mwvPE2vDgu0=");
}

TEST(DigestAuth, TakesWhatIsEmptyOrHasNoPassword) {
  EXPECT_EQ(digest_id(""), ":2jmj7l5rSw0yVb/vlWAYkK/YBwk=");
  EXPECT_EQ(digest_id("alone"), "alone:GwXWN/BAnMmbTdC1Aj5CHFLZt2Q=");
}

TEST(DigestAuth, SuperIsWhoHasItsPassword) {
  const std::string setting = digest_id("super:secret");
  EXPECT_TRUE(is_super_digest(setting, "super:secret"));
  EXPECT_FALSE(is_super_digest(setting, "super:Secret"));
  EXPECT_FALSE(is_super_digest(setting, ""));
  EXPECT_FALSE(is_super_digest("", ""));
  EXPECT_FALSE(is_super_digest("", "super:secret"));
}

}  // namespace
}  // namespace zkfs::server
