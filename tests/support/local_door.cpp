// SPDX-License-Identifier: Apache-2.0
#include "tests/support/local_door.h"

#include <utility>

#include "ensemble/base/check.h"
#include "ensemble/base/limits.h"
#include "ensemble/server/request_codec.h"
#include "ensemble/tree/snapshot_codec.h"
#include "ensemble/tree/txn_codec.h"

namespace zkfs::test {
namespace {

constexpr Epoch kEpoch{1};
constexpr std::uint64_t kOwnServer = 1ULL << 56U;
constexpr std::uint64_t kOtherServer = 2ULL << 56U;

std::unique_ptr<tree::DataTree> copy_of(tree::DataTree& tree) {
  const auto cursor = tree.begin_snapshot();
  tree::SnapshotLoader loader;
  while (const auto chunk = cursor->next(limits::kSnapshotChunkBytes, 100'000)) {
    const auto added = loader.add(chunk->view());
    ZKFS_CHECK(added.has_value(), "{}", added.error().text);
  }
  auto copy = loader.finish();
  ZKFS_CHECK(copy.has_value(), "{}", copy.error().text);
  return std::move(*copy);
}

}  // namespace

LocalDoor::LocalDoor()
    : tree_(std::make_unique<tree::DataTree>()), prep_(std::make_unique<server::Prep>(*tree_)) {}

LocalDoor::~LocalDoor() = default;

// --- switches ---

std::size_t LocalDoor::pump() {
  std::size_t handled = 0;
  while ((stopped_ || in_quorum()) && !queue_.empty()) {
    const Queued next = std::move(queue_.front());
    queue_.pop_front();
    tree::Outcome outcome;
    if (stopped_) {
      outcome.error = Error::kShutdown;
    } else if (next.request) {
      outcome = execute(*next.request, true);
    }
    answer({next.ticket, std::move(outcome)});
    ++handled;
  }
  return handled;
}

void LocalDoor::set_quorum(bool in_quorum) {
  if (in_quorum == this->in_quorum()) return;
  quorum_lost_since_ = in_quorum ? std::nullopt : std::optional(now_.monotonic);
  for (server::ChangeSubscriber* subscriber : subscribers_) subscriber->quorum_changed(in_quorum);
  if (in_quorum && !queue_.empty() && wake_) wake_();
}

void LocalDoor::release() {
  holding_ = false;
  while (!held_.empty() && !holding_) {
    Answer next = std::move(held_.front());
    held_.pop_front();
    answer(std::move(next));
  }
}

void LocalDoor::stop() {
  stopped_ = true;
  holding_ = false;
  queue_.clear();
  held_.clear();
  tree::Outcome outcome;
  outcome.error = Error::kShutdown;
  for (auto& [ticket, done] : std::exchange(requests_, {})) done(outcome);
  for (auto& [ticket, done] : std::exchange(syncs_, {})) done(Error::kShutdown);
}

tree::Outcome LocalDoor::inject_foreign(server::Operation operation, SessionId session) {
  return execute({.session = session,
                  .xid = Xid{++xids_},
                  .first_unanswered = {},
                  .identity = {},
                  .operation = std::move(operation)},
                 false);
}

SessionId LocalDoor::foreign_session() {
  const SessionId session{kOtherServer + ++sessions_};
  inject_foreign(server::CreateSessionRequest{.timeout_ms = 10'000, .owner = "another node"},
                 session);
  return session;
}

void LocalDoor::catch_up_by_snapshot(std::vector<server::Operation> missed, SessionId session) {
  // Nobody receives a snapshot while in a quorum.
  const bool was_in_quorum = in_quorum();
  set_quorum(false);
  auto before = copy_of(*tree_);
  std::swap(before, tree_);
  prep_ = std::make_unique<server::Prep>(*tree_);
  for (server::Operation& operation : missed) {
    apply({.session = session,
           .xid = Xid{++xids_},
           .first_unanswered = {},
           .identity = {},
           .operation = std::move(operation)});
  }
  // Until the call returns, the tree before is current (door.h).
  std::swap(before, tree_);
  for (server::ChangeSubscriber* subscriber : subscribers_) subscriber->replaced(*tree_, *before);
  std::swap(before, tree_);
  set_quorum(was_in_quorum);
}

void LocalDoor::expire(SessionId session) {
  execute({.session = session,
           .xid = {},
           .first_unanswered = {},
           .identity = {},
           .operation = server::CloseSessionRequest{}},
          false);
  session_lost(session);
}

// --- Door ---

SessionId LocalDoor::open_session(std::uint32_t timeout_ms,
                                  std::string owner,
                                  Completion opened,
                                  std::function<void()> lost) {
  const SessionId session{kOwnServer + ++sessions_};
  lost_[session] = std::move(lost);
  submit(session, {},
         server::CreateSessionRequest{.timeout_ms = timeout_ms, .owner = std::move(owner)},
         std::move(opened));
  return session;
}

void LocalDoor::close_session(SessionId session, Completion closed) {
  lost_.erase(session);
  submit(session, {}, server::CloseSessionRequest{}, std::move(closed));
}

std::uint64_t LocalDoor::submit(SessionId session,
                                server::Identity identity,
                                server::Operation operation,
                                Completion done) {
  const Xid xid{++xids_};
  const std::uint64_t ticket = enqueue(server::Request{.session = session,
                                                       .xid = xid,
                                                       .first_unanswered = xid,
                                                       .identity = std::move(identity),
                                                       .operation = std::move(operation)});
  requests_[ticket] = std::move(done);
  if (in_quorum() && wake_) wake_();
  return ticket;
}

void LocalDoor::forget(std::uint64_t ticket) {
  requests_.erase(ticket);
  syncs_.erase(ticket);
}

std::uint64_t LocalDoor::sync(SyncCompletion done) {
  const std::uint64_t ticket = enqueue(std::nullopt);
  syncs_[ticket] = std::move(done);
  if (in_quorum() && wake_) wake_();
  return ticket;
}

server::MemberStatus LocalDoor::status() const {
  server::MemberStatus status;
  status.self = ServerId{1};
  status.state = in_quorum() ? zab::PeerState::kLeading : zab::PeerState::kLooking;
  status.leader = in_quorum() ? status.self : ServerId{};
  status.epoch = kEpoch;
  status.last_applied = tree_->last_applied();
  status.last_logged = tree_->last_applied();
  status.in_quorum = in_quorum();
  status.quorum_lost_since = quorum_lost_since_;
  status.pending_requests = requests_.size();
  status.znodes = tree_->node_count();
  status.data_bytes = tree_->data_bytes();
  status.sessions = tree_->sessions().size();
  status.digest = tree_->digest();
  return status;
}

// --- the way of a request ---

std::uint64_t LocalDoor::enqueue(std::optional<server::Request> request) {
  const std::uint64_t ticket = ++tickets_;
  queue_.push_back({ticket, std::move(request)});
  return ticket;
}

tree::ApplyResult LocalDoor::apply(const server::Request& request) {
  const auto forwarded = server::decode_forwarded(server::encode(request).view());
  ZKFS_CHECK(forwarded.has_value(), "a request that cannot be decoded");
  const Zxid zxid(kEpoch, ++counter_);
  const auto& received = std::get<server::Request>(*forwarded);
  const auto txn =
      tree::decode_txn(tree::encode(prep_->prepare(received, zxid, ++now_.wall)).view());
  ZKFS_CHECK(txn.has_value(), "txn {:#x} cannot be decoded", zxid.value);
  tree::ApplyResult result = tree_->apply(zxid, *txn);
  prep_->applied(zxid);
  return result;
}

tree::Outcome LocalDoor::execute(const server::Request& request, bool local) {
  tree::ApplyResult result = apply(request);
  const server::AppliedTxn applied{.zxid = result.outcome.zxid,
                                   .session = request.session,
                                   .local = local,
                                   .changes = result.changes};
  for (server::ChangeSubscriber* subscriber : subscribers_) subscriber->applied(applied);
  return std::move(result.outcome);
}

void LocalDoor::answer(Answer answer) {
  if (holding_) {
    held_.push_back(std::move(answer));
    return;
  }
  if (auto request = requests_.extract(answer.ticket)) request.mapped()(answer.outcome);
  if (auto sync = syncs_.extract(answer.ticket)) sync.mapped()(answer.outcome.error);
}

void LocalDoor::session_lost(SessionId session) {
  auto lost = lost_.extract(session);
  if (lost && lost.mapped()) lost.mapped()();
}

}  // namespace zkfs::test
