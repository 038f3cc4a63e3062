// SPDX-License-Identifier: Apache-2.0
// PosixDisk: the Disk port over system calls, rooted in one directory, which is created (with its
// parents) if absent.
#pragma once

#include <memory>
#include <string>

#include "ensemble/storage/disk.h"

namespace zkfs::storage {

// Fails if `root` cannot be created or written to (names it, errno's text and the remedy).
Expected<std::unique_ptr<Disk>> open_posix_disk(const std::string& root);

}  // namespace zkfs::storage
