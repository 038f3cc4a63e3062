// SPDX-License-Identifier: Apache-2.0
// Look-ups and attributes. Nothing here waits for a quorum.
#include <sys/statvfs.h>

#include <cerrno>
#include <chrono>
#include <string>

#include "ensemble/base/limits.h"
#include "ensemble/tree/system_znodes.h"
#include "mount/filesystem.h"

namespace zkfs::mount {

namespace {

struct timespec wall_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now);
  return {.tv_sec = seconds.count(),
          .tv_nsec = std::chrono::duration_cast<std::chrono::nanoseconds>(now - seconds).count()};
}

}  // namespace

void Filesystem::lookup(Reply reply, NodeId parent, Name name) {
  if (name.size() > limits::kNameBytesMax) return reply.error(ENAMETOOLONG);
  const Place place = find_place(parent, name);
  if (place.kind == Place::Kind::kControl) {
    fuse_entry_param param{};
    param.ino = parts_.inodes.looked_up(place.control.node);
    param.attr = parts_.control.attributes(place.control);
    parts_.control.hold(place.control);
    return reply.entry(param);
  }
  if (refuse_read(reply)) return;
  if (place.kind == Place::Kind::kRefused) return reply.error(place.error);
  if (barriers_.any()) {
    const auto again = [this, parent, name = std::string(name)](Reply r) {
      lookup(std::move(r), parent, name);
    };
    if (place.kind == Place::Kind::kChild &&
        wait_behind(reply, Barriers::of(place.parent, place.name), again)) {
      return;
    }
    const auto child = place.kind == Place::Kind::kChild
                           ? tree().find_child(place.parent, place.name)
                           : tree().find(place.parent);
    // A sequential name is not known before it is made; its directory stands for it.
    if (wait_behind(reply, Barriers::of(child ? child->ino : place.parent), again)) return;
  }
  finish_lookup(std::move(reply), place);
}

void Filesystem::finish_lookup(Reply reply, const Place& place) {
  if (place.kind == Place::Kind::kChild) {
    if (const auto child = tree().find_child(place.parent, place.name)) {
      return reply.entry(enter(*child, natural_node(*child)));
    }
    const NodeId own = own_provisional(reply, place);
    if (own == 0) return reply.error(ENOENT);
    fuse_entry_param param{};
    param.ino = parts_.inodes.looked_up(own);
    param.attr = attributes_for(own, reply, {});
    return reply.entry(param);
  }
  const auto znode = tree().find(place.parent);
  if (!znode) return reply.error(ENOENT);
  if (place.kind == Place::Kind::kDirectory) {
    return reply.entry(enter(*znode, directory_node(znode->ino)));
  }
  const auto removed = data_absent_for_.find(znode->ino);
  if (removed != data_absent_for_.end()) {
    if (removed->second == reply.pid() && znode->data.empty()) return reply.error(ENOENT);
    data_absent_for_.erase(removed);
  }
  reply.entry(enter(*znode, file_node(znode->ino)));
}

void Filesystem::forget(NodeId theirs, std::uint64_t count) {
  const NodeId node = parts_.inodes.forget(theirs, count);
  if (parts_.inodes.held(node)) return;
  if (face_of(node) == Face::kProvisional) {
    if (!files_of_node_.contains(node)) provisional_.erase(node);
  } else if (face_of(node) == Face::kFile || face_of(node) == Face::kLink) {
    const Ino ino = ino_of(node);
    if (!parts_.inodes.held(file_node(ino)) && !parts_.inodes.held(link_node(ino)))
      followed_.erase(ino);
  } else if (face_of(node) == Face::kControl) {
    parts_.control.forget(node);
  }
}

OpenFile* Filesystem::creator_of(NodeId node) {
  const auto it = provisional_.find(node);
  return it == provisional_.end() ? nullptr : files_.find(it->second);
}

// To the process that opened it, a file is there before its first commit (`f = open(name, "w");
// chmod(name)`). 0: there is none of his. The name of a marker never exists.
NodeId Filesystem::own_provisional(const Reply& reply, const Place& place) {
  for (const auto& [node, handle] : provisional_) {
    const OpenFile* file = files_.find(handle);
    if (file == nullptr || !file->creation || file->failed != 0) continue;
    if (file->creation->marker.any) continue;
    if (file->creation->parent != place.parent || file->creation->name != place.name) continue;
    if (is_opener(reply, *file)) return node;
  }
  return 0;
}

struct stat Filesystem::provisional_attributes(NodeId node) const {
  struct stat attr {};

  attr.st_ino = node;
  attr.st_mode = S_IFREG | 0644U;
  attr.st_nlink = 1;
  attr.st_blksize = 128 * 1024;
  attr.st_mtim = attr.st_ctim = attr.st_atim = wall_now();
  return attr;
}

