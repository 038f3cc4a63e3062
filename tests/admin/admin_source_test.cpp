// SPDX-License-Identifier: Apache-2.0
#include "ensemble/admin/admin_source.h"

#include <limits>
#include <regex>
#include <string>

#include <gtest/gtest.h>

#include "ensemble/admin/version.h"
#include "tests/admin/fake_source.h"

namespace zkfs::admin {
namespace {

TEST(AdminVersion, HasADashAfterTheNumbersAsZooKeepersTestsDemand) {
  EXPECT_TRUE(std::regex_match(version_text("0.1.0", "2026-11-21 18:00 UTC"),
                               std::regex(R"(\d+\.\d+\.\d+-zkfs-0\.1\.0, built on .*UTC)")));
}

TEST(AdminSource, DecimalsAreThoseOfJava) {
  EXPECT_EQ(decimal_text(0), "0.0");
  EXPECT_EQ(decimal_text(7), "7.0");
  EXPECT_EQ(decimal_text(8.0 / 3), "2.6667");
  EXPECT_EQ(decimal_text(100), "100.0");
  EXPECT_EQ(decimal_text(1.5), "1.5");
  EXPECT_EQ(decimal_text(std::numeric_limits<double>::quiet_NaN()), "0.0");
}

TEST(AdminSource, ModeIsThatOfTheMember) {
  FakeSource source;
  EXPECT_EQ(mode_word(source), "standalone");
  source.lead();
  EXPECT_EQ(mode_word(source), "leader");
  source.member.state = zab::PeerState::kFollowing;
  EXPECT_EQ(mode_word(source), "follower");
  source.member.state = zab::PeerState::kObserving;
  EXPECT_EQ(mode_word(source), "observer");
  source.member.in_quorum = false;
  source.client_port.read_only = true;
  EXPECT_EQ(mode_word(source), "read-only");
}

TEST(AdminSource, ServesInAQuorumOrReadOnly) {
  FakeSource source;
  EXPECT_TRUE(is_serving(source));
  source.lose_quorum();
  EXPECT_FALSE(is_serving(source));
  source.client_port.read_only = true;
  EXPECT_TRUE(is_serving(source));
}

TEST(AdminSource, TheEnvironmentOfThisProcessIsKnown) {
  const Environment environment = read_environment();
  EXPECT_FALSE(environment.host_name.empty());
  EXPECT_FALSE(environment.os_version.empty());
  EXPECT_FALSE(environment.user_name.empty());
  EXPECT_TRUE(environment.user_dir.starts_with('/'));
}

TEST(AdminSource, EphemeralsAreListedByTheirSession) {
  FakeSource source;
  EXPECT_TRUE(ephemerals_by_session(source.znodes).empty());
  source.add_ephemeral();
  const auto all = ephemerals_by_session(source.znodes);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].session, FakeSource::kSession);
  EXPECT_EQ(all[0].paths, std::vector<std::string>{"/e"});
}

}  // namespace
}  // namespace zkfs::admin
