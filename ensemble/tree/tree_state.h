// SPDX-License-Identifier: Apache-2.0
// TreeState: znodes, sessions and their indexes, and the steps out of which txn_applier.cpp and
// snapshot_loader.cpp build changes. It keeps everything derived in order (both hash tables,
// sibling chains, child and subdirectory counts, owner lists, digest, pre-images of snapshots);
// what a txn means it does not know.
//
// The protocol of a change: touch() a node before changing anything replicated about it, settle()
// when the txn is done. In between digest() is not valid. Touching twice costs nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ensemble/base/ids.h"
#include "ensemble/tree/acl_table.h"
#include "ensemble/tree/lock_table.h"
#include "ensemble/tree/node_pool.h"
#include "ensemble/tree/quota_table.h"
#include "ensemble/tree/session_table.h"
#include "ensemble/tree/slot_table.h"
#include "ensemble/tree/znode.h"

namespace zkfs::tree {

class SnapshotView;

class TreeState {
 public:
  // No znode at all, not even the root; next_ino 1.
  TreeState() = default;
  ~TreeState();
  TreeState(const TreeState&) = delete;
  TreeState& operator=(const TreeState&) = delete;

  // --- reading ---
  [[nodiscard]] const Node& node(Slot slot) const { return pool_[slot]; }

  // kNoSlot: there is none.
  [[nodiscard]] Slot find(Ino ino) const;
  [[nodiscard]] Slot find_child(Slot parent, std::string_view name) const;
  // 0 for the root.
  [[nodiscard]] Ino parent_of(Slot slot) const;
  // The data of a zookeeper_stats is what its quota holds now.
  [[nodiscard]] Znode view(Slot slot) const;
  [[nodiscard]] bool is_ancestor(Slot ancestor, Slot slot) const;
  [[nodiscard]] std::vector<Ino> inos_of(const SlotList& list) const;

  // Containers and TTL znodes.
  [[nodiscard]] const SlotList& transients() const { return transients_; }

  [[nodiscard]] Slot slots_end() const { return pool_.end(); }

  [[nodiscard]] Zxid last_applied() const { return last_applied_; }

  [[nodiscard]] Ino next_ino() const { return next_ino_; }

  [[nodiscard]] std::uint64_t node_count() const { return node_count_; }

  [[nodiscard]] std::uint64_t data_bytes() const { return data_bytes_; }

  [[nodiscard]] std::uint64_t digest() const;
  [[nodiscard]] std::uint64_t recompute_digest() const;

  AclTable& acls() { return acls_; }

  [[nodiscard]] const AclTable& acls() const { return acls_; }

  SessionTable& sessions() { return sessions_; }

  [[nodiscard]] const SessionTable& sessions() const { return sessions_; }

  LockTable& locks() { return locks_; }

  [[nodiscard]] const LockTable& locks() const { return locks_; }

  QuotaTable& quotas() { return quotas_; }

  [[nodiscard]] const QuotaTable& quotas() const { return quotas_; }

  // --- changing ---
  Node& touch(Slot slot);
  void settle();

  void set_last_applied(Zxid zxid) { last_applied_ = zxid; }

  void set_next_ino(Ino ino) { next_ino_ = ino; }

  // Takes `node` in under its ino, with its ACL reference, as touched and without a place in the
  // tree. Only the members that are replicated count (and not its parent). Requires: no such ino.
  Slot add(Node&& node);
  // Puts an added node into the list of its type, if there is one: nodes in the order of their
  // numbers, so that lists have that order too. Requires: the owner's session exists.
  void enlist(Slot slot);
  // Makes the node the last child of `parent`, which must be touched and have no such child. The
  // root alone has no parent.
  void link(Slot slot, Slot parent);
  // The opposite; the old parent must be touched too. The node keeps its name.
  void unlink(Slot slot);
  // Unlinks and forgets a node without children.
  void remove(Slot slot);
  // Requires: touched and unlinked.
  void rename(Slot slot, std::string_view name);
  void set_data(Slot slot, Blob data);
  void set_acl(Slot slot, const AclList& acl);
  // Changes what is_directory() says along with create_counter or kind. Requires: touched.
  void set_create_counter(Slot slot, std::int32_t counter);
  void set_kind(Slot slot, NodeKind kind);

  void reserve(std::size_t nodes);
  // Hints that add(ino) and link(child, parent) will come soon.
  void prefetch(Ino ino) const;
  void prefetch_child(Slot parent, Slot child) const;

  void add_view(SnapshotView& view) { views_.push_back(&view); }

  void remove_view(SnapshotView& view) { std::erase(views_, &view); }

 private:
  [[nodiscard]] Blob shown_data(const Node& node) const;
  [[nodiscard]] std::uint64_t checksum_of(Slot slot, std::uint64_t data_checksum) const;
  [[nodiscard]] std::uint64_t name_hash(Slot slot) const;
  [[nodiscard]] std::uint64_t ino_hash(Slot slot) const;
  // The list that a node of its type is in, or nullptr.
  SlotList* list_of(const Node& node);
  void directory_changed(Slot slot, bool was);

  NodePool pool_;
  SlotTable by_ino_;
  SlotTable by_name_;  // hashed by the parent's slot and the name
  AclTable acls_;
  SessionTable sessions_;
  LockTable locks_;
  QuotaTable quotas_{*this};
  SlotList transients_;
  Zxid last_applied_;
  Ino next_ino_{1};
  std::uint64_t node_count_ = 0;
  std::uint64_t data_bytes_ = 0;
  std::uint64_t nodes_digest_ = 0;
  std::vector<Slot> touched_;
  std::vector<SnapshotView*> views_;
};

}  // namespace zkfs::tree
