// SPDX-License-Identifier: Apache-2.0
// The numbers and records of ZooKeeper's client protocol (reference/zookeeper.md sections 1 and 2).
//
// Bodies are read in place: their texts and bytes point into the frame, which outlives them. Null
// and empty data differ; a null path reads as "", which no operation takes for a path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "ensemble/base/blob.h"
#include "ensemble/base/ids.h"
#include "ensemble/server/watch_table.h"

namespace zkfs::client_port {

enum class OpCode : std::int32_t {
  kError = -1,  // the type of a result in a multi, never of a request
  kNotification = 0,
  kCreate = 1,
  kDelete = 2,
  kExists = 3,
  kGetData = 4,
  kSetData = 5,
  kGetAcl = 6,
  kSetAcl = 7,
  kGetChildren = 8,
  kSync = 9,
  kPing = 11,
  kGetChildren2 = 12,
  kCheck = 13,  // only in a multi
  kMulti = 14,
  kCreate2 = 15,
  kReconfig = 16,
  kCheckWatches = 17,
  kRemoveWatches = 18,
  kCreateContainer = 19,
  kDeleteContainer = 20,  // not from clients
  kCreateTtl = 21,
  kMultiRead = 22,
  kAuth = 100,
  kSetWatches = 101,
  kSasl = 102,
  kGetEphemerals = 103,
  kGetAllChildrenNumber = 104,
  kSetWatches2 = 105,
  kAddWatch = 106,
  kWhoAmI = 107,
  kCreateSession = -10,  // not from clients: they say it with a ConnectRequest
  kCloseSession = -11,
};

// Numbers of requests that mean something. All others are chosen by the client, and echoed.
inline constexpr std::int32_t kNotificationXid = -1;
inline constexpr std::int32_t kPingXid = -2;
inline constexpr std::int32_t kAuthXid = -4;
inline constexpr std::int32_t kSetWatchesXid = -8;

using server::EventType;
using server::WatcherType;

// The only state that a server puts into an event.
inline constexpr std::int32_t kSyncConnected = 3;

// Of addWatch.
enum class WatchMode : std::int32_t { kPersistent = 0, kPersistentRecursive = 1 };

struct CreateFlags {
  static constexpr std::int32_t kPersistent = 0, kEphemeral = 1, kPersistentSequential = 2,
                                kEphemeralSequential = 3, kContainer = 4, kPersistentTtl = 5,
                                kPersistentSequentialTtl = 6;
};

inline constexpr std::size_t kFrameHeaderBytes = 4;
inline constexpr std::size_t kReplyHeaderBytes = 16;
inline constexpr std::size_t kStatBytes = 68;
inline constexpr std::size_t kPasswordBytes = 16;

// The first frame of a connection.
struct ConnectRequest {
  std::int32_t protocol_version = 0;
  Zxid last_zxid_seen;          // 0 for the negative ones that some clients send
  std::int32_t timeout_ms = 0;  // wanted; any number
  SessionId session;            // 0: a new one
  ByteView password;
  // Empty: an old client, which sent no such byte and must be sent none.
  std::optional<bool> read_only;
};

struct RequestHeader {
  std::int32_t xid = 0;
  std::int32_t type = 0;  // an OpCode, or a number that is none
};

// --- bodies ---

// Empty: null.
using Data = std::optional<ByteView>;

struct AclRecord {
  std::int32_t permissions = 0;
  std::optional<std::string_view> scheme;
  std::optional<std::string_view> id;
};

using Paths = std::vector<std::string_view>;

// create, create2, createContainer, createTTL.
struct CreateBody {
  OpCode op = OpCode::kCreate;  // which of them
  std::string_view path;
  Data data;
  std::vector<AclRecord> acl;  // empty also for null
  std::int32_t flags = 0;
  std::int64_t ttl_ms = -1;  // sent only by createTTL
};

struct DeleteBody {
  std::string_view path;
  std::int32_t version = 0;
};

struct ExistsBody {
  std::string_view path;
  bool watch = false;
};

struct GetDataBody {
  std::string_view path;
  bool watch = false;
};

struct SetDataBody {
  std::string_view path;
  Data data;
  std::int32_t version = 0;
};

struct GetAclBody {
  std::string_view path;
};

struct SetAclBody {
  std::string_view path;
  std::vector<AclRecord> acl;  // empty also for null
  std::int32_t version = 0;    // of the ACL
};

// getChildren, getChildren2.
struct GetChildrenBody {
  std::string_view path;
  bool watch = false;
  bool with_stat = false;  // getChildren2
};

struct SyncBody {
  std::string_view path;
};

struct PingBody {};

struct CheckBody {
  std::string_view path;
  std::int32_t version = 0;
};

using SubBody = std::variant<CreateBody, DeleteBody, SetDataBody, CheckBody>;

struct MultiBody {
  std::vector<SubBody> operations;
};

using ReadBody = std::variant<GetDataBody, GetChildrenBody>;

struct MultiReadBody {
  std::vector<ReadBody> operations;
};

struct ReconfigBody {
  std::string_view joining;
  std::string_view leaving;
  std::string_view new_members;
  std::int64_t current_config = 0;
};

// checkWatches, removeWatches.
struct WatchesBody {
  std::string_view path;
  WatcherType type = WatcherType::kAny;
  bool remove = false;
};

struct AuthBody {
  std::int32_t type = 0;
  std::string_view scheme;
  Data auth;
};

// setWatches, setWatches2; the last two are empty in the former. Null lists read as empty ones.
struct SetWatchesBody {
  std::int64_t relative_zxid = 0;
  Paths data;
  Paths exist;
  Paths child;
  Paths persistent;
  Paths persistent_recursive;
};

struct SaslBody {
  Data token;
};

struct GetEphemeralsBody {
  std::string_view prefix;
};

struct GetAllChildrenNumberBody {
  std::string_view path;
};

struct AddWatchBody {
  std::string_view path;
  WatchMode mode = WatchMode::kPersistent;
};

struct WhoAmIBody {};

struct CloseSessionBody {};

using Body = std::variant<CreateBody,
                          DeleteBody,
                          ExistsBody,
                          GetDataBody,
                          SetDataBody,
                          GetAclBody,
                          SetAclBody,
                          GetChildrenBody,
                          SyncBody,
                          PingBody,
                          MultiBody,
                          MultiReadBody,
                          ReconfigBody,
                          WatchesBody,
                          AuthBody,
                          SetWatchesBody,
                          SaslBody,
                          GetEphemeralsBody,
                          GetAllChildrenNumberBody,
                          AddWatchBody,
                          WhoAmIBody,
                          CloseSessionBody>;

}  // namespace zkfs::client_port
