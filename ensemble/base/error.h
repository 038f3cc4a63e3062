// SPDX-License-Identifier: Apache-2.0
// Error: what a request can be answered with. The numbers are ZooKeeper's
// (reference/zookeeper.md 2.4), because they cross the wire to its clients; those of our own lie
// below -1000. They are deterministic answers, part of the protocol; failures of the environment (a
// disk, a socket, a configuration) are Problems, which carry text for a person.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace zkfs {

enum class Error : std::int32_t {
  kOk = 0,
  kRuntimeInconsistency = -2,  // in a multi: an operation after the one that failed
  kMarshalling = -5,           // a request that cannot be decoded
  kUnimplemented = -6,         // an operation this server does not know
  kBadArguments = -8,          // a malformed path, flag or value
  kNoNode = -101,              // the znode, or the parent of the one to create, does not exist
  kNoAuth = -102,              // the ACL denies it
  kBadVersion = -103,          // the version given is not the znode's
  kNoChildrenForEphemerals = -108,
  kNodeExists = -110,
  kNotEmpty = -111,        // a delete of a znode with children
  kSessionExpired = -112,  // the session is closed or unknown
  kInvalidAcl = -114,
  kAuthFailed = -115,               // a credential was rejected; the connection ends
  kSessionMoved = -118,             // another connection has taken the session over
  kNotReadOnly = -119,              // a write asked of a server that only reads
  kEphemeralOnLocalSession = -120,  // a session known to one server alone cannot own a znode
  kNoWatcher = -121,                // there is no such watch to check or remove
  kReconfigDisabled = -123,
  kQuotaExceeded = -125,
  // Of our own:
  kTooLarge = -1001,        // the value would exceed the largest allowed
  kNotDirectory = -1002,    // the mount's view: a child under what is shown as a file
  kIsDirectory = -1003,     // the mount's view: a file operation on a directory
  kLoop = -1004,            // a rename of a directory into itself
  kStale = -1005,           // the znode addressed by its number is gone
  kUnknownOutcome = -1006,  // cut off while waiting; the operation may or may not have happened
  kShutdown = -1007,        // this server is stopping
  kLockQueued = -1008,      // not a failure: the lock request waits; a Change tells when granted
  kWouldBlock = -1009,      // a lock that cannot be had now, and the request was not to wait
  kDeadlock = -1010,        // a lock request whose waiting would never end
  kNoSpace = -1011,         // too few voters for a quorum have room left on their disks
};

// A short name such as "NoNode", for logs and tests.
std::string_view to_string(Error error);

// A result that is a protocol answer.
template <typename T>
using Result = std::expected<T, Error>;

// A failure of the environment: one line that names the thing, the value and the remedy.
struct Problem {
  std::string text;
};

template <typename T>
using Expected = std::expected<T, Problem>;

}  // namespace zkfs

// Returns the error of an expected from the enclosing function; otherwise goes on.
#define ZKFS_TRY(expression)                                                \
  do {                                                                      \
    if (auto zkfs_try_result = (expression); !zkfs_try_result) [[unlikely]] \
      return std::unexpected(std::move(zkfs_try_result).error());           \
  } while (false)
