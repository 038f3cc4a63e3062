// SPDX-License-Identifier: Apache-2.0
// setattr: chmod, chown, truncate, touch, utimes.
#include <cerrno>
#include <chrono>
#include <string>

#include "ensemble/base/limits.h"
#include "mount/errno_map.h"
#include "mount/filesystem.h"

namespace zkfs::mount {

namespace {

constexpr unsigned kAttemptsMax = 16;
constexpr int kOwnerBits = FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID;

// What is asked of the modification time.
enum class Time : std::uint8_t { kLeave, kTouch, kSet };

Time time_of(int to_set) {
  // A truncation carries "now" along; it sets the time by itself.
  if ((to_set & FUSE_SET_ATTR_SIZE) != 0) return Time::kLeave;
  if ((to_set & FUSE_SET_ATTR_MTIME_NOW) != 0) return Time::kTouch;
  return (to_set & FUSE_SET_ATTR_MTIME) != 0 ? Time::kSet : Time::kLeave;
}

WallMillis millis_of(const struct timespec& time) {
  return time.tv_sec * 1000 + time.tv_nsec / 1'000'000;
}

WallMillis wall_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Ownership merged(Ownership now, const Ownership& wanted, int to_set) {
  if ((to_set & FUSE_SET_ATTR_MODE) != 0) now.mode = wanted.mode & 0777U;
  if ((to_set & FUSE_SET_ATTR_UID) != 0) now.uid = wanted.uid;
  if ((to_set & FUSE_SET_ATTR_GID) != 0) now.gid = wanted.gid;
  return now;
}

}  // namespace

void Filesystem::setattr(Reply reply,
                         NodeId node,
                         const Wanted& wanted,
                         std::optional<Handle> handle) {
  if (face_of(node) == Face::kControl) {
    // `>` truncates first; nothing else can be changed.
    if ((wanted.to_set & kOwnerBits) != 0) return reply.error(EPERM);
    return answer_attributes(std::move(reply), node, handle);
  }
  parts_.gate.admit(std::move(reply), [this, node, wanted, handle](Reply admitted) {
    setattr_admitted(std::move(admitted), node, wanted, handle);
  });
}

void Filesystem::setattr_admitted(Reply reply,
                                  NodeId node,
                                  Wanted wanted,
                                  std::optional<Handle> handle) {
  if ((wanted.to_set & FUSE_SET_ATTR_SIZE) != 0 && handle) {
    if (OpenFile* file = files_.find(*handle); file != nullptr && file->writable()) {
      return truncate_handle(std::move(reply), node, wanted, *handle);
    }
  }
  remember_on_open_files(node, reply.pid(), wanted);
  const auto again = [this, node, wanted, handle](Reply r) {
    setattr_admitted(std::move(r), parts_.inodes.ours(node), wanted, handle);
  };
  if (wanted.to_set == 0) return answer_attributes(std::move(reply), node, handle);
  if (commit_provisional_first(reply, node, again)) return;
  if (barriers_.any() && wait_behind(reply, Barriers::of(resolve(node)), again)) return;
  const auto znode = znode_of(node);
  if (!znode) return reply.error(ESTALE);
  const bool sized = (wanted.to_set & FUSE_SET_ATTR_SIZE) != 0;
  const bool file = face_of(node) != Face::kDirectory && znode->kind != tree::NodeKind::kSymlink;
  const bool touch = time_of(wanted.to_set) == Time::kTouch && file;
  if (!sized && !touch) return change_attributes(std::move(reply), node, wanted, handle);
  const std::optional<std::uint64_t> size =
      sized ? std::optional(static_cast<std::uint64_t>(wanted.attr.st_size)) : std::nullopt;
  wanted.to_set &= kOwnerBits;
  set_data(std::move(reply), node, size, 0, [this, node, wanted, handle](Reply answered) {
    change_attributes(std::move(answered), node, wanted, handle);
  });
}

// ftruncate: belongs to what this descriptor writes.
void Filesystem::truncate_handle(Reply reply, NodeId node, const Wanted& wanted, Handle handle) {
  OpenFile& file = *files_.find(handle);
  if (file.mode == WriteMode::kControl) return answer_attributes(std::move(reply), node, handle);
  const int error = file.truncate(static_cast<std::uint64_t>(wanted.attr.st_size));
  if (error != 0) return reply.error(error);
  if (file.mode != WriteMode::kCompareAndSet && !file.synchronous) {
    return answer_attributes(std::move(reply), node, handle);
  }
  commit_and_answer(std::move(reply), handle, [this, node, handle](Reply answered) {
    answer_attributes(std::move(answered), node, handle);
  });
}

// What belongs to a file that is open and has something to commit is part of that commit: mode and
// owner of one that does not exist yet, times of one with bytes to come (cp -p sets them before it
// closes). Takes what it dealt with out of `wanted`.
void Filesystem::remember_on_open_files(NodeId node, pid_t caller, Wanted& wanted) {
  if ((wanted.to_set & FUSE_SET_ATTR_SIZE) != 0) return;
  constexpr int kTimes = FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW | FUSE_SET_ATTR_ATIME |
                         FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_CTIME;
  if ((wanted.to_set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW)) == 0) {
    wanted.to_set &= ~kTimes;  // access times are not kept
  }
  const auto [first, last] = files_of_node_.equal_range(node);
  for (auto it = first; it != last; ++it) {
    OpenFile* file = files_.find(it->second);
    if (file == nullptr || !(file->creation || file->dirty())) continue;
    if (!file->creation && file->opener != caller) continue;
    // touch sets times on what it created and closes: nothing is to come, so that close commits and
    // can tell of an error (it may not move the descriptor first, as a shell does).
    if (file->creation && file->opener == caller && time_of(wanted.to_set) == Time::kTouch) {
      file->opener_flushes = 1;
    }
    const Time time = time_of(wanted.to_set);
    if (time == Time::kSet) file->mtime = millis_of(wanted.attr.st_mtim);
    if (time == Time::kTouch) file->mtime.reset();
    // What is to come is what its opener sees.
    if (time != Time::kLeave && file->creation) {
      const WallMillis shown = file->mtime.value_or(wall_now());
      file->attr.st_mtim = {.tv_sec = shown / 1000, .tv_nsec = shown % 1000 * 1'000'000};
      file->attr.st_ctim = file->attr.st_atim = file->attr.st_mtim;
    }
    wanted.to_set &= ~kTimes;
    if (!file->creation || file->committing) continue;
    Ownership& owned = file->creation->ownership;
    owned =
        merged(owned, {wanted.attr.st_mode, wanted.attr.st_uid, wanted.attr.st_gid}, wanted.to_set);
    file->attr.st_mode = S_IFREG | owned.mode;
    file->attr.st_uid = owned.uid;
    file->attr.st_gid = owned.gid;
    wanted.to_set &= ~kOwnerBits;
  }
}

