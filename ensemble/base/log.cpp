// SPDX-License-Identifier: Apache-2.0
#include "ensemble/base/log.h"

#include <array>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "ensemble/base/check.h"

namespace zkfs {

void check_failed(const char* file, int line, const char* condition, const std::string& text) {
  log::write(log::Room::zkfs, log::Level::kError,
             fmt::format("broken invariant at {}:{}: {}: {}", file, line, condition, text));
  log::flush();
  std::abort();
}

}  // namespace zkfs

namespace zkfs::log {
namespace {

constexpr std::array<const char*, 8> kRooms{"zab",         "server", "storage", "peer",
                                            "client_port", "admin",  "mount",   "zkfs"};
constexpr std::array<std::string_view, 5> kLevels{"debug", "info", "warn", "error", "off"};

std::atomic<Level> current_level{Level::kInfo};

spdlog::level::level_enum to_spdlog(Level wanted) {
  switch (wanted) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarn:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
    case Level::kOff:
      return spdlog::level::off;
  }
  return spdlog::level::info;
}

spdlog::logger& sink() {
  static const std::shared_ptr<spdlog::logger> logger = [] {
    auto made =
        std::make_shared<spdlog::logger>("zkfs", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_level(spdlog::level::debug);
    made->flush_on(spdlog::level::warn);
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
    return made;
  }();
  return *logger;
}

}  // namespace

void set_level(Level wanted) {
  current_level.store(wanted, std::memory_order_relaxed);
}

Level level() {
  return current_level.load(std::memory_order_relaxed);
}

bool set_level(std::string_view name) {
  for (std::size_t i = 0; i < kLevels.size(); ++i) {
    if (kLevels[i] != name) continue;
    set_level(static_cast<Level>(i));
    return true;
  }
  return false;
}

std::string_view level_name() {
  return kLevels[static_cast<std::size_t>(level())];
}

void set_prefix(std::string_view prefix) {
  sink().set_pattern(prefix.empty() ? std::string("%Y-%m-%dT%H:%M:%S.%e %l %v")
                                    : fmt::format("%Y-%m-%dT%H:%M:%S.%e %l {} %v", prefix));
}

void write(Room room, Level wanted, std::string_view line) {
  sink().log(to_spdlog(wanted), "{}: {}", kRooms[static_cast<std::size_t>(room)], line);
}

void flush() {
  sink().flush();
}

}  // namespace zkfs::log
