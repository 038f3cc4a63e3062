// SPDX-License-Identifier: Apache-2.0
#include <iterator>

#include <fmt/format.h>

#include "zkfs/config.h"

namespace zkfs {
namespace {

std::string bracketed(const std::string& host) {
  return host.find(':') == std::string::npos ? host : fmt::format("[{}]", host);
}

std::string text_of(const ServerLine& line) {
  std::string text = fmt::format("{}:{}:{}:{}", bracketed(line.host), line.peer_port,
                                 line.election_port, line.observer ? "observer" : "participant");
  if (line.client_port == 0) return text;
  if (line.client_address.empty()) return fmt::format("{};{}", text, line.client_port);
  return fmt::format("{};{}:{}", text, bracketed(line.client_address), line.client_port);
}

}  // namespace

std::string servers_text(const Config& config) {
  std::string text;
  for (ServerLine server : config.servers) {
    if (!text.empty()) text += '\n';
    // Clients take the line apart, and expect both parts.
    if (server.client_address.empty()) server.client_address = "0.0.0.0";
    text += fmt::format("server.{}={}", server.id, text_of(server));
  }
  return text;
}

std::string config_text(const Config& config) {
  std::string text;
  const auto line = [&text](std::string_view key, const auto& value) {
    fmt::format_to(std::back_inserter(text), "{}={}\n", key, value);
  };
  line("myid", config.self);
  line("dataDir", config.data_dir);
  line("tickTime", config.tick_time.count());
  line("initLimit", config.init_limit);
  line("syncLimit", config.sync_limit);
  line("heartbeatInterval", config.heartbeat_interval.count());
  line("heartbeatTimeout", config.heartbeat_timeout.count());
  line("minSessionTimeout", config.session_timeout_min_ms);
  line("maxSessionTimeout", config.session_timeout_max_ms);
  line("snapCount", config.snap_count);
  line("snapSizeLimitInKb", config.snap_bytes / 1024);
  line("preAllocSize", config.segment_bytes / 1024);
  line("autopurge.snapRetainCount", config.snapshots_retained);
  line("autopurge.purgeInterval", fmt::format("{}ms", config.purge_interval.count()));
  line("quorumListenOnAllIPs", config.listen_on_all_addresses);
  if (config.client_port != 0) line("clientPort", config.client_port);
  if (!config.client_address.empty()) line("clientPortAddress", config.client_address);
  line("maxClientCnxns", config.client_connections_max);
  line("maxCnxns", config.connections_max);
  line("jute.maxbuffer", config.frame_bytes_max);
  line("globalOutstandingLimit", config.outstanding_max);
  line("readonlymode.enabled", config.read_only_mode);
  line("localSessionsEnabled", config.local_sessions);
  line("localSessionsUpgradingEnabled", config.local_sessions_upgrading);
  line("extendedTypesEnabled", config.extended_types);
  line("skipACL", config.skip_acl);
  line("enforceQuota", config.enforce_quota);
  line("znode.container.checkIntervalMs", config.reap_interval.count());
  line("4lw.commands.whitelist", config.word_whitelist);
  line("admin.enableServer", config.admin_server);
  if (config.admin_server) {
    line("admin.serverAddress", config.admin_address);
    line("admin.serverPort", config.admin_port);
    line("admin.commandURL", config.admin_url);
    line("admin.idleTimeout", config.admin_idle_timeout.count());
  }
  if (config.metrics_port != 0) {
    line("metricsProvider.httpHost", config.metrics_address);
    line("metricsProvider.httpPort", config.metrics_port);
  }
  for (const ServerLine& server : config.servers) {
    line(fmt::format("server.{}", server.id), text_of(server));
  }
  return text;
}

}  // namespace zkfs
