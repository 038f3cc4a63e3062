// SPDX-License-Identifier: Apache-2.0
// Access control lists: who may do what, as ZooKeeper has them (reference/zookeeper.md section 6),
// with `user:<uid>` and `group:<gid>` beside its schemes. This file knows their form, not who asks:
// checking is the server's.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ensemble/base/error.h"

namespace zkfs::tree {

struct Permissions {
  static constexpr std::uint32_t kRead = 1, kWrite = 2, kCreate = 4, kDelete = 8, kAdmin = 16,
                                 kAll = 31;
};

struct AclEntry {
  std::uint32_t permissions = 0;
  std::string scheme;
  std::string id;

  friend auto operator<=>(const AclEntry&, const AclEntry&) = default;
};

// In the order given by whoever set it. Empty means: everybody may do everything.
using AclList = std::vector<AclEntry>;

// {world:anyone:cdrwa}
AclList open_acl();

// True if everybody has kRead, whoever they are.
bool anyone_may_read(const AclList& acl);

// The text of user.zk.acl: "world:anyone:r,user:1000:cdrwa,digest:bob:hash=:r". Permissions in the
// order c d r w a.
std::string to_text(const AclList& acl);

// The inverse: entries separated by ',', the scheme before the first ':', the permissions after the
// last. Fails with: kInvalidAcl - no entry, an unknown scheme (known: world, user, group, ip,
// digest, auth, x509, sasl), an id its scheme does not allow (world: only anyone; user, group: a
// decimal number), an unknown permission letter. Duplicates collapse.
Result<AclList> parse_acl(std::string_view text);

// Fails with kInvalidAcl by the same rules.
Result<void> validate_acl(const AclList& acl);

}  // namespace zkfs::tree
