// SPDX-License-Identifier: Apache-2.0
#include "ensemble/client_port/client_port.h"

#include <sys/random.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include <asio/error.hpp>
#include <asio/post.hpp>
#include <fmt/format.h>

#include "ensemble/base/check.h"
#include "ensemble/base/log.h"

namespace zkfs::client_port {
namespace {

using asio::ip::tcp;

// A connection that does not say what it wants, or does not take its end (ZooKeeper's
// sessionlessCnxnTimeout).
constexpr Millis kSilenceMax{10'000};
constexpr Millis kSweepInterval{500};
constexpr Millis kPauseAfterError{100};
// Room for everybody who comes when a server has gone.
constexpr int kBacklog = 4096;

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  const auto got = ::getrandom(bytes.data(), bytes.size(), 0);
  ZKFS_CHECK(got == static_cast<ssize_t>(count), "the kernel gives no random bytes");
  return bytes;
}

}  // namespace

ClientPort::ClientPort(asio::io_context& context,
                       server::ClientDoor& door,
                       Settings settings,
                       std::function<Now()> now,
                       WordAnswerer words)
    : context_(context),
      hub_(door, std::move(settings), std::move(now), random_bytes),
      words_(std::move(words)) {}

ClientPort::~ClientPort() {
  stop();
}

Expected<void> ClientPort::listen() {
  const auto& settings = hub_.settings();
  if (settings.address.empty()) {
    return take({tcp::v4(), settings.port}, net::listen_on_all(context_, settings.port, kBacklog));
  }
  asio::error_code error;
  tcp::resolver resolver(context_);
  const auto found =
      resolver.resolve(settings.address, std::to_string(settings.port),
                       tcp::resolver::passive | tcp::resolver::numeric_service, error);
  if (error) {
    return std::unexpected(Problem{
        fmt::format("clientPortAddress={} cannot be resolved ({}): correct it, or make it known",
                    settings.address, error.message())});
  }
  for (const auto& entry : found)
    ZKFS_TRY(take(entry.endpoint(), net::listen_on(context_, entry.endpoint(), kBacklog)));
  return {};
}

Expected<void> ClientPort::take(const Endpoint& endpoint,
                                std::expected<net::Acceptor, asio::error_code> acceptor) {
  if (!acceptor) {
    const char* remedy = "correct the address";
    if (acceptor.error() == asio::error::address_in_use)
      remedy = "stop the other process or change the port";
    if (acceptor.error() == asio::error::access_denied)
      remedy = "only root may have a port below 1024: change the port";
    return std::unexpected(Problem{fmt::format(
        "cannot listen on {}:{} (clientPort, clientPortAddress): {}; {}",
        endpoint.address().to_string(), endpoint.port(), acceptor.error().message(), remedy)});
  }
  listeners_.push_back(std::make_unique<Listener>(context_, std::move(*acceptor)));
  accept(*listeners_.back());
  return {};
}

std::uint16_t ClientPort::port() const {
  if (listeners_.empty()) return 0;
  asio::error_code ignored;
  return listeners_.front()->acceptor.local_endpoint(ignored).port();
}

void ClientPort::accept(Listener& listener) {
  listener.acceptor.async_accept(
      [this, &listener](const asio::error_code& error, tcp::socket socket) {
        if (error == asio::error::operation_aborted || stopped_) return;
        if (!error || error == asio::error::connection_aborted) {
          if (!error) accepted(std::move(socket));
          return accept(listener);
        }
        // Out of file descriptors, most likely. Trying on at once would only burn the processor.
        ZKFS_LOG_WARN(client_port, "cannot accept clients, trying on: {}", error.message());
        listener.pause.expires_after(kPauseAfterError);
        listener.pause.async_wait([this, &listener](const asio::error_code& cancelled) {
          if (!cancelled && !stopped_) accept(listener);
        });
      });
}

void ClientPort::accepted(tcp::socket socket) {
  const auto& settings = hub_.settings();
  auto connection = std::make_shared<Connection>(std::move(socket), hub_, *this);
  const auto known = per_address_.find(connection->address());
  const std::uint32_t from_there = known == per_address_.end() ? 0 : known->second;
  const bool too_many =
      (settings.connections_per_address_max != 0 &&
       from_there >= settings.connections_per_address_max) ||
      (settings.connections_max != 0 && connections_.size() >= settings.connections_max);
  if (too_many) {
    hub_.count_rejected();
    hub_.cut_off(connection->conversation(),
                 fmt::format("{} connections from its address, {} in all (maxClientCnxns is {}, "
                             "maxCnxns {})",
                             from_there, connections_.size(), settings.connections_per_address_max,
                             settings.connections_max));
    return connection->close();
  }
  ++per_address_[connection->address()];
  silent_.emplace(connection.get(), hub_.coarse_now().monotonic);
  connections_.emplace(connection.get(), connection);
  connection->start();
}

void ClientPort::wants_turn(Connection& connection) {
  turns_.push_back(connection.shared_from_this());
  if (std::exchange(turn_posted_, true)) return;
  asio::post(context_, [this] { flush(); });
}

void ClientPort::flush() {
  turn_posted_ = false;
  // A turn may make others want one.
  for (auto turns = std::exchange(turns_, {}); !turns.empty(); turns = std::exchange(turns_, {})) {
    for (const auto& connection : turns) connection->turn();
  }
}

void ClientPort::ending(Connection& connection) {
  if (connections_.contains(&connection)) {
    silent_.insert_or_assign(&connection, hub_.coarse_now().monotonic);
  }
}

void ClientPort::closed(Connection& connection) {
  const auto from_there = per_address_.find(connection.address());
  if (from_there != per_address_.end() && --from_there->second == 0) {
    per_address_.erase(from_there);
  }
  silent_.erase(&connection);
  connections_.erase(&connection);
}

const std::string* ClientPort::four_letter_word(std::string_view word) {
  auto answer = words_(word);
  if (!answer) return nullptr;
  answer_ = std::move(*answer);
  return &answer_;
}

void ClientPort::tick() {
  hub_.tick();
  const Instant now = hub_.coarse_now().monotonic;
  if (now < next_sweep_) return;
  next_sweep_ = now + kSweepInterval;
  sweep();
}

void ClientPort::sweep() {
  const Instant now = hub_.coarse_now().monotonic;
  std::vector<std::shared_ptr<Connection>> over;
  for (auto it = silent_.begin(); it != silent_.end();) {
    if (!it->first->is_silent()) {
      it = silent_.erase(it);
      continue;
    }
    if (now - it->second >= kSilenceMax) over.push_back(it->first->shared_from_this());
    ++it;
  }
  for (const auto& connection : over) {
    connection->close();
    closed(*connection);
  }
}

void ClientPort::stop() {
  if (std::exchange(stopped_, true)) return;
  asio::error_code ignored;
  for (const auto& listener : listeners_) {
    listener->acceptor.close(ignored);
    listener->pause.cancel();
  }
  for (const auto& [key, connection] : connections_) connection->close();
  connections_.clear();
  silent_.clear();
  turns_.clear();
}

}  // namespace zkfs::client_port
