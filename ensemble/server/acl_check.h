// SPDX-License-Identifier: Apache-2.0
// Who may do what: the one permission function, and what an ACL becomes before it is stored and
// before it is shown.
#pragma once

#include <cstdint>

#include "ensemble/base/error.h"
#include "ensemble/server/request.h"
#include "ensemble/tree/acl.h"

namespace zkfs::server {

// True for a process of uid 0 and a client with an id of the scheme `super`: no ACL is asked.
bool is_almighty(const Identity& identity);

// True if `identity` has `permission` (one of tree::Permissions). Who is almighty has all; an empty
// list gives all to all, `world:anyone` to all. Processes match `user` and `group` and nothing
// else. Clients never match those: `ip` entries (an address, or address/bits) match an id of that
// scheme with an address in the range, of the same family; those of other schemes an equal id.
bool acl_allows(const tree::AclList& acl, const Identity& identity, std::uint32_t permission);

// `acl` as it is stored: `auth` entries stand for whoever asks (a process: its user; a client: each
// id that it has of digest, x509 and sasl, in order), duplicates collapse, the order stays. Fails
// with: kInvalidAcl - empty, an entry that tree::validate_acl refuses, or an `auth` that stands for
// nobody; kTooLarge - more than a log entry takes.
Result<tree::AclList> acl_to_store(const tree::AclList& acl, const Identity& identity);

// `acl` for those who may read the znode without ADMIN: in place of a digest's hash is "x".
tree::AclList masked_acl(const tree::AclList& acl);

}  // namespace zkfs::server
