// SPDX-License-Identifier: Apache-2.0
#include "ensemble/tree/quota.h"

#include <charconv>

#include <fmt/format.h>

namespace zkfs::tree {
namespace {

std::int64_t number(std::string_view text) {
  std::int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? value : -1;
}

void set(QuotaLimits& limits, std::string_view key, std::int64_t value) {
  if (key == "count") limits.count = value;
  if (key == "bytes") limits.bytes = value;
  if (key == "countHardLimit") limits.hard_count = value;
  if (key == "byteHardLimit") limits.hard_bytes = value;
}

}  // namespace

// The second '=' and what follows it, up to the next separator, is there for older parsers.
QuotaLimits parse_quota_limits(std::string_view text) {
  QuotaLimits limits;
  while (!text.empty()) {
    const std::string_view pair = text.substr(0, text.find_first_of(",;"));
    text.remove_prefix(pair.size() < text.size() ? pair.size() + 1 : pair.size());
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view value = pair.substr(equals + 1);
    set(limits, pair.substr(0, equals), number(value.substr(0, value.find('='))));
  }
  return limits;
}

std::string to_text(const QuotaUsage& usage) {
  return fmt::format("count={},bytes={}", usage.count, usage.bytes);
}

}  // namespace zkfs::tree
