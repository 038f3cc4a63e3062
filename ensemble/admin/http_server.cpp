// SPDX-License-Identifier: Apache-2.0
#include "ensemble/admin/http_server.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include <asio/ip/tcp.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>
#include <fmt/format.h>
#include <microhttpd.h>

#include "ensemble/net/listen.h"

namespace zkfs::admin {
namespace {

using asio::ip::tcp;

constexpr auto kPauseAfterError = std::chrono::milliseconds(100);

Problem cannot_listen(const HttpListen& listen, const asio::error_code& error) {
  if (error == asio::error::address_in_use) {
    return {
        fmt::format("port {} is already in use ({} in the configuration): stop the other "
                    "process or change the port",
                    listen.port, listen.port_key)};
  }
  if (error.value() == EADDRNOTAVAIL) {
    return {
        fmt::format("{} is not an address of this machine ({} in the configuration): correct "
                    "it, or use 0.0.0.0 for all addresses",
                    listen.address, listen.address_key)};
  }
  return {fmt::format("cannot listen on port {} ({} in the configuration): {}", listen.port,
                      listen.port_key, error.message())};
}

Expected<tcp::acceptor> open(asio::io_context& context, const HttpListen& listen) {
  asio::error_code error;
  asio::ip::address address = asio::ip::address_v4::any();
  if (!listen.address.empty()) {
    address = asio::ip::make_address(listen.address, error);
    if (error) {
      return std::unexpected(
          Problem{fmt::format("{} is not a numeric address ({} in the configuration): give one "
                              "such as 127.0.0.1, or 0.0.0.0 for all",
                              listen.address, listen.address_key)});
    }
  }
  auto acceptor = address.is_unspecified() ? net::listen_on_all(context, listen.port)
                                           : net::listen_on(context, {address, listen.port});
  if (acceptor) acceptor->non_blocking(true, error);
  if (acceptor && error) acceptor = std::unexpected(error);
  if (!acceptor) return std::unexpected(cannot_listen(listen, acceptor.error()));
  return std::move(*acceptor);
}

// Whether the peer has finished sending. The library misses that if it came together with the
// request, as its epoll set is edge-triggered, and would wait for a next request in vain.
bool has_half_closed(MHD_Connection* connection) {
  const auto* const info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  char byte = 0;
  return info != nullptr &&
         ::recv(info->connect_fd, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT) == 0;
}

MHD_Result respond(MHD_Connection* connection, const HttpResponse& response, bool allow = false) {
  // The library takes a pointer to what is not const, and copies.
  MHD_Response* const made = MHD_create_response_from_buffer(
      response.body.size(), const_cast<char*>(response.body.data()), MHD_RESPMEM_MUST_COPY);
  if (made == nullptr) return MHD_NO;
  MHD_add_response_header(made, MHD_HTTP_HEADER_CONTENT_TYPE, response.content_type.c_str());
  if (allow) MHD_add_response_header(made, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
  if (has_half_closed(connection)) {
    MHD_add_response_header(made, MHD_HTTP_HEADER_CONNECTION, "close");
  }
  const MHD_Result queued = MHD_queue_response(connection, response.status, made);
  MHD_destroy_response(made);
  return queued;
}

MHD_Result add_parameter(void* to, MHD_ValueKind, const char* name, const char* value) {
  static_cast<HttpRequest*>(to)->parameters.emplace_back(name, value == nullptr ? "" : value);
  return MHD_YES;
}

bool announces_body(MHD_Connection* connection) {
  const char* const length =
      MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
  return (length != nullptr && std::string_view(length) != "0") ||
         MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                     MHD_HTTP_HEADER_TRANSFER_ENCODING) != nullptr;
}

}  // namespace

struct HttpServer::State : std::enable_shared_from_this<State> {
  State(asio::io_context& context, HttpHandler handle)
      : ready(context), timer(context), handler(std::move(handle)) {}

  // Does what can be done without waiting, then waits for more.
  void run() {
    if (stopped) return;
    // At the limit of connections it takes the listening socket out of its set, and puts it back
    // only as it runs once more after one has gone.
    unsigned before = 0;
    do {
      before = connections();
      MHD_run(daemon);
    } while (connections() < before);
    if (connections() == 0 && is_ready()) {
      pause();
    } else {
      wait();
    }
  }

  [[nodiscard]] unsigned connections() const {
    return MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections;
  }

