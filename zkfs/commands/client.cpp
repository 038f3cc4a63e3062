// SPDX-License-Identifier: Apache-2.0
#include "zkfs/commands/client.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>

#include <fmt/format.h>

#include "ensemble/base/limits.h"

namespace zkfs {
namespace {

constexpr std::size_t kPageBytes = 4096;
constexpr std::string_view kDataEntry = ".@data";

// Without a quorum a mount says for how long in this attribute; a strict one does not even answer.
bool without_quorum(const std::string& path) {
  const auto stale = attribute(path, "stale");
  if (stale) return true;
  if (stale.error() == ENOENT && directory_of(path) != path)
    return without_quorum(directory_of(path));
  return stale.error() == EIO;
}

bool read_only(const std::string& path) {
  struct statvfs room {};

  return (statvfs(path.c_str(), &room) == 0 || statvfs(directory_of(path).c_str(), &room) == 0) &&
         (room.f_flag & ST_RDONLY) != 0;
}

std::string text_of(int error) {
  switch (error) {
    case ENOENT:
      return "does not exist";
    case EEXIST:
      return "exists";
    case ENOTEMPTY:
      return "not empty; -r removes what is in it too";
    case ENOTDIR:
      return "not a directory, or below something that is none";
    case EISDIR:
      return "is a directory";
    case ESTALE:
      return "was changed or removed by another meanwhile; look again";
    case EACCES:
    case EPERM:
      return "permission denied; zkfs stat tells the ACL";
    case EFBIG:
      return fmt::format("a value has at most {} bytes", limits::kDataBytesMax);
    case ENOLCK:
      return "this server's mount has too many locks";
    case EDQUOT:
      return "quota exceeded";
    case EINVAL:
      return "not a name for a znode, or a marker (@seq, @eph, @ttl, @container) in it has a bad "
             "argument; see zkfs(7)";
    case ENAMETOOLONG:
      return fmt::format("a name has at most {} bytes", limits::kNameBytesMax);
    case ENOTCONN:
    case ECONNABORTED:
      return "the server is gone; start zkfs serve again, or umount it";
    case EOPNOTSUPP:
      return "this server cannot do that; a newer zkfs serve may";
    case kNotZkfs:
      return "not in a zkfs; zkfs status lists the mount points";
    default:
      return std::strerror(error);
  }
}

template <typename Get>
Answer<std::string> sized(Get&& get) {
  std::string text(256, '\0');
  while (true) {
    const ssize_t size = get(text.data(), text.size());
    if (size >= 0) {
      text.resize(static_cast<std::size_t>(size));
      return text;
    }
    if (errno != ERANGE) return std::unexpected(errno);
    text.resize(text.size() * 4);
  }
}

std::string attribute_name(std::string_view name) {
  return "user.zk." + std::string(name);
}

}  // namespace

int Descriptor::close() {
  const int fd = std::exchange(fd_, -1);
  return fd < 0 || ::close(fd) == 0 ? 0 : errno;
}

int complain(std::string_view thing, std::string_view what, int code) {
  std::fflush(stdout);
  fmt::print(stderr, "zkfs: {}: {}\n", thing, what);
  return code;
}

int complain_errno(const std::string& path, int error) {
  if (error == EROFS && read_only(path))
    return complain(path, "mounted read-only; mount without the option ro");
  if (error == EROFS || ((error == EIO || error == ENOLCK) && without_quorum(path)))
    return complain(path, "no quorum; zkfs status tells which servers are missing", kExitNoQuorum);
  return complain(path, text_of(error));
}

std::string without_slashes(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

std::string directory_of(const std::string& path) {
  const std::string whole = without_slashes(path);
  const auto slash = whole.rfind('/');
  if (slash == std::string::npos) return ".";
  return without_slashes(whole.substr(0, slash + 1));
}

std::string name_of(const std::string& path) {
  const std::string whole = without_slashes(path);
  const auto slash = whole.rfind('/');
  return slash == std::string::npos ? whole : whole.substr(slash + 1);
}

std::string joined(const std::string& directory, const std::string& name) {
  if (directory == "." || directory.empty()) return name;
  return directory.ends_with('/') ? directory + name : directory + "/" + name;
}

Answer<void> require_zkfs(const std::string& path) {
  auto found = attribute(path, "path");

  struct stat status {};

  // A symbolic link has no attributes that we could see.
  if (!found && found.error() == ENODATA && lstat(path.c_str(), &status) == 0 &&
      S_ISLNK(status.st_mode)) {
    found = attribute(directory_of(path), "path");
  }
  // EIO: a strict mount without a quorum; whoever asks for more learns it then.
  if (found || found.error() == EIO) return {};
  const bool foreign = found.error() == ENODATA || found.error() == EOPNOTSUPP;
  return std::unexpected(foreign ? kNotZkfs : found.error());
}

Answer<void> require_zkfs_directory(const std::string& path) {
  auto there = require_zkfs(path);
  if (!there && there.error() == kNotZkfs && require_zkfs(joined(path, "."))) return {};
  return there;
}

Answer<std::string> attribute(const std::string& path, std::string_view name) {
  return sized([&, key = attribute_name(name)](char* at, std::size_t size) {
    return lgetxattr(path.c_str(), key.c_str(), at, size);
  });
}

Answer<std::string> attribute(int fd, std::string_view name) {
  return sized([&, key = attribute_name(name)](char* at, std::size_t size) {
    return fgetxattr(fd, key.c_str(), at, size);
  });
}

Answer<std::string> value_path(const std::string& path) {
  struct stat found {};

  if (stat(path.c_str(), &found) != 0) return std::unexpected(errno);
  return S_ISDIR(found.st_mode) ? joined(path, std::string(kDataEntry)) : path;
}

Answer<std::string> read_all(int fd, std::size_t bytes_max) {
  std::string value;
  std::array<char, 65536> buffer{};
  while (true) {
    const ssize_t count = read(fd, buffer.data(), buffer.size());
    if (count == 0) return value;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::unexpected(errno);
    value.append(buffer.data(), static_cast<std::size_t>(count));
    if (value.size() > bytes_max) return std::unexpected(EFBIG);
  }
}

int write_whole(int fd, std::string_view bytes) {
  // On a page of its own, or the kernel could need one page more than fits one request.
  const auto free_it = [](char* at) { operator delete[](at, std::align_val_t{kPageBytes}); };
  const std::unique_ptr<char[], decltype(free_it)> buffer(
      new (std::align_val_t{kPageBytes}) char[bytes.size() + 1], free_it);
  bytes.copy(buffer.get(), bytes.size());
  const ssize_t count = write(fd, buffer.get(), bytes.size());
  if (count < 0) return errno;
  return static_cast<std::size_t>(count) == bytes.size() ? 0 : EIO;
}

int print_all(std::string_view text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (written && std::fflush(stdout) == 0) return kExitYes;
  return complain("standard output", std::strerror(errno));
}

}  // namespace zkfs
