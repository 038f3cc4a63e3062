// SPDX-License-Identifier: Apache-2.0
// The C callbacks of libfuse: each makes a Reply of its request and calls one method, of Filesystem
// or, for requests of the event helper's workers, of Replay. Nothing else happens here.
#pragma once

#include <fuse3/fuse_lowlevel.h>

#include "mount/filesystem.h"
#include "mount/metrics.h"
#include "mount/replay.h"

namespace zkfs::mount {

// The session's user data.
struct FuseUser {
  Filesystem& filesystem;
  Replay& replay;
  InodeTable& inodes;
  MountMetrics& metrics;
};

// The table; its callbacks take a FuseUser as user data.
const fuse_lowlevel_ops& fuse_operations();

}  // namespace zkfs::mount
