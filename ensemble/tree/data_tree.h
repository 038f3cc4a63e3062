// SPDX-License-Identifier: Apache-2.0
// DataTree: the replicated state: znodes, sessions and locks. Deterministic and pure: no I/O, no
// clock, no randomness; servers that apply the same txns in the same order hold the same tree, down
// to the digest. Holds committed state only: ZAB delivers nothing that could be taken back, so the
// tree never rolls back (a learner's log may; see zab/history.h). Single-threaded; knows no zxid
// order beyond "rises", no disk, no watcher.
//
// Memory: znodes lie in chunks addressed by 32-bit slots; two open-addressing tables of slots find
// them by number and by (parent, name); siblings are chained. At most 250 bytes a znode beside its
// name and data (tests/tree/memory_test.cpp measures it).
//
// Snapshots are consistent, not fuzzy: a SnapshotCursor visits znodes slot by slot, a few per call,
// while txns go on being applied; a txn that is about to change or free a znode that the cursor has
// not visited gives the cursor its pre-image first. What comes out is exactly the tree as of
// snapshot_begin, so replay on top of it needs no idempotence (ZOOKEEPER-3306, 3125, 3127, 3144,
// 3145, 3249 were all failures of that idempotence).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ensemble/base/error.h"
#include "ensemble/base/ids.h"
#include "ensemble/tree/change.h"
#include "ensemble/tree/quota.h"
#include "ensemble/tree/txn.h"
#include "ensemble/tree/znode.h"

namespace zkfs::tree {

struct Session {
  SessionId id;
  std::uint32_t timeout_ms = 0;
  std::string owner;
  std::uint32_t ephemerals = 0;  // how many it owns
  std::string_view password;     // valid until the next apply()
  std::uint32_t attachment = 0;  // how often a client has attached to it again
};

struct ApplyResult {
  Outcome outcome;
  std::vector<Change> changes;
};

class DataTree {
 public:
  // The root (ino 1, kind directory, open ACL) and the system znodes (tree/system_znodes.h), all
  // with ZooKeeper's fresh stats; zxid 0.
  DataTree();
  ~DataTree();
  DataTree(const DataTree&) = delete;
  DataTree& operator=(const DataTree&) = delete;

  // --- reading ---
  [[nodiscard]] std::optional<Znode> find(Ino ino) const;
  [[nodiscard]] std::optional<Znode> find_child(Ino parent, std::string_view name) const;
  // By absolute path. A malformed path finds nothing.
  [[nodiscard]] std::optional<Znode> find_path(std::string_view path) const;
  // The absolute path of a znode; empty if there is none.
  [[nodiscard]] std::string path_of(Ino ino) const;
  // Numbers of the children in the order in which they came there; those that a loaded snapshot had
  // come first, in the order of numbers (so servers may differ in the order). Empty if there is no
  // such znode.
  [[nodiscard]] std::vector<Ino> children_of(Ino ino) const;
  // The names of the children, in the same order.
  void for_each_child(Ino ino, const std::function<void(std::string_view name)>& visit) const;
  // How many znodes are beneath it. Visits them all.
  [[nodiscard]] std::uint64_t count_beneath(Ino ino) const;
  // True if `ancestor` is `ino` or above it.
  [[nodiscard]] bool is_ancestor(Ino ancestor, Ino ino) const;

  [[nodiscard]] std::optional<Session> find_session(SessionId id) const;
  [[nodiscard]] bool has_session(SessionId id) const;
  // 0 if there is no such session.
  [[nodiscard]] std::uint32_t attachment_of(SessionId id) const;
  // In the order of ids.
  [[nodiscard]] std::vector<Session> sessions() const;
  [[nodiscard]] std::size_t session_count() const;
  // In the order of numbers (the same on every server).
  [[nodiscard]] std::vector<Ino> ephemerals_of(SessionId id) const;
  // Containers that once had children and have none, and TTL znodes without children: candidates
  // for the reaper.
  [[nodiscard]] std::vector<Ino> reapable() const;

  // What the subtree holds whose quota is set by the children of the znode `quota`, which lies
  // below /zookeeper/quota (tree/quota_table.h). Nothing: it sets none. The data of a child
  // zookeeper_stats, as the calls above give it, says the same.
  [[nodiscard]] std::optional<QuotaUsage> quota_usage(Ino quota) const;

  // Advisory locks of a number, be its znode gone: what is held (by space, range and owner), then
  // what waits (by space, in order).
  [[nodiscard]] std::vector<LockView> locks_of(Ino ino) const;
  // Numbers with any lock or waiting request, ascending.
  [[nodiscard]] std::vector<Ino> locked() const;
  // The lock held by another that is in the way of such a request now, the first by range: what
  // F_GETLK tells. Nothing: none is.
  [[nodiscard]] std::optional<LockView> lock_conflict(Ino ino,
                                                      LockSpace space,
                                                      LockMode mode,
                                                      LockRange range,
                                                      SessionId session,
                                                      std::uint64_t owner) const;
  // The request if it waits; if granted, the first piece it was the last to get. Nothing: neither.
  [[nodiscard]] std::optional<LockView> lock_of_request(Ino ino,
                                                        SessionId session,
                                                        std::uint64_t request) const;

  // The outcome of request `xid` of `session`, if it was applied with first_unanswered != 0 and is
  // not yet forgotten. How a server that was brought up by a snapshot learns what became of a write
  // that was in flight when it lost its leader (contract section 6: exactly once in effect).
  [[nodiscard]] std::optional<Outcome> outcome_of(SessionId session, Xid xid) const;

  // The position of the last txn applied.
  [[nodiscard]] Zxid last_applied() const;
  // The number the next CreateTxn must carry.
  [[nodiscard]] Ino next_ino() const;
  // With the root and the system znodes.
  [[nodiscard]] std::uint64_t node_count() const;
  // Sum of all data lengths.
  [[nodiscard]] std::uint64_t data_bytes() const;
  // Equal on two servers that applied the same txns; changes with every txn but ErrorTxn (and
  // changes with that where its outcome is kept). Incremental: a sum of a checksum per znode, over
  // everything that is replicated about it, per session, kept outcome and lock, and of next_ino.
  [[nodiscard]] std::uint64_t digest() const;
  // The digest computed anew from all znodes: for tests and for checking a loaded snapshot.
  [[nodiscard]] std::uint64_t recompute_digest() const;

  // --- changing ---
  // Requires: zxid > last_applied(); the txn was made by prep against exactly this state (anything
  // else is a broken invariant and aborts).
  ApplyResult apply(Zxid zxid, const Txn& txn);

  // --- snapshots (formats: snapshot_codec.h) ---
  // Starts a consistent snapshot of the tree as of now. Several cursors may be under way. The tree
  // must outlive it or have it dropped first.
  std::unique_ptr<class SnapshotCursor> begin_snapshot();

 private:
  friend class SnapshotCursor;
  friend class SnapshotLoader;
  friend class TreeBuilder;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace zkfs::tree
