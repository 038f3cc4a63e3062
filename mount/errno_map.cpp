// SPDX-License-Identifier: Apache-2.0
#include "mount/errno_map.h"

#include <cerrno>

namespace zkfs::mount {

int errno_of(Error error) {
  switch (error) {
    case Error::kOk:
      return 0;
    case Error::kNoNode:
      return ENOENT;
    case Error::kNodeExists:
      return EEXIST;
    case Error::kNotEmpty:
      return ENOTEMPTY;
    case Error::kBadVersion:
    case Error::kStale:
      return ESTALE;
    case Error::kNoAuth:
    case Error::kAuthFailed:
      return EACCES;
    case Error::kNoChildrenForEphemerals:
    case Error::kNotDirectory:
      return ENOTDIR;
    case Error::kIsDirectory:
      return EISDIR;
    case Error::kLoop:
    case Error::kBadArguments:
    case Error::kInvalidAcl:
      return EINVAL;
    case Error::kTooLarge:
      return EFBIG;
    case Error::kNoSpace:
      return ENOSPC;
    case Error::kQuotaExceeded:
      return EDQUOT;
    case Error::kShutdown:
      return ENOTCONN;  // of the mount as such: it is being unmounted
    case Error::kWouldBlock:
      return EWOULDBLOCK;
    case Error::kDeadlock:
      return EDEADLK;
    case Error::kLockQueued:
      return EINPROGRESS;  // never shown: the caller waits
    case Error::kUnimplemented:
    case Error::kReconfigDisabled:
      return EOPNOTSUPP;
    case Error::kNotReadOnly:
      return EROFS;
    case Error::kEphemeralOnLocalSession:
    case Error::kNoWatcher:
    case Error::kSessionExpired:
    case Error::kSessionMoved:
    case Error::kUnknownOutcome:
    case Error::kRuntimeInconsistency:
    case Error::kMarshalling:
      return EIO;
  }
  return EIO;
}

}  // namespace zkfs::mount
