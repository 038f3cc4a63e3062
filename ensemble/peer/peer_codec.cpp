// SPDX-License-Identifier: Apache-2.0
#include "ensemble/peer/peer_codec.h"

#include <array>
#include <concepts>
#include <span>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <google/protobuf/io/coded_stream.h>

#include "ensemble/base/check.h"
#include "ensemble/base/limits.h"
#include "ensemble/peer/wire_reader.h"
#include "ensemble/proto/peer.pb.h"

namespace zkfs::peer {
namespace {

using google::protobuf::io::CodedOutputStream;

constexpr std::uint32_t kMagic = 0x6b'7a'66'73;
constexpr std::size_t kMessageBytesMax = limits::kPeerMessageBytesMax;
// Of the bulk kinds: tag, flags, key and length of the one large field, with room to spare.
constexpr std::size_t kBulkOverheadBytes = 32;

static_assert(limits::kEntryBytesMax + 2 * kBulkOverheadBytes < kMessageBytesMax);

// --- plain kinds: generated classes, on the stack, without an allocation ---

void fill(const zab::Notification& from, proto::Notification& to) {
  to.set_state(static_cast<std::uint32_t>(from.state));
  to.set_vote_epoch(from.vote.epoch.value);
  to.set_vote_zxid(from.vote.zxid.value);
  to.set_vote_leader(from.vote.leader.value);
  to.set_round(from.round);
}

bool read(const proto::Notification& from, zab::Notification& to) {
  if (from.state() > static_cast<std::uint32_t>(zab::PeerState::kObserving)) return false;
  to.state = static_cast<zab::PeerState>(from.state());
  to.vote = {Epoch{from.vote_epoch()}, Zxid{from.vote_zxid()}, ServerId{from.vote_leader()}};
  to.round = from.round();
  return true;
}

void fill(const zab::FollowerInfo& from, proto::FollowerInfo& to) {
  to.set_tag(from.tag);
  to.set_accepted_epoch(from.accepted_epoch.value);
  to.set_observer(from.observer);
}

bool read(const proto::FollowerInfo& from, zab::FollowerInfo& to) {
  to = {from.tag(), Epoch{from.accepted_epoch()}, from.observer()};
  return true;
}

void fill(const zab::LeaderInfo& from, proto::LeaderInfo& to) {
  to.set_tag(from.tag);
  to.set_new_epoch(from.new_epoch.value);
}

bool read(const proto::LeaderInfo& from, zab::LeaderInfo& to) {
  to = {from.tag(), Epoch{from.new_epoch()}};
  return true;
}

void fill(const zab::AckEpoch& from, proto::AckEpoch& to) {
  to.set_tag(from.tag);
  to.set_current_epoch(from.current_epoch.value);
  to.set_last_logged(from.last_logged.value);
  to.set_applied(from.applied.value);
  to.set_fresh(from.fresh);
  to.set_want_snapshot(from.want_snapshot);
}

bool read(const proto::AckEpoch& from, zab::AckEpoch& to) {
  to.tag = from.tag();
  to.current_epoch = Epoch{from.current_epoch()};
  to.last_logged = Zxid{from.last_logged()};
  to.applied = Zxid{from.applied()};
  to.fresh = from.fresh();
  to.want_snapshot = from.want_snapshot();
  return true;
}

void fill(const zab::Diff& from, proto::Diff& to) {
  to.set_tag(from.tag);
  to.set_from(from.from.value);
}

bool read(const proto::Diff& from, zab::Diff& to) {
  to = {from.tag(), Zxid{from.from()}};
  return true;
}

void fill(const zab::Trunc& from, proto::Trunc& to) {
  to.set_tag(from.tag);
  to.set_last(from.last.value);
}

bool read(const proto::Trunc& from, zab::Trunc& to) {
  to = {from.tag(), Zxid{from.last()}};
  return true;
}

void fill(const zab::Snap& from, proto::Snap& to) {
  to.set_tag(from.tag);
  to.set_zxid(from.zxid.value);
}

bool read(const proto::Snap& from, zab::Snap& to) {
  to = {from.tag(), Zxid{from.zxid()}};
  return true;
}

void fill(const zab::NewLeader& from, proto::NewLeader& to) {
  to.set_tag(from.tag);
  to.set_epoch(from.epoch.value);
}

bool read(const proto::NewLeader& from, zab::NewLeader& to) {
  to = {from.tag(), Epoch{from.epoch()}};
  return true;
}

void fill(const zab::AckNewLeader& from, proto::AckNewLeader& to) {
  to.set_tag(from.tag);
  to.set_epoch(from.epoch.value);
}

bool read(const proto::AckNewLeader& from, zab::AckNewLeader& to) {
  to = {from.tag(), Epoch{from.epoch()}};
  return true;
}

void fill(const zab::UpToDate& from, proto::UpToDate& to) {
  to.set_tag(from.tag);
  to.set_committed(from.committed.value);
}

bool read(const proto::UpToDate& from, zab::UpToDate& to) {
  to = {from.tag(), Zxid{from.committed()}};
  return true;
}

void fill(const zab::Ack& from, proto::Ack& to) {
  to.set_tag(from.tag);
  to.set_zxid(from.zxid.value);
}

bool read(const proto::Ack& from, zab::Ack& to) {
  to = {from.tag(), Zxid{from.zxid()}};
  return true;
}

void fill(const zab::Commit& from, proto::Commit& to) {
  to.set_tag(from.tag);
  to.set_committed(from.committed.value);
}

bool read(const proto::Commit& from, zab::Commit& to) {
  to = {from.tag(), Zxid{from.committed()}};
  return true;
}

void fill(const zab::Ping& from, proto::Ping& to) {
  to.set_tag(from.tag);
  to.set_round(from.round);
  to.set_committed(from.committed.value);
}

bool read(const proto::Ping& from, zab::Ping& to) {
  to = {from.tag(), from.round(), Zxid{from.committed()}};
  return true;
}

void fill(const zab::Pong& from, proto::Pong& to) {
  to.set_tag(from.tag);
  to.set_round(from.round);
}

bool read(const proto::Pong& from, zab::Pong& to) {
  to = {from.tag(), from.round()};
  return true;
}

void fill(const zab::SyncRequest& from, proto::SyncRequest& to) {
  to.set_tag(from.tag);
  to.set_id(from.id);
}

bool read(const proto::SyncRequest& from, zab::SyncRequest& to) {
  to = {from.tag(), from.id()};
  return true;
}

void fill(const zab::SyncReply& from, proto::SyncReply& to) {
  to.set_tag(from.tag);
  to.set_id(from.id);
  to.set_committed(from.committed.value);
}

bool read(const proto::SyncReply& from, zab::SyncReply& to) {
  to = {from.tag(), from.id(), Zxid{from.committed()}};
  return true;
}

// --- the generated class of each plain kind; void for those done by hand ---

template <typename Kind>
struct Generated {
  using type = void;
};

#define ZKFS_PEER_PLAIN(Kind)   \
  template <>                   \
  struct Generated<zab::Kind> { \
    using type = proto::Kind;   \
  }
ZKFS_PEER_PLAIN(Notification);
ZKFS_PEER_PLAIN(FollowerInfo);
ZKFS_PEER_PLAIN(LeaderInfo);
ZKFS_PEER_PLAIN(AckEpoch);
ZKFS_PEER_PLAIN(Diff);
ZKFS_PEER_PLAIN(Trunc);
ZKFS_PEER_PLAIN(Snap);
ZKFS_PEER_PLAIN(NewLeader);
ZKFS_PEER_PLAIN(AckNewLeader);
ZKFS_PEER_PLAIN(UpToDate);
ZKFS_PEER_PLAIN(Ack);
ZKFS_PEER_PLAIN(Commit);
ZKFS_PEER_PLAIN(Ping);
ZKFS_PEER_PLAIN(Pong);
ZKFS_PEER_PLAIN(SyncRequest);
ZKFS_PEER_PLAIN(SyncReply);
#undef ZKFS_PEER_PLAIN

// --- writing ---

constexpr std::uint32_t key(std::uint32_t field, WireType type) {
  return (field << 3U) | static_cast<std::uint32_t>(type);
}

std::size_t varint_bytes(std::size_t value) {
  return CodedOutputStream::VarintSize64(value);
}

// Of a length-delimited field with a number below 16.
std::size_t bytes_field_bytes(std::size_t length) {
  return 1 + varint_bytes(length) + length;
}

// As in proto3, a field that holds its default is left out; the same rule everywhere below.
std::size_t fixed64_field_bytes(std::uint64_t value) {
  return value == 0 ? 0 : 9;
}

std::uint8_t* write_fixed64(std::uint8_t* out, std::uint32_t field, std::uint64_t value) {
  if (value == 0) return out;
  out = CodedOutputStream::WriteTagToArray(key(field, WireType::kFixed64), out);
  return CodedOutputStream::WriteLittleEndian64ToArray(value, out);
}

std::uint8_t* write_bytes_header(std::uint8_t* out, std::uint32_t field, std::size_t length) {
  out = CodedOutputStream::WriteTagToArray(key(field, WireType::kBytes), out);
  return CodedOutputStream::WriteVarint32ToArray(static_cast<std::uint32_t>(length), out);
}

std::uint8_t* write_bytes(std::uint8_t* out, std::uint32_t field, ByteView bytes) {
  out = write_bytes_header(out, field, bytes.size());
  return CodedOutputStream::WriteRawToArray(bytes.data(), static_cast<int>(bytes.size()), out);
}

// Makes `out` longer by `count` bytes, which the caller writes; unlike resize() does not zero them.
// (The size that libstdc++ 12 hands to the function may be larger than the one asked for.)
std::uint8_t* extend(std::string& out, std::size_t count) {
  const std::size_t before = out.size();
  const std::size_t after = before + count;
  out.resize_and_overwrite(after, [after](char*, std::size_t) { return after; });
  return reinterpret_cast<std::uint8_t*>(out.data()) + before;
}

std::uint8_t* write_frame_header(std::uint8_t* out, std::size_t payload_bytes) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    *out++ = static_cast<std::uint8_t>(payload_bytes >> static_cast<unsigned>(shift));
  }
  return out;
}

