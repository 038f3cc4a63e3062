// SPDX-License-Identifier: Apache-2.0
// View: how a znode looks as a file: type, attributes, names. Pure functions over tree::Znode;
// contract sections 1 and 8.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>

#include <fuse3/fuse_lowlevel.h>

#include "ensemble/tree/data_tree.h"
#include "mount/node_id.h"

namespace zkfs::mount {

// The name of a directory's data (contract section 1), and the suffixes of the two aliases that are
// never listed.
inline constexpr std::string_view kDataName = ".@data";
inline constexpr std::string_view kDataAlias = "@data";
inline constexpr std::string_view kDirectoryAlias = "@dir";

// The face a look-up of this znode by its own name leads to.
NodeId natural_node(const tree::Znode& znode);

// Whether the znode has this face now: a rename makes a file a link and the other way round, and
// what the kernel still holds of the former is gone then. A directory has the face of a file, too.
bool has_face(const tree::Znode& znode, Face face);

// Attributes of `znode` seen as `node`. nlink: 1 for files, 2 + listed subdirectories for
// directories. st_ino: the znode's number; for `.@data` of a directory that number with a high bit
// set. Times: mtime, ctime = change time, atime = mtime. Blocks from the size. blksize 128 KiB (one
// write(2) of cat and cp).
struct stat attributes(const tree::Znode& znode, NodeId node);
// The same with what ownership() says of it, for listings, whose entries mostly share one ACL.
struct stat attributes(const tree::Znode& znode, NodeId node, const struct Ownership& owned);

// mode (type and permission bits), uid and gid as the ACL tells them: owner = the first user:<uid>
// entry (root if none), group = the first group:<gid>; READ -> r (and x on directories), WRITE on
// files -> w, CREATE and DELETE on directories -> w, other -> world:anyone. An open ACL
// (world:anyone:cdrwa) is 0666/0777 root:root.
struct Ownership {
  mode_t mode = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

Ownership ownership(const tree::Znode& znode, bool as_directory);

// The inverse, for create, chmod and chown: the ACL that shows as this. Entries of schemes other
// than user, group and world in `keep` survive.
tree::AclList acl_for(const Ownership& ownership, bool directory, const tree::AclList& keep);

// An entry reply: attributes, timeouts 0, generation 0.
fuse_entry_param entry(const tree::Znode& znode, NodeId node);

// The path of a znode, counted from `root`; nothing if it is not there or not below `root`. Names
// as they are in the ensemble.
std::optional<std::string> path_from(const tree::DataTree& tree, Ino root, Ino ino);

// A name that a ZooKeeper client chose and the mount cannot show as it is (it would read as a
// marker, an alias, `.@data`, or is longer than 255 bytes) shows percent-escaped; the inverse finds
// the real name. Both are the identity for ordinary names.
std::string shown_name(std::string_view name);
std::string real_name(std::string_view shown);

}  // namespace zkfs::mount
