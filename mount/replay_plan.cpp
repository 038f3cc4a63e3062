// SPDX-License-Identifier: Apache-2.0
#include "mount/replay_plan.h"

#include <algorithm>
#include <set>

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
  return {directory ? directory_node(ino) : file_node(ino), shown_type(directory, kind), size};
}

ReplaySubject subject_of(const Change& change) {
  return subject_of(change.ino, change.directory, change.node_kind, change.data_size);
}

class Planner {
 public:
  Planner(const Change& change, const ReplayWorld& world)
      : change_(change),
        world_(world),
        parent_(directory_node(change.parent)),
        name_(shown_name(change.name)),
        subject_(subject_of(change)) {}

  Items plan(std::optional<bool> had_data) {
    switch (change_.kind) {
      case Change::Kind::kCreated:
        return created();
      case Change::Kind::kDeleted:
        return deleted();
      case Change::Kind::kData:
        return change_.directory ? directory_data(had_data) : data();
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
        return became_directory();
      case Change::Kind::kLockGranted:
        return {};
    }
    return {};
  }

 private:
  [[nodiscard]] bool held(NodeId node) const { return world_.inodes.held(node); }

  [[nodiscard]] bool seen() const { return held(parent_) || held(subject_.node); }

  static ReplayItem item(Poke::Kind kind, NodeId parent, std::string name, ReplaySubject subject) {
    ReplayItem item;
    item.poke.kind = kind;
    item.poke.parent = parent;
    item.poke.name = std::move(name);
    item.subject = subject;
    return item;
  }

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
    if (!held(parent_)) return {};
    if (change_.directory) return {here(Poke::Kind::kMakeDirectory)};
    if (change_.node_kind == NodeKind::kSymlink) return {here(Poke::Kind::kCreateSymlink)};
    return {here(change_.data_size == 0 ? Poke::Kind::kCreateFile : Poke::Kind::kCreateWithData)};
  }

  [[nodiscard]] Items deleted() const {
    Items items;
    if (!change_.directory) {
      if (seen()) items.push_back(here(Poke::Kind::kUnlink));
      return items;
    }
    if (change_.data_size != 0 && held(directory_node(change_.ino)))
      items.push_back(data_entry(Poke::Kind::kUnlink));
    if (seen()) items.push_back(here(Poke::Kind::kRemoveDirectory));
    return items;
  }

  [[nodiscard]] Items data() const {
    if (!seen()) return {};
    return {here(Poke::Kind::kModify)};
  }

  [[nodiscard]] Items directory_data(std::optional<bool> had_data) const {
    const NodeId entry = file_node(change_.ino);
    if (!held(directory_node(change_.ino)) && !held(entry)) return {};
    const bool has = change_.data_size != 0;
    const bool had = had_data.value_or(!has || held(entry));
    if (!had && !has) return {};
    if (!had) return {data_entry(Poke::Kind::kCreateWithData)};
    return {data_entry(has ? Poke::Kind::kModify : Poke::Kind::kUnlink)};
  }

  [[nodiscard]] Items attributes() const {
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
    if (!held(old_parent) && !held(parent_) && !held(source.node) &&
        (target.node == 0 || !held(target.node)))
      return {};
    ReplayItem move = item(kind, old_parent, shown_name(change_.old_name), source);
    move.poke.other_parent = parent_;
    move.poke.other_name = name_;
    move.target = target;
    return {move};
  }

  // The kernel sees `other` take the place of ino; to the tree ino stays and got other's data. Who
  // watches the directory sees a rename; who watches the target's inode, which lives on, needs the
  // modify.
  [[nodiscard]] Items replaced() const {
    const bool watched = held(subject_.node);
    const ReplaySubject source =
        subject_of(change_.other, false, change_.node_kind, change_.data_size);
    Items items = moved(source, subject_, Poke::Kind::kRename);
    if (watched) items.push_back(here(Poke::Kind::kModify));
    return items;
  }

  [[nodiscard]] Items exchanged() const {
    ReplaySubject other{file_node(change_.other)};
    if (const auto znode = world_.tree.find(change_.other))
      other = subject_of(znode->ino, znode->is_directory(), znode->kind, znode->stat.data_length);
    return moved(subject_, other, Poke::Kind::kExchange);
  }

  [[nodiscard]] Items became_directory() const {
    const ReplaySubject file{file_node(change_.ino), S_IFREG, change_.data_size};
    const ReplaySubject directory{directory_node(change_.ino), S_IFDIR, 0};
    if (!held(parent_) && !held(file.node)) return {};
    return {item(Poke::Kind::kUnlink, parent_, name_, file),
            item(Poke::Kind::kMakeDirectory, parent_, name_, directory)};
  }

  const Change& change_;
  const ReplayWorld& world_;
  NodeId parent_;
  std::string name_;
  ReplaySubject subject_;
};

