// SPDX-License-Identifier: Apache-2.0
// SimClient: one client of the ensemble, as ZooKeeper's libraries are: it keeps a session over
// connections to any server, remembers what it has seen, sets its watches again, and does not
// wait for answers. Judges each answer by the committed history.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ensemble/base/random.h"
#include "tests/sim/checkers.h"
#include "tests/sim/client_history.h"
#include "tests/sim/client_wire.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/sim_client_port.h"
#include "tests/sim/sim_node.h"

namespace zkfs::sim {

struct ClientRequest {
  std::int32_t xid = 0;
  wire::OpCode op = wire::OpCode::kPing;
  std::string path{};
  std::string mark{};  // of a write: its data, which nobody else writes
  std::int32_t version = -1;
  std::int32_t flags = 0;
  bool watch = false;
  bool only_owner = false;
  bool authenticated = false;  // what its connection had proven by then
  bool certain = false;        // it cannot fail while its session lives
  Instant sent{};
  Zxid acknowledged{};  // of a sync: what anybody had been told before
  Zxid relative{};      // of setWatches
  std::vector<std::string> data{}, exist{}, child{};

  bool answered = false;
  std::int32_t error = 0;
  Zxid zxid{};
};

struct ClientConnection {
  std::vector<ClientRequest> requests;
  std::size_t answered = 0;  // the first so many
  Zxid least_shown;          // the oldest state it was shown
  Zxid synced;               // of the last answer to a sync
};

struct ClientSession {
  SessionId id;
  std::string password;
  std::uint32_t timeout_ms = 0;
  std::vector<ClientConnection> connections;
  Zxid shown;            // the newest state that the client knows
  Zxid last_zxid;        // as its library counts
  bool closing = false;  // was asked at least
  std::optional<Zxid> closed;
  std::optional<Instant> ended;  // no longer in the newest tree
  Instant last_decided{};   // the newest sign of life that was decided by a leader was sent then
  Instant last_answered{};  // that a server answered, and that came in time
  Instant last_sign{};      // that a server answered, in time or not
  Instant doubted{};        // until then, after a silence as long as the timeout
  Instant last_sent{};      // that was sent
};

// What all clients share.
struct ClientWorld {
  Random& random;
  EventQueue& queue;
  Checkers& checkers;
  std::vector<std::unique_ptr<SimNode>>& nodes;
  ClientHistory history;
  std::size_t count_max = 0;  // a hard quota of the directory, itself counted; 0: none
  std::uint64_t marks = 0;
  // Counts, to see that each thing happens.
  std::size_t requests = 0;
  std::size_t answers = 0;
  std::size_t sessions = 0;
  std::size_t moves = 0;  // attached again
  std::size_t refusals = 0;
  std::size_t events = 0;
  std::size_t judged = 0;  // answers that the history was asked about
};

class SimClient {
 public:
  SimClient(ClientWorld& world, std::size_t number);

  void start();
  // The servers are well now: nothing is done any more that would disturb. `silent`: for ever.
  void calm(bool silent);

  // Only signs of life from here on.
  void rest() { resting_ = true; }

  // Connected, and nothing is unanswered for long; a silent one always is.
  [[nodiscard]] bool settled() const;

  [[nodiscard]] std::vector<ClientSession>& sessions() { return sessions_; }

  [[nodiscard]] const std::string& user() const { return user_; }

  // 0: none that it means to keep.
  [[nodiscard]] SessionId present() const;
  [[nodiscard]] std::string describe() const;

  void check_sessions() const;

 private:
  enum class State : std::uint8_t { kDown, kConnecting, kUp };

  struct Watch {
    Zxid since;
    bool exist = false;  // set where nothing was
  };

  // --- the connection ---
  void step();
  void connect();
  void disturb();
  void abandon();
  void down();
  void received(ByteView bytes);
  void connected(jute::Reader& reader);
  void try_password();

  // --- requests ---
  void act();
  void ask(ClientRequest request, std::string frame);
  void write();
  // True if the quota had to be asked for.
  bool set_quota();
  void read();
  void authenticate();
  void set_watches_again();
  void ping();
  void close_session();

  // --- answers ---
  void count_sign(Instant sent);
  void reply(const wire::ReplyHeader& header, jute::Reader& reader);
  void told(ClientRequest& request, bool raised, jute::Reader& reader);
  void event(const wire::ReplyHeader& header, jute::Reader& reader);
  void judge_read(const ClientRequest& request, jute::Reader& reader);
  void judge_write(const ClientRequest& request, jute::Reader& reader);
  [[nodiscard]] std::int32_t expected_of(const ClientRequest& request) const;
  [[nodiscard]] std::int32_t expected_of_read(const ClientRequest& request) const;
  void register_watch(const ClientRequest& request);
  void judge_set_watches(const ClientRequest& request);
  void judge_watches(Zxid zxid) const;
  [[nodiscard]] bool may_see(const ClientHistory::Step& step) const;
  [[nodiscard]] bool allows(const ClientHistory::State& state, bool authenticated) const;
  void skip_hidden();
  [[noreturn]] void violated(const std::string& what) const;

  [[nodiscard]] ClientSession& session() { return sessions_.back(); }

  [[nodiscard]] const ClientSession& session() const { return sessions_.back(); }

  [[nodiscard]] ClientConnection& connection() { return session().connections.back(); }

  ClientWorld& world_;
  std::string user_;
  std::vector<ClientSession> sessions_;
  bool has_session_ = false;  // the last of them is to be kept
  State state_ = State::kDown;
  std::shared_ptr<ClientLink> link_;
  std::uint64_t generation_ = 0;  // of links
  Instant since_{};               // it is connecting
  Instant retry_{};
  Instant heard_{};
  Instant silent_until_{};
  std::uint32_t timeout_ms_ = 1'000;
  bool authenticated_ = false;
  bool closing_ = false;  // and waits for nothing else
  bool calm_ = false;
  bool resting_ = false;
  std::int32_t last_xid_ = 0;
  bool directory_known_ = false;  // kDirectory is there

  // Of this connection.
  std::map<std::string, Watch> data_watches_;
  std::optional<Zxid> child_watch_;
  std::optional<std::size_t> recursive_;                           // the next step to be told
  std::vector<std::pair<std::int32_t, std::string>> catching_up_;  // events of setWatches
  // Of connections before: to be set again.
  std::map<std::string, bool> lost_watches_;  // path -> exist
  bool lost_child_watch_ = false;
};

}  // namespace zkfs::sim
