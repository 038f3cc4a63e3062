// SPDX-License-Identifier: Apache-2.0
// Member: one server of the ensemble without its I/O: ZAB, the tree, the pipeline between them,
// sessions, snapshots. Front doors (the mount, later the client port) call it in process; the
// transport and the disk thread feed it; the simulator does all of that with the same class.
// Single-threaded. Reads no clock: whoever drives it passes Now along.
//
// The pipeline of a write, here and elsewhere:
//   submit -> [learner: Forward to the leader] -> leader: prep (validates against tree +
//   outstanding, makes a Txn) -> zab.propose
//          -> ... quorum ... -> delivered on every server: tree.apply -> change feed -> the
//          submitter's completion.
// A request is remembered here until its txn is delivered here. When the leader changes, what was
// in flight and is not in the new history is submitted again, in its old order, once this server is
// in step with the new leader; what is in the new history is recognised as it is delivered, or,
// after a snapshot, by tree.outcome_of. So each request takes effect exactly once, and its
// completion is called exactly once.
//
// Driving it: every input (message, tick, submit, disk completion, link up or down) may be followed
// by more inputs; effects leave through the ports only in flush(), so that one turn of the event
// loop becomes one log write and one message per peer. Whoever drives must call flush() after the
// inputs of a turn; `on_dirty` asks for it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "ensemble/base/clock.h"
#include "ensemble/base/error.h"
#include "ensemble/base/ids.h"
#include "ensemble/server/client_door.h"
#include "ensemble/server/request.h"
#include "ensemble/storage/storage_port.h"
#include "ensemble/tree/data_tree.h"
#include "ensemble/zab/config.h"
#include "ensemble/zab/leader.h"
#include "ensemble/zab/message.h"

namespace zkfs::server {

// Sends to other members; implemented by peer::PeerNetwork and by the simulator's network.
class PeerPort {
 public:
  virtual ~PeerPort() = default;
  // Queues a message; if there is no link, it is dropped (the machine learns of links by peer_up
  // and peer_down).
  virtual void send(ServerId to, zab::Message message) = 0;
  // Bytes queued for `to` and not yet handed to the kernel: paces snapshots.
  [[nodiscard]] virtual std::size_t queued_bytes(ServerId to) const = 0;
};

struct MemberConfig {
  zab::Config zab;
  std::uint64_t snap_count = 100'000;        // txns between snapshots
  std::uint64_t snap_bytes = 256ULL << 20U;  // or this many bytes of log
  std::uint32_t session_timeout_min_ms = 4'000;
  std::uint32_t session_timeout_max_ms = 40'000;
  Millis touch_interval{500};      // how often a learner reports its live sessions to the leader
  Millis reap_interval{1'000};     // between two looks for containers and TTL znodes to delete
  Millis container_grace{10'000};  // how long a container is left without children (reaper.h)
  bool enforce_quota = false;      // hard limits refuse (prep.h)
  bool skip_acl = false;           // clients' ACLs are not asked (prep.h)
  // The servers, a line each as ZooKeeper shows them; the leader keeps /zookeeper/config at it.
  // Empty: an ensemble of one that has no peers.
  std::string servers_text;
  std::uint64_t seed = 0;  // of the machine's randomness
};

// Of one leadership; sizes since the last reset, 0 before the first.
struct Proposals {
  std::uint64_t count = 0;
  std::uint64_t last_bytes = 0;
  std::uint64_t min_bytes = 0;
  std::uint64_t max_bytes = 0;
};

class Member final : public ClientDoor {
 public:
  // `tree` and `recovered` are what recover() made of the data directory.
  Member(MemberConfig config,
         std::unique_ptr<tree::DataTree> tree,
         const storage::Recovered& recovered,
         storage::StoragePort& storage,
         PeerPort& peers);
  ~Member() override;
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  // Called (at most once between two flushes) when there is something to flush.
  void on_dirty(std::function<void()> wake);

  // --- driving ---
  void start(Now now);
  void tick(Now now);
  void message(ServerId from, zab::Message message, Now now);
  void peer_up(ServerId peer, Now now);
  void peer_down(ServerId peer, Now now);
  // All storage operations up to `token` are durable.
  void disk_done(std::uint64_t token, Now now);
  void flush(Now now);
  // Whether little room is left on this server's disk. While that is so on so many voters that the
  // others are no quorum, writes that add data are refused (kNoSpace), so that the disks never fill
  // up: a full disk stops its server. The leader is told in the next flush, not with the next tick:
  // with a fast disk and large values, what is left is written in a few milliseconds.
  void set_low_space(bool low, Now now);
  // Removes old snapshots and log segments, when the disk gets to it (autopurge.*).
  void purge();
  // Answers everything pending with kShutdown, leaves the quorum. Further inputs are ignored.
  void stop();

  // What a leader knows of its learners, in the order of ids; empty if this server does not lead.
  [[nodiscard]] std::vector<zab::LearnerStatus> learners() const;

  // Of a leader; nothing otherwise.
  [[nodiscard]] std::optional<Proposals> proposals() const;
  void reset_proposal_sizes();
  // Of a leader: when sessions end without a further sign of life. Empty otherwise.
  [[nodiscard]] std::map<Instant, std::set<SessionId>> session_expiries() const;

  // --- front doors (documented in door.h) ---
  SessionId open_session(std::uint32_t timeout_ms,
                         std::string owner,
                         Completion opened,
                         std::function<void()> lost) override;
  void close_session(SessionId session, Completion closed) override;
  [[nodiscard]] SessionHandover hand_over(SessionId session) const override;
  [[nodiscard]] bool idle(SessionId session) const override;
  void resume_session(const SessionHandover& session, std::function<void()> lost) override;
  std::uint64_t submit(SessionId session,
                       Identity identity,
                       Operation operation,
                       Completion done) override;
  void forget(std::uint64_t ticket) override;
  std::uint64_t sync(SyncCompletion done) override;
  [[nodiscard]] const tree::DataTree& tree() const override;
  [[nodiscard]] MemberStatus status() const override;
  [[nodiscard]] bool has_quota_room(Ino ino,
                                    std::string_view name,
                                    const tree::QuotaUsage& more) const override;
  [[nodiscard]] bool in_quorum() const override;
  [[nodiscard]] std::optional<Instant> quorum_lost_since() const override;
  void subscribe(ChangeSubscriber* subscriber) override;
  void unsubscribe(ChangeSubscriber* subscriber) override;

  // --- the client port (documented in client_door.h) ---
  SessionId new_session_id() override;
  [[nodiscard]] std::uint32_t negotiated(std::int64_t timeout_ms) const override;
  void open_client_session(NewSession session,
                           Completion opened,
                           std::function<void()> lost) override;
  [[nodiscard]] bool has_session(SessionId session) const override;
  void attach_session(SessionId session,
                      std::uint32_t timeout_ms,
                      std::string password,
                      Completion attached,
                      std::function<void()> lost) override;
  void detach_session(SessionId session) override;
  void touch(SessionId session) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Rebuilds the tree from a store: newest snapshot, then the entries known to be committed. Moves
// nothing out of `store.recovered()`.
Expected<std::unique_ptr<tree::DataTree>> recover(storage::Store& store);

}  // namespace zkfs::server
