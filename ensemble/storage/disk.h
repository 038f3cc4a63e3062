// SPDX-License-Identifier: Apache-2.0
// Disk and File: the ports through which storage touches the world. PosixDisk is the real one;
// tests/support/sim_disk.h forgets what was not synced, tears writes, fails and fills up. All paths
// are relative to the disk's root (one data directory), '/' separated. Every Problem names the
// path, what was tried, errno's text and, where there is one, the remedy. Blocking; used by one
// thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ensemble/base/blob.h"
#include "ensemble/base/error.h"

namespace zkfs::storage {

class File {
 public:
  virtual ~File() = default;
  // Writes all of `bytes` at `offset`, beyond the end as well.
  virtual Expected<void> write_at(std::uint64_t offset, ByteView bytes) = 0;
  // Up to `size` bytes from `offset`; shorter only at the end of the file.
  virtual Expected<std::string> read_at(std::uint64_t offset, std::size_t size) = 0;
  // fdatasync: everything written, and the size, survives power loss afterwards. After a failure
  // the file's state is unknown: the caller must stop (fsync errors are reported once, and the
  // kernel may drop the pages).
  virtual Expected<void> sync() = 0;
  virtual Expected<std::uint64_t> size() = 0;
  virtual Expected<void> truncate(std::uint64_t size) = 0;
  // Reserves room to `size`, at least the present size, which becomes the size; what is new reads
  // as zeros. Fails if there is no room. Not durable before sync().
  virtual Expected<void> reserve(std::uint64_t size) = 0;
};

class Disk {
 public:
  virtual ~Disk() = default;
  // Opens for reading and writing; fails if it does not exist.
  virtual Expected<std::unique_ptr<File>> open(const std::string& path) = 0;
  // Creates, or empties what is there. The name is durable only after sync_directory of its parent.
  virtual Expected<std::unique_ptr<File>> create(const std::string& path) = 0;
  virtual Expected<void> rename(const std::string& from, const std::string& to) = 0;
  virtual Expected<void> remove(const std::string& path) = 0;
  // Names in a directory, sorted. An absent directory is empty.
  virtual Expected<std::vector<std::string>> list(const std::string& directory) = 0;
  virtual Expected<void> make_directory(const std::string& path) = 0;
  virtual Expected<void> sync_directory(const std::string& path) = 0;
  [[nodiscard]] virtual bool exists(const std::string& path) = 0;
  // Keeps every other process off `path` until this object dies. Fails with a Problem that names
  // the holder's pid when it is held.
  virtual Expected<void> lock(const std::string& path) = 0;
  // For messages: the absolute name of `path`.
  [[nodiscard]] virtual std::string describe(const std::string& path) const = 0;
};

}  // namespace zkfs::storage
