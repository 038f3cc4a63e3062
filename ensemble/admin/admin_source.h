// SPDX-License-Identifier: Apache-2.0
// AdminSource: all that the administration surface (four-letter words, HTTP commands, metrics) asks
// of a server. The daemon implements it; tests put values behind it. Plain values, gathered when
// asked for, so that this room depends neither on the client port's sockets nor on its watches.
// Core thread only; no call may block.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ensemble/base/clock.h"
#include "ensemble/base/ids.h"
#include "ensemble/base/metrics_text.h"
#include "ensemble/client_port/port_view.h"
#include "ensemble/server/door.h"
#include "ensemble/tree/data_tree.h"
#include "ensemble/zab/leader.h"

namespace zkfs::admin {

// A server of the ensemble as the configuration names it.
struct EnsembleServer {
  ServerId id;
  std::string host;
  std::uint16_t quorum_port = 0;
  std::uint16_t election_port = 0;
  std::string client_address;  // host:port; empty: not known
  bool observer = false;
};

// What does not change while the server runs.
struct Settings {
  std::string version;  // version_text() of version.h
  ServerId self;
  bool standalone = false;
  bool observer = false;  // this server
  std::string client_address = "0.0.0.0";
  std::uint16_t client_port = 0;
  std::int32_t secure_client_port = -1;  // none
  std::string data_dir;
  std::string data_log_dir;
  std::uint32_t tick_time_ms = 0;
  std::uint32_t max_client_connections = 0;  // by address; 0: no limit
  std::uint32_t session_timeout_min_ms = 0;
  std::uint32_t session_timeout_max_ms = 0;
  std::int32_t listen_backlog = -1;
  // Of an ensemble:
  std::uint32_t init_limit = 0;
  std::uint32_t sync_limit = 0;
  std::uint16_t quorum_port = 0;
  std::uint16_t election_port = 0;
  std::vector<EnsembleServer> servers;  // by id
  std::string configuration;            // effective, lines of key=value
};

// Of the process, read once at the start: looking a user up could block.
struct Environment {
  std::string host_name;
  std::string os_arch;  // as Java names it: amd64, aarch64
  std::string os_version;
  std::string user_name;
  std::string user_home;
  std::string user_dir;
};

Environment read_environment();

struct WatchCounts {
  std::uint64_t connections = 0;  // that watch anything
  std::uint64_t paths = 0;
  std::uint64_t watches = 0;
};

struct PathSessions {
  std::string path;
  std::vector<SessionId> sessions;
};

struct SessionPaths {
  SessionId session;
  std::vector<std::string> paths;
};

struct DirectorySizes {
  std::uint64_t data_bytes = 0;
  std::uint64_t log_bytes = 0;
};

// Of proposals of this leader, in bytes; -1: there was none.
struct ProposalSizes {
  std::int64_t last = -1;
  std::int64_t min = -1;
  std::int64_t max = -1;
};

struct SessionExpiry {
  WallMillis expires = 0;
  std::vector<SessionId> sessions;
};

struct LastSnapshot {
  Zxid zxid;
  WallMillis taken = 0;
};

struct ProcessUse {
  std::uint64_t open_descriptors = 0;
  std::uint64_t max_descriptors = 0;
};

// Durations this server has counted; nullptr: it does not count them. Valid until control returns
// to the event loop.
struct Durations {
  const Histogram* fsync = nullptr;     // from handing entries to the disk until they are durable
  const Histogram* snapshot = nullptr;  // of writing a snapshot
  const Histogram* startup = nullptr;   // of reading the data directory
  const Histogram* election = nullptr;
  const Histogram* read = nullptr;    // of a client's read request, from arrival to reply
  const Histogram* update = nullptr;  // of a client's write request
};

// What this server has counted since it was started, by ZooKeeper's names; empty: it does not count
// that, and nothing is shown of it.
struct Counts {
  std::optional<std::uint64_t> pending_syncs;   // syncs of clients under way, on a leader
  std::optional<std::uint64_t> proposal_count;  // of this leader
  std::optional<std::uint64_t> commit_count;    // of this leader
  std::optional<std::uint64_t> looking_count;   // how often it began an election
  std::optional<std::uint64_t> snap_count;      // learners that this leader sent a snapshot
  std::optional<std::uint64_t> diff_count;      // learners that this leader sent what they lacked
  std::optional<std::uint64_t> connection_requests;
  std::optional<std::uint64_t> connection_drops;
  std::optional<std::uint64_t> revalidations;  // sessions that came back by another connection
  std::optional<std::uint64_t> sessions_expired;
  std::optional<std::uint64_t> sessionless_connections_expired;
};

class AdminSource {
 public:
  virtual ~AdminSource() = default;

