// SPDX-License-Identifier: Apache-2.0
// Members of an ensemble of transport only, in one event loop, and strangers made of plain sockets.
#pragma once

#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ensemble/base/random.h"
#include "ensemble/peer/peer_address.h"
#include "ensemble/peer/peer_codec.h"
#include "ensemble/peer/peer_network.h"

namespace zkfs::peer {

// A port that is free now, below those the kernel gives away by itself, and another one each time.
inline std::uint16_t free_port() {
  static std::uint64_t next =
      Random(
          static_cast<std::uint64_t>(::getpid()) ^
          static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()))
          .below(10'000);
  asio::io_context context;
  for (;;) {
    const auto port = static_cast<std::uint16_t>(20'000 + next++ % 10'000);
    asio::ip::tcp::acceptor probe(context, asio::ip::tcp::v6());
    asio::error_code error;
    probe.set_option(asio::ip::tcp::acceptor::reuse_address(true), error);
    probe.bind({asio::ip::tcp::v6(), port}, error);
    if (!error) return port;
  }
}

// Servers 1..count on `host`.
inline std::vector<PeerAddress> ensemble_of(std::uint32_t count,
                                            const std::string& host = "127.0.0.1") {
  std::vector<PeerAddress> all;
  for (std::uint32_t id = 1; id <= count; ++id) all.push_back({ServerId{id}, host, free_port()});
  return all;
}

class Loop {
 public:
  asio::io_context context{1};

  // Runs the loop until `done`, or gives up after far more time than anything here takes.
  [[nodiscard]] bool until(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!done()) {
      if (context.stopped()) context.restart();
      if (context.run_one_until(deadline) == 0 && std::chrono::steady_clock::now() >= deadline) {
        return false;
      }
    }
    return true;
  }

  // Runs what is ready, and what that makes ready.
  void settle() {
    if (context.stopped()) context.restart();
    context.poll();
  }
};

class Member {
 public:
  Member(Loop& loop, std::uint32_t id, std::vector<PeerAddress> all) : loop_(loop), id_(id) {
    PeerEvents on;
    on.up = [this](ServerId peer) { events.push_back(fmt::format("up {}", peer)); };
    on.down = [this](ServerId peer) { events.push_back(fmt::format("down {}", peer)); };
    on.message = [this](ServerId peer, zab::Message message) {
      if (on_message) return on_message(peer, std::move(message));
      events.push_back(fmt::format("message {}", peer));
      messages.push_back(std::move(message));
    };
    network =
        std::make_unique<PeerNetwork>(loop.context, ServerId{id}, std::move(all), std::move(on));
  }

  Member& start(bool listen_on_all_addresses = false) {
    const auto started = network->start(listen_on_all_addresses);
    EXPECT_TRUE(started) << started.error().text;
    return *this;
  }

  [[nodiscard]] bool linked(std::uint32_t peer) const { return network->connected(ServerId{peer}); }

  void send(std::uint32_t to, zab::Message message) {
    network->send(ServerId{to}, std::move(message));
  }

  std::vector<std::string> events;
  std::vector<zab::Message> messages;
  std::function<void(ServerId, zab::Message)> on_message;
  std::unique_ptr<PeerNetwork> network;

 private:
  Loop& loop_;
  std::uint32_t id_;
};

inline std::uint64_t number_of(const zab::Message& message) {
  return std::get<zab::Ack>(message).zxid.value;
}

// A plain socket that says what a test wants said.
class Stranger {
 public:
  Stranger(Loop& loop, const PeerAddress& to) : loop_(loop), socket_(loop.context) {
    socket_.connect(*literal_endpoint(to));
    read();
  }

  Stranger(Loop& loop, asio::ip::tcp::socket socket) : loop_(loop), socket_(std::move(socket)) {
    read();
  }

  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;

  ~Stranger() {
    asio::error_code ignored;
    socket_.close(ignored);
    loop_.settle();
  }

  Stranger& say(const std::string& bytes) {
    asio::error_code ignored;
    asio::write(socket_, asio::buffer(bytes), ignored);
    return *this;
  }

  Stranger& say_hello(const Hello& hello) {
    std::string bytes;
    encode_hello(hello, bytes);
    return say(bytes);
  }

  void stop_reading() { socket_.cancel(); }

  void resume_reading() { read(); }

  void hang_up() { socket_.close(); }

  [[nodiscard]] bool was_closed() const { return closed_; }

  // What the other side has said.
  [[nodiscard]] const std::string& heard() const { return heard_; }

 private:
  void read() {
    socket_.async_read_some(asio::buffer(buffer_),
                            [this](const asio::error_code& error, std::size_t count) {
                              if (error == asio::error::operation_aborted) return;
                              heard_.append(buffer_.data(), count);
                              if (!error) return read();
                              closed_ = true;
                            });
  }

  Loop& loop_;
  asio::ip::tcp::socket socket_;
  std::array<char, 4096> buffer_{};
  std::string heard_;
  bool closed_ = false;
};

}  // namespace zkfs::peer
