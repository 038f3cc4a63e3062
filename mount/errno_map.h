// SPDX-License-Identifier: Apache-2.0
// The one table from the ensemble's answers to errno (contract section 6).
#pragma once

#include "ensemble/base/error.h"

namespace zkfs::mount {

// 0 for kOk. Never EAGAIN, ENOTCONN or ENOSYS for an answer of the ensemble: the first makes
// callers spin, monitoring takes the second for a dead mount, the kernel remembers the third for
// ever.
int errno_of(Error error);

}  // namespace zkfs::mount
