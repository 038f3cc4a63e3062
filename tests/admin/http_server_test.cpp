// SPDX-License-Identifier: Apache-2.0
// Over real sockets of the loopback, one event loop for both sides.
#include "ensemble/admin/http_server.h"

#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <asio/ip/tcp.hpp>
#include <asio/write.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace zkfs::admin {
namespace {

using asio::ip::tcp;

std::size_t occurrences(const std::string& text, std::string_view what) {
  std::size_t count = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
    ++count;
  }
  return count;
}

// A peer that sends what a test likes and keeps what comes back.
class Client {
 public:
  Client(asio::io_context& context, std::uint16_t port) : socket_(context) {
    socket_.connect({asio::ip::address_v4::loopback(), port});
    read();
  }

  void send(std::string_view text) {
    asio::error_code ignored;
    asio::write(socket_, asio::buffer(text), ignored);
  }

  void finish_sending() {
    asio::error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
  }

  void reset() {
    socket_.set_option(asio::socket_base::linger(true, 0));
    socket_.close();
  }

  std::string received;
  bool closed = false;

 private:
  void read() {
    socket_.async_read_some(asio::buffer(buffer_),
                            [this](const asio::error_code& error, std::size_t count) {
                              if (error == asio::error::operation_aborted) return;
                              received.append(buffer_.data(), count);
                              closed = static_cast<bool>(error);
                              if (!closed) read();
                            });
  }

  tcp::socket socket_;
  std::array<char, 16384> buffer_{};
};

class Http : public testing::Test {
 protected:
  void start(HttpListen listen = {}) {
    listen.address = "127.0.0.1";
    auto started = HttpServer::start(context, listen, [this](const HttpRequest& request) {
      requests.push_back(request);
      if (request.path == "/large") return HttpResponse{200, "text/plain", std::string(size, 'x')};
      if (request.path != "/here") return HttpResponse{404, "text/plain", "no\n"};
      return HttpResponse{200, "application/json", "{}\n"};
    });
    ASSERT_TRUE(started) << started.error().text;
    server = std::move(*started);
  }

  std::unique_ptr<Client> connect() { return std::make_unique<Client>(context, server->port()); }

  [[nodiscard]] bool until(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!done()) {
      if (context.stopped()) context.restart();
      if (context.run_one_until(deadline) == 0) return false;
    }
    return true;
  }

  // What comes back for `request`, to the end of the connection.
  std::string exchange(std::string_view request) {
    const auto client = connect();
    client->send(request);
    EXPECT_TRUE(until([&] { return client->closed; })) << client->received;
    return client->received;
  }

  static std::string get(std::string_view path, std::string_view more = "Connection: close\r\n") {
    return fmt::format("GET {} HTTP/1.1\r\nHost: x\r\n{}\r\n", path, more);
  }

  asio::io_context context{1};
  std::size_t size = 8 << 20;
  std::vector<HttpRequest> requests;
  std::unique_ptr<HttpServer> server;
};

TEST_F(Http, ARequestIsAnswered) {
  start();
  const std::string answer = exchange(get("/here"));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_NE(answer.find("Content-Type: application/json\r\n"), std::string::npos) << answer;
  EXPECT_NE(answer.find("Content-Length: 3\r\n"), std::string::npos) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\n{}\n")) << answer;
}

TEST_F(Http, StatusIsThatOfTheHandler) {
  start();
  EXPECT_TRUE(exchange(get("/elsewhere")).starts_with("HTTP/1.1 404 "));
}

TEST_F(Http, PathAndQueryAreDecoded) {
  start();
  exchange(get("/he%72e?traceMask=1%202&flag&a=b%26c"));
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].path, "/here");
  const std::vector<std::pair<std::string, std::string>> wanted{
      {"traceMask", "1 2"}, {"flag", ""}, {"a", "b&c"}};
  EXPECT_EQ(requests[0].parameters, wanted);
}

TEST_F(Http, HeadHasNoBody) {
  start();
  const std::string answer =
      exchange("HEAD /here HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
}

TEST_F(Http, OtherMethodsAreRefusedBeforeTheirBody) {
  start();
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "BREW"}) {
    const std::string answer = exchange(fmt::format(
        "{} /here HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nConnection: close\r\n\r\n",
        method));
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 405 ")) << answer;
    EXPECT_NE(answer.find("Allow: GET, HEAD\r\n"), std::string::npos) << answer;
  }
  EXPECT_TRUE(requests.empty());
}

