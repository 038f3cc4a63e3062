// SPDX-License-Identifier: Apache-2.0
// What follows from the servers' addresses: the ensemble's id, endpoints, texts for people.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <asio/ip/tcp.hpp>

#include "ensemble/peer/peer_network.h"

namespace zkfs::peer {

// host:port, with brackets around an IPv6 address.
std::string to_text(const PeerAddress& address);
std::string to_text(const asio::ip::tcp::endpoint& endpoint);

// A checksum over the sorted list of id=host:port. Members of two ensembles, or of one whose
// configurations differ, have different ones.
std::uint64_t ensemble_id(std::span<const PeerAddress> all);

// The endpoint, if the host is an address and not a name.
std::optional<asio::ip::tcp::endpoint> literal_endpoint(const PeerAddress& address);

// Without repetitions, in the resolver's order.
std::vector<asio::ip::tcp::endpoint> endpoints_of(
    const asio::ip::tcp::resolver::results_type& results);

}  // namespace zkfs::peer
