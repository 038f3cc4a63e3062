// SPDX-License-Identifier: Apache-2.0
// flock, fcntl locks and the ioctl about them, on open files (contract section 7). A file that a
// non-exclusive create made is committed first: a lock belongs to a znode.
#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>

#include "mount/filesystem.h"
#include "mount/ioctl.h"
#include "mount/task_state.h"

namespace zkfs::mount {

namespace {

// struct flock counts from `l_start`; a length of 0 is "to the end, however far that is".
tree::LockRange range_of(const struct flock& lock) {
  tree::LockRange range;
  range.first = static_cast<std::uint64_t>(lock.l_start);
  if (lock.l_len != 0) range.last = range.first + static_cast<std::uint64_t>(lock.l_len) - 1;
  return range;
}

Locks::What what_of(const struct flock& lock, bool wait) {
  return {.mode = lock.l_type == F_WRLCK ? tree::LockMode::kExclusive : tree::LockMode::kShared,
          .range = range_of(lock),
          .wait = wait};
}

template <typename T>
void add_once(std::vector<T>& all, const T& one) {
  if (std::find(all.begin(), all.end(), one) == all.end()) all.push_back(one);
}

}  // namespace

void Filesystem::flock(Reply reply, const fuse_file_info& info, int operation) {
  OpenFile* file = files_.find(info.fh);
  if (file == nullptr) return reply.error(EBADF);
  Locks::Who who{.ino = {},
                 .space = tree::LockSpace::kFlock,
                 .owner = info.lock_owner,
                 .process = thread_group_of(reply.pid())};
  if ((operation & LOCK_UN) != 0) {
    return unlock_file(std::move(reply), info.fh, who, {});
  }
  Locks::What what;
  what.mode = (operation & LOCK_EX) != 0 ? tree::LockMode::kExclusive : tree::LockMode::kShared;
  what.wait = (operation & LOCK_NB) == 0;
  lock_file(std::move(reply), info.fh, who, what);
}

void Filesystem::setlk(Reply reply,
                       const fuse_file_info& info,
                       const struct flock& lock,
                       bool wait) {
  OpenFile* file = files_.find(info.fh);
  if (file == nullptr) return reply.error(EBADF);
  Locks::Who who{
      .ino = {}, .space = tree::LockSpace::kPosix, .owner = info.lock_owner, .process = lock.l_pid};
  if (lock.l_type == F_UNLCK) {
    return unlock_file(std::move(reply), info.fh, who, range_of(lock));
  }
  lock_file(std::move(reply), info.fh, who, what_of(lock, wait));
}

void Filesystem::getlk(Reply reply, const fuse_file_info& info, const struct flock& lock) {
  const OpenFile* file = files_.find(info.fh);
  if (file == nullptr) return reply.error(EBADF);
  const Locks::Who who{.ino = file->ino,
                       .space = tree::LockSpace::kPosix,
                       .owner = info.lock_owner,
                       .process = lock.l_pid};
  parts_.locks.test(std::move(reply), who, what_of(lock, false));
}

void Filesystem::lock_file(Reply reply, Handle handle, Locks::Who who, Locks::What what) {
  OpenFile* file = files_.find(handle);
  if (file == nullptr) return reply.error(EBADF);
  if (face_of(file->node) == Face::kControl) return reply.error(EINVAL);
  if (commit_provisional_first(reply, file->node, [this, handle, who, what](Reply r) {
        lock_file(std::move(r), handle, who, what);
      })) {
    return;
  }
  who.ino = file->ino ? file->ino : resolve(file->node);
  if (!who.ino) return reply.error(ESTALE);
  if (file->lock_ino && file->lock_ino != who.ino) release_asked(*file);
  file->lock_ino = who.ino;
  if (who.space == tree::LockSpace::kFlock) {
    file->flock_owner = who.owner;
  } else {
    add_once(file->fcntl_owners, who.owner);
  }
  parts_.locks.lock(std::move(reply), who, what, [this, handle](SessionId session) {
    OpenFile* locked = files_.find(handle);
    if (locked == nullptr) return;
    // Whoever asks again knows of the loss, or will learn of it by what he reads.
    locked->locked_in = session;
    locked->fenced = false;
    read_anew(*locked);
  });
}

// What was written under the lock goes first, as at close: the next holder sees it.
void Filesystem::unlock_file(Reply reply, Handle handle, Locks::Who who, tree::LockRange range) {
  OpenFile& file = *files_.find(handle);
  who.ino = lock_number(file);
  if (!file.locked_in || (!file.needs_commit() && !file.committing)) {
    if (range == tree::LockRange{}) file.locked_in = {};
    return parts_.locks.unlock(std::move(reply), who, range);
  }
  const Parking::Id id = parts_.parking.park(std::move(reply), {}, commit_terms());
  commit(handle, [this, id, handle, who, range](int error) {
    OpenFile* locked = files_.find(handle);
    if (locked != nullptr && range == tree::LockRange{}) locked->locked_in = {};
    // Whatever became of it, and even if nobody waits any more.
    parts_.locks.unlock(parts_.parking.take(id), who, range, error);
  });
}

// A lock stays on its number when the file is renamed over another, whose number `ino` is then.
Ino Filesystem::lock_number(const OpenFile& file) {
  return file.lock_ino ? file.lock_ino : file.ino;
}

void Filesystem::release_asked(const OpenFile& file) {
  if (file.flock_owner) {
    parts_.locks.release({file.lock_ino, tree::LockSpace::kFlock, *file.flock_owner, 0});
  }
  for (const std::uint64_t owner : file.fcntl_owners) {
    parts_.locks.release({file.lock_ino, tree::LockSpace::kPosix, owner, 0});
  }
}

// flock's belong to the open file. fcntl's belong to a process and go with any of its closes, which
// FLUSH tells of; and with the last close of what they were asked through: OFD locks belong to the
// open file as well, and what was opened for reading only may have no FLUSH.
void Filesystem::release_locks(const OpenFile& file, const fuse_file_info& info) {
  const Ino ino = lock_number(file);
  if (!ino) return;
  if (info.flock_release != 0) {
    parts_.locks.release({ino, tree::LockSpace::kFlock, info.lock_owner, 0});
  }
  release_asked(file);
}

// Whoever has got a lock sees what the holder before him wrote, also through a descriptor that he
// opened earlier: read, change, write under a lock must work.
void Filesystem::read_anew(OpenFile& file) {
  const auto znode = tree().find(file.ino);
  if (!znode || !has_face(*znode, Face::kFile)) return;
  // What replaces the whole value does not build on an older one.
  if (file.mode == WriteMode::kReplace || file.needs_commit() || file.committing) return;
  file.snapshot = znode->data;
  file.version = znode->stat.version;
  file.loaded = false;
}

void Filesystem::session_lost(SessionId session) {
  for (const auto& [node, handle] : files_of_node_) {
    OpenFile* file = files_.find(handle);
    if (file == nullptr || file->locked_in != session) continue;
    file->fenced = true;
    // Written under a lock that another may hold by now: it is not stored, and close tells.
    if (file->needs_commit()) file->failed = EIO;
  }
}

void Filesystem::ioctl(Reply reply, Handle handle, unsigned request) {
  const OpenFile* file = files_.find(handle);
  if (request != kIoctlLockState || file == nullptr) return reply.error(ENOTTY);
  LockAnswer answer;
  if (file->fenced) {
    answer.state = LockState::kLost;
  } else if (file->locked_in) {
    for (const tree::LockView& lock : tree().locks_of(lock_number(*file))) {
      const bool own = lock.space == tree::LockSpace::kFlock
                           ? file->flock_owner == lock.owner
                           : std::find(file->fcntl_owners.begin(), file->fcntl_owners.end(),
                                       lock.owner) != file->fcntl_owners.end();
      if (lock.waiting || lock.session != file->locked_in || !own) continue;
      answer.state = LockState::kHeld;
      answer.zxid = std::max(answer.zxid, lock.zxid.value);
    }
  }
  if (answer.state == LockState::kHeld) {
    // The ensemble counts the silence from the last sign of life, which was before the loss was
    // noticed here; so not the whole of it.
    const auto since = parts_.door.quorum_lost_since();
    const auto session = tree().find_session(file->locked_in);
    const Millis patience{session ? session->timeout_ms * 2 / 3 : 0};
    if (since && parts_.now() - *since > patience) answer.state = LockState::kSuspect;
  }
  reply.ioctl({reinterpret_cast<const char*>(&answer), sizeof answer});
}

}  // namespace zkfs::mount
