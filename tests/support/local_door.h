// SPDX-License-Identifier: Apache-2.0
// LocalDoor: an ensemble of one in memory, without ZAB and disk, behind the interface that the
// member offers its front doors. What is submitted goes the way it goes in production (prep, txn to
// bytes and back, tree, change feed, completion), when pump() is called; switches take the quorum
// away, hold answers back, let other nodes change the tree. For tests of front doors.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "ensemble/server/door.h"
#include "ensemble/server/prep.h"
#include "ensemble/tree/data_tree.h"

namespace zkfs::test {

class LocalDoor final : public server::Door {
 public:
  LocalDoor();
  ~LocalDoor() override;

  // --- switches ---

  // Handles everything submitted, also what completions submit meanwhile; nothing while there is no
  // quorum. Returns how many requests were handled. Not from within a completion or subscriber.
  std::size_t pump();

  // Called when something was submitted that pump() would handle.
  void on_dirty(std::function<void()> wake) { wake_ = std::move(wake); }

  // Without a quorum submitted requests wait. Starts with one.
  void set_quorum(bool in_quorum);

  // Txns go on being applied and published; their completions wait for release(), which calls them
  // in order.
  void hold() { holding_ = true; }

  void release();
  // Answers everything that waits with kShutdown, and pump() whatever comes later.
  void stop();

  // A change made on another node, applied at once (quorum or not) in the name of `session`, or of
  // none. Nothing of `session` 0 can be ephemeral; see foreign_session.
  tree::Outcome inject_foreign(server::Operation operation, SessionId session = {});
  // A session opened on another node.
  SessionId foreign_session();
  // The same changes, missed by this server and caught up by a snapshot: subscribers are told of a
  // new tree. References into the old tree end.
  void catch_up_by_snapshot(std::vector<server::Operation> missed, SessionId session = {});
  // The leader closes a session: its ephemerals go, and it is told that it is lost.
  void expire(SessionId session);

  void set_now(Now now) { now_ = now; }

  [[nodiscard]] std::size_t pending() const { return requests_.size() + syncs_.size(); }

  // --- Door ---
  SessionId open_session(std::uint32_t timeout_ms,
                         std::string owner,
                         Completion opened,
                         std::function<void()> lost) override;
  void close_session(SessionId session, Completion closed) override;

  [[nodiscard]] server::SessionHandover hand_over(SessionId session) const override {
    return {.id = session, .timeout_ms = 10'000, .next_xid = xids_ + 1};
  }

  [[nodiscard]] bool idle(SessionId /*session*/) const override { return pending() == 0; }

  void resume_session(const server::SessionHandover& session, std::function<void()> lost) override {
    lost_[session.id] = std::move(lost);
  }

  std::uint64_t submit(SessionId session,
                       server::Identity identity,
                       server::Operation operation,
                       Completion done) override;
  void forget(std::uint64_t ticket) override;
  std::uint64_t sync(SyncCompletion done) override;

  [[nodiscard]] const tree::DataTree& tree() const override { return *tree_; }

  [[nodiscard]] server::MemberStatus status() const override;

  // Enforces none.
  [[nodiscard]] bool has_quota_room(Ino /*ino*/,
                                    std::string_view /*name*/,
                                    const tree::QuotaUsage& /*more*/) const override {
    return true;
  }

  [[nodiscard]] bool in_quorum() const override { return !quorum_lost_since_; }

  [[nodiscard]] std::optional<Instant> quorum_lost_since() const override {
    return quorum_lost_since_;
  }

  void subscribe(server::ChangeSubscriber* subscriber) override {
    subscribers_.push_back(subscriber);
  }

  void unsubscribe(server::ChangeSubscriber* subscriber) override {
    std::erase(subscribers_, subscriber);
  }

 private:
  // In the order of submission; a sync has no request.
  struct Queued {
    std::uint64_t ticket = 0;
    std::optional<server::Request> request;
  };

  struct Answer {
    std::uint64_t ticket = 0;
    tree::Outcome outcome;
  };

  std::uint64_t enqueue(std::optional<server::Request> request);
  tree::Outcome execute(const server::Request& request, bool local);
  tree::ApplyResult apply(const server::Request& request);
  void answer(Answer answer);
  void session_lost(SessionId session);

  std::unique_ptr<tree::DataTree> tree_;
  std::unique_ptr<server::Prep> prep_;
  Now now_{.monotonic = Instant(1), .wall = 1'700'000'000'000};
  std::optional<Instant> quorum_lost_since_;
  bool holding_ = false;
  bool stopped_ = false;
  std::uint32_t counter_ = 0;
  std::uint64_t tickets_ = 0;
  std::uint64_t sessions_ = 0;
  std::uint64_t xids_ = 0;
  std::deque<Queued> queue_;
  std::deque<Answer> held_;
  std::map<std::uint64_t, Completion> requests_;
  std::map<std::uint64_t, SyncCompletion> syncs_;
  std::map<SessionId, std::function<void()>> lost_;
  std::vector<server::ChangeSubscriber*> subscribers_;
  std::function<void()> wake_;
};

}  // namespace zkfs::test