// --- the net difference ---

class Difference {
 public:
  Difference(const tree::DataTree& before, const tree::DataTree& after, const InodeTable& inodes)
      : before_(before), after_(after), inodes_(inodes) {}

  std::vector<NetChange> compute() {
    for (const std::uint64_t ino : candidates()) compare(Ino{ino});
    // Children have larger numbers than their parents unless they were moved there.
    std::ranges::reverse(removed_);
    std::vector<NetChange> all;
    for (std::vector<NetChange>* phase : {&removed_, &moved_, &created_, &data_, &attributes_})
      std::ranges::move(*phase, std::back_inserter(all));
    return all;
  }

 private:
  std::set<std::uint64_t> candidates() const {
    std::set<std::uint64_t> inos{kRootIno.value};
    const auto add_children = [&](Ino directory) {
      for (const tree::DataTree* tree : {&before_, &after_})
        for (const Ino child : tree->children_of(directory)) inos.insert(child.value);
    };
    add_children(kRootIno);
    inodes_.for_each([&](NodeId node) {
      if (face_of(node) != Face::kFile && face_of(node) != Face::kDirectory) return;
      inos.insert(ino_of(node).value);
      if (face_of(node) == Face::kDirectory) add_children(ino_of(node));
    });
    return inos;
  }

  static Change change(Change::Kind kind, const tree::Znode& znode) {
    Change change;
    change.kind = kind;
    change.ino = znode.ino;
    change.parent = znode.parent;
    change.name = znode.name;
    change.directory = znode.is_directory();
    change.node_kind = znode.kind;
    change.data_size = znode.stat.data_length;
    return change;
  }

  void compare(Ino ino) {
    const auto before = before_.find(ino);
    const auto after = after_.find(ino);
    if (before && !after) {
      removed_.push_back({change(Change::Kind::kDeleted, *before), !before->data.empty()});
    } else if (!before && after) {
      created_.push_back({change(Change::Kind::kCreated, *after), false});
    } else if (before && after) {
      compare(*before, *after);
    }
  }

  void compare(const tree::Znode& before, const tree::Znode& after) {
    const bool move_seen = before.parent != after.parent || before.name != after.name;
    if (move_seen) {
      Change move = change(Change::Kind::kMoved, after);
      move.directory = before.is_directory();
      move.old_parent = before.parent;
      move.old_name = before.name;
      moved_.push_back({move, !before.data.empty()});
    }
    if (!before.is_directory() && after.is_directory())
      created_.push_back({change(Change::Kind::kBecameDirectory, after), false});
    if (before.stat.version != after.stat.version || before.stat.mzxid != after.stat.mzxid)
      data_.push_back({change(Change::Kind::kData, after), !before.data.empty()});
    else if (before.stat.aversion != after.stat.aversion ||
             (before.change_time != after.change_time && !move_seen) ||
             before.stat.mtime != after.stat.mtime || before.kind != after.kind ||
             before.executable != after.executable)
      attributes_.push_back({change(Change::Kind::kAttributes, after), false});
  }

  const tree::DataTree& before_;
  const tree::DataTree& after_;
  const InodeTable& inodes_;
  std::vector<NetChange> removed_;
  std::vector<NetChange> moved_;
  std::vector<NetChange> created_;
  std::vector<NetChange> data_;
  std::vector<NetChange> attributes_;
};

}  // namespace

std::vector<ReplayItem> plan_replay(const tree::Change& change,
                                    const ReplayWorld& world,
                                    std::optional<bool> had_data) {
  return Planner(change, world).plan(had_data);
}

std::vector<NetChange> net_difference(const tree::DataTree& before,
                                      const tree::DataTree& after,
                                      const InodeTable& inodes) {
  return Difference(before, after, inodes).compute();
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
