// SPDX-License-Identifier: Apache-2.0
// Hub: what all conversations of a client port share: the member's door, the watches, the sessions
// that are this server's alone, limits and counts. Follows the member: turns what was applied into
// watch events, and knows when this server may serve.
//
// Serving. In a quorum, everybody is. Without one, connections are kept for a while, and nothing of
// theirs is taken in: an election is over in milliseconds, and the clients need not know of it.
// After kQuorumGrace they are closed, so that clients try servers on the other side; read-only
// clients are then welcome, if the administrator allows it. A tree replaced by a leader's snapshot
// ends all connections: which watches would have fired is not known, and a client that connects
// again has its setWatches answered from the new tree.
//
// No socket, no thread, no clock of its own: ClientPort and tests drive it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ensemble/base/clock.h"
#include "ensemble/base/ids.h"
#include "ensemble/client_port/port_view.h"
#include "ensemble/client_port/settings.h"
#include "ensemble/server/client_door.h"
#include "ensemble/server/watch_events.h"
#include "ensemble/server/watch_table.h"

namespace zkfs::client_port {

class Conversation;

class Hub final : public server::ChangeSubscriber, private server::WatchEventSink {
 public:
  // `door` outlives it. `now` reads the clock. `random_bytes` are not to be guessed.
  Hub(server::ClientDoor& door,
      Settings settings,
      std::function<Now()> now,
      std::function<std::string(std::size_t)> random_bytes);
  ~Hub() override;
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // Every 10 ms or so.
  void tick();

  [[nodiscard]] server::ClientDoor& door() { return door_; }

  [[nodiscard]] const tree::DataTree& tree() const { return door_.tree(); }

  [[nodiscard]] server::WatchTable& watches() { return watches_; }

  [[nodiscard]] const server::WatchTable& watches() const { return watches_; }

  [[nodiscard]] const Settings& settings() const { return settings_; }

  [[nodiscard]] Now now() const { return now_(); }

  // As of the last tick: cheap.
  [[nodiscard]] Now coarse_now() const { return coarse_now_; }

  [[nodiscard]] std::string random_bytes(std::size_t count) { return random_bytes_(count); }

  // May requests be taken in at all?
  [[nodiscard]] bool in_quorum() const { return door_.in_quorum(); }

  // Read-only clients are served, for want of a quorum.
  [[nodiscard]] bool read_only() const { return read_only_; }

  // --- conversations ---
  server::WatcherId enter(Conversation& conversation);
  void leave(server::WatcherId id);
  // The conversation with that session; null if none has it.
  [[nodiscard]] Conversation* conversation_of(SessionId session) const;
  void bind(SessionId session, Conversation& conversation);
  void unbind(SessionId session, const Conversation& conversation);

  // --- sessions known to this server alone ---
  struct LocalSession {
    std::uint32_t timeout_ms = 0;
    std::string password;
    Instant deadline{};
  };

  // Null: there is none.
  [[nodiscard]] LocalSession* local_session(SessionId id);
  SessionId open_local_session(std::uint32_t timeout_ms, std::string password);
  void close_local_session(SessionId id);

  // In whose name the ensemble is asked for what local sessions want. Requires: in_quorum().
  [[nodiscard]] SessionId gateway();

  // --- limits and counts ---
  [[nodiscard]] bool is_overloaded() const { return outstanding_ >= settings_.outstanding_max; }

  void count_outstanding(std::int64_t change);

  void count_received_bytes(std::size_t bytes) { port_.bytes_received += bytes; }

  void count_sent_bytes(std::size_t bytes) { port_.bytes_sent += bytes; }

  void count_received() { ++port_.received; }

  void count_sent(std::size_t bytes);

  void count_latency(std::uint64_t ms) { port_.latency.add(ms); }

  void count_auth_failure() { ++port_.auth_failed; }

  void count_rejected() { ++port_.connections_rejected; }

  // Why a client was turned away, for the log (not more often than once a second).
  void refused_frame(const Conversation& conversation, std::int64_t length);
  void cut_off(const Conversation& conversation, std::string_view why);

  // --- for administrators ---
  [[nodiscard]] PortView view() const;
  [[nodiscard]] std::vector<ConnectionView> connections() const;
  void reset_counts();
  void reset_connections();
  [[nodiscard]] std::string remote_of(server::WatcherId id) const;
  [[nodiscard]] SessionId session_of(server::WatcherId id) const;

  // --- ChangeSubscriber ---
  void applied(const server::AppliedTxn& txn) override;
  void replaced(const tree::DataTree& before, const tree::DataTree& after) override;
  void quorum_changed(bool in_quorum) override;

 private:
  // --- WatchEventSink ---
  void event(const server::WatchEvent& event) override;
  void overflow(server::WatcherId watcher) override;

  void end_all(std::string_view why);
  void wake_all();
  void drop_departed(std::size_t watches_max);
  void expire_local_sessions();
  void keep_gateway();
  void update_read_only();

  server::ClientDoor& door_;
  const Settings settings_;
  std::function<Now()> now_;
  std::function<std::string(std::size_t)> random_bytes_;
  Now coarse_now_;

  server::WatchTable watches_;
  std::vector<Conversation*> conversations_;  // by id; null: free
  std::vector<server::WatcherId> free_ids_;
  std::deque<server::WatcherId> departed_;  // with watches still to be dropped
  std::unordered_map<SessionId, Conversation*> by_session_;
  std::map<SessionId, LocalSession> local_sessions_;
  SessionId gateway_;
  bool gateway_open_ = false;

  PortView port_;
  std::size_t outstanding_ = 0;
  bool throttled_ = false;
  bool read_only_ = false;
  bool without_quorum_ = true;  // for longer than connections are kept
  Instant next_sweep_{};
  Instant next_complaint_{};
  Zxid applying_;                        // of the events under way
  std::vector<server::WatcherId> told_;  // scratch of event()
};

}  // namespace zkfs::client_port
