// SPDX-License-Identifier: Apache-2.0
// Txn: one decided change of the tree. The leader's `prep` has resolved and checked everything:
// znodes are named by their number, new numbers, versions' successors and time are assigned;
// applying needs no clock, no lookup by path and cannot fail. Every failed request becomes an
// ErrorTxn, so that each write request is one zxid (reference/zookeeper.md 1.7).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

#include "ensemble/base/blob.h"
#include "ensemble/base/clock.h"
#include "ensemble/base/error.h"
#include "ensemble/base/ids.h"
#include "ensemble/tree/acl.h"
#include "ensemble/tree/lock.h"
#include "ensemble/tree/stat.h"

namespace zkfs::tree {

// How long a znode lives.
enum class NodeType : std::uint8_t { kPersistent = 0, kEphemeral = 1, kContainer = 2, kTtl = 3 };

// How the mount shows it; invisible to ZooKeeper clients (contract section 1).
enum class NodeKind : std::uint8_t { kUnspecified = 0, kFile = 1, kDirectory = 2, kSymlink = 3 };

// Of what the mount shows as no directory, whatever becomes of it.
constexpr bool is_leaf_kind(NodeKind kind) {
  return kind == NodeKind::kFile || kind == NodeKind::kSymlink;
}

// One word each, as people read it; of an unspecified kind there is none.
std::string_view to_string(NodeType type);
std::string_view to_string(NodeKind kind);

// `name` is final: the sequence suffix is in it. The parent's create counter rises by one, whatever
// the type; a parent of kind file or symlink becomes a directory.
struct CreateTxn {
  Ino parent;
  std::string name;
  Ino ino;  // the new znode's number: always the tree's next_ino at that point of the order
  Blob data;
  AclList acl;
  NodeType type = NodeType::kPersistent;
  NodeKind kind = NodeKind::kUnspecified;
  bool executable = false;
  SessionId owner;          // for kEphemeral
  std::int64_t ttl_ms = 0;  // for kTtl
};

// Requires: no children; not the root nor a system znode.
struct DeleteTxn {
  Ino ino;
};

// The data version rises by one (skipping -1, ZOOKEEPER-4743).
struct SetDataTxn {
  Ino ino;
  Blob data;
};

// As SetDataTxn, with the old data in front.
struct AppendTxn {
  Ino ino;
  Blob data;
};

// The ACL version rises by one; nothing else of the stat changes.
struct SetAclTxn {
  Ino ino;
  AclList acl;
};

// No version changes; the change time does. `mtime` replaces mtime.
struct SetAttributesTxn {
  Ino ino;
  std::optional<WallMillis> mtime;
  std::optional<NodeKind> kind;
  std::optional<bool> executable;
};

// Moves `ino` with its subtree to (new_parent, new_name).
// - `replaced` is 0: the name is free.
// - `replaced` and not `exchange`, neither of the two a directory (Znode::is_directory): the target
// keeps its number, czxid, ctime, ACL, type, owner and children, takes
//   the source's data, kind, execute bit and mtime (rsync -t sets that before it renames), and its
//   data version rises by one; the source disappears. Requires: the source has no children.
// - `replaced` and not `exchange`, both directories: the target is deleted and the source takes its
// place. Requires: the target has no children.
// - `exchange`: the two swap places; both keep their numbers.
// Never: a directory and a znode that is none, the root, a system znode, a place beneath itself, an
// ephemeral as the new parent of a name gained. Each parent's cversion rises by one for a name lost
// and by one for a name gained, a replaced name counting neither; a name gained raises its create
// counter. pzxid is set on each parent whose children are others afterwards: both, but for the new
// parent where a target that stays took the data. What moved or took the data has its change time
// raised.
struct RenameTxn {
  Ino ino;
  Ino new_parent;
  std::string new_name;
  Ino replaced;
  bool exchange = false;
};

struct CreateSessionTxn {
  SessionId session;
  std::uint32_t timeout_ms = 0;
  std::string owner;  // who it is for, as a person would want it: "node 2 mount /zk"
  std::string
      password{};  // what a client must show to attach to it; empty: it cannot be attached to
};

// A client of the session is on another connection now: its attachment, counted from 0, rises by
// one, and it has another timeout. The outcomes kept for its requests go: nobody is left to ask.
// Outcome::version is the new attachment. Requires: the session exists.
struct AttachSessionTxn {
  SessionId session;
  std::uint32_t timeout_ms = 0;
};

// Removes the session and, with this one zxid, the ephemerals listed: all it owns at this point of
// the order. Its locks, held and waited for, go too.
struct CloseSessionTxn {
  SessionId session;
  std::vector<Ino> ephemerals;
};

// Nothing happened; the requester is answered `error`. In a multi the list is per operation.
struct ErrorTxn {
  Error error = Error::kOk;
  std::vector<Error> per_operation;
};

// Passed only inside a multi: a version that held. Changes nothing.
struct CheckTxn {
  Ino ino;
};

using SubTxn = std::variant<CreateTxn,
                            DeleteTxn,
                            SetDataTxn,
                            AppendTxn,
                            SetAclTxn,
                            SetAttributesTxn,
                            RenameTxn,
                            CheckTxn>;

// All or nothing, one zxid, applied in order.
struct MultiTxn {
  std::vector<SubTxn> operations;
};

// A request for an advisory lock by (Txn::session, owner). Whether it is granted, waits or is
// refused, applying decides (lock_table.h): Outcome::error is kOk - granted, and Outcome::zxid is
// the fencing token; kLockQueued - it waits, and a Change of kind kLockGranted will tell;
// kWouldBlock, kDeadlock, kQuotaExceeded, or kBadArguments (a request of this number waits
// already): refused, nothing changed. `request` is chosen by who asks, one of its own each.
// Requires: the session exists; a number that was assigned; a range that is not empty, for a flock
// the whole.
struct LockTxn {
  Ino ino;
  LockSpace space = LockSpace::kFlock;
  LockMode mode = LockMode::kShared;
  LockRange range{};
  std::uint64_t owner = 0;
  std::uint64_t request = 0;
  std::uint32_t pid = 0;
  bool wait = false;
};

// Lets go of what (Txn::session, owner) holds in the range, not of what it waits for. Outcome: kOk,
// also if it held nothing; kQuotaExceeded - one piece more than a session may have would be left.
// Requires: as LockTxn.
struct UnlockTxn {
  Ino ino;
  LockSpace space = LockSpace::kFlock;
  LockRange range{};
  std::uint64_t owner = 0;
};

// Takes back a lock request of Txn::session that waits. Outcome: kOk; kNoNode - it does not wait
// (never did, or was granted or taken back before), and nothing happened.
struct CancelLockTxn {
  Ino ino;
  std::uint64_t request = 0;
};

using TxnBody = std::variant<CreateTxn,
                             DeleteTxn,
                             SetDataTxn,
                             AppendTxn,
                             SetAclTxn,
                             SetAttributesTxn,
                             RenameTxn,
                             CreateSessionTxn,
                             AttachSessionTxn,
                             CloseSessionTxn,
                             MultiTxn,
                             ErrorTxn,
                             LockTxn,
                             UnlockTxn,
                             CancelLockTxn>;

struct Txn {
  // Who asked: the reply finds its way by these two. session 0: the leader itself.
  SessionId session;
  Xid xid;
  // Requests of this session below this number have been answered; their kept outcomes may be
  // forgotten. 0: the session's requests are never sent twice and no outcome is kept (see
  // DataTree::outcome_of).
  Xid first_unanswered;
  // The leader's wall clock at proposal.
  WallMillis time = 0;
  TxnBody body;
};

// What a request came to.
struct Outcome {
  Error error = Error::kOk;
  Zxid zxid;
  Ino ino;  // create: the new znode; set, append, rename: the znode that now has the data or place
  std::string name;                 // create: the final name
  std::int32_t version = 0;         // the data version afterwards, where there is one
  std::vector<Outcome> operations;  // multi: one each
  // Create and set in a multi: after this step. For who hears of it at once: it is neither kept nor
  // compared.
  std::optional<Stat> stat;

  friend bool operator==(const Outcome& a, const Outcome& b) {
    return std::tie(a.error, a.zxid, a.ino, a.name, a.version, a.operations) ==
           std::tie(b.error, b.zxid, b.ino, b.name, b.version, b.operations);
  }
};

}  // namespace zkfs::tree
