// SPDX-License-Identifier: Apache-2.0
// The znodes that every tree has from the beginning: /zookeeper, /zookeeper/quota and
// /zookeeper/config, with the stats ZooKeeper gives them (reference/zookeeper.md 3.2). They have
// reserved numbers (base/ids.h) and no zxid; trees of before they were introduced get them when
// they are loaded.
#pragma once

#include <array>
#include <string_view>

#include "ensemble/base/error.h"
#include "ensemble/base/ids.h"

namespace zkfs::tree {

class TreeState;

struct SystemZnode {
  Ino ino;
  Ino parent;
  std::string_view name;
};

// Parents before their children.
inline constexpr std::array<SystemZnode, 3> kSystemZnodes{{
    {kZookeeperIno, kRootIno, "zookeeper"},
    {kQuotaIno, kZookeeperIno, "quota"},
    {kConfigIno, kZookeeperIno, "config"},
}};

// Adds those that are missing; the root must be there. Fails if one lies elsewhere, or a znode of
// another number has its place.
Expected<void> add_system_znodes(TreeState& tree);

}  // namespace zkfs::tree
