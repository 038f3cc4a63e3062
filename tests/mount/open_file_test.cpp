// SPDX-License-Identifier: Apache-2.0
#include "mount/open_file.h"

#include <cerrno>

#include <gtest/gtest.h>

#include "ensemble/base/limits.h"

namespace zkfs::mount {
namespace {

OpenFile file_of(WriteMode mode, std::string_view value) {
  OpenFile file;
  file.mode = mode;
  file.snapshot = Blob(value);
  return file;
}

TEST(OpenFile, WritesBeyondTheEndAreFilledWithZeros) {
  OpenFile file = file_of(WriteMode::kOverlay, "ab");
  EXPECT_EQ(file.write("x", 4, 1), 0);
  EXPECT_EQ(file.value(), std::string_view("ab\0\0x", 5));
}

TEST(OpenFile, OverlayChangesAPart) {
  OpenFile file = file_of(WriteMode::kOverlay, "abc");
  file.write("X", 1, 1);
  EXPECT_EQ(file.value(), "aXc");
  EXPECT_TRUE(file.dirty());
}

TEST(OpenFile, AppendIgnoresTheOffsetAndReadsWhole) {
  OpenFile file = file_of(WriteMode::kAppend, "ab");
  file.write("c", 0, 1);
  file.write("d", 0, 1);
  EXPECT_EQ(file.staged, "cd");
  EXPECT_EQ(file.value(), "abcd");
  EXPECT_EQ(file.value(), "abcd");
  EXPECT_EQ(file.size(), 4U);
}

// What others have added meanwhile is not this handle's to cut.
TEST(OpenFile, TruncatedAppendIsStoredIfTheValueIsStillTheOneItOpened) {
  OpenFile file = file_of(WriteMode::kAppend, "ab");
  file.write("c", 0, 1);
  EXPECT_EQ(file.truncate(1), 0);
  EXPECT_EQ(file.mode, WriteMode::kOverlay);
  EXPECT_EQ(file.value(), "a");
}

TEST(OpenFile, OverlayCutToNothingIsAReplacement) {
  OpenFile file = file_of(WriteMode::kOverlay, "ab");
  file.truncate(0);
  EXPECT_EQ(file.mode, WriteMode::kReplace);
}

TEST(OpenFile, TooLargeIsForEver) {
  OpenFile file = file_of(WriteMode::kReplace, "");
  EXPECT_EQ(file.write("x", limits::kDataBytesMax, 1), EFBIG);
  EXPECT_EQ(file.write("x", 0, 1), EFBIG);
  EXPECT_FALSE(file.needs_commit());
}

TEST(Handles, StaleNumbersFindNothing) {
  Handles<int> handles;
  const auto first = handles.add(1);
  handles.erase(first);
  const auto second = handles.add(2);
  EXPECT_NE(first, second);
  EXPECT_EQ(handles.find(first), nullptr);
  ASSERT_NE(handles.find(second), nullptr);
  EXPECT_EQ(*handles.find(second), 2);
  handles.erase(first);
  EXPECT_NE(handles.find(second), nullptr);
}

TEST(Handles, NeverUseTheTopBit) {
  Handles<int> handles;
  for (int i = 0; i < 1000; ++i) {
    const auto handle = handles.add(i);
    EXPECT_EQ(handle >> 63U, 0U);
    handles.erase(handle);
  }
}

}  // namespace
}  // namespace zkfs::mount
