// SPDX-License-Identifier: Apache-2.0
#include "mount/control.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "ensemble/base/checksum.h"
#include "ensemble/base/log.h"
#include "mount/control_locks.h"
#include "mount/view.h"

namespace zkfs::mount {

namespace {

constexpr std::string_view kEnsemble = "ensemble";
constexpr std::string_view kSessions = "sessions";
constexpr std::string_view kLocks = "locks";
constexpr std::string_view kLogLevel = "log_level";

constexpr std::array<std::string_view, 9> kFiles{
    "status", "status.json", "role", "zxid", "epoch", "leader", "metrics", "config", kLogLevel};
constexpr std::array<std::string_view, 3> kDirectories{kEnsemble, kSessions, kLocks};
constexpr std::array<std::string_view, 5> kMemberFiles{"address", "role", "state", "zxid",
                                                       "latency_ms"};
constexpr std::array<std::string_view, 4> kSessionFiles{"owner", "timeout_ms", "ephemerals",
                                                        "watches"};

template <std::size_t kSize>
bool has(const std::array<std::string_view, kSize>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// "a/b/c" -> "a", "b/c".
std::pair<std::string_view, std::string_view> split(std::string_view path) {
  const auto slash = path.find('/');
  if (slash == std::string_view::npos) return {path, {}};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

std::string line(std::string text) {
  if (!text.empty() && text.back() != '\n') text += '\n';
  return text;
}

std::string call(const std::function<std::string()>& function) {
  return function ? line(function()) : std::string();
}

std::string text_of(const EnsembleMember& member, std::string_view file) {
  if (file == "address") return line(member.address);
  if (file == "role") return line(member.role);
  if (file == "state") return line(member.state);
  if (file == "zxid") return line(member.zxid);
  return line(member.latency_ms);
}

}  // namespace

std::string_view Control::Entry::name() const {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? std::string_view(path)
                                    : std::string_view(path).substr(slash + 1);
}

// --- nodes ---

Control::Entry Control::entry(std::string path, bool directory) const {
  const std::string key = (directory ? "d" : "f") + path;
  std::uint64_t number = checksum64(key);
  for (;; ++number) {
    const NodeId node = node_id(Face::kControl, number & ~(kFaceMask | 1ULL << 63U));
    const auto other = held_.find(node);
    const bool taken = node == Control::directory() ||
                       (other != held_.end() &&
                        (other->second.path != path || other->second.directory != directory));
    if (!taken) return {std::move(path), directory, node};
  }
}

std::optional<Control::Entry> Control::at(NodeId node) const {
  if (node == directory()) return Entry{.path = {}, .directory = true, .node = node};
  const auto it = held_.find(node);
  if (it == held_.end()) return {};
  return it->second;
}

std::vector<Control::Entry> Control::all_held() const {
  std::vector<Entry> all;
  for (const auto& [node, entry] : held_) all.push_back(entry);
  return all;
}

void Control::hold(const Entry& entry) {
  if (entry.node != directory()) held_.try_emplace(entry.node, entry);
}

void Control::forget(NodeId node) {
  held_.erase(node);
}

bool Control::is_directory(NodeId node) const {
  const auto entry = at(node);
  return entry && entry->directory;
}

bool Control::writable(NodeId node) const {
  const auto entry = at(node);
  return entry && entry->path == kLogLevel;
}

// --- what there is ---

std::optional<EnsembleMember> Control::member_named(std::string_view name) const {
  if (!files_.ensemble) return {};
  for (EnsembleMember& member : files_.ensemble()) {
    if (fmt::format("{}", member.id) == name) return std::move(member);
  }
  return {};
}

std::optional<tree::Session> Control::session_named(std::string_view name) const {
  std::uint64_t number = 0;
  if (!name.starts_with("0x")) return {};
  const auto [end, error] = std::from_chars(name.data() + 2, name.data() + name.size(), number, 16);
  const SessionId id{number};
  // One session, one name: 0x01 is not 0x1.
  if (error != std::errc{} || fmt::format("{:#x}", id) != name) return {};
  return door_.tree().find_session(id);
}

std::optional<bool> Control::is_directory_at(std::string_view path) const {
  const auto [top, rest] = split(path);
  if (rest.empty()) {
    if (top.empty() || has(kDirectories, top)) return true;
    return has(kFiles, top) ? std::optional(false) : std::nullopt;
  }
  if (top == kLocks) return LockListing(door_.tree(), root_).is_directory(rest);
  const auto [name, file] = split(rest);
  const bool member = top == kEnsemble && member_named(name);
  if (!member && !(top == kSessions && session_named(name))) return {};
  if (file.empty()) return true;
  const bool known = member ? has(kMemberFiles, file) : has(kSessionFiles, file);
  return known ? std::optional(false) : std::nullopt;
}

std::optional<Control::Entry> Control::find(NodeId parent, std::string_view name) const {
  const auto above = at(parent);
  if (!above || !above->directory || name.empty()) return {};
  std::string path =
      above->path.empty() ? std::string(name) : fmt::format("{}/{}", above->path, name);
  const auto is_directory = is_directory_at(path);
  if (!is_directory) return {};
  return entry(std::move(path), *is_directory);
}

std::vector<Control::Entry> Control::list(NodeId directory) const {
  const auto above = at(directory);
  if (!above || !is_directory_at(above->path).value_or(false)) return {};
  std::vector<Entry> all;
  const auto add = [&](std::string_view name, bool is_directory) {
    all.push_back(
        entry(above->path.empty() ? std::string(name) : fmt::format("{}/{}", above->path, name),
              is_directory));
  };
  const auto [top, rest] = split(above->path);
  if (top.empty()) {
    for (const std::string_view name : kFiles) add(name, false);
    for (const std::string_view name : kDirectories) add(name, true);
  } else if (top == kLocks) {
    for (const auto& [name, is_directory] : LockListing(door_.tree(), root_).list(rest)) {
      add(name, is_directory);
    }
  } else if (!rest.empty()) {
    if (top == kEnsemble) {
      for (const std::string_view name : kMemberFiles) add(name, false);
    } else {
      for (const std::string_view name : kSessionFiles) add(name, false);
    }
  } else if (top == kEnsemble && files_.ensemble) {
    for (const EnsembleMember& member : files_.ensemble()) add(fmt::format("{}", member.id), true);
  } else if (top == kSessions) {
    for (const tree::Session& session : door_.tree().sessions()) {
      add(fmt::format("{:#x}", session.id), true);
    }
  }
  return all;
}

// --- what it says ---

std::string Control::text_of_session(const tree::Session& session, std::string_view file) const {
  if (file == "owner") return line(session.owner);
  if (file == "timeout_ms") return fmt::format("{}\n", session.timeout_ms);
  // Watches of clients of ZooKeeper's protocol, which this release does not serve.
  if (file == "watches") return "0\n";
  std::string text;
  for (const Ino ino : door_.tree().ephemerals_of(session.id)) {
    if (const auto path = path_from(door_.tree(), root_, ino)) text += *path + '\n';
  }
  return text;
}

std::string Control::text_at(std::string_view path) const {
  const auto [top, rest] = split(path);
  if (top == kLocks) return LockListing(door_.tree(), root_).text(rest);
  if (!rest.empty()) {
    const auto [name, file] = split(rest);
    if (top == kEnsemble) {
      const auto member = member_named(name);
      return member ? text_of(*member, file) : std::string();
    }
    const auto session = session_named(name);
    return session ? text_of_session(*session, file) : std::string();
  }
  if (path == "status") return call(files_.status);
  if (path == "status.json") return call(files_.status_json);
  if (path == "role") return call(files_.role);
  if (path == "zxid") return fmt::format("{}\n", door_.status().last_applied);
  if (path == "epoch") return fmt::format("{}\n", door_.status().epoch);
  if (path == "leader") return fmt::format("{}\n", door_.status().leader);
  if (path == "metrics") return call(files_.metrics);
  if (path == "config") return call(files_.config);
  return fmt::format("{}\n", log::level_name());
}

std::string Control::read(NodeId node) const {
  const auto entry = at(node);
  if (!entry || is_directory_at(entry->path) != std::optional(false)) return {};
  return text_at(entry->path);
}

int Control::write(NodeId node, std::string_view text) {
  if (!writable(node)) return EACCES;
  const auto end = text.find_last_not_of(" \t\n");
  text = text.substr(0, end == std::string_view::npos ? 0 : end + 1);
  return log::set_level(text) ? 0 : EINVAL;
}

struct stat Control::attributes(const Entry& entry) const {
  struct stat attr {};

  attr.st_ino = entry.node;
  attr.st_uid = ::geteuid();
  attr.st_gid = ::getegid();
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  attr.st_mtim.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  attr.st_ctim = attr.st_atim = attr.st_mtim;
  attr.st_blksize = 4096;
  const bool exists = is_directory_at(entry.path) == std::optional(entry.directory);
  if (entry.directory) {
    attr.st_mode = S_IFDIR | 0555U;
    attr.st_nlink = exists ? 1 : 0;  // 1: subdirectories are not counted, as on btrfs
    return attr;
  }
  attr.st_mode = S_IFREG | (entry.path == kLogLevel ? 0644U : 0444U);
  attr.st_nlink = exists ? 1 : 0;
  attr.st_size = exists ? static_cast<off_t>(text_at(entry.path).size()) : 0;
  attr.st_blocks = (attr.st_size + 511) / 512;
  return attr;
}

struct stat Control::attributes(NodeId node) const {
  if (const auto entry = at(node)) return attributes(*entry);

  // Not held: the kernel cannot ask for it.
  struct stat attr {};

  attr.st_ino = node;
  attr.st_mode = S_IFREG;
  return attr;
}

}  // namespace zkfs::mount
