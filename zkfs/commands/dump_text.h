// SPDX-License-Identifier: Apache-2.0
// Txns and znodes as one line each, for `zkfs dump`. Names are quoted; values show as their size.
#pragma once

#include <string>
#include <string_view>

#include "ensemble/tree/data_tree.h"
#include "ensemble/tree/txn.h"

namespace zkfs {

// In double quotes; quotes, backslashes and control characters escaped.
std::string quoted(std::string_view text);

// UTC, with milliseconds: "2026-11-21T15:04:05.123Z".
std::string wall_text(WallMillis time);

// `2026-11-21T15:04:05.123Z session=0x1.. xid=7 create parent=1 name="job" ino=5 data=12 ...`
std::string txn_text(const tree::Txn& txn);

// `/path file persistent ino=5 version=0 size=12 czxid=0x.. mzxid=0x.. mtime=..`
std::string znode_text(std::string_view path, const tree::Znode& znode);

}  // namespace zkfs
