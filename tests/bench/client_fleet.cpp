// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/client_fleet.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "ensemble/jute/jute.h"

namespace zkfs::bench {
namespace {

using client_port::OpCode;

constexpr std::size_t kReceiveBytes = 256U << 10U;
constexpr int kEventsMax = 256;
constexpr std::int32_t kSessionTimeoutMs = 30'000;
// The answer to a get of a znode with empty data; those of the jobs have some.
constexpr std::size_t kEmptyGetBytes =
    client_port::kReplyHeaderBytes + sizeof(std::int32_t) + client_port::kStatBytes;
constexpr std::int32_t kAnyVersion = -1;
constexpr std::int32_t kAllPermissions = 31;

// Writes the length of what was appended to `out` since `begin`, where room was left for it.
void end_frame(std::string& out, std::size_t begin) {
  std::string length;
  jute::Writer(length).write_count(out.size() - begin - client_port::kFrameHeaderBytes);
  out.replace(begin, length.size(), length);
}

std::size_t begin_frame(std::string& out) {
  const std::size_t begin = out.size();
  out.append(client_port::kFrameHeaderBytes, '\0');
  return begin;
}

}  // namespace

Server parse_server(const std::string& text) {
  Server server{.name = text};
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) die(text + ": give HOST:PORT");
  const std::size_t port = number(text.substr(colon + 1));
  server.address.sin_family = AF_INET;
  server.address.sin_port = htons(static_cast<std::uint16_t>(port));
  if (port > 65'535 ||
      inet_pton(AF_INET, text.substr(0, colon).c_str(), &server.address.sin_addr) != 1)
    die(text + ": give ADDRESS:PORT, such as 127.0.0.1:2181");
  return server;
}

void SessionOwner::lost(ClientSession& session, const std::string& why) {
  die(fmt::format("{}: {}", session.server().name, why));
}

// --- one session ---

void ClientSession::open() {
  socket_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket_ < 0) die_of_errno("socket");
  const int on = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  state_ = State::kConnecting;
  ++connections_;
  // Ready for output tells the outcome, also of what is refused at once.
  const int status =
      connect(socket_, reinterpret_cast<const sockaddr*>(&server_.address), sizeof server_.address);
  if (status != 0 && errno != EINPROGRESS) {
    lose(std::strerror(errno));
    return;
  }
  epoll_event event{.events = EPOLLOUT, .data = {.ptr = this}};
  if (epoll_ctl(fleet_.poller_, EPOLL_CTL_ADD, socket_, &event) != 0) die_of_errno("epoll_ctl");
  awaited_ = EPOLLOUT;
}

void ClientSession::drop() {
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
  state_ = State::kClosed;
  last_xid_ = 0;
  pending_.clear();
  out_.clear();
  sent_ = 0;
  in_.clear();
}

void ClientSession::lose(const std::string& why) {
  drop();
  owner_.lost(*this, why);
}

void ClientSession::await(std::uint32_t events) {
  if (events == awaited_) return;
  epoll_event event{.events = events, .data = {.ptr = this}};
  if (epoll_ctl(fleet_.poller_, EPOLL_CTL_MOD, socket_, &event) != 0) die_of_errno("epoll_ctl");
  awaited_ = events;
}

template <typename Encode>
void ClientSession::ask(std::size_t slot, OpCode op, Encode&& encode) {
  const std::size_t frame = begin_frame(out_);
  jute::Writer writer(out_);
  writer.write_int(++last_xid_);
  writer.write_int(static_cast<std::int32_t>(op));
  encode(writer);
  end_frame(out_, frame);
  pending_.push_back({.xid = last_xid_, .op = op, .slot = slot, .asked = fleet_.now_});
}

void ClientSession::create(std::size_t slot,
                           std::string_view path,
                           std::string_view data,
                           std::int32_t flags) {
  ask(slot, OpCode::kCreate, [&](jute::Writer& writer) {
    writer.write_string(path);
    writer.write_buffer(data);
    writer.write_count(1);
    writer.write_int(kAllPermissions);
    writer.write_string("world");
    writer.write_string("anyone");
    writer.write_int(flags);
  });
}

void ClientSession::remove(std::size_t slot, std::string_view path) {
  ask(slot, OpCode::kDelete, [&](jute::Writer& writer) {
    writer.write_string(path);
    writer.write_int(kAnyVersion);
  });
}

void ClientSession::set(std::size_t slot, std::string_view path, std::string_view data) {
  ask(slot, OpCode::kSetData, [&](jute::Writer& writer) {
    writer.write_string(path);
    writer.write_buffer(data);
    writer.write_int(kAnyVersion);
  });
}

void ClientSession::get(std::size_t slot, std::string_view path, bool watch) {
  ask(slot, OpCode::kGetData, [&](jute::Writer& writer) {
    writer.write_string(path);
    writer.write_bool(watch);
  });
}

void ClientSession::sync(std::size_t slot) {
  ask(slot, OpCode::kSync, [](jute::Writer& writer) { writer.write_string("/"); });
}

void ClientSession::close_session(std::size_t slot) {
  ask(slot, OpCode::kCloseSession, [](jute::Writer&) {});
}

