// SPDX-License-Identifier: Apache-2.0
#include "zkfs/commands/wait_command.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>
#include <limits.h>

#include "zkfs/commands/client.h"
#include "zkfs/commands/deadline.h"
#include "zkfs/commands/path_watch.h"
#include "zkfs/commands/tree_command.h"

namespace zkfs {
namespace {

using For = WaitCommand::For;

// The kernel tells of a close before the server hears of it if the descriptor was not closed by
// who opened it, and of a write before the fsync that commits it. So after an event that has shown
// nothing the path is looked at again, a few times.
constexpr std::array<Millis, 3> kSecondLooks{Millis(10), Millis(100), Millis(1000)};
// No event tells of a server that died. How often to see whether it lives.
constexpr Millis kPulse{2000};

// What a path names, as far as the change of anything asked for shows in it.
struct Sight {
  bool exists = false;
  bool link = false;
  ino_t ino = 0;
  std::string mark;     // of the value; for kChildren of the children
  std::string version;  // of the value

  friend bool operator==(const Sight&, const Sight&) = default;
};

bool is_absence(int error) {
  return error == ENOENT || error == ENOTDIR || error == ESTALE;
}

Answer<Sight> look(const WaitCommand& command, const std::string& path) {
  struct stat status {};

  if (lstat(path.c_str(), &status) != 0)
    return is_absence(errno) ? Answer<Sight>(Sight{}) : std::unexpected(errno);
  Sight sight;
  sight.exists = true;
  sight.link = S_ISLNK(status.st_mode);
  sight.ino = status.st_ino;
  if (sight.link) {
    // Its attributes cannot be asked for. A link is set by a rename onto it only.
    sight.mark = fmt::format("{}.{}", status.st_ctim.tv_sec, status.st_ctim.tv_nsec);
    return sight;
  }
  const auto mark = attribute(path, command.what == For::kChildren ? "pZxid" : "mZxid");
  const auto version = attribute(path, "dataVersion");
  if (!mark || !version) {
    const int error = mark ? version.error() : mark.error();
    return is_absence(error) ? Answer<Sight>(Sight{}) : std::unexpected(error);
  }
  sight.mark = *mark;
  if (command.version) sight.version = *version;
  return sight;
}

Answer<std::string> value_of(const std::string& path, const Sight& sight) {
  if (sight.link) {
    std::array<char, PATH_MAX> target{};
    const ssize_t size = readlink(path.c_str(), target.data(), target.size());
    if (size < 0) return std::unexpected(errno);
    return std::string(target.data(), static_cast<std::size_t>(size));
  }
  const auto source = value_path(path);
  if (!source) return std::unexpected(source.error());
  const Descriptor file(open(source->c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return std::unexpected(errno);
  return read_all(file.get(), limits::kFrameBytesMax);
}

bool same_value(std::string value, std::string wanted) {
  if (value.ends_with('\n')) value.pop_back();
  if (wanted.ends_with('\n')) wanted.pop_back();
  return value == wanted;
}

class Waiter {
 public:
  Waiter(const WaitCommand& command, std::string root, std::string path)
      : command_(command), root_(std::move(root)), path_(std::move(path)) {}

  int run() {
    auto watch = PathWatch::open(root_, path_);
    if (!watch) return complain("inotify", std::strerror(watch.error()));
    std::size_t looks = kSecondLooks.size();
    while (true) {
      if (const auto armed = watch->arm(); !armed) return lost(armed.error());
      if (const auto code = decide()) return *code;
      const bool again = looks < kSecondLooks.size();
      const auto event = watch->wait(again ? kSecondLooks.at(looks) : kPulse);
      if (!event) return complain("inotify", std::strerror(event.error()));
      if (*event) {
        looks = 0;
      } else if (again) {
        ++looks;
      } else if (const auto alive = pulse(*watch); alive) {
        return *alive;
      }
    }
  }

 private:
  // Waits on as long as nothing but the time passes; the exit code if the server died. Nothing if
  // it is time to look.
  std::optional<int> pulse(PathWatch& watch) {
    while (true) {
      if (const auto there = require_zkfs_directory(root_); !there) return lost(there.error());
      const auto event = watch.wait(kPulse);
      if (!event) return complain("inotify", std::strerror(event.error()));
      if (*event || blind_) return std::nullopt;
    }
  }

  int lost(int error) const {
    if (error == kNotZkfs || error == ENOENT)
      return complain(root_, "was unmounted; start zkfs serve again");
    if (error == ENOSPC)
      return complain("inotify", "no watch is left; raise fs.inotify.max_user_watches");
    return complain_errno(root_, error);
  }

  bool holds(const Sight& sight) const {
    switch (command_.what) {
      case For::kExists:
        return sight.exists;
      case For::kGone:
        return !sight.exists;
      case For::kChanged:
        if (command_.version)
          return !sight.exists || sight.version != std::to_string(*command_.version);
        return sight != *before_;
      case For::kChildren:
        return sight != *before_;
    }
    return false;
  }

  // The exit code if the waiting is over.
  std::optional<int> decide() {
    if (const auto there = require_zkfs_directory(root_); !there) return lost(there.error());
    const auto sight = look(command_, path_);
    // A strict mount without a quorum shows nothing, so nothing of it can be watched.
    blind_ = !sight && sight.error() == EIO;
    if (blind_) return std::nullopt;
    if (!sight) return complain_errno(path_, sight.error());
    if (!before_) before_ = *sight;
    if (!holds(*sight)) return std::nullopt;
    if (command_.what == For::kChildren && command_.print && sight->exists)
      return run_ls({.path = path_});
    if (!command_.value && !command_.print) return kExitYes;
    if (!sight->exists) return command_.value ? std::nullopt : std::optional<int>(kExitYes);
    const auto value = value_of(path_, *sight);
    // Gone meanwhile: its event comes.
    if (!value) return std::nullopt;
    if (command_.value && !same_value(*value, *command_.value)) return std::nullopt;
    return command_.print ? print_all(*value) : kExitYes;
  }

  const WaitCommand& command_;
  std::string root_;
  std::string path_;
  std::optional<Sight> before_;
  bool blind_ = false;
};

// The highest directory above (or at) `path` that is in the mount: the mount point.
Answer<std::string> root_of(const std::string& path) {
  std::string at = path;
  auto there = require_zkfs_directory(at);
  while (!there && is_absence(there.error()) && directory_of(at) != at) {
    at = directory_of(at);
    there = require_zkfs_directory(at);
  }
  if (!there) return std::unexpected(there.error());
  while (directory_of(at) != at && require_zkfs_directory(directory_of(at))) at = directory_of(at);
  return at;
}

int wait_for(const WaitCommand& command) {
  std::error_code error;
  const auto whole = std::filesystem::absolute(command.path, error).lexically_normal().string();
  const std::string path = without_slashes(whole);
  const auto root = root_of(path);
  if (!root) return complain_errno(command.path, root.error());
  return Waiter(command, *root, path).run();
}

}  // namespace

int run_wait(const WaitCommand& command) {
  if (!command.timeout) return wait_for(command);
  const auto code = run_within(*command.timeout, [&command] { return wait_for(command); });
  if (code) return *code;
  return complain(command.path, "timed out; zkfs status tells whether the server lives",
                  kExitTimedOut);
}

}  // namespace zkfs
