// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim_client.h"

#include <algorithm>
#include <utility>

#include "ensemble/client_port/protocol.h"

namespace zkfs::sim {
namespace {

using client_port::CreateFlags;
using wire::OpCode;

constexpr std::string_view kShared[] = {"/c/a", "/c/b", "/c/d", "/s0", "/s1", "/s2", "/s3"};
constexpr std::size_t kOwnable = 3;  // of kShared: clients create and delete them

Millis ms(std::uint64_t count) {
  return Millis{static_cast<std::int64_t>(count)};
}

}  // namespace

SimClient::SimClient(ClientWorld& world, std::size_t number)
    : world_(world), user_(fmt::format("user{}", number)) {
  timeout_ms_ = static_cast<std::uint32_t>(world_.random.between(1'000, 2'500));
}

void SimClient::violated(const std::string& what) const {
  Checkers::violated(fmt::format("client {}: {}", user_, what));
}

void SimClient::start() {
  world_.queue.after(ms(world_.random.between(1, 60)), [this] {
    step();
    start();
  });
}

void SimClient::calm(bool silent) {
  calm_ = true;
  silent_until_ = silent ? Instant::max() : world_.queue.now();
  if (silent && link_ && world_.random.chance(1, 2)) abandon();
}

bool SimClient::settled() const {
  if (silent_until_ == Instant::max()) return true;
  if (state_ != State::kUp || !has_session_) return false;
  const auto& connection = session().connections.back();
  return connection.answered == connection.requests.size();
}

SessionId SimClient::present() const {
  return has_session_ && silent_until_ != Instant::max() ? session().id : SessionId{};
}

std::string SimClient::describe() const {
  const auto* connection =
      has_session_ && !session().connections.empty() ? &session().connections.back() : nullptr;
  return fmt::format("{}: session {:#x}, state {}{}, {} of {} answered", user_, present(),
                     static_cast<int>(state_),
                     silent_until_ == Instant::max() ? ", silent for ever" : "",
                     connection == nullptr ? 0 : connection->answered,
                     connection == nullptr ? 0 : connection->requests.size());
}

// --- the connection ---

void SimClient::step() {
  const Instant now = world_.queue.now();
  if (now < silent_until_) return;
  switch (state_) {
    case State::kDown:
      if (now >= retry_) connect();
      return;
    case State::kConnecting:
      if (now - since_ > Millis{700}) abandon();
      return;
    case State::kUp:
      return act();
  }
}

void SimClient::connect() {
  SimNode& node = *world_.nodes[world_.random.below(world_.nodes.size())];
  const auto generation = ++generation_;
  link_ = std::make_shared<ClientLink>(
      world_.queue, world_.random, node,
      [this, generation](ByteView bytes) {
        if (generation == generation_) received(bytes);
      },
      [this, generation] {
        if (generation == generation_) down();
      });
  state_ = State::kConnecting;
  since_ = world_.queue.now();
  link_->open();
  if (has_session_) {
    session().last_sent = since_;
    link_->send(wire::connect(session().last_zxid, timeout_ms_, session().id, session().password));
  } else {
    link_->send(wire::connect({}, timeout_ms_, {}, std::string(client_port::kPasswordBytes, '\0')));
  }
}

void SimClient::abandon() {
  // The server may learn of it at once, or when the client is long elsewhere.
  const auto most = world_.random.chance(1, 3) ? 3'000 : 5;
  link_->abandon(ms(world_.random.between(0, most)));
  down();
}

void SimClient::down() {
  ++generation_;
  link_.reset();
  const bool was_up = std::exchange(state_, State::kDown) == State::kUp;
  retry_ = world_.queue.now() + ms(world_.random.below(world_.random.chance(1, 4) ? 500 : 30));
  if (!was_up) return;
  for (const auto& [path, watch] : data_watches_) lost_watches_[path] = watch.exist;
  if (child_watch_) lost_child_watch_ = true;
  data_watches_.clear();
  child_watch_.reset();
  recursive_.reset();
  catching_up_.clear();
  authenticated_ = false;
}

void SimClient::received(ByteView bytes) {
  const auto generation = generation_;
  heard_ = world_.queue.now();
  while (!bytes.empty() && generation == generation_) {
    const auto length = static_cast<std::size_t>(jute::Reader(bytes).read_int());
    jute::Reader reader(bytes.substr(4, length));
    bytes.remove_prefix(4 + length);
    if (state_ == State::kConnecting) {
      connected(reader);
      continue;
    }
    const auto header = wire::read_header(reader);
    if (header.xid == client_port::kNotificationXid) {
      event(header, reader);
    } else {
      reply(header, reader);
    }
  }
}

void SimClient::connected(jute::Reader& reader) {
  const auto reply = wire::read_connect(reader);
  if (reply.timeout_ms == 0) {
    if (!has_session_) violated("a new session was refused");
    ++world_.refusals;
    for (auto& node : world_.nodes) {
      if (node->running() && node->member().tree().last_applied() == world_.history.position() &&
          node->member().tree().has_session(session().id)) {
        violated(fmt::format("session {:#x} was refused and lives", session().id));
      }
    }
    has_session_ = false;
    lost_watches_.clear();
    lost_child_watch_ = false;
    return;  // the server ends the connection
  }
  if (reply.timeout_ms != static_cast<std::int32_t>(timeout_ms_)) {
    violated(fmt::format("asked for {} ms, given {}", timeout_ms_, reply.timeout_ms));
  }
  if (has_session_) {
    if (reply.session != session().id) violated("given the session of another");
    ++world_.moves;
  } else {
    ++world_.sessions;
    has_session_ = true;
    ClientSession fresh;
    fresh.id = reply.session;
    fresh.password = reply.password;
    fresh.timeout_ms = timeout_ms_;
    sessions_.push_back(std::move(fresh));
  }
  closing_ = false;
  session().last_decided = since_;
  session().last_answered = session().last_sign = since_;
  session().connections.emplace_back();
  state_ = State::kUp;
  if (world_.random.chance(9, 10)) authenticate();
  set_watches_again();
}

// Somebody who has not the password: refused, and the owner hears nothing of it.
void SimClient::try_password() {
  SimNode& node = *world_.nodes[world_.random.below(world_.nodes.size())];
  std::string password(client_port::kPasswordBytes, '\0');
  if (world_.random.chance(1, 2)) {
    password = session().password;
    password.back() = static_cast<char>(password.back() ^ 1);
  }
  const auto thief = std::make_shared<ClientLink>(
      world_.queue, world_.random, node,
      [this](ByteView bytes) {
        jute::Reader reader(bytes.substr(4));
        if (wire::read_connect(reader).timeout_ms != 0) violated("a wrong password was taken");
      },
      [] {});
  thief->open();
  thief->send(wire::connect({}, timeout_ms_, session().id, password));
}

// --- requests ---

void SimClient::act() {
  const Instant now = world_.queue.now();
  Random& random = world_.random;
  const auto timeout = ms(timeout_ms_);
  const bool waits = connection().answered < connection().requests.size();
  if (waits && now - heard_ > timeout * 2 / 3) return abandon();
  if (closing_) return;
  if (!waits && now - session().last_sent > timeout / 3) ping();
  if (resting_) return;
  if (!calm_) {
    if (random.chance(1, 40)) return abandon();
    if (random.chance(1, 80)) return try_password();
    if (random.chance(1, 150)) return close_session();
    if (random.chance(1, 150)) {
      silent_until_ = now + timeout * static_cast<std::int64_t>(random.between(1, 4)) / 2;
      if (random.chance(1, 2)) abandon();
      return;
    }
  }
  if (calm_ && waits) return;
  if (!recursive_ && random.chance(1, 60)) {
    ask({.op = OpCode::kAddWatch, .path = "/c"}, {});
  }
  for (auto times = random.chance(1, 8) ? random.between(5, 12) : random.below(4); times > 0;
       --times) {
    if (random.chance(1, 12)) {
      ask({.op = OpCode::kSync,
           .path = "/c",
           .acknowledged = world_.checkers.newest_acknowledged()},
          {});
    } else if (random.chance(1, 2)) {
      write();
    } else {
      read();
    }
  }
}

// Numbers the request, writes its frame unless it is given, and sends it.
void SimClient::ask(ClientRequest request, std::string frame) {
  if (request.xid == 0) request.xid = ++last_xid_;
  request.sent = world_.queue.now();
  request.authenticated = authenticated_;
  if (frame.empty()) {
    switch (request.op) {
      case OpCode::kCreate:
        frame = wire::create(request.xid, request.path, request.mark, request.flags,
                             request.only_owner);
        break;
      case OpCode::kSetData:
        frame = wire::set(request.xid, request.path, request.mark, request.version);
        break;
      case OpCode::kDelete:
        frame = wire::remove(request.xid, request.path, request.version);
        break;
      case OpCode::kSync:
        frame = wire::sync(request.xid, request.path);
        break;
      case OpCode::kAddWatch:
        frame = wire::add_recursive_watch(request.xid, request.path);
        break;
      case OpCode::kPing:
      case OpCode::kCloseSession:
        frame = wire::plain(request.xid, request.op);
        break;
      default:
        frame = wire::read(request.xid, request.op, request.path, request.watch);
    }
  }
  ++world_.requests;
  session().last_sent = request.sent;
  link_->send(std::move(frame));
  connection().requests.push_back(std::move(request));
}

void SimClient::write() {
  Random& random = world_.random;
  ClientRequest request;
  const auto number = ++world_.marks;
  request.mark = fmt::format("[{}]", number);
  if (!directory_known_) {
    request.op = OpCode::kCreate;
    request.path = "/c";
    return ask(std::move(request), {});
  }
  if (set_quota()) return;
  const auto guess = [&] {
    const auto& state = world_.history.at(request.path, world_.history.position());
    return random.chance(1, 2) ? -1 : state.version;
  };
  switch (random.below(8)) {
    case 0:  // a name of its own, gone with the session
    case 1:
      request.op = OpCode::kCreate;
      request.path = fmt::format("/c/e{}", number);
      request.flags = CreateFlags::kEphemeral;
      request.certain = true;
      break;
    case 2:
      request.op = OpCode::kCreate;
      request.path = "/c/q-";
      request.flags = CreateFlags::kEphemeralSequential;
      request.certain = true;
      break;
    case 3:
      request.op = OpCode::kCreate;
      request.path = kShared[random.below(kOwnable)];
      request.flags = random.chance(1, 3) ? CreateFlags::kEphemeral : CreateFlags::kPersistent;
      break;
    case 4:
      request.op = OpCode::kDelete;
      request.path = random.chance(1, 6) ? fmt::format("/c/p{}", random.below(3))
                                         : std::string(kShared[random.below(kOwnable)]);
      request.version = guess();
      break;
    case 5:  // what only its owner may read and write
      request.op = OpCode::kCreate;
      request.path = fmt::format("/c/p{}", random.below(3));
      request.only_owner = true;
      break;
    default:
      request.op = OpCode::kSetData;
      request.path = random.chance(1, 4) ? fmt::format("/c/p{}", random.below(3))
                                         : std::string(kShared[random.below(std::size(kShared))]);
      request.version = guess();
  }
  request.certain = request.certain && world_.count_max == 0;
  ask(std::move(request), {});
}

bool SimClient::set_quota() {
  const auto& history = world_.history;
  if (world_.count_max == 0 || history.at(ClientHistory::kQuotaLimits, history.position()).exists)
    return false;
  ask({.op = OpCode::kCreate, .path = std::string(ClientHistory::kQuota)}, {});
  ask({.op = OpCode::kCreate,
       .path = std::string(ClientHistory::kQuotaLimits),
       .mark = fmt::format("count={},bytes=-1=;byteHardLimit=-1;countHardLimit={}",
                           1'000'000 + ++world_.marks, world_.count_max)},
      {});
  return true;
}

void SimClient::read() {
  Random& random = world_.random;
  ClientRequest request;
  switch (random.below(8)) {
    case 0:
      request.op = OpCode::kGetChildren;
      request.path = "/c";
      request.watch = random.chance(1, 2);
      break;
    case 1:
      request.op = OpCode::kGetData;
      request.path = fmt::format("/c/p{}", random.below(3));
      break;
    case 2:
    case 3:
      request.op = OpCode::kExists;
      request.path = kShared[random.below(std::size(kShared))];
      request.watch = random.chance(1, 2);
      break;
    default:
      request.op = OpCode::kGetData;
      request.path = kShared[random.below(std::size(kShared))];
      request.watch = random.chance(1, 2);
  }
  ask(std::move(request), {});
}

void SimClient::authenticate() {
  authenticated_ = true;
  ask({.xid = client_port::kAuthXid, .op = OpCode::kAuth}, wire::auth(user_ + ":secret"));
}

void SimClient::set_watches_again() {
  if (lost_watches_.empty() && !lost_child_watch_) return;
  ClientRequest request;
  request.xid = client_port::kSetWatchesXid;
  request.op = OpCode::kSetWatches;
  request.relative = session().last_zxid;
  for (const auto& [path, exist] : lost_watches_) {
    (exist ? request.exist : request.data).push_back(path);
  }
  if (lost_child_watch_) request.child.emplace_back("/c");
  auto frame = wire::set_watches(request.relative, request.data, request.exist, request.child);
  ask(std::move(request), std::move(frame));
}

void SimClient::ping() {
  ask({.xid = client_port::kPingXid, .op = OpCode::kPing}, {});
}

void SimClient::close_session() {
  closing_ = true;
  session().closing = true;
  ask({.op = OpCode::kCloseSession}, {});
}

}  // namespace zkfs::sim
