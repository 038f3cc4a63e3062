// SPDX-License-Identifier: Apache-2.0
#include "ensemble/tree/txn_applier.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "ensemble/base/check.h"

namespace zkfs::tree {
namespace {

std::int32_t successor(std::int32_t n) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(n) + 1U);
}

// -1 means "any version" in requests, so no znode ever has it (ZOOKEEPER-4743).
std::int32_t next_version(std::int32_t version) {
  const std::int32_t next = successor(version);
  return next == -1 ? 0 : next;
}

}  // namespace

// --- helpers ---

Slot TxnApplier::existing(Ino ino) const {
  const Slot slot = tree_.find(ino);
  ZKFS_CHECK(slot != kNoSlot, "txn {}: no znode {}", zxid_, ino);
  return slot;
}

Outcome TxnApplier::done(Slot slot) const {
  Outcome outcome;
  outcome.zxid = zxid_;
  outcome.ino = tree_.node(slot).ino;
  outcome.version = tree_.node(slot).version;
  return outcome;
}

Change TxnApplier::change(Change::Kind kind, Slot slot) const {
  const Node& node = tree_.node(slot);
  Change result;
  result.kind = kind;
  result.ino = node.ino;
  result.parent = tree_.parent_of(slot);
  result.name = node.name.view();
  result.directory = node.is_directory();
  result.node_kind = node.kind;
  result.data_size = node.data.size();
  result.was_directory = result.directory;
  result.old_node_kind = result.node_kind;
  result.had_data = result.data_size != 0;
  return result;
}

Change TxnApplier::change_since(const Change& before, Change::Kind kind, Slot slot) const {
  Change result = change(kind, slot);
  result.was_directory = before.directory;
  result.old_node_kind = before.node_kind;
  result.had_data = before.data_size != 0;
  return result;
}

AclList TxnApplier::acl_to_lose(Slot slot) const {
  const AclList& acl = tree_.acls().list(tree_.node(slot).acl);
  return anyone_may_read(acl) ? AclList{} : acl;
}

// Never goes back, even if a new leader's clock does.
void TxnApplier::raise_change_time(Slot slot) {
  Node& node = tree_.touch(slot);
  node.change_time = std::max(node.change_time, time_);
}

void TxnApplier::name_gained(Slot parent) {
  Node& node = tree_.touch(parent);
  ZKFS_CHECK(node.type != NodeType::kEphemeral, "txn {}: a child for ephemeral {}", zxid_,
             node.ino);
  const bool was_directory = node.is_directory();
  const NodeKind kind = node.kind;
  tree_.set_create_counter(parent, successor(node.create_counter));
  if (is_leaf_kind(kind)) tree_.set_kind(parent, NodeKind::kDirectory);
  children_changed(parent);
  if (!was_directory && node.is_directory()) {
    Change became = change(Change::Kind::kBecameDirectory, parent);
    became.was_directory = false;
    became.old_node_kind = kind;
    changes_.push_back(std::move(became));
  }
}

void TxnApplier::children_changed(Slot parent) {
  tree_.touch(parent).pzxid = zxid_;
}

// --- single znodes ---

Outcome TxnApplier::operator()(const CreateTxn& txn) {
  const Slot parent = existing(txn.parent);
  ZKFS_CHECK(txn.ino == tree_.next_ino(), "txn {}: creates {} instead of {}", zxid_, txn.ino,
             tree_.next_ino());
  ZKFS_CHECK(!txn.name.empty(), "txn {}: a znode without a name", zxid_);
  ZKFS_CHECK(tree_.find_child(parent, txn.name) == kNoSlot, "txn {}: {} has a child {}", zxid_,
             txn.parent, txn.name);
  tree_.set_next_ino(Ino{txn.ino.value + 1});
  name_gained(parent);
  Node node;
  node.ino = txn.ino;
  node.czxid = node.mzxid = node.pzxid = zxid_;
  node.ctime = node.mtime = node.change_time = time_;
  node.data = txn.data;
  node.acl = tree_.acls().intern(txn.acl);
  node.type = txn.type;
  node.kind = txn.kind;
  node.executable = txn.executable;
  if (txn.type == NodeType::kEphemeral) node.owner_or_ttl = txn.owner.value;
  if (txn.type == NodeType::kTtl) node.owner_or_ttl = static_cast<std::uint64_t>(txn.ttl_ms);
  node.name = NodeName(txn.name);
  const Slot slot = tree_.add(std::move(node));
  tree_.enlist(slot);
  tree_.link(slot, parent);
  changes_.push_back(change(Change::Kind::kCreated, slot));
  Outcome outcome = done(slot);
  outcome.name = txn.name;
  return outcome;
}

