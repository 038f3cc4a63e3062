// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace zkfs {

// What this program tells ZooKeeper's clients and tools of its version (ensemble/admin/version.h).
std::string version_for_zookeeper();

}  // namespace zkfs
