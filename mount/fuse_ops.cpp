// SPDX-License-Identifier: Apache-2.0
#include "mount/fuse_ops.h"

#include <cerrno>
#include <optional>

#include "mount/fuse_channel.h"

namespace zkfs::mount {

namespace {

FuseUser& user(fuse_req_t request) {
  return *static_cast<FuseUser*>(fuse_req_userdata(request));
}

// Our number for the kernel's (inode_table.h). Everything behind this file goes by ours.
NodeId ours(fuse_req_t request, fuse_ino_t node) {
  return user(request).inodes.ours(node);
}

Filesystem& filesystem(fuse_req_t request) {
  return user(request).filesystem;
}

// Not null if the request is a worker's.
Replay* worker(fuse_req_t request) {
  Replay& replay = user(request).replay;
  return replay.is_worker(fuse_req_ctx(request)->pid) ? &replay : nullptr;
}

bool is_workers_handle(const fuse_file_info* info) {
  return info != nullptr && (info->fh & Replay::kHandleBit) != 0;
}

std::optional<Filesystem::Handle> handle_of(const fuse_file_info* info) {
  return info == nullptr ? std::nullopt : std::optional(info->fh);
}

void on_init(void* /*user*/, fuse_conn_info* connection) {
  FuseChannel::negotiate(*connection);
}

void on_lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  if (Replay* replay = worker(request))
    return replay->lookup(Reply(request), ours(request, parent), name);
  filesystem(request).lookup(Reply(request), ours(request, parent), name);
}

void on_forget(fuse_req_t request, fuse_ino_t node, std::uint64_t count) {
  filesystem(request).forget(node, count);
  fuse_reply_none(request);
}

void on_forget_multi(fuse_req_t request, std::size_t count, fuse_forget_data* forgets) {
  for (std::size_t i = 0; i < count; ++i) {
    filesystem(request).forget(forgets[i].ino, forgets[i].nlookup);
  }
  fuse_reply_none(request);
}

void on_getattr(fuse_req_t request, fuse_ino_t node, fuse_file_info* info) {
  if (Replay* replay = worker(request)) return replay->getattr(Reply(request), ours(request, node));
  user(request).inodes.used(ours(request, node));
  filesystem(request).getattr(Reply(request), ours(request, node), handle_of(info));
}

void on_setattr(
    fuse_req_t request, fuse_ino_t node, struct stat* attr, int to_set, fuse_file_info* info) {
  if (Replay* replay = worker(request)) return replay->setattr(Reply(request), ours(request, node));
  const Filesystem::Wanted wanted{.attr = *attr, .to_set = to_set};
  filesystem(request).setattr(Reply(request), ours(request, node), wanted, handle_of(info));
}

void on_readlink(fuse_req_t request, fuse_ino_t node) {
  filesystem(request).readlink(Reply(request), ours(request, node));
}

void on_mknod(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode, dev_t) {
  filesystem(request).mknod(Reply(request), ours(request, parent), name, mode);
}

void on_mkdir(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode) {
  if (Replay* replay = worker(request))
    return replay->mkdir(Reply(request), ours(request, parent), name, mode);
  filesystem(request).mkdir(Reply(request), ours(request, parent), name, mode);
}

void on_unlink(fuse_req_t request, fuse_ino_t parent, const char* name) {
  if (Replay* replay = worker(request))
    return replay->unlink(Reply(request), ours(request, parent), name);
  filesystem(request).unlink(Reply(request), ours(request, parent), name);
}

void on_rmdir(fuse_req_t request, fuse_ino_t parent, const char* name) {
  if (Replay* replay = worker(request))
    return replay->rmdir(Reply(request), ours(request, parent), name);
  filesystem(request).rmdir(Reply(request), ours(request, parent), name);
}

void on_symlink(fuse_req_t request, const char* target, fuse_ino_t parent, const char* name) {
  if (Replay* replay = worker(request))
    return replay->symlink(Reply(request), ours(request, parent), name);
  filesystem(request).symlink(Reply(request), target, ours(request, parent), name);
}

void on_rename(fuse_req_t request,
               fuse_ino_t parent,
               const char* name,
               fuse_ino_t new_parent,
               const char* new_name,
               unsigned flags) {
  if (Replay* replay = worker(request)) {
    return replay->rename(Reply(request), ours(request, parent), name, ours(request, new_parent),
                          new_name);
  }
  filesystem(request).rename(
      Reply(request), {ours(request, parent), name, ours(request, new_parent), new_name, flags});
}

// A znode has one name.
void on_link(fuse_req_t request, fuse_ino_t, fuse_ino_t, const char*) {
  Reply(request).error(EPERM);
}

void on_open(fuse_req_t request, fuse_ino_t node, fuse_file_info* info) {
  if (Replay* replay = worker(request))
    return replay->open(Reply(request), ours(request, node), *info);
  filesystem(request).open(Reply(request), ours(request, node), *info);
}

void on_create(
    fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode, fuse_file_info* info) {
  if (Replay* replay = worker(request)) {
    return replay->create(Reply(request), ours(request, parent), name, mode, *info);
  }
  filesystem(request).create(Reply(request), ours(request, parent), name, mode, *info);
}

void on_read(fuse_req_t request, fuse_ino_t, std::size_t size, off_t offset, fuse_file_info* info) {
  if (is_workers_handle(info)) return Reply(request).bytes({});
  filesystem(request).read(Reply(request), info->fh, size, offset);
}

void on_write(fuse_req_t request,
              fuse_ino_t,
              const char* bytes,
              std::size_t size,
              off_t offset,
              fuse_file_info* info) {
  if (is_workers_handle(info)) return Reply(request).write(size);
  filesystem(request).write(Reply(request), {bytes, size}, offset, *info);
}

void on_flush(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  if (is_workers_handle(info)) return Reply(request).ok();
  filesystem(request).flush(Reply(request), *info);
}

void on_release(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  if (is_workers_handle(info)) return Reply(request).ok();
  filesystem(request).release(Reply(request), *info);
}

void on_fsync(fuse_req_t request, fuse_ino_t, int, fuse_file_info* info) {
  if (is_workers_handle(info)) return Reply(request).ok();
  filesystem(request).fsync(Reply(request), handle_of(info));
}

void on_opendir(fuse_req_t request, fuse_ino_t node, fuse_file_info* info) {
  filesystem(request).opendir(Reply(request), ours(request, node), *info);
}

void on_readdir(
    fuse_req_t request, fuse_ino_t, std::size_t size, off_t offset, fuse_file_info* info) {
  filesystem(request).readdir(Reply(request), info->fh, size, offset, false);
}

void on_readdirplus(
    fuse_req_t request, fuse_ino_t, std::size_t size, off_t offset, fuse_file_info* info) {
  filesystem(request).readdir(Reply(request), info->fh, size, offset, true);
}

void on_releasedir(fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
  filesystem(request).releasedir(Reply(request), info->fh);
}

void on_flock(fuse_req_t request, fuse_ino_t, fuse_file_info* info, int operation) {
  filesystem(request).flock(Reply(request), *info, operation);
}

void on_getlk(fuse_req_t request, fuse_ino_t, fuse_file_info* info, struct flock* lock) {
  filesystem(request).getlk(Reply(request), *info, *lock);
}

void on_setlk(fuse_req_t request, fuse_ino_t, fuse_file_info* info, struct flock* lock, int wait) {
  filesystem(request).setlk(Reply(request), *info, *lock, wait != 0);
}

// Its handle is a directory's: not a file with something to commit.
void on_fsyncdir(fuse_req_t request, fuse_ino_t, int, fuse_file_info*) {
  filesystem(request).fsync(Reply(request), std::nullopt);
}

void on_statfs(fuse_req_t request, fuse_ino_t) {
  filesystem(request).statfs(Reply(request));
}

void on_setxattr(fuse_req_t request,
                 fuse_ino_t node,
                 const char* name,
                 const char* value,
                 std::size_t size,
                 int) {
  filesystem(request).setxattr(Reply(request), ours(request, node), name, {value, size});
}

void on_getxattr(fuse_req_t request, fuse_ino_t node, const char* name, std::size_t size) {
  filesystem(request).getxattr(Reply(request), ours(request, node), name, size);
}

void on_listxattr(fuse_req_t request, fuse_ino_t node, std::size_t size) {
  filesystem(request).listxattr(Reply(request), ours(request, node), size);
}

void on_removexattr(fuse_req_t request, fuse_ino_t, const char* name) {
  filesystem(request).removexattr(Reply(request), name);
}

// Any other answer makes files look like terminals (fuse.md 4.2).
void on_ioctl(fuse_req_t request,
              fuse_ino_t,
              unsigned command,
              void*,
              fuse_file_info* info,
              unsigned flags,
              const void*,
              std::size_t,
              std::size_t) {
  if ((flags & FUSE_IOCTL_DIR) != 0 || is_workers_handle(info)) {
    return Reply(request).error(ENOTTY);
  }
  filesystem(request).ioctl(Reply(request), info->fh, command);
}

// `kFunction`, counted.
template <FuseOperation kOperation, auto kFunction, typename... Arguments>
void counted(fuse_req_t request, Arguments... arguments) {
  user(request).metrics.count(kOperation);
  kFunction(request, arguments...);
}

fuse_lowlevel_ops make_operations() {
  fuse_lowlevel_ops ops{};
  ops.init = on_init;
  ops.lookup = counted<FuseOperation::kLookup, on_lookup>;
  ops.forget = counted<FuseOperation::kForget, on_forget>;
  ops.forget_multi = counted<FuseOperation::kForget, on_forget_multi>;
  ops.getattr = counted<FuseOperation::kGetattr, on_getattr>;
  ops.setattr = counted<FuseOperation::kSetattr, on_setattr>;
  ops.readlink = counted<FuseOperation::kReadlink, on_readlink>;
  ops.mknod = counted<FuseOperation::kMknod, on_mknod>;
  ops.mkdir = counted<FuseOperation::kMkdir, on_mkdir>;
  ops.unlink = counted<FuseOperation::kUnlink, on_unlink>;
  ops.rmdir = counted<FuseOperation::kRmdir, on_rmdir>;
  ops.symlink = counted<FuseOperation::kSymlink, on_symlink>;
  ops.rename = counted<FuseOperation::kRename, on_rename>;
  ops.link = counted<FuseOperation::kLink, on_link>;
  ops.open = counted<FuseOperation::kOpen, on_open>;
  ops.create = counted<FuseOperation::kCreate, on_create>;
  ops.read = counted<FuseOperation::kRead, on_read>;
  ops.write = counted<FuseOperation::kWrite, on_write>;
  ops.flush = counted<FuseOperation::kFlush, on_flush>;
  ops.release = counted<FuseOperation::kRelease, on_release>;
  ops.fsync = counted<FuseOperation::kFsync, on_fsync>;
  ops.flock = counted<FuseOperation::kLock, on_flock>;
  ops.getlk = counted<FuseOperation::kLock, on_getlk>;
  ops.setlk = counted<FuseOperation::kLock, on_setlk>;
  ops.opendir = counted<FuseOperation::kOpendir, on_opendir>;
  ops.readdir = counted<FuseOperation::kReaddir, on_readdir>;
  ops.readdirplus = counted<FuseOperation::kReaddir, on_readdirplus>;
  ops.releasedir = counted<FuseOperation::kReleasedir, on_releasedir>;
  ops.fsyncdir = counted<FuseOperation::kFsync, on_fsyncdir>;
  ops.statfs = counted<FuseOperation::kStatfs, on_statfs>;
  ops.setxattr = counted<FuseOperation::kSetxattr, on_setxattr>;
  ops.getxattr = counted<FuseOperation::kGetxattr, on_getxattr>;
  ops.listxattr = counted<FuseOperation::kListxattr, on_listxattr>;
  ops.removexattr = counted<FuseOperation::kRemovexattr, on_removexattr>;
  ops.ioctl = counted<FuseOperation::kIoctl, on_ioctl>;
  return ops;
}

}  // namespace

const fuse_lowlevel_ops& fuse_operations() {
  static const fuse_lowlevel_ops operations = make_operations();
  return operations;
}

}  // namespace zkfs::mount
