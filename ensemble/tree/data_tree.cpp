// SPDX-License-Identifier: Apache-2.0
#include "ensemble/tree/data_tree.h"

#include <variant>

#include "ensemble/base/check.h"
#include "ensemble/tree/data_tree_state.h"
#include "ensemble/tree/system_znodes.h"
#include "ensemble/tree/txn_applier.h"

namespace zkfs::tree {
namespace {

Session session_of(const SessionRecord& record) {
  return {record.id,       record.timeout_ms, record.owner, record.ephemerals.size,
          record.password, record.attachment};
}

}  // namespace

DataTree::DataTree() : state_(std::make_unique<State>()) {
  TreeState& tree = state_->tree;
  Node root;
  root.ino = kRootIno;
  root.acl = tree.acls().intern(open_acl());
  root.kind = NodeKind::kDirectory;
  tree.add(std::move(root));
  tree.set_next_ino(Ino{kRootIno.value + 1});
  ZKFS_CHECK(add_system_znodes(tree).has_value(), "a fresh tree");
  tree.settle();
}

DataTree::~DataTree() = default;

std::optional<Znode> DataTree::find(Ino ino) const {
  const Slot slot = state_->tree.find(ino);
  if (slot == kNoSlot) return std::nullopt;
  return state_->tree.view(slot);
}

std::optional<Znode> DataTree::find_child(Ino parent, std::string_view name) const {
  const TreeState& tree = state_->tree;
  const Slot above = tree.find(parent);
  const Slot slot = above == kNoSlot ? kNoSlot : tree.find_child(above, name);
  if (slot == kNoSlot) return std::nullopt;
  return tree.view(slot);
}

// No znode has an empty name, so doubled and trailing slashes find nothing.
std::optional<Znode> DataTree::find_path(std::string_view path) const {
  const TreeState& tree = state_->tree;
  if (path.empty() || path.front() != '/') return std::nullopt;
  Slot slot = tree.find(kRootIno);
  std::size_t start = 1;
  while (path.size() > 1) {
    const std::size_t slash = path.find('/', start);
    slot = tree.find_child(slot, path.substr(start, slash - start));
    if (slot == kNoSlot) return std::nullopt;
    if (slash == std::string_view::npos) break;
    start = slash + 1;
  }
  return tree.view(slot);
}

std::string DataTree::path_of(Ino ino) const {
  const TreeState& tree = state_->tree;
  Slot slot = tree.find(ino);
  if (slot == kNoSlot) return {};
  std::vector<std::string_view> names;
  for (; tree.node(slot).parent != kNoSlot; slot = tree.node(slot).parent) {
    names.push_back(tree.node(slot).name.view());
  }
  std::string path;
  for (auto name = names.rbegin(); name != names.rend(); ++name) path.append("/").append(*name);
  return path.empty() ? "/" : path;
}

std::vector<Ino> DataTree::children_of(Ino ino) const {
  const TreeState& tree = state_->tree;
  const Slot slot = tree.find(ino);
  std::vector<Ino> result;
  if (slot == kNoSlot) return result;
  result.reserve(tree.node(slot).num_children);
  for (Slot child = tree.node(slot).first_child; child != kNoSlot;
       child = tree.node(child).next_sibling) {
    result.push_back(tree.node(child).ino);
  }
  return result;
}

void DataTree::for_each_child(Ino ino,
                              const std::function<void(std::string_view name)>& visit) const {
  const TreeState& tree = state_->tree;
  const Slot slot = tree.find(ino);
  if (slot == kNoSlot) return;
  for (Slot child = tree.node(slot).first_child; child != kNoSlot;
       child = tree.node(child).next_sibling) {
    visit(tree.node(child).name.view());
  }
}

std::uint64_t DataTree::count_beneath(Ino ino) const {
  const TreeState& tree = state_->tree;
  const Slot top = tree.find(ino);
  if (top == kNoSlot) return 0;
  if (tree.node(top).parent == kNoSlot) return tree.node_count() - 1;
  std::uint64_t count = 0;
  // Down to the first child, else on to the next sibling, else up until there is one.
  for (Slot at = tree.node(top).first_child; at != kNoSlot && at != top;) {
    ++count;
    if (tree.node(at).first_child != kNoSlot) {
      at = tree.node(at).first_child;
      continue;
    }
    while (at != top && tree.node(at).next_sibling == kNoSlot) at = tree.node(at).parent;
    if (at != top) at = tree.node(at).next_sibling;
  }
  return count;
}

bool DataTree::is_ancestor(Ino ancestor, Ino ino) const {
  const TreeState& tree = state_->tree;
  const Slot above = tree.find(ancestor);
  const Slot slot = tree.find(ino);
  return above != kNoSlot && slot != kNoSlot && tree.is_ancestor(above, slot);
}

std::optional<Session> DataTree::find_session(SessionId id) const {
  const SessionRecord* record = std::as_const(state_->tree).sessions().find(id);
  if (record == nullptr) return std::nullopt;
  return session_of(*record);
}

bool DataTree::has_session(SessionId id) const {
  return std::as_const(state_->tree).sessions().find(id) != nullptr;
}

std::uint32_t DataTree::attachment_of(SessionId id) const {
  const SessionRecord* record = std::as_const(state_->tree).sessions().find(id);
  return record == nullptr ? 0 : record->attachment;
}

std::vector<Session> DataTree::sessions() const {
  std::vector<Session> result;
  for (const SessionRecord* record : state_->tree.sessions().all()) {
    result.push_back(session_of(*record));
  }
  return result;
}

std::size_t DataTree::session_count() const {
  return std::as_const(state_->tree).sessions().size();
}

std::vector<Ino> DataTree::ephemerals_of(SessionId id) const {
  const SessionRecord* record = std::as_const(state_->tree).sessions().find(id);
  return record == nullptr ? std::vector<Ino>{} : state_->tree.inos_of(record->ephemerals);
}

std::vector<Ino> DataTree::reapable() const {
  const TreeState& tree = state_->tree;
  std::vector<Ino> result;
  for (Slot s = tree.transients().first; s != kNoSlot; s = tree.node(s).list_next) {
    const Node& node = tree.node(s);
    if (node.num_children > 0) continue;
    if (node.type == NodeType::kTtl || node.create_counter != 0) result.push_back(node.ino);
  }
  return result;
}

std::optional<Outcome> DataTree::outcome_of(SessionId session, Xid xid) const {
  const SessionRecord* record = std::as_const(state_->tree).sessions().find(session);
  if (record == nullptr) return std::nullopt;
  const auto it = record->outcomes.find(xid);
  if (it == record->outcomes.end()) return std::nullopt;
  return it->second;
}

std::optional<QuotaUsage> DataTree::quota_usage(Ino quota) const {
  return std::as_const(state_->tree).quotas().usage(quota);
}

std::vector<LockView> DataTree::locks_of(Ino ino) const {
  return std::as_const(state_->tree).locks().locks_of(ino);
}

std::vector<Ino> DataTree::locked() const {
  return std::as_const(state_->tree).locks().locked();
}

std::optional<LockView> DataTree::lock_conflict(Ino ino,
                                                LockSpace space,
                                                LockMode mode,
                                                LockRange range,
                                                SessionId session,
                                                std::uint64_t owner) const {
  LockView asked;
  asked.ino = ino;
  asked.space = space;
  asked.mode = mode;
  asked.range = range;
  asked.session = session;
  asked.owner = owner;
  return std::as_const(state_->tree).locks().conflict(asked);
}

std::optional<LockView> DataTree::lock_of_request(Ino ino,
                                                  SessionId session,
                                                  std::uint64_t request) const {
  return std::as_const(state_->tree).locks().of_request(ino, session, request);
}

Zxid DataTree::last_applied() const {
  return state_->tree.last_applied();
}

Ino DataTree::next_ino() const {
  return state_->tree.next_ino();
}

std::uint64_t DataTree::node_count() const {
  return state_->tree.node_count();
}

std::uint64_t DataTree::data_bytes() const {
  return state_->tree.data_bytes();
}

std::uint64_t DataTree::digest() const {
  return state_->tree.digest();
}

std::uint64_t DataTree::recompute_digest() const {
  return state_->tree.recompute_digest();
}

ApplyResult DataTree::apply(Zxid zxid, const Txn& txn) {
  TreeState& tree = state_->tree;
  ZKFS_CHECK(zxid > tree.last_applied(), "txn {} after {}", zxid, tree.last_applied());
  ApplyResult result;
  TxnApplier applier(tree, zxid, txn.session, txn.time, result.changes);
  result.outcome = std::visit(applier, txn.body);
  tree.settle();
  tree.set_last_applied(zxid);
  if (!txn.first_unanswered) return result;
  // A session that closed itself has nobody left to ask.
  if (SessionRecord* session = tree.sessions().find(txn.session)) {
    tree.sessions().keep(*session, txn.xid, result.outcome);
    tree.sessions().forget_below(*session, txn.first_unanswered);
  }
  return result;
}

}  // namespace zkfs::tree
