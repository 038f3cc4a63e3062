// SPDX-License-Identifier: Apache-2.0
#include "ensemble/admin/commands.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "ensemble/admin/metrics.h"

namespace zkfs::admin {
namespace {

using Json = nlohmann::ordered_json;

// Java's long: sessions of servers above 127 are negative.
std::int64_t number(SessionId session) {
  return static_cast<std::int64_t>(session.value);
}

// Keys of an object are texts.
std::string key(SessionId session) {
  return std::to_string(number(session));
}

Json numbers(const std::vector<SessionId>& sessions) {
  Json all = Json::array();
  for (const SessionId session : sessions) all.push_back(number(session));
  return all;
}

Json paths_by_session(const std::vector<SessionPaths>& sessions) {
  Json all = Json::object();
  for (const SessionPaths& session : sessions) all[key(session.session)] = session.paths;
  return all;
}

bool leads(const AdminSource& source) {
  return source.status().in_quorum && source.status().state == zab::PeerState::kLeading;
}

Json configuration(const HttpRequest&, AdminSource& source) {
  const Settings& settings = source.settings();
  Json json{{"client_port", settings.client_port},
            {"data_dir", settings.data_dir},
            {"data_log_dir", settings.data_log_dir},
            {"tick_time", settings.tick_time_ms},
            {"max_client_cnxns", settings.max_client_connections},
            {"min_session_timeout", settings.session_timeout_min_ms},
            {"max_session_timeout", settings.session_timeout_max_ms},
            {"server_id", settings.standalone ? 0 : settings.self.value},
            {"client_port_listen_backlog", settings.listen_backlog}};
  if (settings.standalone) return json;
  json["init_limit"] = settings.init_limit;
  json["sync_limit"] = settings.sync_limit;
  json["election_alg"] = 3;
  json["election_port"] = settings.election_port;
  json["quorum_port"] = settings.quorum_port;
  json["peer_type"] = settings.observer ? 1 : 0;
  json["membership"] = membership_text(source.tree());
  return json;
}

Json connection_list(const AdminSource& source) {
  Json all = Json::array();
  for (const client_port::ConnectionView& connection : source.connections()) {
    all.push_back({{"remote_socket_address", connection.remote},
                   {"interest_ops", 1},
                   {"outstanding_requests", connection.outstanding},
                   {"packets_received", connection.received},
                   {"packets_sent", connection.sent},
                   {"session_id", number(connection.session)},
                   {"last_operation", connection.last_operation},
                   {"established", connection.established},
                   {"session_timeout", connection.session_timeout_ms},
                   {"last_cxid", connection.last_cxid},
                   {"last_zxid", connection.last_zxid},
                   {"last_response_time", connection.last_response},
                   {"last_latency", connection.last_latency_ms},
                   {"min_latency", connection.latency.min_ms},
                   {"avg_latency", static_cast<std::uint64_t>(connection.latency.average_ms())},
                   {"max_latency", connection.latency.max_ms}});
  }
  return all;
}

Json connections(const HttpRequest&, AdminSource& source) {
  return {{"connections", connection_list(source)}, {"secure_connections", Json::array()}};
}

Json connection_stat_reset(const HttpRequest&, AdminSource& source) {
  source.reset_connections();
  return Json::object();
}

Json stat_reset(const HttpRequest&, AdminSource& source) {
  source.reset_port();
  return Json::object();
}

Json nothing(const HttpRequest&, AdminSource&) {
  return Json::object();
}

Json dirs(const HttpRequest&, AdminSource& source) {
  const DirectorySizes sizes = source.directory_sizes();
  return {{"datadir_size", sizes.data_bytes}, {"logdir_size", sizes.log_bytes}};
}

Json dump(const HttpRequest&, AdminSource& source) {
  Json expiries = Json::object();
  for (const SessionExpiry& expiry : source.session_expiries()) {
    expiries[std::to_string(expiry.expires)] = numbers(expiry.sessions);
  }
  return {
      {"expiry_time_to_session_ids", std::move(expiries)},
      {"session_id_to_ephemeral_paths", paths_by_session(ephemerals_by_session(source.tree()))}};
}

Json environment(const HttpRequest&, AdminSource& source) {
  Json json = Json::object();
  for (const auto& [name, value] : environment_lines(source)) json[name] = value;
  return json;
}

Json get_trace_mask(const HttpRequest&, AdminSource&) {
  return {{"tracemask", kTraceMask}};
}

Json set_trace_mask(const HttpRequest& request, AdminSource&) {
  const auto found = std::ranges::find(request.parameters, "traceMask",
                                       &std::pair<std::string, std::string>::first);
  if (found == request.parameters.end()) {
    return {{"error", "setTraceMask requires long traceMask argument"}};
  }
  const std::string& text = found->second;
  std::int64_t mask = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mask);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return {{"error", "setTraceMask requires long traceMask argument, got " + text}};
  }
  return {{"tracemask", mask}};
}

