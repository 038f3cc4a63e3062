// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/member.h"

#include <deque>
#include <map>
#include <set>
#include <type_traits>
#include <utility>

#include "ensemble/base/check.h"
#include "ensemble/base/limits.h"
#include "ensemble/base/log.h"
#include "ensemble/base/random.h"
#include "ensemble/server/prep.h"
#include "ensemble/server/quota_room.h"
#include "ensemble/server/reaper.h"
#include "ensemble/server/request_codec.h"
#include "ensemble/server/request_table.h"
#include "ensemble/server/session_tracker.h"
#include "ensemble/server/snapshot_streams.h"
#include "ensemble/tree/txn_codec.h"
#include "ensemble/zab/zab.h"

namespace zkfs::server {
namespace {

constexpr Millis kQuotaWarningInterval{10'000};

}  // namespace

struct Member::State {
  // What a leader has and nobody else: it begins and ends with the leadership.
  struct Leading {
    Leading(const tree::DataTree& tree, const MemberConfig& config, Now now)
        : prep(tree),
          sessions(config.zab.heartbeat_interval),
          reaper({config.reap_interval, config.container_grace}, now) {
      prep.enforce_quota(config.enforce_quota);
      prep.skip_acl(config.skip_acl);
    }

    void count(std::uint64_t bytes) {
      ++proposals.count;
      proposals.last_bytes = bytes;
      proposals.max_bytes = std::max(proposals.max_bytes, bytes);
      if (proposals.min_bytes == 0 || bytes < proposals.min_bytes) proposals.min_bytes = bytes;
    }

    Prep prep;
    SessionTracker sessions;
    std::set<ServerId> low_space;  // voters with little room
    Reaper reaper;
    WallMillis last_time = 0;
    Proposals proposals;
    Instant quota_warnings_at{};  // not told before
  };

  struct PendingSync {
    SyncCompletion done;
    std::optional<Zxid> target;  // known once the leader has answered
  };

  State(MemberConfig config_in,
        std::unique_ptr<tree::DataTree> tree_in,
        const storage::Recovered& recovered,
        storage::StoragePort& storage_in,
        PeerPort& peers_in)
      : config(std::move(config_in)),
        random(config.seed),
        tree(std::move(tree_in)),
        storage(storage_in),
        peers(peers_in),
        zab(config.zab,
            recovered.accepted_epoch,
            recovered.current_epoch,
            zab::History(recovered.snapshot_zxid, recovered.entries, tree->last_applied()),
            random.next()),
        streams([this](storage::StorageOp op) { return submit_op(std::move(op)); },
                peers,
                [this](ServerId learner, std::uint64_t tag, Zxid zxid) {
                  zab.snapshot_sent(learner, tag, zxid);
                }) {
    choose_snapshot_point();
  }

  // --- inputs and outputs ---
  void dirty();
  std::uint64_t submit_op(storage::StorageOp op);
  void submit_zab_op(std::uint64_t op, storage::StorageOp storage_op);
  void flush();
  bool turn();

  // --- effects, one each ---
  void on(zab::SendEffect& e) { peers.send(e.to, std::move(e.message)); }

  void on(zab::AppendEffect& e) {
    for (const auto& entry : e.entries) bytes_since_snapshot += entry.bytes.size();
    submit_zab_op(e.op, storage::AppendOp{std::move(e.entries), e.committed});
  }

  void on(zab::TruncateEffect& e) { submit_zab_op(e.op, storage::TruncateOp{e.last}); }

  void on(zab::SaveAcceptedEpochEffect& e) {
    submit_zab_op(e.op, storage::SaveAcceptedEpochOp{e.epoch});
  }

  void on(zab::SaveCurrentEpochEffect& e) {
    submit_zab_op(e.op, storage::SaveCurrentEpochOp{e.epoch});
  }

  void on(zab::SnapshotBeginEffect& e) { streams.begin_incoming(e.zxid); }

  void on(zab::SnapshotChunkEffect& e) { streams.incoming_chunk(e.bytes); }

  void on(zab::SnapshotInstallEffect& e);

