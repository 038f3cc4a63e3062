// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/watch_events.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ensemble/base/check.h"

namespace zkfs::server {
namespace {

using tree::AclList;
using tree::Change;
using Kind = Change::Kind;

std::string join(std::string_view parent, std::string_view name) {
  std::string path;
  path.reserve(parent.size() + 1 + name.size());
  if (parent != "/") path = parent;
  return path.append("/").append(name);
}

// Where a znode is; `name` points into the tree or into a Change.
struct Place {
  Ino parent;
  std::string_view name;
};

struct Child {
  Ino ino;
  std::string_view name;
};

// The tree as it was between two changes of the txn: what the tree says now, but for the znodes
// that changes of this txn concern. All changes are taken back first, then made again one by one.
class Moment {
 public:
  Moment(std::span<const Change> changes, const tree::DataTree& after);

  // On to the moment after `change`, which is the next.
  void step(const Change& change);

  [[nodiscard]] std::string path_of(Ino ino) const;
  // Requires: it is there at this moment.
  [[nodiscard]] const AclList& acl_of(Ino ino) const;
  [[nodiscard]] std::size_t child_count(Ino ino) const;
  // In the order of numbers, which is the same on every server.
  [[nodiscard]] std::vector<Child> children_of(Ino ino) const;
  [[nodiscard]] Ino child(Ino parent, std::string_view name) const;

 private:
  void take_back(const Change& change);

