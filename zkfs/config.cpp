// SPDX-License-Identifier: Apache-2.0
#include "zkfs/config.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <memory>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "zkfs/config_keys.h"
#include "zkfs/properties.h"

namespace zkfs {
namespace {

// Where ZooKeeper's provider listens if nothing else is said.
constexpr std::uint16_t kPrometheusPort = 7'000;

std::unexpected<Problem> problem(std::string text) {
  return std::unexpected(Problem{std::move(text)});
}

Expected<std::string> read_file(const std::string& path, std::string_view remedy) {
  std::string text;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                             &std::fclose);
  bool good = file != nullptr;
  char buffer[4096];
  while (good) {
    const std::size_t count = std::fread(buffer, 1, sizeof buffer, file.get());
    if (count == 0) break;
    text.append(buffer, count);
  }
  if (good) good = std::ferror(file.get()) == 0;
  if (good) return text;
  return problem(fmt::format("{}: cannot be read: {}; {}", path, std::strerror(errno), remedy));
}

// One key with the place it came from.
struct Sourced {
  Property property;
  std::string place;  // "zoo.cfg:3" or "--set"
};

Expected<std::vector<Sourced>> parse_overrides(const std::vector<std::string>& overrides) {
  std::vector<Sourced> all;
  for (const std::string& text : overrides) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      return problem(fmt::format("--set {}: give key=value, such as --set tickTime=2000", text));
    all.push_back({.property = {.key = text.substr(0, equals), .value = text.substr(equals + 1)},
                   .place = "--set"});
  }
  return all;
}

std::vector<Sourced> with_place(std::vector<Property> properties, const std::string& file) {
  std::vector<Sourced> all;
  for (Property& property : properties) {
    std::string place = fmt::format("{}:{}", file, property.line);
    all.push_back({.property = std::move(property), .place = std::move(place)});
  }
  return all;
}

void remark(ConfigDraft& draft, bool warning, std::string text) {
  draft.config.remarks.push_back({.warning = warning, .text = std::move(text)});
}

Expected<void> take(ConfigDraft& draft, const Sourced& entry) {
  const Property& property = entry.property;
  const auto fate = take_key(draft, property.key, property.value);
  if (!fate)
    return problem(
        fmt::format("{}: {}={}: {}", entry.place, property.key, property.value, fate.error().text));
  if (*fate == KeyFate::kNotApplicable)
    remark(draft, false, fmt::format("{}: {} has no meaning here", entry.place, property.key));
  if (*fate == KeyFate::kUnknown)
    remark(draft, true,
           fmt::format("{}: {} is not a known key and is ignored", entry.place, property.key));
  return {};
}

// The file's entries without those that --set replaces, then those of --set; of the same key given
// twice by --set the last.
std::vector<Sourced> merged(std::vector<Sourced> file, const std::vector<Sourced>& overrides) {
  const auto replaced = [](auto first, auto last, const std::string& key) {
    return std::any_of(first, last,
                       [&key](const Sourced& entry) { return entry.property.key == key; });
  };
  std::erase_if(file, [&](const Sourced& entry) {
    return replaced(overrides.begin(), overrides.end(), entry.property.key);
  });
  for (auto it = overrides.begin(); it != overrides.end(); ++it)
    if (!replaced(std::next(it), overrides.end(), it->property.key)) file.push_back(*it);
  return file;
}

void remark_repeated(ConfigDraft& draft, const std::vector<Sourced>& entries) {
  std::set<std::string> seen;
  for (const Sourced& entry : entries) {
    const std::string& key = entry.property.key;
    if (is_ensemble_key(key)) continue;  // refused by take_key
    if (!seen.insert(key).second)
      remark(draft, true, fmt::format("{}: {} is there twice; this line wins", entry.place, key));
  }
}

Expected<void> take_dynamic_file(ConfigDraft& draft) {
  const std::string path = draft.dynamic_file;
  if (path.empty()) return {};
  auto text = read_file(path, "mend dynamicConfigFile or move its server.N lines into zoo.cfg");
  ZKFS_TRY(text);
  for (const Sourced& entry : with_place(parse_properties(*text), path))
    if (is_ensemble_key(entry.property.key)) ZKFS_TRY(take(draft, entry));
  return {};
}

std::string absolute(const std::string& path) {
  std::error_code ignored;
  const std::filesystem::path whole = std::filesystem::absolute(path, ignored);
  std::string text = whole.lexically_normal().string();
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  return text;
}

Expected<void> settle_directories(ConfigDraft& draft, const ConfigSource& source) {
  std::string& data_dir = draft.config.data_dir;
  if (!source.data_dir.empty()) data_dir = source.data_dir;
  if (data_dir.empty() && source.file.empty()) data_dir = default_data_dir();
  if (data_dir.empty())
    return problem(fmt::format("{}: dataDir is missing; add a line such as dataDir=/var/lib/zkfs",
                               source.file));
  data_dir = absolute(data_dir);
  if (!draft.data_log_dir.empty() && absolute(draft.data_log_dir) != data_dir)
    return problem(fmt::format(
        "{}: dataLogDir={}: a log directory apart from dataDir={} is not supported in this "
        "release; remove the line (a log that is there would not be read)",
        source.file, draft.data_log_dir, data_dir));
  return {};
}

