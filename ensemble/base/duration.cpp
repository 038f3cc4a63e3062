// SPDX-License-Identifier: Apache-2.0
#include "ensemble/base/duration.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <utility>

namespace zkfs {

std::optional<Millis> parse_duration(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, std::int64_t>, 6> kUnits{
      {{"ms", 1}, {"", 1000}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
  constexpr std::int64_t kMax = (1LL << 40U) - 1;  // the longest TTL that ZooKeeper has
  std::int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || number < 0) return std::nullopt;
  for (const auto& [unit, factor] : kUnits) {
    if (std::string_view(stop, end) == unit && number <= kMax / factor) {
      return Millis(number * factor);
    }
  }
  return std::nullopt;
}

}  // namespace zkfs
