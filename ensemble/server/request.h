// SPDX-License-Identifier: Apache-2.0
// Request: what a front door asks of the ensemble, before the leader has decided anything. Travels
// to the leader as bytes (request_codec.h).
//
// Znodes are named by a Target: a znode's number and, from there, a relative path. The mount, which
// holds numbers, says {ino, ""} or {parent, "name"}; a ZooKeeper client says {none, "/a/b"}. The
// leader resolves it against the newest state, so a rename on its way does not matter, and a number
// whose znode is gone is answered kStale rather than by a namesake.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "ensemble/base/blob.h"
#include "ensemble/base/clock.h"
#include "ensemble/base/ids.h"
#include "ensemble/tree/acl.h"
#include "ensemble/tree/lock.h"
#include "ensemble/tree/txn.h"

namespace zkfs::server {

// ino 0: `path` is absolute. Otherwise `path` is empty (the znode itself) or one name below it.
struct Target {
  Ino ino;
  std::string path;
};

inline constexpr std::int32_t kAnyVersion = -1;

// Errors common to all that name a znode: kNoNode; kStale - addressed by number and gone, or to be
// written to by a process (not a ZooKeeper client) and a symlink by now; kSessionExpired;
// kBadArguments - malformed path.

// Errors: kNodeExists; kNoNode - parent missing; kNoChildrenForEphemerals; kTooLarge; kInvalidAcl;
// kNotDirectory - parent is of kind file or symlink (processes only: a ZooKeeper client's child
// makes it a directory, as anybody's makes a parent of unspecified kind).
struct CreateRequest {
  Target target;  // {parent, name} or an absolute path; a sequential name gets its suffix
  Blob data;
  tree::AclList acl;
  tree::NodeType type = tree::NodeType::kPersistent;
  tree::NodeKind kind = tree::NodeKind::kUnspecified;
  bool sequential = false;
  bool executable = false;
  std::int64_t ttl_ms = 0;
  // If the name exists already (created meanwhile by another): set its data instead of failing,
  // unless it is a directory (kIsDirectory) or, where this asks for an ephemeral, not this
  // session's own ephemeral (kNodeExists). This is `echo > new` without O_EXCL.
  bool or_set = false;
  // With or_set: append instead of set (`echo >> new`).
  bool append = false;
};

// Errors: kNotEmpty; kBadVersion; kBadArguments - the root or a system znode (base/ids.h). With
// `kind_expected`: kIsDirectory / kNotDirectory - it is shown as something else by now.
struct DeleteRequest {
  Target target;
  std::int32_t version = kAnyVersion;
  enum class Shown : std::uint8_t { kAny, kDirectory, kNotDirectory } expected = Shown::kAny;
  // Fail with kNotEmpty also when the znode has data (rmdir loses nothing, contract section 2).
  bool only_without_data = false;
};

// Errors: kBadVersion, kTooLarge.
struct SetDataRequest {
  Target target;
  Blob data;
  std::int32_t version = kAnyVersion;
};

// Adds to whatever is there when the leader gets to it. Errors: kTooLarge.
struct AppendRequest {
  Target target;
  Blob data;
};

// Errors: kBadVersion (against the ACL version), kInvalidAcl.
struct SetAclRequest {
  Target target;
  tree::AclList acl;
  std::int32_t version = kAnyVersion;
};

// Errors: kNotEmpty - kind file or symlink for a znode with children; kBadArguments - that for the
// root or a system znode.
struct SetAttributesRequest {
  Target target;
  std::optional<WallMillis> mtime;
  std::optional<tree::NodeKind> kind;
  std::optional<bool> executable;
};

// Errors: kNodeExists - `no_replace`, or a sequential name taken; kNotEmpty - the target is a
// directory with children or data; kNotDirectory, kIsDirectory - a directory onto a file or the
// reverse; kLoop - into itself; kNoNode; kNoChildrenForEphemerals; kBadArguments - the root or a
// system znode. Source and target equal: nothing
// happens, kOk.
struct RenameRequest {
  Target source;
  Target target;
  bool no_replace = false;
  bool exchange = false;
  // The target's name gets a sequence suffix.
  bool sequential = false;
  // `source`'s data becomes the data of the directory `target` itself (renaming a file onto
  // `.@data`): set, and delete the source, as one txn.
  bool onto_data = false;
};

// Only in a multi. Errors: kBadVersion.
struct CheckRequest {
  Target target;
  std::int32_t version = kAnyVersion;
};

using SubRequest = std::variant<CreateRequest,
                                DeleteRequest,
                                SetDataRequest,
                                AppendRequest,
                                SetAclRequest,
                                SetAttributesRequest,
                                RenameRequest,
                                CheckRequest>;

// All or nothing; later operations see the effects of earlier ones.
struct MultiRequest {
  std::vector<SubRequest> operations;
};

// The session's id is Request::session, chosen by the server that asks. Errors: kBadArguments - it
// exists.
struct CreateSessionRequest {
  std::uint32_t timeout_ms = 0;
  std::string owner;
  std::string password{};  // whoever has it may attach; empty: nobody may
};

// A client of the session is here now, and nowhere else: what another server asks in its name from
// here on is refused (kSessionMoved). The outcome's version is the number of the new attachment.
// Errors: kSessionExpired - there is no such session, or the password is wrong.
struct AttachSessionRequest {
  std::uint32_t timeout_ms = 0;
  std::string password;
};

struct CloseSessionRequest {};

// Advisory locks (tree/lock_table.h) of whoever has the file open: no ACL is asked, and the znode
// may be gone. Errors common to the three: kSessionExpired; kBadArguments - a number that no znode
// ever had, a range that is empty, or not the whole for a flock.

// Not a failure: kLockQueued - it waits, only with `wait`; the change feed tells when it is granted
// (tree::Change::Kind::kLockGranted). Errors: kWouldBlock - another's is in the way, only without
// `wait`; kDeadlock - its owner would wait for itself, only with `wait` in the space kPosix;
// kQuotaExceeded - the session has too many; kBadArguments - `request` is 0, or one of that number
// waits.
struct LockRequest {
  Ino ino;
  tree::LockSpace space = tree::LockSpace::kFlock;
  tree::LockMode mode = tree::LockMode::kShared;
  tree::LockRange range{};
  std::uint64_t owner = 0;    // who in the session: an open file (flock), a process (fcntl)
  std::uint64_t request = 0;  // chosen by who asks, different in each, from 1
  std::uint32_t pid = 0;      // for people and F_GETLK only
  bool wait = false;
};

// Lets go of what the owner holds in the range; to hold nothing is no failure. Errors:
// kQuotaExceeded - a piece would become two, and the session has too many.
struct UnlockRequest {
  Ino ino;
  tree::LockSpace space = tree::LockSpace::kFlock;
  tree::LockRange range{};
  std::uint64_t owner = 0;
};

// Takes back a LockRequest that waits. Errors: kNoNode - it does not wait: granted before, or never
// asked.
struct CancelLockRequest {
  Ino ino;
  std::uint64_t request = 0;
};

using Operation = std::variant<CreateRequest,
                               DeleteRequest,
                               SetDataRequest,
                               AppendRequest,
                               SetAclRequest,
                               SetAttributesRequest,
                               RenameRequest,
                               MultiRequest,
                               CreateSessionRequest,
                               AttachSessionRequest,
                               CloseSessionRequest,
                               LockRequest,
                               UnlockRequest,
                               CancelLockRequest>;

// Something a ZooKeeper client has proven about itself: {"ip", "10.0.0.7"}, {"digest",
// "bob:<hash>"}, {"super", ""}.
struct AuthId {
  std::string scheme;
  std::string id;

