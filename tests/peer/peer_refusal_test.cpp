// SPDX-License-Identifier: Apache-2.0
// Who does not get a link, and what the log says of it.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ensemble/base/log.h"
#include "tests/peer/peer_harness.h"

namespace zkfs::peer {
namespace {

using Events = std::vector<std::string>;
using namespace std::string_literals;

std::size_t count_of(const std::string& needle, const std::string& text) {
  std::size_t count = 0;
  for (auto at = text.find(needle); at != std::string::npos; at = text.find(needle, at + 1))
    ++count;
  return count;
}

// What is logged until `needle` has been logged `count` times.
std::string log_until(Loop& loop, const std::string& needle, std::size_t count) {
  std::string text;
  testing::internal::CaptureStderr();
  EXPECT_TRUE(loop.until([&] {
    log::flush();
    text += testing::internal::GetCapturedStderr();
    testing::internal::CaptureStderr();
    return count_of(needle, text) >= count;
  }));
  testing::internal::GetCapturedStderr();
  return text;
}

// Server 2 of three, whom strangers dial.
class PeerRefusal : public testing::Test {
 protected:
  void SetUp() override { two.start(); }

  [[nodiscard]] Hello good_hello() const {
    return {.from = ServerId{3}, .to = ServerId{2}, .ensemble = ensemble_id(all)};
  }

  // The log of a stranger that says `bytes`, from connecting to being hung up on.
  std::string refusal(const std::string& bytes) {
    testing::internal::CaptureStderr();
    Stranger stranger(loop, all[1]);
    stranger.say(bytes);
    EXPECT_TRUE(loop.until([&] { return stranger.was_closed(); }));
    heard = stranger.heard();
    log::flush();
    EXPECT_TRUE(two.events.empty());
    EXPECT_FALSE(two.linked(3));
    return testing::internal::GetCapturedStderr();
  }

  std::string refusal(const Hello& hello) {
    std::string bytes;
    encode_hello(hello, bytes);
    return refusal(bytes);
  }

  void expect_refusal(const Hello& hello, const std::string& why) {
    const std::string text = refusal(hello);
    EXPECT_EQ(count_of(" warning ", text), 1U) << text;
    EXPECT_NE(text.find(why), std::string::npos) << text;
  }

  Loop loop;
  std::vector<PeerAddress> all = ensemble_of(3);
  Member two{loop, 2, all};
  std::string heard;
};

TEST_F(PeerRefusal, AGoodHelloIsWelcome) {
  Stranger three(loop, all[1]);
  three.say_hello(good_hello());
  ASSERT_TRUE(loop.until([&] { return two.linked(3); }));
}

TEST_F(PeerRefusal, AnotherVersion) {
  auto hello = good_hello();
  hello.version = 9;
  expect_refusal(hello, "it speaks protocol version 9, this member 1: run the same release");
}

TEST_F(PeerRefusal, AnotherEnsemble) {
  auto hello = good_hello();
  hello.ensemble = 0x1234;
  expect_refusal(hello,
                 fmt::format("its ensemble id is 0x0000000000001234, ours {:#018x}: the server.N "
                             "lines must be the same",
                             ensemble_id(all)));
}

TEST_F(PeerRefusal, SomebodyWhoLooksForAnother) {
  auto hello = good_hello();
  hello.to = ServerId{1};
  expect_refusal(hello, "it expects server.1 here and found server.2");
}

TEST_F(PeerRefusal, AnUnknownId) {
  auto hello = good_hello();
  hello.from = ServerId{4};
  expect_refusal(hello, "it says it is server.4, which is not in the configuration");
}

TEST_F(PeerRefusal, OurOwnId) {
  auto hello = good_hello();
  hello.from = ServerId{2};
  expect_refusal(hello, "it says it is server.2, which is this member: correct its myid");
}

TEST_F(PeerRefusal, ASmallerIdThatDials) {
  auto hello = good_hello();
  hello.from = ServerId{1};
  expect_refusal(hello, "server.1 dialled server.2");
}

TEST_F(PeerRefusal, Garbage) {
  const std::string text = refusal("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_NE(text.find("refused 127.0.0.1:"), std::string::npos) << text;
  EXPECT_TRUE(heard.empty());
}

TEST_F(PeerRefusal, AFrameThatIsNoHello) {
  EXPECT_NE(refusal("\0\0\0\x04\x08\x01\x08\x01"s).find("is not a hello"), std::string::npos);
  EXPECT_TRUE(heard.empty());
}

TEST_F(PeerRefusal, AHelloOfManyBytes) {
  EXPECT_NE(refusal("\0\0\x04\x01"s).find("a frame of 1025 bytes where 1024 are allowed"),
            std::string::npos);
}

TEST_F(PeerRefusal, SilenceIsNotBorneForEver) {
  EXPECT_NE(refusal("").find("it said no hello"), std::string::npos);
}

TEST_F(PeerRefusal, ARefusedMemberHearsWhoWeAre) {
  auto hello = good_hello();
  hello.ensemble = 1;
  refusal(hello);
  std::string ours;
  encode_hello({.from = ServerId{2}, .to = ServerId{3}, .ensemble = ensemble_id(all)}, ours);
  EXPECT_EQ(heard, ours);
}

TEST_F(PeerRefusal, IsLoggedOnceAMinuteForEachRemote) {
  auto hello = good_hello();
  hello.version = 9;
  std::string text;
  for (int i = 0; i < 5; ++i) text += refusal(hello);
  EXPECT_EQ(count_of(" warning peer: refused ", text), 1U) << text;
}

TEST_F(PeerRefusal, OfManySilentStrangersTheOldestGoes) {
  std::vector<std::unique_ptr<Stranger>> strangers;
  for (int i = 0; i < 40; ++i) strangers.push_back(std::make_unique<Stranger>(loop, all[1]));
  const auto closed = [&] {
    return std::ranges::count_if(strangers, [](const auto& s) { return s->was_closed(); });
  };
  ASSERT_TRUE(loop.until([&] { return closed() >= 8; }));
  loop.settle();
  EXPECT_EQ(closed(), 8);
  EXPECT_TRUE(strangers[0]->was_closed());
  EXPECT_FALSE(strangers[39]->was_closed());
  strangers.back()->say_hello(good_hello());
  EXPECT_TRUE(loop.until([&] { return two.linked(3); }));
}

TEST(PeerRefusalOfMembers, BothSidesOfAnUnequalPairSaySo) {
  Loop loop;
  const auto all = ensemble_of(2);
  auto other = all;
  other.push_back({ServerId{3}, "127.0.0.1", free_port()});
  Member one(loop, 1, all);
  Member two(loop, 2, other);
  one.start();
  two.start();
  log_until(loop, "the server.N lines must be the same", 2);
  EXPECT_TRUE(one.events.empty());
  EXPECT_TRUE(two.events.empty());
}

// Server 3 listens where the configuration says that server 1 does.
TEST(PeerRefusalOfMembers, WhoAnswersIsNotWhoWasDialled) {
  Loop loop;
  const auto all = ensemble_of(3);
  asio::ip::tcp::acceptor acceptor(loop.context, *literal_endpoint(all[0]));
  Member two(loop, 2, all);
  two.start();
  auto impostor = std::make_unique<Stranger>(loop, acceptor.accept());
  impostor->say_hello({.from = ServerId{3}, .to = ServerId{2}, .ensemble = ensemble_id(all)});
  log_until(loop, "it says it is server.3, the configuration says server.1", 1);
  EXPECT_TRUE(two.events.empty());
  EXPECT_FALSE(two.linked(3));
}

}  // namespace
}  // namespace zkfs::peer
