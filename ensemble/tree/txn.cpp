// SPDX-License-Identifier: Apache-2.0
#include "ensemble/tree/txn.h"

namespace zkfs::tree {

std::string_view to_string(NodeType type) {
  switch (type) {
    case NodeType::kPersistent:
      return "persistent";
    case NodeType::kEphemeral:
      return "ephemeral";
    case NodeType::kContainer:
      return "container";
    case NodeType::kTtl:
      return "ttl";
  }
  return "";
}

std::string_view to_string(NodeKind kind) {
  switch (kind) {
    case NodeKind::kUnspecified:
      return "";
    case NodeKind::kFile:
      return "file";
    case NodeKind::kDirectory:
      return "directory";
    case NodeKind::kSymlink:
      return "symlink";
  }
  return "";
}

}  // namespace zkfs::tree
