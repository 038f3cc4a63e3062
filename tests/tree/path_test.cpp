// SPDX-License-Identifier: Apache-2.0
#include "ensemble/tree/path.h"

#include <limits>

#include <gtest/gtest.h>

namespace zkfs::tree {
namespace {

using namespace std::string_literals;

class GoodName : public testing::TestWithParam<std::string> {};

TEST_P(GoodName, IsAccepted) {
  EXPECT_TRUE(validate_name(GetParam()));
  EXPECT_TRUE(validate_path("/" + GetParam() + "/x"));
}

INSTANTIATE_TEST_SUITE_P(Path,
                         GoodName,
                         testing::Values("a",
                                         "...",
                                         ".a",
                                         "a.",
                                         " ",
                                         "a b",
                                         "\x7e",
                                         "\xc2\xa0",
                                         "\xc3\xa9",
                                         "\xe6\x97\xa5",
                                         "\xed\x9f\xbf",  // U+D7FF
                                         "\xef\xa4\x80",  // U+F900
                                         "\xef\xbf\xaf",  // U+FFEF
                                         std::string(255, 'x')));

class BadName : public testing::TestWithParam<std::string> {};

TEST_P(BadName, IsRefused) {
  EXPECT_EQ(validate_name(GetParam()).error(), Error::kBadArguments);
  EXPECT_EQ(validate_path("/a/" + GetParam()).error(), Error::kBadArguments);
}

INSTANTIATE_TEST_SUITE_P(Path,
                         BadName,
                         testing::Values("",
                                         ".",
                                         "..",
                                         "a\0b"s,
                                         "\x01",
                                         "\x1f",
                                         "\x7f",
                                         "\xc2\x80",
                                         "\xc2\x9f",  // U+0080, U+009F
                                         "\xed\xa0\x80",
                                         "\xed\xbf\xbf",  // surrogates
                                         "\xee\x80\x80",
                                         "\xef\xa3\xbf",  // U+E000, U+F8FF
                                         "\xef\xbf\xb0",
                                         "\xef\xbf\xbf",  // U+FFF0, U+FFFF
                                         "\xf0\x90\x80\x80",
                                         "\xf4\x8f\xbf\xbf",  // U+10000 and up
                                         "\x80",
                                         "\xff",
                                         "\xc3",
                                         "\xc3(",
                                         "\xe6\x97",
                                         "\xe6(\xa5",
                                         "\xc0\xaf",
                                         "\xc1\x81",
                                         "\xe0\x80\xaf",  // overlong
                                         "ok\xe2\x82"));

TEST(Path, ANameWithASlashIsRefused) {
  EXPECT_EQ(validate_name("a/b").error(), Error::kBadArguments);
}

TEST(Path, ANameLongerThan255BytesIsTooLarge) {
  EXPECT_EQ(validate_name(std::string(256, 'x')).error(), Error::kTooLarge);
  EXPECT_EQ(validate_path("/a/" + std::string(256, 'x')).error(), Error::kTooLarge);
}

TEST(Path, TheRootIsAPath) {
  EXPECT_TRUE(validate_path("/"));
}

TEST(Path, ShapeIsChecked) {
  for (const char* path : {"", "a", "a/b", "//", "/a/", "/a//b", "/./a", "/a/..", "/../a"}) {
    EXPECT_EQ(validate_path(path).error(), Error::kBadArguments) << path;
  }
}

TEST(Path, AnEndlessPathIsTooLarge) {
  std::string path;
  while (path.size() <= 64 * 1024) path += "/abcdefgh";
  EXPECT_EQ(validate_path(path).error(), Error::kTooLarge);
}

TEST(Path, SequenceSuffixHasTenDigits) {
  EXPECT_EQ(sequence_suffix(0), "0000000000");
  EXPECT_EQ(sequence_suffix(42), "0000000042");
  EXPECT_EQ(sequence_suffix(std::numeric_limits<std::int32_t>::max()), "2147483647");
  EXPECT_EQ(sequence_suffix(std::numeric_limits<std::int32_t>::min()), "-2147483648");
  EXPECT_EQ(sequence_suffix(-1), "-000000001");
}

}  // namespace
}  // namespace zkfs::tree
