// SPDX-License-Identifier: Apache-2.0
#include "ensemble/jute/jute.h"

#include <gtest/gtest.h>

namespace zkfs::jute {
namespace {

using namespace std::literals;

TEST(JuteWriter, WritesBigEndianWithLengthsInFront) {
  std::string out;
  Writer writer(out);
  writer.write_int(-2);
  writer.write_long(0x0102030405060708);
  writer.write_bool(true);
  writer.write_string("ab");
  writer.write_null();
  EXPECT_EQ(out,
            "\xff\xff\xff\xfe\x01\x02\x03\x04\x05\x06\x07\x08\x01\0\0\0\x02"
            "ab\xff\xff\xff\xff"s);
}

TEST(JuteReader, ReadsWhatTheWriterWrote) {
  std::string out;
  Writer writer(out);
  writer.write_int(INT32_MIN);
  writer.write_long(-1);
  writer.write_bool(false);
  writer.write_string("");
  writer.write_null();
  Reader reader(out);
  EXPECT_EQ(reader.read_int(), INT32_MIN);
  EXPECT_EQ(reader.read_long(), -1);
  EXPECT_FALSE(reader.read_bool());
  EXPECT_EQ(reader.read_string(), "");
  EXPECT_EQ(reader.read_string(), std::nullopt);
  EXPECT_TRUE(reader.good());
  EXPECT_TRUE(reader.at_end());
}

TEST(JuteReader, IsBadForEverAfterTheFirstThingMissing) {
  Reader reader("\0\0\0"sv);
  EXPECT_EQ(reader.read_int(), 0);
  EXPECT_FALSE(reader.good());
  EXPECT_EQ(reader.read_byte(), 0);
  EXPECT_FALSE(reader.good());
}

TEST(JuteReader, RefusesLengthsThatCannotBe) {
  for (const std::string& bytes : {"\xff\xff\xff\xfe"s, "\0\0\0\x02x"s, "\x7f\xff\xff\xff"s}) {
    Reader reader(bytes);
    EXPECT_EQ(reader.read_buffer(), "");
    EXPECT_FALSE(reader.good());
  }
}

TEST(JuteReader, RefusesACountThatTheBytesCannotHold) {
  Reader fits(
      "\0\0\0\x02"
      "12345678"sv);
  EXPECT_EQ(fits.read_count(4), 2U);
  Reader too_many(
      "\0\0\0\x03"
      "12345678"sv);
  EXPECT_EQ(too_many.read_count(4), 0U);
  EXPECT_FALSE(too_many.good());
  Reader null("\xff\xff\xff\xff"sv);
  EXPECT_EQ(null.read_count(4), std::nullopt);
  EXPECT_TRUE(null.good());
}

}  // namespace
}  // namespace zkfs::jute