Json hash(const HttpRequest&, AdminSource& source) {
  const server::MemberStatus status = source.status();
  const Json newest{{"zxid", fmt::format("{:x}", status.last_applied.value)},
                    {"digest", fmt::format("{}", status.digest)}};
  return {{"digests", Json::array({newest})}};
}

Json initial_configuration(const HttpRequest&, AdminSource& source) {
  return {{"initial_configuration", source.settings().configuration}};
}

Json is_read_only(const HttpRequest&, AdminSource& source) {
  return {{"read_only", mode_word(source) == "read-only"}};
}

Json last_snapshot(const HttpRequest&, AdminSource& source) {
  const std::optional<LastSnapshot> last = source.last_snapshot();
  return {{"zxid", fmt::format("{:x}", last ? last->zxid.value : 0)},
          {"timestamp", last ? last->taken / 1000 : -1}};
}

const EnsembleServer* server_of(const AdminSource& source, ServerId id) {
  const auto found = std::ranges::find(source.settings().servers, id, &EnsembleServer::id);
  return found == source.settings().servers.end() ? nullptr : &*found;
}

Json leader(const HttpRequest&, AdminSource& source) {
  if (source.settings().standalone) return {{"error", "server is not initialized"}};
  const ServerId id = source.status().leader;
  const EnsembleServer* const server = server_of(source, id);
  return {{"is_leader", leads(source)},
          {"leader_id", id.value},
          {"leader_ip", server == nullptr ? "" : server->host}};
}

Json monitor(const HttpRequest&, AdminSource& source) {
  Json json{{"version", source.settings().version}, {"server_state", mode_word(source)}};
  if (!source.settings().standalone) json["peer_state"] = peer_state_text(source);
  for_each_number(collect(source), [&](std::string_view name, const Number& value) {
    std::visit([&](auto plain) { json[std::string(name)] = plain; }, value);
  });
  return json;
}

Json observers(const HttpRequest&, AdminSource& source) {
  Json all = Json::array();
  std::uint64_t in_step = 0;
  for (const zab::LearnerStatus& learner : source.learners()) {
    if (!learner.observer) continue;
    in_step += learner.in_step ? 1U : 0U;
    const EnsembleServer* const server = server_of(source, learner.id);
    all.push_back({{"sid", learner.id.value},
                   {"remote_socket_address", server == nullptr ? "" : server->host},
                   {"synced", learner.in_step}});
  }
  return {{"synced_observers", in_step}, {"observers", std::move(all)}};
}

Json response_sizes(const client_port::PortView& port) {
  const auto bytes = [&](std::uint64_t count) {
    return port.max_response_bytes == 0 ? -1 : static_cast<std::int64_t>(count);
  };
  return {{"last_buffer_size", bytes(port.last_response_bytes)},
          {"min_buffer_size", bytes(port.min_response_bytes)},
          {"max_buffer_size", bytes(port.max_response_bytes)}};
}

