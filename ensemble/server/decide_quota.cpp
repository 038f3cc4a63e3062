// SPDX-License-Identifier: Apache-2.0
// Quotas (reference/zookeeper.md 3.5). Only what adds is checked, and only the quota nearest to it;
// what is under way counts.
#include <algorithm>

#include "ensemble/server/decide.h"

namespace zkfs::server {
namespace {

// A write that passes several would fill the list for nothing.
constexpr std::size_t kWarningsMax = 16;

// The nearest quota that has limits; 0 if there is none.
Ino nearest(const Outstanding& state, Ino ino, std::string_view name) {
  const std::vector<Ino> quotas = state.quotas_of(ino, name);
  const auto found = std::find_if(quotas.rbegin(), quotas.rend(), [&](Ino quota) {
    return static_cast<bool>(state.child(quota, tree::kQuotaLimitsName));
  });
  return found == quotas.rend() ? Ino{} : *found;
}

}  // namespace

// Where there is a hard limit the soft one says nothing, as in ZooKeeper.
Result<void> Decide::within(
    Ino quota, bool of_count, std::int64_t soft, std::int64_t hard, std::int64_t value) const {
  const std::int64_t limit = hard >= 0 ? hard : soft;
  if (limit < 0 || value <= limit) return {};
  if (hard >= 0 && quotas_.enforced) return std::unexpected(Error::kQuotaExceeded);
  if (quotas_.warnings.size() < kWarningsMax)
    quotas_.warnings.push_back({quota, of_count, limit, value});
  return {};
}

Result<void> Decide::may_use(Ino ino, std::string_view name, const tree::QuotaUsage& more) const {
  if (more.count <= 0 && more.bytes <= 0) return {};
  const Ino quota = nearest(state_, ino, name);
  if (!quota) return {};
  const auto usage = state_.usage_of(quota);
  if (!usage) return {};
  const Blob text = state_.data_of(state_.child(quota, tree::kQuotaLimitsName));
  const tree::QuotaLimits limits = tree::parse_quota_limits(text.view());
  if (more.count > 0)
    ZKFS_TRY(within(quota, true, limits.count, limits.hard_count, usage->count + more.count));
  if (more.bytes > 0)
    ZKFS_TRY(within(quota, false, limits.bytes, limits.hard_bytes, usage->bytes + more.bytes));
  return {};
}

Result<void> Decide::may_replace_data(Ino ino, std::size_t length) const {
  const auto before = static_cast<std::int64_t>(state_.node(ino)->data_length);
  return may_use(ino, {}, {0, static_cast<std::int64_t>(length) - before});
}

// What moves within one quota adds nothing to it.
Result<void> Decide::may_arrive(const Move& move) const {
  const Ino quota = nearest(state_, move.target.parent, move.target.name);
  if (!quota) return {};
  const std::vector<Ino> before = state_.quotas_of(move.source.ino);
  if (std::find(before.begin(), before.end(), quota) != before.end()) return {};
  tree::QuotaUsage more = state_.total_of(move.source.ino);
  if (move.target.ino) {
    const tree::QuotaUsage gone = state_.total_of(move.target.ino);
    more = {more.count - gone.count, more.bytes - gone.bytes};
  }
  return may_use(move.target.parent, move.target.name, more);
}

}  // namespace zkfs::server