Outcome TxnApplier::operator()(const DeleteTxn& txn) {
  remove(existing(txn.ino));
  Outcome outcome;
  outcome.zxid = zxid_;
  return outcome;
}

void TxnApplier::remove(Slot slot) {
  const Slot parent = tree_.node(slot).parent;
  ZKFS_CHECK(parent != kNoSlot, "txn {}: deletes the root", zxid_);
  ZKFS_CHECK(!is_system(tree_.node(slot).ino), "txn {}: deletes a system znode", zxid_);
  changes_.push_back(change(Change::Kind::kDeleted, slot));
  changes_.back().lost_acl = acl_to_lose(slot);
  children_changed(parent);
  tree_.remove(slot);
}

Outcome TxnApplier::operator()(const SetDataTxn& txn) {
  return set_data(existing(txn.ino), txn.data);
}

Outcome TxnApplier::operator()(const AppendTxn& txn) {
  const Slot slot = existing(txn.ino);
  return set_data(slot, Blob::concat(tree_.node(slot).data.view(), txn.data.view()));
}

Outcome TxnApplier::set_data(Slot slot, Blob data) {
  Node& node = tree_.touch(slot);
  const bool had_data = node.data.size() != 0;
  tree_.set_data(slot, std::move(data));
  node.version = next_version(node.version);
  node.mzxid = zxid_;
  node.mtime = time_;
  raise_change_time(slot);
  changes_.push_back(change(Change::Kind::kData, slot));
  changes_.back().had_data = had_data;
  return done(slot);
}

Outcome TxnApplier::operator()(const SetAclTxn& txn) {
  const Slot slot = existing(txn.ino);
  AclList before = acl_to_lose(slot);
  tree_.set_acl(slot, txn.acl);
  Node& node = tree_.touch(slot);
  node.aversion = next_version(node.aversion);
  raise_change_time(slot);
  changes_.push_back(change(Change::Kind::kAcl, slot));
  changes_.back().lost_acl = std::move(before);
  return done(slot);
}

Outcome TxnApplier::operator()(const SetAttributesTxn& txn) {
  const Slot slot = existing(txn.ino);
  const Change before = change(Change::Kind::kAttributes, slot);
  Node& node = tree_.touch(slot);
  if (txn.mtime) node.mtime = *txn.mtime;
  if (txn.kind) tree_.set_kind(slot, *txn.kind);
  if (txn.executable) node.executable = *txn.executable;
  raise_change_time(slot);
  changes_.push_back(change_since(before, Change::Kind::kAttributes, slot));
  return done(slot);
}

Outcome TxnApplier::operator()(const CheckTxn& txn) {
  return done(existing(txn.ino));
}

// --- rename ---

Outcome TxnApplier::operator()(const RenameTxn& txn) {
  const Slot source = existing(txn.ino);
  const Slot parent = existing(txn.new_parent);
  check_rename(txn, source, parent);
  const Slot replaced = txn.replaced ? existing(txn.replaced) : kNoSlot;
  if (txn.exchange) return exchange(source, replaced);
  if (replaced == kNoSlot) return move(source, parent, txn.new_name, kNoSlot);
  const bool directories = tree_.node(source).is_directory();
  ZKFS_CHECK(directories == tree_.node(replaced).is_directory(),
             "txn {}: {} and {} are not of one sort", zxid_, txn.ino, txn.replaced);
  return directories ? move(source, parent, txn.new_name, replaced)
                     : replace_leaf(source, replaced);
}

