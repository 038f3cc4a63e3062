// SPDX-License-Identifier: Apache-2.0
// Directories. A listing is of the numbers a directory's children had when it was begun, so offsets
// stay valid while others create and remove entries: what is gone by then is left out, nothing is
// shown twice. Offset 0 begins anew.
#include <dirent.h>

#include <cerrno>
#include <string>

#include "mount/filesystem.h"

namespace zkfs::mount {

namespace {

// Offsets: after ".", "..", ".@data", then after each child.
constexpr off_t kAfterDot = 1;
constexpr off_t kAfterDotDot = 2;
constexpr off_t kAfterData = 3;

constexpr std::size_t kAbsentDataMax = 65'536;

// Fills a buffer of the size the kernel asked for.
class Listing {
 public:
  Listing(std::string& buffer, std::size_t size, bool plus) : buffer_(buffer), plus_(plus) {
    if (buffer_.size() < size) buffer_.resize(size);
    room_ = size;
  }

  // False if it does not fit.
  bool add(const std::string& name, const fuse_entry_param& entry, off_t next) {
    char* at = buffer_.data() + used_;
    const std::size_t room = room_ - used_;
    const std::size_t length =
        plus_ ? fuse_add_direntry_plus(nullptr, at, room, name.c_str(), &entry, next)
              : fuse_add_direntry(nullptr, at, room, name.c_str(), &entry.attr, next);
    if (length > room) return false;
    used_ += length;
    return true;
  }

  [[nodiscard]] std::string_view bytes() const { return {buffer_.data(), used_}; }

 private:
  std::string& buffer_;
  bool plus_;
  std::size_t room_ = 0;
  std::size_t used_ = 0;
};

mode_t type_of(const tree::Znode& znode, NodeId node) {
  if (face_of(node) == Face::kDirectory) return S_IFDIR;
  return znode.kind == tree::NodeKind::kSymlink ? S_IFLNK : S_IFREG;
}

// What the ACL of the last entry came to. Within one request: ACLs are shared, and known by where
// they lie.
class LastOwnership {
 public:
  const Ownership& of(const tree::Znode& znode, NodeId node) {
    const bool directory = face_of(node) == Face::kDirectory;
    if (!known_ || znode.acl != acl_ || directory != directory_ ||
        znode.executable != executable_) {
      owned_ = ownership(znode, directory);
      known_ = true;
      acl_ = znode.acl;
      directory_ = directory;
      executable_ = znode.executable;
    }
    return owned_;
  }

