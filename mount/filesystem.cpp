// SPDX-License-Identifier: Apache-2.0
// What the operations share: names, nodes, waiting, the change feed.
#include "mount/filesystem.h"

#include <cerrno>

#include "ensemble/base/check.h"
#include "ensemble/base/log.h"
#include "ensemble/tree/path.h"
#include "mount/errno_map.h"

namespace zkfs::mount {

namespace {

// No znode has it.
constexpr std::int32_t kNeverVersion = -2;

}  // namespace

Filesystem::Filesystem(Parts parts) : parts_(std::move(parts)), idle_timer_(parts_.context) {}

Filesystem::~Filesystem() {
  stop();
}

void Filesystem::stop() {
  stopped_ = true;
  *alive_ = false;
  idle_timer_.cancel();
}

// --- names ---

std::optional<Filesystem::Place> Filesystem::special_place(Ino directory, Name name) const {
  Place place;
  if (name == kDataName) {
    place.kind = Place::Kind::kData;
    place.parent = directory;
    return place;
  }
  if (name.find('@') == Name::npos) return {};
  const bool data = name.ends_with(kDataAlias);
  if (!data && !name.ends_with(kDirectoryAlias)) return {};
  const Name base = name.substr(0, name.size() - (data ? kDataAlias : kDirectoryAlias).size());
  const auto znode = tree().find_child(directory, real_name(base));
  const bool can_be_directory =
      znode && (znode->is_directory() || (znode->kind != tree::NodeKind::kSymlink &&
                                          znode->type != tree::NodeType::kEphemeral));
  if (!znode || (data ? !znode->is_directory() : !can_be_directory)) {
    place.error = ENOENT;
    return place;
  }
  place.kind = data ? Place::Kind::kData : Place::Kind::kDirectory;
  place.parent = znode->ino;
  return place;
}

Filesystem::Place Filesystem::find_place(NodeId parent, Name name) const {
  Place place;
  if (face_of(parent) == Face::kControl) {
    place.error = ENOENT;
    if (auto control = parts_.control.find(parent, name)) {
      place.kind = Place::Kind::kControl;
      place.control = std::move(*control);
    }
    return place;
  }
  if (parent == parts_.inodes.root() && name == parts_.options.control) {
    place.kind = Place::Kind::kControl;
    place.control = {.path = {}, .directory = true, .node = Control::directory()};
    return place;
  }
  const Ino directory = resolve(parent);
  if (auto special = special_place(directory, name)) return *special;
  place.error = ENOENT;
  if (reads_as_marker(name)) return place;
  place.name = real_name(name);
  place.parent = directory;
  if (const auto valid = tree::validate_name(place.name); !valid) {
    if (valid.error() == Error::kTooLarge) place.error = ENAMETOOLONG;
    return place;
  }
  place.kind = Place::Kind::kChild;
  return place;
}

Filesystem::Place Filesystem::new_place(NodeId parent, Name name) const {
  Place place;
  if (face_of(parent) == Face::kControl) {
    place.error = EPERM;
    return place;
  }
  if (!resolve(parent)) {
    place.error = ENOENT;  // a root that is not there yet
    return place;
  }
  Marker marker = parse_marker(name);
  if (!marker.any) {
    place = find_place(parent, name);
    if (place.kind == Place::Kind::kRefused && place.error == ENOENT) place.error = EINVAL;
    return place;
  }
  if (marker.bad) {
    place.error = EINVAL;
  } else {
    // The ten digits of the suffix count.
    const std::string final_name =
        marker.sequential ? marker.base + tree::sequence_suffix(0) : marker.base;
    const auto valid = tree::validate_name(final_name);
    place.error = !valid && valid.error() == Error::kTooLarge ? ENAMETOOLONG : EINVAL;
    if (valid) {
      place.kind = Place::Kind::kChild;
      place.parent = resolve(parent);
      place.name = marker.base;
    }
  }
  place.marker = std::move(marker);
  return place;
}

// --- nodes ---

Ino Filesystem::resolve(NodeId node) const {
  switch (face_of(node)) {
    case Face::kControl:
      return {};
    case Face::kProvisional: {
      // Committed since whoever asks took up the number?
      const NodeId now = parts_.inodes.ours(node);
      return now == node ? Ino{} : resolve(now);
    }
    case Face::kFile:
    case Face::kLink: {
      const auto it = followed_.find(ino_of(node));
      return it == followed_.end() ? ino_of(node) : it->second;
    }
    case Face::kDirectory:
      return ino_of(node == kRootNode ? NodeId{kRootIno.value} : node);
  }
  return {};
}

std::optional<tree::Znode> Filesystem::znode_of(NodeId node) const {
  const Ino ino = resolve(node);
  if (!ino) return {};
  auto znode = tree().find(ino);
  if (znode && !has_face(*znode, face_of(parts_.inodes.ours(node)))) znode.reset();
  return znode;
}

fuse_entry_param Filesystem::enter(const tree::Znode& znode, NodeId node) {
  fuse_entry_param param = entry(znode, node);
  param.ino = parts_.inodes.looked_up(node);
  return param;
}

// --- waiting ---

bool Filesystem::refuse_read(Reply& reply) const {
  if (parts_.gate.may_read()) return false;
  reply.error(EIO);
  return true;
}

bool Filesystem::wait_behind(Reply& reply, Barriers::Key key, Again again) {
  // Without a quorum nobody knows how long; readers then get the last known state.
  if (!barriers_.raised(key) || !parts_.door.in_quorum()) return false;
  const Parking::Id id = parts_.parking.park(std::move(reply), {});
  barriers_.wait(key, [this, id, again = std::move(again)]() mutable {
    if (Reply parked = parts_.parking.take(id); parked.pending()) again(std::move(parked));
  });
  return true;
}

server::Identity Filesystem::identity_of(const Reply& reply) {
  server::Identity identity{.uid = reply.uid(), .gids = {}};
  for (const gid_t group : reply.groups()) identity.gids.push_back(group);
  return identity;
}

void Filesystem::change(Reply reply, server::Operation operation, Done done, Owner owner) {
  parts_.gate.admit(std::move(reply), [this, operation = std::move(operation),
                                       done = std::move(done), owner](Reply admitted) mutable {
    submit(std::move(admitted), std::move(operation), std::move(done), std::move(owner));
  });
}

void Filesystem::submit(Reply reply, server::Operation operation, Done done, Owner owner) {
  submit_any(
      std::move(reply), std::move(operation),
      [done = std::move(done)](Reply answered, const Outcome& outcome) mutable {
        if (outcome.error != Error::kOk) return answered.error(errno_of(outcome.error));
        done(std::move(answered), outcome);
      },
      std::move(owner));
}

void Filesystem::submit_any(Reply reply, server::Operation operation, Done done, Owner owner) {
  server::Identity identity = identity_of(reply);
  MountSession& session = owner ? *owner : parts_.session;
  const auto ticket = std::make_shared<std::uint64_t>(0);
  const Parking::Id id = parts_.parking.park(
      std::move(reply), [this, alive = alive_, &session, owner, ticket](Parking::Why) {
        session.forget(*ticket);
        // An open file that will not be: what was sent in its name goes with the session.
        if (owner && *alive) parts_.owners.end_of_file(owner);
      });
  *ticket = session.submit(
      std::move(identity), std::move(operation),
      [this, alive = alive_, id, done = std::move(done)](const Outcome& outcome) mutable {
        if (!*alive) return;
        if (Reply parked = parts_.parking.take(id); parked.pending()) {
          done(std::move(parked), outcome);
        }
      });
}

std::expected<Filesystem::Owner, int> Filesystem::owner_of(const Reply& reply,
                                                           const Marker& marker) {
  switch (marker.owner) {
    case Marker::Owner::kMount:
      break;
    case Marker::Owner::kProcess:
      return parts_.owners.of_process(marker.pid, reply.pid(), reply.uid());
    case Marker::Owner::kFile:
      return parts_.owners.of_file(reply.pid());
  }
  return Owner{};
}

Parking::Terms Filesystem::commit_terms() const {
  Parking::Terms terms;
  terms.may_exit = true;
  if (parts_.options.commit_timeo.count() > 0) {
    terms.deadline = parts_.now() + parts_.options.commit_timeo;
    terms.deadline_error = EIO;
  }
  return terms;
}

// --- the change feed ---

void Filesystem::find_root(const tree::DataTree& tree) {
  if (root_) return;
  const auto znode = tree.find_path(parts_.options.root);
  if (znode) root_ = znode->ino;
  parts_.inodes.set_root(directory_node(root_));
  parts_.control.set_root(root_);
  if (root_ && root_ != kRootIno) {
    ZKFS_LOG_INFO(mount, "{} shows {}", parts_.options.mountpoint, parts_.options.root);
  }
}

void Filesystem::applied(const server::AppliedTxn& txn) {
  if (!root_) find_root(tree());
  for (const tree::Change& change : txn.changes) {
    if (change.kind == tree::Change::Kind::kReplaced) follow(change.other, change.ino);
    if (change.kind == tree::Change::Kind::kDeleted) {
      errors_.erase(change.ino);
      data_absent_for_.erase(change.ino);
    }
  }
}

// What was open as `from` is now `to`.
void Filesystem::follow(Ino from, Ino to) {
  for (auto& [old, now] : followed_) {
    if (now == from) now = to;
  }
  if (parts_.inodes.held(file_node(from)) || parts_.inodes.held(link_node(from)))
    followed_[from] = to;
  for (const auto& [node, handle] : files_of_node_) {
    OpenFile* file = files_.find(handle);
    if (file == nullptr || file->ino != from) continue;
    file->ino = to;
    const auto znode = tree().find(to);
    // Another may have written to it between this open and the rename.
    const bool same = znode && znode->data.view() == file->snapshot.view();
    file->version = same ? znode->stat.version : kNeverVersion;
  }
}

void Filesystem::quorum_changed(bool in_quorum) {
  if (in_quorum) {
    parts_.gate.quorum_found();
  } else {
    barriers_.let_go();
  }
}

}  // namespace zkfs::mount
