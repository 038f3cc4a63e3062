// SPDX-License-Identifier: Apache-2.0
// The writing end; the reading end is snapshot_loader.cpp.
#include "ensemble/tree/snapshot_codec.h"

#include <string>
#include <utility>

#include "ensemble/base/check.h"
#include "ensemble/tree/data_tree_state.h"
#include "ensemble/tree/snapshot_cursor.h"

namespace zkfs::tree {
namespace {

// What a znode costs in a chunk beside its name and data, roughly.
constexpr std::size_t kRowBytes = 48;

void write(const Outcome& outcome, proto::SnapshotOutcome& out) {
  out.set_error(static_cast<std::int32_t>(outcome.error));
  out.set_zxid(outcome.zxid.value);
  out.set_ino(outcome.ino.value);
  out.set_name(outcome.name);
  out.set_version(outcome.version);
  for (const Outcome& operation : outcome.operations) write(operation, *out.add_operations());
}

// Returns about how many bytes it added. The outcomes of many multis would not fit one message
// between servers (limits::kPeerMessageBytesMax): those that are written leave `session`, and the
// rest go into rows that continue this one.
std::size_t write(SessionRecord& session,
                  bool continued,
                  std::size_t bytes_max,
                  proto::SnapshotSession& out) {
  out.set_id(session.id.value);
  out.set_continued(continued);
  if (!continued) {
    out.set_timeout_ms(session.timeout_ms);
    out.set_owner(session.owner);
    out.set_password(session.password);
    out.set_attachment(session.attachment);
  }
  std::size_t bytes = out.ByteSizeLong();
  while (!session.outcomes.empty() &&
         (bytes < bytes_max || (continued && out.outcomes().empty()))) {
    const auto first = session.outcomes.begin();
    proto::SnapshotOutcome& to = *out.add_outcomes();
    write(first->second, to);
    to.set_xid(first->first.value);
    bytes += to.ByteSizeLong();
    session.outcomes.erase(first);
  }
  return bytes;
}

std::size_t write(const LockView& lock, proto::SnapshotLock& out) {
  out.set_ino(lock.ino.value);
  out.set_space(static_cast<std::uint32_t>(lock.space));
  out.set_mode(static_cast<std::uint32_t>(lock.mode));
  out.set_first(lock.range.first);
  out.set_last(lock.range.last);
  out.set_session(lock.session.value);
  out.set_owner(lock.owner);
  out.set_request(lock.request);
  out.set_pid(lock.pid);
  out.set_zxid(lock.zxid.value);
  out.set_waiting(lock.waiting);
  return out.ByteSizeLong();
}

std::size_t write(std::uint32_t number, const AclList& acl, proto::SnapshotAcl& out) {
  out.set_number(number);
  for (const AclEntry& entry : acl) {
    proto::AclEntry& to = *out.add_entries();
    to.set_permissions(entry.permissions);
    to.set_scheme(entry.scheme);
    to.set_id(entry.id);
  }
  return out.ByteSizeLong();
}

// Differences wrap: whatever the two are, the loader's sum gives the value back.
std::int64_t difference(std::uint64_t value, std::uint64_t base) {
  return static_cast<std::int64_t>(value - base);
}

std::int64_t difference(WallMillis value, WallMillis base) {
  return difference(static_cast<std::uint64_t>(value), static_cast<std::uint64_t>(base));
}

std::size_t write(const Node& node, Ino parent, proto::SnapshotZnodes& out) {
  const std::string_view name = node.name.view();
  out.add_ino(node.ino.value);
  out.add_parent(parent.value);
  out.mutable_names()->append(name);
  out.add_name_bytes(static_cast<std::uint32_t>(name.size()));
  out.mutable_data()->append(node.data.view());
  out.add_data_bytes(node.data.size());
  out.add_acl(node.acl);
  out.add_czxid(node.czxid.value);
  out.add_mzxid(difference(node.mzxid.value, node.czxid.value));
  out.add_pzxid(difference(node.pzxid.value, node.czxid.value));
  out.add_ctime(node.ctime);
  out.add_mtime(difference(node.mtime, node.ctime));
  out.add_change_time(difference(node.change_time, node.mtime));
  out.add_version(node.version);
  out.add_aversion(node.aversion);
  out.add_create_counter(node.create_counter);
  out.add_form(static_cast<std::uint32_t>(node.type) | static_cast<std::uint32_t>(node.kind) << 2U |
               static_cast<std::uint32_t>(node.executable) << 4U |
               static_cast<std::uint32_t>(node.data.is_null()) << 5U);
  out.add_owner_or_ttl(node.owner_or_ttl);
  return kRowBytes + name.size() + node.data.size();
}

// Adds znodes until the chunk is large enough; true if there are no more.
bool add_znodes(SnapshotView& view,
                std::vector<bool>& acls_written,
                std::size_t chunk_bytes,
                std::size_t slots_max,
                proto::SnapshotChunk& chunk) {
  for (std::size_t bytes = 0; bytes < chunk_bytes && slots_max > 0;) {
    const auto [node, parent] = view.next(slots_max);
    if (node == nullptr) break;
    if (node->acl >= acls_written.size()) acls_written.resize(node->acl + 1);
    if (!acls_written[node->acl]) {
      acls_written[node->acl] = true;
      bytes += write(node->acl, view.tree().acls().list(node->acl), *chunk.add_acls());
    }
    bytes += write(*node, parent, *chunk.mutable_znodes());
  }
  return view.done();
}

bool add_sessions(auto& s, std::size_t chunk_bytes, proto::SnapshotChunk& chunk) {
  for (std::size_t bytes = 0; bytes < chunk_bytes && s.next_session < s.sessions.size();) {
    SessionRecord& session = s.sessions[s.next_session];
    bytes += write(session, s.session_begun, chunk_bytes - bytes, *chunk.add_sessions());
    s.session_begun = !session.outcomes.empty();
    if (!s.session_begun) ++s.next_session;
  }
  return s.next_session == s.sessions.size();
}

bool add_locks(const std::vector<LockView>& locks,
               std::size_t& next,
               std::size_t chunk_bytes,
               proto::SnapshotChunk& chunk) {
  for (std::size_t bytes = 0; bytes < chunk_bytes && next < locks.size(); ++next) {
    bytes += write(locks[next], *chunk.add_locks());
  }
  return next == locks.size();
}

}  // namespace

SnapshotCursor::State::State(TreeState& tree) : view(tree), zxid(tree.last_applied()) {
  for (const SessionRecord* session : tree.sessions().all()) sessions.push_back(*session);
  locks = tree.locks().all();
  header.set_format(kSnapshotFormat);
  header.set_zxid(zxid.value);
  header.set_next_ino(tree.next_ino().value);
  header.set_znode_count(tree.node_count());
  header.set_session_count(sessions.size());
  header.set_lock_count(locks.size());
  header.set_digest(tree.digest());
}

std::unique_ptr<SnapshotCursor> DataTree::begin_snapshot() {
  auto cursor = std::make_unique<SnapshotCursor::State>(state_->tree);
  return std::unique_ptr<SnapshotCursor>(new SnapshotCursor(std::move(cursor)));
}

SnapshotCursor::SnapshotCursor(std::unique_ptr<State> state) : state_(std::move(state)) {}

SnapshotCursor::~SnapshotCursor() = default;

Zxid SnapshotCursor::zxid() const {
  return state_->zxid;
}

std::optional<Blob> SnapshotCursor::next(std::size_t chunk_bytes, std::size_t nodes_max) {
  using Phase = State::Phase;
  State& s = *state_;
  proto::SnapshotChunk chunk;
  switch (s.phase) {
    case Phase::kHeader:
      *chunk.mutable_header() = s.header;
      s.phase = s.sessions.empty() ? Phase::kZnodes : Phase::kSessions;  // no locks without one
      break;
    case Phase::kSessions:
      if (add_sessions(s, chunk_bytes, chunk)) {
        s.phase = s.locks.empty() ? Phase::kZnodes : Phase::kLocks;
      }
      break;
    case Phase::kLocks:
      if (add_locks(s.locks, s.next_lock, chunk_bytes, chunk)) s.phase = Phase::kZnodes;
      break;
    case Phase::kZnodes:
      if (add_znodes(s.view, s.acls_written, chunk_bytes, nodes_max, chunk)) s.phase = Phase::kEnd;
      break;
    case Phase::kEnd:
      chunk.mutable_end();
      s.phase = Phase::kDone;
      break;
    case Phase::kDone:
      return std::nullopt;
  }
  std::string bytes;
  ZKFS_CHECK(chunk.SerializeToString(&bytes), "a chunk of {} bytes", chunk.ByteSizeLong());
  return Blob(bytes);
}

}  // namespace zkfs::tree
