// SPDX-License-Identifier: Apache-2.0
// ZKFS_CHECK: invariants, in every build. A broken invariant in a replicated log spreads, so the
// process logs the values and aborts; the supervisor starts it again from what is durable. Never
// for bad input, which gets an Error.
#pragma once

#include <string>

#include <fmt/core.h>

namespace zkfs {

// Logs `text` with its source position at level critical, flushes, aborts.
[[noreturn]] void check_failed(const char* file,
                               int line,
                               const char* condition,
                               const std::string& text);

}  // namespace zkfs

// ZKFS_CHECK(condition, format, values...)
#define ZKFS_CHECK(condition, ...)                                                      \
  do {                                                                                  \
    if (!(condition)) [[unlikely]]                                                      \
      ::zkfs::check_failed(__FILE__, __LINE__, #condition, ::fmt::format(__VA_ARGS__)); \
  } while (false)
