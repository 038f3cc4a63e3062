// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/member_state.h"

#include <type_traits>
#include <utility>

#include "ensemble/base/check.h"
#include "ensemble/base/limits.h"
#include "ensemble/base/log.h"
#include "ensemble/server/request_codec.h"
#include "ensemble/tree/txn_codec.h"

namespace zkfs::server {
namespace {

constexpr Millis kQuotaWarningInterval{10'000};

// Operations that a leader prepares before it looks at what its links and its disk have to say:
// some milliseconds' worth. A burst of multis of tens of thousands each would end its leadership.
constexpr std::size_t kOperationsPerFlush = 20'000;

std::size_t operations_of(const Request& request) {
  const auto* multi = std::get_if<MultiRequest>(&request.operation);
  return multi == nullptr ? 1 : 1 + multi->operations.size();
}

}  // namespace

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
  operations_left = kOperationsPerFlush;
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
  auto effects = zab.flush(now.monotonic, [this](ServerId to) {
    return limits::kCatchUpWindowBytes -
           std::min(limits::kCatchUpWindowBytes, peers.queued_bytes(to));
  });
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
      note_space(config.zab.self, low_space);
      publish_config();
      for (const auto& session : tree->sessions()) {
        leading->sessions.add(session.id, session.timeout_ms, now.monotonic);
      }
    }
    touch_at = now.monotonic;
    told_low_space.reset();  // it may know otherwise of an earlier incarnation of this server
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
  while (leading && zab.leading() && !inbox.empty() && operations_left != 0 &&
         zab.outstanding() < limits::kOutstandingProposalsMax) {
    const Inbound inbound = std::move(inbox.front());
    inbox.pop_front();
    any = true;
    operations_left -= std::min(operations_left, operations_of(inbound.request));
    // A learner that has begun anew since will send it again.
    if (inbound.from.value != 0 && !zab.converses(inbound.from, inbound.tag)) continue;
    propose(inbound.request);
  }
  // The rest after what has arrived meanwhile.
  if (operations_left == 0 && !inbox.empty()) dirty();
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
    const bool local =
        requests.is_own(txn->session) && !requests.is_forgotten(txn->session, txn->xid);
    const AppliedTxn applied{entry.zxid, txn->session, local, result.changes};
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
  } else if (!zab.leading() && (!sessions.empty() || low_space || told_low_space != low_space)) {
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
  // With little room it could fill the disk; the log, which it would shorten, is still there.
  if (streams.own_under_way() || low_space) return;
  if (txns_since_snapshot < snapshot_after_txns && bytes_since_snapshot < config.snap_bytes) return;
  if (txns_since_snapshot == 0) return;
  txns_since_snapshot = 0;
  bytes_since_snapshot = 0;
  choose_snapshot_point();
  streams.begin_own(*tree);
}

}  // namespace zkfs::server
