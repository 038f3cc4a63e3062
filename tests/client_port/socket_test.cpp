// SPDX-License-Identifier: Apache-2.0
// The client port over loopback, in one thread: the clients' ends of the sockets are plain
// descriptors, and the port's event loop runs until what is awaited has happened.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <functional>

#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include "ensemble/base/limits.h"
#include "ensemble/client_port/client_port.h"
#include "tests/client_port/hub_fixture.h"

namespace zkfs::client_port {
namespace {

// Far beyond what anything here takes: reached only by what fails.
constexpr std::chrono::seconds kPatience{20};

std::string framed(const std::string& payload) {
  std::string out;
  jute::Writer(out).write_buffer(payload);
  return out;
}

class Socket {
 public:
  explicit Socket(std::uint16_t port, int receive_buffer = 0)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    if (receive_buffer != 0)
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    const int one = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    // On loopback it is connected at once, or will be: the backlog is large.
    static_cast<void>(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address));
  }

  ~Socket() { close(); }

  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  // Returns how much was taken.
  std::size_t send(std::string_view bytes) const {
    const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    return sent < 0 ? 0 : static_cast<std::size_t>(sent);
  }

  // Takes in what has come.
  void receive() {
    std::array<char, 65'536> buffer{};
    for (;;) {
      const auto got = ::recv(fd_, buffer.data(), buffer.size(), 0);
      if (got > 0) {
        received_.append(buffer.data(), static_cast<std::size_t>(got));
        continue;
      }
      if (got == 0 || (errno != EAGAIN && errno != EINTR && errno != ENOTCONN)) ended_ = true;
      return;
    }
  }

  void finish_sending() const { ::shutdown(fd_, SHUT_WR); }

  // As a host that loses its memory would: no FIN, a reset.
  void reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }

  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

  std::string& received() { return received_; }

  [[nodiscard]] bool ended() const { return ended_; }

 private:
  int fd_;
  std::string received_;
  bool ended_ = false;
};

class Sockets : public HubTest {
 protected:
  Sockets() { start(); }

  ~Sockets() override {
    port_.reset();
    // What the loop still has of the port must not need it.
    context_.restart();
    context_.poll();
  }

  void start(Settings settings = {}) {
    port_.reset();
    settings.self = ServerId{1};
    settings.address = "127.0.0.1";
    port_ = std::make_unique<ClientPort>(
        context_, *door_, settings, [this] { return now(); },
        [](std::string_view word) -> std::optional<std::string> {
          if (word == "ruok") return "imok";
          return std::nullopt;
        });
    const auto listening = port_->listen();
    ASSERT_TRUE(listening) << listening.error().text;
  }

  std::unique_ptr<Socket> dial(int receive_buffer = 0) {
    return std::make_unique<Socket>(port_->port(), receive_buffer);
  }

  void step() {
    context_.restart();
    context_.run_for(std::chrono::milliseconds(1));
    run();
    context_.restart();
    context_.poll();
  }

  bool await(const std::function<bool()>& happened) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!happened()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      step();
    }
    return true;
  }

  bool await_end(Socket& socket) {
    return await([&] {
      socket.receive();
      return socket.ended();
    });
  }

  std::optional<std::string> await_frame(Socket& socket) {
    std::optional<std::string> frame;
    await([&] {
      socket.receive();
      frame = take_frame(socket.received());
      return frame || socket.ended();
    });
    return frame;
  }

  std::string await_text(Socket& socket) {
    const auto frame = await_frame(socket);
    return frame ? to_text(read_reply(*frame)) : "nothing";
  }

  std::unique_ptr<Socket> welcomed(int receive_buffer = 0) {
    auto socket = dial(receive_buffer);
    socket->send(framed(connect_request()));
    const auto frame = await_frame(*socket);
    EXPECT_TRUE(frame);
    if (frame) welcome_ = read_welcome(*frame);
    return socket;
  }

  [[nodiscard]] std::size_t connections() const { return port_->hub().view().connections; }

  void tick(std::int64_t ms) {
    time_ms_ += ms;
    port_->tick();
    step();
  }

  asio::io_context context_;
  std::unique_ptr<ClientPort> port_;
};

TEST_F(Sockets, FramesMayComeByteByByte) {
  auto socket = dial();
  const std::string all = framed(connect_request()) + framed(create_request(1, "/a", 0, "v")) +
                          framed(get_request(2, "/a"));
  for (const char byte : all) {
    ASSERT_EQ(socket->send({&byte, 1}), 1U);
    step();
  }
  EXPECT_TRUE(await_frame(*socket));
  EXPECT_EQ(await_text(*socket), "1 Ok");
  EXPECT_EQ(await_text(*socket), "2 Ok");
}

