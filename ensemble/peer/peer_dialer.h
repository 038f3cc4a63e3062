// SPDX-License-Identifier: Apache-2.0
// Dialer: reaches one other member, again and again, until it has a connected socket. The owner
// says when to begin and gets a socket or the text of a failure, after which it says again.
//
// Pauses between attempts begin at 20 ms, grow by half, and are cut at 50 ms during the first
// seconds after a loss, because a process that restarts is back by then, and at 500 ms later on.
// Each is shortened by up to half at random, so that members do not dial in step.
//
// Names are resolved by asio's resolver thread. A redial uses the addresses known from before and
// asks again beside it: a name server that is down does not keep a link down.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include "ensemble/base/random.h"
#include "ensemble/peer/peer_network.h"

namespace zkfs::peer {

class Dialer : public std::enable_shared_from_this<Dialer> {
 public:
  struct Events {
    std::function<void(asio::ip::tcp::socket)> connected;
    std::function<void(std::string_view)> failed;
  };

  // Called back from the event loop only, once for each dial.
  Dialer(asio::io_context& context, PeerAddress address, std::uint64_t seed, Events events);
  Dialer(const Dialer&) = delete;
  Dialer& operator=(const Dialer&) = delete;

  // At once.
  void dial();
  // After the pause that is due. Requires: the last dial has ended.
  void dial_again();
  // A link that was up is gone: short pauses from here on, unless it was up for a moment only.
  void link_lost(std::chrono::steady_clock::duration was_up);
  // The other side will not have us: only somebody who changes a configuration can help.
  void refused();
  void stop();

  [[nodiscard]] const PeerAddress& address() const { return address_; }

 private:
  using Clock = std::chrono::steady_clock;

  void resolve();
  void on_resolved(const asio::error_code& error,
                   const asio::ip::tcp::resolver::results_type& results);
  void connect();
  void on_connected(const asio::error_code& error);
  Clock::duration next_pause();

  PeerAddress address_;
  Events events_;
  Random random_;
  asio::ip::tcp::resolver resolver_;
  asio::ip::tcp::socket socket_;
  asio::steady_timer timer_;  // the pause, then the attempt's deadline
  std::vector<asio::ip::tcp::endpoint> endpoints_;
  Clock::time_point last_resolved_;
  Clock::time_point patient_after_;
  Clock::duration pause_;
  bool waits_for_name_ = false;
  bool resolving_ = false;
  bool connecting_ = false;
  bool stopped_ = false;
};

}  // namespace zkfs::peer
