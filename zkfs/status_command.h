// SPDX-License-Identifier: Apache-2.0
// `zkfs status`: asks the server behind a mount point, through its control directory. A server that
// does not answer (stopped, frozen) costs a deadline, never a hang.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "zkfs/options.h"

namespace zkfs {

// Prints to standard output; problems go to standard error. Returns the exit code.
int run_status(const StatusCommand& command);

// The mount points of type fuse.zkfs in the text of /proc/self/mountinfo, in its order, each once.
std::vector<std::string> zkfs_mounts(std::string_view mountinfo);

}  // namespace zkfs
