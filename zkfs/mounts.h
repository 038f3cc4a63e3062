// SPDX-License-Identifier: Apache-2.0
// Mounts: the mount points of this server. Each has its own options, session, control directory and
// event workers; they share the member, the core thread and its loop. Any of them can be added and
// taken away while the server runs.
//
// Paths are compared as text and taken as they are: resolved, absolute. Asking the filesystem where
// a path leads could lead through one of our own mounts, and this thread would wait for itself. So
// what lies on a zkfs, as /proc/self/mountinfo tells, is refused before it is touched.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <asio/io_context.hpp>

#include "ensemble/base/clock.h"
#include "ensemble/base/error.h"
#include "ensemble/server/door.h"
#include "mount/event_zygote.h"
#include "mount/mount.h"

namespace zkfs::handover {
class Daemon;
}

namespace zkfs {

class Mounts {
 public:
  struct Parts {
    asio::io_context& context;
    std::string data_dir;                                // never under a mount point
    std::function<mount::ControlFiles()> control_files;  // for each mount
    std::function<Instant()> now;
  };

  // `gone` is called, from the loop, when somebody else has unmounted one, which is then no longer
  // here.
  Mounts(Parts parts, std::function<void(const std::string& mountpoint)> gone);
  ~Mounts();
  Mounts(const Mounts&) = delete;
  Mounts& operator=(const Mounts&) = delete;

  // Forks the zygote: while this process has one thread and no /dev/fuse.
  Expected<void> spawn_zygote();

  // What the mounts are of; before the first add().
  void serve(server::Door& door) { door_ = &door; }

  // Mounts; usable on return. Fails, beside what Mount::start says, if the mount point lies on a
  // zkfs or holds the data directory or the log.
  Expected<void> add(mount::MountOptions options);
  // --- upgrade in place (upgrade.h) ---

  // Nothing more is taken from the kernel, until go_on().
  void pause();
  void go_on();
  // Nothing is under way.
  [[nodiscard]] bool settled() const;
  // Requires: settled(). If it fails, go_on().
  Expected<void> hand_over(handover::Daemon& out) const;
  // The last thing before the program is another: ends the workers.
  void drop_workers();
  // There, instead of add(): all of them. One that cannot be taken over is mounted anew; fails if
  // that fails, too.
  Expected<void> resume(const handover::Daemon& in);

  // Unmounts; who waits in it is answered. Fails if none of ours is there.
  Expected<void> remove(const std::string& mountpoint);
  // Unmounts all, and refuses to add more. They are still there until clear().
  void stop();
  // After the loop: takes them down, waiting for their workers.
  void clear();

  void tick();

  [[nodiscard]] bool empty() const { return mounted_.empty(); }

  // In the order in which they came.
  [[nodiscard]] std::vector<std::string> mountpoints() const;

 private:
  struct Mounted {
    std::uint64_t id = 0;  // a mount point can come again
    std::string mountpoint;
    std::unique_ptr<mount::Mount> mount;
  };

  Expected<void> refuse(const std::string& mountpoint) const;
  Expected<std::unique_ptr<mount::Mount>> make(mount::MountOptions options);
  void unmounted(std::uint64_t id);

  Parts parts_;
  std::function<void(const std::string&)> gone_;
  std::unique_ptr<mount::EventZygote> zygote_;  // outlives the mounts' workers
  server::Door* door_ = nullptr;
  bool stopped_ = false;
  std::uint64_t last_id_ = 0;
  std::vector<Mounted> mounted_;
};

// The mount point as Mounts wants it: absolute, symbolic links resolved, except below a dead mount.
// Before there are mounts, or in a process that may wait for them.
std::string resolved_mountpoint(const std::string& path);

}  // namespace zkfs
