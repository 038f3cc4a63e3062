// SPDX-License-Identifier: Apache-2.0
#include "ensemble/import/zookeeper_tree.h"

#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/format.h>

namespace zkfs::zookeeper {
namespace {

enum Type : std::int32_t {
  kCreate = 1,
  kDelete = 2,
  kSetData = 5,
  kSetAcl = 7,
  kCheck = 13,
  kMulti = 14,
  kCreate2 = 15,
  kReconfig = 16,
  kCreateContainer = 19,
  kDeleteContainer = 20,
  kCreateTtl = 21,
  kError = -1,
  kCreateSession = -10,
  kCloseSession = -11,
};

constexpr std::int64_t kOpenAcl = -1;  // its number, which the snapshot does not list
constexpr std::int64_t kContainerOwner = std::numeric_limits<std::int64_t>::min();
constexpr std::uint64_t kTopByte = 0xff00000000000000ULL;
constexpr std::uint64_t kTtlBits = 0x000000ffffffffffULL;
constexpr std::size_t kDigestBytes = 12;

bool is_path(std::string_view path) {
  return path.starts_with('/') && path.size() > 1;
}

// True if nothing is left but, from 3.6 on, the digest.
bool is_end(const jute::Reader& reader) {
  return reader.good() && (reader.at_end() || reader.rest().size() == kDigestBytes);
}

std::unexpected<Problem> undecodable(const LogRecord& record, std::int32_t type) {
  return std::unexpected(Problem{fmt::format(
      "the txn {} at offset {}, of type {}, is not one that ZooKeeper 3.4 to 3.9 write; restore "
      "the file, or take the directory of another server of the ensemble",
      record.zxid, record.offset, type)});
}

// The list of CloseSessionTxn; nothing: it is of a version, or was set up, to log none. A digest
// alone is told from a list by the paths.
std::optional<std::vector<std::string_view>> read_close_session(ByteView body) {
  jute::Reader reader(body);
  const std::size_t count = reader.read_count(4).value_or(0);
  std::vector<std::string_view> paths;
  for (std::size_t i = 0; i < count && reader.good(); ++i) {
    paths.push_back(reader.read_text());
    if (!is_path(paths.back())) reader.fail();
  }
  if (body.empty() || !is_end(reader)) return std::nullopt;
  return paths;
}

}  // namespace

struct ZooKeeperTree::Create {
  std::string_view path;
  Blob data;
  tree::AclList acl;
  std::int64_t owner = 0;
  std::int32_t parent_cversion = -1;  // -1: not in the txn
  std::int64_t zxid = 0;
  std::int64_t time = 0;
};

ZooKeeperTree::ZooKeeperTree() : root_(std::make_unique<Node>()) {
  acl_numbers_[kOpenAcl] = intern(tree::open_acl());
  root_->acl = acl_numbers_[kOpenAcl];
  add_znode("/zookeeper", Blob(), kOpenAcl, {});
  add_znode("/zookeeper/quota", Blob(), kOpenAcl, {});
}

void ZooKeeperTree::add_session(std::int64_t id) {
  sessions_.insert(id);
  sessions_seen_.insert(id);
}

void ZooKeeperTree::add_acl(std::int64_t number, tree::AclList acl) {
  acl_numbers_[number] = intern(std::move(acl));
}

std::shared_ptr<const tree::AclList> ZooKeeperTree::intern(tree::AclList acl) {
  auto& there = acls_[acl];
  if (!there) there = std::make_shared<const tree::AclList>(std::move(acl));
  return there;
}

bool ZooKeeperTree::add_znode(std::string_view path,
                              Blob data,
                              std::int64_t acl,
                              const StatPersisted& stat) {
  auto node = std::make_unique<Node>();
  node->data = std::move(data);
  node->stat = stat;
  if (const auto known = acl_numbers_.find(acl); known != acl_numbers_.end()) {
    node->acl = known->second;
  } else {
    node->missing_acl = acl;
  }
  // A snapshot begins with the root: what was there goes.
  if (path.empty()) {
    root_ = std::move(node);
    owned_.clear();
    return true;
  }
  const auto [parent, name] = place_of(path);
  if (parent == nullptr || name.empty()) return false;
  node->parent = parent;
  if (stat.ephemeral_owner != 0) owned_[stat.ephemeral_owner].emplace(path);
  return parent->children.emplace(name, std::move(node)).second;
}

ZooKeeperTree::Node* ZooKeeperTree::find(std::string_view path) {
  return const_cast<Node*>(std::as_const(*this).find(path));
}

// "" and "/" are the root.
const ZooKeeperTree::Node* ZooKeeperTree::find(std::string_view path) const {
  const Node* node = root_.get();
  while (node != nullptr && path.size() > 1) {
    path.remove_prefix(1);
    const std::size_t size = std::min(path.find('/'), path.size());
    const auto child = node->children.find(path.substr(0, size));
    node = child == node->children.end() ? nullptr : child->second.get();
    path.remove_prefix(size);
  }
  return node;
}

ZooKeeperTree::Place ZooKeeperTree::place_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (!path.starts_with('/')) return {};
  return {find(path.substr(0, slash)), path.substr(slash + 1)};
}

