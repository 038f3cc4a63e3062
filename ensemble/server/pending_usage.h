// SPDX-License-Identifier: Apache-2.0
// PendingUsage: what the txns under way will add to the subtrees with quotas (tree/quota_table.h),
// each until the tree includes it. Knows quotas by the number of the znode below /zookeeper/quota.
#pragma once

#include <deque>
#include <unordered_map>

#include "ensemble/base/ids.h"
#include "ensemble/tree/quota.h"

namespace zkfs::server {

class PendingUsage {
 public:
  [[nodiscard]] tree::QuotaUsage of(Ino quota) const;

  // What is added from here on is of the txn `zxid`.
  void begin(Zxid zxid);
  // Takes back everything since begin.
  void rollback();
  void add(Ino quota, const tree::QuotaUsage& difference);
  // The tree includes everything up to `zxid`.
  void applied(Zxid zxid);

 private:
  struct Step {
    Zxid zxid;
    Ino quota;
    tree::QuotaUsage difference;
  };

  void take_off(const Step& step);

  std::deque<Step> steps_;
  std::unordered_map<Ino, tree::QuotaUsage> sums_;
  Zxid zxid_;
};

}  // namespace zkfs::server