// Removed, but open or pinned. The link count must be 0, or the kernel would not tell watchers of
// the deletion (fuse.md 2.2 rule 3).
struct stat Filesystem::gone_attributes(NodeId node) const {
  struct stat attr = provisional_attributes(node);
  attr.st_ino = face_of(node) == Face::kProvisional ? node : resolve(node).value;
  if (face_of(node) == Face::kDirectory) attr.st_mode = S_IFDIR | 0755U;
  if (face_of(node) == Face::kLink) attr.st_mode = S_IFLNK | 0777U;
  const auto [first, last] = files_of_node_.equal_range(node);
  for (auto it = first; it != last; ++it) {
    // Handles<> has no const find; the file is only read.
    if (const OpenFile* file = const_cast<Filesystem*>(this)->files_.find(it->second)) {
      attr = file->attr;
    }
  }
  attr.st_nlink = 0;
  return attr;
}

// Bytes that the caller, or the given handle, has written and not committed count for himself.
void Filesystem::add_uncommitted_size(struct stat& attr, NodeId node, pid_t caller) {
  const auto [first, last] = files_of_node_.equal_range(node);
  for (auto it = first; it != last; ++it) {
    const OpenFile* file = files_.find(it->second);
    if (file != nullptr && file->dirty() && (caller == 0 || file->opener == caller)) {
      attr.st_size = static_cast<off_t>(file->size());
      attr.st_blocks = (attr.st_size + 511) / 512;
    }
  }
}

// Programs believe fstat and read as many bytes as it says. So who has opened the file and read
// nothing yet reads the value whose size he is told: otherwise one that was replaced by a shorter
// one meanwhile would end in the middle. (fstat does not say which descriptor it is about.)
void Filesystem::begin_reading(const tree::Znode& znode, NodeId node, const Reply& reply) {
  if (!has_face(znode, Face::kFile)) return;
  const auto [first, last] = files_of_node_.equal_range(node);
  for (auto it = first; it != last; ++it) {
    OpenFile* file = files_.find(it->second);
    if (file == nullptr || file->mode != WriteMode::kNone || file->begun) continue;
    if (file->opener != reply.pid()) continue;
    file->snapshot = znode.data;
    file->version = znode.stat.version;
    show_own_writes(reply, znode, node, *file);
  }
}

struct stat Filesystem::attributes_for(NodeId node,
                                       const Reply& reply,
                                       std::optional<Handle> handle) {
  if (face_of(node) == Face::kControl) return parts_.control.attributes(node);
  node = parts_.inodes.ours(node);

  struct stat attr {};

  const auto znode = znode_of(node);
  if (znode) {
    attr = attributes(*znode, node);
  } else if (OpenFile* creator = creator_of(node); creator != nullptr && creator->creation) {
    attr = creator->attr;
    add_uncommitted_size(attr, node, 0);
    return attr;
  } else {
    return gone_attributes(node);
  }
  if (!files_of_node_.contains(node)) return attr;
  begin_reading(*znode, node, reply);
  add_uncommitted_size(attr, node, reply.pid());
  if (const OpenFile* file = handle ? files_.find(*handle) : nullptr;
      file != nullptr && file->dirty()) {
    attr.st_size = static_cast<off_t>(file->size());
  }
  return attr;
}

void Filesystem::getattr(Reply reply, NodeId node, std::optional<Handle> handle) {
  // The root must answer, or the control directory could not be reached.
  if (face_of(node) != Face::kControl && node != parts_.inodes.root() && refuse_read(reply)) {
    return;
  }
  if (barriers_.any()) {
    const auto again = [this, node, handle](Reply r) { getattr(std::move(r), node, handle); };
    if (wait_behind(reply, Barriers::of(resolve(node)), again)) return;
  }
  answer_attributes(std::move(reply), node, handle);
}

void Filesystem::answer_attributes(Reply reply, NodeId node, std::optional<Handle> handle) {
  const struct stat attr = attributes_for(node, reply, handle);
  reply.attr(attr);
}

void Filesystem::readlink(Reply reply, NodeId node) {
  if (refuse_read(reply)) return;
  const auto znode = znode_of(node);
  if (!znode) return reply.error(ESTALE);
  if (znode->kind != tree::NodeKind::kSymlink) return reply.error(EINVAL);
  reply.readlink(std::string(znode->data.view()).c_str());
}

void Filesystem::statfs(Reply reply) {
  // Room without end, as far as the mount knows; what is used is counted truly.
  constexpr std::uint64_t kRoomBlocks = 1ULL << 22U;
  constexpr std::uint64_t kRoomFiles = 1ULL << 32U;

  struct statvfs statistics {};

  statistics.f_bsize = statistics.f_frsize = 4096;
  statistics.f_blocks = (tree().data_bytes() + 4095) / 4096 + kRoomBlocks;
  statistics.f_bfree = statistics.f_bavail = kRoomBlocks;
  // What the mount does not list it does not count.
  statistics.f_files = tree().node_count() - tree::kSystemZnodes.size() + kRoomFiles;
  statistics.f_ffree = statistics.f_favail = kRoomFiles;
  statistics.f_namemax = limits::kNameBytesMax;
  reply.statfs(statistics);
}

}  // namespace zkfs::mount
