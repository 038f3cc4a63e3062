// SPDX-License-Identifier: Apache-2.0
// OpenFile: one open handle of a file: the value it reads (a snapshot taken at open), the bytes
// written through it and not yet committed, and how they are to be committed (contract section 2).
// Knows nothing of the ensemble: filesystem_commit.cpp makes requests of it.
//
// Dirty means staged() != what was last committed. A handle has at most one commit under way; what
// is written meanwhile belongs to the next.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ensemble/base/blob.h"
#include "ensemble/base/ids.h"
#include "ensemble/server/request.h"
#include "mount/marker.h"
#include "mount/node_id.h"
#include "mount/view.h"

namespace zkfs::mount {

class MountSession;

enum class WriteMode : std::uint8_t {
  kNone,           // opened for reading
  kReplace,        // the whole value, whatever the version
  kOverlay,        // write-only without truncation: changes parts of the value it opened, so the
                   // version must still be that one; at close
  kAppend,         // adds to the newest value
  kCompareAndSet,  // read and write: each write is a commit, if the version is the one opened
  kControl,        // a file of the control directory
};

// How to make a file that is open and not yet in the ensemble.
struct Creation {
  Ino parent;
  std::string name;   // real, without markers
  std::string ghost;  // as the caller named it
  Marker marker;
  Ownership ownership;
  bool make_parent_directory = false;  // `leaf@dir/child`
  // Whose session owns it, for `@eph=PID` and `@eph=fd`; otherwise the mount's.
  std::shared_ptr<MountSession> owner;
};

struct OpenFile {
  NodeId node = 0;
  Ino ino;  // 0 while it has a creation
  std::optional<Creation> creation;
  WriteMode mode = WriteMode::kNone;
  bool readable = false;
  bool truncating = false;   // opened with O_TRUNC
  bool synchronous = false;  // O_SYNC, or commit=write: each write is a commit
  pid_t opener = 0;          // thread
  server::Identity identity;

  struct stat attr {};  // as of open; what fstat shows once the znode is gone

  Blob snapshot;             // the value at open, or after the last commit of this handle
  std::int32_t version = 0;  // that it is, for kCompareAndSet and kOverlay
  bool begun = false;        // a byte of it was read
  bool was_read = false;     // to its last byte
  bool was_told_end = false;

  // --- written through this handle ---
  std::string staged;        // kAppend: what is added; otherwise the whole value, if `loaded`
  bool loaded = false;       // `staged` holds the value
  bool at_end = false;       // O_APPEND: the kernel's offset comes from a size that may be old
  std::string joined;        // value() of kAppend
  std::uint64_t writes = 0;  // counts writes and truncations ...
  std::uint64_t committed_writes = 0;  // ... of which these are committed or given up
  bool truncation_pending =
      false;  // O_TRUNC of an existing file: committed at release if not before
  std::optional<WallMillis> mtime;     // set while dirty; part of the commit
  std::vector<std::uint64_t> writers;  // lock owners that wrote since the last commit
  int failed = 0;                      // sticky: nothing of this handle is stored any more

  // --- whose it is ---
  // Made for `@eph=PID` or `@eph=fd`: the session that all its requests are made in. Once that is
  // over, nothing written here is stored (EIO).
  std::shared_ptr<MountSession> owner;
  bool ends_owner = false;  // `@eph=fd`: the session ends with this descriptor
  // A lock is held through it in the name of this session: what it writes is stored in no other,
  // because another may hold the lock by then.
  SessionId locked_in;
  bool fenced = false;  // that session was lost
  Ino lock_ino;  // that locks were asked for through it; another than `ino` once it was renamed
                 // over
  std::optional<std::uint64_t> flock_owner;  // that asked for a lock through it
  std::vector<std::uint64_t> fcntl_owners;

  // --- life ---
  unsigned opener_flushes = 0;  // before anything was written (fuse.md 4.3 rule 3)
  bool committing = false;
  bool released = false;
  std::vector<std::move_only_function<void(int error)>> after_commit;  // wait for the one under way

  [[nodiscard]] bool dirty() const { return writes != committed_writes; }

  // Something of this handle is not in the ensemble yet.
  [[nodiscard]] bool needs_commit() const {
    return failed == 0 && (dirty() || truncation_pending || creation.has_value());
  }

  [[nodiscard]] bool writable() const { return mode != WriteMode::kNone; }

  // What this handle reads, uncommitted writes included. Valid until the next change.
  [[nodiscard]] std::string_view value();
  [[nodiscard]] std::size_t size() const;

  // Stages bytes. Fails with EFBIG if the value would be too large, and then for ever: a value of
  // which a part was refused is not stored.
  int write(std::string_view bytes, std::uint64_t offset, std::uint64_t lock_owner);
  int truncate(std::uint64_t size);

  // As write(), but not staged: the whole value as it would be.
  [[nodiscard]] std::optional<std::string> with(std::string_view bytes, std::uint64_t offset);

 private:
  void load();
};

// Handles by number: index and generation, never a pointer, so that a stale number finds nothing.
template <typename T>
class Handles {
 public:
  std::uint64_t add(T value) {
    std::uint32_t index = 0;
    if (free_.empty()) {
      index = static_cast<std::uint32_t>(slots_.size());
      slots_.emplace_back();
    } else {
      index = free_.back();
      free_.pop_back();
    }
    slots_[index].value = std::make_unique<T>(std::move(value));
    return (std::uint64_t{slots_[index].generation} << 32U) | index;
  }

  [[nodiscard]] T* find(std::uint64_t handle) {
    const auto index = static_cast<std::uint32_t>(handle);
    if (index >= slots_.size() || slots_[index].generation != handle >> 32U) return nullptr;
    return slots_[index].value.get();
  }

  // Calls `f(handle, value)` for each.
  template <typename F>
  void for_each(F&& f) {
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      if (slots_[i].value != nullptr) {
        f((std::uint64_t{slots_[i].generation} << 32U) | i, *slots_[i].value);
      }
    }
  }

  // A handle that another daemon gave out. Requires: none with its index was added here.
  void put(std::uint64_t handle, T value) {
    const auto index = static_cast<std::uint32_t>(handle);
    while (slots_.size() <= index) {
      free_.push_back(static_cast<std::uint32_t>(slots_.size()));
      slots_.emplace_back();
    }
    std::erase(free_, index);
    slots_[index].generation = static_cast<std::uint32_t>(handle >> 32U);
    slots_[index].value = std::make_unique<T>(std::move(value));
  }

  void erase(std::uint64_t handle) {
    if (find(handle) == nullptr) return;
    Slot& slot = slots_[static_cast<std::uint32_t>(handle)];
    slot.value.reset();
    // The top bit of a handle is Replay::kHandleBit.
    slot.generation = (slot.generation + 1) & 0x7fffffffU;
    free_.push_back(static_cast<std::uint32_t>(handle));
  }

 private:
  struct Slot {
    std::uint32_t generation = 1;
    std::unique_ptr<T> value;
  };

  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
};

}  // namespace zkfs::mount