Expected<void> ZooKeeperTree::apply(const LogRecord& record) {
  switch (record.type) {
    case kError:
      return {};
    case kCreateSession:
      add_session(record.client_id);
      return {};
    case kCloseSession:
      if (!apply_close_session(record.body, record)) return undecodable(record, record.type);
      return {};
    case kSetAcl:
      if (!apply_set_acl(record.body)) return undecodable(record, record.type);
      return {};
    case kMulti:
      return apply_multi(record.body, record);
    default:
      return apply_operation(record.type, record.body, record);
  }
}

// What may be part of a multi.
Expected<void> ZooKeeperTree::apply_operation(std::int32_t type,
                                              ByteView body,
                                              const LogRecord& record) {
  jute::Reader reader(body);
  bool good = false;
  switch (type) {
    case kCreate:
    case kCreate2:
    case kCreateContainer:
    case kCreateTtl:
      good = apply_create(type, body, record);
      break;
    case kDelete:
    case kDeleteContainer: {
      const std::string_view path = reader.read_text();
      good = is_path(path) && is_end(reader);
      if (good) remove(path, static_cast<std::int64_t>(record.zxid.value));
      break;
    }
    case kSetData:
    case kReconfig:
      good = apply_set_data(body, record);
      break;
    case kCheck:
      good = true;
      break;
    default:
      break;
  }
  return good ? Expected<void>{} : undecodable(record, type);
}

// A failed one is logged as errors throughout.
Expected<void> ZooKeeperTree::apply_multi(ByteView body, const LogRecord& record) {
  jute::Reader reader(body);
  std::vector<std::pair<std::int32_t, ByteView>> operations;
  const std::size_t count = reader.read_count(8).value_or(0);
  for (std::size_t i = 0; i < count && reader.good(); ++i) {
    const std::int32_t type = reader.read_int();
    operations.emplace_back(type, reader.read_text());
  }
  if (!is_end(reader)) return undecodable(record, record.type);
  if (std::ranges::any_of(operations, [](const auto& o) { return o.first == kError; })) return {};
  for (const auto& [type, bytes] : operations) ZKFS_TRY(apply_operation(type, bytes, record));
  return {};
}

bool ZooKeeperTree::apply_create(std::int32_t type, ByteView body, const LogRecord& record) {
  jute::Reader reader(body);
  Create what;
  what.path = reader.read_text();
  const auto data = reader.read_buffer();
  what.data = data ? Blob(*data) : Blob::null();
  what.acl = read_acl(reader);
  what.zxid = static_cast<std::int64_t>(record.zxid.value);
  what.time = record.time;
  if (type == kCreateContainer) {
    what.owner = kContainerOwner;
  } else if (type != kCreateTtl) {
    what.owner = reader.read_bool() ? record.client_id : 0;
  }
  // CreateTxnV0 ends here.
  if (type != kCreate || !reader.at_end()) what.parent_cversion = reader.read_int();
  if (type == kCreateTtl) {
    const auto ttl = static_cast<std::uint64_t>(reader.read_long());
    if (ttl == 0 || ttl > kTtlBits) return false;
    what.owner = static_cast<std::int64_t>(kTopByte | ttl);
  }
  if (!is_path(what.path) || !is_end(reader)) return false;
  create(what);
  return true;
}

bool ZooKeeperTree::apply_set_data(ByteView body, const LogRecord& record) {
  jute::Reader reader(body);
  const std::string_view path = reader.read_text();
  const auto data = reader.read_buffer();
  const std::int32_t version = reader.read_int();
  if (!path.starts_with('/') || !is_end(reader)) return false;
  if (Node* node = find(path)) {
    node->data = data ? Blob(*data) : Blob::null();
    node->stat.version = version;
    node->stat.mzxid = static_cast<std::int64_t>(record.zxid.value);
    node->stat.mtime = record.time;
  }
  return true;
}

