// SPDX-License-Identifier: Apache-2.0
// What an administrator decides about the client port: zoo.cfg's keys of the same meaning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "ensemble/base/clock.h"
#include "ensemble/base/ids.h"
#include "ensemble/base/limits.h"

namespace zkfs::client_port {

struct Settings {
  ServerId self;
  bool standalone = false;  // an ensemble of one that has no peers
  std::string address;      // clientPortAddress; empty: all
  std::uint16_t port = 0;   // clientPort; 0: the kernel's choice

  std::uint32_t connections_per_address_max = 60;        // maxClientCnxns; 0: no limit
  std::uint32_t connections_max = 0;                     // maxCnxns; 0: no limit
  std::size_t frame_bytes_max = limits::kFrameBytesMax;  // jute.maxbuffer
  std::size_t outstanding_max = 1'000;                   // globalOutstandingLimit

  Millis tick_time{2'000};
  bool read_only_enabled = false;         // readonlymode.enabled
  bool local_sessions = false;            // localSessionsEnabled
  bool local_sessions_upgrading = false;  // localSessionsUpgradingEnabled
  bool extended_types = false;            // extendedTypesEnabled: TTL znodes
  bool skip_acl = false;                  // skipACL
  std::string super_digest;               // DigestAuthenticationProvider.superDigest
};

}  // namespace zkfs::client_port
