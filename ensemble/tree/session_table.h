// SPDX-License-Identifier: Apache-2.0
// The replicated part of sessions: who exists, with which timeout, which ephemerals it owns, and
// the outcomes kept for requests whose answer may not have arrived (contract section 6). Its digest
// is a sum of checksums, kept up with every change.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "ensemble/base/ids.h"
#include "ensemble/tree/node_pool.h"
#include "ensemble/tree/txn.h"

namespace zkfs::tree {

struct SessionRecord {
  SessionId id;
  std::uint32_t timeout_ms = 0;
  std::string owner;
  std::string password;
  std::uint32_t attachment = 0;
  SlotList ephemerals;  // in the order of creation, which is that of the numbers
  std::map<Xid, Outcome> outcomes;
};

class SessionTable {
 public:
  // nullptr: there is none.
  [[nodiscard]] SessionRecord* find(SessionId id);
  [[nodiscard]] const SessionRecord* find(SessionId id) const;
  // In the order of ids.
  [[nodiscard]] std::vector<const SessionRecord*> all() const;

  [[nodiscard]] std::size_t size() const { return sessions_.size(); }

  // Requires: no session with this id.
  void add(SessionId id,
           std::uint32_t timeout_ms,
           const std::string& owner,
           const std::string& password);
  // As AttachSessionTxn has it; returns the new attachment. Requires: it exists.
  std::uint32_t attach(SessionId id, std::uint32_t timeout_ms);
  // Of a session that a snapshot holds.
  void restore_attachment(SessionRecord& session, std::uint32_t attachment);
  // Forgets the session and its outcomes. Requires: it owns no ephemerals.
  void remove(SessionId id);
  // Keeps the outcome of request `xid`.
  void keep(SessionRecord& session, Xid xid, const Outcome& outcome);
  // Forgets the outcomes of requests below `first_unanswered`.
  void forget_below(SessionRecord& session, Xid first_unanswered);

  [[nodiscard]] std::uint64_t digest() const { return digest_; }

  // Anew from everything.
  [[nodiscard]] std::uint64_t recompute_digest() const;

 private:
  std::unordered_map<SessionId, SessionRecord> sessions_;
  std::uint64_t digest_ = 0;
};

}  // namespace zkfs::tree
