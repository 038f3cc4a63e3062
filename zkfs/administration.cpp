// SPDX-License-Identifier: Apache-2.0
#include "zkfs/administration.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "ensemble/admin/commands.h"
#include "ensemble/admin/metrics.h"
#include "ensemble/storage/data_dir.h"
#include "zkfs/build_version.h"
#include "zkfs/status_text.h"

namespace zkfs {
namespace {

namespace fs = std::filesystem;

std::string data_directory(const Config& config) {
  return fmt::format("{}/{}", config.data_dir, storage::kDataDirectory);
}

std::string with_port(const std::string& host, std::uint16_t port) {
  if (host.empty()) return fmt::format("0.0.0.0:{}", port);
  const bool ipv6 = host.find(':') != std::string::npos;
  return ipv6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

std::vector<admin::EnsembleServer> servers_of(const Config& config) {
  std::vector<admin::EnsembleServer> servers;
  for (const ServerLine& line : config.servers) {
    admin::EnsembleServer& server = servers.emplace_back();
    server.id = line.id;
    server.host = line.host;
    server.quorum_port = line.peer_port;
    server.election_port = line.election_port;
    server.observer = line.observer;
    if (line.client_port != 0) {
      server.client_address = with_port(line.client_address, line.client_port);
    } else if (line.id == config.self && config.client_port != 0) {
      server.client_address = with_port(config.client_address, config.client_port);
    }
  }
  return servers;
}

admin::Settings settings_of(const Config& config) {
  admin::Settings settings;
  settings.version = version_for_zookeeper();
  settings.self = config.self;
  settings.standalone = config.standalone;
  if (!config.client_address.empty()) settings.client_address = config.client_address;
  settings.client_port = config.client_port;
  settings.data_dir = data_directory(config);
  settings.data_log_dir = settings.data_dir;
  settings.tick_time_ms = static_cast<std::uint32_t>(config.tick_time.count());
  settings.max_client_connections = config.client_connections_max;
  settings.session_timeout_min_ms = config.session_timeout_min_ms;
  settings.session_timeout_max_ms = config.session_timeout_max_ms;
  settings.init_limit = config.init_limit;
  settings.sync_limit = config.sync_limit;
  for (const ServerLine& line : config.servers) {
    if (line.id != config.self) continue;
    settings.observer = line.observer;
    settings.quorum_port = line.peer_port;
    settings.election_port = line.election_port;
  }
  settings.servers = servers_of(config);
  settings.configuration = config_text(config);
  return settings;
}

// Visits the files of the data directory. They are few: some snapshots, and the log that they need.
void for_each_file(const std::string& directory,
                   const std::function<void(const fs::directory_entry& file)>& visit) {
  std::error_code failed;
  // Files come and go meanwhile.
  for (auto it = fs::directory_iterator(directory, failed); it != fs::directory_iterator();
       it.increment(failed)) {
    if (failed) return;
    visit(*it);
  }
}

}  // namespace

Administration::Administration(Context context)
    : context_(std::move(context)),
      settings_(settings_of(context_.config)),
      environment_(admin::read_environment()),
      whitelist_(context_.config.word_whitelist, context_.config.read_only_mode),
      begun_(context_.now().monotonic),
      quorum_changed_(begun_) {
  context_.member.subscribe(this);
}

Administration::~Administration() {
  context_.member.unsubscribe(this);
}

Expected<void> Administration::listen(asio::io_context& context) {
  const Config& config = context_.config;
  const auto metrics = [this] { return admin::prometheus_text(*this, context_.metrics()); };
  if (config.admin_server) {
    admin::HttpListen listen;
    listen.address = config.admin_address;
    listen.port = config.admin_port;
    listen.idle_timeout = std::chrono::ceil<std::chrono::seconds>(config.admin_idle_timeout);
    auto server = admin::HttpServer::start(
        context, listen,
        admin::admin_handler(*this, {.command_url = config.admin_url, .metrics = metrics}));
    if (!server) return std::unexpected(std::move(server).error());
    admin_server_ = std::move(*server);
  }
  if (config.metrics_port != 0) {
    admin::HttpListen listen;
    listen.address = config.metrics_address;
    listen.port = config.metrics_port;
    listen.port_key = "metricsProvider.httpPort";
    listen.address_key = "metricsProvider.httpHost";
    auto server = admin::HttpServer::start(
        context, listen, admin::admin_handler(*this, {.command_url = {}, .metrics = metrics}));
    if (!server) return std::unexpected(std::move(server).error());
    metrics_server_ = std::move(*server);
  }
  return {};
}

void Administration::close() {
  admin_server_.reset();
  metrics_server_.reset();
}

void Administration::quorum_changed(bool in_quorum) {
  const Instant before = std::exchange(quorum_changed_, now().monotonic);
  if (in_quorum) {
    elections_took_.add(quorum_changed_ - before);
  } else {
    ++elections_;
  }
}

// --- of the member ---

Millis Administration::uptime() const {
  return std::chrono::duration_cast<Millis>(now().monotonic - begun_);
}

std::optional<Millis> Administration::leader_uptime() const {
  const server::MemberStatus member = status();
  if (!member.in_quorum || member.state != zab::PeerState::kLeading) return std::nullopt;
  return std::chrono::duration_cast<Millis>(now().monotonic - quorum_changed_);
}

std::optional<admin::ProposalSizes> Administration::proposal_sizes() const {
  const auto proposals = context_.member.proposals();
  if (!proposals) return std::nullopt;
  if (proposals->last_bytes == 0) return admin::ProposalSizes{};
  return admin::ProposalSizes{.last = static_cast<std::int64_t>(proposals->last_bytes),
                              .min = static_cast<std::int64_t>(proposals->min_bytes),
                              .max = static_cast<std::int64_t>(proposals->max_bytes)};
}

std::vector<admin::SessionExpiry> Administration::session_expiries() const {
  const Now at = now();
  std::vector<admin::SessionExpiry> all;
  for (const auto& [time, sessions] : context_.member.session_expiries()) {
    all.push_back(
        {.expires = at.wall + std::chrono::duration_cast<Millis>(time - at.monotonic).count(),
         .sessions = {sessions.begin(), sessions.end()}});
  }
  return all;
}

admin::Durations Administration::durations() const {
  return {.fsync = &context_.appends,
          .snapshot = nullptr,
          .startup = &startup_,
          .election = &elections_took_,
          .read = nullptr,
          .update = nullptr};
}

admin::Counts Administration::counts() const {
  admin::Counts counts;
  counts.looking_count = elections_;
  if (const auto proposals = context_.member.proposals()) counts.proposal_count = proposals->count;
  return counts;
}

// --- of the client port ---

client_port::PortView Administration::port() const {
  return hub_ == nullptr ? client_port::PortView{} : hub_->view();
}

std::vector<client_port::ConnectionView> Administration::connections() const {
  return hub_ == nullptr ? std::vector<client_port::ConnectionView>{} : hub_->connections();
}

void Administration::reset_connections() {
  if (hub_ != nullptr) hub_->reset_connections();
}

void Administration::reset_port() {
  if (hub_ != nullptr) hub_->reset_counts();
  context_.member.reset_proposal_sizes();
}

admin::WatchCounts Administration::watch_counts() const {
  if (hub_ == nullptr) return {};
  const server::WatchTable& watches = hub_->watches();
  return {
      .connections = watches.watchers(), .paths = watches.paths(), .watches = watches.watches()};
}

std::vector<admin::PathSessions> Administration::watched_paths() const {
  std::vector<admin::PathSessions> all;
  if (hub_ == nullptr) return all;
  hub_->watches().for_each_path(
      [&](std::string_view path, const std::vector<server::WatcherId>& watchers) {
        std::set<SessionId> sessions;
        for (const server::WatcherId watcher : watchers) sessions.insert(hub_->session_of(watcher));
        sessions.erase(SessionId{});
        if (!sessions.empty()) {
          all.push_back({std::string(path), {sessions.begin(), sessions.end()}});
        }
      });
  return all;
}

std::vector<admin::SessionPaths> Administration::watching_sessions() const {
  std::vector<admin::SessionPaths> all;
  if (hub_ == nullptr) return all;
  const server::WatchTable& watches = hub_->watches();
  watches.for_each_watcher([&](server::WatcherId watcher) {
    const SessionId session = hub_->session_of(watcher);
    if (session) all.push_back({session, watches.paths_of(watcher)});
  });
  std::ranges::sort(all, {}, &admin::SessionPaths::session);
  return all;
}

// --- of the disk and the process ---

// Log and snapshots share a directory, and each of ZooKeeper's two sizes is that of its directory.
admin::DirectorySizes Administration::directory_sizes() const {
  std::uint64_t bytes = 0;
  for_each_file(settings_.data_dir, [&bytes](const fs::directory_entry& file) {
    std::error_code failed;
    const std::uintmax_t size = file.file_size(failed);
    if (!failed) bytes += size;
  });
  return {.data_bytes = bytes, .log_bytes = bytes};
}

std::optional<admin::LastSnapshot> Administration::last_snapshot() const {
  std::optional<admin::LastSnapshot> newest;
  for_each_file(settings_.data_dir, [&newest](const fs::directory_entry& file) {
    const auto zxid = storage::parse_snapshot_name(file.path().filename().string());
    std::error_code failed;
    const auto written = file.last_write_time(failed);
    if (!zxid || failed || (newest && *zxid < newest->zxid)) return;
    const auto wall = std::chrono::file_clock::to_sys(written).time_since_epoch();
    newest = {.zxid = *zxid, .taken = std::chrono::duration_cast<Millis>(wall).count()};
  });
  return newest;
}

admin::ProcessUse Administration::process_use() const {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  return {.open_descriptors = process_facts(Instant{}).open_descriptors,
          .max_descriptors = files.rlim_cur};
}

}  // namespace zkfs
