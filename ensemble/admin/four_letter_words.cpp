// SPDX-License-Identifier: Apache-2.0
#include "ensemble/admin/four_letter_words.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "ensemble/admin/metrics.h"

namespace zkfs::admin {
namespace {

using client_port::ConnectionView;

// The text of one answer.
class Text {
 public:
  template <typename... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
    text_ += '\n';
  }

  void add(std::string_view text) { text_ += text; }

  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

// As Java's Date prints itself, in UTC.
std::string date_text(WallMillis time) {
  const auto seconds = static_cast<std::time_t>(time / 1000);
  return fmt::format("{:%a %b %d %H:%M:%S} UTC {:%Y}", fmt::gmtime(seconds), fmt::gmtime(seconds));
}

std::string ruok(AdminSource&, std::string_view) {
  return "imok";
}

std::string isro(AdminSource& source, std::string_view) {
  if (source.status().in_quorum) return "rw";
  return source.port().read_only ? "ro" : "null";
}

void version_line(Text& text, const AdminSource& source) {
  text.line("Zookeeper version: {}", source.settings().version);
}

void server_statistics(Text& text, const AdminSource& source) {
  const client_port::PortView port = source.port();
  text.line("Latency min/avg/max: {}/{}/{}", port.latency.min_ms,
            decimal_text(port.latency.average_ms()), port.latency.max_ms);
  text.line("Received: {}", port.received);
  text.line("Sent: {}", port.sent);
  text.line("Connections: {}", port.connections);
  text.line("Outstanding: {}", port.outstanding);
  text.line("Zxid: {}", source.status().last_applied);
  text.line("Mode: {}", mode_word(source));
  text.line("Node count: {}", source.tree().node_count());
  if (mode_word(source) == "leader") {
    const ProposalSizes sizes = source.proposal_sizes().value_or(ProposalSizes{});
    text.line("Proposal sizes last/min/max: {}/{}/{}", sizes.last, sizes.min, sizes.max);
  }
}

std::string srvr(AdminSource& source, std::string_view) {
  Text text;
  version_line(text, source);
  if (mode_word(source) == "read-only") {
    text.line("READ-ONLY mode; serving only read-only clients");
  }
  server_statistics(text, source);
  return text.take();
}

std::string brief(const ConnectionView& connection) {
  return fmt::format(" /{}[1](queued={},recved={},sent={}", connection.remote,
                     connection.outstanding, connection.received, connection.sent);
}

std::string stat(AdminSource& source, std::string_view) {
  Text text;
  version_line(text, source);
  if (mode_word(source) == "read-only") {
    text.line("READ-ONLY mode; serving only read-only clients");
  }
  text.line("Clients:");
  for (const ConnectionView& connection : source.connections()) {
    text.line("{})", brief(connection));
  }
  text.line("");
  server_statistics(text, source);
  return text.take();
}

std::string cons(AdminSource& source, std::string_view) {
  Text text;
  for (const ConnectionView& connection : source.connections()) {
    text.add(brief(connection));
    if (connection.session) {
      text.add(fmt::format(",sid={:#x},lop={},est={},to={}", connection.session,
                           connection.last_operation, connection.established,
                           connection.session_timeout_ms));
      if (connection.last_cxid >= 0) text.add(fmt::format(",lcxid={:#x}", connection.last_cxid));
      text.add(fmt::format(
          ",lzxid={:#x},lresp={},llat={},minlat={},avglat={},maxlat={}",
          static_cast<std::uint64_t>(connection.last_zxid), connection.last_response,
          connection.last_latency_ms, connection.latency.min_ms,
          static_cast<std::uint64_t>(connection.latency.average_ms()), connection.latency.max_ms));
    }
    text.line(")");
  }
  text.line("");
  return text.take();
}

std::string conf(AdminSource& source, std::string_view) {
  const Settings& settings = source.settings();
  const DirectorySizes sizes = source.directory_sizes();
  Text text;
  text.line("clientPort={}", settings.client_port);
  text.line("secureClientPort={}", settings.secure_client_port);
  text.line("dataDir={}", settings.data_dir);
  text.line("dataDirSize={}", sizes.data_bytes);
  text.line("dataLogDir={}", settings.data_log_dir);
  text.line("dataLogSize={}", sizes.log_bytes);
  text.line("tickTime={}", settings.tick_time_ms);
  text.line("maxClientCnxns={}", settings.max_client_connections);
  text.line("minSessionTimeout={}", settings.session_timeout_min_ms);
  text.line("maxSessionTimeout={}", settings.session_timeout_max_ms);
  text.line("clientPortListenBacklog={}", settings.listen_backlog);
  // A standalone server has no id in ZooKeeper either.
  text.line("serverId={}", settings.standalone ? 0 : settings.self.value);
  if (settings.standalone) return text.take();
  text.line("initLimit={}", settings.init_limit);
  text.line("syncLimit={}", settings.sync_limit);
  text.line("electionAlg=3");
  text.line("electionPort={}", settings.election_port);
  text.line("quorumPort={}", settings.quorum_port);
  text.line("peerType={}", settings.observer ? 1 : 0);
  text.line("membership: ");
  text.add(membership_text(source.tree()));
  return text.take();
}

std::string mntr(AdminSource& source, std::string_view) {
  return monitor_text(source);
}

void dump_sessions(Text& text, const AdminSource& source) {
  text.line("SessionTracker dump:");
  if (source.status().state == zab::PeerState::kLeading) {
    const std::vector<SessionExpiry> expiries = source.session_expiries();
    std::size_t sessions = 0;
    for (const SessionExpiry& expiry : expiries) sessions += expiry.sessions.size();
    text.line("Session Sets ({})/({}):", expiries.size(), sessions);
    for (const SessionExpiry& expiry : expiries) {
      text.line("{} expire at {}:", expiry.sessions.size(), date_text(expiry.expires));
      for (const SessionId session : expiry.sessions) text.line("\t{:#x}", session);
    }
    return;
  }
  const std::vector<tree::Session> sessions = source.tree().sessions();
  text.line("Global Sessions({}):", sessions.size());
  for (const tree::Session& session : sessions) {
    text.line("{:#x}\t{}ms", session.id, session.timeout_ms);
  }
}

// When each connection would be closed if nothing more came, in steps of a tick as ZooKeeper's
// queue has it.
std::map<WallMillis, std::vector<const ConnectionView*>> connection_expiries(
    const AdminSource& source, const std::vector<ConnectionView>& connections) {
  const auto tick = static_cast<WallMillis>(std::max(1U, source.settings().tick_time_ms));
  std::map<WallMillis, std::vector<const ConnectionView*>> expiries;
  for (const ConnectionView& connection : connections) {
    const WallMillis last = std::max(connection.established, connection.last_response);
    const std::uint32_t timeout = connection.session ? connection.session_timeout_ms
                                                     : source.settings().session_timeout_max_ms;
    expiries[(last + timeout) / tick * tick + tick].push_back(&connection);
  }
  return expiries;
}

std::string dump(AdminSource& source, std::string_view) {
  Text text;
  dump_sessions(text, source);
  const std::vector<SessionPaths> ephemerals = ephemerals_by_session(source.tree());
  text.line("ephemeral nodes dump:");
  text.line("Sessions with Ephemerals ({}):", ephemerals.size());
  for (const SessionPaths& session : ephemerals) {
    text.line("{:#x}:", session.session);
    for (const std::string& path : session.paths) text.line("\t{}", path);
  }
  const std::vector<ConnectionView> connections = source.connections();
  const auto expiries = connection_expiries(source, connections);
  text.line("Connections dump:");
  text.line("Connections Sets ({})/({}):", expiries.size(), connections.size());
  for (const auto& [time, all] : expiries) {
    text.line("{} expire at {}:", all.size(), date_text(time));
    for (const ConnectionView* connection : all) {
      text.line("\tip: /{} sessionId: {:#x}", connection->remote, connection->session);
    }
  }
  return text.take();
}

std::string envi(AdminSource& source, std::string_view) {
  Text text;
  text.line("Environment:");
  for (const auto& [key, value] : environment_lines(source)) text.line("{}={}", key, value);
  return text.take();
}

std::string wchs(AdminSource& source, std::string_view) {
  const WatchCounts counts = source.watch_counts();
  return fmt::format("{} connections watching {} paths\nTotal watches:{}\n", counts.connections,
                     counts.paths, counts.watches);
}

std::string wchc(AdminSource& source, std::string_view) {
  Text text;
  for (const SessionPaths& session : source.watching_sessions()) {
    text.line("{:#x}", session.session);
    for (const std::string& path : session.paths) text.line("\t{}", path);
  }
  text.line("");
  return text.take();
}

std::string wchp(AdminSource& source, std::string_view) {
  Text text;
  for (const PathSessions& watched : source.watched_paths()) {
    text.line("{}", watched.path);
    for (const SessionId session : watched.sessions) text.line("\t{:#x}", session);
  }
  text.line("");
  return text.take();
}

std::string crst(AdminSource& source, std::string_view) {
  source.reset_connections();
  return "Connection stats reset.\n";
}

std::string srst(AdminSource& source, std::string_view) {
  source.reset_port();
  return "Server stats reset.\n";
}

std::string dirs(AdminSource& source, std::string_view) {
  const DirectorySizes sizes = source.directory_sizes();
  return fmt::format("datadir_size: {}\nlogdir_size: {}\n", sizes.data_bytes, sizes.log_bytes);
}

// The newest alone: of older ones nothing is kept.
std::string hash(AdminSource& source, std::string_view) {
  const server::MemberStatus status = source.status();
  return fmt::format("{:x}: {}\n", status.last_applied.value, status.digest);
}

std::string gtmk(AdminSource&, std::string_view) {
  return std::to_string(kTraceMask);
}

std::string stmk(AdminSource&, std::string_view rest) {
  if (rest.size() < 8) return std::to_string(kTraceMask);
  std::uint64_t mask = 0;
  for (const char c : rest.substr(0, 8)) mask = mask << 8U | static_cast<std::uint8_t>(c);
  return std::to_string(static_cast<std::int64_t>(mask));
}

struct Word {
  std::string_view word;
  bool needs_serving;
  std::string (*answer)(AdminSource& source, std::string_view rest);
};

constexpr std::array kWords{
    Word{"conf", true, conf},  Word{"cons", true, cons},  Word{"crst", true, crst},
    Word{"dirs", true, dirs},  Word{"dump", true, dump},  Word{"envi", false, envi},
    Word{"gtmk", false, gtmk}, Word{"hash", true, hash},  Word{"isro", false, isro},
    Word{"mntr", true, mntr},  Word{"ruok", false, ruok}, Word{"srst", true, srst},
    Word{"srvr", true, srvr},  Word{"stat", true, stat},  Word{"stmk", false, stmk},
    Word{"wchc", true, wchc},  Word{"wchp", true, wchp},  Word{"wchs", true, wchs},
};

const Word* find(std::string_view word) {
  const auto* found = std::ranges::find(kWords, word, &Word::word);
  return found == kWords.end() ? nullptr : found;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace

Whitelist::Whitelist(std::string_view text, bool read_only_mode) {
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view word = trimmed(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
    if (word == "*") all_ = true;
    if (!word.empty()) words_.emplace(word);
  }
  words_.emplace("srvr");
  if (read_only_mode) words_.emplace("isro");
}

bool Whitelist::allows(std::string_view word) const {
  return all_ || words_.contains(word);
}

bool is_four_letter_word(std::string_view bytes) {
  return find(bytes) != nullptr;
}

std::optional<std::string> answer(std::string_view word,
                                  std::string_view rest,
                                  AdminSource& source,
                                  const Whitelist& whitelist) {
  const Word* const found = find(word);
  if (found == nullptr) return std::nullopt;
  if (!whitelist.allows(word)) {
    return fmt::format("{} is not executed because it is not in the whitelist.\n", word);
  }
  if (found->needs_serving && !is_serving(source)) return fmt::format("{}\n", kNotServing);
  return found->answer(source, rest);
}

}  // namespace zkfs::admin
