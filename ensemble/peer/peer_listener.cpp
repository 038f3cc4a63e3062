// SPDX-License-Identifier: Apache-2.0
#include "ensemble/peer/peer_listener.h"

#include <cerrno>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <asio/error.hpp>
#include <fmt/format.h>

#include "ensemble/base/log.h"
#include "ensemble/net/listen.h"
#include "ensemble/peer/peer_address.h"

namespace zkfs::peer {
namespace {

using asio::ip::tcp;

constexpr auto kPauseAfterError = std::chrono::milliseconds(100);
constexpr auto kWarnInterval = std::chrono::minutes(1);

Problem cannot_listen(const PeerAddress& self,
                      const tcp::endpoint& endpoint,
                      const asio::error_code& error) {
  const std::string where = to_text(endpoint);
  const std::string line = fmt::format("server.{}", self.id);
  if (error == asio::error::address_in_use) {
    return {
        fmt::format("port {} is already in use ({} in the configuration): stop the other process "
                    "or change the port",
                    where, line)};
  }
  if (error.value() == EADDRNOTAVAIL) {
    return {
        fmt::format("{} is not an address of this machine ({} in the configuration): correct the "
                    "host, correct myid, or set quorumListenOnAllIPs=true",
                    endpoint.address().to_string(), line)};
  }
  return {fmt::format("cannot listen on {} ({} in the configuration): {}", where, line,
                      error.message())};
}

Expected<std::vector<tcp::endpoint>> resolve(asio::io_context& context, const PeerAddress& self) {
  if (const auto literal = literal_endpoint(self)) return std::vector{*literal};
  asio::error_code error;
  tcp::resolver resolver(context);
  const auto results =
      resolver.resolve(self.host, std::to_string(self.port),
                       tcp::resolver::numeric_service | tcp::resolver::passive, error);
  if (!error) return endpoints_of(results);
  return std::unexpected(
      Problem{fmt::format("the host {} of server.{} in the configuration cannot be resolved ({}): "
                          "correct it, or make the name known",
                          self.host, self.id, error.message())});
}

}  // namespace

Listener::Listener(asio::io_context& context, Accepted accepted)
    : context_(context), accepted_(std::move(accepted)), pause_(context) {}

Expected<void> Listener::open(const PeerAddress& self, bool all_addresses) {
  if (all_addresses) {
    ZKFS_TRY(open_all_addresses(self));
  } else {
    const auto endpoints = resolve(context_, self);
    if (!endpoints) return std::unexpected(endpoints.error());
    Problem problem;
    for (const tcp::endpoint& endpoint : *endpoints) {
      auto acceptor = net::listen_on(context_, endpoint);
      if (acceptor) {
        acceptors_.push_back(std::move(*acceptor));
        continue;
      }
      problem = cannot_listen(self, endpoint, acceptor.error());
      if (acceptor.error() == asio::error::address_in_use) return std::unexpected(problem);
    }
    // A name may stand for addresses that this machine lacks, such as ::1 without IPv6: one will
    // do.
    if (acceptors_.empty()) return std::unexpected(problem);
  }
  for (tcp::acceptor& acceptor : acceptors_) accept(acceptor);
  return {};
}

Expected<void> Listener::open_all_addresses(const PeerAddress& self) {
  auto acceptor = net::listen_on_all(context_, self.port);
  if (!acceptor) {
    return std::unexpected(cannot_listen(self, {tcp::v4(), self.port}, acceptor.error()));
  }
  acceptors_.push_back(std::move(*acceptor));
  return {};
}

void Listener::stop() {
  stopped_ = true;
  pause_.cancel();
  asio::error_code ignored;
  for (tcp::acceptor& acceptor : acceptors_) acceptor.close(ignored);
}

void Listener::accept(tcp::acceptor& acceptor) {
  acceptor.async_accept(
      [self = shared_from_this(), &acceptor](const asio::error_code& error, tcp::socket socket) {
        if (self->stopped_) return;
        if (error && error != asio::error::connection_aborted) return self->pause(acceptor, error);
        if (!error) self->accepted_(std::move(socket));
        if (!self->stopped_) self->accept(acceptor);
      });
}

// Out of file descriptors, most likely. Trying on at once would only burn the processor.
void Listener::pause(tcp::acceptor& acceptor, const asio::error_code& error) {
  const auto now = std::chrono::steady_clock::now();
  if (now >= quiet_until_) {
    quiet_until_ = now + kWarnInterval;
    ZKFS_LOG_WARN(peer, "cannot accept connections of other members, trying on: {}",
                  error.message());
  }
  pause_.expires_after(kPauseAfterError);
  pause_.async_wait([self = shared_from_this(), &acceptor](const asio::error_code&) {
    if (!self->stopped_) self->accept(acceptor);
  });
}

}  // namespace zkfs::peer