Expected<void> settle_times(ConfigDraft& draft) {
  Config& config = draft.config;
  if (config.heartbeat_timeout < 2 * config.heartbeat_interval)
    return problem(fmt::format(
        "heartbeatTimeout={}: must be at least twice heartbeatInterval={}, or one late heartbeat "
        "costs the leader; raise it",
        config.heartbeat_timeout.count(), config.heartbeat_interval.count()));
  const auto tick = static_cast<std::uint32_t>(config.tick_time.count());
  config.session_timeout_min_ms = draft.session_timeout_min_ms.value_or(2 * tick);
  config.session_timeout_max_ms = draft.session_timeout_max_ms.value_or(20 * tick);
  if (config.session_timeout_min_ms > config.session_timeout_max_ms)
    return problem(fmt::format(
        "minSessionTimeout={}: is more than maxSessionTimeout={}; lower it (by default they are 2 "
        "and 20 times tickTime)",
        config.session_timeout_min_ms, config.session_timeout_max_ms));
  return {};
}

void settle_administration(ConfigDraft& draft) {
  Config& config = draft.config;
  if (draft.wants_prometheus && config.metrics_port == 0) config.metrics_port = kPrometheusPort;
  const Config defaults;
  if (!config.admin_server &&
      (config.admin_port != defaults.admin_port || config.admin_address != defaults.admin_address))
    remark(draft, false, "the admin server is off; admin.enableServer=true turns it on");
}

Expected<ServerId> read_myid(const Config& config) {
  const std::string path = config.data_dir + "/myid";
  std::string ids;
  for (const ServerLine& line : config.servers)
    ids += fmt::format("{}{}", ids.empty() ? "" : ", ", line.id);
  const std::string remedy = fmt::format(
      "write this server's number of the server.N lines ({}) into it, such as: "
      "echo {} > {}",
      ids, config.servers.front().id, path);
  auto text = read_file(path, remedy);
  ZKFS_TRY(text);
  const std::size_t last = text->find_last_not_of(" \t\r\n");
  text->resize(last == std::string::npos ? 0 : last + 1);
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (text->empty() || error != std::errc{} || end != text->data() + text->size())
    return problem(fmt::format("{}: \"{}\" is not a number; {}", path, *text, remedy));
  const bool listed = std::ranges::any_of(
      config.servers, [number](const ServerLine& line) { return line.id.value == number; });
  if (!listed)
    return problem(
        fmt::format("{}: no server.{} line is in the configuration; {}", path, number, remedy));
  return ServerId(number);
}

Expected<void> check_addresses(const std::vector<ServerLine>& servers) {
  std::set<std::pair<std::string, std::uint16_t>> taken;
  for (const ServerLine& line : servers)
    if (!taken.emplace(line.host, line.peer_port).second)
      return problem(fmt::format(
          "server.{}: host and port {}:{} are another server's already; each needs its own",
          line.id, line.host, line.peer_port));
  return {};
}

void remark_on_voters(ConfigDraft& draft, std::size_t voters) {
  if (voters == 1 && draft.config.servers.size() > 1)
    remark(draft, true, "one voter: the ensemble does not survive its loss; use three or five");
  if (voters == 2)
    remark(draft, true, "two voters: the loss of either stops the ensemble; use three or five");
  if (voters > 2 && voters % 2 == 0)
    remark(draft, true,
           fmt::format("{} voters survive the loss of no more servers than {} do", voters,
                       voters - 1));
}

Expected<void> settle_ensemble(ConfigDraft& draft, const ConfigSource& source) {
  Config& config = draft.config;
  std::ranges::sort(config.servers, {}, &ServerLine::id);
  if (config.servers.empty()) return {};
  const auto voters =
      static_cast<std::size_t>(std::ranges::count(config.servers, false, &ServerLine::observer));
  if (voters == 0)
    return problem(fmt::format(
        "{}: every server is an observer; at least one server.N line must be a participant",
        source.file.empty() ? "--set" : source.file));
  ZKFS_TRY(check_addresses(config.servers));
  config.standalone = config.servers.size() == 1;
  const auto take_client_part = [&config](const ServerLine& own) {
    if (own.client_port != 0) config.client_port = own.client_port;
    if (!own.client_address.empty()) config.client_address = own.client_address;
  };
  if (config.standalone && draft.standalone_enabled) {
    config.self = config.servers.front().id;
    take_client_part(config.servers.front());
    return {};
  }
  const auto self = read_myid(config);
  ZKFS_TRY(self);
  config.self = *self;
  remark_on_voters(draft, voters);
  const auto own = std::ranges::find(config.servers, config.self, &ServerLine::id);
  const std::string_view role = own->observer ? "observer" : "participant";
  if (!draft.peer_type.empty() && draft.peer_type != role)
    remark(draft, true,
           fmt::format("peerType={} contradicts server.{}, which says {}; the server line counts",
                       draft.peer_type, config.self, role));
  take_client_part(*own);
  return {};
}

}  // namespace

std::string default_data_dir() {
  if (geteuid() == 0) return "/var/lib/zkfs";
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/')
    return std::string(state) + "/zkfs";
  const char* home = std::getenv("HOME");
  return std::string(home == nullptr ? "/tmp" : home) + "/.local/state/zkfs";
}

Expected<Config> load_config(const ConfigSource& source) {
  ConfigDraft draft;
  std::vector<Sourced> entries;
  if (source.file.empty()) {
    // Nobody chose to keep every snapshot for ever.
    draft.config.purge_interval = std::chrono::hours(1);
  } else {
    auto text = read_file(source.file, "give an existing file with --config");
    ZKFS_TRY(text);
    entries = with_place(parse_properties(*text), source.file);
  }
  auto overrides = parse_overrides(source.overrides);
  ZKFS_TRY(overrides);
  remark_repeated(draft, entries);
  for (const Sourced& entry : merged(std::move(entries), *overrides)) ZKFS_TRY(take(draft, entry));
  ZKFS_TRY(take_dynamic_file(draft));
  ZKFS_TRY(settle_directories(draft, source));
  ZKFS_TRY(settle_times(draft));
  settle_administration(draft);
  ZKFS_TRY(settle_ensemble(draft, source));
  return std::move(draft.config);
}

}  // namespace zkfs
