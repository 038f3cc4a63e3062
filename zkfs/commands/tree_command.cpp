// SPDX-License-Identifier: Apache-2.0
#include "zkfs/commands/tree_command.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <memory>

#include <fmt/format.h>
#include <limits.h>

#include "zkfs/commands/client.h"

namespace zkfs {
namespace {

// A directory's own data, which is no child.
constexpr std::string_view kDataEntry = ".@data";
// How often a directory is emptied again because others keep putting things into it.
constexpr int kAttemptsMax = 16;

Answer<std::vector<std::string>> names_in(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(opendir(directory.c_str()), closedir);
  if (!listing) return std::unexpected(errno);
  std::vector<std::string> names;
  while (true) {
    errno = 0;
    const dirent* entry = readdir(listing.get());
    if (entry == nullptr && errno != 0) return std::unexpected(errno);
    if (entry == nullptr) break;
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  // By bytes: the same order everywhere, whatever the locale.
  std::ranges::sort(names);
  return names;
}

Answer<struct stat> status_of(const std::string& path) {
  struct stat status {};

  if (lstat(path.c_str(), &status) != 0) return std::unexpected(errno);
  return status;
}

// UTC, with milliseconds: "2026-11-21T15:04:05.123Z".
std::string time_text(const timespec& time) {
  struct tm parts {};

  gmtime_r(&time.tv_sec, &parts);
  std::array<char, 32> text{};
  const std::size_t size = strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  return fmt::format("{}.{:03}Z", std::string_view(text.data(), size), time.tv_nsec / 1'000'000);
}

std::string_view kind_text(const struct stat& status) {
  if (S_ISDIR(status.st_mode)) return "directory";
  return S_ISLNK(status.st_mode) ? "symlink" : "file";
}

std::string target_of(const std::string& path) {
  std::array<char, PATH_MAX> target{};
  const ssize_t size = readlink(path.c_str(), target.data(), target.size());
  return {target.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

// One line of ls -l; nothing if the znode is gone.
Answer<std::string> detailed(const std::string& path, const std::string& shown) {
  const auto status = status_of(path);
  if (!status) return std::unexpected(status.error());
  const bool link = S_ISLNK(status->st_mode);
  const auto length = attribute(path, "dataLength");
  if (!length && length.error() == ENOENT) return std::unexpected(ENOENT);
  return fmt::format(
      "{:<9} {:<10} {:>6} {:>8} {} {:>18} {}{}\n", kind_text(*status),
      attribute(path, "type").value_or("-"), attribute(path, "dataVersion").value_or("-"),
      length ? *length : std::to_string(status->st_size), time_text(status->st_mtim),
      attribute(path, "ephemeralOwner").value_or("-"), shown, link ? " -> " + target_of(path) : "");
}

class Lister {
 public:
  explicit Lister(const LsCommand& command) : command_(command) {}

  int list(const std::string& directory, const std::string& prefix) {
    const auto names = names_in(directory);
    // Gone since its parent was read.
    if (!names && !prefix.empty() && names.error() == ENOENT) return kExitYes;
    if (!names) return complain_errno(directory, names.error());
    int worst = kExitYes;
    for (const std::string& name : *names) {
      if (name == kDataEntry || name.starts_with(kTemporaryPrefix)) continue;
      worst = std::max(worst, show(joined(directory, name), prefix + name));
    }
    return worst;
  }

  int show(const std::string& path, const std::string& shown) {
    if (!command_.details) {
      fmt::print("{}\n", shown);
    } else if (const auto line = detailed(path, shown)) {
      fmt::print("{}", *line);
    } else {
      return line.error() == ENOENT ? kExitYes : complain_errno(path, line.error());
    }
    if (!command_.recursive) return kExitYes;
    const auto status = status_of(path);
    if (!status || !S_ISDIR(status->st_mode)) return kExitYes;
    return list(path, shown + "/");
  }

 private:
  const LsCommand& command_;
};

Answer<void> remove_all(const std::string& path);

Answer<void> empty_directory(const std::string& path) {
  const auto names = names_in(path);
  if (!names) return std::unexpected(names.error());
  for (const std::string& name : *names) {
    // Removed by another: as asked for.
    const auto removed = remove_all(joined(path, name));
    if (!removed && removed.error() != ENOENT) return removed;
  }
  return {};
}

Answer<void> remove_one(const std::string& path) {
  const auto status = status_of(path);
  if (!status) return std::unexpected(status.error());
  const bool directory = S_ISDIR(status->st_mode);
  if ((directory ? rmdir(path.c_str()) : unlink(path.c_str())) != 0) return std::unexpected(errno);
  return {};
}

Answer<void> remove_all(const std::string& path) {
  auto removed = remove_one(path);
  for (int i = 0; i < kAttemptsMax && !removed && removed.error() == ENOTEMPTY; ++i) {
    if (const auto emptied = empty_directory(path); !emptied) return emptied;
    removed = remove_one(path);
  }
  return removed;
}

void add_line(std::string& text, std::string_view name, const Answer<std::string>& value) {
  if (value && !value->empty()) text += fmt::format("{} = {}\n", name, *value);
}

}  // namespace

int run_ls(const LsCommand& command) {
  std::string path = without_slashes(command.path);
  auto there = require_zkfs(path);
  // A symbolic link from elsewhere, such as /zk: what it leads to.
  if (!there && there.error() == kNotZkfs && require_zkfs_directory(path)) {
    path = joined(path, ".");
    there = {};
  }
  if (!there) return complain_errno(path, there.error());
  const auto status = status_of(path);
  if (!status) return complain_errno(path, status.error());
  Lister lister(command);
  const int listed =
      S_ISDIR(status->st_mode) ? lister.list(path, "") : lister.show(path, command.path);
  return std::max(listed, print_all(""));
}

int run_stat(const StatCommand& command) {
  const std::string path = without_slashes(command.path);
  if (const auto there = require_zkfs(path); !there) return complain_errno(path, there.error());
  const auto status = status_of(path);
  if (!status) return complain_errno(path, status.error());
  std::string text;
  if (S_ISLNK(status->st_mode)) {
    // The kernel keeps user attributes off links: what lstat(2) tells.
    const auto above = attribute(directory_of(path), "path");
    if (above) add_line(text, "path", joined(*above, name_of(path)));
    text +=
        fmt::format("kind = symlink\ntarget = {}\nino = {}\nmtime = {}\ndataLength = {}\n",
                    target_of(path), status->st_ino, time_text(status->st_mtim), status->st_size);
    return print_all(text);
  }
  const auto block = attribute(path, "stat");
  if (!block) return complain_errno(path, block.error());
  add_line(text, "path", attribute(path, "path"));
  add_line(text, "kind", std::string(kind_text(*status)));
  add_line(text, "type", attribute(path, "type"));
  text += fmt::format("ino = {}\n", status->st_ino);
  text += *block;
  add_line(text, "ttl", attribute(path, "ttl"));
  add_line(text, "owner", attribute(path, "owner"));
  add_line(text, "acl", attribute(path, "acl"));
  add_line(text, "stale", attribute(path, "stale"));
  add_line(text, "error", attribute(path, "error"));
  return print_all(text);
}

int run_rm(const RmCommand& command) {
  int first = kExitYes;
  for (const std::string& given : command.paths) {
    const std::string path = without_slashes(given);
    auto removed = require_zkfs(path);
    if (removed) removed = command.recursive ? remove_all(path) : remove_one(path);
    if (removed) continue;
    const int code = removed.error() == EBUSY ? complain(path, "the mount point stays")
                                              : complain_errno(path, removed.error());
    if (first == kExitYes) first = code;
  }
  return first;
}

}  // namespace zkfs