void TxnApplier::check_rename(const RenameTxn& txn, Slot source, Slot parent) const {
  ZKFS_CHECK(txn.ino != kRootIno, "txn {}: renames the root", zxid_);
  ZKFS_CHECK(!is_system(txn.ino) && !is_system(txn.replaced), "txn {}: renames a system znode",
             zxid_);
  ZKFS_CHECK(txn.ino != txn.replaced, "txn {}: {} would replace itself", zxid_, txn.ino);
  ZKFS_CHECK(!txn.new_name.empty(), "txn {}: a znode without a name", zxid_);
  ZKFS_CHECK(!tree_.is_ancestor(source, parent), "txn {}: {} would lie beneath itself", zxid_,
             txn.ino);
  const Slot taken = tree_.find_child(parent, txn.new_name);
  const Ino there = taken == kNoSlot ? Ino{} : tree_.node(taken).ino;
  ZKFS_CHECK(there == txn.replaced, "txn {}: {} is at the new name instead of {}", zxid_, there,
             txn.replaced);
  if (!txn.exchange) return;
  ZKFS_CHECK(taken != kNoSlot, "txn {}: nothing to exchange {} with", zxid_, txn.ino);
  ZKFS_CHECK(!tree_.is_ancestor(taken, tree_.node(source).parent),
             "txn {}: {} would lie beneath itself", zxid_, txn.replaced);
}

Outcome TxnApplier::move(Slot source, Slot parent, std::string_view name, Slot replaced) {
  Change moved = change(Change::Kind::kMoved, source);
  moved.old_parent = std::exchange(moved.parent, tree_.node(parent).ino);
  moved.old_name = std::exchange(moved.name, std::string(name));
  const Slot old_parent = tree_.node(source).parent;
  children_changed(old_parent);
  if (replaced == kNoSlot) {
    name_gained(parent);
  } else {
    remove(replaced);
  }
  raise_change_time(source);
  tree_.unlink(source);
  tree_.rename(source, name);
  tree_.link(source, parent);
  changes_.push_back(std::move(moved));
  return done(source);
}

Outcome TxnApplier::exchange(Slot source, Slot other) {
  const Change target = change(Change::Kind::kExchanged, other);
  Change swapped = change_since(target, Change::Kind::kExchanged, source);
  swapped.old_parent = swapped.parent;
  swapped.old_name = swapped.name;
  const Slot source_parent = tree_.node(source).parent;
  const Slot other_parent = tree_.node(other).parent;
  swapped.other = tree_.node(other).ino;
  swapped.parent = tree_.node(other_parent).ino;
  swapped.name = tree_.node(other).name.view();
  children_changed(source_parent);
  children_changed(other_parent);
  raise_change_time(source);
  raise_change_time(other);
  tree_.unlink(source);
  tree_.unlink(other);
  tree_.rename(source, swapped.name);
  tree_.rename(other, swapped.old_name);
  tree_.link(source, other_parent);
  tree_.link(other, source_parent);
  changes_.push_back(std::move(swapped));
  return done(source);
}

Outcome TxnApplier::replace_leaf(Slot source, Slot target) {
  const Node& from = tree_.node(source);
  const Slot old_parent = from.parent;
  const Ino source_ino = from.ino;
  const std::string old_name(from.name.view());
  const WallMillis mtime = from.mtime;
  const Change before = change(Change::Kind::kReplaced, target);
  Node& into = tree_.touch(target);
  tree_.set_data(target, from.data);
  tree_.set_kind(target, from.kind);
  into.executable = from.executable;
  into.version = next_version(into.version);
  into.mzxid = zxid_;
  into.mtime = mtime;
  raise_change_time(target);
  children_changed(old_parent);
  AclList lost_acl = acl_to_lose(source);
  tree_.remove(source);
  Change replaced = change_since(before, Change::Kind::kReplaced, target);
  replaced.other = source_ino;
  replaced.old_parent = tree_.node(old_parent).ino;
  replaced.old_name = old_name;
  replaced.lost_acl = std::move(lost_acl);
  changes_.push_back(std::move(replaced));
  return done(target);
}

// --- sessions ---

Outcome TxnApplier::operator()(const CreateSessionTxn& txn) {
  ZKFS_CHECK(txn.session, "txn {}: session 0", zxid_);
  tree_.sessions().add(txn.session, txn.timeout_ms, txn.owner, txn.password);
  Outcome outcome;
  outcome.zxid = zxid_;
  return outcome;
}

