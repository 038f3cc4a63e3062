// SPDX-License-Identifier: Apache-2.0
// A deadline over system calls on a mount. A call whose server is stopped cannot be taken back, not
// even by a signal with a handler; a process that is in one can be killed. So what has a deadline
// runs in a process of its own.
#pragma once

#include <functional>
#include <optional>

#include "ensemble/base/clock.h"

namespace zkfs {

// Runs `work` in a child and returns the exit code it returns; nothing if `limit` passed, and then
// the child has been killed. The child is killed, too, if this process ends.
std::optional<int> run_within(Millis limit, const std::function<int()>& work);

// To be called in a child right after fork(): kills it when `parent` ends, also if that is already
// the case.
void die_with_parent(int parent);

// A descriptor that polls readable once the process has ended; -1 and errno if there is none.
int open_pidfd(int pid);

}  // namespace zkfs
