// SPDX-License-Identifier: Apache-2.0
#include "ensemble/storage/posix_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "ensemble/base/check.h"

namespace zkfs::storage {
namespace {

// What is in a data directory is whatever the znodes' ACLs protect: for its owner only.
constexpr mode_t kDirectoryMode = 0700;
constexpr mode_t kFileMode = 0600;

std::string_view remedy(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "; free space or pass another --data-dir";
    case EFBIG:
      return "; raise the limit of file sizes (ulimit -f)";
    case EACCES:
    case EPERM:
    case EROFS:
      return "; check the directory's owner and permissions or pass another --data-dir";
    case ENOTDIR:
      return "; a file is in the way: move it or pass another --data-dir";
    case EMFILE:
    case ENFILE:
      return "; raise the limit of open files (ulimit -n)";
    case EIO:
      return "; the device failed: check the kernel's log and replace it, or pass another "
             "--data-dir";
    default:
      return "";
  }
}

std::unexpected<Problem> failure(std::string_view name, std::string_view operation, int error) {
  return std::unexpected(
      Problem{fmt::format("{}: {} failed: {}{}", name, operation,
                          std::generic_category().message(error), remedy(error))});
}

// Calls `call` again as long as a signal interrupts it.
template <typename Call>
auto retried(Call&& call) {
  while (true) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}

  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

  // What close could still report has been reported by sync before; there is nobody left to tell.
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }

  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

class PosixFile final : public File {
 public:
  PosixFile(Descriptor fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}

  Expected<void> write_at(std::uint64_t offset, ByteView bytes) override {
    for (std::size_t done = 0; done < bytes.size();) {
      const ssize_t count = retried([&] {
        return ::pwrite(fd_.get(), bytes.data() + done, bytes.size() - done,
                        static_cast<off_t>(offset + done));
      });
      if (count < 0) {
        const int error = errno;
        return failure(name_, fmt::format("writing {} bytes at offset {}", bytes.size(), offset),
                       error);
      }
      done += static_cast<std::size_t>(count);
    }
    return {};
  }

  Expected<std::string> read_at(std::uint64_t offset, std::size_t size) override {
    std::string bytes(size, '\0');
    std::size_t done = 0;
    while (done < size) {
      const ssize_t count = retried([&] {
        return ::pread(fd_.get(), bytes.data() + done, size - done,
                       static_cast<off_t>(offset + done));
      });
      if (count < 0) {
        const int error = errno;
        return failure(name_, fmt::format("reading {} bytes at offset {}", size, offset), error);
      }
      if (count == 0) break;
      done += static_cast<std::size_t>(count);
    }
    bytes.resize(done);
    return bytes;
  }

  Expected<void> sync() override {
    if (retried([&] { return ::fdatasync(fd_.get()); }) == 0) return {};
    return failure(name_, "fdatasync", errno);
  }

  Expected<std::uint64_t> size() override {
    struct stat status {};

    if (::fstat(fd_.get(), &status) == 0) return static_cast<std::uint64_t>(status.st_size);
    return failure(name_, "fstat", errno);
  }

  Expected<void> truncate(std::uint64_t size) override {
    if (retried([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(size)); }) == 0) return {};
    return failure(name_, fmt::format("truncating to {} bytes", size), errno);
  }

  // For one contiguous extent and an early "no space". A filesystem that cannot reserve gets the
  // size alone.
  Expected<void> reserve(std::uint64_t size) override {
    const auto present = this->size();
    if (!present) return std::unexpected(present.error());
    ZKFS_CHECK(size >= *present, "{}: reserving {} bytes of {}", name_, size, *present);
    if (size == *present) return {};
    const auto length = static_cast<off_t>(size - *present);
    if (retried([&] { return ::fallocate(fd_.get(), 0, static_cast<off_t>(*present), length); }) ==
        0) {
      return {};
    }
    if (errno == EOPNOTSUPP) return truncate(size);
    return failure(name_, fmt::format("reserving {} bytes at offset {}", length, *present), errno);
  }

 private:
  Descriptor fd_;
  std::string name_;
};

class PosixDisk final : public Disk {
 public:
  PosixDisk(Descriptor root, std::string name) : root_(std::move(root)), name_(std::move(name)) {}

  Expected<std::unique_ptr<File>> open(const std::string& path) override {
    return open_file(path, O_RDWR, "open");
  }

  Expected<std::unique_ptr<File>> create(const std::string& path) override {
    return open_file(path, O_RDWR | O_CREAT | O_TRUNC, "creating");
  }

  Expected<void> rename(const std::string& from, const std::string& to) override {
    if (::renameat(root_.get(), from.c_str(), root_.get(), to.c_str()) == 0) return {};
    return failure(describe(from), fmt::format("renaming to {}", to), errno);
  }

  Expected<void> remove(const std::string& path) override {
    if (::unlinkat(root_.get(), path.c_str(), 0) == 0) return {};
    return failure(describe(path), "removing", errno);
  }

