// SPDX-License-Identifier: Apache-2.0
#include "mount/task_state.h"

#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace zkfs::mount {
namespace {

std::string status(const char* pending,
                   const char* blocked,
                   const char* ignored,
                   const char* caught) {
  return std::string(
             "Name:\tx\nState:\tS (sleeping)\nTgid:\t42\nSigPnd:\t0000000000000000\nShdPnd:\t") +
         pending + "\nSigBlk:\t" + blocked + "\nSigIgn:\t" + ignored + "\nSigCgt:\t" + caught +
         "\n";
}

constexpr const char* kNone = "0000000000000000";
constexpr const char* kTerm = "0000000000004000";
constexpr const char* kKill = "0000000000000100";
constexpr const char* kUrg = "0000000000400000";

TEST(TaskState, TellsWhoAndWhetherItSleeps) {
  const TaskState state = parse_task_status(status(kNone, kNone, kNone, kNone));
  EXPECT_EQ(state.group, 42);
  EXPECT_TRUE(state.sleeping);
  EXPECT_FALSE(state.fatal_pending);
}

TEST(TaskState, KillIsFatalWhateverTheMasksSay) {
  EXPECT_TRUE(parse_task_status(status(kKill, kKill, kKill, kKill)).fatal_pending);
}

TEST(TaskState, TermIsFatalUnlessCaughtIgnoredOrBlocked) {
  EXPECT_TRUE(parse_task_status(status(kTerm, kNone, kNone, kNone)).fatal_pending);
  EXPECT_FALSE(parse_task_status(status(kTerm, kTerm, kNone, kNone)).fatal_pending);
  EXPECT_FALSE(parse_task_status(status(kTerm, kNone, kTerm, kNone)).fatal_pending);
  EXPECT_FALSE(parse_task_status(status(kTerm, kNone, kNone, kTerm)).fatal_pending);
}

TEST(TaskState, UrgIsHarmless) {
  EXPECT_FALSE(parse_task_status(status(kUrg, kNone, kNone, kNone)).fatal_pending);
}

TEST(TaskState, StandardStreamsAreFoundByInode) {
  struct stat out {};

  ASSERT_EQ(::fstat(STDOUT_FILENO, &out), 0);
  EXPECT_TRUE(is_standard_stream(::gettid(), out.st_ino));
  EXPECT_FALSE(is_standard_stream(::gettid(), ~0ULL));
}

TEST(TaskState, OfThisThread) {
  const auto state = read_task_state(::gettid());
  ASSERT_TRUE(state);
  EXPECT_EQ(state->group, ::getpid());
  EXPECT_FALSE(state->exiting);
  EXPECT_FALSE(read_task_state(0));
}

}  // namespace
}  // namespace zkfs::mount
