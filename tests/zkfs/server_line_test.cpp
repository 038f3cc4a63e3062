// SPDX-License-Identifier: Apache-2.0
#include "zkfs/server_line.h"

#include <gtest/gtest.h>

namespace zkfs {
namespace {

constexpr ServerId kId{3};

TEST(ServerLine, HostAndTwoPortsMakeAParticipant) {
  EXPECT_EQ(parse_server_line(kId, "zk1.example:2888:3888").value(),
            (ServerLine{.id = kId,
                        .host = "zk1.example",
                        .peer_port = 2888,
                        .election_port = 3888,
                        .observer = false,
                        .client_address = "",
                        .client_port = 0}));
}

TEST(ServerLine, RoleObserverIsTaken) {
  EXPECT_TRUE(parse_server_line(kId, "a:1:2:observer").value().observer);
  EXPECT_FALSE(parse_server_line(kId, "a:1:2:participant").value().observer);
}

TEST(ServerLine, Ipv6StandsInBrackets) {
  const ServerLine line = parse_server_line(kId, "[fd00::1]:2888:3888;[::]:2181").value();
  EXPECT_EQ(line.host, "fd00::1");
  EXPECT_EQ(line.peer_port, 2888);
  EXPECT_EQ(line.client_address, "::");
  EXPECT_EQ(line.client_port, 2181);
}

TEST(ServerLine, ClientPortAloneIsTaken) {
  const ServerLine line = parse_server_line(kId, "a:1:2:observer;2181").value();
  EXPECT_EQ(line.client_address, "");
  EXPECT_EQ(line.client_port, 2181);
}

class RefusedServerLine : public testing::TestWithParam<const char*> {};

TEST_P(RefusedServerLine, SaysWhatIsWrong) {
  const auto line = parse_server_line(kId, GetParam());
  ASSERT_FALSE(line.has_value());
  EXPECT_FALSE(line.error().text.empty());
}

INSTANTIATE_TEST_SUITE_P(ServerLine,
                         RefusedServerLine,
                         testing::Values("",
                                         "host",
                                         "host:2888",
                                         ":2888:3888",
                                         "host:0:3888",
                                         "host:2888:65536",
                                         "host:28x8:3888",
                                         "host:2888:3888:leader",
                                         "host:2888:3888:observer:more",
                                         "fd00::1:2888:3888",
                                         "[fd00::1:2888:3888",
                                         "a b:2888:3888",
                                         "host:2888:3888;",
                                         "host:2888:3888;0",
                                         "a:1:2|b:1:2"));

}  // namespace
}  // namespace zkfs
