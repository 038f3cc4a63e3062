// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/member.h"

#include <algorithm>
#include <utility>

#include "ensemble/server/member_state.h"
#include "ensemble/server/quota_room.h"

namespace zkfs::server {

Member::Member(MemberConfig config,
               std::unique_ptr<tree::DataTree> tree,
               const storage::Recovered& recovered,
               storage::StoragePort& storage,
               PeerPort& peers)
    : state_(
          std::make_unique<State>(std::move(config), std::move(tree), recovered, storage, peers)) {}

Member::~Member() = default;

void Member::on_dirty(std::function<void()> wake) {
  state_->wake = std::move(wake);
}

void Member::start(Now now) {
  state_->now = now;
  state_->quorum_lost_since = now.monotonic;
  state_->zab.start(now.monotonic);
  state_->dirty();
}

void Member::tick(Now now) {
  if (state_->stopped) return;
  state_->now = now;
  state_->zab.tick(now.monotonic);
  state_->touch_sessions();
  state_->expire_sessions();
  state_->warn_of_quotas();
  state_->reap();
  state_->dirty();
}

void Member::message(ServerId from, zab::Message message, Now now) {
  if (state_->stopped) return;
  state_->now = now;
  state_->zab.message(from, message, now.monotonic);
  state_->dirty();
}

void Member::peer_up(ServerId peer, Now now) {
  if (state_->stopped) return;
  state_->now = now;
  state_->zab.peer_up(peer, now.monotonic);
  state_->dirty();
}

void Member::peer_down(ServerId peer, Now now) {
  if (state_->stopped) return;
  state_->now = now;
  state_->zab.peer_down(peer, now.monotonic);
  state_->dirty();
}

void Member::disk_done(std::uint64_t token, Now now) {
  if (state_->stopped) return;
  state_->now = now;
  state_->streams.disk_done(token);
  std::uint64_t op = 0;
  auto& ops = state_->zab_ops;
  while (!ops.empty() && ops.front().first <= token) {
    op = ops.front().second;
    ops.pop_front();
  }
  if (op != 0) state_->zab.disk_done(op, now.monotonic);
  state_->dirty();
}

void Member::flush(Now now) {
  state_->now = now;
  state_->flush();
}

void Member::set_low_space(bool low, Now now) {
  if (state_->stopped) return;
  state_->now = now;
  state_->low_space = low;
  state_->touch_at = {};
  state_->touch_sessions();
  state_->dirty();
}

void Member::purge() {
  if (!state_->stopped) state_->submit_op(storage::PurgeOp{});
}

void Member::stop() {
  if (state_->stopped) return;
  state_->stopped = true;
  state_->active = false;
  auto due = state_->requests.drain(Error::kShutdown);
  auto syncs = std::exchange(state_->syncs, {});
  for (auto& item : due) item.done(item.outcome);
  for (auto& [ticket, sync] : syncs) sync.done(Error::kShutdown);
}

SessionId Member::open_session(std::uint32_t timeout_ms,
                               std::string owner,
                               Completion opened,
                               std::function<void()> lost) {
  const auto timeout = negotiated(timeout_ms);
  const SessionId id = state_->new_session_id();
  state_->requests.open_session(id, timeout, std::move(lost));
  submit(id, Identity{}, CreateSessionRequest{timeout, std::move(owner)}, std::move(opened));
  return id;
}

void Member::close_session(SessionId session, Completion closed) {
  if (!state_->requests.is_local(session)) {
    state_->due.push_back({std::move(closed), {}});
    state_->dirty();
    return;
  }
  submit(session, Identity{}, CloseSessionRequest{}, std::move(closed));
}

SessionHandover Member::hand_over(SessionId session) const {
  return state_->requests.hand_over(session);
}

bool Member::idle(SessionId session) const {
  return state_->requests.idle(session);
}

void Member::resume_session(const SessionHandover& session, std::function<void()> lost) {
  state_->requests.resume_session(session, std::move(lost));
}

std::uint64_t Member::submit(SessionId session,
                             Identity identity,
                             Operation operation,
                             Completion done) {
  const auto ticket = ++state_->last_ticket;
  if (state_->stopped || !state_->requests.is_local(session)) {
    tree::Outcome outcome;
    outcome.error = state_->stopped ? Error::kShutdown : Error::kSessionExpired;
    if (state_->stopped) {
      done(outcome);
      return ticket;
    }
    state_->due.push_back({std::move(done), std::move(outcome), false, ticket});
  } else {
    state_->requests.add(ticket, session, std::move(identity), std::move(operation),
                         std::move(done));
  }
  state_->dirty();
  return ticket;
}

void Member::forget(std::uint64_t ticket) {
  if (state_->requests.forget(ticket) || state_->syncs.erase(ticket) != 0) return;
  // Decided already, and not told yet.
  for (auto& item : state_->due) {
    if (item.ticket == ticket) item.done = [](const tree::Outcome&) {};
  }
}

std::uint64_t Member::sync(SyncCompletion done) {
  const auto ticket = ++state_->last_ticket;
  if (state_->stopped) {
    done(Error::kShutdown);
    return ticket;
  }
  state_->syncs.emplace(ticket, State::PendingSync{std::move(done), std::nullopt});
  state_->unsent_syncs.push_back(ticket);
  state_->dirty();
  return ticket;
}

SessionId Member::new_session_id() {
  return state_->new_session_id();
}

std::uint32_t Member::negotiated(std::int64_t timeout_ms) const {
  const auto& config = state_->config;
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(
      timeout_ms, config.session_timeout_min_ms, config.session_timeout_max_ms));
}

