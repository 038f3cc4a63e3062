// SPDX-License-Identifier: Apache-2.0
// AclTable: each different ACL is held once and counted; znodes hold its 32-bit number. Numbers of
// forgotten ACLs are used again, so they mean nothing outside of this process.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "ensemble/tree/acl.h"

namespace zkfs::tree {

// Over everything in the list, in order.
std::uint64_t checksum_of(const AclList& acl);

class AclTable {
 public:
  // The number of `acl`, with one more reference.
  std::uint32_t intern(const AclList& acl);

  void retain(std::uint32_t number) { ++entries_[number].references; }

  void release(std::uint32_t number);

  // Valid until the next intern().
  [[nodiscard]] const AclList& list(std::uint32_t number) const { return entries_[number].list; }

  [[nodiscard]] std::uint64_t checksum(std::uint32_t number) const {
    return entries_[number].checksum;
  }

 private:
  struct Entry {
    AclList list;
    std::uint64_t checksum = 0;
    std::uint64_t references = 0;
  };

  std::vector<Entry> entries_;
  std::vector<std::uint32_t> free_;
  std::unordered_multimap<std::uint64_t, std::uint32_t> by_checksum_;
};

}  // namespace zkfs::tree
