// SPDX-License-Identifier: Apache-2.0
// Quotas as a front door looks at them before it takes in what a program writes: by the tree this
// server has. What counts is what the leader says when it is asked (decide.h).
#pragma once

#include <string_view>

#include "ensemble/base/ids.h"
#include "ensemble/tree/data_tree.h"
#include "ensemble/tree/quota.h"

namespace zkfs::server {

// May `more` be added at the znode `ino`, or as its child `name` unless that is empty, by the hard
// limits of the nearest quota? What is negative in `more` is always allowed.
bool has_quota_room(const tree::DataTree& tree,
                    Ino ino,
                    std::string_view name,
                    const tree::QuotaUsage& more);

}  // namespace zkfs::server
