// SPDX-License-Identifier: Apache-2.0
#include "ensemble/tree/acl_table.h"

#include "ensemble/base/check.h"
#include "ensemble/base/checksum.h"

namespace zkfs::tree {

std::uint64_t checksum_of(const AclList& acl) {
  std::uint64_t sum = acl.size();
  for (const AclEntry& entry : acl) {
    sum = checksum64(entry.scheme, sum * 0x9e3779b97f4a7c15ULL + entry.permissions);
    sum = checksum64(entry.id, sum);
  }
  return sum;
}

std::uint32_t AclTable::intern(const AclList& acl) {
  const std::uint64_t checksum = checksum_of(acl);
  const auto [first, last] = by_checksum_.equal_range(checksum);
  for (auto it = first; it != last; ++it) {
    if (entries_[it->second].list != acl) continue;
    ++entries_[it->second].references;
    return it->second;
  }
  std::uint32_t number = 0;
  if (free_.empty()) {
    number = static_cast<std::uint32_t>(entries_.size());
    entries_.emplace_back();
  } else {
    number = free_.back();
    free_.pop_back();
  }
  entries_[number] = Entry{acl, checksum, 1};
  by_checksum_.emplace(checksum, number);
  return number;
}

void AclTable::release(std::uint32_t number) {
  Entry& entry = entries_[number];
  ZKFS_CHECK(entry.references > 0, "ACL {} released too often", number);
  if (--entry.references > 0) return;
  const auto [first, last] = by_checksum_.equal_range(entry.checksum);
  for (auto it = first; it != last; ++it) {
    if (it->second != number) continue;
    by_checksum_.erase(it);
    break;
  }
  entry = Entry{};
  free_.push_back(number);
}

}  // namespace zkfs::tree
