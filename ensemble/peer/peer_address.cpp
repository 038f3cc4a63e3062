// SPDX-License-Identifier: Apache-2.0
#include "ensemble/peer/peer_address.h"

#include <algorithm>

#include <asio/ip/address.hpp>
#include <fmt/format.h>

#include "ensemble/base/checksum.h"

namespace zkfs::peer {

using asio::ip::tcp;

std::string to_text(const PeerAddress& address) {
  return address.host.find(':') == std::string::npos
             ? fmt::format("{}:{}", address.host, address.port)
             : fmt::format("[{}]:{}", address.host, address.port);
}

std::string to_text(const tcp::endpoint& endpoint) {
  return to_text(
      PeerAddress{.id = {}, .host = endpoint.address().to_string(), .port = endpoint.port()});
}

std::uint64_t ensemble_id(std::span<const PeerAddress> all) {
  std::vector<PeerAddress> sorted(all.begin(), all.end());
  std::ranges::sort(sorted, {}, &PeerAddress::id);
  std::string list;
  for (const PeerAddress& address : sorted) {
    list += fmt::format("{}={}\n", address.id, to_text(address));
  }
  return checksum64(list);
}

std::optional<tcp::endpoint> literal_endpoint(const PeerAddress& address) {
  asio::error_code error;
  const auto host = asio::ip::make_address(address.host, error);
  if (error) return std::nullopt;
  return tcp::endpoint(host, address.port);
}

std::vector<tcp::endpoint> endpoints_of(const tcp::resolver::results_type& results) {
  std::vector<tcp::endpoint> endpoints;
  for (const auto& result : results) {
    if (std::ranges::find(endpoints, result.endpoint()) == endpoints.end()) {
      endpoints.push_back(result.endpoint());
    }
  }
  return endpoints;
}

}  // namespace zkfs::peer
