// SPDX-License-Identifier: Apache-2.0
// Sockets that listen, opened alike for peers, clients and administrators.
#pragma once

#include <cstdint>
#include <expected>

#include <asio/error_code.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>

namespace zkfs::net {

using Acceptor = asio::ip::tcp::acceptor;

// Listens on `endpoint`; on [::] for IPv4, too. The address may be used again at once after a
// process that had it has ended; no child process holds it. `backlog`: connections that may wait to
// be accepted; the kernel bounds it by net.core.somaxconn. Fails with what the system says:
// address_in_use, EADDRNOTAVAIL (not an address of this machine), or any other.
std::expected<Acceptor, asio::error_code> listen_on(
    asio::io_context& context,
    const asio::ip::tcp::endpoint& endpoint,
    int backlog = asio::socket_base::max_listen_connections);

// On all addresses of this machine: [::], or 0.0.0.0 on a kernel without IPv6. Fails as listen_on.
std::expected<Acceptor, asio::error_code> listen_on_all(
    asio::io_context& context,
    std::uint16_t port,
    int backlog = asio::socket_base::max_listen_connections);

}  // namespace zkfs::net
