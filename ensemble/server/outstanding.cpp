// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/outstanding.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "ensemble/base/check.h"
#include "ensemble/base/checksum.h"

namespace zkfs::server {
namespace {

// ZOOKEEPER-4743: -1 means "any version" and is never a version.
std::int32_t next_version(std::int32_t version) {
  const auto next = static_cast<std::int32_t>(static_cast<std::uint32_t>(version) + 1U);
  return next == -1 ? 0 : next;
}

// The parent's counter, which wraps, and its kind, as TxnApplier does it.
void name_gained(Outstanding::Node& parent) {
  std::int32_t& counter = parent.create_counter;
  counter = static_cast<std::int32_t>(static_cast<std::uint32_t>(counter) + 1U);
  if (tree::is_leaf_kind(parent.kind)) parent.kind = tree::NodeKind::kDirectory;
}

// Adds a piece so that lengths fall: a byte is copied once each time the data doubles, and there
// are never more than some twenty pieces.
void add_piece(std::vector<Blob>& pieces, Blob piece) {
  while (!pieces.empty() && pieces.back().size() <= piece.size()) {
    piece = Blob::concat(pieces.back().view(), piece.view());
    pieces.pop_back();
  }
  if (!piece.empty()) pieces.push_back(std::move(piece));
}

template <typename... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};

}  // namespace

bool Outstanding::Node::is_directory() const {
  return kind == tree::NodeKind::kDirectory || type == tree::NodeType::kContainer ||
         (kind == tree::NodeKind::kUnspecified && create_counter != 0);
}

std::size_t Outstanding::NameHash::hash(Ino parent, std::string_view name) {
  return checksum64(name, parent.value);
}

Outstanding::Outstanding(const tree::DataTree& tree) : tree_(tree), next_ino_(tree.next_ino()) {}

// --- the newest state ---

std::optional<Outstanding::Node> Outstanding::from_tree(Ino ino) const {
  const auto znode = tree_.find(ino);
  if (!znode) return std::nullopt;
  Node node;
  node.exists = true;
  node.parent = znode->parent;
  node.name = znode->name;
  node.type = znode->type;
  node.kind = znode->kind;
  node.owner = znode->stat.ephemeral_owner;
  node.version = znode->stat.version;
  node.aversion = znode->stat.aversion;
  node.create_counter = znode->create_counter;
  node.num_children = znode->stat.num_children;
  node.data_length = znode->data.size();
  return node;
}

std::optional<Outstanding::Node> Outstanding::node(Ino ino) const {
  const auto found = nodes_.find(ino);
  if (found == nodes_.end()) return from_tree(ino);
  if (!found->second.value.exists) return std::nullopt;
  return found->second.value;
}

Ino Outstanding::child(Ino parent, std::string_view name) const {
  if (!names_.empty()) {
    const auto found = names_.find(NameView{parent, name});
    if (found != names_.end()) return found->second.value;
  }
  const auto znode = tree_.find_child(parent, name);
  return znode ? znode->ino : Ino{};
}

const tree::AclList& Outstanding::acl_of(Ino ino) const {
  const auto found = nodes_.find(ino);
  if (found != nodes_.end() && found->second.value.acl) return *found->second.value.acl;
  const auto znode = tree_.find(ino);
  ZKFS_CHECK(znode.has_value(), "ino {} has no ACL", ino.value);
  return *znode->acl;
}

std::vector<Blob> Outstanding::pieces_of(Ino ino) const {
  const auto found = nodes_.find(ino);
  if (found != nodes_.end() && found->second.value.data_changed) return found->second.value.data;
  const auto znode = tree_.find(ino);
  ZKFS_CHECK(znode.has_value(), "ino {} has no data", ino.value);
  return {znode->data};
}

Blob Outstanding::data_of(Ino ino) const {
  // Short pieces first, so that the long ones are copied once.
  std::vector<Blob> pieces = pieces_of(ino);
  Blob whole;
  while (!pieces.empty()) {
    whole = whole.empty() ? pieces.back() : Blob::concat(pieces.back().view(), whole.view());
    pieces.pop_back();
  }
  return whole;
}

bool Outstanding::session_alive(SessionId session) const {
  const auto found = sessions_.find(session);
  if (found != sessions_.end()) return found->second.value.alive;
  return tree_.has_session(session);
}

std::uint32_t Outstanding::attachment_of(SessionId session) const {
  const auto found = sessions_.find(session);
  return found != sessions_.end() ? found->second.value.attachment : tree_.attachment_of(session);
}

