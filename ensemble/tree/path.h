// SPDX-License-Identifier: Apache-2.0
// Rules for paths and names (reference/zookeeper.md 3.1), and the suffix of sequential znodes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ensemble/base/error.h"

namespace zkfs::tree {

// Checks one component: 1..255 bytes, not "." or "..", no '/', well-formed UTF-8, none of the code
// points ZooKeeper forbids (U+0000-001F, U+007F-009F, U+D800-F8FF, U+FFF0-FFFF and everything from
// U+10000). Fails with: kBadArguments - any of these; kTooLarge - longer than 255 bytes.
Result<void> validate_name(std::string_view name);

// Checks an absolute path: "/" or components as above joined by '/', no trailing '/'.
// Fails with: kBadArguments, kTooLarge.
Result<void> validate_path(std::string_view path);

// The ten digits appended to a sequential name: printf("%010d"), negative numbers included (the
// counter wraps).
std::string sequence_suffix(std::int32_t counter);

}  // namespace zkfs::tree