Outcome TxnApplier::operator()(const AttachSessionTxn& txn) {
  Outcome outcome;
  outcome.zxid = zxid_;
  outcome.version = static_cast<std::int32_t>(tree_.sessions().attach(txn.session, txn.timeout_ms));
  return outcome;
}

Outcome TxnApplier::operator()(const CloseSessionTxn& txn) {
  for (const Ino ino : txn.ephemerals) {
    const Slot slot = existing(ino);
    const Node& node = tree_.node(slot);
    ZKFS_CHECK(node.type == NodeType::kEphemeral && node.owner_or_ttl == txn.session.value,
               "txn {}: session {:#x} does not own {}", zxid_, txn.session, ino);
    remove(slot);
  }
  tree_.sessions().remove(txn.session);
  LockTable::Grants granted;
  tree_.locks().end_session(zxid_, txn.session, granted);
  return lock_step(Ino{}, Error::kOk, granted);
}

// --- locks ---

Outcome TxnApplier::lock_step(Ino ino, Error error, const LockTable::Grants& granted) {
  for (const LockGrant& grant : granted) {
    Change change;
    change.kind = Change::Kind::kLockGranted;
    change.ino = grant.ino;
    change.session = grant.session;
    change.request = grant.request;
    changes_.push_back(std::move(change));
  }
  Outcome outcome;
  outcome.error = error;
  outcome.zxid = zxid_;
  outcome.ino = ino;
  return outcome;
}

void TxnApplier::check_lock(Ino ino, LockSpace space, LockRange range) const {
  ZKFS_CHECK(tree_.sessions().find(session_) != nullptr, "txn {}: no session {:#x}", zxid_,
             session_);
  ZKFS_CHECK(was_assigned(ino, tree_.next_ino()), "txn {}: a lock of znode {}", zxid_, ino);
  ZKFS_CHECK(range.first <= range.last && (space != LockSpace::kFlock || range == LockRange{}),
             "txn {}: a lock of {}..{}", zxid_, range.first, range.last);
}

Outcome TxnApplier::operator()(const LockTxn& txn) {
  check_lock(txn.ino, txn.space, txn.range);
  const LockView asked{txn.ino,   txn.space,   txn.mode, txn.range, session_,
                       txn.owner, txn.request, txn.pid,  zxid_,     false};
  LockTable::Grants granted;
  const Error error = tree_.locks().lock(asked, txn.wait, granted);
  return lock_step(txn.ino, error, granted);
}

Outcome TxnApplier::operator()(const UnlockTxn& txn) {
  check_lock(txn.ino, txn.space, txn.range);
  LockTable::Grants granted;
  const Error error =
      tree_.locks().unlock(zxid_, txn.ino, txn.space, txn.range, session_, txn.owner, granted);
  return lock_step(txn.ino, error, granted);
}

Outcome TxnApplier::operator()(const CancelLockTxn& txn) {
  LockTable::Grants granted;
  const Error error = tree_.locks().cancel(zxid_, txn.ino, session_, txn.request, granted);
  return lock_step(txn.ino, error, granted);
}

// --- multi, error ---

Outcome TxnApplier::operator()(const MultiTxn& txn) {
  Outcome outcome;
  outcome.zxid = zxid_;
  outcome.operations.reserve(txn.operations.size());
  for (const SubTxn& operation : txn.operations) {
    Outcome& step = outcome.operations.emplace_back(std::visit(*this, operation));
    // Later ones may change or delete what this one made.
    const bool shown = std::holds_alternative<CreateTxn>(operation) ||
                       std::holds_alternative<SetDataTxn>(operation);
    if (shown) step.stat = tree_.view(tree_.find(step.ino)).stat;
  }
  return outcome;
}

Outcome TxnApplier::operator()(const ErrorTxn& txn) {
  Outcome outcome;
  outcome.error = txn.error;
  outcome.zxid = zxid_;
  for (const Error error : txn.per_operation) {
    Outcome operation;
    operation.error = error;
    operation.zxid = zxid_;
    outcome.operations.push_back(std::move(operation));
  }
  return outcome;
}

}  // namespace zkfs::tree
