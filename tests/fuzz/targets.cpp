// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "tests/fuzz/target.h"

namespace zkfs::fuzz {

std::span<const Target> targets() {
  static constexpr std::array<Target, 7> kTargets{{
      {"client_request", run_client_request, client_request_seeds},
      {"jute", run_jute, jute_seeds},
      {"log_record", run_log_record, log_record_seeds},
      {"peer_message", run_peer_message, peer_message_seeds},
      {"server_request", run_server_request, server_request_seeds},
      {"snapshot", run_snapshot, snapshot_seeds},
      {"txn", run_txn, txn_seeds},
  }};
  return kTargets;
}

}  // namespace zkfs::fuzz