  const tree::DataTree& after_;
  // Znodes that are (or are not: empty) elsewhere than the tree after the txn has them, or may be.
  std::map<Ino, std::optional<Place>> places_;
  std::map<Ino, const AclList*> acls_;
  // What each kAcl not yet made again set, the next one last.
  std::vector<const AclList*> acls_set_;
};

// One change alone happened between a moment that the tree shows and one that nobody asks about
// but for what the change itself says. Nor do txns that only create and set hide a path.
bool looks_back(std::span<const Change> changes) {
  const auto hides = [](const Change& change) {
    return change.kind == Kind::kDeleted || change.kind == Kind::kMoved ||
           change.kind == Kind::kReplaced || change.kind == Kind::kExchanged ||
           change.kind == Kind::kAcl;
  };
  return changes.size() > 1 && std::any_of(changes.begin(), changes.end(), hides);
}

Moment::Moment(std::span<const Change> changes, const tree::DataTree& after) : after_(after) {
  if (!looks_back(changes)) return;
  for (auto change = changes.rbegin(); change != changes.rend(); ++change) take_back(*change);
}

void Moment::take_back(const Change& change) {
  switch (change.kind) {
    case Kind::kCreated:
      places_[change.ino] = std::nullopt;
      break;
    case Kind::kDeleted:
      places_[change.ino] = Place{change.parent, change.name};
      acls_[change.ino] = &change.lost_acl;
      break;
    case Kind::kMoved:
      places_[change.ino] = Place{change.old_parent, change.old_name};
      break;
    case Kind::kReplaced:
      places_[change.other] = Place{change.old_parent, change.old_name};
      acls_[change.other] = &change.lost_acl;
      break;
    case Kind::kExchanged:
      places_[change.ino] = Place{change.old_parent, change.old_name};
      places_[change.other] = Place{change.parent, change.name};
      break;
    case Kind::kAcl:
      acls_set_.push_back(&acl_of(change.ino));
      acls_[change.ino] = &change.lost_acl;
      break;
    case Kind::kData:
    case Kind::kAttributes:
    case Kind::kBecameDirectory:
    case Kind::kLockGranted:
      break;
  }
}

void Moment::step(const Change& change) {
  if (places_.empty() && acls_.empty()) return;
  switch (change.kind) {
    case Kind::kCreated:
    case Kind::kMoved:
      places_[change.ino] = Place{change.parent, change.name};
      break;
    case Kind::kDeleted:
      places_[change.ino] = std::nullopt;
      break;
    case Kind::kReplaced:
      places_[change.other] = std::nullopt;
      break;
    case Kind::kExchanged:
      places_[change.ino] = Place{change.parent, change.name};
      places_[change.other] = Place{change.old_parent, change.old_name};
      break;
    case Kind::kAcl:
      acls_[change.ino] = acls_set_.back();
      acls_set_.pop_back();
      break;
    case Kind::kData:
    case Kind::kAttributes:
    case Kind::kBecameDirectory:
    case Kind::kLockGranted:
      break;
  }
}

std::string Moment::path_of(Ino ino) const {
  if (places_.empty()) return after_.path_of(ino);
  std::vector<std::string_view> names;
  while (ino != kRootIno) {
    const auto known = places_.find(ino);
    Place place;
    if (known != places_.end()) {
      ZKFS_CHECK(known->second, "a change beneath {}, which is not there", ino);
      place = *known->second;
    } else {
      const auto node = after_.find(ino);
      ZKFS_CHECK(node, "a change beneath {}, which is not there", ino);
      place = {node->parent, node->name};
    }
    names.push_back(place.name);
    ino = place.parent;
  }
  std::string path;
  for (auto name = names.rbegin(); name != names.rend(); ++name) path.append("/").append(*name);
  return path.empty() ? "/" : path;
}

const AclList& Moment::acl_of(Ino ino) const {
  const auto known = acls_.find(ino);
  if (known != acls_.end()) return *known->second;
  const auto node = after_.find(ino);
  ZKFS_CHECK(node, "an event of {}, which is not there", ino);
  return *node->acl;
}

std::size_t Moment::child_count(Ino ino) const {
  const auto node = after_.find(ino);
  std::size_t count = node ? node->stat.num_children : 0;
  for (const auto& [child, place] : places_) {
    const auto now = after_.find(child);
    if (now && now->parent == ino) --count;
    if (place && place->parent == ino) ++count;
  }
  return count;
}

std::vector<Child> Moment::children_of(Ino ino) const {
  std::vector<Child> result;
  for (const Ino child : after_.children_of(ino)) {
    if (!places_.contains(child)) result.push_back({child, after_.find(child)->name});
  }
  for (const auto& [child, place] : places_) {
    if (place && place->parent == ino) result.push_back({child, place->name});
  }
  std::ranges::sort(result, {}, &Child::ino);
  return result;
}

Ino Moment::child(Ino parent, std::string_view name) const {
  for (const auto& [ino, place] : places_) {
    if (place && place->parent == parent && place->name == name) return ino;
  }
  const auto node = after_.find_child(parent, name);
  return node && !places_.contains(node->ino) ? node->ino : Ino{};
}

// A znode strictly beneath one that a rename moves.
struct Below {
  Ino ino;
  std::string path;  // from there: "/a/b"
  bool has_children = false;
};

// What to tell of the inside of a moved subtree: parents before children.
struct Inside {
  std::vector<Below> znodes;
  bool has_children = false;  // the moved znode itself
  // Recursive watches hear less than there is.
  bool cut = false;
};

class Teller {
 public:
  Teller(std::span<const Change> changes,
         const tree::DataTree& after,
         const WatchTable& table,
         WatchEventSink& sink,
         RenameLimits limits)
      : moment_(changes, after), table_(table), sink_(sink), limits_(limits) {}

  void tell(const Change& change);

 private:
  void emit(EventType type, std::string_view path, const AclList& acl) {
    sink_.event({type, path, &acl});
  }

  // The path of a parent; siblings often come one after another.
  const std::string& directory(Ino ino) {
    if (directory_ino_ != ino) directory_ = moment_.path_of(directory_ino_ = ino);
    return directory_;
  }

  void children_changed(Ino ino) {
    emit(EventType::kChildrenChanged, directory(ino), moment_.acl_of(ino));
  }

  void moved(const Change& change);
  void exchanged(const Change& change);
  void replaced(const Change& change);
  [[nodiscard]] std::optional<std::vector<Below>> walk(Ino ino,
                                                       std::size_t znodes,
                                                       std::size_t prefix_bytes) const;
  [[nodiscard]] Inside inside_of(Ino ino, std::string_view from, std::string_view to) const;
  void watched_inside(Ino ino, std::string_view path, std::vector<Below>& found) const;
  void overflow(std::string_view from, std::string_view to);
  void vanish(Ino ino, const std::string& path, const Inside& inside);
  void appear_inside(Ino ino, const std::string& path, const Inside& inside);

