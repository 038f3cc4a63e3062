// SPDX-License-Identifier: Apache-2.0
// One member against a plain socket that has said a good hello: what a link does when the other
// side misbehaves.
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ensemble/base/limits.h"
#include "tests/peer/peer_harness.h"

namespace zkfs::peer {
namespace {

using Events = std::vector<std::string>;
using namespace std::string_literals;

class PeerLink : public testing::Test {
 protected:
  void SetUp() override {
    one.start();
    two = connect();
    ASSERT_TRUE(loop.until([&] { return one.linked(2) && !two->heard().empty(); }));
  }

  std::unique_ptr<Stranger> connect() {
    auto stranger = std::make_unique<Stranger>(loop, all[0]);
    stranger->say_hello({.from = ServerId{2}, .to = ServerId{1}, .ensemble = ensemble_id(all)});
    return stranger;
  }

  Loop loop;
  std::vector<PeerAddress> all = ensemble_of(2);
  Member one{loop, 1, all};
  std::unique_ptr<Stranger> two;
};

TEST_F(PeerLink, ANewLinkReplacesTheOldOne) {
  auto again = connect();
  ASSERT_TRUE(loop.until([&] { return one.events.size() == 3 && two->was_closed(); }));
  EXPECT_EQ(one.events, (Events{"up 2", "down 2", "up 2"}));
  EXPECT_FALSE(again->was_closed());
  const auto before = again->heard().size();
  one.send(2, zab::Ack{1, Zxid{1}});
  EXPECT_TRUE(loop.until([&] { return again->heard().size() > before; }));
}

TEST_F(PeerLink, AResetIsSeenAtOnce) {
  one.send(2, zab::Ack{1, Zxid{1}});
  loop.settle();
  two->hang_up();
  loop.settle();
  EXPECT_EQ(one.events, (Events{"up 2", "down 2"}));
}

TEST_F(PeerLink, MessagesBeforeTheEndAreDelivered) {
  std::string bytes;
  encode(zab::Ack{1, Zxid{1}}, bytes);
  encode(zab::Ack{1, Zxid{2}}, bytes);
  two->say(bytes + "\0\0"s);
  two->hang_up();
  ASSERT_TRUE(loop.until([&] { return !one.linked(2); }));
  EXPECT_EQ(one.events, (Events{"up 2", "message 2", "message 2", "down 2"}));
}

TEST_F(PeerLink, AMessageInPiecesIsPutTogether) {
  std::string bytes;
  encode(zab::Ack{1, Zxid{7}}, bytes);
  for (const char byte : bytes) {
    two->say(std::string(1, byte));
    loop.settle();
  }
  ASSERT_TRUE(loop.until([&] { return one.messages.size() == 1; }));
  EXPECT_EQ(number_of(one.messages.front()), 7U);
}

TEST_F(PeerLink, AMessageThatCannotBeDecodedEndsIt) {
  two->say("\0\0\0\x02\xff\xff"s);
  ASSERT_TRUE(loop.until([&] { return two->was_closed(); }));
  EXPECT_EQ(one.events, (Events{"up 2", "down 2"}));
}

TEST_F(PeerLink, AnOversizedLengthEndsIt) {
  two->say("\0\x80\0\x01"s);
  ASSERT_TRUE(loop.until([&] { return two->was_closed(); }));
  EXPECT_EQ(one.events, (Events{"up 2", "down 2"}));
}

TEST_F(PeerLink, NoMessageFollowsTheEnd) {
  std::string good;
  encode(zab::Ack{1, Zxid{1}}, good);
  two->say(good + "\0\0\0\x02\xff\xff"s + good);
  ASSERT_TRUE(loop.until([&] { return two->was_closed(); }));
  EXPECT_EQ(one.events, (Events{"up 2", "message 2", "down 2"}));
}

TEST_F(PeerLink, AMessageOfTheLargestSizeIsTaken) {
  std::string bytes;
  encode(zab::SnapChunk{0, Blob(std::string(limits::kPeerMessageBytesMax - 10, 'x')), false},
         bytes);
  ASSERT_EQ(bytes.size(), limits::kPeerMessageBytesMax + kFrameHeaderBytes);
  constexpr std::size_t kPiece = 100'000;
  for (std::size_t at = 0; at < bytes.size(); at += kPiece) {
    two->say(bytes.substr(at, kPiece));
    loop.settle();
  }
  ASSERT_TRUE(loop.until([&] { return one.messages.size() == 1; }));
}

TEST_F(PeerLink, WhatTheKernelDoesNotTakeIsCounted) {
  two->stop_reading();
  const Blob chunk(std::string(1'000'000, 'x'));
  for (int i = 0; i < 40; ++i) one.send(2, zab::SnapChunk{1, chunk, false});
  loop.settle();
  const std::size_t queued = one.network->queued_bytes(ServerId{2});
  EXPECT_GT(queued, 10'000'000U);
  EXPECT_LT(queued, 40'000'000U);
  two->resume_reading();
  EXPECT_TRUE(loop.until([&] { return one.network->queued_bytes(ServerId{2}) == 0; }));
  EXPECT_TRUE(one.linked(2));
}

TEST_F(PeerLink, TooMuchToSendEndsIt) {
  two->stop_reading();
  const Blob chunk(std::string(4'000'000, 'x'));
  for (std::size_t sent = 0; sent < 2 * limits::kPeerQueueBytesMax; sent += chunk.size()) {
    one.send(2, zab::SnapChunk{1, chunk, false});
  }
  EXPECT_TRUE(one.linked(2)) << "a caller is not surprised in the middle of a send";
  EXPECT_LT(one.network->queued_bytes(ServerId{2}), limits::kPeerQueueBytesMax + 5'000'000);
  ASSERT_TRUE(loop.until([&] { return one.events.size() == 2; }));
  EXPECT_EQ(one.events, (Events{"up 2", "down 2"}));
  EXPECT_EQ(one.network->queued_bytes(ServerId{2}), 0U);
}

}  // namespace
}  // namespace zkfs::peer
