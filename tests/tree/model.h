// SPDX-License-Identifier: Apache-2.0
// Model: the tree's rules once more, as plainly as they can be written: maps, no sharing,
// everything derived counted anew. The real tree must agree with it after every txn.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ensemble/tree/data_tree.h"

namespace zkfs::tree::test {

struct ModelNode {
  Ino parent;
  std::string name;
  std::string data;
  AclList acl;
  NodeType type = NodeType::kPersistent;
  NodeKind kind = NodeKind::kUnspecified;
  bool executable = false;
  SessionId owner;
  std::int64_t ttl_ms = 0;
  Zxid czxid, mzxid, pzxid;
  WallMillis ctime = 0, mtime = 0, change_time = 0;
  std::int32_t version = 0, aversion = 0, creates = 0;
  std::vector<Ino> children;  // in the order of arrival

  [[nodiscard]] bool is_directory() const {
    return kind == NodeKind::kDirectory || type == NodeType::kContainer ||
           (kind == NodeKind::kUnspecified && creates > 0);
  }
};

struct ModelSession {
  std::uint32_t timeout_ms = 0;
  std::string owner;
  std::map<Xid, Outcome> outcomes;
};

class Model {
 public:
  Model();

  Outcome apply(Zxid zxid, const Txn& txn);
  // What differs between the two, or nothing. A loaded tree has its children in the order of
  // numbers.
  [[nodiscard]] std::string difference(const DataTree& tree, bool by_number = false) const;

  [[nodiscard]] std::optional<Ino> child(Ino parent, const std::string& name) const;
  [[nodiscard]] bool is_beneath(Ino ino, Ino ancestor) const;
  [[nodiscard]] std::vector<Ino> ephemerals_of(SessionId session) const;

  std::map<Ino, ModelNode> nodes;
  std::map<SessionId, ModelSession> sessions;
  Ino next_ino{2};
  Zxid last;

  // Applies one body at `zxid`, `time`.
  Outcome step(Zxid zxid, WallMillis time, const TxnBody& body);
  Outcome step(Zxid zxid, WallMillis time, const SubTxn& operation);

 private:
  struct Step;

  [[nodiscard]] std::string difference_of(Ino ino,
                                          const ModelNode& node,
                                          const DataTree& tree,
                                          bool by_number) const;
  [[nodiscard]] std::string difference_of_sessions(const DataTree& tree) const;
};

}  // namespace zkfs::tree::test
