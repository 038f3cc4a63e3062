// SPDX-License-Identifier: Apache-2.0
// SimDisk: a Disk in memory that loses what was not synced. Deterministic: the outcome of a crash
// depends on the calls before it and the Random given to it. One SimDisk is the disk of one
// machine; it outlives the Stores that are opened on it, one after the other.
//
// Fault model. At crash(random):
//   - File contents. Since the last sync() of a file each 512-byte sector that was written is
//     independently kept, dropped (its bytes as of the last sync, zeros beyond the former end), or
//     torn (old and new bytes on either side of some point within it). A size that changed is the
//     old one or the new one; growing by reserve counts as writing zeros.
//   - Names. Operations on a directory (create, rename, remove, make_directory) since its last
//     sync_directory survive as a prefix of their order, of any length. A file is lost with its
//     last name. Syncing a file does not make its name durable.
//   - The content of a file belongs to the file, not to its name: a rename that survives does not
//     make unsynced bytes durable.
//   - The lock is released, and Files opened before fail from then on.
//
// restart() is the death of the process alone: nothing is lost, nothing becomes durable, the lock
//   is released.
// stop_after(n): the machine stops n changes from now (write, sync, reserve, truncate, create,
//   rename, remove, make and sync directory). The one after them and all other calls fail and do
//   nothing until crash() or restart(). So a crash can fall between any two steps inside storage.
//   never_stop() takes it back.
// fail_sync(n), fail_write(n): the n-th one from now fails (1 is the next). A write that fails is
// done
//   by half. After a sync of a file that fails, what it should have made durable is still read, but
//   counts as clean (as in Linux's page cache): no later sync makes it durable, only writing it
//   anew.
// set_space(bytes): room for the contents of all files; a write or reserve beyond it fails with
//   "No space left on device".
// corrupt(path, offset): one byte changes for good, in what is durable too.
//
// Cost: memory of twice the files' sizes; a write is a copy and a few integers, a sync copies the
// sectors written since the last one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ensemble/base/random.h"
#include "ensemble/storage/disk.h"

namespace zkfs::testing {

class SimDisk final : public storage::Disk {
 public:
  static constexpr std::size_t kSectorBytes = 512;

  SimDisk();
  ~SimDisk() override;
  SimDisk(const SimDisk&) = delete;
  SimDisk& operator=(const SimDisk&) = delete;

  Expected<std::unique_ptr<storage::File>> open(const std::string& path) override;
  Expected<std::unique_ptr<storage::File>> create(const std::string& path) override;
  Expected<void> rename(const std::string& from, const std::string& to) override;
  Expected<void> remove(const std::string& path) override;
  Expected<std::vector<std::string>> list(const std::string& directory) override;
  Expected<void> make_directory(const std::string& path) override;
  Expected<void> sync_directory(const std::string& path) override;
  [[nodiscard]] bool exists(const std::string& path) override;
  Expected<void> lock(const std::string& path) override;
  // "/sim/<path>".
  [[nodiscard]] std::string describe(const std::string& path) const override;

  void crash(Random& random);
  // As a new disk: everything on it is gone, durable or not.
  void wipe();
  void restart();
  void stop_after(std::uint64_t changes);
  void never_stop();
  void fail_sync(std::uint64_t nth);
  void fail_write(std::uint64_t nth);
  void set_space(std::uint64_t bytes);

  // The next three require: the file exists.
  void corrupt(const std::string& path, std::uint64_t offset);
  [[nodiscard]] std::string content(const std::string& path) const;
  // The content of `path` becomes `bytes`, durably, name and all.
  void put(const std::string& path, ByteView bytes);

  // Changes carried out so far, counted as for stop_after.
  [[nodiscard]] std::uint64_t changes() const;
  [[nodiscard]] std::uint64_t bytes_written() const;
  // True from the moment stop_after struck until crash() or restart().
  [[nodiscard]] bool stopped() const;
  // Bytes in all files.
  [[nodiscard]] std::uint64_t used() const;

 private:
  struct Inode;
  struct Machine;
  class SimFile;
  std::shared_ptr<Machine> machine_;
};

}  // namespace zkfs::testing
