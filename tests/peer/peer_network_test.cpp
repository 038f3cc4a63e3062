// SPDX-License-Identifier: Apache-2.0
// Links between members: who has one, when, and what travels over it.
#include "ensemble/peer/peer_network.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ensemble/base/limits.h"
#include "tests/peer/peer_harness.h"
#include "tests/peer/sample_messages.h"

namespace zkfs::peer {
namespace {

using Events = std::vector<std::string>;

class PeerNetworkTest : public testing::Test {
 protected:
  // Two members, started and linked.
  void link_two() {
    one.start();
    two.start();
    ASSERT_TRUE(loop.until([&] { return one.linked(2) && two.linked(1); }));
  }

  Loop loop;
  std::vector<PeerAddress> all = ensemble_of(2);
  Member one{loop, 1, all};
  Member two{loop, 2, all};
};

TEST_F(PeerNetworkTest, ALinkComesUpOnceOnEachSide) {
  link_two();
  loop.settle();
  EXPECT_EQ(one.events, Events{"up 2"});
  EXPECT_EQ(two.events, Events{"up 1"});
}

TEST_F(PeerNetworkTest, TheOrderOfStartDoesNotMatter) {
  two.start();
  ASSERT_TRUE(loop.until([runs = 0]() mutable { return ++runs > 3; }));
  one.start();
  ASSERT_TRUE(loop.until([&] { return one.linked(2) && two.linked(1); }));
}

TEST_F(PeerNetworkTest, MessagesArriveInTheOrderSent) {
  link_two();
  constexpr std::uint64_t kCount = 20'000;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    one.send(2, zab::Ack{1, Zxid{i}});
    two.send(1, zab::Ack{2, Zxid{i}});
  }
  ASSERT_TRUE(
      loop.until([&] { return one.messages.size() == kCount && two.messages.size() == kCount; }));
  for (std::uint64_t i = 0; i < kCount; ++i) {
    ASSERT_EQ(number_of(one.messages[i]), i);
    ASSERT_EQ(number_of(two.messages[i]), i);
  }
}

TEST_F(PeerNetworkTest, EveryKindArrives) {
  link_two();
  const auto sample = sample_messages();
  for (const zab::Message& message : sample) one.send(2, message);
  ASSERT_TRUE(loop.until([&] { return two.messages.size() == sample.size(); }));
  for (std::size_t i = 0; i < sample.size(); ++i) {
    std::string sent;
    std::string received;
    encode(sample[i], sent);
    encode(two.messages[i], received);
    EXPECT_EQ(sent, received);
  }
}

TEST_F(PeerNetworkTest, LargeMessagesArriveWholeAmongSmallOnes) {
  link_two();
  std::vector<Entry> entries;
  for (std::uint32_t i = 1; i <= 12; ++i) {
    entries.push_back({Zxid(Epoch{1}, i),
                       Blob(std::string(limits::kEntryBytesMax - i, static_cast<char>('a' + i)))});
  }
  one.send(2, zab::Ack{1, Zxid{1}});
  one.send(2, zab::Proposal{1, entries});
  one.send(2, zab::Ack{1, Zxid{2}});
  std::vector<Entry> received;
  ASSERT_TRUE(loop.until([&] {
    return !two.messages.empty() && two.messages.size() > 1 &&
           std::holds_alternative<zab::Ack>(two.messages.back());
  }));
  for (const zab::Message& message : two.messages) {
    const auto* proposal = std::get_if<zab::Proposal>(&message);
    if (proposal == nullptr) continue;
    received.insert(received.end(), proposal->entries.begin(), proposal->entries.end());
  }
  EXPECT_TRUE(received == entries);
}

TEST_F(PeerNetworkTest, WhatIsSentWithoutALinkIsDropped) {
  one.start();
  one.send(2, zab::Ack{1, Zxid{1}});
  one.send(1, zab::Ack{1, Zxid{1}});
  one.send(77, zab::Ack{1, Zxid{1}});
  EXPECT_EQ(one.network->queued_bytes(ServerId{2}), 0U);
  two.start();
  ASSERT_TRUE(loop.until([&] { return one.linked(2) && two.linked(1); }));
  one.send(2, zab::Ack{1, Zxid{2}});
  ASSERT_TRUE(loop.until([&] { return !two.messages.empty(); }));
  EXPECT_EQ(number_of(two.messages.front()), 2U);
}

TEST_F(PeerNetworkTest, TheEndOfAMemberIsSeenAtOnce) {
  link_two();
  two.network.reset();
  // No timer has to run: what the kernel has for us is enough.
  loop.settle();
  EXPECT_EQ(one.events, (Events{"up 2", "down 2"}));
  EXPECT_FALSE(one.linked(2));
}

TEST_F(PeerNetworkTest, AMemberThatDiallsComesBack) {
  link_two();
  two.network.reset();
  Member again(loop, 2, all);
  again.start();
  ASSERT_TRUE(loop.until([&] { return one.events.size() == 3 && again.linked(1); }));
  EXPECT_EQ(one.events, (Events{"up 2", "down 2", "up 2"}));
}

TEST_F(PeerNetworkTest, AMemberThatIsDialledComesBack) {
  link_two();
  one.network.reset();
  ASSERT_TRUE(loop.until([&] { return two.events.size() == 2; }));
  Member again(loop, 1, all);
  again.start();
  ASSERT_TRUE(loop.until([&] { return two.events.size() == 3 && again.linked(2); }));
  EXPECT_EQ(two.events, (Events{"up 1", "down 1", "up 1"}));
}

TEST_F(PeerNetworkTest, MessagesOfAnOldLinkDoNotReachTheNewOne) {
  link_two();
  one.send(2, zab::Ack{1, Zxid{1}});
  two.network.reset();
  Member again(loop, 2, all);
  again.start();
  ASSERT_TRUE(loop.until([&] { return one.events.size() == 3 && again.linked(1); }));
  one.send(2, zab::Ack{1, Zxid{2}});
  ASSERT_TRUE(loop.until([&] { return !again.messages.empty(); }));
  EXPECT_EQ(number_of(again.messages.front()), 2U);
}

TEST_F(PeerNetworkTest, NothingIsCalledAfterStop) {
  link_two();
  for (int i = 0; i < 1000; ++i) {
    one.send(2, zab::Ack{1, Zxid{1}});
    two.send(1, zab::Ack{1, Zxid{1}});
  }
  ASSERT_TRUE(loop.until([&] { return !one.messages.empty(); }));
  one.network->stop();
  const auto count = one.events.size();
  two.send(1, zab::Ack{1, Zxid{1}});
  one.send(2, zab::Ack{1, Zxid{1}});
  ASSERT_TRUE(loop.until([&] { return !two.linked(1); }));
  loop.settle();
  EXPECT_EQ(one.events.size(), count);
  EXPECT_FALSE(one.linked(2));
}

TEST_F(PeerNetworkTest, ACallbackMayStopTheNetwork) {
  link_two();
  int calls = 0;
  two.on_message = [&](ServerId, const zab::Message&) {
    ++calls;
    two.network->stop();
  };
  for (int i = 0; i < 10; ++i) one.send(2, zab::Ack{1, Zxid{1}});
  ASSERT_TRUE(loop.until([&] { return !one.linked(2); }));
  EXPECT_EQ(calls, 1);
}

TEST_F(PeerNetworkTest, ACallbackMayDestroyTheNetwork) {
  link_two();
  int calls = 0;
  two.on_message = [&](ServerId, const zab::Message&) {
    ++calls;
    two.network.reset();
  };
  for (int i = 0; i < 10; ++i) one.send(2, zab::Ack{1, Zxid{1}});
  ASSERT_TRUE(loop.until([&] { return !one.linked(2); }));
  EXPECT_EQ(calls, 1);
}

TEST_F(PeerNetworkTest, MayEndWithLinksUpAndDataOnTheWay) {
  link_two();
  for (int i = 0; i < 1000; ++i)
    one.send(2, zab::SnapChunk{1, Blob(std::string(10'000, 'x')), false});
  one.network->stop();
  // `two` goes with its link up, and the loop with what is pending: a sanitizer would object.
}

TEST_F(PeerNetworkTest, AnotherWithTheSamePortIsTold) {
  one.start();
  Member rival(loop, 1, all);
  const auto started = rival.network->start(false);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().text,
            fmt::format("port 127.0.0.1:{} is already in use (server.1 in the configuration): stop "
                        "the other process or change the port",
                        all[0].port));
  const auto everywhere = Member(loop, 1, all).network->start(true);
  ASSERT_FALSE(everywhere);
  EXPECT_NE(everywhere.error().text.find("already in use"), std::string::npos);
}

TEST_F(PeerNetworkTest, AForeignAddressIsNamed) {
  all[0].host = "192.0.2.1";  // of a block kept for documentation
  Member lost(loop, 1, all);
  const auto started = lost.network->start(false);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().text.find("192.0.2.1 is not an address of this machine (server.1 in"),
            0U);
}

TEST_F(PeerNetworkTest, AnUnknownHostIsNamed) {
  all[0].host = "nowhere.invalid";
  Member lost(loop, 1, all);
  const auto started = lost.network->start(false);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().text.find("the host nowhere.invalid of server.1 in the configuration"),
            0U);
}

TEST(PeerNetworkOfThree, EachIsLinkedWithEach) {
  Loop loop;
  const auto all = ensemble_of(3);
  std::vector<std::unique_ptr<Member>> members;
  for (std::uint32_t id = 1; id <= 3; ++id) {
    members.push_back(std::make_unique<Member>(loop, id, all));
    members.back()->start();
  }
  ASSERT_TRUE(loop.until([&] {
    return std::ranges::all_of(members,
                               [](const auto& member) { return member->events.size() == 2; });
  }));
  for (const auto& member : members) {
    std::ranges::sort(member->events);
  }
  EXPECT_EQ(members[0]->events, (Events{"up 2", "up 3"}));
  EXPECT_EQ(members[1]->events, (Events{"up 1", "up 3"}));
  EXPECT_EQ(members[2]->events, (Events{"up 1", "up 2"}));
  members[1].reset();
  ASSERT_TRUE(loop.until([&] {
    return members[0]->events.back() == "down 2" && members[2]->events.back() == "down 2";
  }));
  EXPECT_TRUE(members[0]->linked(3));
}

void expect_link(const std::vector<PeerAddress>& all, bool listen_on_all_addresses) {
  Loop loop;
  Member one(loop, 1, all);
  Member two(loop, 2, all);
  one.start(listen_on_all_addresses);
  two.start(listen_on_all_addresses);
  ASSERT_TRUE(loop.until([&] { return one.linked(2) && two.linked(1); }));
}

TEST(PeerNetworkAddresses, NamesAreResolved) {
  expect_link(ensemble_of(2, "localhost"), false);
}

TEST(PeerNetworkAddresses, Ipv6Works) {
  asio::io_context context;
  asio::error_code error;
  asio::ip::tcp::acceptor probe(context, asio::ip::tcp::v6());
  probe.bind({asio::ip::make_address_v6("::1"), 0}, error);
  if (error) GTEST_SKIP() << "no IPv6 here: " << error.message();
  expect_link(ensemble_of(2, "::1"), false);
}

TEST(PeerNetworkAddresses, AllAddressesCanBeListenedOn) {
  expect_link(ensemble_of(2), true);
}

TEST(PeerNetworkAddresses, ANameIsResolvedAgainAfterARestart) {
  Loop loop;
  const auto all = ensemble_of(2, "localhost");
  auto one = std::make_unique<Member>(loop, 1, all);
  Member two(loop, 2, all);
  one->start();
  two.start();
  ASSERT_TRUE(loop.until([&] { return two.linked(1); }));
  one.reset();
  ASSERT_TRUE(loop.until([&] { return !two.linked(1); }));
  one = std::make_unique<Member>(loop, 1, all);
  one->start();
  ASSERT_TRUE(loop.until([&] { return two.linked(1) && one->linked(2); }));
}

TEST(PeerNetworkAddresses, AStopDuringResolutionIsHarmless) {
  Loop loop;
  auto all = ensemble_of(2);
  all[0].host = "localhost";
  Member two(loop, 2, all);
  two.start();
  two.network.reset();
  loop.settle();
  EXPECT_TRUE(two.events.empty());
}

}  // namespace
}  // namespace zkfs::peer
