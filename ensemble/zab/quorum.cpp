// SPDX-License-Identifier: Apache-2.0
#include "ensemble/zab/quorum.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "ensemble/base/check.h"

namespace zkfs::zab {

Quorum::Quorum(std::vector<ServerId> voters) : voters_(std::move(voters)) {
  std::sort(voters_.begin(), voters_.end());
  ZKFS_CHECK(!voters_.empty(), "an ensemble without voters");
  ZKFS_CHECK(std::adjacent_find(voters_.begin(), voters_.end()) == voters_.end(), "a voter twice");
}

bool Quorum::is_voter(ServerId id) const {
  return std::binary_search(voters_.begin(), voters_.end(), id);
}

bool Quorum::contained_in(const std::set<ServerId>& members) const {
  const auto count =
      std::count_if(members.begin(), members.end(), [this](ServerId id) { return is_voter(id); });
  return static_cast<std::size_t>(count) >= majority();
}

Zxid Quorum::majority_reached(std::vector<Zxid> reached) const {
  ZKFS_CHECK(reached.size() <= voters_.size(), "{} positions of {} voters", reached.size(),
             voters_.size());
  if (reached.size() < majority()) return Zxid{};
  const auto nth = reached.begin() + static_cast<std::ptrdiff_t>(majority() - 1);
  std::nth_element(reached.begin(), nth, reached.end(), std::greater<>());
  return *nth;
}

}  // namespace zkfs::zab