Json server_stats(const HttpRequest&, AdminSource& source) {
  const client_port::PortView port = source.port();
  const DirectorySizes sizes = source.directory_sizes();
  const std::string_view mode = mode_word(source);
  Json json{{"version", source.settings().version},
            {"read_only", mode == "read-only"},
            {"server_stats",
             {{"packets_sent", port.sent},
              {"packets_received", port.received},
              {"fsync_threshold_exceed_count", 0},
              {"client_response_stats", response_sizes(port)},
              {"data_dir_size", sizes.data_bytes},
              {"log_dir_size", sizes.log_bytes},
              {"provider_null", false},
              {"server_state", mode},
              {"last_processed_zxid", source.status().last_applied.value},
              {"outstanding_requests", port.outstanding},
              {"avg_latency", port.latency.average_ms()},
              {"max_latency", port.latency.max_ms},
              {"min_latency", port.latency.min_ms},
              {"num_alive_client_connections", port.connections},
              {"uptime", source.uptime().count()},
              {"auth_failed_count", port.auth_failed},
              {"non_mtlsremote_conn_count", 0},
              {"non_mtlslocal_conn_count", 0}}},
            {"client_response", response_sizes(port)}};
  if (mode == "leader") {
    const ProposalSizes proposals = source.proposal_sizes().value_or(ProposalSizes{});
    json["proposal_stats"] = {{"last_buffer_size", proposals.last},
                              {"min_buffer_size", proposals.min},
                              {"max_buffer_size", proposals.max}};
  }
  json["node_count"] = source.tree().node_count();
  return json;
}

Json stats(const HttpRequest& request, AdminSource& source) {
  Json json = server_stats(request, source);
  json["connections"] = connection_list(source);
  json["secure_connections"] = Json::array();
  return json;
}

// The effective configuration, by the names that ZooKeeper's properties have.
Json system_properties(const HttpRequest&, AdminSource& source) {
  Json json = Json::object();
  for (const auto& [name, value] : environment_lines(source)) {
    if (!name.starts_with("zookeeper.")) json[name] = value;
  }
  std::string_view text = source.settings().configuration;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    json[fmt::format("zookeeper.{}", line.substr(0, equals))] = line.substr(equals + 1);
  }
  return json;
}

