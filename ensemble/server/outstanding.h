// SPDX-License-Identifier: Apache-2.0
// Outstanding: the state of the tree as it will be once everything proposed is applied: the
// committed tree with the effects of proposals still under way laid over it. Prep reads it to
// decide the next txn and hands it every txn decided; it mirrors what DataTree::apply will do, as
// far as a later decision can depend on it.
//
// An entry of the overlay is the whole newest state of one znode (or name, or session) and carries
// the zxid of its last change: once the tree includes that zxid, the entry says what the tree says
// and goes. A multi that fails half way is taken back by an undo journal, with sequence counters
// and znode numbers (ZOOKEEPER-1624).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "ensemble/base/ids.h"
#include "ensemble/server/pending_usage.h"
#include "ensemble/tree/data_tree.h"
#include "ensemble/tree/txn.h"

namespace zkfs::server {

class Outstanding {
 public:
  // What decisions depend on.
  struct Node {
    bool exists = false;
    Ino parent;  // 0 for the root
    std::string name;
    tree::NodeType type = tree::NodeType::kPersistent;
    tree::NodeKind kind = tree::NodeKind::kUnspecified;
    SessionId owner;
    std::int32_t version = 0;
    std::int32_t aversion = 0;
    std::int32_t create_counter = 0;
    std::uint32_t num_children = 0;
    std::size_t data_length = 0;
    // The data in pieces; meaningful only if it was changed here, otherwise it is the tree's.
    bool data_changed = false;
    std::vector<Blob> data;
    // Null: the tree's.
    std::shared_ptr<const tree::AclList> acl;

    // As tree::Znode::is_directory.
    [[nodiscard]] bool is_directory() const;
  };

  // `tree` outlives it.
  explicit Outstanding(const tree::DataTree& tree);

  // --- the newest state ---
  [[nodiscard]] std::optional<Node> node(Ino ino) const;
  // 0 if there is no such child.
  [[nodiscard]] Ino child(Ino parent, std::string_view name) const;
  // Requires: the znode exists. Valid until the next change of overlay or tree.
  [[nodiscard]] const tree::AclList& acl_of(Ino ino) const;
  [[nodiscard]] Blob data_of(Ino ino) const;
  [[nodiscard]] bool session_alive(SessionId session) const;
  // Of a session that is alive (tree::AttachSessionTxn); otherwise 0.
  [[nodiscard]] std::uint32_t attachment_of(SessionId session) const;
  // Of a session that the tree knows; empty if it has none, or is not known there.
  [[nodiscard]] std::string_view password_of(SessionId session) const;
  // In the order of numbers.
  [[nodiscard]] std::vector<Ino> ephemerals_of(SessionId session) const;
  // An upper bound of their number, cheaper.
  [[nodiscard]] std::size_t ephemerals_bound(SessionId session) const;
  // True if `ancestor` is `ino` or above it.
  [[nodiscard]] bool is_ancestor(Ino ancestor, Ino ino) const;
  [[nodiscard]] Ino next_ino() const;
  // The quotas (tree/quota_table.h) that count the znode `ino` - or, with a name, what is or would
  // be its child of that name - from the top down.
  [[nodiscard]] std::vector<Ino> quotas_of(Ino ino, std::string_view name = {}) const;
  // What the subtree of a quota holds. Nothing: the quota itself is not applied yet. Where a
  // directory with children is moved in a txn under way, what that moves is as the tree has it.
  [[nodiscard]] std::optional<tree::QuotaUsage> usage_of(Ino quota) const;
  // Of a znode with all below it, as usage_of.
  [[nodiscard]] tree::QuotaUsage total_of(Ino ino) const;

  // --- changing ---
  // What is changed from here on is the txn `zxid`, until the next begin.
  void begin(Zxid zxid);
  // Takes back everything since begin.
  void rollback();
  // Requires: decided against exactly this state.
  void apply(const tree::SubTxn& txn);
  void apply(const tree::CreateSessionTxn& txn);
  void apply(const tree::AttachSessionTxn& txn);
  void apply(const tree::CloseSessionTxn& txn);

