// SPDX-License-Identifier: Apache-2.0
#include "ensemble/base/secret.h"

#include <gtest/gtest.h>

namespace zkfs {
namespace {

using namespace std::literals;

TEST(Secret, IsTheSameOnlyIfEveryByteIs) {
  EXPECT_TRUE(same_secret("", ""));
  EXPECT_TRUE(same_secret("a\0b"sv, "a\0b"sv));
  EXPECT_FALSE(same_secret("a\0b"sv, "a\0c"sv));
  EXPECT_FALSE(same_secret("xb", "ab"));
  EXPECT_FALSE(same_secret("ab", "abc"));
  EXPECT_FALSE(same_secret("ab", ""));
}

}  // namespace
}  // namespace zkfs