 private:
  bool known_ = false;
  decltype(tree::Znode::acl) acl_{};
  bool directory_ = false;
  bool executable_ = false;
  Ownership owned_;
};

fuse_entry_param plain(std::uint64_t ino, mode_t type) {
  fuse_entry_param param{};
  param.attr.st_ino = ino;
  param.attr.st_mode = type;
  return param;
}

}  // namespace

void Filesystem::opendir(Reply reply, NodeId node, fuse_file_info info) {
  const bool control = face_of(node) == Face::kControl;
  if (!control && refuse_read(reply)) return;
  if (!control && barriers_.any()) {
    const auto again = [this, node, info](Reply r) { opendir(std::move(r), node, info); };
    if (wait_behind(reply, Barriers::of(resolve(node)), again)) return;
  }
  // The root, before it is there, is empty.
  if (!control && !znode_of(node) && node != parts_.inodes.root()) return reply.error(ENOENT);
  info.fh = directories_.add(DirectoryHandle{.node = node, .children = {}, .control = {}});
  reply.open(info);
}

void Filesystem::releasedir(Reply reply, Handle handle) {
  directories_.erase(handle);
  reply.ok();
}

void Filesystem::fill(DirectoryHandle& directory) {
  const auto znode = znode_of(directory.node);
  directory.loaded = true;
  directory.with_data = znode && !znode->data.empty();
  directory.children = znode ? tree().children_of(znode->ino) : std::vector<Ino>{};
}

// An entry that does not count yet: it may not fit.
fuse_entry_param Filesystem::entry_of(const tree::Znode& znode, NodeId node) const {
  fuse_entry_param param = entry(znode, node);
  param.ino = parts_.inodes.theirs(node);
  return param;
}

void Filesystem::readdir(Reply reply, Handle handle, std::size_t size, off_t offset, bool plus) {
  DirectoryHandle* directory = directories_.find(handle);
  if (directory == nullptr) return reply.error(EBADF);
  if (face_of(directory->node) == Face::kControl) {
    return read_control_directory(std::move(reply), *directory, size, offset, plus);
  }
  if (refuse_read(reply)) return;
  if (offset == 0 || !directory->loaded) fill(*directory);
  const Ino self = resolve(directory->node);
  const auto znode = tree().find(self);
  Listing listing(scratch_, size, plus);
  bool room = true;
  if (offset < kAfterDot) room = listing.add(".", plain(self.value, S_IFDIR), kAfterDot);
  if (room && offset < kAfterDotDot) {
    const Ino up = znode && znode->parent ? znode->parent : kRootIno;
    room = listing.add("..", plain(up.value, S_IFDIR), kAfterDotDot);
  }
  if (room && offset < kAfterData && directory->with_data && znode) {
    const NodeId node = file_node(self);
    room = listing.add(std::string(kDataName), entry_of(*znode, node), kAfterData);
    if (room && plus) parts_.inodes.looked_up(node);
  }
  const std::size_t first = offset > kAfterData ? static_cast<std::size_t>(offset - kAfterData) : 0;
  LastOwnership owners;
  for (std::size_t i = first; room && i < directory->children.size(); ++i) {
    const auto child = tree().find(directory->children[i]);
    // ZooKeeper's own is there for who names it, as .zkfs is.
    if (!child || child->parent != self || child->ino == kZookeeperIno) continue;
    const NodeId node = natural_node(*child);
    fuse_entry_param param{};
    if (plus) {
      param.attr = attributes(*child, node, owners.of(*child, node));
      param.ino = parts_.inodes.theirs(node);
    } else {
      param = plain(child->ino.value, type_of(*child, node));
    }
    room = listing.add(shown_name(child->name), param, kAfterData + static_cast<off_t>(i) + 1);
    if (room && plus) parts_.inodes.looked_up(node);
  }
  reply.bytes(listing.bytes());
}

void Filesystem::read_control_directory(
    Reply reply, DirectoryHandle& directory, std::size_t size, off_t offset, bool plus) {
  if (offset == 0 || !directory.loaded) directory.control = parts_.control.list(directory.node);
  directory.loaded = true;
  Listing listing(scratch_, size, plus);
  bool room = true;
  if (offset < kAfterDot) room = listing.add(".", plain(directory.node, S_IFDIR), kAfterDot);
  if (room && offset < kAfterDotDot) {
    room = listing.add("..", plain(kRootIno.value, S_IFDIR), kAfterDotDot);
  }
  const std::size_t first = offset > kAfterData ? static_cast<std::size_t>(offset - kAfterData) : 0;
  for (std::size_t i = first; room && i < directory.control.size(); ++i) {
    const Control::Entry& found = directory.control[i];
    fuse_entry_param param = plain(found.node, found.directory ? S_IFDIR : S_IFREG);
    if (plus) {
      param.attr = parts_.control.attributes(found);
      if (param.attr.st_nlink == 0) continue;  // gone since the listing was begun
      param.ino = found.node;
    }
    room = listing.add(std::string(found.name()), param, kAfterData + static_cast<off_t>(i) + 1);
    if (!room || !plus) continue;
    parts_.control.hold(found);
    parts_.inodes.looked_up(param.ino);
  }
  reply.bytes(listing.bytes());
}

void Filesystem::mkdir(Reply reply, NodeId parent, Name name, mode_t mode) {
  Place place = new_place(parent, name);
  if (place.kind == Place::Kind::kRefused) return reply.error(place.error);
  if (place.kind != Place::Kind::kChild) return reply.error(EEXIST);
  server::CreateRequest request;
  request.kind = tree::NodeKind::kDirectory;
  request.acl =
      acl_for(Ownership{.mode = mode & 0777U, .uid = reply.uid(), .gid = reply.gid()}, true, {});
  make_node(std::move(reply), std::move(place), parent, name, std::move(request));
}

void Filesystem::rmdir(Reply reply, NodeId parent, Name name) {
  const Place place = find_place(parent, name);
  if (place.kind == Place::Kind::kControl) return reply.error(EPERM);
  // `leaf@dir` is another view of a file; `unlink leaf` removes it.
  if (place.kind == Place::Kind::kDirectory) return reply.error(EBUSY);
  if (place.kind == Place::Kind::kData) return reply.error(ENOTDIR);
  if (place.kind == Place::Kind::kRefused) return reply.error(place.error);
  remove(std::move(reply), place.parent, place.name, true);
}

void Filesystem::data_is_absent_for(Ino directory, pid_t caller) {
  // Not kept for ever for directories whose data nobody ever asks for.
  if (data_absent_for_.size() >= kAbsentDataMax) data_absent_for_.clear();
  data_absent_for_[directory] = caller;
}

void Filesystem::make_node(
    Reply reply, Place place, NodeId parent, Name ghost, server::CreateRequest request) {
  const Creation creation{.parent = place.parent,
                          .name = place.name,
                          .ghost = std::string(ghost),
                          .marker = place.marker,
                          .ownership = {},
                          .make_parent_directory = is_leaf_as_directory(parent),
                          .owner = {}};
  // There is no open file for it to live with.
  if (place.marker.owner == Marker::Owner::kFile) return reply.error(EINVAL);
  auto owner = owner_of(reply, place.marker);
  if (!owner) return reply.error(owner.error());
  server::CreateRequest base = create_request(creation);
  base.acl = std::move(request.acl);
  base.kind = request.kind;
  base.data = std::move(request.data);
  const std::size_t index = creation.make_parent_directory ? 1 : 0;
  const tree::NodeKind kind = base.kind;
  change(
      std::move(reply), with_parent_made(creation, {std::move(base)}),
      [this, creation, index, kind](Reply answered, const Outcome& outcome) {
        const Outcome& made = outcome.operations.empty() ? outcome : outcome.operations[index];
        // As what it was made: another may have removed or replaced it before we could answer.
        const NodeId node = kind == tree::NodeKind::kDirectory ? directory_node(made.ino)
                            : kind == tree::NodeKind::kSymlink ? link_node(made.ino)
                                                               : file_node(made.ino);
        const auto znode = znode_of(node);
        if (znode && face_of(node) == Face::kDirectory) {
          data_is_absent_for(made.ino, answered.pid());
        }
        fuse_entry_param param{};
        param.ino = parts_.inodes.looked_up(node);
        param.attr = znode ? attributes(*znode, node) : gone_attributes(node);
        answered.entry(param);
        announce_name(creation, node, made.name);
      },
      std::move(*owner));
}

}  // namespace zkfs::mount
