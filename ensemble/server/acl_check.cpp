// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/acl_check.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

namespace zkfs::server {
namespace {

bool matches(const tree::AclEntry& entry, const Identity& identity) {
  if (entry.scheme == "world") return entry.id == "anyone";
  if (entry.scheme == "user") return entry.id == std::to_string(identity.uid);
  if (entry.scheme != "group") return false;
  return std::any_of(identity.gids.begin(), identity.gids.end(),
                     [&](std::uint32_t gid) { return entry.id == std::to_string(gid); });
}

}  // namespace

bool acl_allows(const tree::AclList& acl, const Identity& identity, std::uint32_t permission) {
  if (identity.uid == 0 || acl.empty()) return true;
  return std::any_of(acl.begin(), acl.end(), [&](const tree::AclEntry& entry) {
    return (entry.permissions & permission) != 0 && matches(entry, identity);
  });
}

Result<tree::AclList> acl_to_store(const tree::AclList& acl, const Identity& identity) {
  tree::AclList stored;
  stored.reserve(acl.size());
  std::set<tree::AclEntry> seen;
  for (tree::AclEntry entry : acl) {
    if (entry.scheme == "auth") {
      entry.scheme = "user";
      entry.id = std::to_string(identity.uid);
    }
    if (seen.insert(entry).second) stored.push_back(std::move(entry));
  }
  ZKFS_TRY(tree::validate_acl(stored));
  return stored;
}

}  // namespace zkfs::server
