// SPDX-License-Identifier: Apache-2.0
// The reading end of snapshots. Chunks come from disks and networks: everything in them is checked,
// nothing is believed. Znodes are taken in as they come and get their places in finish(), when all
// are there.
#include <algorithm>
#include <limits>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "ensemble/base/limits.h"
#include "ensemble/proto/snapshot.pb.h"
#include "ensemble/tree/data_tree_state.h"
#include "ensemble/tree/snapshot_codec.h"
#include "ensemble/tree/snapshot_cursor.h"
#include "ensemble/tree/system_znodes.h"

namespace zkfs::tree {
namespace {

template <typename... Values>
std::unexpected<Problem> problem(fmt::format_string<Values...> format, Values&&... values) {
  return std::unexpected(
      Problem{"snapshot: " + fmt::format(format, std::forward<Values>(values)...)});
}

// How deep outcomes nest: a multi and its operations.
bool read(const proto::SnapshotOutcome& from, int levels, Outcome& out) {
  if (levels == 0) return false;
  out.error = Error{from.error()};
  out.zxid = Zxid{from.zxid()};
  out.ino = Ino{from.ino()};
  out.name = from.name();
  out.version = from.version();
  for (const proto::SnapshotOutcome& operation : from.operations()) {
    if (!read(operation, levels - 1, out.operations.emplace_back())) return false;
  }
  return true;
}

// True if every column has one value per znode and the names and data are as long as their lengths
// say.
bool is_regular(const proto::SnapshotZnodes& z) {
  const int rows = z.ino_size();
  for (const int size : {z.parent_size(), z.name_bytes_size(), z.data_bytes_size(), z.acl_size(),
                         z.czxid_size(), z.mzxid_size(), z.pzxid_size(), z.ctime_size(),
                         z.mtime_size(), z.change_time_size(), z.version_size(), z.aversion_size(),
                         z.create_counter_size(), z.form_size(), z.owner_or_ttl_size()}) {
    if (size != rows) return false;
  }
  std::uint64_t names = 0;
  std::uint64_t data = 0;
  for (int i = 0; i < rows; ++i) {
    if (z.name_bytes(i) > limits::kNameBytesMax) return false;
    names += z.name_bytes(i);
    data += z.data_bytes(i);
  }
  return names == z.names().size() && data == z.data().size();
}

std::uint64_t sum(std::uint64_t base, std::int64_t difference) {
  return base + static_cast<std::uint64_t>(difference);
}

WallMillis sum(WallMillis base, std::int64_t difference) {
  return static_cast<WallMillis>(sum(static_cast<std::uint64_t>(base), difference));
}

// Everything but name, data and ACL of row `i`.
void read_row(const proto::SnapshotZnodes& z, int i, Node& node) {
  node.ino = Ino{z.ino(i)};
  node.czxid = Zxid{z.czxid(i)};
  node.mzxid = Zxid{sum(z.czxid(i), z.mzxid(i))};
  node.pzxid = Zxid{sum(z.czxid(i), z.pzxid(i))};
  node.ctime = z.ctime(i);
  node.mtime = sum(node.ctime, z.mtime(i));
  node.change_time = sum(node.mtime, z.change_time(i));
  node.version = z.version(i);
  node.aversion = z.aversion(i);
  node.create_counter = z.create_counter(i);
  node.type = static_cast<NodeType>(z.form(i) & 3U);
  node.kind = static_cast<NodeKind>((z.form(i) >> 2U) & 3U);
  node.executable = (z.form(i) & 16U) != 0;
  node.owner_or_ttl = z.owner_or_ttl(i);
}

// Where a znode was put and where it belongs.
struct Place {
  Ino ino;
  Ino parent;
  Slot slot = kNoSlot;
  Slot parent_slot = kNoSlot;
};

// How many znodes ahead memory is fetched: about what one takes to arrive.
constexpr std::size_t kAhead = 16;

}  // namespace

struct SnapshotLoader::State {
  std::unique_ptr<DataTree::State> data = std::make_unique<DataTree::State>();
  TreeState& tree = data->tree;
  proto::SnapshotChunk chunk;  // its memory is used again for each
  proto::SnapshotHeader header;
  bool begun = false;
  bool ended = false;
  bool failed = false;
  std::uint64_t sessions = 0;
  SessionId last_session;
  std::uint64_t locks = 0;
  std::unordered_map<std::uint32_t, AclList> acls;
  // The ACL looked up last, as neighbours mostly share one: its number in the snapshot and here.
  std::uint64_t acl_from = std::numeric_limits<std::uint64_t>::max();
  std::uint32_t acl_to = 0;
  std::vector<Place> places;