  friend auto operator<=>(const AuthId&, const AuthId&) = default;
};

// Who asks; what ACLs are checked against: a process on a member of the ensemble, or a ZooKeeper
// client.
struct Identity {
  // Of a process. Root on a member (uid 0) may do everything.
  std::uint32_t uid = 0;
  std::vector<std::uint32_t> gids;
  // Of a client, which has no uid: what its connection had proven when the request came, in that
  // order. Null: a process. With an id of the scheme "super" it may do everything.
  std::shared_ptr<const std::vector<AuthId>> client{};
};

// A session's requests are numbered from 1 within each attachment, which stands in the bits above.
// What carries the number of another than the newest attachment is refused (kSessionMoved); the
// requests to attach itself have numbers of their own (kAttachXid and up).
inline constexpr unsigned kAttachmentShift = 40;
inline constexpr std::uint64_t kAttachXid = 1ULL << 63U;

constexpr std::uint64_t attachment_of(Xid xid) {
  return xid.value >> kAttachmentShift;
}

constexpr Xid first_xid(std::uint32_t attachment) {
  return Xid{(std::uint64_t{attachment} << kAttachmentShift) + 1};
}

struct Request {
  SessionId session;
  Xid xid;
  Xid first_unanswered;  // see tree::Txn
  Identity identity;
  Operation operation;
};

}  // namespace zkfs::server
