// SPDX-License-Identifier: Apache-2.0
#include "ensemble/client_port/connection.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "ensemble/base/limits.h"
#include "ensemble/jute/jute.h"

namespace zkfs::client_port {
namespace {

using asio::ip::tcp;

constexpr std::size_t kLengthBytes = 4;
// What telnet sends for Ctrl-C (reference/zookeeper.md 7.1).
constexpr std::string_view kTelnetInterrupt = "\xff\xf4\xff\xfd";

// A read of any connection goes through it: the event loop has one thread.
std::array<char, 64 * 1024>& scratch() {
  static std::array<char, 64 * 1024> buffer;
  return buffer;
}

void tune(int fd) {
  const int one = 1;
  static_cast<void>(::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
  static_cast<void>(::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one));
  // A child process that held the socket would keep the client from seeing this process die.
  static_cast<void>(::fcntl(fd, F_SETFD, FD_CLOEXEC));
}

// As ACLs of the scheme ip have it: an IPv4 client of an IPv6 socket is an IPv4 client.
asio::ip::address unmapped(const asio::ip::address& address) {
  if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return address;
  return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
}

}  // namespace

Connection::Connection(tcp::socket socket, Hub& hub, ConnectionOwner& owner)
    : socket_(std::move(socket)), hub_(hub), owner_(owner) {
  asio::error_code error;
  const tcp::endpoint remote = socket_.remote_endpoint(error);
  const auto address = unmapped(remote.address());
  address_ = address.to_string();
  std::string name =
      fmt::format(fmt::runtime(address.is_v6() ? "[{}]:{}" : "{}:{}"), address_, remote.port());
  conversation_ = std::make_unique<Conversation>(hub_, *this, address_, std::move(name));
}

Connection::~Connection() = default;

void Connection::start() {
  asio::error_code ignored;
  socket_.non_blocking(true, ignored);
  tune(socket_.native_handle());
  await_readable();
}

void Connection::await_readable() {
  if (reading_ || closed_ || ending_) return;
  reading_ = true;
  socket_.async_wait(tcp::socket::wait_read,
                     [self = shared_from_this()](const asio::error_code& error) {
                       self->reading_ = false;
                       if (self->closed_ || self->ending_) return;
                       if (error) return self->finish();
                       self->read();
                     });
}

void Connection::read() {
  auto& buffer = scratch();
  const auto count = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return await_readable();
  if (count <= 0) return finish();
  hub_.count_received_bytes(static_cast<std::size_t>(count));
  const ByteView bytes(buffer.data(), static_cast<std::size_t>(count));
  // What the conversation takes in place is never copied.
  if (input_.empty()) {
    input_.assign(bytes.substr(take(bytes)));
  } else {
    input_.append(bytes);
    input_.erase(0, take(input_));
  }
  if (input_.empty()) input_ = std::string();
  if (conversation_->wants_frames()) await_readable();
  wake();
}

bool Connection::answer_word(ByteView bytes) {
  begun_ = true;
  const ByteView word = bytes.substr(0, kLengthBytes);
  if (word == kTelnetInterrupt) {
    end();
    return true;
  }
  const std::string* answer = owner_.four_letter_word(word);
  if (answer == nullptr) return false;
  conversation_->output() += *answer;
  end();
  return true;
}

std::size_t Connection::take(ByteView bytes) {
  std::size_t taken = 0;
  while (!ending_ && bytes.size() - taken >= kLengthBytes && conversation_->wants_frames()) {
    const ByteView rest = bytes.substr(taken);
    if (!begun_ && answer_word(rest)) return bytes.size();
    jute::Reader reader(rest);
    const std::int32_t length = reader.read_int();
    if (length < 0 || static_cast<std::size_t>(length) > hub_.settings().frame_bytes_max) {
      hub_.refused_frame(*conversation_, length);
      end();
      return bytes.size();
    }
    if (rest.size() - kLengthBytes < static_cast<std::size_t>(length)) break;
    conversation_->frame(rest.substr(kLengthBytes, static_cast<std::size_t>(length)));
    taken += kLengthBytes + static_cast<std::size_t>(length);
  }
  return taken;
}

void Connection::turn() {
  turn_wanted_ = false;
  if (closed_) return;
  // What was written may have made room for frames that were left over, and nobody else will ask
  // for them: the client waits for their answers.
  for (;;) {
    const bool wanted = !ending_ && conversation_->wants_frames();
    std::size_t taken = 0;
    if (wanted && !input_.empty()) {
      taken = take(input_);
      input_.erase(0, taken);
      if (input_.empty()) input_ = std::string();
    }
    if (!writing_) write();
    if (closed_) return;
    // Also while the socket takes nothing.
    if (std::min(conversation_->event_bytes(), conversation_->output().size()) >
        limits::kClientOutputBytesMax) {
      hub_.cut_off(*conversation_, "it does not read what it is sent");
      return finish();
    }
    if (ending_) return;
    const bool incomplete = wanted && taken == 0;
    if (incomplete || input_.empty() || !conversation_->wants_frames()) break;
  }
  if (conversation_->wants_frames()) await_readable();
}

void Connection::write() {
  std::string& output = conversation_->output();
  while (written_ < output.size()) {
    const auto count = ::send(socket_.native_handle(), output.data() + written_,
                              output.size() - written_, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno != EAGAIN) return finish();
    if (count < 0) break;
    written_ += static_cast<std::size_t>(count);
    hub_.count_sent_bytes(static_cast<std::size_t>(count));
  }
  if (written_ == output.size()) {
    // Idle connections hold no memory; busy ones keep what they need all the time.
    if (output.capacity() > limits::kClientOutputKept) {
      output = std::string();
    } else {
      output.clear();
    }
    written_ = 0;
    if (ending_) return finish();
    // Which may put out more, and asks for another turn then.
    return conversation_->drained();
  }
  output.erase(0, std::exchange(written_, 0));
  writing_ = true;
  socket_.async_wait(tcp::socket::wait_write,
                     [self = shared_from_this()](const asio::error_code& error) {
                       self->writing_ = false;
                       if (self->closed_) return;
                       if (error) return self->finish();
                       self->turn();
                     });
}

void Connection::wake() {
  if (turn_wanted_ || closed_) return;
  turn_wanted_ = true;
  owner_.wants_turn(*this);
}

void Connection::end() {
  ending_ = true;
  owner_.ending(*this);
  wake();
}

void Connection::close() {
  if (closed_) return;
  closed_ = true;
  // Handlers may keep this for longer than there is a hub.
  conversation_.reset();
  asio::error_code ignored;
  // What was written is still delivered: an end is a FIN unless the client sent what was not read.
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
  socket_.close(ignored);
}

void Connection::finish() {
  if (closed_) return;
  close();
  owner_.closed(*this);
}

}  // namespace zkfs::client_port
