// SPDX-License-Identifier: Apache-2.0
// Open files: open, create, read, write, and when to commit (contract section 2; the rules and what
// shells and tools do are in reference/fuse.md 4). How a commit is made is filesystem_commit.cpp.
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "ensemble/base/limits.h"
#include "ensemble/server/acl_check.h"
#include "mount/errno_map.h"
#include "mount/filesystem.h"
#include "mount/task_state.h"

namespace zkfs::mount {

namespace {

bool opens_for_writing(int flags) {
  return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0;
}

bool may_open(const server::Identity& who, const tree::Znode& znode, int flags) {
  if (znode.acl == nullptr) return true;
  using tree::Permissions;
  const bool reads = (flags & O_ACCMODE) != O_WRONLY;
  return (!reads || server::acl_allows(*znode.acl, who, Permissions::kRead)) &&
         (!opens_for_writing(flags) || server::acl_allows(*znode.acl, who, Permissions::kWrite));
}

WriteMode mode_of(int flags) {
  if ((flags & O_TRUNC) != 0) return WriteMode::kReplace;
  if ((flags & O_ACCMODE) == O_RDONLY) return WriteMode::kNone;
  if ((flags & O_APPEND) != 0) return WriteMode::kAppend;
  return (flags & O_ACCMODE) == O_RDWR ? WriteMode::kCompareAndSet : WriteMode::kOverlay;
}

}  // namespace

// --- opening ---

OpenFile Filesystem::make_file(const Reply& reply, const fuse_file_info& info) const {
  OpenFile file;
  file.mode = mode_of(info.flags);
  file.readable = (info.flags & O_ACCMODE) != O_WRONLY;
  file.opener = reply.pid();
  if (!file.writable()) return file;
  file.identity = identity_of(reply);
  file.synchronous =
      (info.flags & (O_SYNC | O_DSYNC)) != 0 || parts_.options.commit == CommitMode::kWrite;
  file.truncating = (info.flags & O_TRUNC) != 0;
  file.loaded = file.truncating;
  file.at_end = (info.flags & O_APPEND) != 0;
  return file;
}

OpenFile Filesystem::open_znode(const Reply& reply,
                                const tree::Znode& znode,
                                const fuse_file_info& info) const {
  OpenFile file = make_file(reply, info);
  file.ino = znode.ino;
  file.snapshot = znode.data;
  file.version = znode.stat.version;
  file.truncation_pending = file.truncating;
  // Rights are asked for at open: cp -p, tar and git write through descriptors of files that are
  // read-only by then.
  file.identity = server::Identity{};
  return file;
}

Filesystem::Handle Filesystem::add_file(OpenFile file, NodeId node, fuse_file_info& info) {
  file.node = node;
  info.direct_io = 1;  // no page cache: torn and empty reads otherwise (fuse.md 3.2)
  info.keep_cache = 0;
  // A close of any file of a process gives its fcntl locks free; mostly there are none.
  const bool locker = file.ino && parts_.locks.asked_of(file.ino) &&
                      parts_.locks.asked_by_process(file.ino, thread_group_of(file.opener));
  info.noflush = file.writable() || locker ? 0 : 1;
  info.fh = files_.add(std::move(file));
  files_of_node_.emplace(node, info.fh);
  return info.fh;
}

void Filesystem::drop_file(Handle handle) {
  const OpenFile* file = files_.find(handle);
  if (file == nullptr) return;
  const NodeId node = file->node;
  const auto [first, last] = files_of_node_.equal_range(node);
  const auto it = std::find_if(first, last, [&](const auto& e) { return e.second == handle; });
  if (it != last) files_of_node_.erase(it);
  if (file->ends_owner) parts_.owners.end(file->owner);
  files_.erase(handle);
  if (face_of(node) == Face::kProvisional && !parts_.inodes.held(node) &&
      !files_of_node_.contains(node)) {
    provisional_.erase(node);
  }
}

void Filesystem::open(Reply reply, NodeId node, fuse_file_info info) {
  if (face_of(node) == Face::kControl) return open_control(std::move(reply), node, info);
  // One that is not committed yet must be, first.
  const OpenFile* creator = creator_of(node);
  const bool uncommitted = creator != nullptr && creator->creation;
  if (!opens_for_writing(info.flags) && !uncommitted) {
    if (!refuse_read(reply)) open_now(std::move(reply), node, info);
    return;
  }
  parts_.gate.admit(std::move(reply), [this, node, info](Reply admitted) {
    open_now(std::move(admitted), node, info);
  });
}

void Filesystem::open_now(Reply reply, NodeId node, fuse_file_info info) {
  const auto again = [this, node, info](Reply r) {
    open_now(std::move(r), parts_.inodes.ours(node), info);
  };
  if (commit_provisional_first(reply, node, again)) return;
  if (barriers_.any() && wait_behind(reply, Barriers::of(resolve(node)), again)) return;
  const auto znode = znode_of(node);
  // The kernel looks the name up again, once.
  if (!znode) return reply.error(ESTALE);
  if (opens_for_writing(info.flags) && !may_open(identity_of(reply), *znode, info.flags))
    return reply.error(EACCES);
  OpenFile file = open_znode(reply, *znode, info);
  file.attr = attributes(*znode, file_node(znode->ino));
  if (!file.writable()) show_own_writes(reply, *znode, node, file);
  add_file(std::move(file), node, info);
  reply.open(info);
}

// A process sees its own writes at once, through any descriptor (contract section 2). But only the
// thread that writes: to the others, as to everybody, a value is whole, the old one or the new.
void Filesystem::show_own_writes(const Reply& reply,
                                 const tree::Znode& znode,
                                 NodeId node,
                                 OpenFile& reader) {
  const auto [first, last] = files_of_node_.equal_range(node);
  for (auto it = first; it != last; ++it) {
    OpenFile* file = files_.find(it->second);
    if (file == nullptr || !file->dirty() || file->opener != reply.pid()) continue;
    reader.snapshot = file->mode == WriteMode::kAppend
                          ? Blob(std::string(znode.data.view()) + file->staged)
                          : Blob(file->value());
  }
}

void Filesystem::open_control(Reply reply, NodeId node, fuse_file_info info) {
  const bool writes = opens_for_writing(info.flags);
  if (writes && !parts_.control.writable(node)) return reply.error(EACCES);
  OpenFile file;
  file.snapshot = Blob(parts_.control.read(node));
  file.readable = true;
  file.mode = writes ? WriteMode::kControl : WriteMode::kNone;
  add_file(std::move(file), node, info);
  reply.open(info);
}

// --- creating ---

void Filesystem::create(Reply reply, NodeId parent, Name name, mode_t mode, fuse_file_info info) {
  Place place = new_place(parent, name);
  if (place.kind == Place::Kind::kRefused) return reply.error(place.error);
  if (place.kind == Place::Kind::kControl) return reply.error(EEXIST);
  if (place.kind == Place::Kind::kDirectory) return reply.error(EISDIR);
  if (place.marker.type == tree::NodeType::kContainer) return reply.error(EINVAL);
  Creation creation{.parent = place.parent,
                    .name = std::move(place.name),
                    .ghost = std::string(name),
                    .marker = std::move(place.marker),
                    .ownership = {mode & 0777U, reply.uid(), reply.gid()},
                    .make_parent_directory = is_leaf_as_directory(parent),
                    .owner = {}};
  const bool data = place.kind == Place::Kind::kData;
  auto go = [this, creation = std::move(creation), data, info](Reply admitted) mutable {
    if (data) return create_data(std::move(admitted), creation.parent, info);
    create_admitted(std::move(admitted), std::move(creation), info);
  };
  // The kernel holds the directory's lock while we have a CREATE. One that need not be decided now
  // goes on to wait in its first write, which holds nobody up.
  if ((info.flags & O_EXCL) != 0) {
    parts_.gate.admit(std::move(reply), std::move(go));
  } else {
    parts_.gate.admit_now(std::move(reply), std::move(go));
  }
}

void Filesystem::create_admitted(Reply reply, Creation creation, fuse_file_info info) {
  if (barriers_.any()) {
    const auto key = Barriers::of(creation.parent, creation.name);
    if (wait_behind(reply, key, [this, creation, info](Reply r) {
          create_admitted(std::move(r), creation, info);
        })) {
      return;
    }
  }
  const auto parent = tree().find(creation.parent);
  if (!parent) return reply.error(ENOENT);
  if (parent->type == tree::NodeType::kEphemeral) return reply.error(ENOTDIR);
  auto owner = owner_of(reply, creation.marker);
  if (!owner) return reply.error(owner.error());
  creation.owner = std::move(*owner);
  const bool exclusive = (info.flags & O_EXCL) != 0;
  if (!creation.marker.sequential) {
    if (const auto existing = tree().find_child(creation.parent, creation.name)) {
      // A session of its own owns nothing yet.
      if (exclusive || creation.marker.owner == Marker::Owner::kFile) {
        end_owner(creation);
        return reply.error(EEXIST);
      }
      return create_existing(std::move(reply), *existing, creation, info);
    }
  }
  if (!parts_.door.has_quota_room(creation.parent, creation.name, {1, 0})) {
    end_owner(creation);
    return reply.error(EDQUOT);
  }
  // Read and write without truncation (`<>`, databases): nothing is to be written as a whole, and
  // what is asked of the descriptor (its inode number above all) must be true at once.
  const bool updates = mode_of(info.flags) == WriteMode::kCompareAndSet && !creation.marker.any &&
                       parts_.door.in_quorum();
  if (exclusive || updates) return create_now(std::move(reply), std::move(creation), info);
  create_later(std::move(reply), std::move(creation), info);
}

// Made by another since the kernel looked, or by a marker's first use.
void Filesystem::create_existing(Reply reply,
                                 const tree::Znode& znode,
                                 const Creation& creation,
                                 fuse_file_info info) {
  const bool ephemeral = creation.marker.type == tree::NodeType::kEphemeral;
  const SessionId asker = creation.owner ? creation.owner->id() : parts_.session.id();
  const bool own = znode.type == tree::NodeType::kEphemeral && znode.stat.ephemeral_owner == asker;
  if (ephemeral && !own) return reply.error(EEXIST);
  if (znode.is_directory()) return reply.error(EISDIR);
  if (znode.kind == tree::NodeKind::kSymlink) return reply.error(ESTALE);
  // The kernel took it for a new file and asked nobody's leave to open this one.
  if (!may_open(identity_of(reply), znode, info.flags)) return reply.error(EACCES);
  const NodeId node = file_node(znode.ino);
  OpenFile file = open_znode(reply, znode, info);
  file.attr = attributes(znode, node);
  file.owner = creation.owner;
  add_file(std::move(file), node, info);
  const std::string name(znode.name);
  reply.create(enter(znode, node), info);
  announce_name(creation, node, name);
}

// `.@data` for somebody who has just removed it.
void Filesystem::create_data(Reply reply, Ino directory, fuse_file_info info) {
  const auto znode = tree().find(directory);
  if (!znode) return reply.error(ENOENT);
  if ((info.flags & O_EXCL) != 0 && !znode->data.empty()) return reply.error(EEXIST);
  if (!may_open(identity_of(reply), *znode, info.flags)) return reply.error(EACCES);
  data_absent_for_.erase(directory);
  const NodeId node = file_node(directory);
  OpenFile file = open_znode(reply, *znode, info);
  const bool builds_on = file.mode == WriteMode::kAppend || file.mode == WriteMode::kCompareAndSet;
  if ((info.flags & O_EXCL) != 0 || !builds_on) file.mode = WriteMode::kReplace;
  file.attr = attributes(*znode, node);
  add_file(std::move(file), node, info);
  reply.create(enter(*znode, node), info);
}

// O_EXCL: one creator in the whole ensemble wins, so it is decided now; what he writes is one
// value, at close.
void Filesystem::create_now(Reply reply, Creation creation, fuse_file_info info) {
  const bool exclusive = (info.flags & O_EXCL) != 0;
  server::CreateRequest request = create_request(creation);
  // What another made meanwhile stays as it is.
  request.or_set = request.append = !exclusive;
  const std::size_t index = creation.make_parent_directory ? 1 : 0;
  auto operation = with_parent_made(creation, {std::move(request)});
  const Owner owner = creation.owner;
  submit_any(
      std::move(reply), std::move(operation),
      [this, creation = std::move(creation), info, index, exclusive](
          Reply answered, const Outcome& outcome) mutable {
        const Outcome& made = outcome.operations.empty() ? outcome : outcome.operations[index];
        if (outcome.error != Error::kOk) {
          end_owner(creation);
          return answered.error(errno_of(outcome.error));
        }
        // It was made, even if another has removed it again by now: an error would have the kernel
        // make it once more.
        const NodeId node = file_node(made.ino);
        const auto znode = znode_of(node);
        OpenFile file = znode ? open_znode(answered, *znode, info) : make_file(answered, info);
        file.ino = made.ino;
        if (exclusive) file.mode = WriteMode::kReplace;
        file.truncation_pending = false;
        file.attr = znode ? attributes(*znode, node) : gone_attributes(node);
        file.owner = creation.owner;
        file.ends_owner = creation.marker.owner == Marker::Owner::kFile;
        add_file(std::move(file), node, info);
        fuse_entry_param param{};
        param.ino = parts_.inodes.looked_up(node);
        param.attr = znode ? attributes(*znode, node) : gone_attributes(node);
        answered.create(param, info);
        announce_name(creation, node, made.name.empty() ? creation.name : made.name);
      },
      owner);
}

// Of a file that did not come to be.
void Filesystem::end_owner(const Creation& creation) {
  if (creation.marker.owner == Marker::Owner::kFile) parts_.owners.end(creation.owner);
}

// Answered now, made with its first commit: nobody sees it empty.
void Filesystem::create_later(Reply reply, Creation creation, fuse_file_info info) {
  const NodeId node = node_id(Face::kProvisional, ++last_provisional_);
  OpenFile file = make_file(reply, info);
  if (file.mode == WriteMode::kOverlay || file.mode == WriteMode::kNone) {
    file.mode = WriteMode::kReplace;
    file.identity = identity_of(reply);
  }
  file.attr = provisional_attributes(node);
  file.attr.st_mode = S_IFREG | creation.ownership.mode;
  file.attr.st_uid = creation.ownership.uid;
  file.attr.st_gid = creation.ownership.gid;
  const bool marked = creation.marker.any;
  file.owner = creation.owner;
  file.ends_owner = creation.marker.owner == Marker::Owner::kFile;
  file.creation = std::move(creation);
  fuse_entry_param param{};
  param.ino = parts_.inodes.looked_up(node);
  param.attr = file.attr;
  const Handle handle = add_file(std::move(file), node, info);
  provisional_[node] = handle;
  reply.create(param, info);
  if (marked) watch_idle_creator(handle);
}

// --- reading and writing ---

// Whoever has read it all and begins once more, or was told the end and reads on from there where
// the value has only grown since (tail -f), has done with the value it opened. Anything else would
// mix two values.
void Filesystem::read_on(OpenFile& file, std::size_t at) {
  const bool anew = at == 0 && file.was_read;
  const bool onwards = at >= file.size() && file.was_told_end;
  if (!anew && !onwards) return;
  const auto znode = tree().find(file.ino);
  // Gone, or a link that was renamed over the file.
  if (!znode || !has_face(*znode, Face::kFile)) return;
  if (!anew && !znode->data.view().starts_with(file.snapshot.view())) return;
  file.snapshot = znode->data;
  file.version = znode->stat.version;
  file.attr = attributes(*znode, file_node(znode->ino));
}

void Filesystem::read(Reply reply, Handle handle, std::size_t size, off_t offset) {
  OpenFile* file = files_.find(handle);
  if (file == nullptr) return reply.error(EBADF);
  const auto at = static_cast<std::size_t>(offset);
  if (file->mode == WriteMode::kNone) read_on(*file, at);
  file->begun = true;
  const std::string_view value = file->value();
  const auto from = std::min(at, value.size());
  file->was_told_end = from == value.size();
  file->was_read = value.size() - from <= size;
  reply.bytes(value.substr(from, size));
}

void Filesystem::write(Reply reply,
                       std::string_view bytes,
                       off_t offset,
                       const fuse_file_info& info) {
  if (parts_.door.in_quorum()) return write_admitted(std::move(reply), bytes, offset, info);
  // Told now rather than at close, which shells do not look at.
  parts_.gate.admit(std::move(reply),
                    [this, copy = std::string(bytes), offset, info](Reply admitted) {
                      write_admitted(std::move(admitted), copy, offset, info);
                    });
}

void Filesystem::write_admitted(Reply reply,
                                std::string_view bytes,
                                off_t offset,
                                const fuse_file_info& info) {
  OpenFile* file = files_.find(info.fh);
  if (file == nullptr) return reply.error(EBADF);
  if (file->mode == WriteMode::kControl) {
    const int error = parts_.control.write(file->node, bytes);
    return error == 0 ? reply.write(bytes.size()) : reply.error(error);
  }
  if (file->failed != 0) return reply.error(file->failed);
  if (file->fenced || (file->owner && file->owner->over())) return reply.error(EIO);
  if (!file->creation && !tree().find(file->ino)) return reply.error(ESTALE);
  if (file->mode == WriteMode::kCompareAndSet) {
    return write_compare_and_set(std::move(reply), info.fh, bytes, offset);
  }
  const int error = file->write(bytes, static_cast<std::uint64_t>(offset), info.lock_owner);
  if (error != 0) return reply.error(error);
  // Told now rather than at close, which shells do not look at.
  if (!has_quota_room(*file)) return reply.error(file->failed = EDQUOT);
  if (!file->synchronous) return reply.write(bytes.size());
  commit_and_answer(std::move(reply), info.fh,
                    [count = bytes.size()](Reply answered) { answered.write(count); });
}

// For what is written through `file` and not committed yet.
bool Filesystem::has_quota_room(const OpenFile& file) const {
  if (file.creation) {
    const auto bytes = static_cast<std::int64_t>(file.size());
    return parts_.door.has_quota_room(file.creation->parent, file.creation->name, {1, bytes});
  }
  const std::size_t before =
      file.mode == WriteMode::kAppend ? file.snapshot.size() : tree().find(file.ino)->data.size();
  return parts_.door.has_quota_room(
      file.ino, {},
      {0, static_cast<std::int64_t>(file.size()) - static_cast<std::int64_t>(before)});
}

// Each write is a commit of its own, on top of the last one of this descriptor.
void Filesystem::write_compare_and_set(Reply reply,
                                       Handle handle,
                                       std::string_view bytes,
                                       off_t offset) {
  OpenFile& file = *files_.find(handle);
  if (file.committing) {
    const Parking::Id id = parts_.parking.park(std::move(reply), {});
    file.after_commit.push_back([this, id, handle, copy = std::string(bytes), offset](int) {
      Reply parked = parts_.parking.take(id);
      if (!parked.pending()) return;
      if (files_.find(handle) == nullptr) return parked.error(EBADF);
      write_compare_and_set(std::move(parked), handle, copy, offset);
    });
    return;
  }
  // A refused value leaves the descriptor as it was.
  const int error = file.write(bytes, static_cast<std::uint64_t>(offset), 0);
  if (error != 0) {
    file.failed = 0;
    return reply.error(error);
  }
  commit_and_answer(std::move(reply), handle,
                    [count = bytes.size()](Reply answered) { answered.write(count); });
}

// --- when to commit ---

// The opener, by thread group (Go and Java close on another thread than they open on).
bool Filesystem::is_opener(const Reply& reply, const OpenFile& file) {
  if (reply.pid() == file.opener) return true;
  if (reply.pid() == 0 || file.opener == 0) return false;
  const pid_t group = thread_group_of(reply.pid());
  return group != 0 && (group == file.opener || group == thread_group_of(file.opener));
}

// A FLUSH is not a close: shells flush once before they write, and children as they exit.
bool Filesystem::flush_commits(const Reply& reply, OpenFile& file, std::uint64_t lock_owner) const {
  const bool wrote =
      std::find(file.writers.begin(), file.writers.end(), lock_owner) != file.writers.end();
  if (!file.dirty()) {
    return file.creation && is_opener(reply, file) && ++file.opener_flushes >= 2;
  }
  if (parts_.options.commit == CommitMode::kWriter) return wrote;
  if (file.opener == 0 || reply.pid() == 0) return wrote;
  return is_opener(reply, file);
}

void Filesystem::flush(Reply reply, const fuse_file_info& info) {
  OpenFile* file = files_.find(info.fh);
  if (file == nullptr || file->mode == WriteMode::kControl) return reply.ok();
  // A close: it gives the process's fcntl locks on the file free, and may be a commit as well; both
  // are on their way in this order.
  const Locks::Who process{lock_number(*file), tree::LockSpace::kPosix, info.lock_owner, 0};
  if (process.ino && parts_.locks.asked(process)) {
    if (file->failed == 0 && file->needs_commit()) {
      return commit_and_unlock(std::move(reply), info.fh, process);
    }
    if (file->failed == 0) return parts_.locks.unlock_all(std::move(reply), process);
    parts_.locks.release(process);
  }
  if (!file->writable()) return reply.ok();
  if (file->failed != 0) return reply.error(file->failed);
  if (!flush_commits(reply, *file, info.lock_owner)) return reply.ok();
  if (!parts_.door.in_quorum()) {
    // One that is being killed cannot be told again; its last close commits in the background.
    const auto state = read_task_state(reply.pid());
    if (state && (state->exiting || state->fatal_pending)) return reply.error(EINTR);
  }
  commit_and_answer(std::move(reply), info.fh, [](Reply answered) { answered.ok(); });
}

// The locks go behind the commit, whatever becomes of it.
void Filesystem::commit_and_unlock(Reply reply, Handle handle, const Locks::Who& who) {
  const Parking::Id id = parts_.parking.park(std::move(reply), {}, commit_terms());
  commit(handle, [this, id, who](int error) {
    Reply parked = parts_.parking.take(id);
    if (parked.pending() && error == 0) return parts_.locks.unlock_all(std::move(parked), who);
    parts_.locks.release(who);
    if (parked.pending()) parked.error(error);
  });
}

void Filesystem::release(Reply reply, const fuse_file_info& info) {
  const Handle handle = info.fh;
  OpenFile* file = files_.find(handle);
  if (file == nullptr) return reply.ok();
  file->released = true;
  const bool commits = file->committing || (file->needs_commit() && !stopped_);
  if (commits) {
    // Before the answer: what the kernel sends next must find the barrier.
    release_commit(handle);
  }
  // Behind the commit in the order of the session: the next holder sees what this one wrote.
  release_locks(*file, info);
  if (!commits) drop_file(handle);
  reply.ok();
}

void Filesystem::fsync(Reply reply, std::optional<Handle> handle) {
  OpenFile* file = handle ? files_.find(*handle) : nullptr;
  if (file != nullptr && file->failed != 0) return reply.error(file->failed);
  if (file != nullptr && (file->needs_commit() || file->committing)) {
    return commit_and_answer(std::move(reply), *handle, [](Reply answered) { answered.ok(); });
  }
  parts_.gate.admit(
      std::move(reply),
      [this](Reply admitted) {
        const auto ticket = std::make_shared<std::uint64_t>(0);
        const Parking::Id id = parts_.parking.park(
            std::move(admitted), [this, ticket](Parking::Why) { parts_.door.forget(*ticket); });
        *ticket = parts_.door.sync([this, alive = alive_, id](Error error) {
          if (!*alive) return;
          if (Reply parked = parts_.parking.take(id); parked.pending()) {
            parked.error(errno_of(error));
          }
        });
      },
      EIO);
}

}  // namespace zkfs::mount