  [[nodiscard]] virtual const Settings& settings() const = 0;
  [[nodiscard]] virtual const Environment& environment() const = 0;
  [[nodiscard]] virtual Now now() const = 0;
  // Since the server was started; for a leader also since it leads.
  [[nodiscard]] virtual Millis uptime() const = 0;
  [[nodiscard]] virtual std::optional<Millis> leader_uptime() const = 0;

  [[nodiscard]] virtual server::MemberStatus status() const = 0;
  [[nodiscard]] virtual const tree::DataTree& tree() const = 0;
  // Known to a leader, by id; empty otherwise.
  [[nodiscard]] virtual std::vector<zab::LearnerStatus> learners() const = 0;
  [[nodiscard]] virtual std::optional<ProposalSizes> proposal_sizes() const = 0;
  // When sessions end without a sign of life, in order of time. Only a leader knows.
  [[nodiscard]] virtual std::vector<SessionExpiry> session_expiries() const = 0;

  [[nodiscard]] virtual client_port::PortView port() const = 0;
  [[nodiscard]] virtual std::vector<client_port::ConnectionView> connections() const = 0;
  virtual void reset_connections() = 0;
  // Also the proposal sizes and the like.
  virtual void reset_port() = 0;

  [[nodiscard]] virtual WatchCounts watch_counts() const = 0;
  // Sorted, by path or by session; connections without a session are left out.
  [[nodiscard]] virtual std::vector<PathSessions> watched_paths() const = 0;
  [[nodiscard]] virtual std::vector<SessionPaths> watching_sessions() const = 0;

  [[nodiscard]] virtual DirectorySizes directory_sizes() const = 0;
  [[nodiscard]] virtual std::optional<LastSnapshot> last_snapshot() const = 0;
  [[nodiscard]] virtual Durations durations() const = 0;
  [[nodiscard]] virtual Counts counts() const = 0;
  [[nodiscard]] virtual ProcessUse process_use() const = 0;
};

// What all of this room says of a server in the same words.

// Whether it answers clients: it takes part in a quorum, or serves read-only.
bool is_serving(const AdminSource& source);
// standalone, leader, follower, observer, read-only. Requires: is_serving.
std::string_view mode_word(const AdminSource& source);
inline constexpr std::string_view kNotServing =
    "This ZooKeeper instance is not currently serving requests";

// ZooKeeper's default of what it traces. Nothing here is traced by a mask.
inline constexpr std::int64_t kTraceMask = 306;

// A number as Java prints a double rounded to four places: 0.0, 1.0577, 7.0.
std::string decimal_text(double value);

// The lines of `envi` and of the command `environment`: key, value. Java's are there because tools
// expect the keys; they say <NA>.
std::vector<std::pair<std::string, std::string>> environment_lines(const AdminSource& source);

// The text of /zookeeper/config: the servers of the ensemble.
std::string membership_text(const tree::DataTree& tree);

// Paths of ephemeral znodes, by session in the order of ids; sessions that own none are left out.
std::vector<SessionPaths> ephemerals_by_session(const tree::DataTree& tree);

}  // namespace zkfs::admin
