// SPDX-License-Identifier: Apache-2.0
// XXH3 (libxxhash): the one checksum of log, snapshots and digests. Fast enough to never be the
// reason to leave a check out.
#pragma once

#include <cstdint>

#include <xxhash.h>

#include "ensemble/base/blob.h"

namespace zkfs {

inline std::uint64_t checksum64(ByteView bytes, std::uint64_t seed = 0) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace zkfs
