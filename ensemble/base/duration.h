// SPDX-License-Identifier: Apache-2.0
// Durations as people write them, in options, commands and names alike.
#pragma once

#include <optional>
#include <string_view>

#include "ensemble/base/clock.h"

namespace zkfs {

// "500ms", "30s", "5m", "2h", "1d"; a number alone is seconds, as sleep(1) has it. Nothing for
// anything else, for what is negative, and for more than 2^40 ms (34 years).
std::optional<Millis> parse_duration(std::string_view text);

}  // namespace zkfs
