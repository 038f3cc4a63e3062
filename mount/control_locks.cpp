// SPDX-License-Identifier: Apache-2.0
#include "mount/control_locks.h"

#include <cstdint>
#include <iterator>
#include <limits>

#include <fmt/format.h>

#include "mount/replay_plan.h"
#include "mount/view.h"

namespace zkfs::mount {

namespace {

constexpr std::string_view kOwnLock = ".@lock";
constexpr std::string_view kRemoved = ".@removed";

std::string range_text(const tree::LockRange& range) {
  if (range.last == std::numeric_limits<std::uint64_t>::max()) {
    return fmt::format("{}-end", range.first);
  }
  return fmt::format("{}-{}", range.first, range.last);
}

// The server that allocated a session is its top byte (ids.h).
std::uint64_t server_of(SessionId session) {
  return session.value >> 56U;
}

}  // namespace

LockListing::LockListing(const tree::DataTree& tree, Ino root) : tree_(tree) {
  for (const Ino ino : tree.locked()) {
    if (!tree.find(ino)) {
      // Nobody knows any more where it was.
      if (root == kRootIno) locked_.emplace(fmt::format("{}/{}", kRemoved, ino), ino);
    } else if (tree.is_ancestor(root, ino)) {
      locked_.emplace(shown_path(tree, directory_node(ino), directory_node(root)), ino);
    }
  }
}

bool LockListing::has_below(std::string_view path) const {
  const std::string prefix = path.empty() ? std::string() : std::string(path) + '/';
  // The root's own path is the empty one, which is not below itself.
  const auto it = path.empty() ? locked_.upper_bound(prefix) : locked_.lower_bound(prefix);
  return it != locked_.end() && it->first.starts_with(prefix);
}

std::optional<bool> LockListing::is_directory(std::string_view path) const {
  if (path.empty() || has_below(path)) return true;
  return locked_at(path) ? std::optional(false) : std::nullopt;
}

std::optional<Ino> LockListing::locked_at(std::string_view path) const {
  if (path.empty() || has_below(path)) return {};
  if (const auto it = locked_.find(path); it != locked_.end()) return it->second;
  const auto slash = path.rfind('/');
  const std::string_view name = slash == path.npos ? path : path.substr(slash + 1);
  if (name != kOwnLock) return {};
  const std::string_view directory = slash == path.npos ? "" : path.substr(0, slash);
  if (!is_directory(directory).value_or(false)) return {};
  const auto own = locked_.find(directory);
  return own == locked_.end() ? std::nullopt : std::optional(own->second);
}

std::vector<LockListing::Name> LockListing::list(std::string_view path) const {
  if (!is_directory(path).value_or(false)) return {};
  const std::string prefix = path.empty() ? std::string() : std::string(path) + '/';
  // By name: paths in order ("a", "a-b", "a/c") have one that is both a file and a directory twice.
  std::map<std::string_view, bool> found;
  if (locked_.contains(path)) found.emplace(kOwnLock, false);
  for (auto it = locked_.lower_bound(prefix); it != locked_.end() && it->first.starts_with(prefix);
       ++it) {
    const std::string_view rest = std::string_view(it->first).substr(prefix.size());
    const auto slash = rest.find('/');
    if (!rest.empty()) found[rest.substr(0, slash)] |= slash != rest.npos;
  }
  std::vector<Name> names;
  for (const auto& [name, directory] : found) names.push_back({std::string(name), directory});
  return names;
}

std::string LockListing::text(std::string_view path) const {
  const auto ino = locked_at(path);
  if (!ino) return {};
  std::string text;
  for (const tree::LockView& lock : tree_.locks_of(*ino)) {
    const bool posix = lock.space == tree::LockSpace::kPosix;
    fmt::format_to(std::back_inserter(text), "{} {} {}{} zxid={} node={} pid={} session={:#x}",
                   lock.waiting ? "waiting" : "held",
                   lock.mode == tree::LockMode::kExclusive ? "exclusive" : "shared",
                   posix ? "fcntl range=" : "flock", posix ? range_text(lock.range) : "", lock.zxid,
                   server_of(lock.session), lock.pid, lock.session);
    if (const auto session = tree_.find_session(lock.session)) {
      text += " owner=" + session->owner;
    }
    text += '\n';
  }
  return text;
}

LockCounts count_locks(const tree::DataTree& tree) {
  LockCounts counts;
  for (const Ino ino : tree.locked()) {
    for (const tree::LockView& lock : tree.locks_of(ino)) {
      ++(lock.waiting ? counts.waiting : counts.held);
    }
  }
  return counts;
}

}  // namespace zkfs::mount
