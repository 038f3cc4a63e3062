// SPDX-License-Identifier: Apache-2.0
#include "zkfs/server_line.h"

#include <charconv>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace zkfs {
namespace {

constexpr std::string_view kForm =
    "write host:port:electionPort, such as 10.0.0.1:2888:3888 or [fd00::1]:2888:3888:observer";

std::unexpected<Problem> problem(std::string text) {
  return std::unexpected(Problem{std::move(text)});
}

// Splits at colons outside brackets.
std::vector<std::string_view> split_outside_brackets(std::string_view text) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  bool inside = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '[') inside = true;
    if (text[i] == ']') inside = false;
    if (text[i] != ':' || inside) continue;
    parts.push_back(text.substr(begin, i - begin));
    begin = i + 1;
  }
  parts.push_back(text.substr(begin));
  return parts;
}

Expected<std::string> parse_host(std::string_view text) {
  const bool opened = text.starts_with('[');
  if (opened != text.ends_with(']')) return problem("a bracket is missing around the address");
  if (opened) text = text.substr(1, text.size() - 2);
  if (text.empty()) return problem(fmt::format("the host is empty; {}", kForm));
  constexpr std::string_view kNever = " \t[]/@,";
  if (text.find_first_of(kNever) != std::string_view::npos)
    return problem(fmt::format("\"{}\" is not a host name or address; {}", text, kForm));
  return std::string(text);
}

Expected<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || port == 0)
    return problem(fmt::format("\"{}\" is not a port; ports are 1 to 65535", text));
  return port;
}

Expected<void> parse_client_part(std::string_view text, ServerLine& line) {
  const std::vector<std::string_view> parts = split_outside_brackets(text);
  // ZooKeeper allows a TLS port after a second semicolon; it is not listened on either.
  if (parts.size() > 2)
    return problem("after the semicolon comes clientPort or clientAddress:clientPort");
  auto port = parse_port(parts.back());
  ZKFS_TRY(port);
  line.client_port = *port;
  if (parts.size() == 1) return {};
  auto host = parse_host(parts.front());
  ZKFS_TRY(host);
  line.client_address = std::move(*host);
  return {};
}

Expected<void> parse_role(std::string_view text, ServerLine& line) {
  if (text != "participant" && text != "observer")
    return problem(fmt::format("\"{}\" is not a role; it is participant or observer", text));
  line.observer = text == "observer";
  return {};
}

}  // namespace

Expected<ServerLine> parse_server_line(ServerId id, std::string_view value) {
  ServerLine line;
  line.id = id;
  if (value.find('|') != std::string_view::npos)
    return problem("several addresses for one server are not supported; keep the first");
  const std::size_t semicolon = value.find(';');
  const std::vector<std::string_view> parts = split_outside_brackets(value.substr(0, semicolon));
  if (parts.size() < 3 || parts.size() > 4)
    return problem(
        fmt::format("{}; {}", parts.size() < 3 ? "a part is missing" : "too many parts", kForm));
  auto host = parse_host(parts[0]);
  ZKFS_TRY(host);
  line.host = std::move(*host);
  auto peer_port = parse_port(parts[1]);
  ZKFS_TRY(peer_port);
  line.peer_port = *peer_port;
  auto election_port = parse_port(parts[2]);
  ZKFS_TRY(election_port);
  line.election_port = *election_port;
  if (parts.size() == 4) ZKFS_TRY(parse_role(parts[3], line));
  if (semicolon != std::string_view::npos) {
    std::string_view client = value.substr(semicolon + 1);
    client = client.substr(0, client.find(';'));
    ZKFS_TRY(parse_client_part(client, line));
  }
  return line;
}

}  // namespace zkfs
