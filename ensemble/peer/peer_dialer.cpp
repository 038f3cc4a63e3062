// SPDX-License-Identifier: Apache-2.0
#include "ensemble/peer/peer_dialer.h"

#include <algorithm>
#include <string>
#include <utility>

#include <asio/connect.hpp>
#include <asio/error.hpp>
#include <fmt/format.h>

#include "ensemble/peer/peer_address.h"

namespace zkfs::peer {
namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;

constexpr auto kPauseMin = 20ms;
constexpr auto kPauseMaxAtFirst = 50ms;
constexpr auto kPauseMax = 500ms;
constexpr auto kImpatience = 5s;
constexpr auto kConnectTimeout = 1s;
constexpr auto kShortLife = 1s;
constexpr auto kResolveInterval = 1s;

// Where nobody listens, a port of the ephemeral range can be connected to itself.
bool talks_to_itself(const tcp::socket& socket) {
  asio::error_code error;
  const tcp::endpoint local = socket.local_endpoint(error);
  return !error && local == socket.remote_endpoint(error);
}

}  // namespace

Dialer::Dialer(asio::io_context& context, PeerAddress address, std::uint64_t seed, Events events)
    : address_(std::move(address)),
      events_(std::move(events)),
      random_(seed),
      resolver_(context),
      socket_(context),
      timer_(context),
      last_resolved_(Clock::now() - kResolveInterval),
      patient_after_(Clock::now() + kImpatience),
      pause_(kPauseMin) {}

void Dialer::stop() {
  stopped_ = true;
  resolver_.cancel();
  timer_.cancel();
  asio::error_code ignored;
  socket_.close(ignored);
}

void Dialer::link_lost(Clock::duration was_up) {
  patient_after_ = Clock::now() + kImpatience;
  if (was_up >= kShortLife) pause_ = kPauseMin;
}

void Dialer::refused() {
  patient_after_ = Clock::now();
  pause_ = kPauseMax;
}

Dialer::Clock::duration Dialer::next_pause() {
  const Clock::duration max =
      Clock::now() < patient_after_ ? Clock::duration(kPauseMaxAtFirst) : kPauseMax;
  const Clock::duration pause = std::min(pause_, max);
  pause_ = std::min<Clock::duration>(pause * 3 / 2, kPauseMax);
  const auto count = static_cast<std::uint64_t>(pause.count());
  return Clock::duration(static_cast<Clock::rep>(random_.between(count / 2, count)));
}

void Dialer::dial_again() {
  if (stopped_) return;
  timer_.expires_after(next_pause());
  timer_.async_wait([self = shared_from_this()](const asio::error_code& error) {
    if (!error) self->dial();
  });
}

void Dialer::dial() {
  if (stopped_) return;
  if (const auto literal = literal_endpoint(address_)) {
    endpoints_.assign(1, *literal);
  } else {
    waits_for_name_ = endpoints_.empty();
    resolve();
    if (waits_for_name_) return;
  }
  connect();
}

// --- names ---

void Dialer::resolve() {
  const auto now = Clock::now();
  if (resolving_ || (!waits_for_name_ && now - last_resolved_ < kResolveInterval)) return;
  resolving_ = true;
  last_resolved_ = now;
  resolver_.async_resolve(address_.host, std::to_string(address_.port),
                          tcp::resolver::numeric_service,
                          [self = shared_from_this()](const asio::error_code& error,
                                                      const tcp::resolver::results_type& results) {
                            self->on_resolved(error, results);
                          });
}

void Dialer::on_resolved(const asio::error_code& error,
                         const tcp::resolver::results_type& results) {
  resolving_ = false;
  if (stopped_) return;
  if (!error) endpoints_ = endpoints_of(results);
  if (!std::exchange(waits_for_name_, false)) return;
  if (!error) return connect();
  events_.failed(fmt::format("the name {} cannot be resolved: {}", address_.host, error.message()));
}

// --- connecting ---

void Dialer::connect() {
  connecting_ = true;
  timer_.expires_after(kConnectTimeout);
  timer_.async_wait([self = shared_from_this()](const asio::error_code& error) {
    if (error || !self->connecting_) return;
    asio::error_code ignored;
    self->socket_.close(ignored);
  });
  asio::async_connect(
      socket_, endpoints_,
      [self = shared_from_this()](const asio::error_code& error, const tcp::endpoint&) {
        self->on_connected(error);
      });
}

void Dialer::on_connected(const asio::error_code& error) {
  connecting_ = false;
  timer_.cancel();
  if (stopped_) return;
  tcp::socket socket = std::exchange(socket_, tcp::socket(socket_.get_executor()));
  if (!error && socket.is_open() && !talks_to_itself(socket)) {
    events_.connected(std::move(socket));
    return;
  }
  // The next attempt begins with another address, in case this one swallows packets.
  if (endpoints_.size() > 1) std::ranges::rotate(endpoints_, endpoints_.begin() + 1);
  if (error == asio::error::operation_aborted) return events_.failed("no answer in time");
  events_.failed(error ? error.message() : "nobody there");
}

}  // namespace zkfs::peer
