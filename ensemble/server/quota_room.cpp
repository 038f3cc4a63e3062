// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/quota_room.h"

#include <cstdint>
#include <vector>

#include "ensemble/server/outstanding.h"

namespace zkfs::server {
namespace {

bool fits(std::int64_t limit, std::int64_t used, std::int64_t more) {
  return limit < 0 || more <= 0 || used + more <= limit;
}

}  // namespace

bool has_quota_room(const tree::DataTree& tree,
                    Ino ino,
                    std::string_view name,
                    const tree::QuotaUsage& more) {
  const Outstanding state(tree);  // nothing is under way here
  const std::vector<Ino> quotas = state.quotas_of(ino, name);
  for (auto quota = quotas.rbegin(); quota != quotas.rend(); ++quota) {
    const Ino text = state.child(*quota, tree::kQuotaLimitsName);
    if (!text) continue;
    const auto used = state.usage_of(*quota);
    if (!used) return true;
    const tree::QuotaLimits limits = tree::parse_quota_limits(state.data_of(text).view());
    return fits(limits.hard_count, used->count, more.count) &&
           fits(limits.hard_bytes, used->bytes, more.bytes);
  }
  return true;
}

}  // namespace zkfs::server
