// SPDX-License-Identifier: Apache-2.0
// From a Target to znodes, against the newest state. Form is checked apart from existence, because
// an ACL that is no good comes between the two (reference/zookeeper.md 2.2).
#pragma once

#include <string>

#include "ensemble/base/error.h"
#include "ensemble/base/ids.h"
#include "ensemble/server/outstanding.h"
#include "ensemble/server/request.h"

namespace zkfs::server {

// A place in the tree and what is there.
struct Located {
  Ino parent;  // 0: this is the root
  std::string name;
  Ino ino;  // 0: nothing is there
};

// Of a znode that should exist. Fails with: kBadArguments, kTooLarge.
Result<void> check_form(const Target& target);

// Fails with: kNoNode - the parent of a path is missing; kStale - the znode given by number is
// gone. Requires: check_form.
Result<Located> locate(const Outstanding& state, const Target& target);

// Of a name that is to be made: less strict than check_form, because the name is complete, and
// checked, only once its suffix is known. {ino, ""} is a sequential name that is all suffix.
// Fails with: kBadArguments, kTooLarge.
Result<void> check_form_of_new(const Target& target, bool sequential);

// `ino` of the result is 0 unless it is the root. Fails as locate. Requires: check_form_of_new.
Result<Located> locate_new(const Outstanding& state, const Target& target, bool sequential);

}  // namespace zkfs::server
