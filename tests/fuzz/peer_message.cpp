// SPDX-License-Identifier: Apache-2.0
// What members say to each other. Whatever is read is written again as something that reads the
// same.
#include "ensemble/base/check.h"
#include "ensemble/peer/peer_codec.h"
#include "tests/fuzz/target.h"
#include "tests/peer/sample_messages.h"

namespace zkfs::fuzz {
namespace {

// What would have to become several messages is not one again.
bool fits_one_frame(ByteView input) {
  return input.size() < 64 * 1024;
}

std::string payload_of(const zab::Message& message) {
  std::string out;
  peer::encode(message, out);
  return out.substr(peer::kFrameHeaderBytes);
}

}  // namespace

bool run_peer_message(ByteView input) {
  static_cast<void>(peer::frame_payload_bytes(input));
  const auto hello = peer::decode_hello(input);
  if (hello) {
    std::string out;
    peer::encode_hello(*hello, out);
    ZKFS_CHECK(peer::decode_hello(ByteView(out).substr(peer::kFrameHeaderBytes)) == hello,
               "another hello");
  }
  const auto message = peer::decode(input);
  if (!message || !fits_one_frame(input)) return hello.has_value();
  const std::string again = payload_of(*message);
  const auto decoded = peer::decode(again);
  ZKFS_CHECK(decoded.has_value(), "kind {} cannot be read again", message->index());
  ZKFS_CHECK(payload_of(*decoded) == again, "kind {} reads differently", message->index());
  return true;
}

std::vector<std::string> peer_message_seeds() {
  std::vector<std::string> seeds;
  for (const zab::Message& message : peer::sample_messages()) seeds.push_back(payload_of(message));
  std::string hello;
  peer::encode_hello({.from = ServerId{1}, .to = ServerId{2}, .ensemble = 3}, hello);
  seeds.push_back(hello.substr(peer::kFrameHeaderBytes));
  return seeds;
}

}  // namespace zkfs::fuzz
