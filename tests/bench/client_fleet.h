// SPDX-License-Identifier: Apache-2.0
// Many ZooKeeper clients in one thread, speaking the protocol raw: what a library would burn for
// each operation must not hide what the server costs.
//
// One call of the kernel takes what has come, one sends what was asked in answer. Servers answer a
// session in the order of its requests; an answer out of order ends the process.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ensemble/client_port/protocol.h"
#include "tests/bench/measure.h"

namespace zkfs::bench {

struct Server {
  std::string name;
  sockaddr_in address{};
};

// "HOST:PORT", HOST an address of IPv4; anything else ends the process.
Server parse_server(const std::string& text);

// ZooKeeper's numbers, as an answer has them.
inline constexpr std::int32_t kOkError = 0;
inline constexpr std::int32_t kNodeExistsError = -110;

struct Answer {
  std::int32_t error = kOkError;
  std::size_t slot = 0;     // as the request was told
  Clock::time_point asked;  // when the request was made
};

class ClientSession;
class Fleet;

// Who works with sessions. May ask and close in each of these; may open again only the session that
// it is told of.
class SessionOwner {
 public:
  SessionOwner() = default;
  SessionOwner(const SessionOwner&) = delete;
  SessionOwner& operator=(const SessionOwner&) = delete;
  virtual ~SessionOwner() = default;

  virtual void opened(ClientSession& session) = 0;
  virtual void answered(ClientSession& session, const Answer& answer) = 0;

  virtual void watch_fired(ClientSession&) {}

  // The connection is gone, or never came to be; its requests have no answer. Ends the process
  // unless overridden: what is measured does not lose connections.
  virtual void lost(ClientSession& session, const std::string& why);
};

class ClientSession {
 public:
  ClientSession(Fleet& fleet, SessionOwner& owner, std::size_t index, const Server& server)
      : fleet_(fleet), owner_(owner), index_(index), server_(server) {}

  ~ClientSession() { drop(); }

  ClientSession(const ClientSession&) = delete;
  ClientSession& operator=(const ClientSession&) = delete;

  [[nodiscard]] std::size_t index() const { return index_; }

  [[nodiscard]] const Server& server() const { return server_; }

  [[nodiscard]] bool is_open() const { return state_ == State::kOpen; }

  [[nodiscard]] bool is_closed() const { return state_ == State::kClosed; }

  // Dials and asks for a new session; the owner is told what comes of it, by a turn of the fleet.
  // Requires: is_closed().
  void open();

  // Closes the connection without a word; answers that are due will not come.
  void drop();

  // Requests, which leave with the next flush(). `slot` comes back with the answer. flush() is
  // called by the fleet after the owner was told of something, so only others need to.
  void create(std::size_t slot, std::string_view path, std::string_view data, std::int32_t flags);
  void remove(std::size_t slot, std::string_view path);
  void set(std::size_t slot, std::string_view path, std::string_view data);
  void get(std::size_t slot, std::string_view path, bool watch);
  void sync(std::size_t slot);
  void close_session(std::size_t slot);
  void flush();

 private:
  friend class Fleet;
  enum class State { kClosed, kConnecting, kGreeting, kOpen };

  struct Pending {
    std::int32_t xid;
    client_port::OpCode op;
    std::size_t slot;
    Clock::time_point asked;
  };

  template <typename Encode>
  void ask(std::size_t slot, client_port::OpCode op, Encode&& encode);
  void ready(std::uint32_t events);
  void connected();
  void receive();
  // Takes whole frames off `bytes` and returns how many bytes they were.
  std::size_t take_frames(ByteView bytes);
  void take_frame(ByteView payload);
  void lose(const std::string& why);
  void await(std::uint32_t events);

  Fleet& fleet_;
  SessionOwner& owner_;
  std::size_t index_;
  const Server& server_;
  State state_ = State::kClosed;
  int socket_ = -1;
  std::uint64_t connections_ = 0;  // tells one connection of this session from the next
  std::uint32_t awaited_ = 0;
  std::int32_t last_xid_ = 0;
  std::deque<Pending> pending_;
  std::string out_;
  std::size_t sent_ = 0;
  std::string in_;  // the beginning of a frame
};

// The sessions of one owner.
class Fleet {
 public:
  Fleet();
  ~Fleet();
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  // `server` outlives the fleet. Sessions are numbered from 0.
  ClientSession& add(SessionOwner& owner, const Server& server);

  [[nodiscard]] const std::vector<std::unique_ptr<ClientSession>>& sessions() const {
    return sessions_;
  }

  // Waits until something is to be done, for at most `wait_max`, and does it.
  void turn(Clock::duration wait_max = std::chrono::seconds(1));

  // Turns until `done()`; ends the process if that takes longer than kPatience, saying `what`.
  template <typename Done>
  void turn_until(Done&& done, std::string_view what) {
    const auto deadline = Clock::now() + kPatience;
    while (!done()) {
      if (Clock::now() > deadline) die(fmt::format("{}: not done within 60 s", what));
      turn();
    }
  }

  // When the last bytes came, or a turn began.
  [[nodiscard]] Clock::time_point now() const { return now_; }

 private:
  friend class ClientSession;
  static constexpr std::chrono::seconds kPatience{60};

  int poller_;
  Clock::time_point now_ = Clock::now();
  std::vector<char> received_;
  std::vector<std::unique_ptr<ClientSession>> sessions_;
};

}  // namespace zkfs::bench
