// SPDX-License-Identifier: Apache-2.0
// Decoders of bytes from elsewhere, each with what must hold whatever the bytes. A target is run by
// libFuzzer (preset fuzz, scripts/fuzz) and, everywhere, by seeded_test.cpp with mutations of its
// own. What does not hold aborts (ZKFS_CHECK).
#pragma once

#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ensemble/base/blob.h"

namespace zkfs::fuzz {

struct Target {
  std::string_view name;
  // True if the input was taken for well-formed.
  bool (*run)(ByteView input);
  // Inputs that are, for mutations to begin with.
  std::vector<std::string> (*seeds)();
};

// For gtest.
inline void PrintTo(const Target& target, std::ostream* out) {
  *out << target.name;
}

std::span<const Target> targets();

bool run_client_request(ByteView input);
std::vector<std::string> client_request_seeds();
bool run_jute(ByteView input);
std::vector<std::string> jute_seeds();
bool run_log_record(ByteView input);
std::vector<std::string> log_record_seeds();
bool run_peer_message(ByteView input);
std::vector<std::string> peer_message_seeds();
bool run_server_request(ByteView input);
std::vector<std::string> server_request_seeds();
bool run_snapshot(ByteView input);
std::vector<std::string> snapshot_seeds();
bool run_txn(ByteView input);
std::vector<std::string> txn_seeds();

// Takes a number off the front; 0 if nothing is left. For targets whose input is a script.
inline unsigned take_byte(ByteView& input) {
  if (input.empty()) return 0;
  const auto byte = static_cast<unsigned char>(input.front());
  input.remove_prefix(1);
  return byte;
}

}  // namespace zkfs::fuzz
