// SPDX-License-Identifier: Apache-2.0
// ClientPort: ZooKeeper's clientPort: listens, owns the clients' connections, sends away whom the
// limits do not allow. Everything on the core thread.
//
// Its output leaves at the end of each turn of the event loop: posted, or earlier if who drives the
// member calls flush() after it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include "ensemble/base/error.h"
#include "ensemble/client_port/connection.h"
#include "ensemble/client_port/hub.h"
#include "ensemble/client_port/settings.h"
#include "ensemble/net/listen.h"

namespace zkfs::client_port {

class ClientPort final : public ConnectionOwner {
 public:
  // Answers a four-letter word: nothing, if it is none.
  using WordAnswerer = std::function<std::optional<std::string>(std::string_view word)>;

  ClientPort(asio::io_context& context,
             server::ClientDoor& door,
             Settings settings,
             std::function<Now()> now,
             WordAnswerer words);
  ~ClientPort() override;
  ClientPort(const ClientPort&) = delete;
  ClientPort& operator=(const ClientPort&) = delete;

  // Fails with a line that names the address, the key and the remedy.
  Expected<void> listen();
  // The port listened on; 0 before.
  [[nodiscard]] std::uint16_t port() const;

  // Every 10 ms or so.
  void tick();
  // Writes what is to be sent.
  void flush();
  // Closes everything; the sessions are left to their timeouts.
  void stop();

  [[nodiscard]] Hub& hub() { return hub_; }

  // --- ConnectionOwner ---
  void wants_turn(Connection& connection) override;
  void ending(Connection& connection) override;
  void closed(Connection& connection) override;
  const std::string* four_letter_word(std::string_view word) override;

 private:
  using Endpoint = asio::ip::tcp::endpoint;

  struct Listener {
    Listener(asio::io_context& context, net::Acceptor opened)
        : acceptor(std::move(opened)), pause(context) {}

    net::Acceptor acceptor;
    asio::steady_timer pause;  // after accept failed
  };

  Expected<void> take(const Endpoint& endpoint,
                      std::expected<net::Acceptor, asio::error_code> acceptor);
  void accept(Listener& listener);
  void accepted(asio::ip::tcp::socket socket);
  void sweep();

  asio::io_context& context_;
  Hub hub_;
  WordAnswerer words_;
  std::string answer_;  // to the last four-letter word
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::unordered_map<Connection*, std::shared_ptr<Connection>> connections_;
  // Those without a session, or about to end, and since when.
  std::unordered_map<Connection*, Instant> silent_;
  std::unordered_map<std::string, std::uint32_t> per_address_;
  std::vector<std::shared_ptr<Connection>> turns_;
  Instant next_sweep_{};
  bool turn_posted_ = false;
  bool stopped_ = false;
};

}  // namespace zkfs::client_port
