// SPDX-License-Identifier: Apache-2.0
// fusermount3: mounting and unmounting for who may not call mount(2) himself. A setuid program of
// fuse3's opens /dev/fuse, mounts, and passes the descriptor back through a socket (its environment
// names it: _FUSE_COMMFD). It touches neither the new mount nor the one it unmounts, so it may be
// waited for; nevertheless not for ever.
#pragma once

#include <string>

#include "ensemble/base/error.h"
#include "mount/mount.h"

namespace zkfs::mount {

// The text of its -o. Commas and backslashes of the source are escaped.
std::string fusermount_options(const MountOptions& options);

// Mounts at `path`. Returns the descriptor, non-blocking and close-on-exec. Fails, with what the
// program said, if it is missing or refuses.
Expected<int> fusermount(const std::string& path, const MountOptions& options);

// Unmounts, lazily. Fails with what the program said.
Expected<void> fusermount_unmount(const std::string& path);

}  // namespace zkfs::mount
