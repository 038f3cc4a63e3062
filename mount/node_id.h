// SPDX-License-Identifier: Apache-2.0
// NodeId: what the kernel calls an inode of this mount. A znode has several faces there (contract
// section 1): its data as a file or as a symlink, and itself as a directory. A face is a node of
// its own to the kernel, so that open descriptors outlive a znode's turning into a directory, or
// into a link that was renamed over the file: the same nodeid with another type gives EIO
// (reference/fuse.md section 7), and an open on its way would read a link's target as a file's
// data. Reproducible from the znode's number, so that a restarted daemon could resume a mount.
#pragma once

#include <cstdint>

#include "ensemble/base/ids.h"

namespace zkfs::mount {

using NodeId = std::uint64_t;  // FUSE's

inline constexpr NodeId kRootNode = 1;  // FUSE_ROOT_ID: the root znode's directory face
inline constexpr NodeId kFaceMask = 7ULL << 60U;

enum class Face : std::uint8_t {
  kFile = 0,         // the data of a znode; also `.@data` of a directory
  kDirectory = 1,    // a znode as a directory
  kProvisional = 2,  // a file created here and not yet committed; the low bits count such files
                     // (contract section 2)
  kControl = 3,      // .zkfs (1) and what is in it; the low bits are a checksum of the path
  kLink = 5,         // a znode as a symlink (4: see file_node)
};

constexpr NodeId node_id(Face face, std::uint64_t number) {
  return face == Face::kDirectory && number == kRootIno.value
             ? kRootNode
             : (static_cast<NodeId>(face) << 60U) | number;
}

constexpr NodeId file_node(Ino ino) {
  // The root's data face must not be FUSE_ROOT_ID.
  return ino == kRootIno ? (4ULL << 60U) | 1U : node_id(Face::kFile, ino.value);
}

constexpr NodeId directory_node(Ino ino) {
  return node_id(Face::kDirectory, ino.value);
}

constexpr NodeId link_node(Ino ino) {
  return node_id(Face::kLink, ino.value);
}

constexpr Face face_of(NodeId node) {
  if (node == kRootNode) return Face::kDirectory;
  const auto bits = static_cast<std::uint8_t>((node & kFaceMask) >> 60U);
  return bits == 4 ? Face::kFile : static_cast<Face>(bits);
}

// Whether it is a face of a znode.
constexpr bool is_of_znode(NodeId node) {
  return face_of(node) != Face::kProvisional && face_of(node) != Face::kControl;
}

// The znode. Requires: is_of_znode(node).
constexpr Ino ino_of(NodeId node) {
  return Ino{node & ~kFaceMask};
}

}  // namespace zkfs::mount