TEST_F(Sockets, ManyFramesMayComeInOneSegment) {
  auto socket = dial();
  std::string all = framed(connect_request());
  for (int i = 1; i <= 200; ++i)
    all += framed(i % 2 ? set_request(i, "/", "v") : get_request(i, "/"));
  ASSERT_EQ(socket->send(all), all.size());
  EXPECT_TRUE(await_frame(*socket));
  for (int i = 1; i <= 200; ++i) ASSERT_EQ(await_text(*socket), std::to_string(i) + " Ok");
}

TEST_F(Sockets, TheLargestFrameIsTakenAndOneByteMoreIsNot) {
  Settings settings;
  settings.frame_bytes_max = 1'000;
  start(settings);
  auto socket = welcomed();
  std::string fits = exists_request(1, "/");
  fits.resize(1'000);
  socket->send(framed(fits));
  EXPECT_EQ(await_text(*socket), "1 Ok");
  socket->send(framed(fits + "x"));
  EXPECT_TRUE(await_end(*socket));
}

TEST_F(Sockets, LengthsThatCannotBeEndTheConnection) {
  for (const char* length : {"00000000", "ffffffff", "80000000", "7fffffff", "000fffff 00*8"}) {
    auto socket = welcomed();
    socket->send(bytes(length));
    if (std::string_view(length).size() > 8) {
      // A frame that never ends is only waited for.
      step();
      socket->receive();
      EXPECT_FALSE(socket->ended());
      continue;
    }
    EXPECT_TRUE(await_end(*socket)) << length;
  }
}

TEST_F(Sockets, AFirstFrameThatCannotBeEndsTheConnection) {
  for (const char* first : {"00000000", "ffffffff", "00000004 00000000", "'GET / HTTP/1.1'"}) {
    auto socket = dial();
    socket->send(bytes(first));
    EXPECT_TRUE(await_end(*socket)) << first;
    EXPECT_TRUE(socket->received().empty());
  }
  EXPECT_TRUE(await([&] { return connections() == 0; }));
}

TEST_F(Sockets, AFourLetterWordIsAnsweredAndTheConnectionEnds) {
  for (const std::string word : {"ruok", "ruok\n"}) {
    auto socket = dial();
    socket->send(word);
    EXPECT_TRUE(await_end(*socket));
    EXPECT_EQ(socket->received(), "imok");
  }
}

TEST_F(Sockets, AFourLetterWordMayComeInPieces) {
  auto socket = dial();
  for (const char letter : std::string("ruok")) {
    socket->send({&letter, 1});
    step();
  }
  EXPECT_TRUE(await_end(*socket));
  EXPECT_EQ(socket->received(), "imok");
}

TEST_F(Sockets, AFourLetterWordIsOneOnlyAtTheBeginning) {
  Settings settings;
  settings.frame_bytes_max = 0x7fffffff;
  start(settings);
  auto socket = welcomed();
  // As a length it is far too much, and the frame is awaited.
  socket->send("ruok");
  step();
  socket->receive();
  EXPECT_EQ(socket->received(), "");
  EXPECT_FALSE(socket->ended());
}

TEST_F(Sockets, TelnetsInterruptEndsTheConnection) {
  auto socket = dial();
  socket->send("\xff\xf4\xff\xfd\x06");
  EXPECT_TRUE(await_end(*socket));
}

TEST_F(Sockets, AClientThatIsResetLeavesItsSessionAndNothingElse) {
  auto socket = welcomed();
  socket->reset();
  EXPECT_TRUE(await([&] { return connections() == 0; }));
  EXPECT_TRUE(member_->tree().find_session(welcome_.session));
}

TEST_F(Sockets, AClientThatIsResetBeforeItIsAcceptedDoesNoHarm) {
  for (int i = 0; i < 20; ++i) dial()->reset();
  auto socket = welcomed();
  EXPECT_TRUE(await([&] { return connections() == 1; }));
}

TEST_F(Sockets, WhoHasSaidAllIsGone) {
  auto socket = welcomed();
  socket->finish_sending();
  EXPECT_TRUE(await_end(*socket));
  EXPECT_TRUE(await([&] { return connections() == 0; }));
}

TEST_F(Sockets, CloseSessionIsAnsweredAndThenTheSocketCloses) {
  auto socket = welcomed();
  socket->send(framed(close_request(1)));
  EXPECT_EQ(await_text(*socket), "1 Ok");
  EXPECT_TRUE(await_end(*socket));
  EXPECT_EQ(member_->tree().session_count(), 0U);
}

TEST_F(Sockets, ARefusalReachesTheClientBeforeTheEnd) {
  auto socket = dial();
  socket->send(framed(connect_request({.session = SessionId{5}})));
  const auto frame = await_frame(*socket);
  ASSERT_TRUE(frame);
  EXPECT_EQ(read_welcome(*frame).timeout_ms, 0);
  EXPECT_TRUE(await_end(*socket));
}

TEST_F(Sockets, MoreThanAnAddressMayHaveAreSentAwayAtOnce) {
  Settings settings;
  settings.connections_per_address_max = 2;
  start(settings);
  auto first = welcomed();
  auto second = welcomed();
  auto third = dial();
  EXPECT_TRUE(await_end(*third));
  EXPECT_EQ(port_->hub().view().connections_rejected, 1U);
  first->close();
  EXPECT_TRUE(await([&] { return connections() == 1; }));
  auto fourth = welcomed();
  EXPECT_EQ(connections(), 2U);
}

TEST_F(Sockets, MoreThanThePortMayHaveAreSentAwayAtOnce) {
  Settings settings;
  settings.connections_per_address_max = 0;
  settings.connections_max = 1;
  start(settings);
  auto first = welcomed();
  auto second = dial();
  EXPECT_TRUE(await_end(*second));
  EXPECT_EQ(port_->hub().view().connections_rejected, 1U);
}

TEST_F(Sockets, WhoSaysNothingForTenSecondsIsSentAway) {
  auto silent = dial();
  auto half = dial();
  half->send("\0\0");
  auto client = welcomed();
  EXPECT_TRUE(await([&] { return connections() == 3; }));
  port_->tick();
  tick(9'000);
  EXPECT_EQ(connections(), 3U);
  tick(2'000);
  EXPECT_TRUE(await_end(*silent));
  EXPECT_TRUE(await_end(*half));
  EXPECT_EQ(connections(), 1U);
}

TEST_F(Sockets, WhoDoesNotReadItsRepliesIsNotListenedToAnyMore) {
  ask(connected(), create_request(1, "/large", 0, std::string(500'000, 'x')));
  auto socket = welcomed(4'096);
  std::string all;
  for (int i = 1; i <= 100; ++i) all += framed(get_request(i, "/large"));
  ASSERT_EQ(socket->send(all), all.size());
  // Until nothing moves: the socket is full, and so is what may wait.
  std::uint64_t before = 0;
  await([&] {
    const auto now = port_->hub().view().bytes_sent;
    return std::exchange(before, now) == now && now != 0;
  });
  const auto view = port_->hub().connections().front();
  EXPECT_LT(view.sent, 40U);
  for (int i = 1; i <= 100; ++i) ASSERT_EQ(await_text(*socket), std::to_string(i) + " Ok");
}

// Nothing more comes from the client that would make the server look at what is left.
TEST_F(Sockets, WhatWasLeftOverWhileTheOutputWasFullIsAnsweredUnasked) {
  ask(connected(), create_request(1, "/large", 0, std::string(600'000, 'x')));
  auto socket = welcomed();
  std::string all;
  for (int i = 1; i <= 30; ++i) all += framed(get_request(i, "/large"));
  ASSERT_EQ(socket->send(all), all.size());
  for (int i = 1; i <= 30; ++i) ASSERT_EQ(await_text(*socket), std::to_string(i) + " Ok");
}

TEST_F(Sockets, WhoDoesNotReadItsEventsIsCutOff) {
  Client& writer = connected();
  const std::string path = "/" + std::string(250, 'p');
  ask(writer, create_request(1, path));
  auto socket = welcomed(4'096);
  std::string watches;
  // Deep paths make large events.
  std::string deep = path;
  for (int i = 0; i < 200; ++i) {
    deep += path;
    ask(writer, create_request(2 + i, deep));
  }
  watches = framed(header(1, OpCode::kAddWatch).text(path).number(1));
  socket->send(watches);
  EXPECT_EQ(await_text(*socket), "1 Ok");
  EXPECT_TRUE(await([&] {
    for (int i = 0; i < 50; ++i) writer.say(set_request(1'000 + i, deep, "x"));
    run();
    writer.replies();
    return connections() == 0;
  }));
}

TEST_F(Sockets, StopEndsEveryConnectionAndNoSession) {
  auto client = welcomed();
  auto busy = welcomed();
  busy->send(framed(create_request(1, "/a")));
  auto silent = dial();
  EXPECT_TRUE(await([&] { return connections() == 3; }));
  port_->stop();
  EXPECT_TRUE(await_end(*client));
  EXPECT_TRUE(await_end(*busy));
  EXPECT_TRUE(await_end(*silent));
  EXPECT_EQ(member_->tree().session_count(), 2U);
  EXPECT_EQ(connections(), 0U);
}

TEST_F(Sockets, APortThatIsTakenIsNamedWithTheRemedy) {
  Settings settings;
  settings.address = "127.0.0.1";
  settings.port = port_->port();
  ClientPort second(
      context_, *door_, settings, [this] { return now(); },
      [](std::string_view) { return std::nullopt; });
  const auto listening = second.listen();
  ASSERT_FALSE(listening);
  EXPECT_NE(listening.error().text.find("clientPort"), std::string::npos);
  EXPECT_NE(listening.error().text.find("change the port"), std::string::npos);
}

}  // namespace
}  // namespace zkfs::client_port
