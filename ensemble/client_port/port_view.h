// SPDX-License-Identifier: Apache-2.0
// What the client port shows of itself to who administrates it (ensemble/admin): plain values,
// gathered when asked for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ensemble/base/clock.h"
#include "ensemble/base/ids.h"

namespace zkfs::client_port {

// Of requests answered, from the arrival of the last byte to the reply's being queued, in whole
// milliseconds, as ZooKeeper counts.
struct Latency {
  std::uint64_t count = 0;
  std::uint64_t total_ms = 0;
  std::uint64_t min_ms = 0;
  std::uint64_t max_ms = 0;

  void add(std::uint64_t ms) {
    min_ms = count == 0 || ms < min_ms ? ms : min_ms;
    max_ms = ms > max_ms ? ms : max_ms;
    total_ms += ms;
    ++count;
  }

  [[nodiscard]] double average_ms() const {
    return count == 0 ? 0 : static_cast<double>(total_ms) / static_cast<double>(count);
  }
};

struct ConnectionView {
  std::string remote;  // "127.0.0.1:51234", "[::1]:51234"
  SessionId session;   // 0 until it has one
  std::uint32_t session_timeout_ms = 0;
  bool is_local_session = false;
  std::uint64_t outstanding = 0;  // requests not answered yet
  std::uint64_t received = 0;     // packets
  std::uint64_t sent = 0;
  WallMillis established = 0;
  std::string last_operation = "NA";  // GETD, SETD ... (reference/zookeeper.md 7.2)
  std::int64_t last_cxid = -1;        // -1 before the first request
  std::int64_t last_zxid = -1;
  WallMillis last_response = 0;
  std::uint64_t last_latency_ms = 0;
  Latency latency;
  std::uint64_t watches = 0;
};

struct PortView {
  std::uint64_t received = 0;  // packets, since the start or the last reset
  std::uint64_t sent = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
  Latency latency;
  std::uint64_t connections = 0;
  std::uint64_t connections_rejected = 0;
  std::uint64_t outstanding = 0;
  std::uint64_t auth_failed = 0;
  std::uint64_t local_sessions = 0;
  std::uint64_t last_response_bytes = 0;
  std::uint64_t min_response_bytes = 0;
  std::uint64_t max_response_bytes = 0;
  bool read_only = false;  // serves read-only clients for want of a quorum
};

}  // namespace zkfs::client_port
