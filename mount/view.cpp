// SPDX-License-Identifier: Apache-2.0
#include "mount/view.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "ensemble/base/limits.h"
#include "mount/marker.h"

namespace zkfs::mount {

namespace {

using tree::Permissions;

constexpr std::uint64_t kDataFileBit = 1ULL << 62U;
constexpr blksize_t kBlockSize = 128 * 1024;

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  return value;
}

// rwx bits of one class.
mode_t bits_of(std::uint32_t permissions, bool directory) {
  mode_t bits = 0;
  if ((permissions & Permissions::kRead) != 0) bits |= directory ? 5U : 4U;
  const std::uint32_t write =
      directory ? Permissions::kCreate | Permissions::kDelete : Permissions::kWrite;
  if ((permissions & write) == write) bits |= 2U;
  return bits;
}

std::uint32_t permissions_of(mode_t bits, bool directory) {
  std::uint32_t permissions = 0;
  if ((bits & 4U) != 0) permissions |= Permissions::kRead;
  if ((bits & 2U) != 0) {
    permissions |= Permissions::kWrite;
    if (directory) permissions |= Permissions::kCreate | Permissions::kDelete;
  }
  return permissions;
}

struct timespec timespec_of(WallMillis time) {
  return {.tv_sec = time / 1000, .tv_nsec = (time % 1000) * 1'000'000};
}

// Where an escape that decodes stands: "%40" is '@', "%25" is '%'.
char escaped_char(std::string_view text, std::size_t at) {
  const std::string_view code = text.substr(at, 3);
  if (code == "%40") return '@';
  if (code == "%25") return '%';
  return 0;
}

std::string decode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (const char c = escaped_char(text, i); c != 0) {
      decoded += c;
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

std::string encode(std::string_view name) {
  std::string shown;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '@') {
      shown += "%40";
    } else if (escaped_char(name, i) != 0) {
      shown += "%25";
    } else {
      shown += name[i];
    }
  }
  return shown;
}

bool means_something(std::string_view name) {
  return name.ends_with(kDataAlias) || name.ends_with(kDirectoryAlias) || reads_as_marker(name);
}

// A name that, shown as it is, would be read as another: by its suffix, or because it looks like
// the escaped form of one that has such a suffix.
bool needs_escape(std::string_view name) {
  if (name.find('@') != std::string_view::npos && means_something(name)) return true;
  if (name.find('%') == std::string_view::npos) return false;
  const std::string decoded = decode(name);
  return decoded != name && needs_escape(decoded);
}

}  // namespace

NodeId natural_node(const tree::Znode& znode) {
  if (znode.is_directory()) return directory_node(znode.ino);
  return znode.kind == tree::NodeKind::kSymlink ? link_node(znode.ino) : file_node(znode.ino);
}

bool has_face(const tree::Znode& znode, Face face) {
  if (face == Face::kDirectory) return true;
  const bool link = !znode.is_directory() && znode.kind == tree::NodeKind::kSymlink;
  return link == (face == Face::kLink);
}

Ownership ownership(const tree::Znode& znode, bool as_directory) {
  const mode_t everything = as_directory ? 0777U : 0666U;
  const mode_t execute = !as_directory && znode.executable ? 0111U : 0U;
  static const tree::AclList kOpen = tree::open_acl();
  if (znode.acl == nullptr || znode.acl->empty() || *znode.acl == kOpen) {
    return {.mode = everything | execute, .uid = 0, .gid = 0};
  }
  std::optional<mode_t> owner;
  std::optional<mode_t> group;
  mode_t other = 0;
  Ownership result;
  for (const tree::AclEntry& entry : *znode.acl) {
    const mode_t bits = bits_of(entry.permissions, as_directory);
    const auto id = number(entry.id);
    if (entry.scheme == "user" && !owner && id) {
      owner = bits;
      result.uid = *id;
    } else if (entry.scheme == "group" && !group && id) {
      group = bits;
      result.gid = *id;
    } else if (entry.scheme == "world") {
      other |= bits;
    }
  }
  // Nobody named: root, who may do everything anyway.
  result.mode =
      (owner.value_or(as_directory ? 7U : 6U) << 6U) | (group.value_or(other) << 3U) | other;
  // Whoever may read what is executable may execute it.
  if (execute != 0) result.mode |= (result.mode & 0444U) >> 2U;
  return result;
}

