// SPDX-License-Identifier: Apache-2.0
#include "ensemble/peer/peer_connection.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include <asio/error.hpp>
#include <asio/post.hpp>
#include <fmt/format.h>

#include "ensemble/base/limits.h"

namespace zkfs::peer {
namespace {

using namespace std::chrono_literals;
using asio::ip::tcp;

constexpr auto kHelloTimeout = 3s;
constexpr std::size_t kReadBytes = 512 * 1024;
// A stranger gets room for a hello and no more.
constexpr std::size_t kHelloReadBytes = 2 * 1024;
static_assert(kHelloReadBytes > kHelloBytesMax + kFrameHeaderBytes);

void set_option(int fd, int level, int name, int value) {
  // Weather if it fails: a kernel without the option makes a slower link, not a wrong one.
  static_cast<void>(::setsockopt(fd, level, name, &value, sizeof value));
}

}  // namespace

Connection::Connection(tcp::socket socket, ServerId dialled)
    : socket_(std::move(socket)), hello_deadline_(socket_.get_executor()), dialled_(dialled) {
  asio::error_code error;
  const tcp::endpoint remote = socket_.remote_endpoint(error);
  if (error) return;
  remote_host_ = remote.address().to_string();
  remote_ = fmt::format(fmt::runtime(remote.address().is_v6() ? "[{}]:{}" : "{}:{}"), remote_host_,
                        remote.port());
}

// Links between two followers are silent for hours, and a machine that lost its power says no
// goodbye. The kernel's probes find that out in three seconds at no cost to us; without them the
// member that must redial would not know. A peer that is slow but alive is ZAB's heartbeats'
// affair.
void Connection::tune() {
  asio::error_code ignored;
  socket_.non_blocking(true, ignored);
  const int fd = socket_.native_handle();
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 3000);
  // A child process that held the socket would keep peers from seeing this process die.
  static_cast<void>(::fcntl(fd, F_SETFD, FD_CLOEXEC));
}

void Connection::start(std::weak_ptr<ConnectionOwner> owner) {
  owner_ = std::move(owner);
  tune();
  hello_deadline_.expires_after(kHelloTimeout);
  hello_deadline_.async_wait([self = shared_from_this()](const asio::error_code& error) {
    if (!error && self->phase_ == Phase::kHello) self->fail(Closing::kProtocol, "it said no hello");
  });
  read_more();
}

void Connection::send_hello(const Hello& hello) {
  output_.append([&](std::string& out) { encode_hello(hello, out); });
  flush();
}

void Connection::establish(ServerId peer) {
  phase_ = Phase::kUp;
  peer_ = peer;
  hello_deadline_.cancel();
}

void Connection::send(const zab::Message& message) {
  if (phase_ != Phase::kUp || overfull_) return;
  output_.append([&](std::string& out) { encode(message, out); });
  if (output_.bytes() <= limits::kPeerQueueBytesMax) {
    request_flush();
    return;
  }
  overfull_ = true;
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->fail(Closing::kOverfull,
               fmt::format("more than {} bytes wait to be sent to it", limits::kPeerQueueBytesMax));
  });
}

void Connection::close() {
  phase_ = Phase::kClosed;
  owner_.reset();
  hello_deadline_.cancel();
  output_.clear();
  asio::error_code ignored;
  socket_.close(ignored);
}

void Connection::fail(Closing why, std::string_view text) {
  if (phase_ == Phase::kClosed) return;
  const auto owner = owner_.lock();
  close();
  if (owner) owner->on_closed(shared_from_this(), why, text);
}

// --- reading ---

void Connection::read_more() {
  make_room();
  socket_.async_read_some(
      asio::buffer(input_.get() + end_, input_capacity_ - end_),
      [self = shared_from_this()](const asio::error_code& error, std::size_t count) {
        self->on_read(error, count);
      });
}

void Connection::on_read(const asio::error_code& error, std::size_t count) {
  if (phase_ == Phase::kClosed) return;
  if (error) {
    fail(Closing::kWeather, error == asio::error::eof ? "closed by it" : error.message());
    return;
  }
  // Held to the end: a callback may destroy the network, whose functions are on the stack below.
  const auto owner = owner_.lock();
  if (!owner) {
    close();
    return;
  }
  end_ += count;
  take_frames(*owner);
  if (phase_ != Phase::kClosed) read_more();
}

void Connection::take_frames(ConnectionOwner& owner) {
  while (phase_ != Phase::kClosed) {
    const ByteView rest(input_.get() + begin_, end_ - begin_);
    const auto length = frame_payload_bytes(rest);
    if (!length) return;
    const std::size_t max = phase_ == Phase::kHello ? kHelloBytesMax : limits::kPeerMessageBytesMax;
    if (*length > max) {
      fail(Closing::kProtocol,
           fmt::format("a frame of {} bytes where {} are allowed", *length, max));
      return;
    }
    if (rest.size() < kFrameHeaderBytes + *length) return;
    begin_ += kFrameHeaderBytes + *length;
    take_payload(owner, rest.substr(kFrameHeaderBytes, *length));
  }
}

void Connection::take_payload(ConnectionOwner& owner, ByteView payload) {
  if (phase_ == Phase::kUp) {
    auto message = decode(payload);
    if (!message) return fail(Closing::kProtocol, "a message that cannot be decoded");
    owner.on_message(*this, std::move(*message));
    return;
  }
  const auto hello = decode_hello(payload);
  if (!hello) return fail(Closing::kProtocol, "what it sent is not a hello");
  owner.on_hello(shared_from_this(), *hello);
}

// Moves the beginning of an unfinished frame to the front and sees to it that the rest of it fits.
void Connection::make_room() {
  const std::size_t held = end_ - begin_;
  const auto length = frame_payload_bytes(ByteView(input_.get() + begin_, held));
  const std::size_t wanted = std::max(phase_ == Phase::kUp ? kReadBytes : kHelloReadBytes,
                                      kFrameHeaderBytes + length.value_or(0));
  const bool too_small = input_capacity_ < wanted;
  const bool too_large = input_capacity_ > 2 * kReadBytes && wanted <= kReadBytes;
  if (too_small || too_large) {
    auto larger = std::make_unique_for_overwrite<char[]>(wanted);
    if (held > 0) std::memcpy(larger.get(), input_.get() + begin_, held);
    input_ = std::move(larger);
    input_capacity_ = wanted;
  } else if (begin_ > 0 && held > 0) {
    std::memmove(input_.get(), input_.get() + begin_, held);
  }
  begin_ = 0;
  end_ = held;
}

// --- writing ---

void Connection::request_flush() {
  if (flush_requested_ || awaiting_writable_) return;
  flush_requested_ = true;
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->flush_requested_ = false;
    self->flush();
  });
}

void Connection::flush() {
  if (phase_ == Phase::kClosed || awaiting_writable_) return;
  OutputQueue::Gathered gathered;
  while (output_.bytes() > 0) {
    asio::error_code error;
    const std::size_t count = socket_.write_some(output_.front(gathered), error);
    if (error == asio::error::would_block || error == asio::error::try_again) {
      await_writable();
      return;
    }
    if (error) {
      fail(Closing::kWeather, error.message());
      return;
    }
    output_.consume(count);
  }
}

void Connection::await_writable() {
  awaiting_writable_ = true;
  socket_.async_wait(tcp::socket::wait_write, [self = shared_from_this()](const asio::error_code&) {
    self->awaiting_writable_ = false;
    self->flush();
  });
}

}  // namespace zkfs::peer
