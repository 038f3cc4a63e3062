// SPDX-License-Identifier: Apache-2.0
// Connection: one client's socket: frames in, bytes out, bounds on both. What is said is the
// conversation's affair.
//
// Reading. The first four bytes of a connection are a four-letter word or the length of the first
// frame. What a read brings goes through a buffer that all connections share; only what is left of
// an incomplete frame, or not wanted yet (Conversation::wants_frames), stays with the connection.
// So ten thousand idle connections hold no buffers. While frames are not wanted, nothing is read:
// the client's own kernel holds it back.
//
// Writing. The output of one turn of the event loop is one write. A client that does not read makes
// its conversation stop taking requests; if watch events meanwhile come to more than
// limits::kClientOutputBytesMax, it is cut off. A reply may be of any size: a client may list a
// directory of a million znodes, and read the answer slowly.
//
// Owned by ClientPort; pending handlers keep it alive, and do nothing after close().
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include <asio/ip/tcp.hpp>

#include "ensemble/client_port/conversation.h"
#include "ensemble/client_port/hub.h"
#include "ensemble/client_port/transport.h"

namespace zkfs::client_port {

class Connection;

// Called from the event loop, never from within a call of Connection.
class ConnectionOwner {
 public:
  virtual ~ConnectionOwner() = default;
  // The connection has something to do: call turn() at the end of this turn of the loop.
  virtual void wants_turn(Connection& connection) = 0;
  // It ends once its output is written, which may be never.
  virtual void ending(Connection& connection) = 0;
  // It is over, and holds nothing any more. The owner forgets it.
  virtual void closed(Connection& connection) = 0;
  // Answers a four-letter word; nothing: it is none.
  virtual const std::string* four_letter_word(std::string_view word) = 0;
};

class Connection final : public Transport, public std::enable_shared_from_this<Connection> {
 public:
  Connection(asio::ip::tcp::socket socket, Hub& hub, ConnectionOwner& owner);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start();
  // Takes frames that were not wanted before, and writes what there is to write.
  void turn();
  // At once and silently; the owner is not told. Not from within a call of the conversation's.
  void close();

  // Without a session since it was accepted, or about to end.
  [[nodiscard]] bool is_silent() const { return ending_ || !conversation_->has_session(); }

  [[nodiscard]] Conversation& conversation() { return *conversation_; }

  // The client's address, without the port.
  [[nodiscard]] const std::string& address() const { return address_; }

  // --- Transport ---
  void wake() override;
  void end() override;

 private:
  void await_readable();
  void read();
  // Takes frames out of `bytes`; returns how many bytes were taken.
  std::size_t take(ByteView bytes);
  bool answer_word(ByteView bytes);
  void write();
  void finish();

  asio::ip::tcp::socket socket_;
  Hub& hub_;
  ConnectionOwner& owner_;
  std::string address_;
  std::unique_ptr<Conversation> conversation_;  // until closed
  std::string input_;                           // what is left of a read
  std::size_t written_ = 0;                     // of the conversation's output
  bool begun_ = false;                          // the first four bytes were looked at
  bool reading_ = false;
  bool writing_ = false;  // waits for the socket to take more
  bool turn_wanted_ = false;
  bool ending_ = false;
  bool closed_ = false;
};

}  // namespace zkfs::client_port