// The same data again, or cut to `size`: a new version. Tried again if another was faster.
void Filesystem::set_data(
    Reply reply, NodeId node, std::optional<std::uint64_t> size, unsigned attempt, Again done) {
  const auto znode = znode_of(node);
  if (!znode) return reply.error(ESTALE);
  if (size && *size > limits::kDataBytesMax) return reply.error(EFBIG);
  Blob data = znode->data;
  if (size && *size != data.size()) {
    std::string resized(data.view().substr(0, *size));
    resized.resize(*size);
    data = Blob(resized);
  }
  server::SetDataRequest request{{znode->ino, {}}, std::move(data), znode->stat.version};
  if (size == 0U) request.version = server::kAnyVersion;
  submit_any(std::move(reply), std::move(request),
             [this, node, size, attempt, done = std::move(done)](Reply answered,
                                                                 const Outcome& outcome) mutable {
               if (outcome.error == Error::kBadVersion && attempt < kAttemptsMax) {
                 return set_data(std::move(answered), node, size, attempt + 1, std::move(done));
               }
               if (outcome.error != Error::kOk) return answered.error(errno_of(outcome.error));
               done(std::move(answered));
             });
}

std::vector<server::SubRequest> Filesystem::attribute_changes(const tree::Znode& znode,
                                                              NodeId node,
                                                              const Wanted& wanted) const {
  std::vector<server::SubRequest> changes;
  const server::Target target{znode.ino, {}};
  const bool directory = face_of(node) == Face::kDirectory;
  if ((wanted.to_set & kOwnerBits) != 0) {
    const Ownership now = ownership(znode, directory);
    const Ownership then =
        merged(now, {wanted.attr.st_mode, wanted.attr.st_uid, wanted.attr.st_gid}, wanted.to_set);
    // What changes nothing costs nothing: cp, tar and rsync set modes that are already so.
    const bool execute = !directory && (then.mode & 0111U) != 0;
    if (then.mode != now.mode || then.uid != now.uid || then.gid != now.gid) {
      tree::AclList acl =
          acl_for(then, directory, znode.acl == nullptr ? tree::AclList{} : *znode.acl);
      if (znode.acl == nullptr || acl != *znode.acl) {
        changes.emplace_back(server::SetAclRequest{target, std::move(acl), server::kAnyVersion});
      }
    }
    if (!directory && execute != znode.executable) {
      changes.emplace_back(server::SetAttributesRequest{
          .target = target, .mtime = {}, .kind = {}, .executable = execute});
    }
  }
  const Time time = time_of(wanted.to_set);
  if (time != Time::kLeave) {
    changes.emplace_back(server::SetAttributesRequest{
        .target = target,
        .mtime = time == Time::kSet ? millis_of(wanted.attr.st_mtim) : wall_now(),
        .kind = {},
        .executable = {}});
  }
  return changes;
}

void Filesystem::change_attributes(Reply reply,
                                   NodeId node,
                                   const Wanted& wanted,
                                   std::optional<Handle> handle) {
  const auto znode = znode_of(node);
  if (!znode) return reply.error(ESTALE);
  std::vector<server::SubRequest> changes = attribute_changes(*znode, node, wanted);
  if (changes.empty()) return answer_attributes(std::move(reply), node, handle);
  const bool owner = (wanted.to_set & kOwnerBits) != 0;
  submit_any(std::move(reply), one_or_multi(std::move(changes)),
             [this, node, handle, owner](Reply answered, const Outcome& outcome) {
               if (outcome.error == Error::kNoAuth && owner) return answered.error(EPERM);
               if (outcome.error != Error::kOk) return answered.error(errno_of(outcome.error));
               answer_attributes(std::move(answered), node, handle);
             });
}

}  // namespace zkfs::mount
