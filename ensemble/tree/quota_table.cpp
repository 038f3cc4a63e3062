// SPDX-License-Identifier: Apache-2.0
#include "ensemble/tree/quota_table.h"

#include <string_view>
#include <utility>

#include "ensemble/tree/tree_state.h"

namespace zkfs::tree {
namespace {

bool is_mark(std::string_view name) {
  return name == kQuotaLimitsName || name == kQuotaStatsName;
}

}  // namespace

std::optional<QuotaUsage> QuotaTable::usage(Ino ino) const {
  const auto found = quotas_.find(ino);
  if (found == quotas_.end()) return std::nullopt;
  return found->second;
}

// --- where a znode lies ---

bool QuotaTable::in_quota_tree(Slot slot) const {
  for (; slot != kNoSlot; slot = tree_.node(slot).parent) {
    if (tree_.node(slot).ino == kQuotaIno) return true;
  }
  return false;
}

// A quota of the root is none, as in ZooKeeper.
bool QuotaTable::makes_quota(Slot slot) const {
  const Slot parent = tree_.node(slot).parent;
  return is_mark(tree_.node(slot).name.view()) && tree_.node(parent).ino != kQuotaIno &&
         in_quota_tree(parent);
}

bool QuotaTable::has_other_mark(Slot slot) const {
  const bool limits = tree_.node(slot).name.view() == kQuotaLimitsName;
  return tree_.find_child(tree_.node(slot).parent, limits ? kQuotaStatsName : kQuotaLimitsName) !=
         kNoSlot;
}

std::vector<Slot> QuotaTable::path_to(Slot slot) const {
  std::vector<Slot> path;
  for (; tree_.node(slot).parent != kNoSlot; slot = tree_.node(slot).parent) {
    if (tree_.node(slot).ino == kZookeeperIno) return {};
    path.push_back(slot);
  }
  return {path.rbegin(), path.rend()};
}

Slot QuotaTable::subject_of(Slot quota) const {
  std::vector<Slot> path;
  for (; tree_.node(quota).ino != kQuotaIno; quota = tree_.node(quota).parent) {
    path.push_back(quota);
  }
  Slot at = tree_.find(kRootIno);
  for (auto step = path.rbegin(); step != path.rend() && at != kNoSlot; ++step) {
    at = tree_.find_child(at, tree_.node(*step).name.view());
    if (at != kNoSlot && tree_.node(at).ino == kZookeeperIno) return kNoSlot;
  }
  return at;
}

std::vector<Slot> QuotaTable::below(Slot quota) const {
  std::vector<Slot> result;
  for (const auto& [ino, usage] : quotas_) {
    const Slot slot = tree_.find(ino);
    if (slot != quota && tree_.is_ancestor(quota, slot)) result.push_back(slot);
  }
  return result;
}

// --- counting ---

QuotaUsage QuotaTable::total(Slot slot) const {
  QuotaUsage sum;
  std::vector<Slot> waiting{slot};
  while (!waiting.empty()) {
    const Node& node = tree_.node(waiting.back());
    waiting.pop_back();
    sum.count += 1;
    sum.bytes += node.data.size();
    for (Slot s = node.first_child; s != kNoSlot; s = tree_.node(s).next_sibling) {
      waiting.push_back(s);
    }
  }
  return sum;
}

void QuotaTable::count(Slot quota) {
  const Slot subject = subject_of(quota);
  quotas_[tree_.node(quota).ino] = subject == kNoSlot ? QuotaUsage{} : total(subject);
}

void QuotaTable::count_all() {
  paused_ = false;
  quotas_.clear();
  std::vector<Slot> waiting{tree_.find(kQuotaIno)};
  while (!waiting.empty()) {
    const Slot at = waiting.back();
    waiting.pop_back();
    for (Slot s = tree_.node(at).first_child; s != kNoSlot; s = tree_.node(s).next_sibling) {
      waiting.push_back(s);
      if (makes_quota(s)) count(at);
    }
  }
}

QuotaTable::Covering QuotaTable::covering(Slot slot) {
  Covering result;
  const std::vector<Slot> path = path_to(slot);
  if (path.empty()) return result;
  Slot quota = tree_.find(kQuotaIno);
  for (const Slot step : path) {
    quota = tree_.find_child(quota, tree_.node(step).name.view());
    if (quota == kNoSlot) return result;
    const auto found = quotas_.find(tree_.node(quota).ino);
    if (found != quotas_.end()) result.quotas.push_back(&found->second);
  }
  result.own = quota;
  return result;
}

// --- what happens to the tree ---

// What is below its own path held nothing before.
void QuotaTable::linked(Slot slot) {
  if (paused_) return;
  const Node& node = tree_.node(slot);
  if (node.num_children != 0 && in_quota_tree(slot)) return count_all();
  if (is_mark(node.name.view()) && makes_quota(slot)) {
    if (!quotas_.contains(tree_.node(node.parent).ino)) count(node.parent);
    return;
  }
  if (quotas_.empty()) return;
  const Covering found = covering(slot);
  if (!found.quotas.empty()) {
    const QuotaUsage come = total(slot);
    for (QuotaUsage* usage : found.quotas)
      *usage = {usage->count + come.count, usage->bytes + come.bytes};
  }
  if (found.own == kNoSlot || node.num_children == 0) return;
  for (const Slot quota : below(found.own)) count(quota);
}

void QuotaTable::unlinking(Slot slot) {
  if (paused_ || quotas_.empty()) return;
  const Node& node = tree_.node(slot);
  const bool quotas_below = node.num_children != 0 && in_quota_tree(slot);
  if (quotas_below) {
    std::erase_if(quotas_, [&](const auto& quota) {
      return tree_.is_ancestor(slot, tree_.find(quota.first));
    });
  }
  if (is_mark(node.name.view()) && makes_quota(slot)) {
    if (!has_other_mark(slot)) quotas_.erase(tree_.node(node.parent).ino);
    return;
  }
  if (quotas_below) return;
  const Covering found = covering(slot);
  if (!found.quotas.empty()) {
    const QuotaUsage gone = total(slot);
    for (QuotaUsage* usage : found.quotas)
      *usage = {usage->count - gone.count, usage->bytes - gone.bytes};
  }
  if (found.own == kNoSlot || node.num_children == 0) return;
  for (const Slot quota : below(found.own)) quotas_[tree_.node(quota).ino] = {};
}

void QuotaTable::data_changed(Slot slot, std::int64_t bytes) {
  if (paused_ || quotas_.empty() || bytes == 0) return;
  for (QuotaUsage* usage : covering(slot).quotas) usage->bytes += bytes;
}

}  // namespace zkfs::tree
