// SPDX-License-Identifier: Apache-2.0
// Quorum: majority arithmetic over the voters of a configuration. Pure.
#pragma once

#include <cstddef>
#include <set>
#include <vector>

#include "ensemble/base/ids.h"

namespace zkfs::zab {

class Quorum {
 public:
  explicit Quorum(std::vector<ServerId> voters);

  [[nodiscard]] bool is_voter(ServerId id) const;

  [[nodiscard]] const std::vector<ServerId>& voters() const { return voters_; }

  // The least number of voters that is more than half.
  [[nodiscard]] std::size_t majority() const { return voters_.size() / 2 + 1; }

  // True if `members` holds a majority of the voters. Others in it do not count.
  [[nodiscard]] bool contained_in(const std::set<ServerId>& members) const;

  // The greatest position that a majority has reached. `reached` has at most one element for each
  // voter; voters without one have reached nothing.
  [[nodiscard]] Zxid majority_reached(std::vector<Zxid> reached) const;

 private:
  std::vector<ServerId> voters_;
};

}  // namespace zkfs::zab
