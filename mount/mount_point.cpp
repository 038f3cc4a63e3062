// SPDX-License-Identifier: Apache-2.0
#include "mount/mount_point.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <sstream>

#include <fmt/core.h>

#include "ensemble/base/log.h"
#include "mount/fusermount.h"

namespace zkfs::mount {

namespace {

std::unexpected<Problem> problem(std::string text) {
  return std::unexpected(Problem{std::move(text)});
}

// mountinfo writes blanks and the like as \ooo.
std::string unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '\\' && i + 3 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 4, value, 8).ec == std::errc{}) {
      plain += static_cast<char>(value);
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

// The topmost mount at `path`.
std::optional<MountEntry> topmost(const std::string& path) {
  std::optional<MountEntry> found;
  for (MountEntry& entry : mounts_of_this_process()) {
    if (entry.path == path) found = std::move(entry);
  }
  return found;
}

bool is_empty(const std::string& path) {
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return true;
  bool empty = true;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") empty = false;
  }
  ::closedir(directory);
  return empty;
}

bool is_superuser() {
  return ::geteuid() == 0;
}

unsigned long mount_flags(const MountOptions& options) {
  unsigned long flags = MS_NOSUID | MS_NODEV;
  if (!options.exec) flags |= MS_NOEXEC;
  return flags;
}

}  // namespace

std::vector<MountEntry> parse_mountinfo(std::string_view text) {
  std::vector<MountEntry> entries;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::vector<std::string> fields;
    for (std::string word; words >> word;) fields.push_back(word);
    std::size_t separator = 6;
    while (separator < fields.size() && fields[separator] != "-") ++separator;
    if (separator + 2 >= fields.size()) continue;
    MountEntry entry;
    std::from_chars(fields[0].data(), fields[0].data() + fields[0].size(), entry.id);
    entry.device = fields[2];
    entry.path = unescape(fields[4]);
    entry.type = fields[separator + 1];
    entry.source = unescape(fields[separator + 2]);
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::vector<MountEntry> mounts_of_this_process() {
  std::ifstream file("/proc/self/mountinfo");
  std::stringstream text;
  text << file.rdbuf();
  return parse_mountinfo(text.str());
}

MountPoint::MountPoint(asio::io_context& context) : mountinfo_(context) {}

MountPoint::~MountPoint() {
  *alive_ = false;
}

// The checks touch the directory below, never a mount of a living daemon's: a zkfs that answers is
// refused by its line in mountinfo.
// `taken_over`: what was mounted here died just now; a program that tried again in the gap may have
// made something in the directory below, which is no reason to stay away.
Expected<void> MountPoint::prepare(const std::string& path, bool taken_over) {
  struct stat attr {};

  if (::stat(path.c_str(), &attr) != 0 && errno == ENOTCONN) {
    const auto dead = topmost(path);
    if (!dead || dead->type != kFilesystemType) {
      return problem(fmt::format("{}: a dead mount that is not ours; unmount it first", path));
    }
    ZKFS_LOG_INFO(mount, "taking over the dead mount at {}", path);
    if (!is_superuser()) {
      ZKFS_TRY(fusermount_unmount(path));
    } else if (::umount2(path.c_str(), MNT_DETACH) != 0) {
      return problem(
          fmt::format("{}: cannot unmount the dead mount: {}", path, std::strerror(errno)));
    }
    return prepare(path, true);
  }
  if (::stat(path.c_str(), &attr) != 0) {
    return problem(fmt::format("mount point {}: {}; create it first", path, std::strerror(errno)));
  }
  if (!S_ISDIR(attr.st_mode)) {
    return problem(fmt::format("mount point {} is not a directory; name a directory", path));
  }
  if (const auto mounted = topmost(path); mounted && mounted->type == kFilesystemType) {
    return problem(fmt::format("a zkfs is mounted at {} already; unmount it first", path));
  }
  if (!is_empty(path) && taken_over) {
    ZKFS_LOG_WARN(mount, "{}: something was made below the dead mount; it is hidden now", path);
  } else if (!is_empty(path)) {
    return problem(fmt::format("mount point {} is not empty; name an empty directory", path));
  }
  return {};
}

Expected<int> MountPoint::mount(const MountOptions& options) {
  path_ = options.mountpoint;
  while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
  ZKFS_TRY(prepare(path_));
  if (!is_superuser()) {
    const auto mounted = fusermount(path_, options);
    if (const auto entry = topmost(path_); mounted && entry) id_ = entry->id;
    return mounted;
  }
  const int fd = ::open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    const char* remedy = errno == ENOENT ? "load the fuse module (modprobe fuse)"
                                         : "run as root, or give this user access to it";
    return problem(fmt::format("/dev/fuse: {}; {}", std::strerror(errno), remedy));
  }
  const std::string text =
      fmt::format("fd={},rootmode=40000,user_id={},group_id={}{}", fd, ::getuid(), ::getgid(),
                  options.allow_other ? ",allow_other,default_permissions" : "");
  if (::mount(options.source.c_str(), path_.c_str(), kFilesystemType.data(), mount_flags(options),
              text.c_str()) != 0) {
    const int error = errno;
    ::close(fd);
    return problem(fmt::format("mounting at {}: {}{}", path_, std::strerror(error),
                               error == EPERM ? "; run as root" : ""));
  }
  // Read-only is this mount, not the filesystem below it: the event workers' private clone must be
  // able to perform the changes that they replay. Changing a mount's flags asks the filesystem
  // nothing.
  if (options.read_only &&
      ::mount(nullptr, path_.c_str(), nullptr,
              MS_REMOUNT | MS_BIND | MS_RDONLY | mount_flags(options), nullptr) != 0) {
    const int error = errno;
    ::close(fd);
    ::umount2(path_.c_str(), MNT_DETACH);
    return problem(fmt::format("making {} read-only: {}", path_, std::strerror(error)));
  }
  if (const auto entry = topmost(path_)) id_ = entry->id;
  return fd;
}