std::string address(std::string_view host, std::uint16_t port) {
  const bool v6 = host.find(':') != std::string_view::npos && !host.starts_with('[');
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

Json voting_view(const HttpRequest&, AdminSource& source) {
  Json current = Json::object();
  for (const EnsembleServer& server : source.settings().servers) {
    if (server.observer) continue;
    current[std::to_string(server.id.value)] = {
        {"server_addresses", {address(server.host, server.quorum_port)}},
        {"election_addresses", {address(server.host, server.election_port)}},
        {"client_address", server.client_address},
        {"learner_type", "participant"}};
  }
  return {{"current_config", std::move(current)}};
}

Json watches(const HttpRequest&, AdminSource& source) {
  return {{"session_id_to_watched_paths", paths_by_session(source.watching_sessions())}};
}

Json watches_by_path(const HttpRequest&, AdminSource& source) {
  Json all = Json::object();
  for (const PathSessions& watched : source.watched_paths()) {
    all[watched.path] = numbers(watched.sessions);
  }
  return {{"path_to_session_ids", std::move(all)}};
}

Json watch_summary(const HttpRequest&, AdminSource& source) {
  const WatchCounts counts = source.watch_counts();
  return {{"num_connections", counts.connections},
          {"num_paths", counts.paths},
          {"num_total_watches", counts.watches}};
}

Json zabstate(const HttpRequest&, AdminSource& source) {
  const Settings& settings = source.settings();
  if (settings.standalone) return {{"voting", false}, {"zabstate", ""}};
  const server::MemberStatus status = source.status();
  const EnsembleServer* const self = server_of(source, settings.self);
  const auto one = [&](std::uint16_t port) -> Json {
    const std::string text = address(self == nullptr ? "" : self->host, port);
    return {
        {"all_addresses", Json::array({text})}, {"all_ports", Json::array({port})}, {"one", text}};
  };
  std::string_view state = "broadcast";
  if (!status.in_quorum) {
    state = status.state == zab::PeerState::kLooking ? "election" : "synchronization";
  }
  return {{"myid", settings.self.value},
          {"is_leader", leads(source)},
          {"quorum_address", one(settings.quorum_port)},
          {"election_address", one(settings.election_port)},
          {"client_address", address(settings.client_address, settings.client_port)},
          {"voting", !settings.observer},
          {"last_zxid", fmt::format("{}", status.last_applied)},
          {"zab_epoch", status.last_applied.epoch().value},
          {"zab_counter", status.last_applied.counter()},
          {"zabstate", state}};
}

struct Command {
  std::array<std::string_view, 3> names;  // the primary one first
  bool needs_serving;
  Json (*run)(const HttpRequest& request, AdminSource& source);
};

// In the order of their primary names.
constexpr std::array kCommands{
    Command{{"configuration", "conf", "config"}, true, configuration},
    Command{{"connection_stat_reset", "crst"}, true, connection_stat_reset},
    Command{{"connections", "cons"}, true, connections},
    Command{{"dirs"}, true, dirs},
    Command{{"dump"}, true, dump},
    Command{{"environment", "env", "envi"}, false, environment},
    Command{{"get_trace_mask", "gtmk"}, false, get_trace_mask},
    Command{{"hash"}, true, hash},
    Command{{"initial_configuration", "icfg"}, false, initial_configuration},
    Command{{"is_read_only", "isro"}, true, is_read_only},
    Command{{"last_snapshot", "lsnp"}, true, last_snapshot},
    Command{{"leader", "lead"}, true, leader},
    Command{{"monitor", "mntr"}, true, monitor},
    Command{{"observer_connection_stat_reset", "orst"}, true, nothing},
    Command{{"observers", "obsr"}, true, observers},
    Command{{"ruok"}, true, nothing},
    Command{{"server_stats", "srvr"}, true, server_stats},
    Command{{"set_trace_mask", "stmk"}, false, set_trace_mask},
    Command{{"stat_reset", "srst"}, true, stat_reset},
    Command{{"stats", "stat"}, true, stats},
    Command{{"system_properties", "sysp"}, false, system_properties},
    Command{{"voting_view"}, true, voting_view},
    Command{{"watch_summary", "wchs"}, true, watch_summary},
    Command{{"watches", "wchc"}, true, watches},
    Command{{"watches_by_path", "wchp"}, true, watches_by_path},
    Command{{"zabstate"}, false, zabstate},
};

const Command* find(std::string_view name) {
  if (name.empty()) return nullptr;
  const auto* found = std::ranges::find_if(kCommands, [&](const Command& command) {
    return std::ranges::find(command.names, name) != command.names.end();
  });
  return found == kCommands.end() ? nullptr : found;
}

Json failure(std::string_view name, std::string text) {
  return {{"command", name}, {"error", std::move(text)}};
}

Json result(std::string_view name, const HttpRequest& request, AdminSource& source) {
  const Command* const command = find(name);
  if (command == nullptr) return failure(name, fmt::format("Unknown command: {}", name));
  if (command->needs_serving && !is_serving(source)) {
    return failure(name, std::string(kNotServing));
  }
  Json json = command->run(request, source);
  json["command"] = command->names.front();
  if (!json.contains("error")) json["error"] = nullptr;
  return json;
}

}  // namespace

std::string run_command(std::string_view name, const HttpRequest& request, AdminSource& source) {
  // A name that is not UTF-8 must not cost the whole.
  return result(name, request, source).dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

std::string command_index(std::string_view command_url) {
  std::string page;
  for (const Command& command : kCommands) {
    page += fmt::format("<a href=\"{0}/{1}\">{1}</a>\n<br/>\n", command_url, command.names.front());
  }
  return page;
}

HttpHandler admin_handler(AdminSource& source, AdminPages pages) {
  return [&source, pages = std::move(pages)](const HttpRequest& request) -> HttpResponse {
    const std::string_view path = request.path;
    if (pages.metrics && path == "/metrics") {
      return {200, "text/plain; version=0.0.4; charset=utf-8", pages.metrics()};
    }
    const std::string& prefix = pages.command_url;
    if (!prefix.empty() && path.starts_with(prefix)) {
      const std::string_view rest = path.substr(prefix.size());
      if (rest.empty() || rest == "/") {
        return {200, "text/html; charset=utf-8", command_index(prefix)};
      }
      if (rest.starts_with('/')) {
        return {200, "application/json", run_command(rest.substr(1), request, source)};
      }
    }
    return {404, "text/plain; charset=utf-8",
            fmt::format("not found; there is {}{}{}\n", prefix,
                        !prefix.empty() && pages.metrics ? " and " : "",
                        pages.metrics ? "/metrics" : "")};
  };
}

}  // namespace zkfs::admin
