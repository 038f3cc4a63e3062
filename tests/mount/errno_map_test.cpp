// SPDX-License-Identifier: Apache-2.0
#include "mount/errno_map.h"

#include <cerrno>

#include <gtest/gtest.h>

namespace zkfs::mount {
namespace {

TEST(ErrnoMap, AnswersOfTheContract) {
  EXPECT_EQ(errno_of(Error::kOk), 0);
  EXPECT_EQ(errno_of(Error::kNoNode), ENOENT);
  EXPECT_EQ(errno_of(Error::kNodeExists), EEXIST);
  EXPECT_EQ(errno_of(Error::kNotEmpty), ENOTEMPTY);
  EXPECT_EQ(errno_of(Error::kBadVersion), ESTALE);
  EXPECT_EQ(errno_of(Error::kStale), ESTALE);
  EXPECT_EQ(errno_of(Error::kNoChildrenForEphemerals), ENOTDIR);
  EXPECT_EQ(errno_of(Error::kNoAuth), EACCES);
  EXPECT_EQ(errno_of(Error::kTooLarge), EFBIG);
  EXPECT_EQ(errno_of(Error::kQuotaExceeded), EDQUOT);
  EXPECT_EQ(errno_of(Error::kUnknownOutcome), EIO);
  EXPECT_EQ(errno_of(Error::kWouldBlock), EWOULDBLOCK);
  EXPECT_EQ(errno_of(Error::kDeadlock), EDEADLK);
}

// What the kernel would remember, callers would spin on, or monitoring would misread.
// A try for a lock alone is refused with EAGAIN, as everywhere.
TEST(ErrnoMap, NeverEnosysOrEagain) {
  for (int code = -2000; code <= 0; ++code) {
    const int error = errno_of(static_cast<Error>(code));
    EXPECT_NE(error, ENOSYS);
    EXPECT_EQ(error == EAGAIN, Error{code} == Error::kWouldBlock);
  }
}

}  // namespace
}  // namespace zkfs::mount