Expected<void> MountPoint::take_over(const std::string& path) {
  path_ = path;
  const auto entry = topmost(path_);
  if (!entry || entry->type != kFilesystemType) {
    return problem(fmt::format("{}: the mount to be taken over is gone", path_));
  }
  id_ = entry->id;
  return {};
}

std::optional<MountEntry> MountPoint::find() const {
  for (MountEntry& entry : mounts_of_this_process()) {
    if (entry.id == id_ && entry.type == kFilesystemType) return entry;
  }
  return {};
}

void MountPoint::watch(std::function<void()> gone) {
  gone_ = std::move(gone);
  const int fd = ::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;  // the connection's end will tell
  mountinfo_.assign(fd);
  wait();
}

// The file polls as exceptional whenever a mount comes or goes.
void MountPoint::wait() {
  mountinfo_.async_wait(asio::posix::stream_descriptor::wait_error,
                        [this, alive = alive_](const asio::error_code& error) {
                          if (error || !*alive) return;
                          if (id_ != 0 && !find()) {
                            id_ = 0;
                            if (gone_) std::exchange(gone_, nullptr)();
                            return;
                          }
                          wait();
                        });
}

void MountPoint::unmount() {
  asio::error_code ignored;
  mountinfo_.close(ignored);
  gone_ = nullptr;
  if (id_ == 0) return;
  const auto entry = find();
  id_ = 0;
  if (!entry) return;
  if (!is_superuser()) {
    if (const auto done = fusermount_unmount(entry->path); !done) {
      ZKFS_LOG_WARN(mount, "{}", done.error().text);
    }
    return;
  }
  // It may have been moved.
  if (::umount2(entry->path.c_str(), UMOUNT_NOFOLLOW) == 0) return;
  if (::umount2(entry->path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0) {
    ZKFS_LOG_WARN(mount, "unmounting {}: {}", entry->path, std::strerror(errno));
  }
}

}  // namespace zkfs::mount
