// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/pending_usage.h"

namespace zkfs::server {

tree::QuotaUsage PendingUsage::of(Ino quota) const {
  const auto found = sums_.find(quota);
  return found == sums_.end() ? tree::QuotaUsage{} : found->second;
}

void PendingUsage::begin(Zxid zxid) {
  zxid_ = zxid;
}

void PendingUsage::rollback() {
  for (; !steps_.empty() && steps_.back().zxid == zxid_; steps_.pop_back()) take_off(steps_.back());
}

void PendingUsage::add(Ino quota, const tree::QuotaUsage& difference) {
  steps_.push_back({zxid_, quota, difference});
  tree::QuotaUsage& sum = sums_[quota];
  sum.count += difference.count;
  sum.bytes += difference.bytes;
}

void PendingUsage::applied(Zxid zxid) {
  for (; !steps_.empty() && steps_.front().zxid <= zxid; steps_.pop_front()) {
    take_off(steps_.front());
  }
  if (steps_.empty()) sums_.clear();
}

void PendingUsage::take_off(const Step& step) {
  tree::QuotaUsage& sum = sums_[step.quota];
  sum.count -= step.difference.count;
  sum.bytes -= step.difference.bytes;
}

}  // namespace zkfs::server
