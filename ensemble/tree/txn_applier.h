// SPDX-License-Identifier: Apache-2.0
// TxnApplier: what each kind of txn means. Made for one txn; changes a TreeState, whose settle() it
// leaves to the caller.
#pragma once

#include <string_view>
#include <vector>

#include "ensemble/base/ids.h"
#include "ensemble/tree/change.h"
#include "ensemble/tree/tree_state.h"
#include "ensemble/tree/txn.h"

namespace zkfs::tree {

class TxnApplier {
 public:
  // `session`: who asked.
  TxnApplier(
      TreeState& tree, Zxid zxid, SessionId session, WallMillis time, std::vector<Change>& changes)
      : tree_(tree), zxid_(zxid), session_(session), time_(time), changes_(changes) {}

  // Requires: what txn.h says; a txn that does not fit the tree aborts.
  Outcome operator()(const CreateTxn& txn);
  Outcome operator()(const DeleteTxn& txn);
  Outcome operator()(const SetDataTxn& txn);
  Outcome operator()(const AppendTxn& txn);
  Outcome operator()(const SetAclTxn& txn);
  Outcome operator()(const SetAttributesTxn& txn);
  Outcome operator()(const RenameTxn& txn);
  Outcome operator()(const CheckTxn& txn);
  Outcome operator()(const CreateSessionTxn& txn);
  Outcome operator()(const AttachSessionTxn& txn);
  Outcome operator()(const CloseSessionTxn& txn);
  Outcome operator()(const MultiTxn& txn);
  Outcome operator()(const ErrorTxn& txn);
  Outcome operator()(const LockTxn& txn);
  Outcome operator()(const UnlockTxn& txn);
  Outcome operator()(const CancelLockTxn& txn);

 private:
  [[nodiscard]] Slot existing(Ino ino) const;
  [[nodiscard]] Outcome done(Slot slot) const;
  // A Change about the node as it lies now.
  [[nodiscard]] Change change(Change::Kind kind, Slot slot) const;
  // The same, with what there was `before`.
  [[nodiscard]] Change change_since(const Change& before, Change::Kind kind, Slot slot) const;
  // Change::lost_acl of a node as it lies now.
  [[nodiscard]] AclList acl_to_lose(Slot slot) const;
  void raise_change_time(Slot slot);
  // The parent gets one more child in its counters and pzxid, before the child is linked.
  void name_gained(Slot parent);
  // The children of `parent` are others now.
  void children_changed(Slot parent);
  Outcome set_data(Slot slot, Blob data);
  void remove(Slot slot);
  // The outcome of a step of the lock table, and a Change for each request that it granted.
  Outcome lock_step(Ino ino, Error error, const LockTable::Grants& granted);
  void check_lock(Ino ino, LockSpace space, LockRange range) const;
  // The parts of a rename.
  void check_rename(const RenameTxn& txn, Slot source, Slot parent) const;
  Outcome exchange(Slot source, Slot other);
  Outcome replace_leaf(Slot source, Slot target);
  Outcome move(Slot source, Slot parent, std::string_view name, Slot replaced);

  TreeState& tree_;
  Zxid zxid_;
  SessionId session_;
  WallMillis time_;
  std::vector<Change>& changes_;
};

}  // namespace zkfs::tree
