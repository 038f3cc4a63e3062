// SPDX-License-Identifier: Apache-2.0
// The log facade over spdlog; callers see only fmt. One logger per directory: ZKFS_LOG_INFO(zab,
// "elected epoch={}", e). Levels: info = a role, session or file changed state (an operator follows
// an incident from info alone); debug = each message; warn = weather (network, peers); error =
// before an abort or when a feature is lost. Thread-safe. Writes to stderr, flushed at warn and
// above.
#pragma once

#include <string_view>

#include <fmt/core.h>

namespace zkfs::log {

enum class Level { kDebug, kInfo, kWarn, kError, kOff };
// One per directory that logs, spelt as the directory.
enum class Room { zab, server, storage, peer, client_port, admin, mount, zkfs };

// The least level that is written. Starts at kInfo.
void set_level(Level level);
Level level();
// Accepts debug, info, warn, error, off; anything else leaves the level and returns false.
bool set_level(std::string_view name);
std::string_view level_name();
// A word put before every line, such as "node=2"; empty to leave out.
void set_prefix(std::string_view prefix);

void write(Room room, Level level, std::string_view line);
void flush();

inline bool enabled(Level wanted) {
  return wanted >= level();
}

}  // namespace zkfs::log

#define ZKFS_LOG_AT(room, lvl, ...)                                                           \
  do {                                                                                        \
    if (::zkfs::log::enabled(lvl)) ::zkfs::log::write(room, lvl, ::fmt::format(__VA_ARGS__)); \
  } while (false)
#define ZKFS_LOG_DEBUG(room, ...) \
  ZKFS_LOG_AT(::zkfs::log::Room::room, ::zkfs::log::Level::kDebug, __VA_ARGS__)
#define ZKFS_LOG_INFO(room, ...) \
  ZKFS_LOG_AT(::zkfs::log::Room::room, ::zkfs::log::Level::kInfo, __VA_ARGS__)
#define ZKFS_LOG_WARN(room, ...) \
  ZKFS_LOG_AT(::zkfs::log::Room::room, ::zkfs::log::Level::kWarn, __VA_ARGS__)
#define ZKFS_LOG_ERROR(room, ...) \
  ZKFS_LOG_AT(::zkfs::log::Room::room, ::zkfs::log::Level::kError, __VA_ARGS__)
