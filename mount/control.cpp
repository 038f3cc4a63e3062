// SPDX-License-Identifier: Apache-2.0
#include "mount/control.h"

#include <array>
#include <cerrno>
#include <chrono>

#include <fmt/core.h>

#include "ensemble/base/log.h"

namespace zkfs::mount {

namespace {

enum class File : std::uint8_t {
  kStatus = 2,
  kStatusJson,
  kRole,
  kZxid,
  kEpoch,
  kLeader,
  kLogLevel,
};

struct Named {
  std::string_view name;
  File file;
};

constexpr std::array<Named, 7> kFiles{{{"status", File::kStatus},
                                       {"status.json", File::kStatusJson},
                                       {"role", File::kRole},
                                       {"zxid", File::kZxid},
                                       {"epoch", File::kEpoch},
                                       {"leader", File::kLeader},
                                       {"log_level", File::kLogLevel}}};

File file_of(NodeId node) {
  return static_cast<File>(node & ~kFaceMask);
}

std::string line(std::string text) {
  if (!text.empty() && text.back() != '\n') text += '\n';
  return text;
}

std::string call(const std::function<std::string()>& function) {
  return function ? line(function()) : std::string();
}

}  // namespace

std::vector<std::string> Control::names() {
  std::vector<std::string> all;
  for (const Named& named : kFiles) all.emplace_back(named.name);
  return all;
}

std::optional<NodeId> Control::find(std::string_view name) {
  for (const Named& named : kFiles) {
    if (named.name == name) return node_id(Face::kControl, static_cast<std::uint64_t>(named.file));
  }
  return {};
}

bool Control::writable(NodeId node) {
  return file_of(node) == File::kLogLevel;
}

std::string Control::read(NodeId node) const {
  switch (file_of(node)) {
    case File::kStatus:
      return call(files_.status);
    case File::kStatusJson:
      return call(files_.status_json);
    case File::kRole:
      return call(files_.role);
    case File::kZxid:
      return fmt::format("{}\n", door_.status().last_applied);
    case File::kEpoch:
      return fmt::format("{}\n", door_.status().epoch);
    case File::kLeader:
      return fmt::format("{}\n", door_.status().leader);
    case File::kLogLevel:
      return fmt::format("{}\n", log::level_name());
  }
  return {};
}

int Control::write(NodeId node, std::string_view text) {
  if (!writable(node)) return EACCES;
  const auto end = text.find_last_not_of(" \t\n");
  text = text.substr(0, end == std::string_view::npos ? 0 : end + 1);
  return log::set_level(text) ? 0 : EINVAL;
}

struct stat Control::attributes(NodeId node) const {
  struct stat attr {};

  attr.st_ino = node;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  attr.st_mtim.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  attr.st_ctim = attr.st_atim = attr.st_mtim;
  attr.st_blksize = 4096;
  if (is_directory(node)) {
    attr.st_mode = S_IFDIR | 0555U;
    attr.st_nlink = 2;
    return attr;
  }
  attr.st_mode = S_IFREG | (writable(node) ? 0644U : 0444U);
  attr.st_nlink = 1;
  // The true size: tools that trust st_size would read nothing.
  attr.st_size = static_cast<off_t>(read(node).size());
  attr.st_blocks = (attr.st_size + 511) / 512;
  return attr;
}

}  // namespace zkfs::mount