bool ZooKeeperTree::apply_set_acl(ByteView body) {
  jute::Reader reader(body);
  const std::string_view path = reader.read_text();
  tree::AclList acl = read_acl(reader);
  const std::int32_t version = reader.read_int();
  if (!path.starts_with('/') || !is_end(reader)) return false;
  if (Node* node = find(path)) {
    node->acl = intern(std::move(acl));
    node->missing_acl.reset();
    node->stat.aversion = version;
  }
  return true;
}

bool ZooKeeperTree::apply_close_session(ByteView body, const LogRecord& record) {
  const auto listed = read_close_session(body);
  if (!listed && !body.empty() && body.size() != kDigestBytes) return false;
  const auto zxid = static_cast<std::int64_t>(record.zxid.value);
  if (listed) {
    for (const std::string_view path : *listed) remove(path, zxid);
  }
  if (const auto owned = owned_.find(record.client_id); owned != owned_.end()) {
    const std::set<std::string> paths = std::move(owned->second);
    for (const std::string& path : paths) remove(path, zxid);
    owned_.erase(record.client_id);
  }
  sessions_.erase(record.client_id);
  return true;
}

void ZooKeeperTree::create(const Create& what) {
  const auto [parent, name] = place_of(what.path);
  if (parent == nullptr || name.empty()) return;
  // A create that does not tell the counter is new to the parent if nothing as late was seen there.
  std::int32_t cversion = what.parent_cversion;
  if (cversion == -1 && what.zxid > parent->stat.pzxid) cversion = parent->stat.cversion + 1;
  if (cversion > parent->stat.cversion) {
    parent->stat.cversion = cversion;
    parent->stat.pzxid = what.zxid;
  }
  if (const auto there = parent->children.find(name); there != parent->children.end()) {
    there->second->acl = intern(what.acl);
    there->second->missing_acl.reset();
    return;
  }
  auto node = std::make_unique<Node>();
  node->data = what.data;
  node->acl = intern(what.acl);
  node->parent = parent;
  node->stat.czxid = node->stat.mzxid = node->stat.pzxid = what.zxid;
  node->stat.ctime = node->stat.mtime = what.time;
  node->stat.ephemeral_owner = what.owner;
  if (what.owner != 0) owned_[what.owner].emplace(what.path);
  parent->children.emplace(name, std::move(node));
}

void ZooKeeperTree::remove(std::string_view path, std::int64_t zxid) {
  const auto [parent, name] = place_of(path);
  if (parent == nullptr) return;
  parent->stat.pzxid = std::max(parent->stat.pzxid, zxid);
  const auto child = parent->children.find(name);
  if (child == parent->children.end()) return;
  forget_owners(std::string(path), *child->second);
  parent->children.erase(child);
}

void ZooKeeperTree::forget_owners(const std::string& path, const Node& node) {
  if (const auto owned = owned_.find(node.stat.ephemeral_owner); owned != owned_.end())
    owned->second.erase(path);
  for (const auto& [name, child] : node.children) forget_owners(path + "/" + name, *child);
}

ZooKeeperTree::Lifetime ZooKeeperTree::lifetime_of(std::int64_t owner) const {
  using enum tree::NodeType;
  if (owner == 0) return {};
  if (owner == kContainerOwner) return {kContainer, 0};
  if (sessions_seen_.contains(owner)) return {kEphemeral, 0};
  const auto bits = static_cast<std::uint64_t>(owner);
  const auto ttl = static_cast<std::int64_t>(bits & kTtlBits);
  // 0xff above 40 bits. Release 3.5.3 set the top bit alone; sessions of server 128 look alike, but
  // those are known.
  const std::uint64_t above = bits & ~kTtlBits;
  const bool is_ttl = above == kTopByte || above == std::uint64_t{1} << 63U;
  return is_ttl && ttl > 0 ? Lifetime{kTtl, ttl} : Lifetime{kEphemeral, 0};
}

void ZooKeeperTree::collect_ephemerals(const std::string& path,
                                       const Node& node,
                                       std::vector<std::string>& found) const {
  for (const auto& [name, child] : node.children) {
    const std::string below = path + "/" + name;
    if (lifetime_of(child->stat.ephemeral_owner).type == tree::NodeType::kEphemeral) {
      found.push_back(below);
    } else {
      collect_ephemerals(below, *child, found);
    }
  }
}

std::size_t ZooKeeperTree::close_sessions(std::int64_t zxid) {
  std::vector<std::string> paths;
  collect_ephemerals("", *root_, paths);
  for (const std::string& path : paths) remove(path, zxid);
  sessions_.clear();
  return paths.size();
}

}  // namespace zkfs::zookeeper