TEST_F(Http, ABodyIsRefusedUnread) {
  start();
  EXPECT_TRUE(exchange(get("/here", "Content-Length: 100000000\r\n")).starts_with("HTTP/1.1 413 "));
  EXPECT_TRUE(
      exchange(get("/here", "Transfer-Encoding: chunked\r\n")).starts_with("HTTP/1.1 413 "));
  EXPECT_TRUE(requests.empty());
}

TEST_F(Http, PipelinedRequestsAreAnsweredInOrder) {
  start();
  const std::string answer = exchange(get("/here", "") + get("/a", "") + get("/b"));
  EXPECT_EQ(occurrences(answer, "HTTP/1.1 "), 3U);
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_EQ(requests[0].path, "/here");
  EXPECT_EQ(requests[2].path, "/b");
}

TEST_F(Http, AConnectionIsKeptForTheNextRequest) {
  start();
  const auto client = connect();
  for (std::size_t i = 1; i <= 3; ++i) {
    client->send(get("/here", ""));
    ASSERT_TRUE(until([&] { return occurrences(client->received, "{}\n") == i; }));
  }
  EXPECT_FALSE(client->closed);
}

TEST_F(Http, ARequestMayComeByteByByte) {
  start();
  const auto client = connect();
  for (const char c : get("/here")) {
    client->send(std::string_view(&c, 1));
    context.poll();
  }
  EXPECT_TRUE(until([&] { return client->closed; }));
  EXPECT_TRUE(client->received.ends_with("{}\n"));
}

TEST_F(Http, APeerThatHalfClosesIsStillAnswered) {
  start();
  const auto client = connect();
  client->send(get("/here", ""));
  client->finish_sending();
  ASSERT_TRUE(until([&] { return client->closed; }));
  EXPECT_TRUE(client->received.ends_with("{}\n")) << client->received;
}

TEST_F(Http, AHundredAtOnceAreAllAnswered) {
  start({.connections_max = 64});
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 100; ++i) clients.push_back(connect());
  for (const auto& client : clients) client->send(get("/here"));
  for (const auto& client : clients) {
    ASSERT_TRUE(until([&] { return client->closed; }));
    EXPECT_TRUE(client->received.ends_with("{}\n"));
  }
  EXPECT_EQ(requests.size(), 100U);
}

TEST_F(Http, ThoseBeyondTheLimitWaitUntilOneLeaves) {
  start({.connections_max = 2});
  auto first = connect();
  const auto second = connect();
  first->send(get("/here", ""));
  second->send(get("/here", ""));
  ASSERT_TRUE(until([&] { return requests.size() == 2; }));
  const auto third = connect();
  third->send(get("/here"));
  for (int i = 0; i < 100; ++i) context.poll();
  EXPECT_EQ(requests.size(), 2U);
  first->reset();
  ASSERT_TRUE(until([&] { return third->closed; }));
  EXPECT_EQ(requests.size(), 3U);
}

TEST_F(Http, WhoSaysNothingIsCutOff) {
  start({.idle_timeout = std::chrono::seconds(1)});
  const auto silent = connect();
  const auto begun = connect();
  begun->send("GET /here HT");
  EXPECT_TRUE(until([&] { return silent->closed && begun->closed; }));
  EXPECT_TRUE(requests.empty());
}

TEST_F(Http, WhoReadsNothingDelaysNobody) {
  start({.idle_timeout = std::chrono::seconds(1)});
  tcp::socket slow(context);
  slow.connect({asio::ip::address_v4::loopback(), server->port()});
  asio::write(slow, asio::buffer(get("/large")));
  ASSERT_TRUE(until([&] { return requests.size() == 1; }));
  EXPECT_TRUE(exchange(get("/here")).ends_with("{}\n"));
}

TEST_F(Http, ALargeAnswerComesWhole) {
  start();
  const std::string answer = exchange(get("/large"));
  EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, size);
}

