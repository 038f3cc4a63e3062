// SPDX-License-Identifier: Apache-2.0
#include "zkfs/commands/path_watch.h"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <sstream>

namespace zkfs {
namespace {

constexpr std::uint32_t kSelf = IN_DELETE_SELF | IN_MOVE_SELF;
constexpr std::uint32_t kNames = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
// A file that is created here gets its name in the tree when it is closed, not when it is created.
constexpr std::uint32_t kOnTheWay = kSelf | kNames | IN_CLOSE_WRITE | IN_ONLYDIR;
constexpr std::uint32_t kTarget =
    kSelf | kNames | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_DONT_FOLLOW;

// EIO: a strict mount without a quorum, which shows nothing.
bool is_absence(int error) {
  return error == ENOENT || error == ENOTDIR || error == EACCES || error == EIO;
}

}  // namespace

Answer<PathWatch> PathWatch::open(const std::string& root, const std::string& path) {
  Descriptor inotify(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify) return std::unexpected(errno);
  return PathWatch(std::move(inotify), root, path);
}

PathWatch::PathWatch(Descriptor inotify, const std::string& root, const std::string& path)
    : inotify_(std::move(inotify)), root_(root), path_(path) {
  std::istringstream rest(path.substr(std::min(root.size(), path.size())));
  for (std::string name; std::getline(rest, name, '/');) {
    if (!name.empty()) names_.push_back(name);
  }
}

Answer<int> PathWatch::add(const std::string& path, std::uint32_t mask) {
  const int watch = inotify_add_watch(inotify_.get(), path.c_str(), mask);
  if (watch < 0) return std::unexpected(errno);
  return watch;
}

Answer<void> PathWatch::arm() {
  std::map<int, std::string> old = std::exchange(awaited_, {});
  std::string directory = root_;
  for (const std::string& name : names_) {
    const auto watch = add(directory, kOnTheWay);
    if (!watch && !is_absence(watch.error())) return std::unexpected(watch.error());
    if (!watch) break;
    awaited_[*watch] = name;
    directory = joined(directory, name);
  }
  const auto target = add(path_, kTarget);
  if (target) awaited_[*target] = "";
  if (!target && !is_absence(target.error())) return std::unexpected(target.error());
  // Those of directories that were moved away.
  for (const auto& [watch, name] : old) {
    if (!awaited_.contains(watch)) inotify_rm_watch(inotify_.get(), watch);
  }
  return {};
}

Answer<bool> PathWatch::drain() {
  alignas(inotify_event) std::array<char, 65536> buffer;
  bool concerns = false;
  while (true) {
    const ssize_t size = read(inotify_.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EAGAIN) return concerns;
    if (size < 0 && errno != EINTR) return std::unexpected(errno);
    for (ssize_t at = 0; at < size;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      const auto awaited = awaited_.find(event->wd);
      const std::string_view name = event->len == 0 ? "" : event->name;
      const bool known = awaited != awaited_.end();
      // Without a name: about the directory itself. Watch -1: events were lost.
      if (event->wd < 0 ||
          (known && (name.empty() || awaited->second.empty() || awaited->second == name))) {
        concerns = true;
      }
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
    }
  }
}

Answer<bool> PathWatch::wait(Millis limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (true) {
    const auto concerns = drain();
    if (!concerns || *concerns) return concerns;
    const auto left = std::chrono::ceil<Millis>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd ready{.fd = inotify_.get(), .events = POLLIN, .revents = 0};
    if (poll(&ready, 1, static_cast<int>(left.count())) < 0 && errno != EINTR)
      return std::unexpected(errno);
  }
}

}  // namespace zkfs
