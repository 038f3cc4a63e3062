// SPDX-License-Identifier: Apache-2.0
// Who may do what: the one permission function, and what an ACL becomes before it is stored.
#pragma once

#include <cstdint>

#include "ensemble/base/error.h"
#include "ensemble/server/request.h"
#include "ensemble/tree/acl.h"

namespace zkfs::server {

// True if `identity` has `permission` (one of tree::Permissions). uid 0 has all; an empty list
// gives all to all. Schemes that an Identity cannot prove (ip, digest, x509, sasl) match nobody.
bool acl_allows(const tree::AclList& acl, const Identity& identity, std::uint32_t permission);

// `acl` as it is stored: `auth` entries stand for whoever asks, duplicates collapse, the order
// stays. Fails with: kInvalidAcl - empty, or an entry that tree::validate_acl refuses.
Result<tree::AclList> acl_to_store(const tree::AclList& acl, const Identity& identity);

}  // namespace zkfs::server