TEST_F(Http, WhatIsNotHttpIsRefused) {
  start({.idle_timeout = std::chrono::seconds(1)});
  for (const std::string& bad :
       {std::string("\0\0\0\x2d\0\0\0\0\r\n\r\n", 12), std::string("ruok\r\n\r\n"),
        std::string("GET\r\n\r\n"), std::string("GET /here HTTP/9.9\r\n\r\n"),
        std::string("GET /here HTTP/1.1\r\nno colon\r\n\r\n"),
        std::string("GET /here HTTP/1.1\r\n\r\n")}) {
    const auto client = connect();
    client->send(bad);
    client->finish_sending();
    EXPECT_TRUE(until([&] { return client->closed; })) << bad;
    EXPECT_EQ(occurrences(client->received, " 200 OK"), 0U) << client->received;
  }
  EXPECT_TRUE(exchange(get("/here")).ends_with("{}\n"));
}

TEST_F(Http, HeadersBeyondTheLimitAreRefused) {
  start();
  const std::string answer = exchange(get("/here", "X: " + std::string(100'000, 'x') + "\r\n"));
  EXPECT_TRUE(answer.empty() || answer.starts_with("HTTP/1.1 431 ")) << answer;
  EXPECT_TRUE(exchange(get("/" + std::string(100'000, 'x'))).find(" 200 ") == std::string::npos);
  EXPECT_TRUE(requests.empty());
}

TEST_F(Http, ConnectionsThatBreakOffAreForgotten) {
  start({.connections_max = 4});
  for (int i = 0; i < 20; ++i) {
    const auto client = connect();
    client->send("GET /he");
    context.poll();
    client->reset();
    context.poll();
  }
  EXPECT_TRUE(exchange(get("/here")).ends_with("{}\n"));
}

TEST_F(Http, ATakenPortIsNamedWithItsKey) {
  start();
  HttpListen again{.address = "127.0.0.1", .port = server->port()};
  again.port_key = "metricsProvider.httpPort";
  const auto second = HttpServer::start(context, again, {});
  ASSERT_FALSE(second);
  EXPECT_EQ(
      second.error().text,
      fmt::format("port {} is already in use (metricsProvider.httpPort in the configuration): "
                  "stop the other process or change the port",
                  server->port()));
}

TEST_F(Http, AnAddressOfAnotherMachineIsRefused) {
  const auto elsewhere = HttpServer::start(context, {.address = "192.0.2.1"}, {});
  ASSERT_FALSE(elsewhere);
  EXPECT_TRUE(elsewhere.error().text.starts_with("192.0.2.1 is not an address of this machine"));
  const auto name = HttpServer::start(context, {.address = "here"}, {});
  ASSERT_FALSE(name);
  EXPECT_TRUE(name.error().text.starts_with("here is not a numeric address (admin.serverAddress"));
}

TEST_F(Http, AllAddressesIncludeTheLoopback) {
  auto started = HttpServer::start(context, {.address = "0.0.0.0"}, [](const HttpRequest&) {
    return HttpResponse{200, "text/plain", "{}\n"};
  });
  ASSERT_TRUE(started) << started.error().text;
  server = std::move(*started);
  EXPECT_TRUE(exchange(get("/here")).ends_with("{}\n"));
}

TEST_F(Http, ClosesItsConnectionsAsItEnds) {
  start();
  const auto client = connect();
  client->send(get("/here", ""));
  ASSERT_TRUE(until([&] { return requests.size() == 1; }));
  server.reset();
  EXPECT_TRUE(until([&] { return client->closed; }));
}

TEST_F(Http, ThePortIsFreeAgainAfterwards) {
  start();
  const std::uint16_t port = server->port();
  server.reset();
  start({.port = port});
  EXPECT_EQ(server->port(), port);
}

TEST_F(Http, WithoutDescriptorsItPausesAndThenGoesOn) {
  start();
  context.poll();
  const auto client = connect();
  client->send(get("/here"));
  std::vector<int> taken;
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const rlimit few{.rlim_cur = 256, .rlim_max = before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &few);
  for (int fd = ::dup(0); fd >= 0; fd = ::dup(0)) taken.push_back(fd);
  std::size_t turns = 0;
  for (int i = 0; i < 1000; ++i) turns += context.poll_one();
  EXPECT_LT(turns, 20U);
  EXPECT_FALSE(client->closed);
  for (const int fd : taken) ::close(fd);
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_TRUE(until([&] { return client->closed; }));
  EXPECT_TRUE(client->received.ends_with("{}\n"));
}

TEST_F(Http, NothingRunsWhileNobodyAsks) {
  start();
  context.poll();
  EXPECT_EQ(context.poll(), 0U);
}

}  // namespace
}  // namespace zkfs::admin