  Expected<std::vector<std::string>> list(const std::string& directory) override {
    const int fd = ::openat(root_.get(), or_dot(directory), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return std::vector<std::string>{};
    if (fd < 0) return failure(describe(directory), "opening the directory", errno);
    DIR* stream = ::fdopendir(fd);
    if (stream == nullptr) {
      const int error = errno;
      ::close(fd);
      return failure(describe(directory), "opening the directory", error);
    }
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(stream)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
      errno = 0;
    }
    const int error = errno;
    ::closedir(stream);
    if (error != 0) return failure(describe(directory), "reading the directory", error);
    std::ranges::sort(names);
    return names;
  }

  Expected<void> make_directory(const std::string& path) override {
    if (::mkdirat(root_.get(), path.c_str(), kDirectoryMode) == 0 || errno == EEXIST) return {};
    return failure(describe(path), "making the directory", errno);
  }

  Expected<void> sync_directory(const std::string& path) override {
    const Descriptor fd(::openat(root_.get(), or_dot(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() < 0) return failure(describe(path), "opening the directory", errno);
    if (retried([&] { return ::fsync(fd.get()); }) == 0) return {};
    return failure(describe(path), "fsync of the directory", errno);
  }

  [[nodiscard]] bool exists(const std::string& path) override {
    return ::faccessat(root_.get(), path.c_str(), F_OK, 0) == 0;
  }

  // flock: held by this open file and whatever inherits it. A child that is forked must exec (the
  // descriptor is close-on-exec) or close it.
  Expected<void> lock(const std::string& path) override {
    Descriptor fd(::openat(root_.get(), path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kFileMode));
    if (fd.get() < 0) return failure(describe(path), "opening the lock file", errno);
    if (retried([&] { return ::flock(fd.get(), LOCK_EX | LOCK_NB); }) != 0) {
      const int error = errno;
      return error == EWOULDBLOCK ? held(fd.get(), path)
                                  : failure(describe(path), "locking", error);
    }
    const std::string pid = fmt::format("{}\n", ::getpid());
    if (::ftruncate(fd.get(), 0) != 0) return failure(describe(path), "truncating", errno);
    if (retried([&] { return ::pwrite(fd.get(), pid.data(), pid.size(), 0); }) < 0) {
      return failure(describe(path), "writing the pid", errno);
    }
    locks_.push_back(std::move(fd));
    return {};
  }

  [[nodiscard]] std::string describe(const std::string& path) const override {
    return path.empty() ? name_
                        : fmt::format("{}{}{}", name_, name_.ends_with('/') ? "" : "/", path);
  }

 private:
  static const char* or_dot(const std::string& path) { return path.empty() ? "." : path.c_str(); }

  Expected<std::unique_ptr<File>> open_file(const std::string& path,
                                            int flags,
                                            std::string_view operation) {
    Descriptor fd(
        retried([&] { return ::openat(root_.get(), path.c_str(), flags | O_CLOEXEC, kFileMode); }));
    if (fd.get() < 0) return failure(describe(path), operation, errno);
    return std::make_unique<PosixFile>(std::move(fd), describe(path));
  }

  std::unexpected<Problem> held(int fd, const std::string& path) {
    std::array<char, 32> text{};
    const ssize_t count = retried([&] { return ::pread(fd, text.data(), text.size(), 0); });
    std::string_view pid(text.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
    while (pid.ends_with('\n')) pid.remove_suffix(1);
    return std::unexpected(
        Problem{fmt::format("{}: is held by process {}; stop that one or pass another --data-dir",
                            describe(path), pid.empty() ? std::string_view{"unknown"} : pid)});
  }

  Descriptor root_;
  std::string name_;
  std::vector<Descriptor> locks_;
};

Expected<void> sync_path(const std::filesystem::path& directory) {
  const Descriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) return failure(directory.native(), "opening the directory", errno);
  if (retried([&] { return ::fsync(fd.get()); }) == 0) return {};
  return failure(directory.native(), "fsync of the directory", errno);
}

// Makes the directory and its parents, each durable before the next.
Expected<void> make_directories(const std::filesystem::path& path) {
  std::filesystem::path made;
  for (const auto& part : path) {
    const std::filesystem::path parent = made;
    made /= part;
    if (::mkdir(made.c_str(), kDirectoryMode) == 0) {
      ZKFS_TRY(sync_path(parent));
      continue;
    }
    const int error = errno;

    struct stat status {};

    if (::stat(made.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) continue;
    return failure(made.native(), "making the directory", error == EEXIST ? ENOTDIR : error);
  }
  return {};
}

}  // namespace

Expected<std::unique_ptr<Disk>> open_posix_disk(const std::string& root) {
  std::error_code error;
  std::filesystem::path path = std::filesystem::absolute(root, error).lexically_normal();
  if (error) return failure(root, "finding the absolute path", error.value());
  if (!path.has_filename() && path.has_relative_path()) path = path.parent_path();
  ZKFS_TRY(make_directories(path));
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) return failure(path.native(), "opening the directory", errno);
  if (::faccessat(AT_FDCWD, path.c_str(), R_OK | W_OK | X_OK, AT_EACCESS) != 0) {
    return failure(path.native(), "access for writing", errno);
  }
  return std::make_unique<PosixDisk>(std::move(fd), path.native());
}

}  // namespace zkfs::storage
