// SPDX-License-Identifier: Apache-2.0
// What ioctl(2) on an open file of a mount answers beyond what the contract's attributes say: a
// lock belongs to an open file, and getxattr(2) does not tell the filesystem which one asks.
// Every other request is ENOTTY.
#pragma once

#include <sys/ioctl.h>

#include <cstdint>

namespace zkfs::mount {

enum class LockState : std::uint32_t {
  kNone = 0,     // nothing is locked through this descriptor
  kHeld = 1,     // it holds a lock
  kSuspect = 2,  // it holds one, but this node has been out of the quorum for so long that others
                 // may be given it soon: whoever must never work beside another holder stops now
  kLost = 3,     // it held one; its session ended, and others may hold it (writes fail with EIO)
};

struct LockAnswer {
  std::uint64_t zxid = 0;  // the grant's: the fencing token; 0 if none is held
  LockState state = LockState::kNone;
  std::uint32_t reserved = 0;
};

// ioctl(fd, kIoctlLockState, &answer), on the descriptor that was locked by flock(2) or fcntl(2).
inline constexpr unsigned kIoctlLockState = _IOR('z', 1, LockAnswer);

}  // namespace zkfs::mount
