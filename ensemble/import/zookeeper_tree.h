// SPDX-License-Identifier: Apache-2.0
// ZooKeeperTree: the state of a ZooKeeper server, as its snapshot and log tell it.
//
// Snapshots of ZooKeeper are fuzzy: taken while txns are applied, they may hold a part of what came
// after the zxid in their name. So whatever is applied may have been applied before, and the state
// is right only once the log has been applied as far as it goes:
// - A create of what is there changes only its ACL, and its parent's counter and pzxid, which are
//   raised and never lowered: they are in the txn.
// - A delete takes what hangs below along: that is of a later life of the same name, and the log
//   makes it anew. Of what is not there it still raises the parent's pzxid.
// - Whatever else does not find its znode is left out: it was deleted later.
// - A closeSession carries the list of what it deletes (from 3.6 on); before that, and beside it,
//   goes what the session owns.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ensemble/import/zookeeper_files.h"
#include "ensemble/tree/txn.h"

namespace zkfs::zookeeper {

class ZooKeeperTree final : public SnapshotSink {
 public:
  struct Node {
    Blob data;
    // The number of the ACL in the snapshot while that has not told it.
    std::optional<std::int64_t> missing_acl;
    std::shared_ptr<const tree::AclList> acl;
    StatPersisted stat;
    Node* parent = nullptr;  // null: the root
    std::map<std::string, std::unique_ptr<Node>, std::less<>> children;
  };

  // What lives how long, by the owner in the stat.
  struct Lifetime {
    tree::NodeType type = tree::NodeType::kPersistent;
    std::int64_t ttl_ms = 0;
  };

  // As ZooKeeper begins: /, /zookeeper and /zookeeper/quota.
  ZooKeeperTree();

  void add_session(std::int64_t id) override;
  void add_acl(std::int64_t number, tree::AclList acl) override;
  bool add_znode(std::string_view path,
                 Blob data,
                 std::int64_t acl,
                 const StatPersisted& stat) override;

  // Fails with: what the record says cannot be decoded, or is of a type that 3.4 to 3.9 do not log;
  // the text is for behind the name of the file.
  Expected<void> apply(const LogRecord& record);

  // Deletes what sessions own, as closing them all at `zxid` would. Returns how many znodes.
  std::size_t close_sessions(std::int64_t zxid);

  [[nodiscard]] const Node& root() const { return *root_; }

  [[nodiscard]] const Node* find(std::string_view path) const;

  // Of the sessions that are open.
  [[nodiscard]] std::size_t session_count() const { return sessions_.size(); }

  [[nodiscard]] Lifetime lifetime_of(std::int64_t owner) const;

 private:
  struct Create;

  struct Place {
    Node* parent = nullptr;  // null: there is none
    std::string_view name;
  };

  Node* find(std::string_view path);
  Place place_of(std::string_view path);
  std::shared_ptr<const tree::AclList> intern(tree::AclList acl);
  Expected<void> apply_operation(std::int32_t type, ByteView body, const LogRecord& record);
  Expected<void> apply_multi(ByteView body, const LogRecord& record);
  bool apply_create(std::int32_t type, ByteView body, const LogRecord& record);
  bool apply_set_data(ByteView body, const LogRecord& record);
  bool apply_set_acl(ByteView body);
  bool apply_close_session(ByteView body, const LogRecord& record);
  void create(const Create& what);
  void remove(std::string_view path, std::int64_t zxid);
  void forget_owners(const std::string& path, const Node& node);
  void collect_ephemerals(const std::string& path,
                          const Node& node,
                          std::vector<std::string>& found) const;

  std::unique_ptr<Node> root_;
  std::unordered_set<std::int64_t> sessions_;
  std::unordered_set<std::int64_t> sessions_seen_;  // closed ones too
  std::unordered_map<std::int64_t, std::shared_ptr<const tree::AclList>> acl_numbers_;
  std::map<tree::AclList, std::shared_ptr<const tree::AclList>> acls_;  // each once
  std::unordered_map<std::int64_t, std::set<std::string>> owned_;       // paths by owner
};

}  // namespace zkfs::zookeeper
