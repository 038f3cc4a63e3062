// SPDX-License-Identifier: Apache-2.0
// zab::Message <-> bytes, and the hello that opens a link. No I/O.
//
// A frame is the payload's length (4 bytes, big-endian) and the payload: one protobuf message of
// ensemble/proto/peer.proto, a Hello in the first frame of each side, a PeerMessage in all others.
//
// The kinds that carry bulk (PROPOSAL, INFORM, SnapChunk, Forward) are written and read by hand in
// protobuf's encoding, so that a transaction is copied once on its way out (into the link's buffer)
// and once on its way in (into its Blob); generated classes would add a std::string each way. The
// tests hold them against the generated classes.
//
// Whatever the bytes, decoding neither crashes nor allocates more than a small multiple of the
// payload: a malformed payload is no message, and the caller closes the link.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "ensemble/base/blob.h"
#include "ensemble/base/ids.h"
#include "ensemble/zab/message.h"

namespace zkfs::peer {

inline constexpr std::uint32_t kProtocolVersion = 1;
inline constexpr std::size_t kFrameHeaderBytes = 4;
// The longest hello: room for fields of later versions, too little to be worth a stranger's while.
inline constexpr std::size_t kHelloBytesMax = 1024;

struct Hello {
  std::uint32_t version = kProtocolVersion;
  ServerId from;
  ServerId to;
  std::uint64_t ensemble = 0;

  friend bool operator==(const Hello&, const Hello&) = default;
};

// Appends a frame.
void encode_hello(const Hello& hello, std::string& out);
// Nothing if `payload` is not the hello of a zkfs member, of whatever version.
std::optional<Hello> decode_hello(ByteView payload);

// Appends the message's frame. A Proposal or Inform that would exceed limits::kPeerMessageBytesMax
// becomes several, with the entries in order. Requires: no single entry, chunk or forwarded request
// is that large, and every entry has a zxid.
void encode(const zab::Message& message, std::string& out);
// Nothing if `payload` is malformed or of an unknown kind.
std::optional<zab::Message> decode(ByteView payload);

// The payload length that a frame announces, or nothing if `bytes` does not reach that far.
std::optional<std::size_t> frame_payload_bytes(ByteView bytes);

}  // namespace zkfs::peer
