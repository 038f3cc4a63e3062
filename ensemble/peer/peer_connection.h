// SPDX-License-Identifier: Apache-2.0
// Connection: one TCP socket to one other member, from connect or accept to close. It frames,
// batches and bounds; whom to talk to, and whether a hello is welcome, is its owner's affair.
//
//   kHello --establish()--> kUp --close() or failure--> kClosed
//      \------------- close() or failure -----------------^
//
// Created by PeerNetwork; kept alive by its pending handlers too, which after close() do nothing.
// Reading: everything the kernel has, up to the buffer's size, then every frame of it. Writing: the
// messages of one turn of the event loop are one write; what the kernel does not take waits until
// the socket is writable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include "ensemble/base/blob.h"
#include "ensemble/base/ids.h"
#include "ensemble/peer/output_queue.h"
#include "ensemble/peer/peer_codec.h"
#include "ensemble/zab/message.h"

namespace zkfs::peer {

class Connection;

// Why a connection ended by itself.
enum class Closing {
  kWeather,   // the other side or the network went away
  kProtocol,  // what arrived is not what a member says
  kOverfull,  // more than limits::kPeerQueueBytesMax waited to be sent
};

// Called from the event loop, never from within a call of Connection, except on_closed from
// send_hello().
class ConnectionOwner {
 public:
  virtual ~ConnectionOwner() = default;
  // The owner calls establish() or close() before it returns.
  virtual void on_hello(const std::shared_ptr<Connection>& connection, const Hello& hello) = 0;
  virtual void on_message(Connection& connection, zab::Message message) = 0;
  // Once, if the connection failed; not after close().
  virtual void on_closed(const std::shared_ptr<Connection>& connection,
                         Closing why,
                         std::string_view text) = 0;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // `dialled`: whom we believe to have reached; none if the other side dialled us.
  Connection(asio::ip::tcp::socket socket, ServerId dialled);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Begins to read. The other side's hello must follow within kHelloTimeout.
  void start(std::weak_ptr<ConnectionOwner> owner);
  // Writes at once.
  void send_hello(const Hello& hello);
  // The hellos were in order: from here on messages travel, both ways.
  void establish(ServerId peer);
  // Queues. Ignored unless up.
  void send(const zab::Message& message);
  // Silent and for good.
  void close();

  [[nodiscard]] bool up() const { return phase_ == Phase::kUp; }

  [[nodiscard]] bool closed() const { return phase_ == Phase::kClosed; }

  // None until established.
  [[nodiscard]] ServerId peer() const { return peer_; }

  [[nodiscard]] ServerId dialled() const { return dialled_; }

  [[nodiscard]] std::size_t queued_bytes() const { return output_.bytes(); }

  // The other side's address and port.
  [[nodiscard]] const std::string& remote() const { return remote_; }

  // Without the port, which is another one each time a member dials.
  [[nodiscard]] const std::string& remote_host() const { return remote_host_; }

 private:
  enum class Phase { kHello, kUp, kClosed };

  void tune();
  void read_more();
  void on_read(const asio::error_code& error, std::size_t count);
  void take_frames(ConnectionOwner& owner);
  void take_payload(ConnectionOwner& owner, ByteView payload);
  void make_room();
  void request_flush();
  void flush();
  void await_writable();
  void fail(Closing why, std::string_view text);

  asio::ip::tcp::socket socket_;
  asio::steady_timer hello_deadline_;
  std::weak_ptr<ConnectionOwner> owner_;
  Phase phase_ = Phase::kHello;
  ServerId dialled_;
  ServerId peer_;
  std::string remote_ = "?";
  std::string remote_host_ = "?";

  // Received and not yet taken: [begin_, end_) of input_.
  std::unique_ptr<char[]> input_;
  std::size_t input_capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;

  OutputQueue output_;
  bool flush_requested_ = false;
  bool awaiting_writable_ = false;
  bool overfull_ = false;
};

}  // namespace zkfs::peer
