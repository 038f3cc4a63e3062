// SPDX-License-Identifier: Apache-2.0
// QuorumGate: what a request does while this server is not part of a quorum (contract section 6):
// changes wait for the election up to `timeo`, counted from the loss, then fail; once the loss has
// lasted longer, they fail at once. quorum_loss=wait waits for ever; quorum_loss=strict also
// refuses to read. Nothing that waits here holds up anybody else.
#pragma once

#include <cerrno>
#include <functional>
#include <map>

#include "ensemble/server/door.h"
#include "mount/mount.h"
#include "mount/parking.h"
#include "mount/reply.h"

namespace zkfs::mount {

class QuorumGate {
 public:
  using Go = std::move_only_function<void(Reply)>;

  QuorumGate(const server::Door& door,
             Parking& parking,
             const MountOptions& options,
             std::function<Instant()> now);

  // Calls `go` once there is a quorum, at once if there is one; or answers `error`, or what Parking
  // answers, and forgets `go`.
  // `any_signal`: not only a deadly signal ends the wait (EINTR).
  void admit(Reply reply, Go go, int error = EROFS, bool any_signal = false);

  // For what must not wait, because the kernel holds a lock meanwhile: answers `error` if the loss
  // has lasted longer than `timeo`, otherwise calls `go` at once.
  void admit_now(Reply reply, Go go, int error = EROFS);

  // False: quorum_loss=strict, and there is none.
  [[nodiscard]] bool may_read() const;

  // There is a quorum: those who wait go, in the order in which they came.
  void quorum_found();

  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

 private:
  const server::Door& door_;
  Parking& parking_;
  const MountOptions& options_;
  std::function<Instant()> now_;
  std::uint64_t last_ = 0;

  struct Waiting {
    Parking::Id id = 0;
    Go go;
  };

  std::map<std::uint64_t, Waiting> waiting_;  // by arrival
};

}  // namespace zkfs::mount
