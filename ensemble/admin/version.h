// SPDX-License-Identifier: Apache-2.0
// The version this server reports to ZooKeeper's clients and tools: `srvr`, `stat`, `mntr`, `envi`
// and the admin server all take it from here. Clients open their features by the three numbers in
// front (kazoo, Curator), so they are those of the ZooKeeper whose behaviour is implemented; what
// is ours comes after the dash, which ZooKeeper's own tests demand.
#pragma once

#include <string>
#include <string_view>

#include <fmt/core.h>

namespace zkfs::admin {

inline constexpr std::string_view kZooKeeperVersion = "3.9.3";

// "3.9.3-zkfs-0.1.0, built on 2026-11-21 18:00 UTC"
inline std::string version_text(std::string_view ours, std::string_view build_date) {
  return fmt::format("{}-zkfs-{}, built on {}", kZooKeeperVersion, ours, build_date);
}

}  // namespace zkfs::admin
