// SPDX-License-Identifier: Apache-2.0
// ControlSocket: how a running server is asked for one more mount: a socket `control.sock` in its
// data directory (SOCK_SEQPACKET, mode 0600), which is there exactly while the server runs.
//
// One conversation is one request and one answer. A request is its words, each ended by a NUL:
//   ping
//   mount MOUNTPOINT OPTIONS     answered when the mount is usable
//   unmount MOUNTPOINT
// MOUNTPOINT is absolute and resolved (Mounts). The answer is "ok", or a line that says what is
// wrong. What is longer than kRequestBytesMax is no request.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>

#include "ensemble/base/clock.h"
#include "ensemble/base/error.h"

namespace zkfs {

class ControlSocket {
 public:
  using Words = std::vector<std::string>;
  using Handler = std::function<Expected<void>(const Words&)>;

  static constexpr std::size_t kRequestBytesMax = 64 * 1024;

  // Requires: this server holds the lock of `data_dir` (what lies there is a dead server's).
  static Expected<std::unique_ptr<ControlSocket>> open(asio::io_context& context,
                                                       const std::string& data_dir,
                                                       Handler handler);
  // Removes it.
  ~ControlSocket();
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;

 private:
  ControlSocket(asio::io_context& context, std::string path, Handler handler);

  using Conversation = std::shared_ptr<asio::posix::stream_descriptor>;

  void listen();
  void accept();
  void answer(const Conversation& conversation);

  asio::io_context& context_;
  std::string path_;
  Handler handler_;
  asio::posix::stream_descriptor listener_;
  std::list<Conversation> conversations_;  // not asked anything yet, the oldest first
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// The answer of a server that is about to end: another one can be started soon.
inline constexpr std::string_view kStoppingAnswer = "the server is stopping; start it again";

// The other side, which may block.
struct ServerAnswer {
  bool running = false;  // somebody answered
  std::string problem;   // empty: it was done
};

ServerAnswer ask_server(const std::string& data_dir,
                        const ControlSocket::Words& words,
                        Millis patience);

}  // namespace zkfs
