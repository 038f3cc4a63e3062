// SPDX-License-Identifier: Apache-2.0
// Quotas as ZooKeeper has them (reference/zookeeper.md 3.5): the texts of their znodes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace zkfs::tree {

// For the subtree /a/b these lie in /zookeeper/quota/a/b.
inline constexpr std::string_view kQuotaLimitsName = "zookeeper_limits";
inline constexpr std::string_view kQuotaStatsName = "zookeeper_stats";

// What a subtree holds: its znodes, the top with them, and their data.
struct QuotaUsage {
  std::int64_t count = 0;
  std::int64_t bytes = 0;

  friend bool operator==(const QuotaUsage&, const QuotaUsage&) = default;
};

// -1: no limit. The soft ones are for warnings; a hard one takes the place of a soft one.
struct QuotaLimits {
  std::int64_t count = -1;
  std::int64_t bytes = -1;
  std::int64_t hard_count = -1;
  std::int64_t hard_bytes = -1;

  friend bool operator==(const QuotaLimits&, const QuotaLimits&) = default;
};

// "count=5,bytes=-1=;byteHardLimit=100;countHardLimit=7". What cannot be read is no limit.
QuotaLimits parse_quota_limits(std::string_view text);

// "count=2,bytes=17"
std::string to_text(const QuotaUsage& usage);

}  // namespace zkfs::tree