std::string_view Outstanding::password_of(SessionId session) const {
  const auto known = tree_.find_session(session);
  return known ? known->password : std::string_view{};
}

std::vector<Ino> Outstanding::ephemerals_of(SessionId session) const {
  std::set<Ino> all;
  for (const Ino ino : tree_.ephemerals_of(session)) {
    const auto found = nodes_.find(ino);
    if (found == nodes_.end() || found->second.value.exists) all.insert(ino);
  }
  const auto pending = ephemerals_.find(session);
  if (pending != ephemerals_.end()) all.insert(pending->second.begin(), pending->second.end());
  return {all.begin(), all.end()};
}

std::size_t Outstanding::ephemerals_bound(SessionId session) const {
  const auto known = tree_.find_session(session);
  const auto pending = ephemerals_.find(session);
  return (known ? known->ephemerals : 0) +
         (pending == ephemerals_.end() ? 0 : pending->second.size());
}

bool Outstanding::is_ancestor(Ino ancestor, Ino ino) const {
  // Parents only, without the copies that node() makes.
  for (Ino at = ino; at;) {
    if (at == ancestor) return true;
    const auto found = nodes_.find(at);
    if (found != nodes_.end()) {
      at = found->second.value.parent;
      continue;
    }
    const auto znode = tree_.find(at);
    at = znode ? znode->parent : Ino{};
  }
  return false;
}

Ino Outstanding::next_ino() const {
  return std::max(next_ino_, tree_.next_ino());
}

// Most trees have no quotas, and most writes end here.
std::vector<Ino> Outstanding::quotas_of(Ino ino, std::string_view name) const {
  std::vector<Ino> quotas;
  if (!nodes_.contains(kQuotaIno) && tree_.find(kQuotaIno)->stat.num_children == 0) return quotas;
  std::vector<std::string> path;
  if (!name.empty()) path.emplace_back(name);
  for (Ino at = ino; at != kRootIno;) {
    const auto above = node(at);
    if (!above || at == kZookeeperIno) return quotas;
    path.push_back(above->name);
    at = above->parent;
  }
  Ino quota = kQuotaIno;
  for (auto step = path.rbegin(); step != path.rend(); ++step) {
    quota = child(quota, *step);
    if (!quota) break;
    if (child(quota, tree::kQuotaLimitsName) || child(quota, tree::kQuotaStatsName))
      quotas.push_back(quota);
  }
  return quotas;
}

std::optional<tree::QuotaUsage> Outstanding::usage_of(Ino quota) const {
  auto usage = tree_.quota_usage(quota);
  if (!usage) return std::nullopt;
  const tree::QuotaUsage pending = usage_.of(quota);
  usage->count += pending.count;
  usage->bytes += pending.bytes;
  return usage;
}

tree::QuotaUsage Outstanding::total_of(Ino ino) const {
  const auto top = node(ino);
  tree::QuotaUsage total{1, static_cast<std::int64_t>(top->data_length)};
  if (top->num_children == 0) return total;
  std::vector<Ino> waiting = tree_.children_of(ino);
  while (!waiting.empty()) {
    const Ino at = waiting.back();
    waiting.pop_back();
    total.count += 1;
    total.bytes += tree_.find(at)->stat.data_length;
    for (const Ino child : tree_.children_of(at)) waiting.push_back(child);
  }
  return total;
}

void Outstanding::use(Ino ino, std::int64_t count, std::int64_t bytes) {
  if (count == 0 && bytes == 0) return;
  for (const Ino quota : quotas_of(ino)) usage_.add(quota, {count, bytes});
}

std::size_t Outstanding::size() const {
  return nodes_.size() + names_.size() + sessions_.size();
}

// --- changing ---

void Outstanding::begin(Zxid zxid) {
  ZKFS_CHECK(zxid > zxid_, "zxid {:#x} after {:#x}", zxid.value, zxid_.value);
  zxid_ = zxid;
  usage_.begin(zxid);
  journal_.clear();
  touched_before_ = touched_.size();
  next_ino_ = next_ino();
  next_ino_before_ = next_ino_;
}

void Outstanding::rollback() {
  for (auto entry = journal_.rbegin(); entry != journal_.rend(); ++entry)
    std::visit([this](const auto& e) { undo(e); }, *entry);
  journal_.clear();
  usage_.rollback();
  touched_.resize(touched_before_);
  next_ino_ = next_ino_before_;
}