// The frame's length and the PeerMessage around a body of `body_bytes`; returns where the body
// goes.
std::uint8_t* begin_message(std::string& out, std::size_t kind, std::size_t body_bytes) {
  const auto kind_key = key(static_cast<std::uint32_t>(kind), WireType::kBytes);
  const std::size_t payload_bytes = varint_bytes(kind_key) + varint_bytes(body_bytes) + body_bytes;
  ZKFS_CHECK(payload_bytes <= kMessageBytesMax, "a message of {} bytes, kind {}", payload_bytes,
             kind);
  std::uint8_t* at = extend(out, kFrameHeaderBytes + payload_bytes);
  at = write_frame_header(at, payload_bytes);
  return write_bytes_header(at, static_cast<std::uint32_t>(kind), body_bytes);
}

std::size_t entry_bytes(const Entry& entry) {
  return fixed64_field_bytes(entry.zxid.value) +
         (entry.bytes.empty() ? 0 : bytes_field_bytes(entry.bytes.size()));
}

void encode_batch(std::size_t kind,
                  std::uint64_t tag,
                  std::span<const Entry> entries,
                  std::string& out) {
  std::size_t body_bytes = fixed64_field_bytes(tag);
  for (const Entry& entry : entries) body_bytes += bytes_field_bytes(entry_bytes(entry));
  std::uint8_t* at = begin_message(out, kind, body_bytes);
  at = write_fixed64(at, 1, tag);
  for (const Entry& entry : entries) {
    at = write_bytes_header(at, 2, entry_bytes(entry));
    at = write_fixed64(at, 1, entry.zxid.value);
    if (!entry.bytes.empty()) at = write_bytes(at, 2, entry.bytes.view());
  }
  ZKFS_CHECK(at == reinterpret_cast<std::uint8_t*>(out.data() + out.size()), "a batch of {} bytes",
             body_bytes);
}

