// SPDX-License-Identifier: Apache-2.0
// Stat: what ZooKeeper's clients are shown of a znode.
#pragma once

#include <cstdint>

#include "ensemble/base/clock.h"
#include "ensemble/base/ids.h"

namespace zkfs::tree {

// ZooKeeper's stat block (reference/zookeeper.md 3.2), with the same names.
struct Stat {
  Zxid czxid;
  Zxid mzxid;
  Zxid pzxid;
  WallMillis ctime = 0;
  WallMillis mtime = 0;
  std::int32_t version = 0;   // of the data
  std::int32_t cversion = 0;  // 2 * creates - children, as ZooKeeper shows it
  std::int32_t aversion = 0;
  SessionId ephemeral_owner;  // 0 unless the type is kEphemeral
  std::uint32_t data_length = 0;
  std::uint32_t num_children = 0;
};

}  // namespace zkfs::tree