  void on(zab::SnapshotAbandonEffect& /*e*/) { streams.abandon_incoming(); }

  void on(zab::DeliverEffect& e) {
    for (const auto& entry : e.entries) apply(entry);
  }

  void on(zab::RoleEffect& e);

  void on(zab::SnapshotWantedEffect& e) { streams.begin_outgoing(e.learner, e.tag, *tree); }

  void on(zab::ForwardedEffect& e);
  void on(zab::SyncedEffect& e);

  // --- the pipeline ---
  void apply(const Entry& entry);
  void track_sessions(const tree::Txn& txn);
  void propose(const Request& request);
  bool drain_inbox();
  bool send_unsent();
  void answer_syncs();
  void complete_due();
  void maybe_snapshot();
  void choose_snapshot_point();
  void touch_sessions();
  void note_space(ServerId server, bool low);
  void warn_of_quotas();
  void expire_sessions();
  void reap();
  void publish_config();
  SessionId new_session_id();

  MemberConfig config;
  Random random;
  Now now;
  std::unique_ptr<tree::DataTree> tree;
  storage::StoragePort& storage;
  PeerPort& peers;
  zab::Zab zab;
  SnapshotStreams streams;
  std::vector<ChangeSubscriber*> subscribers;
  std::function<void()> wake;
  bool woken = false;
  bool stopped = false;

  std::uint64_t last_token = 0;
  std::deque<std::pair<std::uint64_t, std::uint64_t>> zab_ops;  // storage token, zab's op

  std::optional<Leading> leading;

  // Of a leader: what waits to be decided, in order; `from` 0: its own.
  struct Inbound {
    ServerId from;
    std::uint64_t tag = 0;
    Request request;
  };

  std::deque<Inbound> inbox;
  bool active = false;
  std::optional<Instant> quorum_lost_since;

  RequestTable requests;
  std::vector<RequestTable::Due> due;
  std::uint64_t last_ticket = 0;
  std::map<std::uint64_t, PendingSync> syncs;  // by ticket
  std::vector<std::uint64_t> unsent_syncs;
  std::uint64_t last_session = 0;  // the number last given away; 0: none yet
  Instant touch_at{};
  bool low_space = false;
  bool told_low_space = false;