  Expected<void> add_header();
  Expected<void> add_session(const proto::SnapshotSession& from);
  Expected<void> add_lock(const proto::SnapshotLock& from);
  void add_acl(const proto::SnapshotAcl& from);
  Expected<void> add_znodes(const proto::SnapshotZnodes& z);
  Expected<void> check_row(const Node& node, std::string_view name, Ino parent) const;
  bool take_acl(std::uint32_t number, Node& node);
  Expected<void> add_chunk();
  Expected<void> link_all();
  Expected<void> find_parents();
  Expected<void> link(const Place& place);
  Expected<void> check_reachable() const;
  Expected<void> check_totals() const;
};

Expected<void> SnapshotLoader::State::add_header() {
  if (begun) return problem("a second header");
  header = chunk.header();
  if (header.format() < kOldestSnapshotFormat || header.format() > kSnapshotFormat) {
    return problem("unknown format {}", header.format());
  }
  if (header.znode_count() == 0 || header.znode_count() >= kNoSlot - 1) {
    return problem("{} znodes announced", header.znode_count());
  }
  begun = true;
  // The count is not believed beyond what costs little if it is a lie.
  constexpr std::uint64_t kReserveMax = 4'000'000;
  const auto expected = static_cast<std::size_t>(std::min(header.znode_count(), kReserveMax));
  tree.reserve(expected);
  places.reserve(expected);
  return {};
}

Expected<void> SnapshotLoader::State::add_session(const proto::SnapshotSession& from) {
  const SessionId id{from.id()};
  const bool known = tree.sessions().find(id) != nullptr;
  if (!id || known != from.continued() || (known && id != last_session))
    return problem("session {} comes twice", id);
  if (!from.continued()) {
    tree.sessions().add(id, from.timeout_ms(), from.owner(), from.password());
    tree.sessions().restore_attachment(*tree.sessions().find(id), from.attachment());
    last_session = id;
    ++sessions;
  }
  SessionRecord& session = *tree.sessions().find(id);
  for (const proto::SnapshotOutcome& kept : from.outcomes()) {
    Outcome outcome;
    if (!read(kept, 2, outcome)) return problem("session {}: an outcome nests too deep", id);
    tree.sessions().keep(session, Xid{kept.xid()}, outcome);
  }
  return {};
}

Expected<void> SnapshotLoader::State::add_lock(const proto::SnapshotLock& from) {
  const LockView lock{Ino{from.ino()},
                      static_cast<LockSpace>(from.space() & 1U),
                      static_cast<LockMode>(from.mode() & 1U),
                      {from.first(), from.last()},
                      SessionId{from.session()},
                      from.owner(),
                      from.request(),
                      from.pid(),
                      Zxid{from.zxid()},
                      from.waiting()};
  if (!was_assigned(lock.ino, Ino{header.next_ino()}) || from.space() > 1 || from.mode() > 1 ||
      lock.zxid == Zxid{} || lock.zxid.value > header.zxid()) {
    return problem("a lock of znode {} at {}", lock.ino, lock.zxid);
  }
  if (std::as_const(tree).sessions().find(lock.session) == nullptr) {
    return problem("a lock of znode {} is owned by no session", lock.ino);
  }
  if (!tree.locks().load(lock)) return problem("a lock of znode {} cannot be", lock.ino);
  ++locks;
  return {};
}

void SnapshotLoader::State::add_acl(const proto::SnapshotAcl& from) {
  AclList list;
  for (const proto::AclEntry& entry : from.entries()) {
    list.push_back({entry.permissions(), entry.scheme(), entry.id()});
  }
  acls.insert_or_assign(from.number(), std::move(list));
  acl_from = std::numeric_limits<std::uint64_t>::max();
}

bool SnapshotLoader::State::take_acl(std::uint32_t number, Node& node) {
  if (number == acl_from) {
    tree.acls().retain(acl_to);
  } else {
    const auto it = acls.find(number);
    if (it == acls.end()) return false;
    acl_from = number;
    acl_to = tree.acls().intern(it->second);
  }
  node.acl = acl_to;
  return true;
}

Expected<void> SnapshotLoader::State::check_row(const Node& node,
                                                std::string_view name,
                                                Ino parent) const {
  if (!was_assigned(node.ino, Ino{header.next_ino()})) return problem("a znode {}", node.ino);
  if (node.czxid.value > header.zxid()) return problem("znode {} is too new", node.ino);
  const bool root = node.ino == kRootIno;
  if (root == static_cast<bool>(parent) || root != name.empty() ||
      name.find('/') != std::string_view::npos || (root && node.type != NodeType::kPersistent)) {
    return problem("znode {} has the name '{}' and the parent {}", node.ino, name, parent);
  }
  if (node.type == NodeType::kEphemeral &&
      std::as_const(tree).sessions().find(SessionId{node.owner_or_ttl}) == nullptr) {
    return problem("znode {} is owned by no session", node.ino);
  }
  return {};
}

Expected<void> SnapshotLoader::State::add_znodes(const proto::SnapshotZnodes& z) {
  if (!is_regular(z)) return problem("columns of znodes do not fit each other");
  std::string_view names = z.names();
  std::string_view data_left = z.data();
  for (int i = 0; i < z.ino_size(); ++i) {
    const std::string_view name = names.substr(0, z.name_bytes(i));
    names.remove_prefix(name.size());
    const std::string_view bytes = data_left.substr(0, z.data_bytes(i));
    data_left.remove_prefix(bytes.size());
    const Ino parent{z.parent(i)};
    tree.prefetch(Ino{z.ino(std::min(i + static_cast<int>(kAhead), z.ino_size() - 1))});
    Node node;
    read_row(z, i, node);
    if (z.form(i) > 63) return problem("znode {} has a form {}", node.ino, z.form(i));
    ZKFS_TRY(check_row(node, name, parent));
    if (!take_acl(z.acl(i), node))
      return problem("znode {}: ACL {} is missing", node.ino, z.acl(i));
    node.name = NodeName(name);
    node.data = (z.form(i) & 32U) != 0 ? Blob::null() : Blob(bytes);
    const Ino ino = node.ino;
    places.push_back({ino, parent, tree.add(std::move(node)), kNoSlot});
  }
  return {};
}

Expected<void> SnapshotLoader::State::add_chunk() {
  if (ended) return problem("a chunk after the end");
  if (chunk.has_header()) ZKFS_TRY(add_header());
  if (!begun) return problem("the header is missing");
  for (const proto::SnapshotSession& session : chunk.sessions()) ZKFS_TRY(add_session(session));
  for (const proto::SnapshotLock& lock : chunk.locks()) ZKFS_TRY(add_lock(lock));
  for (const proto::SnapshotAcl& acl : chunk.acls()) add_acl(acl);
  if (chunk.has_znodes()) ZKFS_TRY(add_znodes(chunk.znodes()));
  if (places.size() > header.znode_count()) return problem("more znodes than announced");
  ended = chunk.has_end();
  return {};
}

Expected<void> SnapshotLoader::State::find_parents() {
  const Place* previous = nullptr;
  for (Place& place : places) {
    if (previous != nullptr && previous->ino == place.ino) {
      return problem("znode {} comes twice", place.ino);
    }
    const bool same = previous != nullptr && previous->parent == place.parent;
    place.parent_slot = same ? previous->parent_slot : tree.find(place.parent);
    previous = &place;
    if (place.parent && place.parent_slot == kNoSlot) {
      return problem("znode {} has no parent {}", place.ino, place.parent);
    }
  }
  return {};
}

Expected<void> SnapshotLoader::State::link(const Place& place) {
  if (!place.parent) return {};
  if (tree.find_child(place.parent_slot, tree.node(place.slot).name.view()) != kNoSlot) {
    return problem("{} has two children of the name of {}", place.parent, place.ino);
  }
  tree.enlist(place.slot);
  tree.link(place.slot, place.parent_slot);
  return {};
}

// In the order of numbers, which owners' lists have anyhow. Siblings get it too: the order in which
// they came is not in a snapshot.
Expected<void> SnapshotLoader::State::link_all() {
  const auto by_number = [](const Place& a, const Place& b) { return a.ino < b.ino; };
  if (!std::is_sorted(places.begin(), places.end(), by_number)) {
    std::sort(places.begin(), places.end(), by_number);
  }
  ZKFS_TRY(find_parents());
  bool upwards = false;
  for (std::size_t i = 0; i < places.size(); ++i) {
    const Place& ahead = places[std::min(i + kAhead, places.size() - 1)];
    tree.prefetch_child(ahead.parent_slot, ahead.slot);
    ZKFS_TRY(link(places[i]));
    upwards = upwards || (places[i].parent > places[i].ino && !is_system(places[i].parent));
  }
  // A ring of parents must go to a higher number somewhere; not through a system znode, whose place
  // is checked apart.
  return upwards ? check_reachable() : Expected<void>{};
}

Expected<void> SnapshotLoader::State::check_reachable() const {
  std::vector<Slot> waiting;
  const Slot root = tree.find(kRootIno);
  if (root != kNoSlot) waiting.push_back(root);
  std::uint64_t reached = 0;
  while (!waiting.empty()) {
    const Slot slot = waiting.back();
    waiting.pop_back();
    ++reached;
    for (Slot s = tree.node(slot).first_child; s != kNoSlot; s = tree.node(s).next_sibling) {
      waiting.push_back(s);
    }
  }
  if (reached != tree.node_count()) {
    return problem("{} of {} znodes hang below the root", reached, tree.node_count());
  }
  return {};
}

Expected<void> SnapshotLoader::State::check_totals() const {
  if (tree.find(kRootIno) == kNoSlot) return problem("the root is missing");
  if (tree.node_count() != header.znode_count() || sessions != header.session_count()) {
    return problem("{} znodes and {} sessions instead of {} and {}", tree.node_count(), sessions,
                   header.znode_count(), header.session_count());
  }
  if (locks != header.lock_count()) {
    return problem("{} locks instead of {}", locks, header.lock_count());
  }
  if (tree.digest() != header.digest()) {
    return problem("digest {:#x} instead of {:#x}", tree.digest(), header.digest());
  }
  return {};
}

SnapshotLoader::SnapshotLoader() : state_(std::make_unique<State>()) {}

SnapshotLoader::~SnapshotLoader() = default;

Expected<void> SnapshotLoader::add(ByteView chunk) {
  State& s = *state_;
  if (s.failed) return problem("a chunk after a bad one");
  s.failed = true;
  if (chunk.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()) ||
      !s.chunk.ParseFromArray(chunk.data(), static_cast<int>(chunk.size()))) {
    return problem("a chunk of {} bytes cannot be decoded", chunk.size());
  }
  ZKFS_TRY(s.add_chunk());
  s.failed = false;
  return {};
}

Expected<std::unique_ptr<DataTree>> SnapshotLoader::finish() {
  State& s = *state_;
  if (s.failed || !s.ended) return problem("it ends early");
  s.failed = true;
  s.tree.quotas().pause();
  ZKFS_TRY(s.link_all());
  s.tree.set_next_ino(Ino{s.header.next_ino()});
  s.tree.set_last_applied(Zxid{s.header.zxid()});
  s.tree.settle();
  ZKFS_TRY(s.check_totals());
  if (const auto added = add_system_znodes(s.tree); !added) {
    return problem("{}", added.error().text);
  }
  s.tree.settle();
  s.tree.quotas().count_all();
  auto tree = std::make_unique<DataTree>();
  tree->state_ = std::move(s.data);
  return tree;
}

}  // namespace zkfs::tree
