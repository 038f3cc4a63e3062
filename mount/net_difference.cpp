// SPDX-License-Identifier: Apache-2.0
#include "mount/net_difference.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace zkfs::mount {

namespace {

using tree::Change;
using tree::NodeKind;
using tree::Znode;

Change change_of(Change::Kind kind, const Znode& znode) {
  Change change;
  change.kind = kind;
  change.ino = znode.ino;
  change.parent = znode.parent;
  change.name = znode.name;
  change.directory = change.was_directory = znode.is_directory();
  change.node_kind = change.old_node_kind = znode.kind;
  change.data_size = znode.stat.data_length;
  change.had_data = change.data_size != 0;
  return change;
}

Change change_of(Change::Kind kind, const Znode& before, const Znode& after) {
  Change change = change_of(kind, after);
  change.was_directory = before.is_directory();
  change.old_node_kind = before.kind;
  change.had_data = before.stat.data_length != 0;
  return change;
}

// Shown by a node of another type, which is another inode to the kernel.
bool retyped(const Znode& before, const Znode& after) {
  const bool link = before.kind == NodeKind::kSymlink;
  return before.is_directory() != after.is_directory() ||
         (!after.is_directory() && link != (after.kind == NodeKind::kSymlink));
}

// Removals and moves, each of which may have to wait for others.
class Leavings {
 public:
  Leavings(const tree::DataTree& before, const tree::DataTree& after)
      : before_(before), after_(after) {}

  void add(const Znode& left) {
    const auto now = after_.find(left.ino);
    Leaving leaving;
    leaving.change = change_of(Change::Kind::kDeleted, left);
    leaving.old_parent = left.parent;
    if (now) {
      leaving.change.kind = Change::Kind::kMoved;
      leaving.change.old_parent = std::exchange(leaving.change.parent, now->parent);
      leaving.change.old_name = std::exchange(leaving.change.name, now->name);
    }
    leavings_[rank(leaving)] = std::move(leaving);
  }

  // In order; `early` gets those that went before their name was free.
  std::vector<Change> take(std::vector<Ino>& early) {
    for (auto& [at, leaving] : leavings_) rank_of_[leaving.change.ino] = at;
    for (auto& [at, leaving] : leavings_) wait_for_others(at, leaving);
    for (auto& [at, leaving] : leavings_)
      if (leaving.waits_for == 0) ready_.insert(at);
    go_on();
    for (auto& [at, leaving] : leavings_) {
      if (leaving.gone || leaving.change.kind != Change::Kind::kMoved) continue;
      if (!swap(at, leaving)) {
        early.push_back(leaving.change.ino);
        go(at);
      }
      go_on();
    }
    return std::move(order_);
  }

 private:
  // Removals come first, of what is younger first; then moves. Only so that the order is a fixed
  // one.
  using Rank = std::pair<bool, std::uint64_t>;

  struct Leaving {
    Change change;
    Ino old_parent;
    std::size_t waits_for = 0;
    std::vector<Rank> waiting;     // for this one
    std::optional<Rank> occupant;  // whoever has to leave the name this one takes
    bool gone = false;
  };

  static Rank rank(const Leaving& leaving) {
    const bool moves = leaving.change.kind == Change::Kind::kMoved;
    const std::uint64_t ino = leaving.change.ino.value;
    return {moves, moves ? ino : ~ino};
  }

  void wait_for_others(Rank at, Leaving& leaving) {
    const auto wait = [&](Rank first, Rank second) {
      leavings_.at(first).waiting.push_back(second);
      ++leavings_.at(second).waits_for;
    };
    const auto parent = rank_of_.find(leaving.old_parent);
    if (parent != rank_of_.end() &&
        leavings_.at(parent->second).change.kind == Change::Kind::kDeleted)
      wait(at, parent->second);
    if (leaving.change.kind != Change::Kind::kMoved) return;
    const auto there = before_.find_child(leaving.change.parent, leaving.change.name);
    if (!there) return;
    const auto occupant = rank_of_.find(there->ino);
    if (occupant == rank_of_.end()) return;
    leaving.occupant = occupant->second;
    wait(occupant->second, at);
  }

  void go(Rank at) {
    Leaving& leaving = leavings_.at(at);
    leaving.gone = true;
    order_.push_back(leaving.change);
    free_waiting(leaving);
  }

