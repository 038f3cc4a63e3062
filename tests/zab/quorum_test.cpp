// SPDX-License-Identifier: Apache-2.0
#include "ensemble/zab/quorum.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace zkfs::zab {
namespace {

std::vector<ServerId> servers(std::uint32_t count) {
  std::vector<ServerId> result;
  for (std::uint32_t id = 1; id <= count; ++id) result.emplace_back(id);
  return result;
}

TEST(Quorum, EverySubsetIsJudgedAsByCounting) {
  for (std::uint32_t count = 1; count <= 7; ++count) {
    const Quorum quorum(servers(count));
    for (std::uint32_t mask = 0; mask < (1U << count); ++mask) {
      std::set<ServerId> members{ServerId{99}};  // no voter: must not count
      std::uint32_t size = 0;
      for (std::uint32_t i = 0; i < count; ++i) {
        if ((mask >> i & 1U) == 0) continue;
        members.emplace(i + 1);
        ++size;
      }
      EXPECT_EQ(quorum.contained_in(members), 2 * size > count);
    }
  }
}

TEST(Quorum, AnyTwoMajoritiesMeet) {
  for (std::uint32_t count = 1; count <= 9; ++count) {
    EXPECT_GT(2 * Quorum(servers(count)).majority(), count);
  }
}

TEST(Quorum, MajorityReachedIsTheGreatestThatEnoughHaveReached) {
  // All assignments of positions 0..3 to up to five voters, against counting.
  for (std::uint32_t count = 1; count <= 5; ++count) {
    const Quorum quorum(servers(count));
    for (std::uint32_t known = 0; known <= count; ++known) {
      for (std::uint32_t code = 0; code < (1U << (2 * known)); ++code) {
        std::vector<Zxid> reached;
        for (std::uint32_t i = 0; i < known; ++i) reached.emplace_back(code >> (2 * i) & 3U);
        Zxid expected;
        for (std::uint64_t at = 1; at <= 3; ++at) {
          const auto enough = static_cast<std::size_t>(
              std::count_if(reached.begin(), reached.end(), [&](Zxid z) { return z >= Zxid{at}; }));
          if (2 * enough > count) expected = Zxid{at};
        }
        ASSERT_EQ(quorum.majority_reached(reached), expected)
            << count << " " << known << " " << code;
      }
    }
  }
}

TEST(Quorum, KnowsItsVoters) {
  const Quorum quorum({ServerId{5}, ServerId{2}});
  EXPECT_TRUE(quorum.is_voter(ServerId{2}));
  EXPECT_FALSE(quorum.is_voter(ServerId{3}));
  EXPECT_EQ(quorum.voters().front(), ServerId{2});
}

TEST(QuorumDeathTest, AnEnsembleWithoutVotersOrWithOneTwiceIsRefused) {
  EXPECT_DEATH(Quorum({}), "without voters");
  EXPECT_DEATH(Quorum({ServerId{1}, ServerId{1}}), "twice");
}

}  // namespace
}  // namespace zkfs::zab
