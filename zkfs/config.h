// SPDX-License-Identifier: Apache-2.0
// The configuration of one server: ZooKeeper's zoo.cfg and myid as they are, a few keys of our own,
// and --set on top. Read once at start; immutable from then on.
//
// A wrong value is refused with file, line, key, value and remedy: a server that guesses what its
// administrator meant can join the wrong quorum. What cannot change the data or who forms a quorum
// is only remarked: a key of ZooKeeper's that does not apply here (info), an unknown key (warning).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ensemble/base/clock.h"
#include "ensemble/base/error.h"
#include "ensemble/base/ids.h"
#include "ensemble/base/limits.h"
#include "zkfs/server_line.h"

namespace zkfs {

// Something to log before the server starts.
struct Remark {
  bool warning = false;
  std::string text;
};

struct Config {
  ServerId self{1};
  std::vector<ServerLine> servers;  // by id; empty without server.N lines
  // An ensemble of one that has no peers: nothing is listened on.
  bool standalone = true;
  std::string data_dir;  // absolute

  Millis tick_time{2'000};
  std::uint32_t init_limit = 10;  // ticks
  std::uint32_t sync_limit = 5;   // ticks; checked and remembered: heartbeats do its work
  Millis heartbeat_interval{100};
  Millis heartbeat_timeout{500};
  std::uint32_t session_timeout_min_ms = 4'000;
  std::uint32_t session_timeout_max_ms = 40'000;

  std::uint64_t snap_count = 100'000;          // txns between snapshots
  std::uint64_t snap_bytes = 256ULL << 20U;    // or this many bytes of log
  std::uint64_t segment_bytes = 64ULL << 20U;  // of a log segment (preAllocSize)
  std::uint32_t snapshots_retained = 3;
  Millis purge_interval{0};  // 0: never

  bool listen_on_all_addresses = false;

  // ZooKeeper's clients.
  std::uint16_t client_port = 0;              // 0: they are not served
  std::string client_address;                 // empty: all
  std::uint32_t client_connections_max = 60;  // of one address; 0: no limit
  std::uint32_t connections_max = 0;          // of all; 0: no limit
  std::uint64_t frame_bytes_max = limits::kFrameBytesMax;
  std::uint32_t outstanding_max = 1'000;
  bool read_only_mode = false;
  bool local_sessions = false;
  bool local_sessions_upgrading = false;
  bool extended_types = true;  // TTL znodes; the mount makes them in any case
  bool skip_acl = false;
  bool enforce_quota = false;
  std::string super_digest;
  Millis reap_interval{1'000};  // between two looks for containers and TTL znodes to delete

  // Administrators.
  std::string word_whitelist = "srvr";  // four-letter words, separated by commas; * for all
  bool admin_server = false;            // HTTP
  std::string admin_address = "0.0.0.0";
  std::uint16_t admin_port = 8'080;
  std::string admin_url = "/commands";
  Millis admin_idle_timeout{30'000};
  std::uint16_t metrics_port = 0;  // metricsProvider.httpPort; 0: none
  std::string metrics_address = "0.0.0.0";

  std::vector<Remark> remarks;
};

struct ConfigSource {
  std::string file;                    // zoo.cfg; empty: a standalone server by defaults
  std::string data_dir;                // --data-dir; wins over dataDir if not empty
  std::vector<std::string> overrides;  // --set, each "key=value", later ones win
};

// Reads `source.file` and myid. Fails with one line, see above, if the file cannot be read, a value
// is wrong, server lines contradict each other, or myid is missing or not among them.
Expected<Config> load_config(const ConfigSource& source);

// The effective configuration as lines of key=value, by the names of zoo.cfg, defaults included.
std::string config_text(const Config& config);

// The servers as ZooKeeper shows them in /zookeeper/config, without its version; empty without
// server lines.
std::string servers_text(const Config& config);

// The data directory without a configuration: /var/lib/zkfs for root, $XDG_STATE_HOME/zkfs
// (~/.local/state/zkfs) otherwise.
std::string default_data_dir();

}  // namespace zkfs
