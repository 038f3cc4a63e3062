// SPDX-License-Identifier: Apache-2.0
// Extended attributes: the texts of user.zk.* (contract section 4). Pure functions over a znode and
// the tree it is in.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ensemble/tree/data_tree.h"

namespace zkfs::mount {

inline constexpr std::string_view kXattrPrefix = "user.zk.";

// What the mount knows beside the tree.
struct XattrContext {
  const tree::DataTree& tree;
  // It is seen as the data of a directory: no kind of its own, or copying the data out of a
  // directory would make directories.
  bool data_of_directory = false;
  Ino root;           // what is mounted: paths begin there
  std::string error;  // of the last commit; empty if it was a success
  std::string stale;  // milliseconds without a quorum; empty while in one
};

// The value of `name` (without the prefix); nothing if the znode has no such attribute.
std::optional<std::string> xattr_text(const tree::Znode& znode,
                                      std::string_view name,
                                      const XattrContext& context);

// The names, prefix included, that this znode has, in the order of listing.
std::vector<std::string> xattr_names(const tree::Znode& znode, const XattrContext& context);

// True for a name (without the prefix) that some znode may have.
bool xattr_known(std::string_view name);

// "file", "directory" ("dir"), nothing else.
std::optional<tree::NodeKind> parse_kind(std::string_view text);

}  // namespace zkfs::mount
