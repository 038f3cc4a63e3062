// SPDX-License-Identifier: Apache-2.0
#include "ensemble/net/listen.h"

#include <fcntl.h>

#include <asio/error.hpp>
#include <asio/ip/v6_only.hpp>

namespace zkfs::net {

using asio::ip::tcp;

std::expected<Acceptor, asio::error_code> listen_on(asio::io_context& context,
                                                    const tcp::endpoint& endpoint,
                                                    int backlog) {
  asio::error_code error;
  Acceptor acceptor(context);
  acceptor.open(endpoint.protocol(), error);
  if (error) return std::unexpected(error);
  // A child process that held the socket would keep the port busy after this process.
  static_cast<void>(::fcntl(acceptor.native_handle(), F_SETFD, FD_CLOEXEC));
  acceptor.set_option(Acceptor::reuse_address(true), error);
  if (!error && endpoint.address().is_v6()) {
    acceptor.set_option(asio::ip::v6_only(!endpoint.address().is_unspecified()), error);
  }
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(backlog, error);
  if (error) return std::unexpected(error);
  return acceptor;
}

std::expected<Acceptor, asio::error_code> listen_on_all(asio::io_context& context,
                                                        std::uint16_t port,
                                                        int backlog) {
  auto acceptor = listen_on(context, {tcp::v6(), port}, backlog);
  if (acceptor || acceptor.error() == asio::error::address_in_use) return acceptor;
  return listen_on(context, {tcp::v4(), port}, backlog);
}

}  // namespace zkfs::net
