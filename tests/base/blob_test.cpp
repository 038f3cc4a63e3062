// SPDX-License-Identifier: Apache-2.0
#include "ensemble/base/blob.h"

#include <string>

#include <gtest/gtest.h>

namespace zkfs {
namespace {

TEST(Blob, HoldsACopyOfItsBytes) {
  std::string bytes("a\0b", 3);
  const Blob blob{bytes};
  bytes[0] = 'x';
  EXPECT_EQ(blob.view(), std::string_view("a\0b", 3));
  EXPECT_EQ(blob.size(), 3U);
}

TEST(Blob, OfNothingIsEmpty) {
  EXPECT_TRUE(Blob{}.empty());
  EXPECT_TRUE(Blob{""}.empty());
  EXPECT_EQ(Blob{}.view(), "");
  EXPECT_EQ(Blob{}, Blob{""});
}

TEST(Blob, ACopySharesTheBytes) {
  const Blob first{"shared"};
  const Blob second = first;  // NOLINT: the copy is the point
  EXPECT_EQ(first.view().data(), second.view().data());
}

TEST(Blob, OutlivesWhatItWasCopiedFrom) {
  Blob second;
  {
    const Blob first{"still here"};
    second = first;
  }
  EXPECT_EQ(second.view(), "still here");
}

TEST(Blob, AMovedFromOneIsEmpty) {
  Blob first{"gone"};
  const Blob second = std::move(first);
  EXPECT_TRUE(first.empty());  // NOLINT: what this test is about
  EXPECT_EQ(second.view(), "gone");
}

TEST(Blob, AssignedToItselfIsUnchanged) {
  Blob blob{"self"};
  const Blob& same = blob;
  blob = same;
  EXPECT_EQ(blob.view(), "self");
}

TEST(Blob, ConcatPutsTheTailAfterTheHead) {
  EXPECT_EQ(Blob::concat("ab", "cd").view(), "abcd");
  EXPECT_EQ(Blob::concat("", "cd").view(), "cd");
  EXPECT_TRUE(Blob::concat("", "").empty());
}

TEST(Blob, EqualBytesAreEqual) {
  EXPECT_EQ(Blob{"x"}, Blob{"x"});
  EXPECT_FALSE(Blob{"x"} == Blob{"y"});
}

}  // namespace
}  // namespace zkfs
