// SPDX-License-Identifier: Apache-2.0
#include "ensemble/base/error.h"

namespace zkfs {

std::string_view to_string(Error error) {
  switch (error) {
    case Error::kOk:
      return "Ok";
    case Error::kRuntimeInconsistency:
      return "RuntimeInconsistency";
    case Error::kMarshalling:
      return "Marshalling";
    case Error::kUnimplemented:
      return "Unimplemented";
    case Error::kBadArguments:
      return "BadArguments";
    case Error::kNoNode:
      return "NoNode";
    case Error::kNoAuth:
      return "NoAuth";
    case Error::kBadVersion:
      return "BadVersion";
    case Error::kNoChildrenForEphemerals:
      return "NoChildrenForEphemerals";
    case Error::kNodeExists:
      return "NodeExists";
    case Error::kNotEmpty:
      return "NotEmpty";
    case Error::kSessionExpired:
      return "SessionExpired";
    case Error::kInvalidAcl:
      return "InvalidAcl";
    case Error::kAuthFailed:
      return "AuthFailed";
    case Error::kSessionMoved:
      return "SessionMoved";
    case Error::kNotReadOnly:
      return "NotReadOnly";
    case Error::kEphemeralOnLocalSession:
      return "EphemeralOnLocalSession";
    case Error::kNoWatcher:
      return "NoWatcher";
    case Error::kReconfigDisabled:
      return "ReconfigDisabled";
    case Error::kQuotaExceeded:
      return "QuotaExceeded";
    case Error::kTooLarge:
      return "TooLarge";
    case Error::kNotDirectory:
      return "NotDirectory";
    case Error::kIsDirectory:
      return "IsDirectory";
    case Error::kLoop:
      return "Loop";
    case Error::kStale:
      return "Stale";
    case Error::kUnknownOutcome:
      return "UnknownOutcome";
    case Error::kShutdown:
      return "Shutdown";
    case Error::kLockQueued:
      return "LockQueued";
    case Error::kWouldBlock:
      return "WouldBlock";
    case Error::kNoSpace:
      return "NoSpace";
    case Error::kDeadlock:
      return "Deadlock";
  }
  return "Unknown";
}

}  // namespace zkfs
