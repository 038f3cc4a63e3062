// SPDX-License-Identifier: Apache-2.0
#include "zkfs/config_keys.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include <fmt/format.h>

namespace zkfs {
namespace {

std::unexpected<Problem> problem(std::string text) {
  return std::unexpected(Problem{std::move(text)});
}

struct Range {
  std::uint64_t low = 1;
  std::uint64_t high = std::numeric_limits<std::int32_t>::max();
};

Expected<std::uint64_t> whole_number(std::string_view value, Range range) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (value.empty() || error != std::errc{} || end != value.data() + value.size() ||
      number < range.low || number > range.high)
    return problem(fmt::format("give a whole number from {} to {}", range.low, range.high));
  return number;
}

// ZooKeeper reads some switches as true/false and some as yes/no; both work for all of them here.
Expected<bool> yes_or_no(std::string_view value) {
  std::string lower(value);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
  if (lower == "true" || lower == "yes") return true;
  if (lower == "false" || lower == "no") return false;
  return problem("give true or false");
}

template <typename Number>
Expected<void> set_number(Number& target, std::string_view value, Range range) {
  const auto number = whole_number(value, range);
  ZKFS_TRY(number);
  target = static_cast<Number>(*number);
  return {};
}

Expected<void> set_millis(Millis& target, std::string_view value, Range range) {
  const auto number = whole_number(value, range);
  ZKFS_TRY(number);
  target = Millis(static_cast<std::int64_t>(*number));
  return {};
}

Expected<void> set_bool(bool& target, std::string_view value) {
  const auto answer = yes_or_no(value);
  ZKFS_TRY(answer);
  target = *answer;
  return {};
}

// -1 is ZooKeeper's "by default".
Expected<void> set_session_timeout(std::optional<std::uint32_t>& target, std::string_view value) {
  if (value == "-1") {
    target.reset();
    return {};
  }
  target.emplace();
  return set_number(*target, value, {.low = 1, .high = 24U * 3'600'000U});
}

// A number of hours, or a number with one of the units ms s m h d.
Expected<void> set_purge_interval(Millis& target, std::string_view value) {
  constexpr std::int64_t kHour = 3'600'000;
  constexpr std::array<std::pair<std::string_view, std::int64_t>, 5> kUnits{
      {{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", kHour}, {"d", 24 * kHour}}};
  std::int64_t unit = kHour;
  for (const auto& [name, millis] : kUnits) {
    if (!value.ends_with(name)) continue;
    unit = millis;
    value.remove_suffix(name.size());
    break;
  }
  const auto number = whole_number(value, {.low = 0, .high = 1'000'000});
  if (!number) return problem("give hours, or a number with ms, s, m, h or d; 0 turns it off");
  target = Millis(static_cast<std::int64_t>(*number) * unit);
  return {};
}

Expected<void> set_retained(std::uint32_t& target, std::string_view value) {
  // Like ZooKeeper, never fewer than three.
  ZKFS_TRY(set_number(target, value, {.low = 1, .high = 1'000'000}));
  target = std::max(target, 3U);
  return {};
}

Expected<void> set_path(std::string& target, std::string_view value) {
  if (value.empty()) return problem("give a directory");
  target = value;
  return {};
}

Expected<void> set_kilobytes(std::uint64_t& target, std::string_view value, Range range) {
  ZKFS_TRY(set_number(target, value, range));
  target *= 1024;
  return {};
}

// Snapshots by size of the log; 0 or less turns that off in ZooKeeper.
Expected<void> set_snap_size(std::uint64_t& target, std::string_view value) {
  if (value == "0" || value.starts_with('-')) {
    target = std::numeric_limits<std::int64_t>::max();
    return {};
  }
  return set_kilobytes(target, value, {.low = 64});
}

Expected<void> take_force_sync(ConfigDraft& draft, std::string_view value) {
  const auto answer = yes_or_no(value);
  ZKFS_TRY(answer);
  if (!*answer) {
    Remark remark;
    remark.warning = true;
    remark.text = "forceSync=no is not followed: what is acknowledged is on the disk";
    draft.config.remarks.push_back(std::move(remark));
  }
  return {};
}

Expected<void> take_election_algorithm(ConfigDraft& /*draft*/, std::string_view value) {
  if (value != "3") return problem("only 3, Fast Leader Election, exists; remove the line");
  return {};
}

Expected<void> take_peer_type(ConfigDraft& draft, std::string_view value) {
  if (value != "participant" && value != "observer") return problem("give participant or observer");
  draft.peer_type = value;
  return {};
}

Expected<void> take_client_address(ConfigDraft& draft, std::string_view value) {
  draft.config.client_address = value;
  return {};
}

// ZooKeeper's clients may be set to more; a value here has a bound of its own.
Expected<void> take_frame_bytes(ConfigDraft& draft, std::string_view value) {
  std::uint64_t& bytes = draft.config.frame_bytes_max;
  ZKFS_TRY(set_number(bytes, value, {.low = 1'024}));
  if (bytes <= limits::kFrameBytesMax) return {};
  Remark remark;
  remark.warning = true;
  remark.text = fmt::format(
      "jute.maxbuffer={} is more than there is here: requests may have {} "
      "bytes",
      bytes, limits::kFrameBytesMax);
  draft.config.remarks.push_back(std::move(remark));
  bytes = limits::kFrameBytesMax;
  return {};
}

Expected<void> take_super_digest(ConfigDraft& draft, std::string_view value) {
  if (!value.starts_with("super:") || value.size() == 6)
    return problem("give super:HASH, as digest authentication makes it of super:PASSWORD");
  draft.config.super_digest = value;
  return {};
}

Expected<void> take_admin_url(ConfigDraft& draft, std::string_view value) {
  if (!value.starts_with('/')) return problem("give a path that begins with /");
  draft.config.admin_url = value;
  return {};
}

Expected<void> take_metrics_provider(ConfigDraft& draft, std::string_view value) {
  draft.wants_prometheus = value.ends_with("PrometheusMetricsProvider");
  return {};
}

using Draft = ConfigDraft;
using Text = std::string_view;

struct Key {
  std::string_view name;
  Expected<void> (*take)(ConfigDraft&, std::string_view);
};

constexpr Range kMillis{.low = 1, .high = 3'600'000};

constexpr Key kKeys[] = {
    {"tickTime", [](Draft& d, Text v) { return set_millis(d.config.tick_time, v, kMillis); }},
    {"initLimit", [](Draft& d, Text v) { return set_number(d.config.init_limit, v, {}); }},
    {"syncLimit", [](Draft& d, Text v) { return set_number(d.config.sync_limit, v, {}); }},
    {"heartbeatInterval",
     [](Draft& d, Text v) { return set_millis(d.config.heartbeat_interval, v, kMillis); }},
    {"heartbeatTimeout",
     [](Draft& d, Text v) { return set_millis(d.config.heartbeat_timeout, v, kMillis); }},
    {"minSessionTimeout",
     [](Draft& d, Text v) { return set_session_timeout(d.session_timeout_min_ms, v); }},
    {"maxSessionTimeout",
     [](Draft& d, Text v) { return set_session_timeout(d.session_timeout_max_ms, v); }},
    {"dataDir", [](Draft& d, Text v) { return set_path(d.config.data_dir, v); }},
    {"dataLogDir", [](Draft& d, Text v) { return set_path(d.data_log_dir, v); }},
    {"dynamicConfigFile", [](Draft& d, Text v) { return set_path(d.dynamic_file, v); }},
    {"snapCount", [](Draft& d, Text v) { return set_number(d.config.snap_count, v, {.low = 2}); }},
    {"snapSizeLimitInKb", [](Draft& d, Text v) { return set_snap_size(d.config.snap_bytes, v); }},
    {"preAllocSize",
     [](Draft& d, Text v) {
       return set_kilobytes(d.config.segment_bytes, v, {.low = 64, .high = 4U << 20U});
     }},
    {"autopurge.snapRetainCount",
     [](Draft& d, Text v) { return set_retained(d.config.snapshots_retained, v); }},
    {"autopurge.purgeInterval",
     [](Draft& d, Text v) { return set_purge_interval(d.config.purge_interval, v); }},
    {"quorumListenOnAllIPs",
     [](Draft& d, Text v) { return set_bool(d.config.listen_on_all_addresses, v); }},
    {"standaloneEnabled", [](Draft& d, Text v) { return set_bool(d.standalone_enabled, v); }},
    {"clientPort",
     [](Draft& d, Text v) {
       return set_number(d.config.client_port, v, {.low = 1, .high = 65'535});
     }},
    {"clientPortAddress", take_client_address},
    {"maxClientCnxns",
     [](Draft& d, Text v) { return set_number(d.config.client_connections_max, v, {.low = 0}); }},
    {"maxCnxns",
     [](Draft& d, Text v) { return set_number(d.config.connections_max, v, {.low = 0}); }},
    {"jute.maxbuffer", take_frame_bytes},
    {"globalOutstandingLimit",
     [](Draft& d, Text v) { return set_number(d.config.outstanding_max, v, {}); }},
    {"readonlymode.enabled", [](Draft& d, Text v) { return set_bool(d.config.read_only_mode, v); }},
    {"localSessionsEnabled", [](Draft& d, Text v) { return set_bool(d.config.local_sessions, v); }},
    {"localSessionsUpgradingEnabled",
     [](Draft& d, Text v) { return set_bool(d.config.local_sessions_upgrading, v); }},
    {"extendedTypesEnabled", [](Draft& d, Text v) { return set_bool(d.config.extended_types, v); }},
    {"skipACL", [](Draft& d, Text v) { return set_bool(d.config.skip_acl, v); }},
    {"enforceQuota", [](Draft& d, Text v) { return set_bool(d.config.enforce_quota, v); }},
    {"DigestAuthenticationProvider.superDigest", take_super_digest},
    {"znode.container.checkIntervalMs",
     [](Draft& d, Text v) { return set_millis(d.config.reap_interval, v, kMillis); }},
    {"4lw.commands.whitelist",
     [](Draft& d, Text v) {
       d.config.word_whitelist = v;
       return Expected<void>{};
     }},
    {"admin.enableServer", [](Draft& d, Text v) { return set_bool(d.config.admin_server, v); }},
    {"admin.serverAddress",
     [](Draft& d, Text v) {
       d.config.admin_address = v;
       return Expected<void>{};
     }},
    {"admin.serverPort",
     [](Draft& d, Text v) { return set_number(d.config.admin_port, v, {.high = 65'535}); }},
    {"admin.commandURL", take_admin_url},
    {"admin.idleTimeout",
     [](Draft& d, Text v) { return set_millis(d.config.admin_idle_timeout, v, kMillis); }},
    {"metricsProvider.className", take_metrics_provider},
    {"metricsProvider.httpPort",
     [](Draft& d, Text v) { return set_number(d.config.metrics_port, v, {.high = 65'535}); }},
    {"metricsProvider.httpHost",
     [](Draft& d, Text v) {
       d.config.metrics_address = v;
       return Expected<void>{};
     }},
    {"electionAlg", take_election_algorithm},
    {"forceSync", take_force_sync},
    {"peerType", take_peer_type},
};

// Switches that ask for protection which this release does not give: followed silently in the
// clear, they would be a trap.
constexpr std::array<std::string_view, 7> kProtection{"sslQuorum",
                                                      "quorum.auth.enableSasl",
                                                      "quorum.auth.serverRequireSasl",
                                                      "quorum.auth.learnerRequireSasl",
                                                      "enforce.auth.enabled",
                                                      "sessionRequireClientSASLAuth",
                                                      "admin.forceHttps"};

// Known to ZooKeeper 3.5 to 3.10, without a meaning here. A name that ends in a dot stands for all
// that begin so.
constexpr std::string_view kNotApplicable[] = {
    "DigestAuthenticationProvider.",
    "X509AuthenticationProvider.",
    "admin.",
    "allowSaslFailedClients",
    "audit.enable",
    "authProvider.",
    "client.",
    "clientPortListenBacklog",
    "closeSessionTxn.enabled",
    "cnxTimeout",
    "commitLogCount",
    "connectToLearnerMasterLimit",
    "connection_throttle_",
    "db.autocreate",
    "digest.enabled",
    "electionPortBindRetry",
    "enforce.auth.schemes",
    "fastleader.",
    "fips-mode",
    "flushDelay",
    "fsync.warningthresholdms",
    "kerberos.",
    "largeRequestMaxBytes",
    "largeRequestThreshold",
    "leader.",
    "leaderServes",
    "learner.",
    "maxBatchSize",
    "maxTimeToWaitForEpoch",
    "metricsProvider.",
    "multiAddress.",
    "observer.",
    "observerMasterPort",
    "oraclePath",
    "portUnification",
    "quorum.",
    "quorumCnxnTimeoutMs",
    "reconfigEnabled",
    "request_throttle_",
    "requireClientAuthScheme",
    "secureClientPort",
    "secureClientPortAddress",
    "serializeLastProcessedZxid.enabled",
    "serverCnxnFactory",
    "snapshot.",
    "snapshotSizeFactor",
    "ssl.",
    "sslQuorumReloadCertFiles",
    "superUser",
    "syncEnabled",
    "tcpKeepAlive",
    "throttled_op_wait_time",
    "txnLogSizeLimitInKb",
    "znode.container.",
};

bool is_not_applicable(std::string_view key) {
  if (std::ranges::find(kProtection, key) != kProtection.end()) return true;
  return std::ranges::any_of(kNotApplicable, [key](std::string_view known) {
    const bool prefix = known.ends_with('.') || known.ends_with('_');
    return prefix ? key.starts_with(known) : key == known;
  });
}

Expected<void> take_server(ConfigDraft& draft, std::string_view number, std::string_view value) {
  const auto id = whole_number(number, {.low = 1, .high = 255});
  if (!id) return problem("the number after \"server.\" must be 1 to 255");
  auto line = parse_server_line(ServerId(static_cast<std::uint32_t>(*id)), value);
  ZKFS_TRY(line);
  for (const ServerLine& other : draft.config.servers)
    if (other.id == line->id)
      return problem(fmt::format("server.{} is there twice; each server has one number", *id));
  draft.config.servers.push_back(std::move(*line));
  return {};
}

}  // namespace

bool is_ensemble_key(std::string_view key) {
  return key.starts_with("server.") || key.starts_with("group.") || key.starts_with("weight.");
}

Expected<KeyFate> take_key(ConfigDraft& draft, std::string_view key, std::string_view value) {
  // ZooKeeper reads every system property `zookeeper.x` as `x` too.
  if (key.starts_with("zookeeper.")) key.remove_prefix(std::string_view("zookeeper.").size());
  if (key.starts_with("group.") || key.starts_with("weight."))
    return problem(
        "groups and weights change what a quorum is and are not supported; remove all group.* and "
        "weight.* lines on every server to use majorities");
  if (key.starts_with("server.")) {
    ZKFS_TRY(take_server(draft, key.substr(std::string_view("server.").size()), value));
    return KeyFate::kTaken;
  }
  for (const Key& known : kKeys) {
    if (known.name != key) continue;
    ZKFS_TRY(known.take(draft, value));
    return KeyFate::kTaken;
  }
  if (std::ranges::find(kProtection, key) != kProtection.end()) {
    const auto wanted = yes_or_no(value);
    ZKFS_TRY(wanted);
    if (*wanted)
      return problem(
          "this release gives no such protection (no TLS, no SASL); remove the line and keep the "
          "ports inside a trusted network");
  }
  return is_not_applicable(key) ? KeyFate::kNotApplicable : KeyFate::kUnknown;
}

}  // namespace zkfs
