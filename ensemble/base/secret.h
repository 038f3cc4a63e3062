// SPDX-License-Identifier: Apache-2.0
// Comparing what nobody may find out by trying.
#pragma once

#include <cstddef>
#include <string_view>

namespace zkfs {

// True if they are equal. How long it takes tells of their lengths, and nothing of what they hold.
inline bool same_secret(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  }
  return difference == 0;
}

}  // namespace zkfs