tree::AclList acl_for(const Ownership& ownership, bool directory, const tree::AclList& keep) {
  const mode_t mode = ownership.mode;
  std::uint32_t owner = permissions_of((mode >> 6U) & 7U, directory) | Permissions::kAdmin;
  // Of a file, too: it may be a directory to ZooKeeper's clients.
  if ((owner & Permissions::kWrite) != 0) owner |= Permissions::kCreate | Permissions::kDelete;
  tree::AclList acl{{owner, "user", std::to_string(ownership.uid)}};
  const std::uint32_t group = permissions_of((mode >> 3U) & 7U, directory);
  const std::uint32_t other = permissions_of(mode & 7U, directory);
  // An entry without permissions would say nothing but the number; it is needed only where the
  // group may do less than everybody, or is not root's.
  if (group != 0 || other != 0 || ownership.gid != 0) {
    acl.push_back({group, "group", std::to_string(ownership.gid)});
  }
  if (other != 0) acl.push_back({other, "world", "anyone"});
  for (const tree::AclEntry& entry : keep) {
    if (entry.scheme != "user" && entry.scheme != "group" && entry.scheme != "world") {
      acl.push_back(entry);
    }
  }
  return acl;
}

struct stat attributes(const tree::Znode& znode, NodeId node) {
  return attributes(znode, node, ownership(znode, face_of(node) == Face::kDirectory));
}

struct stat attributes(const tree::Znode& znode, NodeId node, const Ownership& owned) {
  const bool directory = face_of(node) == Face::kDirectory;
  const bool symlink = face_of(node) == Face::kLink;

  struct stat attr {};

  attr.st_ino = znode.ino.value;
  if (!directory && znode.is_directory()) attr.st_ino |= kDataFileBit;
  attr.st_mode = symlink ? S_IFLNK | 0777U : (directory ? S_IFDIR : S_IFREG) | owned.mode;
  attr.st_uid = owned.uid;
  attr.st_gid = owned.gid;
  // /zookeeper is not listed, and `find` counts on links being what is.
  const unsigned hidden = znode.ino == kRootIno ? 1 : 0;
  attr.st_nlink = directory ? 2 + znode.subdirectories - hidden : 1;
  attr.st_size = directory ? 0 : znode.stat.data_length;
  attr.st_blocks = (attr.st_size + 511) / 512;
  attr.st_blksize = kBlockSize;
  attr.st_mtim = timespec_of(znode.stat.mtime);
  attr.st_ctim = timespec_of(std::max(znode.stat.mtime, znode.change_time));
  attr.st_atim = attr.st_mtim;
  return attr;
}

fuse_entry_param entry(const tree::Znode& znode, NodeId node) {
  fuse_entry_param param{};
  param.ino = node;
  param.attr = attributes(znode, node);
  return param;
}

std::optional<std::string> path_from(const tree::DataTree& tree, Ino root, Ino ino) {
  const std::string path = tree.path_of(ino);
  if (path.empty()) return {};
  if (!root || root == kRootIno) return path;
  if (!tree.is_ancestor(root, ino)) return {};
  return ino == root ? "/" : path.substr(tree.path_of(root).size());
}

std::string shown_name(std::string_view name) {
  return needs_escape(name) ? encode(name) : std::string(name);
}

std::string real_name(std::string_view shown) {
  if (shown.find('%') == std::string_view::npos) return std::string(shown);
  std::string decoded = decode(shown);
  return decoded != shown && needs_escape(decoded) ? decoded : std::string(shown);
}

}  // namespace zkfs::mount