  // The tree includes everything up to `zxid`. Not between begin and rollback.
  void applied(Zxid zxid);

  // Znodes, names and sessions held.
  [[nodiscard]] std::size_t size() const;

 private:
  struct SessionState {
    bool alive = false;
    std::uint32_t attachment = 0;
  };

  struct NameKey {
    Ino parent;
    std::string name;
  };

  struct NameView {
    Ino parent;
    std::string_view name;
  };

  struct NameHash {
    using is_transparent = void;

    std::size_t operator()(const NameKey& key) const { return hash(key.parent, key.name); }

    std::size_t operator()(const NameView& key) const { return hash(key.parent, key.name); }

    static std::size_t hash(Ino parent, std::string_view name);
  };

  struct NameEqual {
    using is_transparent = void;

    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return a.parent == b.parent && a.name == b.name;
    }
  };

  // The newest value of a thing and the txn that gave it.
  template <typename T>
  struct Entry {
    T value{};
    Zxid zxid;
  };

  // A thing as it was before the txn under way changed it; without `before` it was not in the
  // overlay.
  template <typename Key, typename T>
  struct Undo {
    Key key;
    std::optional<Entry<T>> before;
  };

  using AnyUndo = std::variant<Undo<Ino, Node>, Undo<NameKey, Ino>, Undo<SessionId, SessionState>>;

  // That `zxid` changed the thing `key`: what applied() visits.
  struct Touched {
    Zxid zxid;
    std::variant<Ino, NameKey, SessionId> key;
  };

  [[nodiscard]] std::optional<Node> from_tree(Ino ino) const;
  [[nodiscard]] std::vector<Blob> pieces_of(Ino ino) const;

  // The entry of an existing znode, brought into the overlay and noted in the journal.
  Node& change(Ino ino);
  // A new entry. Requires: none of that number.
  Node& insert(Ino ino);
  void set_name(Ino parent, const std::string& name, Ino ino);
  template <typename Map, typename Key>
  auto& enter(Map& map, const Key& key);

  // Adds to all quotas that count the znode.
  void use(Ino ino, std::int64_t count, std::int64_t bytes);
  void create(const tree::CreateTxn& txn);
  void erase(Ino ino);
  void set_data(Ino ino, std::vector<Blob> data, std::size_t length);
  void append(const tree::AppendTxn& txn);
  void set_attributes(const tree::SetAttributesTxn& txn);
  void rename(const tree::RenameTxn& txn);
  void exchange(Ino a, Ino b);
  void move(const tree::RenameTxn& txn, bool replaces);

  void undo(const Undo<Ino, Node>& entry);
  void undo(const Undo<NameKey, Ino>& entry);
  void undo(const Undo<SessionId, SessionState>& entry);
  void forget(Ino ino, Zxid zxid);
  void forget(const NameKey& name, Zxid zxid);
  void forget(SessionId session, Zxid zxid);
  // Pending ephemerals by owner. May hold one that the tree knows too.
  void index(Ino ino, const Node& node);
  void unindex(Ino ino, const Node& node);

  const tree::DataTree& tree_;
  std::unordered_map<Ino, Entry<Node>> nodes_;
  std::unordered_map<NameKey, Entry<Ino>, NameHash, NameEqual> names_;
  std::unordered_map<SessionId, Entry<SessionState>> sessions_;
  std::map<SessionId, std::set<Ino>> ephemerals_;
  PendingUsage usage_;
  std::deque<Touched> touched_;
  Ino next_ino_;

  // Of the txn under way.
  Zxid zxid_;
  std::vector<AnyUndo> journal_;
  std::size_t touched_before_ = 0;
  Ino next_ino_before_;
};

}  // namespace zkfs::server
