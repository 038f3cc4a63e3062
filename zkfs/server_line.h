// SPDX-License-Identifier: Apache-2.0
// The value of a server.N key:
// host:port:electionPort[:participant|observer][;[clientAddress:]clientPort]; IPv6 addresses in
// brackets.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ensemble/base/error.h"
#include "ensemble/base/ids.h"

namespace zkfs {

struct ServerLine {
  ServerId id;
  std::string host;                 // a name or an address, without brackets
  std::uint16_t peer_port = 0;      // members listen here
  std::uint16_t election_port = 0;  // accepted and remembered: one link per pair carries it all
  bool observer = false;
  std::string client_address;     // empty: any
  std::uint16_t client_port = 0;  // 0: none given here

  friend bool operator==(const ServerLine&, const ServerLine&) = default;
};

// Fails with what is wrong and a remedy, without key and line, which the caller knows.
Expected<ServerLine> parse_server_line(ServerId id, std::string_view value);

}  // namespace zkfs
