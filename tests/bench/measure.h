// SPDX-License-Identifier: Apache-2.0
// What the parts of zkfs_bench share.
#pragma once

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace zkfs::bench {

using Clock = std::chrono::steady_clock;

[[noreturn]] inline void die(const std::string& text) {
  fmt::print(stderr, "{}: {}\n", program_invocation_short_name, text);
  std::exit(1);
}

[[noreturn]] inline void die_of_errno(const std::string& what) {
  die(what + ": " + std::strerror(errno));
}

inline double micros(Clock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

// The value that `fraction` of all are below; 0 of none.
inline double at_fraction(std::vector<double> values, double fraction) {
  if (values.empty()) return 0;
  const auto index = static_cast<std::size_t>(fraction * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(index),
                   values.end());
  return values[index];
}

// A whole number above 0, or the end of the process.
inline std::size_t number(const std::string& text) {
  char* end = nullptr;
  const unsigned long long value = std::strtoull(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || value == 0)
    die(fmt::format("{}: give a number above 0", text));
  return value;
}

}  // namespace zkfs::bench
