// SPDX-License-Identifier: Apache-2.0
#include "ensemble/base/ids.h"

#include <type_traits>
#include <unordered_set>

#include <gtest/gtest.h>

namespace zkfs {
namespace {

static_assert(!std::is_convertible_v<Epoch, ServerId>, "an epoch must not pass for a server");
static_assert(!std::is_convertible_v<std::uint32_t, Epoch>, "nor a number for an epoch");

TEST(Zxid, IsEpochAboveCounter) {
  const Zxid zxid{Epoch{0xabcd}, 0xffffffffU};
  EXPECT_EQ(zxid.value, 0xabcdffffffffULL);
  EXPECT_EQ(zxid.epoch(), Epoch{0xabcd});
  EXPECT_EQ(zxid.counter(), Zxid::kCounterMax);
}

TEST(Zxid, OrdersByEpochFirst) {
  EXPECT_LT(Zxid(Epoch{1}, Zxid::kCounterMax), Zxid(Epoch{2}, 0));
  EXPECT_LT(Zxid(Epoch{1}, 1), Zxid(Epoch{1}, 2));
}

TEST(Zxid, FollowsWithinAnEpochByOne) {
  EXPECT_TRUE(follows(Zxid(Epoch{1}, 1), Zxid(Epoch{1}, 2)));
  EXPECT_FALSE(follows(Zxid(Epoch{1}, 1), Zxid(Epoch{1}, 3)));
  EXPECT_FALSE(follows(Zxid(Epoch{1}, 1), Zxid(Epoch{1}, 1)));
}

TEST(Zxid, FollowsIntoALaterEpochAtOne) {
  EXPECT_TRUE(follows(Zxid(Epoch{1}, 9), Zxid(Epoch{4}, 1)));
  EXPECT_FALSE(follows(Zxid(Epoch{1}, 9), Zxid(Epoch{4}, 2)));
  EXPECT_FALSE(follows(Zxid(Epoch{4}, 1), Zxid(Epoch{1}, 1)));
  EXPECT_TRUE(follows(Zxid{}, Zxid(Epoch{1}, 1)));
}

TEST(Zxid, TheLastCounterHasNoSuccessorInItsEpoch) {
  EXPECT_FALSE(follows(Zxid(Epoch{1}, Zxid::kCounterMax), Zxid(Epoch{2}, 0)));
  EXPECT_FALSE(follows(Zxid(Epoch{1}, Zxid::kCounterMax), Zxid(Epoch{1}, 0)));
  EXPECT_TRUE(follows(Zxid(Epoch{1}, Zxid::kCounterMax), Zxid(Epoch{2}, 1)));
}

TEST(Ids, ZeroMeansNone) {
  EXPECT_FALSE(ServerId{});
  EXPECT_TRUE(ServerId{1});
}

TEST(Ids, ArePrintedAsNumbers) {
  EXPECT_EQ(fmt::format("{} {}", ServerId{7}, Epoch{3}), "7 3");
  EXPECT_EQ(fmt::format("{}", Zxid(Epoch{1}, 2)), "0x100000002");
}

TEST(Ids, CanBeHashed) {
  const std::unordered_set<SessionId> set{SessionId{1}, SessionId{2}, SessionId{1}};
  EXPECT_EQ(set.size(), 2U);
}

}  // namespace
}  // namespace zkfs