// How many entries, at least one, fit one message.
std::size_t batch_count(std::span<const Entry> entries) {
  std::size_t bytes = kBulkOverheadBytes;
  for (std::size_t count = 0; count < entries.size(); ++count) {
    bytes += bytes_field_bytes(entry_bytes(entries[count]));
    if (bytes > kMessageBytesMax && count > 0) return count;
  }
  return entries.size();
}

template <typename Batch>

requires(std::same_as<Batch, zab::Proposal> || std::same_as<Batch, zab::Inform>) void encode_body(
    const Batch& message, std::size_t kind, std::string& out) {
  std::span<const Entry> rest = message.entries;
  do {
    const std::size_t count = batch_count(rest);
    encode_batch(kind, message.tag, rest.first(count), out);
    rest = rest.subspan(count);
  } while (!rest.empty());
}

void encode_body(const zab::SnapChunk& message, std::size_t kind, std::string& out) {
  const ByteView bytes = message.bytes.view();
  std::uint8_t* at = begin_message(out, kind,
                                   fixed64_field_bytes(message.tag) +
                                       (bytes.empty() ? 0 : bytes_field_bytes(bytes.size())) +
                                       (message.last ? 2 : 0));
  at = write_fixed64(at, 1, message.tag);
  if (!bytes.empty()) at = write_bytes(at, 2, bytes);
  if (!message.last) return;
  at = CodedOutputStream::WriteTagToArray(key(3, WireType::kVarint), at);
  *at = 1;
}

void encode_body(const zab::Forward& message, std::size_t kind, std::string& out) {
  const ByteView bytes = message.bytes.view();
  std::uint8_t* at = begin_message(
      out, kind,
      fixed64_field_bytes(message.tag) + (bytes.empty() ? 0 : bytes_field_bytes(bytes.size())));
  at = write_fixed64(at, 1, message.tag);
  if (!bytes.empty()) write_bytes(at, 2, bytes);
}

template <typename Plain>

requires(!std::is_void_v<typename Generated<Plain>::type>) void encode_body(const Plain& message,
                                                                            std::size_t kind,
                                                                            std::string& out) {
  typename Generated<Plain>::type generated;
  fill(message, generated);
  std::uint8_t* at = begin_message(out, kind, generated.ByteSizeLong());
  generated.SerializeWithCachedSizesToArray(at);
}