  void free_waiting(const Leaving& leaving) {
    for (const Rank& other : leaving.waiting)
      if (Leaving& next = leavings_.at(other); --next.waits_for == 0 && !next.gone)
        ready_.insert(other);
  }

  void go_on() {
    while (!ready_.empty()) {
      const Rank at = *ready_.begin();
      ready_.erase(ready_.begin());
      if (!leavings_.at(at).gone) go(at);
    }
  }

  bool swap(Rank at, Leaving& leaving) {
    if (!leaving.occupant) return false;
    Leaving& other = leavings_.at(*leaving.occupant);
    if (other.gone || other.occupant != at) return false;
    leaving.gone = other.gone = true;
    leaving.change.kind = Change::Kind::kExchanged;
    leaving.change.other = other.change.ino;
    leaving.change.was_directory = other.change.directory;
    leaving.change.old_node_kind = other.change.node_kind;
    order_.push_back(leaving.change);
    free_waiting(leaving);
    free_waiting(other);
    return true;
  }

  const tree::DataTree& before_;
  const tree::DataTree& after_;
  std::map<Rank, Leaving> leavings_;
  std::map<Ino, Rank> rank_of_;
  std::set<Rank> ready_;
  std::vector<Change> order_;
};

class Difference {
 public:
  Difference(const tree::DataTree& before, const tree::DataTree& after, const InodeTable& inodes)
      : before_(before), after_(after), inodes_(inodes), leavings_(before, after) {}

  std::vector<Change> compute() {
    for (const Ino ino : candidates()) compare(ino);
    std::vector<Ino> early;
    std::vector<Change> all = leavings_.take(early);
    for (const Ino ino : early)
      attributes_.push_back(change_of(Change::Kind::kAttributes, *after_.find(ino)));
    for (std::vector<Change>* phase : {&created_, &data_, &attributes_})
      std::ranges::move(*phase, std::back_inserter(all));
    return all;
  }

 private:
  // Children have larger numbers than their parents unless they were moved there.
  std::set<Ino> candidates() const {
    const Ino root = ino_of(inodes_.root());
    std::set<Ino> inos{root};
    const auto add_children = [&](Ino directory) {
      for (const tree::DataTree* tree : {&before_, &after_})
        for (const Ino child : tree->children_of(directory)) inos.insert(child);
    };
    add_children(root);
    inodes_.for_each_watchable([&](NodeId node) {
      if (!is_of_znode(node)) return;
      inos.insert(ino_of(node));
      if (face_of(node) == Face::kDirectory) add_children(ino_of(node));
    });
    return inos;
  }

  void compare(Ino ino) {
    const auto before = before_.find(ino);
    const auto after = after_.find(ino);
    if (before && !after) {
      leavings_.add(*before);
    } else if (!before && after) {
      created_.push_back(change_of(Change::Kind::kCreated, *after));
    } else if (before && after) {
      compare(*before, *after);
    }
  }

  void compare(const Znode& before, const Znode& after) {
    const bool moved = before.parent != after.parent || before.name != after.name;
    if (moved) leavings_.add(before);
    if (retyped(before, after)) {
      created_.push_back(change_of(Change::Kind::kAttributes, before, after));
      return;
    }
    if (before.stat.version != after.stat.version || before.stat.mzxid != after.stat.mzxid)
      data_.push_back(change_of(Change::Kind::kData, before, after));
    else if (before.stat.aversion != after.stat.aversion ||
             (before.change_time != after.change_time && !moved) ||
             before.stat.mtime != after.stat.mtime || before.kind != after.kind ||
             before.executable != after.executable)
      attributes_.push_back(change_of(Change::Kind::kAttributes, before, after));
  }

  const tree::DataTree& before_;
  const tree::DataTree& after_;
  const InodeTable& inodes_;
  Leavings leavings_;
  std::vector<Change> created_;
  std::vector<Change> data_;
  std::vector<Change> attributes_;
};

}  // namespace

std::vector<Change> net_difference(const tree::DataTree& before,
                                   const tree::DataTree& after,
                                   const InodeTable& inodes) {
  return Difference(before, after, inodes).compute();
}

}  // namespace zkfs::mount
