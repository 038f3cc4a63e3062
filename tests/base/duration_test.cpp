// SPDX-License-Identifier: Apache-2.0
#include "ensemble/base/duration.h"

#include <gtest/gtest.h>

namespace zkfs {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

TEST(Duration, HasAUnitOrIsInSeconds) {
  EXPECT_EQ(parse_duration("250ms"), Millis(250));
  EXPECT_EQ(parse_duration("30s"), seconds(30));
  EXPECT_EQ(parse_duration("30"), seconds(30));
  EXPECT_EQ(parse_duration("5m"), seconds(300));
  EXPECT_EQ(parse_duration("2h"), hours(2));
  EXPECT_EQ(parse_duration("1d"), hours(24));
  EXPECT_EQ(parse_duration("0"), Millis(0));
}

TEST(Duration, NothingElseIsOne) {
  for (const char* text : {"", "s", "-1s", "1.5s", "1 s", "1sec", "99999999999999999999s",
                           "9223372036854775807d", "0x10"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

}  // namespace
}  // namespace zkfs