// --- reading ---

// An entry without a zxid is refused: it is no entry, and eight million of them would fit a
// message.
bool decode_body(ByteView body, Entry& to) {
  WireReader reader(body);
  WireField field;
  while (reader.next(field)) {
    if (field.is(1, WireType::kFixed64)) to.zxid = Zxid{field.number};
    if (field.is(2, WireType::kBytes)) to.bytes = Blob(field.bytes);
  }
  return reader.good() && to.zxid.value != 0;
}

template <typename Batch>

requires(std::same_as<Batch, zab::Proposal> ||
         std::same_as<Batch, zab::Inform>) bool decode_body(ByteView body, Batch& to) {
  WireReader reader(body);
  WireField field;
  while (reader.next(field)) {
    if (field.is(1, WireType::kFixed64)) to.tag = field.number;
    if (!field.is(2, WireType::kBytes)) continue;
    if (!decode_body(field.bytes, to.entries.emplace_back())) return false;
  }
  return reader.good();
}

bool decode_body(ByteView body, zab::SnapChunk& to) {
  WireReader reader(body);
  WireField field;
  while (reader.next(field)) {
    if (field.is(1, WireType::kFixed64)) to.tag = field.number;
    if (field.is(2, WireType::kBytes)) to.bytes = Blob(field.bytes);
    if (field.is(3, WireType::kVarint)) to.last = field.number != 0;
  }
  return reader.good();
}

bool decode_body(ByteView body, zab::Forward& to) {
  WireReader reader(body);
  WireField field;
  while (reader.next(field)) {
    if (field.is(1, WireType::kFixed64)) to.tag = field.number;
    if (field.is(2, WireType::kBytes)) to.bytes = Blob(field.bytes);
  }
  return reader.good();
}

template <typename Plain>

requires(!std::is_void_v<typename Generated<Plain>::type>) bool decode_body(ByteView body,
                                                                            Plain& to) {
  typename Generated<Plain>::type generated;
  return generated.ParseFromArray(body.data(), static_cast<int>(body.size())) &&
         read(generated, to);
}

template <std::size_t Index>
std::optional<zab::Message> decode_kind(ByteView body) {
  std::optional<zab::Message> message(std::in_place, std::in_place_index<Index>);
  if (!decode_body(body, *std::get_if<Index>(&*message))) return std::nullopt;
  return message;
}

using Decoder = std::optional<zab::Message> (*)(ByteView);

template <std::size_t... Indices>
constexpr auto make_decoders(std::index_sequence<Indices...>) {
  return std::array<Decoder, sizeof...(Indices)>{&decode_kind<Indices>...};
}

constexpr auto kDecoders =
    make_decoders(std::make_index_sequence<std::variant_size_v<zab::Message>>{});

}  // namespace

void encode_hello(const Hello& hello, std::string& out) {
  proto::Hello generated;
  generated.set_magic(kMagic);
  generated.set_version(hello.version);
  generated.set_from(hello.from.value);
  generated.set_to(hello.to.value);
  generated.set_ensemble(hello.ensemble);
  const std::size_t payload_bytes = generated.ByteSizeLong();
  std::uint8_t* at = extend(out, kFrameHeaderBytes + payload_bytes);
  generated.SerializeWithCachedSizesToArray(write_frame_header(at, payload_bytes));
}

std::optional<Hello> decode_hello(ByteView payload) {
  proto::Hello generated;
  if (payload.size() > kHelloBytesMax) return std::nullopt;
  if (!generated.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return std::nullopt;
  }
  if (generated.magic() != kMagic) return std::nullopt;
  return Hello{.version = generated.version(),
               .from = ServerId{generated.from()},
               .to = ServerId{generated.to()},
               .ensemble = generated.ensemble()};
}

void encode(const zab::Message& message, std::string& out) {
  std::visit([&](const auto& kind) { encode_body(kind, message.index() + 1, out); }, message);
}

std::optional<zab::Message> decode(ByteView payload) {
  if (payload.size() > kMessageBytesMax) return std::nullopt;
  WireReader reader(payload);
  WireField field;
  if (!reader.next(field) || field.type != WireType::kBytes || !reader.at_end())
    return std::nullopt;
  if (field.field == 0 || field.field > kDecoders.size()) return std::nullopt;
  return kDecoders[field.field - 1](field.bytes);
}

std::optional<std::size_t> frame_payload_bytes(ByteView bytes) {
  if (bytes.size() < kFrameHeaderBytes) return std::nullopt;
  std::size_t length = 0;
  for (std::size_t i = 0; i < kFrameHeaderBytes; ++i) {
    length = (length << 8U) | static_cast<std::uint8_t>(bytes[i]);
  }
  return length;
}

}  // namespace zkfs::peer
