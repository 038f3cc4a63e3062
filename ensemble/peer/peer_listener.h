// SPDX-License-Identifier: Apache-2.0
// Listener: accepts connections on this member's peer port, on every address its name stands for or
// on all addresses of the machine.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include "ensemble/base/error.h"
#include "ensemble/peer/peer_network.h"

namespace zkfs::peer {

class Listener : public std::enable_shared_from_this<Listener> {
 public:
  using Accepted = std::function<void(asio::ip::tcp::socket)>;

  Listener(asio::io_context& context, Accepted accepted);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Resolves a name, which may block: for the start of the program. Fails if the name is unknown,
  // the port busy or the address not this machine's.
  Expected<void> open(const PeerAddress& self, bool all_addresses);
  void stop();

 private:
  Expected<void> open_all_addresses(const PeerAddress& self);
  void accept(asio::ip::tcp::acceptor& acceptor);
  void pause(asio::ip::tcp::acceptor& acceptor, const asio::error_code& error);

  asio::io_context& context_;
  Accepted accepted_;
  std::deque<asio::ip::tcp::acceptor> acceptors_;
  asio::steady_timer pause_;
  std::chrono::steady_clock::time_point quiet_until_;
  bool stopped_ = false;
};

}  // namespace zkfs::peer
