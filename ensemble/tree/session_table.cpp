// SPDX-License-Identifier: Apache-2.0
#include "ensemble/tree/session_table.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "ensemble/base/check.h"
#include "ensemble/base/checksum.h"

namespace zkfs::tree {
namespace {

template <std::size_t N>
std::uint64_t checksum_of(const std::array<std::uint64_t, N>& fields) {
  return checksum64({reinterpret_cast<const char*>(fields.data()), sizeof fields});
}

std::uint64_t checksum_of(const SessionRecord& session) {
  const std::uint64_t base =
      checksum_of<3>({session.id.value, session.timeout_ms, checksum64(session.owner)});
  // As it always was where there is neither: snapshots hold digests.
  if (session.password.empty() && session.attachment == 0) return base;
  return checksum_of<3>({base, checksum64(session.password), session.attachment});
}

std::uint64_t checksum_of(SessionId session, Xid xid, const Outcome& outcome) {
  const std::uint64_t small = (std::uint64_t{static_cast<std::uint32_t>(outcome.error)} << 32U) |
                              static_cast<std::uint32_t>(outcome.version);
  std::array<std::uint64_t, 7> fields{session.value,
                                      xid.value,
                                      small,
                                      outcome.zxid.value,
                                      outcome.ino.value,
                                      checksum64(outcome.name),
                                      outcome.operations.size()};
  // An operation has no xid of its own; chaining makes the order count.
  for (const Outcome& operation : outcome.operations) {
    fields.back() = checksum_of(SessionId{fields.back()}, Xid{}, operation);
  }
  return checksum_of(fields);
}

}  // namespace

SessionRecord* SessionTable::find(SessionId id) {
  const auto it = sessions_.find(id);
  return it == sessions_.end() ? nullptr : &it->second;
}

const SessionRecord* SessionTable::find(SessionId id) const {
  const auto it = sessions_.find(id);
  return it == sessions_.end() ? nullptr : &it->second;
}

std::vector<const SessionRecord*> SessionTable::all() const {
  std::vector<const SessionRecord*> result;
  result.reserve(sessions_.size());
  for (const auto& [id, session] : sessions_) result.push_back(&session);
  std::sort(result.begin(), result.end(),
            [](const auto* a, const auto* b) { return a->id < b->id; });
  return result;
}

void SessionTable::add(SessionId id,
                       std::uint32_t timeout_ms,
                       const std::string& owner,
                       const std::string& password) {
  const auto [it, added] = sessions_.try_emplace(id);
  ZKFS_CHECK(added, "session {:#x} exists", id);
  it->second.id = id;
  it->second.timeout_ms = timeout_ms;
  it->second.owner = owner;
  it->second.password = password;
  digest_ += checksum_of(it->second);
}

std::uint32_t SessionTable::attach(SessionId id, std::uint32_t timeout_ms) {
  const auto it = sessions_.find(id);
  ZKFS_CHECK(it != sessions_.end(), "no session {:#x}", id);
  SessionRecord& session = it->second;
  forget_below(session, Xid{~std::uint64_t{0}});
  digest_ -= checksum_of(session);
  session.timeout_ms = timeout_ms;
  session.attachment += 1;
  digest_ += checksum_of(session);
  return session.attachment;
}

void SessionTable::restore_attachment(SessionRecord& session, std::uint32_t attachment) {
  digest_ -= checksum_of(session);
  session.attachment = attachment;
  digest_ += checksum_of(session);
}

void SessionTable::remove(SessionId id) {
  const auto it = sessions_.find(id);
  ZKFS_CHECK(it != sessions_.end(), "no session {:#x}", id);
  SessionRecord& session = it->second;
  ZKFS_CHECK(session.ephemerals.size == 0, "session {:#x} owns {} znodes", id,
             session.ephemerals.size);
  forget_below(session, Xid{~std::uint64_t{0}});
  for (const auto& [xid, outcome] : session.outcomes) digest_ -= checksum_of(id, xid, outcome);
  digest_ -= checksum_of(session);
  sessions_.erase(it);
}

void SessionTable::keep(SessionRecord& session, Xid xid, const Outcome& outcome) {
  const std::size_t count = session.outcomes.size();
  const auto it = session.outcomes.try_emplace(session.outcomes.end(), xid);
  // A request that comes twice leaves its last outcome.
  if (session.outcomes.size() == count) digest_ -= checksum_of(session.id, xid, it->second);
  it->second = outcome;
  for (Outcome& operation : it->second.operations) operation.stat.reset();
  digest_ += checksum_of(session.id, xid, outcome);
}

void SessionTable::forget_below(SessionRecord& session, Xid first_unanswered) {
  auto& outcomes = session.outcomes;
  while (!outcomes.empty() && outcomes.begin()->first < first_unanswered) {
    digest_ -= checksum_of(session.id, outcomes.begin()->first, outcomes.begin()->second);
    outcomes.erase(outcomes.begin());
  }
}

std::uint64_t SessionTable::recompute_digest() const {
  std::uint64_t sum = 0;
  for (const auto& [id, session] : sessions_) {
    sum += checksum_of(session);
    for (const auto& [xid, outcome] : session.outcomes) sum += checksum_of(id, xid, outcome);
  }
  return sum;
}

}  // namespace zkfs::tree