// Notes the entry of `key` as it is, makes it one of this txn, and returns its value (a default one
// if there was none).
template <typename Map, typename Key>
auto& Outstanding::enter(Map& map, const Key& key) {
  using Value = decltype(Map::mapped_type::value);
  const auto found = map.find(key);
  const bool known = found != map.end();
  if (known && found->second.zxid == zxid_) return found->second.value;
  journal_.emplace_back(Undo<Key, Value>{key, known ? std::optional(found->second) : std::nullopt});
  touched_.push_back({zxid_, key});
  auto& entry = known ? found->second : map[key];
  entry.zxid = zxid_;
  return entry.value;
}

Outstanding::Node& Outstanding::change(Ino ino) {
  if (nodes_.contains(ino)) return enter(nodes_, ino);
  auto loaded = from_tree(ino);
  ZKFS_CHECK(loaded.has_value(), "ino {} does not exist", ino.value);
  return enter(nodes_, ino) = std::move(*loaded);
}

Outstanding::Node& Outstanding::insert(Ino ino) {
  ZKFS_CHECK(!nodes_.contains(ino), "ino {} exists", ino.value);
  return enter(nodes_, ino);
}

void Outstanding::set_name(Ino parent, const std::string& name, Ino ino) {
  enter(names_, NameKey{parent, name}) = ino;
}

void Outstanding::apply(const tree::SubTxn& txn) {
  std::visit(
      Overloaded{[this](const tree::CreateTxn& t) { create(t); },
                 [this](const tree::DeleteTxn& t) { erase(t.ino); },
                 [this](const tree::SetDataTxn& t) { set_data(t.ino, {t.data}, t.data.size()); },
                 [this](const tree::AppendTxn& t) { append(t); },
                 [this](const tree::SetAclTxn& t) {
                   Node& node = change(t.ino);
                   node.aversion = next_version(node.aversion);
                   node.acl = std::make_shared<const tree::AclList>(t.acl);
                 },
                 [this](const tree::SetAttributesTxn& t) { set_attributes(t); },
                 [this](const tree::RenameTxn& t) { rename(t); }, [](const tree::CheckTxn&) {}},
      txn);
}

void Outstanding::apply(const tree::CreateSessionTxn& txn) {
  enter(sessions_, txn.session) = {.alive = true, .attachment = 0};
}

void Outstanding::apply(const tree::AttachSessionTxn& txn) {
  const std::uint32_t attachment = attachment_of(txn.session) + 1;
  enter(sessions_, txn.session) = {.alive = true, .attachment = attachment};
}

void Outstanding::apply(const tree::CloseSessionTxn& txn) {
  for (const Ino ino : txn.ephemerals) erase(ino);
  enter(sessions_, txn.session) = {};
}

void Outstanding::create(const tree::CreateTxn& txn) {
  Node& parent = change(txn.parent);
  parent.num_children += 1;
  name_gained(parent);
  Node& node = insert(txn.ino);
  node.exists = true;
  node.parent = txn.parent;
  node.name = txn.name;
  node.type = txn.type;
  node.kind = txn.kind;
  node.owner = txn.owner;
  node.data_length = txn.data.size();
  node.data_changed = true;
  node.data = {txn.data};
  node.acl = std::make_shared<const tree::AclList>(txn.acl);
  index(txn.ino, node);
  set_name(txn.parent, txn.name, txn.ino);
  next_ino_ = Ino{txn.ino.value + 1};
  use(txn.ino, 1, txn.data.size());
}

void Outstanding::erase(Ino ino) {
  Node& node = change(ino);
  use(ino, -1, -static_cast<std::int64_t>(node.data_length));
  unindex(ino, node);
  const Ino parent = node.parent;
  set_name(parent, node.name, Ino{});
  node = Node{};
  change(parent).num_children -= 1;
}

void Outstanding::set_data(Ino ino, std::vector<Blob> data, std::size_t length) {
  Node& node = change(ino);
  node.version = next_version(node.version);
  use(ino, 0, static_cast<std::int64_t>(length) - static_cast<std::int64_t>(node.data_length));
  node.data_length = length;
  node.data_changed = true;
  node.data = std::move(data);
}

void Outstanding::append(const tree::AppendTxn& txn) {
  Node& node = change(txn.ino);
  if (!node.data_changed) {
    node.data = pieces_of(txn.ino);
    node.data_changed = true;
  }
  use(txn.ino, 0, txn.data.size());
  add_piece(node.data, txn.data);
  node.data_length += txn.data.size();
  node.version = next_version(node.version);
}

