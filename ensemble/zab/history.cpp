// SPDX-License-Identifier: Apache-2.0
#include "ensemble/zab/history.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "ensemble/base/check.h"

namespace zkfs::zab {

History::History(Zxid base, std::vector<Entry> entries, Zxid committed)
    : base_(base), committed_(committed) {
  for (auto& entry : entries) append(std::move(entry));
  ZKFS_CHECK(base_ <= committed_, "base={} committed={}", base_, committed_);
  ZKFS_CHECK(committed_ <= last(), "committed={} last={}", committed_, last());
}

std::size_t History::index_after(Zxid zxid) const {
  const auto it = std::upper_bound(entries_.begin(), entries_.end(), zxid,
                                   [](Zxid z, const Entry& e) { return z < e.zxid; });
  return static_cast<std::size_t>(std::distance(entries_.begin(), it));
}

bool History::contains(Zxid zxid) const {
  return zxid >= base_ && greatest_at_most(zxid) == zxid;
}

Zxid History::greatest_at_most(Zxid zxid) const {
  ZKFS_CHECK(zxid >= base_, "zxid={} base={}", zxid, base_);
  const auto index = index_after(zxid);
  return index == 0 ? base_ : entries_[index - 1].zxid;
}

void History::append(Entry entry) {
  ZKFS_CHECK(accepts(entry.zxid), "a hole in the history: last={} next={}", last(), entry.zxid);
  bytes_ += entry.bytes.size();
  entries_.push_back(std::move(entry));
}

void History::truncate_after(Zxid zxid) {
  ZKFS_CHECK(contains(zxid), "truncate after {} which is not in the log ({}, {}]", zxid, base_,
             last());
  ZKFS_CHECK(zxid >= committed_, "truncate after {} below committed={}", zxid, committed_);
  while (last() > zxid) {
    bytes_ -= entries_.back().bytes.size();
    entries_.pop_back();
  }
}

std::vector<Entry> History::commit(Zxid zxid) {
  if (zxid <= committed_) return {};
  ZKFS_CHECK(contains(zxid), "commit of {} which is not in the log ({}, {}]", zxid, base_, last());
  const auto from = entries_.begin() + static_cast<std::ptrdiff_t>(index_after(committed_));
  const auto to = entries_.begin() + static_cast<std::ptrdiff_t>(index_after(zxid));
  committed_ = zxid;
  return {from, to};
}

void History::reset(Zxid zxid) {
  entries_.clear();
  bytes_ = 0;
  base_ = zxid;
  committed_ = zxid;
}

std::vector<Entry> History::after(Zxid zxid, Zxid limit, std::size_t bytes_max) const {
  ZKFS_CHECK(contains(zxid), "entries after {} which is not in ({}, {}]", zxid, base_, last());
  std::vector<Entry> result;
  std::size_t bytes = 0;
  for (auto i = index_after(zxid); i < entries_.size() && entries_[i].zxid <= limit; ++i) {
    bytes += entries_[i].bytes.size();
    if (!result.empty() && bytes > bytes_max) break;
    result.push_back(entries_[i]);
  }
  return result;
}

void History::trim(Zxid keep_after, std::size_t entries_max, std::size_t bytes_max) {
  const auto bound = std::min(committed_, keep_after);
  while (!entries_.empty() && entries_.front().zxid <= bound &&
         (entries_.size() > entries_max || bytes_ > bytes_max)) {
    base_ = entries_.front().zxid;
    bytes_ -= entries_.front().bytes.size();
    entries_.pop_front();
  }
}

}  // namespace zkfs::zab
