// SPDX-License-Identifier: Apache-2.0
#include "mount/metrics.h"

#include <set>
#include <string_view>

#include <gtest/gtest.h>

namespace zkfs::mount {
namespace {

TEST(FuseOperation, EachHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kFuseOperations; ++i) {
    names.insert(name_of(static_cast<FuseOperation>(i)));
  }
  EXPECT_EQ(names.size(), kFuseOperations);
  EXPECT_FALSE(names.contains(""));
}

}  // namespace
}  // namespace zkfs::mount