  std::uint64_t txns_since_snapshot = 0;
  std::uint64_t bytes_since_snapshot = 0;
  std::uint64_t snapshot_after_txns = 0;
};

// --- inputs and outputs ---

void Member::State::dirty() {
  if (woken || stopped) return;
  woken = true;
  if (wake) wake();
}

std::uint64_t Member::State::submit_op(storage::StorageOp op) {
  storage.submit(++last_token, std::move(op));
  return last_token;
}

void Member::State::submit_zab_op(std::uint64_t op, storage::StorageOp storage_op) {
  zab_ops.emplace_back(submit_op(std::move(storage_op)), op);
}

void Member::State::flush() {
  woken = false;
  if (stopped) return;
  while (turn()) {
  }
  maybe_snapshot();
  if (streams.pump()) {
    // The last chunk of a stream to a learner leaves something to send.
    while (turn()) {
    }
    dirty();
  }
}

bool Member::State::turn() {
  auto effects = zab.flush(now.monotonic);
  for (auto& effect : effects) {
    std::visit([this](auto& e) { on(e); }, effect);
  }
  complete_due();
  // Only now: a change of role among the effects decides what is to be sent again.
  const bool sent = send_unsent();
  return drain_inbox() || sent || !effects.empty();
}

void Member::State::complete_due() {
  // A completion may submit more, which may become due in a later turn, never in this loop.
  for (auto& item : std::exchange(due, {})) item.done(item.outcome);
}

// --- effects ---

void Member::State::on(zab::SnapshotInstallEffect& e) {
  streams.drop_cursors();
  auto loaded = streams.finish_incoming();
  ZKFS_CHECK(loaded->last_applied() == e.zxid, "a snapshot announced as of {} is of {}", e.zxid,
             loaded->last_applied());
  submit_zab_op(e.op, storage::SnapshotFinishOp{storage::SnapshotOrigin::kReceived});
  for (auto* subscriber : subscribers) subscriber->replaced(*tree, *loaded);
  tree = std::move(loaded);
  txns_since_snapshot = 0;
  bytes_since_snapshot = 0;
  requests.reconcile(*tree, due);
  answer_syncs();
  ZKFS_LOG_INFO(server, "the tree is now the leader's snapshot zxid={} znodes={}", e.zxid,
                tree->node_count());
}

void Member::State::on(zab::RoleEffect& e) {
  ZKFS_LOG_INFO(server, "{}{} leader={} epoch={} zxid={}: {}", zab::to_string(e.state),
                e.active ? " (in quorum)" : "", e.leader, e.epoch, tree->last_applied(), e.reason);
  const bool was_active = std::exchange(active, e.active);
  leading.reset();
  inbox.clear();
  // A leadership that becomes active goes on with the snapshots it has begun to send.
  if (e.state != zab::PeerState::kLeading || !e.active) streams.drop_outgoing();
  if (e.active) {
    quorum_lost_since.reset();
    if (e.state == zab::PeerState::kLeading) {
      leading.emplace(*tree, config, now);
      publish_config();
      for (const auto& session : tree->sessions()) {
        leading->sessions.add(session.id, session.timeout_ms, now.monotonic);
      }
    }
    touch_at = now.monotonic;
    requests.resend_all();
    requests.check_resumed(*tree);
    unsent_syncs.clear();
    for (const auto& [ticket, sync] : syncs) {
      if (!sync.target) unsent_syncs.push_back(ticket);
    }
  } else if (was_active) {
    quorum_lost_since = now.monotonic;
  }
  if (was_active == active) return;
  for (auto* subscriber : subscribers) subscriber->quorum_changed(active);
}

void Member::State::on(zab::ForwardedEffect& e) {
  if (!leading) return;
  auto forwarded = decode_forwarded(e.bytes.view());
  if (!forwarded) {
    ZKFS_LOG_WARN(server, "server {} forwarded {} bytes that cannot be decoded", e.from,
                  e.bytes.size());
    return;
  }
  if (const auto* touch = std::get_if<Touch>(&*forwarded)) {
    for (const auto session : touch->sessions) leading->sessions.touch(session, now.monotonic);
    note_space(e.from, touch->low_space);
    return;
  }
  inbox.push_back({e.from, e.tag, std::move(std::get<Request>(*forwarded))});
}

void Member::State::on(zab::SyncedEffect& e) {
  const auto it = syncs.find(e.id);
  if (it == syncs.end()) return;
  it->second.target = e.zxid;
  answer_syncs();
}

// --- the pipeline ---

bool Member::State::send_unsent() {
  // The machine may have left the role that the last effects told of.
  if (!active || !zab.active() || leading.has_value() != zab.leading()) return false;
  auto unsent = requests.take_unsent();
  for (auto& request : unsent) {
    if (leading) {
      inbox.push_back({ServerId{}, 0, std::move(request)});
    } else {
      zab.forward(encode(request));
    }
  }
  const auto asked = std::exchange(unsent_syncs, {});
  for (const auto ticket : asked) {
    if (syncs.contains(ticket)) zab.request_sync(ticket);
  }
  return !unsent.empty() || !asked.empty();
}

bool Member::State::drain_inbox() {
  bool any = false;
  while (leading && zab.leading() && !inbox.empty() &&
         zab.outstanding() < limits::kOutstandingProposalsMax) {
    const Inbound inbound = std::move(inbox.front());
    inbox.pop_front();
    any = true;
    // A learner that has begun anew since will send it again.
    if (inbound.from.value != 0 && !zab.converses(inbound.from, inbound.tag)) continue;
    propose(inbound.request);
  }
  return any;
}

void Member::State::propose(const Request& request) {
  // Empty: the epoch has no more zxids, the leadership is over; whoever asked asks the next leader.
  const auto zxid = zab.next_zxid(now.monotonic);
  if (!zxid) {
    inbox.clear();
    return;
  }
  leading->sessions.touch(request.session, now.monotonic);
  // Times do not run backwards within a leadership, whatever the clock does.
  leading->last_time = std::max(leading->last_time, now.wall);
  const tree::Txn txn = leading->prep.prepare(request, *zxid, leading->last_time);
  auto bytes = tree::encode(txn);
  leading->count(bytes.size());
  const Zxid proposed = zab.propose(std::move(bytes));
  ZKFS_CHECK(proposed == *zxid, "prepared as {}, proposed as {}", *zxid, proposed);
}

void Member::State::apply(const Entry& entry) {
  const auto txn = tree::decode_txn(entry.bytes.view());
  ZKFS_CHECK(txn.has_value(), "committed txn {} cannot be decoded", entry.zxid);
  const auto result = tree->apply(entry.zxid, *txn);
  if (leading) leading->prep.applied(entry.zxid);
  ++txns_since_snapshot;
  // Whoever watches hears of it before whoever asked (reference/zookeeper.md 4.3).
  if (!result.changes.empty()) {
    const AppliedTxn applied{entry.zxid, txn->session, requests.is_own(txn->session),
                             result.changes};
    for (auto* subscriber : subscribers) subscriber->applied(applied);
  }
  if (auto answered = requests.decided(txn->session, txn->xid, result.outcome)) {
    if (answered->at_once) {
      answered->done(answered->outcome);
    } else {
      due.push_back(std::move(*answered));
    }
  }
  track_sessions(*txn);
  answer_syncs();
}

void Member::State::track_sessions(const tree::Txn& txn) {
  if (const auto* created = std::get_if<tree::CreateSessionTxn>(&txn.body)) {
    if (leading) leading->sessions.add(created->session, created->timeout_ms, now.monotonic);
  } else if (const auto* attached = std::get_if<tree::AttachSessionTxn>(&txn.body)) {
    if (leading) leading->sessions.add(attached->session, attached->timeout_ms, now.monotonic);
    requests.session_attached(attached->session, tree->attachment_of(attached->session));
  } else if (const auto* closed = std::get_if<tree::CloseSessionTxn>(&txn.body)) {
    if (leading) leading->sessions.remove(closed->session);
    ZKFS_LOG_INFO(server, "session {:#x} closed, ephemerals={}", closed->session.value,
                  closed->ephemerals.size());
    requests.session_closed(closed->session);
  }
}

void Member::State::answer_syncs() {
  for (auto it = syncs.begin(); it != syncs.end();) {
    if (!it->second.target || *it->second.target > tree->last_applied()) {
      ++it;
      continue;
    }
    auto done = std::move(it->second.done);
    const std::uint64_t ticket = it->first;
    it = syncs.erase(it);
    due.push_back(
        {[done = std::move(done)](const tree::Outcome& outcome) mutable { done(outcome.error); },
         {},
         false,
         ticket});
  }
}

// --- sessions ---

SessionId Member::State::new_session_id() {
  // ZooKeeper's shape: the server in the top byte, then the time, then a counter; the shift is
  // unsigned (ZOOKEEPER-1622). The wall clock, since ids may not repeat after a reboot.
  if (last_session == 0) {
    last_session = (static_cast<std::uint64_t>(now.wall) << 24U >> 8U) + (random.next() & 0xffffU);
  }
  // A thousand clients may come within one millisecond: from there on it is the counter alone. It
  // stays behind the time as long as there are fewer than 65536 sessions a millisecond.
  SessionId id;
  do {
    id = SessionId{(static_cast<std::uint64_t>(config.zab.self.value) << 56U) |
                   (++last_session & 0x00ffffffffffffffULL)};
  } while (requests.is_local(id) || tree->find_session(id));
  return id;
}

void Member::State::touch_sessions() {
  if (!active || !zab.active() || now.monotonic < touch_at) return;
  touch_at = now.monotonic + config.touch_interval;
  auto sessions = requests.take_touched();
  if (leading) {
    for (const auto session : sessions) leading->sessions.touch(session, now.monotonic);
    note_space(config.zab.self, low_space);
  } else if (!zab.leading() && (!sessions.empty() || low_space || told_low_space)) {
    told_low_space = low_space;
    zab.forward(encode(Touch{.sessions = std::move(sessions), .low_space = low_space}));
  }
}

// Of a leader.
void Member::State::note_space(ServerId server, bool low) {
  const auto& voters = config.zab.voters;
  if (std::find(voters.begin(), voters.end(), server) == voters.end()) return;
  auto& all = leading->low_space;
  const bool changed = low ? all.insert(server).second : all.erase(server) != 0;
  if (!changed) return;
  const bool refuse = voters.size() - all.size() < voters.size() / 2 + 1;
  leading->prep.refuse_growth(refuse);
  ZKFS_LOG_WARN(server, "server {} {} room on its disk; writes that add data are {}", server,
                low ? "has little" : "has again", refuse ? "refused" : "taken");
}

// Of a leader. Who passes a limit does so with each write: one word now and then is enough.
void Member::State::warn_of_quotas() {
  if (!leading || now.monotonic < leading->quota_warnings_at) return;
  std::map<std::pair<Ino, bool>, QuotaWarning> newest;
  for (const auto& warning : leading->prep.take_quota_warnings()) {
    newest[{warning.quota, warning.of_count}] = warning;
  }
  if (newest.empty()) return;
  leading->quota_warnings_at = now.monotonic + kQuotaWarningInterval;
  for (const auto& [quota, warning] : newest) {
    ZKFS_LOG_WARN(server, "{}: {} {} are beyond the limit {}", tree->path_of(warning.quota),
                  warning.value, warning.of_count ? "znodes" : "bytes", warning.limit);
  }
}

void Member::State::expire_sessions() {
  if (!leading) return;
  for (const auto session : leading->sessions.expired(now.monotonic)) {
    ZKFS_LOG_INFO(server, "session {:#x} expired", session.value);
    Request request;
    request.session = session;
    request.operation = CloseSessionRequest{};
    inbox.push_back({ServerId{}, 0, std::move(request)});
  }
}

// --- containers and TTL znodes ---

void Member::State::reap() {
  // What is full already gets no more: the next look finds the same.
  if (!leading || !inbox.empty()) return;
  for (auto& request : leading->reaper.due(*tree, now)) {
    ZKFS_LOG_DEBUG(server, "znode {} is to be reaped", request.target.ino);
    Inbound inbound;
    inbound.request.operation = std::move(request);
    inbox.push_back(std::move(inbound));
  }
}

// --- /zookeeper/config ---

// The first text of an ensemble is of its first epoch; each later one of the epoch that brought it,
// for the servers are changed by starting them with other configurations (reference 3.6).
void Member::State::publish_config() {
  if (config.servers_text.empty()) return;
  const auto known = tree->find(kConfigIno);
  const ByteView text = known->data.view();
  if (text.substr(0, text.rfind('\n')) == config.servers_text) return;
  const Zxid version{zab.current_epoch(), 0};
  Inbound inbound;
  inbound.request.operation = SetDataRequest{
      .target = {.ino = kConfigIno, .path = {}},
      .data = Blob(fmt::format("{}\nversion={:x}", config.servers_text, version.value))};
  inbox.push_back(std::move(inbound));
}

// --- snapshots of this server's own ---

void Member::State::choose_snapshot_point() {
  // Random, so that the servers of an ensemble do not all write theirs at once.
  const auto half = std::max<std::uint64_t>(config.snap_count / 2, 1);
  snapshot_after_txns = half + random.below(half + 1);
}

void Member::State::maybe_snapshot() {
  if (streams.own_under_way()) return;
  if (txns_since_snapshot < snapshot_after_txns && bytes_since_snapshot < config.snap_bytes) return;
  if (txns_since_snapshot == 0) return;
  txns_since_snapshot = 0;
  bytes_since_snapshot = 0;
  choose_snapshot_point();
  streams.begin_own(*tree);
}

// --- Member ---

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

void Member::set_low_space(bool low) {
  state_->low_space = low;
  state_->touch_at = {};
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
