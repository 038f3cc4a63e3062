// SPDX-License-Identifier: Apache-2.0
// LockHolder: a process that takes a lock of the ensemble for its parent and keeps asking the mount
// whether it still holds it. A process of its own, because whoever asks a server that is stopped
// hangs; that no report comes is then what tells the parent.
//
//   parent                                    holder
//     start() ------------- fork --------------> open, flock(2), ioctl
//     granted() <------ Report, descriptor ------ or a Report with an error, and its end
//     next()    <------ Report, every 100 ms ---- ioctl kIoctlLockState
//     guard()   ------- process group ----------> killed if the parent ends without release()
//     release() ------- done -------------------> unlocks, ends
//
// The lock belongs to an open file that both have open: it is not given up as long as one of the
// two lives, so never before the command that it protects has been told to end.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "mount/ioctl.h"
#include "zkfs/commands/client.h"

namespace zkfs {

struct LockWish {
  std::string path;
  bool shared = false;
  bool try_only = false;  // fail with EWOULDBLOCK rather than wait
};

// What the holder tells.
struct LockReport {
  int error = 0;           // an errno: the lock was not taken, or cannot be asked for any more
  mount::LockAnswer lock;  // if there is no error
};

class LockHolder {
 public:
  // Fails with the errno of what a process needs.
  static Answer<LockHolder> start(const LockWish& wish);
  LockHolder(LockHolder&& other) noexcept = default;
  LockHolder& operator=(LockHolder&&) = delete;
  // Ends the holder, with force if it was not released.
  ~LockHolder();

  // Readable when next() has something to tell.
  [[nodiscard]] int descriptor() const { return socket_.get(); }

  // The next report; ESRCH if the holder is gone; EAGAIN if there is none yet. The first one that
  // is no error means that the lock was granted. ENOTTY: granted by something that knows no locks
  // of an ensemble.
  Answer<LockReport> next();
  // From now on the holder kills this process group if we end without release().
  void guard(pid_t group);
  // Gives the lock up; returns when that is so, or after `limit`.
  void release(Millis limit);

 private:
  LockHolder(Descriptor socket, pid_t pid) : socket_(std::move(socket)), pid_(pid) {}

  void end(Millis limit);

  Descriptor socket_;
  Descriptor lock_;
  pid_t pid_ = -1;
};

}  // namespace zkfs