void Outstanding::set_attributes(const tree::SetAttributesTxn& txn) {
  Node& node = change(txn.ino);
  if (txn.kind) node.kind = *txn.kind;
}

void Outstanding::rename(const tree::RenameTxn& txn) {
  if (!txn.replaced) return move(txn, false);
  if (txn.exchange) return exchange(txn.ino, txn.replaced);
  Node& source = change(txn.ino);
  if (source.is_directory()) {
    erase(txn.replaced);
    return move(txn, true);
  }
  const tree::NodeKind kind = source.kind;
  const std::size_t length = source.data_length;
  std::vector<Blob> data = pieces_of(txn.ino);
  erase(txn.ino);
  set_data(txn.replaced, std::move(data), length);
  change(txn.replaced).kind = kind;
}

void Outstanding::exchange(Ino a, Ino b) {
  const tree::QuotaUsage of_a = total_of(a);
  const tree::QuotaUsage of_b = total_of(b);
  use(a, -of_a.count, -of_a.bytes);
  use(b, -of_b.count, -of_b.bytes);
  Node& one = change(a);
  Node& other = change(b);
  std::swap(one.parent, other.parent);
  std::swap(one.name, other.name);
  set_name(one.parent, one.name, a);
  set_name(other.parent, other.name, b);
  use(a, of_a.count, of_a.bytes);
  use(b, of_b.count, of_b.bytes);
}

void Outstanding::move(const tree::RenameTxn& txn, bool replaces) {
  const tree::QuotaUsage total = total_of(txn.ino);
  use(txn.ino, -total.count, -total.bytes);
  Node& node = change(txn.ino);
  set_name(node.parent, node.name, Ino{});
  change(node.parent).num_children -= 1;
  set_name(txn.new_parent, txn.new_name, txn.ino);
  Node& parent = change(txn.new_parent);
  parent.num_children += 1;
  // A name that was there before is not gained (tree/txn.h).
  if (!replaces) name_gained(parent);
  Node& moved = change(txn.ino);
  moved.parent = txn.new_parent;
  moved.name = txn.new_name;
  use(txn.ino, total.count, total.bytes);
}

// --- taking back and dropping ---

void Outstanding::undo(const Undo<Ino, Node>& entry) {
  const auto found = nodes_.find(entry.key);
  unindex(entry.key, found->second.value);
  if (!entry.before) {
    nodes_.erase(found);
    return;
  }
  found->second = *entry.before;
  index(entry.key, found->second.value);
}

void Outstanding::undo(const Undo<NameKey, Ino>& entry) {
  if (entry.before) {
    names_[entry.key] = *entry.before;
  } else {
    names_.erase(entry.key);
  }
}

void Outstanding::undo(const Undo<SessionId, SessionState>& entry) {
  if (entry.before) {
    sessions_[entry.key] = *entry.before;
  } else {
    sessions_.erase(entry.key);
  }
}

void Outstanding::applied(Zxid zxid) {
  usage_.applied(zxid);
  while (!touched_.empty() && touched_.front().zxid <= zxid) {
    std::visit([&](const auto& key) { forget(key, zxid); }, touched_.front().key);
    touched_.pop_front();
  }
}

void Outstanding::forget(Ino ino, Zxid zxid) {
  const auto found = nodes_.find(ino);
  if (found == nodes_.end() || found->second.zxid > zxid) return;
  unindex(ino, found->second.value);
  nodes_.erase(found);
}

void Outstanding::forget(const NameKey& name, Zxid zxid) {
  const auto found = names_.find(name);
  if (found != names_.end() && found->second.zxid <= zxid) names_.erase(found);
}

void Outstanding::forget(SessionId session, Zxid zxid) {
  const auto found = sessions_.find(session);
  if (found != sessions_.end() && found->second.zxid <= zxid) sessions_.erase(found);
}

void Outstanding::index(Ino ino, const Node& node) {
  if (node.exists && node.type == tree::NodeType::kEphemeral) ephemerals_[node.owner].insert(ino);
}

void Outstanding::unindex(Ino ino, const Node& node) {
  const auto owned = ephemerals_.find(node.owner);
  if (owned == ephemerals_.end()) return;
  owned->second.erase(ino);
  if (owned->second.empty()) ephemerals_.erase(owned);
}

}  // namespace zkfs::server
