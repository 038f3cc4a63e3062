// SPDX-License-Identifier: Apache-2.0
#include "zkfs/properties.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace zkfs {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs pairs_of(std::string_view text) {
  Pairs pairs;
  for (const Property& property : parse_properties(text))
    pairs.emplace_back(property.key, property.value);
  return pairs;
}

TEST(Properties, CommentsAndEmptyLinesSayNothing) {
  EXPECT_EQ(pairs_of("# a=1\n\n   ! b=2\n \t\n"), Pairs{});
}

TEST(Properties, KeyEndsAtEqualsColonOrBlank) {
  EXPECT_EQ(pairs_of("a=1\nb:2\nc 3\nd = 4\ne\n"),
            (Pairs{{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}, {"e", ""}}));
}

TEST(Properties, LaterEqualsBelongsToTheValue) {
  EXPECT_EQ(pairs_of("a=b=c:d"), (Pairs{{"a", "b=c:d"}}));
}

TEST(Properties, ServerLineKeepsItsColons) {
  EXPECT_EQ(pairs_of("server.1=[::1]:2888:3888;2181"),
            (Pairs{{"server.1", "[::1]:2888:3888;2181"}}));
}

TEST(Properties, ValueIsTrimmed) {
  EXPECT_EQ(pairs_of("  tickTime =  2000 \t\r\n"), (Pairs{{"tickTime", "2000"}}));
}

TEST(Properties, BackslashAtTheEndGoesOnInTheNextLine) {
  EXPECT_EQ(pairs_of("a=1,\\\n    2,\\\n  # 3\nb=4"), (Pairs{{"a", "1,2,# 3"}, {"b", "4"}}));
}

TEST(Properties, TwoBackslashesAtTheEndAreOneBackslash) {
  EXPECT_EQ(pairs_of("a=C:\\\\\nb=1"), (Pairs{{"a", "C:\\"}, {"b", "1"}}));
}

TEST(Properties, EscapesAreTaken) {
  EXPECT_EQ(pairs_of("a\\ b\\==x\\ty\\u00e4\\q"), (Pairs{{"a b=", "x\ty\xc3\xa4q"}}));
}

TEST(Properties, BrokenUnicodeEscapeIsAPlainU) {
  EXPECT_EQ(pairs_of("a=\\u00g1"), (Pairs{{"a", "u00g1"}}));
}

TEST(Properties, BackslashAtTheEndOfTheTextIsNothing) {
  EXPECT_EQ(pairs_of("a=1\\"), (Pairs{{"a", "1"}}));
}

TEST(Properties, LinesAreCountedAcrossContinuations) {
  const std::vector<Property> all = parse_properties("# c\na=1\\\n 2\nb=3\n");
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].line, 2);
  EXPECT_EQ(all[1].line, 4);
}

}  // namespace
}  // namespace zkfs
