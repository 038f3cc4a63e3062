// SPDX-License-Identifier: Apache-2.0
#include "mount/replay_plan.h"

#include <optional>
#include <utility>

#include "mount/view.h"

namespace zkfs::mount {

namespace {

using tree::Change;
using tree::NodeKind;
using Items = std::vector<ReplayItem>;

mode_t shown_type(bool directory, NodeKind kind) {
  if (directory) return S_IFDIR;
  return kind == NodeKind::kSymlink ? S_IFLNK : S_IFREG;
}

// The node and type by which the mount shows what a change is about.
ReplaySubject subject_of(Ino ino, bool directory, NodeKind kind, std::uint32_t size) {
  const mode_t type = shown_type(directory, kind);
  const NodeId node = directory       ? directory_node(ino)
                      : S_ISLNK(type) ? link_node(ino)
                                      : file_node(ino);
  return {node, type, size};
}

ReplaySubject subject_of(const Change& change) {
  return subject_of(change.ino, change.directory, change.node_kind, change.data_size);
}

Poke::Kind creation_of(const ReplaySubject& subject) {
  if (S_ISDIR(subject.type)) return Poke::Kind::kMakeDirectory;
  if (S_ISLNK(subject.type)) return Poke::Kind::kCreateSymlink;
  return subject.size == 0 ? Poke::Kind::kCreateFile : Poke::Kind::kCreateWithData;
}

ReplayItem item(Poke::Kind kind, NodeId parent, std::string name, ReplaySubject subject) {
  ReplayItem item;
  item.poke.kind = kind;
  item.poke.parent = parent;
  item.poke.name = std::move(name);
  item.subject = subject;
  return item;
}

class Planner {
 public:
  Planner(const Change& change, const ReplayWorld& world)
      : change_(change),
        world_(world),
        parent_(directory_node(change.parent)),
        name_(shown_name(change.name)),
        subject_(subject_of(change)) {}

  [[nodiscard]] Items plan() const {
    switch (change_.kind) {
      case Change::Kind::kCreated:
        return created();
      case Change::Kind::kDeleted:
        return deleted();
      case Change::Kind::kData:
        return change_.directory ? directory_data() : data();
      case Change::Kind::kAcl:
      case Change::Kind::kAttributes:
        return attributes();
      case Change::Kind::kMoved:
        return moved(subject_, {}, Poke::Kind::kRename);
      case Change::Kind::kReplaced:
        return replaced();
      case Change::Kind::kExchanged:
        return exchanged();
      case Change::Kind::kBecameDirectory:
        return retyped();
      case Change::Kind::kLockGranted:  // no counterpart in a filesystem
        break;
    }
    return {};
  }

  // The change is a move of a directory into the place of one that was removed.
  [[nodiscard]] Items moved_over(const Change& removed) const {
    Items items = moved(subject_, subject_of(removed), Poke::Kind::kRename);
    if (const auto data = Planner(removed, world_).data_of_removed())
      items.insert(items.begin(), *data);
    return items;
  }

 private:
  [[nodiscard]] bool watchable(NodeId node) const { return world_.inodes.watchable(node); }

  [[nodiscard]] bool seen() const { return watchable(parent_) || watchable(subject_.node); }

  [[nodiscard]] ReplayItem here(Poke::Kind kind) const {
    return item(kind, parent_, name_, subject_);
  }

  // The data of the change's directory, as the entry `.@data` in it.
  [[nodiscard]] ReplayItem data_entry(Poke::Kind kind) const {
    return item(kind, directory_node(change_.ino), std::string(kDataName),
                {file_node(change_.ino), S_IFREG, change_.data_size});
  }

  [[nodiscard]] Items created() const {
    // A new name can only be watched for in its directory.
    if (!watchable(parent_)) return {};
    return {here(creation_of(subject_))};
  }

  [[nodiscard]] std::optional<ReplayItem> data_of_removed() const {
    const bool shown = change_.directory && change_.data_size != 0;
    if (!shown || !(watchable(directory_node(change_.ino)) || watchable(file_node(change_.ino))))
      return {};
    return data_entry(Poke::Kind::kUnlink);
  }

  [[nodiscard]] Items deleted() const {
    Items items;
    if (const auto data = data_of_removed()) items.push_back(*data);
    if (seen())
      items.push_back(here(change_.directory ? Poke::Kind::kRemoveDirectory : Poke::Kind::kUnlink));
    return items;
  }

  [[nodiscard]] Items data() const {
    if (!seen()) return {};
    return {here(Poke::Kind::kModify)};
  }

  [[nodiscard]] Items directory_data() const {
    const NodeId entry = file_node(change_.ino);
    if (!watchable(directory_node(change_.ino)) && !watchable(entry)) return {};
    const bool has = change_.data_size != 0;
    if (!change_.had_data && has) return {data_entry(Poke::Kind::kCreateWithData)};
    if (change_.had_data && !has) return {data_entry(Poke::Kind::kUnlink)};
    // Empty it is not listed, but leads there.
    if (!has && !watchable(entry)) return {};
    return {data_entry(Poke::Kind::kModify)};
  }

  [[nodiscard]] Items attributes() const {
    if (former_subject().type != subject_.type) return retyped();
    if (!seen()) return {};
    ReplayItem attributes = here(Poke::Kind::kAttributes);
    if (directory_node(change_.ino) == world_.inodes.root()) {
      attributes.poke.parent = world_.inodes.root();
      attributes.poke.name = ".";
    }
    return {attributes};
  }

