// SPDX-License-Identifier: Apache-2.0
// HttpServer: a listener for administrators and Prometheus, on the core thread's event loop.
// libmicrohttpd speaks HTTP; it waits on an epoll set of its own, which is one descriptor to asio,
// and runs only when that is ready, so no thread is added and nothing blocks. GET and HEAD only;
// requests have no body. Who connects and then says nothing, or reads nothing, is cut off after
// `idle_timeout`; beyond `connections_max` further ones wait in the kernel's backlog.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include <asio/io_context.hpp>

#include "ensemble/admin/http.h"
#include "ensemble/base/error.h"

namespace zkfs::admin {

struct HttpListen {
  // A numeric address; empty, 0.0.0.0 and :: are all addresses of the machine, as in Java.
  std::string address{};
  std::uint16_t port = 0;  // 0: one that is free
  // The key of the configuration that names the port, for the line that says it is taken.
  std::string port_key = "admin.serverPort";
  std::string address_key = "admin.serverAddress";
  std::chrono::seconds idle_timeout{30};
  unsigned connections_max = 64;
  // Of one connection: request line and headers must fit, or it gets 414 or 431.
  std::size_t memory_bytes_max = 32 * 1024;
};

class HttpServer {
 public:
  // Listens. `handler` is called for each request, from within the event loop; it must not destroy
  // the server. Fails with one line if the address is none of this machine's or the port is taken.
  static Expected<std::unique_ptr<HttpServer>> start(asio::io_context& context,
                                                     const HttpListen& listen,
                                                     HttpHandler handler);
  // Closes all connections, answered or not.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] std::uint16_t port() const;

 private:
  struct State;
  explicit HttpServer(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace zkfs::admin