void Member::open_client_session(NewSession session,
                                 Completion opened,
                                 std::function<void()> lost) {
  state_->requests.open_client_session(session.id, session.timeout_ms, std::move(lost));
  submit(session.id, Identity{},
         CreateSessionRequest{session.timeout_ms, std::move(session.owner),
                              std::move(session.password)},
         std::move(opened));
}

bool Member::has_session(SessionId session) const {
  return state_->requests.is_local(session);
}

void Member::attach_session(SessionId session,
                            std::uint32_t timeout_ms,
                            std::string password,
                            Completion attached,
                            std::function<void()> lost) {
  const Xid xid{kAttachXid | state_->random.next() >> 1U};
  state_->requests.attach_session(session, timeout_ms, xid, std::move(lost));
  submit(session, Identity{}, AttachSessionRequest{timeout_ms, std::move(password)},
         std::move(attached));
}

void Member::detach_session(SessionId session) {
  state_->requests.detach_session(session);
}

void Member::touch(SessionId session) {
  state_->requests.touch(session);
}

const tree::DataTree& Member::tree() const {
  return *state_->tree;
}

bool Member::has_quota_room(Ino ino, std::string_view name, const tree::QuotaUsage& more) const {
  return !state_->config.enforce_quota || server::has_quota_room(tree(), ino, name, more);
}

bool Member::in_quorum() const {
  return state_->active;
}

std::optional<Instant> Member::quorum_lost_since() const {
  return state_->quorum_lost_since;
}

void Member::subscribe(ChangeSubscriber* subscriber) {
  state_->subscribers.push_back(subscriber);
}

void Member::unsubscribe(ChangeSubscriber* subscriber) {
  std::erase(state_->subscribers, subscriber);
}

std::vector<zab::LearnerStatus> Member::learners() const {
  return state_->zab.learners();
}

std::optional<Proposals> Member::proposals() const {
  if (!state_->leading) return std::nullopt;
  return state_->leading->proposals;
}

void Member::reset_proposal_sizes() {
  if (!state_->leading) return;
  state_->leading->proposals = {.count = state_->leading->proposals.count};
}

std::map<Instant, std::set<SessionId>> Member::session_expiries() const {
  if (!state_->leading) return {};
  return state_->leading->sessions.buckets();
}

MemberStatus Member::status() const {
  MemberStatus status;
  status.self = state_->config.zab.self;
  status.state = state_->zab.state();
  status.leader = state_->zab.leader();
  status.epoch = state_->zab.current_epoch();
  status.last_applied = state_->tree->last_applied();
  status.last_logged = state_->zab.history().last();
  status.in_quorum = state_->active;
  status.quorum_lost_since = state_->quorum_lost_since;
  status.pending_requests = state_->requests.pending();
  status.outstanding_proposals = state_->zab.outstanding();
  status.learners_in_sync = state_->zab.learners_in_step();
  status.znodes = state_->tree->node_count();
  status.data_bytes = state_->tree->data_bytes();
  status.sessions = state_->tree->session_count();
  status.digest = state_->tree->digest();
  return status;
}

}  // namespace zkfs::server