  [[nodiscard]] Items moved(ReplaySubject source, ReplaySubject target, Poke::Kind kind) const {
    const NodeId old_parent = directory_node(change_.old_parent);
    // What the kernel does not hold need not be there for it, except to swap places with it.
    if (kind != Poke::Kind::kExchange && !watchable(target.node)) target = {};
    if (!watchable(old_parent) && !watchable(parent_) && !watchable(source.node) &&
        (target.node == 0 || !watchable(target.node)))
      return {};
    ReplayItem move = item(kind, old_parent, shown_name(change_.old_name), source);
    move.poke.other_parent = parent_;
    move.poke.other_name = name_;
    move.target = target;
    return {move};
  }

  // As which it was shown before.
  [[nodiscard]] ReplaySubject former_subject() const {
    return subject_of(change_.ino, change_.was_directory, change_.old_node_kind, 0);
  }

  // See replay.h.
  [[nodiscard]] Items replaced() const {
    const ReplaySubject source =
        subject_of(change_.other, false, change_.node_kind, change_.data_size);
    const ReplaySubject target = former_subject();
    const bool target_lives = target.type == subject_.type;
    const bool watched = watchable(target.node);
    Items items = moved(source, target, Poke::Kind::kReplace);
    for (ReplayItem& move : items) move.target_lives = target_lives;
    if (watched && target_lives) items.push_back(here(Poke::Kind::kModify));
    return items;
  }

  [[nodiscard]] Items exchanged() const {
    const ReplaySubject other =
        subject_of(change_.other, change_.was_directory, change_.old_node_kind, 0);
    return moved(subject_, other, Poke::Kind::kExchange);
  }

  // One inode goes, another comes.
  [[nodiscard]] Items retyped() const {
    const ReplaySubject former = former_subject();
    if (!watchable(parent_) && !watchable(former.node)) return {};
    const bool directory = S_ISDIR(former.type);
    return {item(directory ? Poke::Kind::kRemoveDirectory : Poke::Kind::kUnlink, parent_, name_,
                 former),
            here(creation_of(subject_))};
  }

  const Change& change_;
  const ReplayWorld& world_;
  NodeId parent_;
  std::string name_;
  ReplaySubject subject_;
};

class Halves {
 public:
  Halves(const ReplayItem& move, const ReplayWorld& world)
      : move_(move), poke_(move.poke), world_(world) {}

  [[nodiscard]] Items plan() const {
    Items items;
    if (watchable(poke_.parent)) leave(items);
    if (watchable(poke_.other_parent)) arrive(items);
    return items;
  }

 private:
  [[nodiscard]] bool watchable(NodeId node) const { return world_.inodes.watchable(node); }

  // A directory that lives cannot be shown as removed, or nothing could be made in it any more: it
  // is moved to where it is now.
  void leave(Items& items) const {
    const bool directory = S_ISDIR(move_.subject.type);
    const auto znode =
        directory ? world_.tree.find(ino_of(move_.subject.node)) : std::optional<tree::Znode>();
    ReplayItem leave = item(directory ? Poke::Kind::kRemoveDirectory : Poke::Kind::kUnlink,
                            poke_.parent, poke_.name, move_.subject);
    if (znode) {
      leave.poke.kind = Poke::Kind::kRename;
      leave.poke.other_parent = directory_node(znode->parent);
      leave.poke.other_name = shown_name(znode->name);
    }
    items.push_back(std::move(leave));
    if (poke_.kind == Poke::Kind::kExchange)
      items.push_back(item(creation_of(move_.target), poke_.parent, poke_.name, move_.target));
  }

  void arrive(Items& items) const {
    const auto arrival = [&](Poke::Kind kind, const ReplaySubject& subject) {
      items.push_back(item(kind, poke_.other_parent, poke_.other_name, subject));
    };
    if (move_.target_lives && move_.target.node != 0)
      return arrival(Poke::Kind::kModify, move_.target);
    if (move_.target.node != 0 && !S_ISDIR(move_.target.type))
      arrival(Poke::Kind::kUnlink, move_.target);
    arrival(creation_of(move_.subject), move_.subject);
  }

  const ReplayItem& move_;
  const Poke& poke_;
  const ReplayWorld& world_;
};

}  // namespace

ReplayPlan plan_replay(std::span<const Change> changes, const ReplayWorld& world) {
  const Change& change = changes.front();
  const bool replaced = changes.size() > 1 && change.kind == Change::Kind::kDeleted &&
                        changes[1].kind == Change::Kind::kMoved && change.directory &&
                        changes[1].directory && changes[1].parent == change.parent &&
                        changes[1].name == change.name;
  if (replaced) return {Planner(changes[1], world).moved_over(change), 2};
  return {Planner(change, world).plan(), 1};
}

std::vector<ReplayItem> plan_halves(const ReplayItem& move, const ReplayWorld& world) {
  return Halves(move, world).plan();
}

std::string shown_path(const tree::DataTree& tree, NodeId directory, NodeId root) {
  const Ino top = root == kRootNode ? kRootIno : ino_of(root);
  std::string path;
  for (auto znode = tree.find(ino_of(directory)); znode && znode->ino != top && znode->parent;
       znode = tree.find(znode->parent)) {
    std::string step = shown_name(znode->name);
    path = path.empty() ? std::move(step) : step + '/' + path;
  }
  return path;
}

}  // namespace zkfs::mount
