// SPDX-License-Identifier: Apache-2.0
#include "ensemble/peer/peer_codec.h"

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "ensemble/base/limits.h"
#include "ensemble/base/random.h"
#include "ensemble/proto/peer.pb.h"
#include "tests/peer/sample_messages.h"

namespace zkfs::peer {
namespace {

using namespace std::string_literals;

std::string encoded(const zab::Message& message) {
  std::string out;
  encode(message, out);
  return out;
}

// The payloads of the frames that follow each other in `bytes`.
std::vector<std::string> payloads(ByteView bytes) {
  std::vector<std::string> result;
  while (!bytes.empty()) {
    const auto length = frame_payload_bytes(bytes);
    if (!length || bytes.size() < kFrameHeaderBytes + *length) {
      ADD_FAILURE() << "an unfinished frame";
      break;
    }
    result.emplace_back(bytes.substr(kFrameHeaderBytes, *length));
    bytes.remove_prefix(kFrameHeaderBytes + *length);
  }
  return result;
}

std::string payload(const zab::Message& message) {
  auto all = payloads(encoded(message));
  EXPECT_EQ(all.size(), 1U);
  return all.front();
}

TEST(PeerCodec, EveryKindSurvivesTheWire) {
  for (const zab::Message& message : sample_messages()) {
    const auto decoded = decode(payload(message));
    ASSERT_TRUE(decoded) << "kind " << message.index();
    EXPECT_EQ(decoded->index(), message.index());
    EXPECT_EQ(encoded(*decoded), encoded(message)) << "kind " << message.index();
  }
}

// A message of kind `kind` with nothing in it.
std::string bare_payload(std::size_t kind) {
  const std::size_t key = kind << 3U | 2U;
  if (key < 0x80) return {static_cast<char>(key), '\0'};
  return {static_cast<char>((key & 0x7fU) | 0x80U), static_cast<char>(key >> 7U), '\0'};
}

TEST(PeerCodec, EveryKindSurvivesWithAllDefaults) {
  for (std::size_t kind = 1; kind <= std::variant_size_v<zab::Message>; ++kind) {
    const auto decoded = decode(bare_payload(kind));
    ASSERT_TRUE(decoded) << "kind " << kind;
    EXPECT_EQ(decoded->index() + 1, kind);
    EXPECT_EQ(payload(*decoded), bare_payload(kind)) << "kind " << kind;
  }
}

TEST(PeerCodec, TheBytesAreThoseOfTheGeneratedClasses) {
  for (const zab::Message& message : sample_messages()) {
    const std::string ours = payload(message);
    proto::PeerMessage generated;
    ASSERT_TRUE(generated.ParseFromString(ours)) << "kind " << message.index();
    EXPECT_EQ(static_cast<std::size_t>(generated.kind_case()), message.index() + 1);
    EXPECT_EQ(generated.SerializeAsString(), ours) << "kind " << message.index();
  }
}

TEST(PeerCodec, FieldsAreWhereTheirNamesSay) {
  proto::PeerMessage generated;
  ASSERT_TRUE(generated.ParseFromString(
      payload(zab::Notification{zab::PeerState::kObserving, {Epoch{1}, Zxid{2}, ServerId{3}}, 4})));
  EXPECT_EQ(generated.notification().state(), 3U);
  EXPECT_EQ(generated.notification().vote_epoch(), 1U);
  EXPECT_EQ(generated.notification().vote_zxid(), 2U);
  EXPECT_EQ(generated.notification().vote_leader(), 3U);
  EXPECT_EQ(generated.notification().round(), 4U);
  ASSERT_TRUE(generated.ParseFromString(
      payload(zab::AckEpoch{1, Epoch{2}, Zxid{3}, Zxid{4}, false, true})));
  EXPECT_EQ(generated.ack_epoch().last_logged(), 3U);
  EXPECT_EQ(generated.ack_epoch().applied(), 4U);
  EXPECT_FALSE(generated.ack_epoch().fresh());
  EXPECT_TRUE(generated.ack_epoch().want_snapshot());
  ASSERT_TRUE(generated.ParseFromString(payload(zab::Proposal{1, {{Zxid{2}, Blob("x")}}})));
  EXPECT_EQ(generated.proposal().tag(), 1U);
  EXPECT_EQ(generated.proposal().entries(0).zxid(), 2U);
  EXPECT_EQ(generated.proposal().entries(0).data(), "x");
}

TEST(PeerCodec, DecodedValuesAreTheOriginals) {
  const auto decoded = decode(
      payload(zab::Notification{zab::PeerState::kFollowing, {Epoch{1}, Zxid{2}, ServerId{3}}, 4}));
  ASSERT_TRUE(decoded);
  const auto& notification = std::get<zab::Notification>(*decoded);
  EXPECT_EQ(notification.state, zab::PeerState::kFollowing);
  EXPECT_EQ(notification.vote, (zab::Vote{Epoch{1}, Zxid{2}, ServerId{3}}));
  EXPECT_EQ(notification.round, 4U);
  const auto ack = decode(payload(zab::AckEpoch{1, Epoch{2}, Zxid{3}, Zxid{4}, false, true}));
  ASSERT_TRUE(ack);
  EXPECT_EQ(std::get<zab::AckEpoch>(*ack).last_logged, Zxid{3});
  EXPECT_EQ(std::get<zab::AckEpoch>(*ack).applied, Zxid{4});
  EXPECT_FALSE(std::get<zab::AckEpoch>(*ack).fresh);
  const auto inform = decode(payload(zab::Inform{1, {{Zxid{2}, Blob("x")}, {Zxid{3}, Blob()}}}));
  ASSERT_TRUE(inform);
  EXPECT_EQ(std::get<zab::Inform>(*inform).entries,
            (std::vector<Entry>{{Zxid{2}, Blob("x")}, {Zxid{3}, Blob()}}));
}

// If one of these changes, members of two releases no longer understand each other: raise
// kProtocolVersion.
TEST(PeerCodec, TheWireFormatIsFrozen) {
  EXPECT_EQ(encoded(zab::Ack{0x0102, Zxid(Epoch{3}, 4)}),
            "\0\0\0\x14\x6a\x12\x09\x02\x01\0\0\0\0\0\0\x11\x04\0\0\0\x03\0\0\0"s);
  EXPECT_EQ(
      encoded(zab::Proposal{1, {{Zxid{7}, Blob("ab")}}}),
      "\0\0\0\x1a\x62\x18\x09\x01\0\0\0\0\0\0\0\x12\x0d\x09\x07\0\0\0\0\0\0\0\x12\x02"s + "ab"s);
  EXPECT_EQ(encoded(zab::SnapChunk{1, Blob("ab"), true}),
            "\0\0\0\x11\x42\x0f\x09\x01\0\0\0\0\0\0\0\x12\x02"s + "ab\x18\x01"s);
  std::string hello;
  encode_hello({.version = 1, .from = ServerId{2}, .to = ServerId{3}, .ensemble = 4}, hello);
  EXPECT_EQ(hello, "\0\0\0\x14\x0dsfzk\x10\x01\x18\x02\x20\x03\x29\x04\0\0\0\0\0\0\0"s);
}

TEST(PeerCodec, AHelloSurvivesTheWire) {
  const Hello hello{.version = 7, .from = ServerId{255}, .to = ServerId{1}, .ensemble = ~0ULL};
  std::string bytes;
  encode_hello(hello, bytes);
  EXPECT_EQ(decode_hello(payloads(bytes).front()), hello);
}

TEST(PeerCodec, AHelloNeedsItsMagic) {
  EXPECT_FALSE(decode_hello(""));
  EXPECT_FALSE(decode_hello("GET / HTTP/1.1\r\n\r\n"));
  std::string bytes;
  encode_hello({.from = ServerId{1}, .to = ServerId{2}}, bytes);
  bytes[5] = static_cast<char>(bytes[5] ^ 1);
  EXPECT_FALSE(decode_hello(payloads(bytes).front()));
}

TEST(PeerCodec, AnOversizedBatchIsSplitInOrder) {
  const Blob large(std::string(limits::kEntryBytesMax, 'x'));
  zab::Proposal proposal{42, {}};
  for (std::uint32_t i = 1; i <= 11; ++i) proposal.entries.push_back({Zxid(Epoch{1}, i), large});
  const auto frames = payloads(encoded(proposal));
  EXPECT_GT(frames.size(), 1U);
  std::vector<Entry> entries;
  for (const std::string& frame : frames) {
    EXPECT_LE(frame.size(), limits::kPeerMessageBytesMax);
    auto part = decode(frame);
    ASSERT_TRUE(part);
    EXPECT_EQ(std::get<zab::Proposal>(*part).tag, 42U);
    for (Entry& entry : std::get<zab::Proposal>(*part).entries) entries.push_back(std::move(entry));
  }
  EXPECT_TRUE(entries == proposal.entries);
}

TEST(PeerCodec, AnEmptyBatchIsOneMessage) {
  EXPECT_EQ(payloads(encoded(zab::Proposal{1, {}})).size(), 1U);
}

TEST(PeerCodec, AMessageIsOneKindAndNothingElse) {
  const std::string ack = payload(zab::Ack{1, Zxid{2}});
  EXPECT_FALSE(decode(""));
  EXPECT_FALSE(decode(ack + ack));
  EXPECT_FALSE(decode(ack + "\x08\x01"s));
  EXPECT_FALSE(decode("\xaa\x01\x00"s)) << "kind 21";
  EXPECT_FALSE(decode("\x68\x01"s)) << "a number where a message belongs";
}

TEST(PeerCodec, AnUnknownStateIsRefused) {
  EXPECT_TRUE(decode("\x0a\x02\x08\x03"s));
  EXPECT_FALSE(decode("\x0a\x02\x08\x04"s));
}

TEST(PeerCodec, AnEntryNeedsAZxid) {
  EXPECT_FALSE(decode("\x62\x02\x12\x00"s));
}

TEST(PeerCodec, UnknownFieldsOfAKnownKindAreSkipped) {
  const auto decoded = decode("\x42\x09\x18\x01\x78\x05\x7d\x01\x02\x03\x04"s);
  ASSERT_TRUE(decoded);
  EXPECT_TRUE(std::get<zab::SnapChunk>(*decoded).last);
}

TEST(PeerCodec, EveryTruncationIsRefusedOrHarmless) {
  for (const zab::Message& message : sample_messages()) {
    const std::string whole = payload(message);
    for (std::size_t length = 0; length < whole.size(); ++length) {
      EXPECT_FALSE(decode(ByteView(whole).substr(0, length))) << "kind " << message.index();
    }
  }
}

// Whatever decodes must encode again to something that decodes to the same.
void expect_stable(const std::string& bytes) {
  static_cast<void>(decode_hello(bytes));
  const auto first = decode(bytes);
  if (!first) return;
  const std::string again = payload(*first);
  const auto second = decode(again);
  ASSERT_TRUE(second);
  EXPECT_EQ(payload(*second), again);
}

std::string mutated(std::string bytes, Random& random) {
  for (auto changes = random.between(1, 4); changes > 0; --changes) {
    const auto at = random.below(bytes.size() + 1);
    const auto byte = static_cast<char>(random.chance(1, 3) ? 0xff : random.below(256));
    if (at == bytes.size() || random.chance(1, 8)) {
      bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), byte);
    } else if (random.chance(1, 8)) {
      bytes.erase(at, random.between(1, 4));
    } else {
      bytes[at] = byte;
    }
  }
  return bytes;
}

TEST(PeerCodecFuzz, MutatedMessagesNeverCrash) {
  const auto sample = sample_messages();
  std::vector<std::string> seeds;
  for (const zab::Message& message : sample) seeds.push_back(payload(message));
  Random random(20'240'601);
  for (int i = 0; i < 200'000; ++i) {
    expect_stable(mutated(seeds[random.below(seeds.size())], random));
  }
}

TEST(PeerCodecFuzz, RandomBytesNeverCrash) {
  Random random(7);
  for (int i = 0; i < 100'000; ++i) {
    std::string bytes(random.below(64), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random.below(256));
    expect_stable(bytes);
  }
}

}  // namespace
}  // namespace zkfs::peer
