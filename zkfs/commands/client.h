// SPDX-License-Identifier: Apache-2.0
// What the commands over a mount share. They are clients like any other program: system calls on
// paths, no socket to the server. Whatever fails is told by one line on standard error, "zkfs:
// PATH: what; remedy", and by the exit code (zkfs/options.h).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "ensemble/base/clock.h"
#include "ensemble/base/limits.h"
#include "zkfs/options.h"

namespace zkfs {

// In place of an errno: the path lies in another filesystem.
inline constexpr int kNotZkfs = -1;

// A result, or the errno of the call that failed.
template <typename T>
using Answer = std::expected<T, int>;

// Owns an open descriptor; -1 for none.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}

  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

  ~Descriptor() { close(); }

  [[nodiscard]] int get() const { return fd_; }

  explicit operator bool() const { return fd_ >= 0; }

  // The errno of close(2), which is where a commit fails; 0 if all went well or nothing was open.
  int close();

 private:
  int fd_;
};

// Prints the line and returns `code`.
int complain(std::string_view thing, std::string_view what, int code = kExitNo);
// The same for the errno of a call on `path`. What only the mount knows it asks: EROFS and EIO are
// kExitNoQuorum if the server is without a quorum.
int complain_errno(const std::string& path, int error);

// How the names begin under which create makes what it then renames. ls leaves them out.
inline constexpr std::string_view kTemporaryPrefix = ".zkfs-create-";

// Names. A path without slashes at its end ("/" stays), what is before the last component ("." if
// there is nothing), and the last component.
std::string without_slashes(std::string path);
std::string directory_of(const std::string& path);
std::string name_of(const std::string& path);
std::string joined(const std::string& directory, const std::string& name);

// Nothing if `path` lies in a mount of ours. Fails with kNotZkfs, or the errno of the
// question (ENOENT, ENOTCONN).
Answer<void> require_zkfs(const std::string& path);
// The same of a directory, which a symbolic link from elsewhere may lead to.
Answer<void> require_zkfs_directory(const std::string& path);

// An attribute `user.zk.<name>`. Not of symbolic links: the kernel keeps user attributes off them.
Answer<std::string> attribute(const std::string& path, std::string_view name);
Answer<std::string> attribute(int fd, std::string_view name);

// The path that has the value of what `path` names: a directory's is its entry `.@data`.
Answer<std::string> value_path(const std::string& path);

// From where the descriptor stands to the end. Fails with EFBIG beyond what a value may have: one
// that is to be set by the mount, or, with limits::kFrameBytesMax, one that a ZooKeeper client set.
Answer<std::string> read_all(int fd, std::size_t bytes_max = limits::kDataBytesMax);
// By one write(2), so that the mount makes one transaction of it; the errno of it.
int write_whole(int fd, std::string_view bytes);

// To standard output, and out of our buffers; kExitYes, or kExitNo after a complaint.
int print_all(std::string_view text);

}  // namespace zkfs
