// SPDX-License-Identifier: Apache-2.0
// One line of text for every message and effect: in debug logs, scenario files and test failures.
#pragma once

#include <string>

#include "ensemble/zab/effect.h"
#include "ensemble/zab/message.h"

namespace zkfs::zab {

// A zxid as epoch.counter, the way people talk about them.
std::string to_text(Zxid zxid);
// `with_tag` off leaves out tags, which depend on the seed.
std::string to_text(const Message& message, bool with_tag = true);
std::string to_text(const Effect& effect, bool with_tag = true);

}  // namespace zkfs::zab
