// SPDX-License-Identifier: Apache-2.0
// Names: unlink, rmdir's half, rename, symlinks, mknod.
#include <stdio.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>

#include "ensemble/base/limits.h"
#include "mount/errno_map.h"
#include "mount/filesystem.h"

namespace zkfs::mount {

namespace {

// How often a change that depends on a value read here is tried again when another was faster.
constexpr unsigned kAttemptsMax = 16;

}  // namespace

void Filesystem::mknod(Reply reply, NodeId parent, Name name, mode_t mode) {
  if (!S_ISREG(mode)) return reply.error(EPERM);
  Place place = new_place(parent, name);
  if (place.kind == Place::Kind::kRefused) return reply.error(place.error);
  if (place.kind != Place::Kind::kChild) return reply.error(EEXIST);
  server::CreateRequest request;
  request.kind = tree::NodeKind::kFile;
  request.acl = acl_for({mode & 0777U, reply.uid(), reply.gid()}, false, {});
  request.executable = (mode & 0111U) != 0;
  make_node(std::move(reply), std::move(place), parent, name, std::move(request));
}

void Filesystem::symlink(Reply reply, Name target, NodeId parent, Name name) {
  Place place = new_place(parent, name);
  if (place.kind == Place::Kind::kRefused) return reply.error(place.error);
  if (place.kind != Place::Kind::kChild) return reply.error(EEXIST);
  server::CreateRequest request;
  request.kind = tree::NodeKind::kSymlink;
  request.data = Blob(target);
  request.acl = acl_for({0644, reply.uid(), reply.gid()}, false, {});
  make_node(std::move(reply), std::move(place), parent, name, std::move(request));
}

void Filesystem::unlink(Reply reply, NodeId parent, Name name) {
  const Place place = find_place(parent, name);
  if (place.kind == Place::Kind::kControl) return reply.error(EPERM);
  if (place.kind == Place::Kind::kDirectory) return reply.error(EISDIR);
  if (place.kind == Place::Kind::kRefused) return reply.error(place.error);
  if (place.kind == Place::Kind::kChild) {
    if (const NodeId own = own_provisional(reply, place); own != 0) {
      return commit_own(std::move(reply), own, [this, parent, text = std::string(name)](Reply r) {
        unlink(std::move(r), parent, text);
      });
    }
    return remove(std::move(reply), place.parent, place.name, false);
  }
  // A directory's data: emptied.
  const Ino directory = place.parent;
  const pid_t remover = reply.pid();
  const auto removed = [this, directory, remover](Reply answered) {
    data_is_absent_for(directory, remover);
    answered.ok();
  };
  const auto znode = tree().find(directory);
  if (!znode) return reply.error(ENOENT);
  if (znode->data.empty()) return removed(std::move(reply));
  change(std::move(reply), server::SetDataRequest{{directory, {}}, Blob(), server::kAnyVersion},
         [removed](Reply answered, const Outcome&) { removed(std::move(answered)); });
}

// ZooKeeper's own znodes stay where they are.
bool Filesystem::is_system_at(Ino parent, const std::string& name) const {
  const auto znode = tree().find_child(parent, name);
  return znode && is_system(znode->ino);
}

void Filesystem::remove(Reply reply, Ino parent, const std::string& name, bool directory) {
  if (is_system_at(parent, name)) return reply.error(EPERM);
  server::DeleteRequest request;
  request.target = {parent, name};
  using Shown = server::DeleteRequest::Shown;
  request.expected = directory ? Shown::kDirectory : Shown::kNotDirectory;
  request.only_without_data = directory;
  change(std::move(reply), std::move(request),
         [](Reply answered, const Outcome&) { answered.ok(); });
}

// A file's name is gone or another before its first commit: that comes first, or nothing does.
void Filesystem::commit_own(Reply reply, NodeId own, Again again) {
  parts_.gate.admit(std::move(reply),
                    [this, own, again = std::move(again)](Reply admitted) mutable {
                      if (!commit_provisional_first(admitted, own, std::move(again)))
                        admitted.error(ENOENT);
                    });
}

// --- rename ---

void Filesystem::rename(Reply reply, const RenameNames& names) {
  if ((names.flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0) return reply.error(EINVAL);
  const bool exchange = (names.flags & RENAME_EXCHANGE) != 0;
  const Place from = find_place(names.parent, names.name);
  const Place to = exchange ? find_place(names.new_parent, names.new_name)
                            : new_place(names.new_parent, names.new_name);
  using Kind = Place::Kind;
  if (from.kind == Kind::kRefused) return reply.error(from.error);
  if (to.kind == Kind::kRefused) return reply.error(to.error);
  if (from.kind == Kind::kControl || to.kind == Kind::kControl) return reply.error(EPERM);
  if (from.kind == Kind::kDirectory || to.kind == Kind::kDirectory) return reply.error(EBUSY);
  // A directory's data does not move; mv then copies and removes.
  if (from.kind == Kind::kData) return reply.error(EXDEV);
  if (is_system_at(from.parent, from.name) ||
      (to.kind == Kind::kChild && is_system_at(to.parent, to.name))) {
    return reply.error(EPERM);
  }
  if (const NodeId own = own_provisional(reply, from); own != 0) {
    return commit_own(
        std::move(reply), own,
        [this, names, old_name = std::string(names.name),
         new_name = std::string(names.new_name)](Reply r) {
          rename(std::move(r), {names.parent, old_name, names.new_parent, new_name, names.flags});
        });
  }
  const bool no_replace = (names.flags & RENAME_NOREPLACE) != 0;
  if (to.kind == Kind::kData) {
    if (exchange) return reply.error(EINVAL);
    if (const auto znode = tree().find(to.parent); no_replace && znode && !znode->data.empty()) {
      return reply.error(EEXIST);
    }
    return rename_onto_data(std::move(reply), from, to.parent);
  }
  if (to.marker.type != tree::NodeType::kPersistent) {
    return rename_retyped(std::move(reply), from, to, names, 0);
  }
  server::RenameRequest request;
  request.source = {from.parent, from.name};
  request.target = {to.parent, to.name};
  request.no_replace = no_replace;
  request.exchange = exchange;
  request.sequential = to.marker.sequential;
  const Creation target = target_of(to, names.new_name);
  const bool parent = is_leaf_as_directory(names.new_parent);
  change(std::move(reply),
         parent ? with_parent_made(Creation{.parent = to.parent,
                                            .name = {},
                                            .ghost = {},
                                            .marker = {},
                                            .ownership = {},
                                            .make_parent_directory = true,
                                            .owner = {}},
                                   {std::move(request)})
                : server::Operation(std::move(request)),
         [this, target, parent](Reply answered, const Outcome& outcome) {
           const Outcome& moved = parent ? outcome.operations[1] : outcome;
           const auto znode = tree().find(moved.ino);
           const std::string name = znode ? std::string(znode->name) : std::string();
           answered.ok();
           if (znode) announce_name(target, natural_node(*znode), name);
         });
}

Creation Filesystem::target_of(const Place& place, Name ghost) {
  return Creation{.parent = place.parent,
                  .name = place.name,
                  .ghost = std::string(ghost),
                  .marker = place.marker,
                  .ownership = {},
                  .make_parent_directory = false,
                  .owner = {}};
}

void Filesystem::rename_onto_data(Reply reply, const Place& from, Ino directory) {
  const auto source = tree().find_child(from.parent, from.name);
  if (!source) return reply.error(ENOENT);
  if (source->is_directory()) return reply.error(EISDIR);
  server::RenameRequest request;
  request.source = {from.parent, from.name};
  request.target = {directory, {}};
  request.onto_data = true;
  const Ino moved = source->ino;
  change(std::move(reply), std::move(request),
         [this, moved, directory](Reply answered, const Outcome&) {
           // The kernel's `.@data` is the moved file's node until it looks again.
           follow(moved, directory);
           answered.ok();
         });
}

// `mv f x@eph`: a znode's type is fixed, so this is another znode with the same data, in one
// transaction.
void Filesystem::rename_retyped(
    Reply reply, const Place& from, const Place& to, const RenameNames& names, unsigned attempt) {
  const auto source = tree().find_child(from.parent, from.name);
  if (!source) return reply.error(ENOENT);
  if (source->is_directory()) return reply.error(EINVAL);
  if (to.marker.owner == Marker::Owner::kFile) return reply.error(EINVAL);
  auto owner = owner_of(reply, to.marker);
  if (!owner) return reply.error(owner.error());
  const Creation target = target_of(to, names.new_name);
  server::CreateRequest create = create_request(target);
  create.data = source->data;
  create.kind = source->kind;
  create.executable = source->executable;
  create.acl = source->acl != nullptr ? *source->acl : tree::open_acl();
  server::MultiRequest multi;
  multi.operations.emplace_back(
      server::DeleteRequest{.target = {source->ino, {}}, .version = source->stat.version});
  multi.operations.emplace_back(std::move(create));
  // The names in `names` are the kernel's, gone once this returns.
  const std::string old_name(names.name);
  const std::string new_name(names.new_name);
  const auto again = [=, this, parent = names.parent, new_parent = names.new_parent](Reply r) {
    rename_retyped(std::move(r), from, to, {parent, old_name, new_parent, new_name, 0},
                   attempt + 1);
  };
  parts_.gate.admit(std::move(reply), [this, again, attempt, target, owner = std::move(*owner),
                                       multi = std::move(multi)](Reply admitted) mutable {
    submit_any(
        std::move(admitted), std::move(multi),
        [this, again, attempt, target](Reply answered, const Outcome& outcome) {
          if (outcome.error == Error::kBadVersion && attempt < kAttemptsMax) {
            return again(std::move(answered));
          }
          if (outcome.error != Error::kOk) return answered.error(errno_of(outcome.error));
          const auto znode = tree().find(outcome.operations[1].ino);
          const std::string made = znode ? std::string(znode->name) : std::string();
          answered.ok();
          if (znode) announce_name(target, natural_node(*znode), made);
        },
        std::move(owner));
  });
}

}  // namespace zkfs::mount
