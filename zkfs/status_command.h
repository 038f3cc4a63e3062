// SPDX-License-Identifier: Apache-2.0
// `zkfs status`: asks the server behind a mount point, through its control directory. A server that
// does not answer (stopped, frozen) costs a deadline, never a hang.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mount/mount_point.h"
#include "zkfs/options.h"

namespace zkfs {

// Prints to standard output; problems go to standard error. Returns the exit code.
int run_status(const StatusCommand& command);

// The mount points of ours among `all`, in its order, each once.
std::vector<std::string> zkfs_mounts(const std::vector<mount::MountEntry>& all);

}  // namespace zkfs