  Moment moment_;
  const WatchTable& table_;
  WatchEventSink& sink_;
  const RenameLimits limits_;
  Ino directory_ino_;
  std::string directory_;  // the path of directory_ino_ at this moment
};

void Teller::tell(const Change& change) {
  switch (change.kind) {
    case Kind::kCreated:
      moment_.step(change);
      emit(EventType::kCreated, join(directory(change.parent), change.name),
           moment_.acl_of(change.ino));
      children_changed(change.parent);
      return;
    case Kind::kDeleted:
      moment_.step(change);
      emit(EventType::kDeleted, join(directory(change.parent), change.name), change.lost_acl);
      children_changed(change.parent);
      return;
    case Kind::kData:
      emit(EventType::kDataChanged, moment_.path_of(change.ino), moment_.acl_of(change.ino));
      return;
    case Kind::kMoved:
      moved(change);
      directory_ino_ = {};
      return;
    case Kind::kReplaced:
      replaced(change);
      return;
    case Kind::kExchanged:
      exchanged(change);
      directory_ino_ = {};
      return;
    case Kind::kAcl:
      moment_.step(change);
      return;
    case Kind::kAttributes:
    case Kind::kBecameDirectory:
    case Kind::kLockGranted:
      return;
  }
}

void Teller::replaced(const Change& change) {
  moment_.step(change);
  emit(EventType::kDataChanged, moment_.path_of(change.ino), moment_.acl_of(change.ino));
  emit(EventType::kDeleted, join(directory(change.old_parent), change.old_name), change.lost_acl);
  children_changed(change.old_parent);
}

void Teller::moved(const Change& change) {
  const std::string from = join(moment_.path_of(change.old_parent), change.old_name);
  const std::string to = join(moment_.path_of(change.parent), change.name);
  const Inside inside = inside_of(change.ino, from, to);
  if (inside.cut) overflow(from, to);
  vanish(change.ino, from, inside);
  children_changed(change.old_parent);
  moment_.step(change);
  emit(EventType::kCreated, to, moment_.acl_of(change.ino));
  children_changed(change.parent);
  appear_inside(change.ino, to, inside);
}

void Teller::exchanged(const Change& change) {
  const std::string here = join(moment_.path_of(change.parent), change.name);
  const std::string there = join(moment_.path_of(change.old_parent), change.old_name);
  const Inside inside = inside_of(change.ino, there, here);
  const Inside inside_other = inside_of(change.other, here, there);
  if (inside.cut || inside_other.cut) overflow(there, here);
  vanish(change.ino, there, inside);
  children_changed(change.old_parent);
  vanish(change.other, here, inside_other);
  children_changed(change.parent);
  moment_.step(change);
  emit(EventType::kCreated, here, moment_.acl_of(change.ino));
  children_changed(change.parent);
  appear_inside(change.ino, here, inside);
  emit(EventType::kCreated, there, moment_.acl_of(change.other));
  children_changed(change.old_parent);
  appear_inside(change.other, there, inside_other);
}

// --- the inside of what moves ---

// All znodes strictly beneath `ino`, or nothing if they are more than `znodes` or their paths
// longer than allowed.
std::optional<std::vector<Below>> Teller::walk(Ino ino,
                                               std::size_t znodes,
                                               std::size_t prefix_bytes) const {
  std::vector<Below> found;
  std::size_t bytes = 0;
  const auto add_children = [&](Ino parent, const std::string& path) {
    const std::size_t count = moment_.child_count(parent);
    if (count == 0) return true;
    if (count > znodes - found.size()) return false;
    for (const Child& child : moment_.children_of(parent)) {
      found.push_back({child.ino, path + "/" + std::string(child.name), false});
      bytes += prefix_bytes + 2 * found.back().path.size();
    }
    return bytes <= limits_.path_bytes;
  };
  if (!add_children(ino, "")) return std::nullopt;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const std::size_t before = found.size();
    const std::string path = found[i].path;
    if (!add_children(found[i].ino, path)) return std::nullopt;
    found[i].has_children = found.size() != before;
  }
  return found;
}

// Adds the znodes strictly beneath `ino` whose paths, if it is at `path`, are watched.
void Teller::watched_inside(Ino ino, std::string_view path, std::vector<Below>& found) const {
  for (const std::string& watched : table_.paths_beneath(path)) {
    const std::string_view rest = std::string_view(watched).substr(path.size());
    Ino at = ino;
    for (std::size_t start = 1; at && start <= rest.size();) {
      const std::size_t end = std::min(rest.find('/', start), rest.size());
      at = moment_.child(at, rest.substr(start, end - start));
      start = end + 1;
    }
    if (at) found.push_back({at, std::string(rest), moment_.child_count(at) != 0});
  }
}

Inside Teller::inside_of(Ino ino, std::string_view from, std::string_view to) const {
  constexpr std::size_t kFew = 64;
  Inside inside;
  inside.has_children = moment_.child_count(ino) != 0;
  if (!inside.has_children) return inside;
  const std::size_t prefixes = from.size() + to.size();
  const std::size_t at_first = std::min(std::max(table_.paths(), kFew), limits_.znodes);
  auto all = walk(ino, at_first, prefixes);
  if (!all) {
    const bool wanted =
        !table_.recursive_watchers(from).empty() || !table_.recursive_watchers(to).empty();
    if (wanted && at_first < limits_.znodes) all = walk(ino, limits_.znodes, prefixes);
    inside.cut = wanted && !all;
  }
  if (all) {
    inside.znodes = std::move(*all);
    return inside;
  }
  std::vector<Below>& znodes = inside.znodes;
  watched_inside(ino, from, znodes);
  watched_inside(ino, to, znodes);
  const auto path = [](const Below& z) { return std::string_view(z.path); };
  std::ranges::sort(znodes, {}, path);
  const auto doubled = std::ranges::unique(znodes, {}, path);
  znodes.erase(doubled.begin(), doubled.end());
  return inside;
}

void Teller::overflow(std::string_view from, std::string_view to) {
  std::vector<WatcherId> watchers = table_.recursive_watchers(from);
  const std::vector<WatcherId> more = table_.recursive_watchers(to);
  watchers.insert(watchers.end(), more.begin(), more.end());
  std::sort(watchers.begin(), watchers.end());
  watchers.erase(std::unique(watchers.begin(), watchers.end()), watchers.end());
  for (const WatcherId watcher : watchers) sink_.overflow(watcher);
}

void Teller::vanish(Ino ino, const std::string& path, const Inside& inside) {
  for (auto below = inside.znodes.rbegin(); below != inside.znodes.rend(); ++below) {
    const std::string there = path + below->path;
    const AclList& acl = moment_.acl_of(below->ino);
    if (below->has_children) emit(EventType::kChildrenChanged, there, acl);
    emit(EventType::kDeleted, there, acl);
  }
  const AclList& acl = moment_.acl_of(ino);
  if (inside.has_children) emit(EventType::kChildrenChanged, path, acl);
  emit(EventType::kDeleted, path, acl);
}

void Teller::appear_inside(Ino ino, const std::string& path, const Inside& inside) {
  for (const Below& below : inside.znodes) {
    emit(EventType::kCreated, path + below.path, moment_.acl_of(below.ino));
  }
  if (inside.has_children) emit(EventType::kChildrenChanged, path, moment_.acl_of(ino));
  for (const Below& below : inside.znodes) {
    if (!below.has_children) continue;
    emit(EventType::kChildrenChanged, path + below.path, moment_.acl_of(below.ino));
  }
}

}  // namespace

void watch_events(std::span<const Change> changes,
                  const tree::DataTree& after,
                  const WatchTable& table,
                  WatchEventSink& sink,
                  RenameLimits limits) {
  Teller teller(changes, after, table, sink, limits);
  for (const Change& change : changes) teller.tell(change);
}

}  // namespace zkfs::server
