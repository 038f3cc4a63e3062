// SPDX-License-Identifier: Apache-2.0
#include "ensemble/peer/wire_reader.h"

#include <limits>
#include <string>

#include <gtest/gtest.h>

namespace zkfs::peer {
namespace {

using namespace std::string_literals;

bool refuses(const std::string& bytes) {
  WireReader reader(bytes);
  WireField field;
  while (reader.next(field)) {
  }
  return !reader.good();
}

TEST(WireReader, TheLargestVarintIsRead) {
  const std::string bytes = "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s;
  WireReader reader(bytes);
  WireField field;
  ASSERT_TRUE(reader.next(field) && field.is(1, WireType::kVarint));
  EXPECT_EQ(field.number, std::numeric_limits<std::uint64_t>::max());
  EXPECT_TRUE(reader.at_end());
}

TEST(WireReader, AVarintOver64BitsIsRefused) {
  EXPECT_TRUE(refuses("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"s));
  EXPECT_TRUE(refuses("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"s));
}

TEST(WireReader, EveryTruncatedFieldIsRefused) {
  EXPECT_TRUE(refuses("\x08"s));
  EXPECT_TRUE(refuses("\x08\x80"s));
  EXPECT_TRUE(refuses("\x09\x01\x02\x03\x04\x05\x06\x07"s));
  EXPECT_TRUE(refuses("\x0d\x01\x02\x03"s));
  EXPECT_TRUE(refuses("\x0a\x02x"s));
  EXPECT_TRUE(refuses("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s));
}

TEST(WireReader, GroupsAndFieldNumberZeroAreRefused) {
  EXPECT_TRUE(refuses("\x0b\x0c"s));
  EXPECT_TRUE(refuses("\x00\x00"s));
}

TEST(WireReader, NothingIsAWellFormedMessage) {
  EXPECT_FALSE(refuses(""));
}

}  // namespace
}  // namespace zkfs::peer