void ClientSession::flush() {
  if (state_ != State::kOpen && state_ != State::kGreeting) return;
  while (sent_ < out_.size()) {
    const ssize_t count =
        send(socket_, out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    // An error is met again by the next receive, which tells the owner in a turn of its own.
    if (count < 0) break;
    sent_ += static_cast<std::size_t>(count);
  }
  const bool all = sent_ == out_.size();
  if (all) {
    out_.clear();
    sent_ = 0;
  }
  await(all ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

void ClientSession::ready(std::uint32_t events) {
  if (is_closed()) return;  // in the same turn
  const std::uint64_t connection = connections_;
  if (state_ == State::kConnecting) {
    connected();
  } else if ((events & ~std::uint32_t{EPOLLOUT}) != 0) {
    receive();
  }
  if (connection == connections_ && state_ != State::kConnecting) flush();
}

void ClientSession::connected() {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    lose(std::strerror(error));
    return;
  }
  state_ = State::kGreeting;
  const std::size_t frame = begin_frame(out_);
  jute::Writer writer(out_);
  writer.write_int(0);   // protocol version
  writer.write_long(0);  // last zxid seen
  writer.write_int(kSessionTimeoutMs);
  writer.write_long(0);  // session
  writer.write_buffer(std::string(client_port::kPasswordBytes, '\0'));
  writer.write_bool(false);  // read only
  end_frame(out_, frame);
}

void ClientSession::receive() {
  std::vector<char>& buffer = fleet_.received_;
  const ssize_t count = recv(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) {
    lose(count == 0 ? "the server closed the connection" : std::strerror(errno));
    return;
  }
  fleet_.now_ = Clock::now();
  const ByteView bytes(buffer.data(), static_cast<std::size_t>(count));
  const std::uint64_t connection = connections_;
  if (in_.empty()) {
    const std::size_t taken = take_frames(bytes);
    if (connection == connections_ && !is_closed()) in_ = bytes.substr(taken);
    return;
  }
  // Set aside while it is read: the owner may drop the session meanwhile.
  std::string whole = std::move(in_);
  in_.clear();
  whole += bytes;
  const std::size_t taken = take_frames(whole);
  if (connection == connections_ && !is_closed()) in_ = whole.substr(taken);
}

std::size_t ClientSession::take_frames(ByteView bytes) {
  const std::uint64_t connection = connections_;
  std::size_t taken = 0;
  while (connection == connections_ && !is_closed()) {
    jute::Reader reader(bytes.substr(taken));
    if (reader.rest().size() < client_port::kFrameHeaderBytes) break;
    const std::int32_t length = reader.read_int();
    if (length < 0) die(fmt::format("{}: a frame of {} bytes", server_.name, length));
    if (reader.rest().size() < static_cast<std::size_t>(length)) break;
    taken += client_port::kFrameHeaderBytes + static_cast<std::size_t>(length);
    take_frame(reader.rest().substr(0, static_cast<std::size_t>(length)));
  }
  return taken;
}

void ClientSession::take_frame(ByteView payload) {
  jute::Reader reader(payload);
  if (state_ == State::kGreeting) {
    reader.read_int();  // protocol version
    const std::int32_t timeout = reader.read_int();
    if (!reader.good() || timeout <= 0) {
      lose("the server refuses the session");
      return;
    }
    state_ = State::kOpen;
    owner_.opened(*this);
    return;
  }
  const std::int32_t xid = reader.read_int();
  reader.read_long();  // zxid
  const std::int32_t error = reader.read_int();
  if (!reader.good()) die(server_.name + ": an answer shorter than its header");
  if (xid == client_port::kNotificationXid) {
    owner_.watch_fired(*this);
    return;
  }
  if (pending_.empty() || pending_.front().xid != xid)
    die(fmt::format("{}: answer {} out of order", server_.name, xid));
  const Pending request = pending_.front();
  pending_.pop_front();
  // A server that is fast because it answers nothing must not pass.
  if (request.op == OpCode::kGetData && error == kOkError && payload.size() <= kEmptyGetBytes)
    die(server_.name + ": data has become empty");
  owner_.answered(*this, {.error = error, .slot = request.slot, .asked = request.asked});
}

// --- all of them ---

Fleet::Fleet() : poller_(epoll_create1(EPOLL_CLOEXEC)), received_(kReceiveBytes) {
  if (poller_ < 0) die_of_errno("epoll_create1");
}

Fleet::~Fleet() {
  sessions_.clear();
  close(poller_);
}

ClientSession& Fleet::add(SessionOwner& owner, const Server& server) {
  return *sessions_.emplace_back(
      std::make_unique<ClientSession>(*this, owner, sessions_.size(), server));
}

void Fleet::turn(Clock::duration wait_max) {
  // Rounded up: a turn must not come before its time.
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(wait_max);
  std::array<epoll_event, kEventsMax> events;
  const int count =
      epoll_wait(poller_, events.data(), kEventsMax, static_cast<int>(std::max(wait.count(), 0L)));
  if (count < 0 && errno != EINTR) die_of_errno("epoll_wait");
  now_ = Clock::now();
  for (int i = 0; i < count; ++i) {
    static_cast<ClientSession*>(events[static_cast<std::size_t>(i)].data.ptr)
        ->ready(events[static_cast<std::size_t>(i)].events);
  }
}

}  // namespace zkfs::bench
