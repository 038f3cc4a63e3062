// SPDX-License-Identifier: Apache-2.0
#include "ensemble/tree/tree_state.h"

#include <array>
#include <utility>

#include <fmt/format.h>

#include "ensemble/base/check.h"
#include "ensemble/base/checksum.h"
#include "ensemble/tree/snapshot_view.h"

namespace zkfs::tree {
namespace {

// Numbers are assigned in sequence; the golden ratio spreads any arithmetic sequence evenly over
// the top bits.
std::uint64_t hash_of(Ino ino) {
  return ino.value * 0x9e3779b97f4a7c15ULL;
}

std::uint64_t hash_of(Slot parent, std::string_view name) {
  return checksum64(name, parent);
}

std::uint64_t pair(std::int32_t high, std::int32_t low) {
  return (std::uint64_t{static_cast<std::uint32_t>(high)} << 32U) | static_cast<std::uint32_t>(low);
}

template <std::size_t N>
std::uint64_t checksum(const std::array<std::uint64_t, N>& fields) {
  return checksum64({reinterpret_cast<const char*>(fields.data()), sizeof fields});
}

// Absent is not empty.
std::uint64_t checksum_of_data(const Blob& data) {
  return data.is_null() ? 1 : checksum64(data.view());
}

std::int32_t cversion_of(const Node& node) {
  return static_cast<std::int32_t>(2U * static_cast<std::uint32_t>(node.create_counter) -
                                   node.num_children);
}

}  // namespace

TreeState::~TreeState() {
  for (SnapshotView* view : views_) view->detach();
}

Slot TreeState::find(Ino ino) const {
  return by_ino_.find(hash_of(ino), [&](Slot slot) { return pool_[slot].ino == ino; });
}

Slot TreeState::find_child(Slot parent, std::string_view name) const {
  return by_name_.find(hash_of(parent, name), [&](Slot slot) {
    const Node& node = pool_[slot];
    return node.parent == parent && node.name.view() == name;
  });
}

Ino TreeState::parent_of(Slot slot) const {
  const Slot parent = pool_[slot].parent;
  return parent == kNoSlot ? Ino{} : pool_[parent].ino;
}

Blob TreeState::shown_data(const Node& node) const {
  if (node.name.view() != kQuotaStatsName || node.parent == kNoSlot) return node.data;
  const auto usage = quotas_.usage(pool_[node.parent].ino);
  return usage ? Blob(to_text(*usage)) : node.data;
}

Znode TreeState::view(Slot slot) const {
  const Node& node = pool_[slot];
  Znode result;
  result.ino = node.ino;
  result.parent = parent_of(slot);
  result.name = node.name.view();
  result.data = shown_data(node);
  result.stat = Stat{node.czxid,
                     node.mzxid,
                     node.pzxid,
                     node.ctime,
                     node.mtime,
                     node.version,
                     cversion_of(node),
                     node.aversion,
                     SessionId{node.type == NodeType::kEphemeral ? node.owner_or_ttl : 0},
                     result.data.size(),
                     node.num_children};
  result.acl = &acls_.list(node.acl);
  result.type = node.type;
  result.kind = node.kind;
  result.executable = node.executable;
  result.change_time = node.change_time;
  result.ttl_ms = node.type == NodeType::kTtl ? static_cast<std::int64_t>(node.owner_or_ttl) : 0;
  result.create_counter = node.create_counter;
  result.subdirectories = node.subdirectories;
  return result;
}

bool TreeState::is_ancestor(Slot ancestor, Slot slot) const {
  while (slot != kNoSlot && slot != ancestor) slot = pool_[slot].parent;
  return slot == ancestor;
}

std::vector<Ino> TreeState::inos_of(const SlotList& list) const {
  std::vector<Ino> result;
  result.reserve(list.size);
  for (Slot s = list.first; s != kNoSlot; s = pool_[s].list_next) result.push_back(pool_[s].ino);
  return result;
}

// --- the digest ---

std::uint64_t TreeState::checksum_of(Slot slot, std::uint64_t data_checksum) const {
  const Node& n = pool_[slot];
  const auto form = static_cast<std::uint64_t>(n.type) |
                    (static_cast<std::uint64_t>(n.kind) << 8U) |
                    (std::uint64_t{n.executable} << 16U);
  return checksum<17>({n.ino.value, parent_of(slot).value, checksum64(n.name.view()), data_checksum,
                       n.czxid.value, n.mzxid.value, n.pzxid.value,
                       static_cast<std::uint64_t>(n.ctime), static_cast<std::uint64_t>(n.mtime),
                       static_cast<std::uint64_t>(n.change_time), pair(n.version, n.aversion),
                       pair(n.create_counter, static_cast<std::int32_t>(n.num_children)),
                       acls_.checksum(n.acl), form, n.owner_or_ttl, n.data.size(),
                       n.name.view().size()});
}

std::uint64_t TreeState::digest() const {
  return nodes_digest_ + sessions_.digest() + locks_.digest() + checksum<1>({next_ino_.value});
}

std::uint64_t TreeState::recompute_digest() const {
  std::uint64_t sum =
      sessions_.recompute_digest() + locks_.recompute_digest() + checksum<1>({next_ino_.value});
  for (Slot slot = 0; slot < pool_.end(); ++slot) {
    if (pool_[slot].ino) sum += checksum_of(slot, checksum_of_data(pool_[slot].data));
  }
  return sum;
}

// --- changing ---

Node& TreeState::touch(Slot slot) {
  Node& node = pool_[slot];
  if (node.touched) return node;
  for (SnapshotView* view : views_) view->before_change(slot);
  nodes_digest_ -= checksum_of(slot, node.data_checksum);
  node.touched = true;
  touched_.push_back(slot);
  return node;
}

// A slot may be listed twice (freed and used again within one txn) or have been freed; `touched`
// tells.
void TreeState::settle() {
  for (const Slot slot : touched_) {
    Node& node = pool_[slot];
    if (!node.touched) continue;
    node.touched = false;
    nodes_digest_ += checksum_of(slot, node.data_checksum);
  }
  touched_.clear();
}

Slot TreeState::add(Node&& node) {
  const Slot slot = pool_.allocate();
  Node& added = pool_[slot] = std::move(node);
  added.touched = true;
  added.data_checksum = checksum_of_data(added.data);
  touched_.push_back(slot);
  by_ino_.insert(hash_of(added.ino), slot, [this](Slot s) { return ino_hash(s); });
  ++node_count_;
  data_bytes_ += added.data.size();
  return slot;
}

void TreeState::enlist(Slot slot) {
  if (SlotList* list = list_of(pool_[slot])) list->append(pool_, slot);
}

void TreeState::link(Slot slot, Slot parent) {
  Node& node = pool_[slot];
  Node& above = pool_[parent];
  node.parent = parent;
  node.previous_sibling = above.last_child;
  (above.last_child == kNoSlot ? above.first_child : pool_[above.last_child].next_sibling) = slot;
  above.last_child = slot;
  ++above.num_children;
  if (node.is_directory()) ++above.subdirectories;
  by_name_.insert(name_hash(slot), slot, [this](Slot s) { return name_hash(s); });
  quotas_.linked(slot);
}

void TreeState::unlink(Slot slot) {
  quotas_.unlinking(slot);
  Node& node = pool_[slot];
  Node& above = pool_[node.parent];
  by_name_.erase(name_hash(slot), slot);
  (node.previous_sibling == kNoSlot ? above.first_child
                                    : pool_[node.previous_sibling].next_sibling) =
      node.next_sibling;
  (node.next_sibling == kNoSlot ? above.last_child : pool_[node.next_sibling].previous_sibling) =
      node.previous_sibling;
  --above.num_children;
  if (node.is_directory()) --above.subdirectories;
  node.parent = node.next_sibling = node.previous_sibling = kNoSlot;
}

void TreeState::remove(Slot slot) {
  Node& node = touch(slot);
  ZKFS_CHECK(node.num_children == 0, "znode {} has {} children", node.ino, node.num_children);
  unlink(slot);
  if (SlotList* list = list_of(node)) list->remove(pool_, slot);
  by_ino_.erase(hash_of(node.ino), slot);
  acls_.release(node.acl);
  --node_count_;
  data_bytes_ -= node.data.size();
  pool_.free(slot);
}

void TreeState::rename(Slot slot, std::string_view name) {
  pool_[slot].name = NodeName(name);
}

void TreeState::set_data(Slot slot, Blob data) {
  Node& node = touch(slot);
  data_bytes_ += data.size();
  data_bytes_ -= node.data.size();
  quotas_.data_changed(slot, std::int64_t{data.size()} - std::int64_t{node.data.size()});
  node.data_checksum = checksum_of_data(data);
  node.data = std::move(data);
}

void TreeState::set_acl(Slot slot, const AclList& acl) {
  Node& node = touch(slot);
  const std::uint32_t number = acls_.intern(acl);
  acls_.release(std::exchange(node.acl, number));
}

void TreeState::set_create_counter(Slot slot, std::int32_t counter) {
  const bool was = pool_[slot].is_directory();
  pool_[slot].create_counter = counter;
  directory_changed(slot, was);
}

void TreeState::set_kind(Slot slot, NodeKind kind) {
  const bool was = pool_[slot].is_directory();
  pool_[slot].kind = kind;
  directory_changed(slot, was);
}

void TreeState::prefetch(Ino ino) const {
  by_ino_.prefetch(hash_of(ino));
}

void TreeState::prefetch_child(Slot parent, Slot child) const {
  by_name_.prefetch(hash_of(parent, pool_[child].name.view()));
}

void TreeState::reserve(std::size_t nodes) {
  by_ino_.reserve(nodes);
  by_name_.reserve(nodes);
}

std::uint64_t TreeState::name_hash(Slot slot) const {
  return hash_of(pool_[slot].parent, pool_[slot].name.view());
}

std::uint64_t TreeState::ino_hash(Slot slot) const {
  return hash_of(pool_[slot].ino);
}

SlotList* TreeState::list_of(const Node& node) {
  switch (node.type) {
    case NodeType::kPersistent:
      return nullptr;
    case NodeType::kContainer:
    case NodeType::kTtl:
      return &transients_;
    case NodeType::kEphemeral:
      break;
  }
  SessionRecord* owner = sessions_.find(SessionId{node.owner_or_ttl});
  ZKFS_CHECK(owner != nullptr, "znode {}: no session {:#x}", node.ino, node.owner_or_ttl);
  return &owner->ephemerals;
}

// `subdirectories` is derived and not in the digest, so the parent is not touched.
void TreeState::directory_changed(Slot slot, bool was) {
  const Node& node = pool_[slot];
  if (node.parent == kNoSlot || node.is_directory() == was) return;
  pool_[node.parent].subdirectories += was ? -1U : 1U;
}

}  // namespace zkfs::tree