  // Whether the library's set still has something to do.
  [[nodiscard]] bool is_ready() {
    pollfd set{.fd = ready.native_handle(), .events = POLLIN, .revents = 0};
    return ::poll(&set, 1, 0) > 0;
  }

  // Somebody waits to be accepted and cannot be: out of file descriptors, most likely. Trying on at
  // once would only burn the processor.
  void pause() {
    timer.expires_after(kPauseAfterError);
    timer.async_wait([self = shared_from_this()](const asio::error_code& error) {
      if (!error) self->run();
    });
  }

  void wait() {
    MHD_UNSIGNED_LONG_LONG timeout_ms = 0;
    timer.cancel();
    if (MHD_get_timeout(daemon, &timeout_ms) == MHD_YES) {
      timer.expires_after(std::chrono::milliseconds(timeout_ms));
      timer.async_wait([self = shared_from_this()](const asio::error_code& error) {
        if (!error) self->run();
      });
    }
    if (waiting) return;
    waiting = true;
    ready.async_wait(asio::posix::stream_descriptor::wait_read,
                     [self = shared_from_this()](const asio::error_code& error) {
                       self->waiting = false;
                       if (!error) self->run();
                     });
  }

  void stop() {
    stopped = true;
    timer.cancel();
    if (ready.is_open()) ready.release();  // the library closes it
    MHD_stop_daemon(daemon);
  }

  MHD_Result request(MHD_Connection* connection,
                     std::string_view method,
                     const char* path,
                     void** begun) {
    if (method != MHD_HTTP_METHOD_GET && method != MHD_HTTP_METHOD_HEAD) {
      return respond(connection, {.status = 405, .body = "only GET and HEAD\n"}, true);
    }
    if (announces_body(connection)) {
      return respond(connection, {.status = 413, .body = "no body is read here\n"});
    }
    // An answer to the first of the two calls would end the connection.
    if (*begun == nullptr) {
      *begun = this;
      return MHD_YES;
    }
    HttpRequest asked{.path = path, .parameters = {}};
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, add_parameter, &asked);
    return respond(connection, handler(asked));
  }

  static MHD_Result on_request(void* self,
                               MHD_Connection* connection,
                               const char* url,
                               const char* method,
                               const char* /*version*/,
                               const char* /*upload_data*/,
                               std::size_t* /*upload_data_size*/,
                               void** begun) noexcept {
    return static_cast<State*>(self)->request(connection, method, url, begun);
  }

  asio::posix::stream_descriptor ready;  // the library's epoll set
  asio::steady_timer timer;
  HttpHandler handler;
  MHD_Daemon* daemon = nullptr;
  std::uint16_t port = 0;
  bool waiting = false;  // for `ready`
  bool stopped = false;
};

Expected<std::unique_ptr<HttpServer>> HttpServer::start(asio::io_context& context,
                                                        const HttpListen& listen,
                                                        HttpHandler handler) {
  auto acceptor = open(context, listen);
  if (!acceptor) return std::unexpected(acceptor.error());
  auto state = std::make_shared<State>(context, std::move(handler));
  asio::error_code error;
  state->port = acceptor->local_endpoint(error).port();
  const int socket = acceptor->release(error);
  state->daemon = MHD_start_daemon(
      MHD_USE_EPOLL, 0, nullptr, nullptr, &State::on_request, state.get(), MHD_OPTION_LISTEN_SOCKET,
      socket, MHD_OPTION_CONNECTION_LIMIT, listen.connections_max, MHD_OPTION_CONNECTION_TIMEOUT,
      static_cast<unsigned>(listen.idle_timeout.count()), MHD_OPTION_CONNECTION_MEMORY_LIMIT,
      listen.memory_bytes_max, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
  if (state->daemon == nullptr) {
    ::close(socket);
    return std::unexpected(Problem{fmt::format(
        "cannot serve HTTP on port {} ({} in the configuration): out of memory or descriptors",
        listen.port, listen.port_key)});
  }
  state->ready.assign(MHD_get_daemon_info(state->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
                      error);
  if (error) {
    MHD_stop_daemon(state->daemon);
    return std::unexpected(
        Problem{fmt::format("cannot serve HTTP on port {} ({} in the "
                            "configuration): {}",
                            listen.port, listen.port_key, error.message())});
  }
  state->wait();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

HttpServer::HttpServer(std::shared_ptr<State> state) : state_(std::move(state)) {}

HttpServer::~HttpServer() {
  state_->stop();
}

std::uint16_t HttpServer::port() const {
  return state_->port;
}

}  // namespace zkfs::admin
