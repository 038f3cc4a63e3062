// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/watch_events.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ensemble/server/acl_check.h"
#include "tests/tree/fixture.h"
#include "tests/tree/random_txn.h"

namespace zkfs::server {
namespace {

using namespace tree;  // NOLINT: the txns
using Texts = std::vector<std::string>;

constexpr WatcherId kWatcher = 3;
const AclList kClosed{{Permissions::kAll, "digest", "bob:hash="}};

std::string text_of(EventType type, std::string_view path) {
  static const std::array<const char*, 5> kNames{"?", "created", "deleted", "data", "children"};
  return fmt::format("{} {}", kNames.at(static_cast<std::size_t>(type)), path);
}

// Everything that is told, as text: "created /a".
class Recorder : public WatchEventSink {
 public:
  void event(const WatchEvent& event) override {
    events.push_back(text_of(event.type, event.path));
    acls.push_back(anyone_may_read(*event.acl) ? "open" : to_text(*event.acl));
  }

  void overflow(WatcherId watcher) override { overflows.push_back(watcher); }

  Texts events;
  Texts acls;  // of the same number
  std::vector<WatcherId> overflows;
};

// What a front door does: fires, asks the ACL, tells.
class Teller : public WatchEventSink {
 public:
  explicit Teller(WatchTable& table, Identity identity = {.uid = 1000, .gids = {}})
      : table_(table), identity_(std::move(identity)) {}

  void event(const WatchEvent& event) override {
    table_.fire(event.type, event.path, to_);
    for (const WatcherId watcher : to_) {
      if (!acl_allows(*event.acl, identity_, Permissions::kRead)) continue;
      told.push_back(fmt::format("{} {}", watcher, text_of(event.type, event.path)));
    }
  }

  void overflow(WatcherId watcher) override { told.push_back(fmt::format("{} over", watcher)); }

  Texts told;

 private:
  WatchTable& table_;
  Identity identity_;
  std::vector<WatcherId> to_;
};

class WatchEventsTest : public tree::test::TreeTest {
 protected:
  Texts events_of(TxnBody body, RenameLimits limits = {}) {
    const auto changes = apply(std::move(body)).changes;
    recorder = Recorder();
    watch_events(changes, tree, table, recorder, limits);
    return recorder.events;
  }

  // What kWatcher is told, as the numbers of the types.
  Texts told_of(TxnBody body) {
    const auto changes = apply(std::move(body)).changes;
    Teller teller(table);
    watch_events(changes, tree, table, teller);
    return teller.told;
  }

  Ino closed(Ino parent, const std::string& name) {
    const Ino ino = create(parent, name);
    apply(SetAclTxn{ino, kClosed});
    return ino;
  }

  WatchTable table;
  Recorder recorder;
};

// --- one znode ---

TEST_F(WatchEventsTest, CreationTellsOfTheZnodeThenOfItsParent) {
  EXPECT_EQ(events_of(creation(kRootIno, "a")), (Texts{"created /a", "children /"}));
  const Ino a = tree.find_path("/a")->ino;
  EXPECT_EQ(events_of(creation(a, "b")), (Texts{"created /a/b", "children /a"}));
}

TEST_F(WatchEventsTest, DeletionTellsOfTheZnodeThenOfItsParent) {
  const Ino a = create(kRootIno, "a");
  const Ino b = create(a, "b");
  EXPECT_EQ(events_of(DeleteTxn{b}), (Texts{"deleted /a/b", "children /a"}));
  EXPECT_EQ(events_of(DeleteTxn{a}), (Texts{"deleted /a", "children /"}));
}

TEST_F(WatchEventsTest, DataTellsOfTheZnodeAlone) {
  const Ino a = create(kRootIno, "a");
  EXPECT_EQ(events_of(SetDataTxn{a, Blob("x")}), Texts{"data /a"});
  EXPECT_EQ(events_of(AppendTxn{a, Blob("x")}), Texts{"data /a"});
  EXPECT_EQ(events_of(SetDataTxn{kRootIno, Blob("x")}), Texts{"data /"});
}

TEST_F(WatchEventsTest, WhatZooKeeperHasNoEventForTellsNothing) {
  const Ino a = create(kRootIno, "a");
  EXPECT_EQ(events_of(SetAclTxn{a, kClosed}), Texts{});
  EXPECT_EQ(events_of(SetAttributesTxn{a, 5, NodeKind::kFile, true}), Texts{});
  EXPECT_EQ(events_of(MultiTxn{{CheckTxn{a}}}), Texts{});
  EXPECT_EQ(events_of(ErrorTxn{Error::kNoNode, {}}), Texts{});
  EXPECT_EQ(events_of(CreateSessionTxn{SessionId{5}, 1, "me"}), Texts{});
}

TEST_F(WatchEventsTest, AFirstChildTellsNothingOfItsParentsTurnIntoADirectory) {
  const Ino leaf = create(kRootIno, "leaf");
  EXPECT_EQ(events_of(creation(leaf, "x")), (Texts{"created /leaf/x", "children /leaf"}));
}

// --- several at once ---

TEST_F(WatchEventsTest, TheEndOfASessionTellsOfEachEphemeral) {
  apply(CreateSessionTxn{SessionId{5}, 1, "me"});
  const Ino one = create_of_type(NodeType::kEphemeral, "one", SessionId{5});
  const Ino two = create_of_type(NodeType::kEphemeral, "two", SessionId{5});
  EXPECT_EQ(events_of(CloseSessionTxn{SessionId{5}, {one, two}}),
            (Texts{"deleted /one", "children /", "deleted /two", "children /"}));
}

TEST_F(WatchEventsTest, AMultiThatRemovesASubtreeTellsOfTheOldPaths) {
  const Ino a = create(kRootIno, "a");
  const Ino b = create(a, "b");
  const Ino c = create(b, "c");
  EXPECT_EQ(
      events_of(MultiTxn{{SetDataTxn{c, Blob("x")}, DeleteTxn{c}, DeleteTxn{b}, DeleteTxn{a}}}),
      (Texts{"data /a/b/c", "deleted /a/b/c", "children /a/b", "deleted /a/b", "children /a",
             "deleted /a", "children /"}));
}

TEST_F(WatchEventsTest, WhatAMultiCreatesAndDeletesIsToldOfBoth) {
  CreateTxn parent = creation(kRootIno, "p");
  CreateTxn child = creation(parent.ino, "c");
  ++child.ino.value;
  EXPECT_EQ(events_of(MultiTxn{{parent, child, DeleteTxn{child.ino}, DeleteTxn{parent.ino}}}),
            (Texts{"created /p", "children /", "created /p/c", "children /p", "deleted /p/c",
                   "children /p", "deleted /p", "children /"}));
}

TEST_F(WatchEventsTest, WhatAMultiMovesLaterIsToldByThePathOfThatMoment) {
  const Ino a = create(kRootIno, "a");
  const Ino b = create(a, "b");
  const RenameTxn move{a, kRootIno, "z", {}};
  EXPECT_EQ(events_of(MultiTxn{{SetDataTxn{b, Blob("1")}, move, SetDataTxn{b, Blob("2")}}}),
            (Texts{"data /a/b", "deleted /a/b", "children /a", "deleted /a", "children /",
                   "created /z", "children /", "created /z/b", "children /z", "data /z/b"}));
}

TEST_F(WatchEventsTest, AOneShotWatchFiresOnceInAMulti) {
  const Ino a = create(kRootIno, "a");
  table.add(kWatcher, "/a", WatchKind::kData);
  EXPECT_EQ(told_of(MultiTxn{{SetDataTxn{a, Blob("1")}, SetDataTxn{a, Blob("2")}, DeleteTxn{a}}}),
            Texts{"3 data /a"});
}

// --- the sequences that were observed (reference/zookeeper.md 4.1) ---

TEST_F(WatchEventsTest, RecursiveAndPersistentWatchesHearWhatZooKeeperTells) {
  const auto sequence = [&](WatchKind kind) {
    Ino pr = create(kRootIno, "pr");
    table.add(kWatcher, "/pr", kind);
    Texts all;
    const auto step = [&](TxnBody body) {
      const Texts told = told_of(std::move(body));
      all.insert(all.end(), told.begin(), told.end());
    };
    step(creation(pr, "b"));
    const Ino b = tree.find_path("/pr/b")->ino;
    step(SetDataTxn{b, Blob("x")});
    step(creation(b, "c"));
    step(DeleteTxn{tree.find_path("/pr/b/c")->ino});
    step(DeleteTxn{b});
    step(SetDataTxn{pr, Blob("x")});
    step(DeleteTxn{pr});
    step(creation(kRootIno, "pr"));
    apply(DeleteTxn{tree.find_path("/pr")->ino});
    table.drop(kWatcher);
    return all;
  };
  EXPECT_EQ(sequence(WatchKind::kPersistentRecursive),
            (Texts{"3 created /pr/b", "3 data /pr/b", "3 created /pr/b/c", "3 deleted /pr/b/c",
                   "3 deleted /pr/b", "3 data /pr", "3 deleted /pr", "3 created /pr"}));
  EXPECT_EQ(
      sequence(WatchKind::kPersistent),
      (Texts{"3 children /pr", "3 children /pr", "3 data /pr", "3 deleted /pr", "3 created /pr"}));
}

TEST_F(WatchEventsTest, ADeletionIsToldOnceToWhoWatchesDataAndChildren) {
  const Ino a = create(kRootIno, "a");
  table.add(kWatcher, "/a", WatchKind::kData);
  table.add(kWatcher, "/a", WatchKind::kChild);
  table.add(kWatcher, "/", WatchKind::kChild);
  EXPECT_EQ(told_of(DeleteTxn{a}), (Texts{"3 deleted /a", "3 children /"}));
}

// --- renames ---

TEST_F(WatchEventsTest, AMovedLeafIsDeletedThereAndCreatedHere) {
  const Ino from = create(kRootIno, "from");
  const Ino to = create(kRootIno, "to");
  const Ino file = create(from, "f");
  EXPECT_EQ(events_of(RenameTxn{file, to, "g", {}}),
            (Texts{"deleted /from/f", "children /from", "created /to/g", "children /to"}));
  EXPECT_EQ(events_of(RenameTxn{file, kRootIno, "h", {}}),
            (Texts{"deleted /to/g", "children /to", "created /h", "children /"}));
}

TEST_F(WatchEventsTest, AMovedDirectoryTakesItsSubtreeAlong) {
  const Ino a = create(kRootIno, "a");
  const Ino b = create(a, "b");
  create(b, "c");
  create(a, "d");
  EXPECT_EQ(events_of(RenameTxn{a, kRootIno, "z", {}}),
            (Texts{"deleted /a/b/c", "deleted /a/d", "children /a/b", "deleted /a/b", "children /a",
                   "deleted /a", "children /", "created /z", "children /", "created /z/b",
                   "created /z/d", "created /z/b/c", "children /z", "children /z/b"}));
}

TEST_F(WatchEventsTest, ADirectoryThatIsReplacedIsDeletedFirst) {
  const Ino a = create(kRootIno, "a", NodeKind::kDirectory);
  const Ino b = create(kRootIno, "b", NodeKind::kDirectory);
  EXPECT_EQ(
      events_of(RenameTxn{a, kRootIno, "b", b}),
      (Texts{"deleted /b", "children /", "deleted /a", "children /", "created /b", "children /"}));
}

TEST_F(WatchEventsTest, DataPutIntoAnotherZnodeIsNewDataThere) {
  const Ino temporary = create(kRootIno, "f.tmp", NodeKind::kFile);
  const Ino file = create(kRootIno, "f", NodeKind::kFile);
  EXPECT_EQ(events_of(RenameTxn{temporary, kRootIno, "f", file}),
            (Texts{"data /f", "deleted /f.tmp", "children /"}));
}

TEST_F(WatchEventsTest, ExchangedSubtreesAreBothDeletedAndCreated) {
  const Ino a = create(kRootIno, "a");
  create(a, "in-a");
  const Ino d = create(kRootIno, "d");
  const Ino b = create(d, "b");
  create(b, "in-b");
  EXPECT_EQ(events_of(RenameTxn{a, d, "b", b, true}),
            (Texts{"deleted /a/in-a", "children /a", "deleted /a", "children /",
                   "deleted /d/b/in-b", "children /d/b", "deleted /d/b", "children /d",
                   "created /d/b", "children /d", "created /d/b/in-a", "children /d/b",
                   "created /a", "children /", "created /a/in-b", "children /a"}));
}

TEST_F(WatchEventsTest, OfALargeSubtreeOnlyWatchedPathsAreTold) {
  const Ino a = create(kRootIno, "a");
  for (int i = 0; i < 200; ++i) create(a, fmt::format("n{:03}", i));
  create(tree.find_path("/a/n007")->ino, "x");
  table.add(kWatcher, "/a/n007", WatchKind::kChild);
  table.add(kWatcher, "/z/n008", WatchKind::kData);
  table.add(kWatcher, "/a/missing", WatchKind::kData);
  EXPECT_EQ(events_of(RenameTxn{a, kRootIno, "z", {}}),
            (Texts{"deleted /a/n008", "children /a/n007", "deleted /a/n007", "children /a",
                   "deleted /a", "children /", "created /z", "children /", "created /z/n007",
                   "created /z/n008", "children /z", "children /z/n007"}));
}

TEST_F(WatchEventsTest, ARecursiveWatchHearsOfAllOfALargeSubtree) {
  const Ino a = create(kRootIno, "a");
  for (int i = 0; i < 200; ++i) create(a, fmt::format("n{:03}", i));
  for (const char* watched : {"/", "/a", "/z", "/a/n007"}) {
    table.add(kWatcher, watched, WatchKind::kPersistentRecursive);
    EXPECT_EQ(events_of(RenameTxn{a, kRootIno, "z", {}}).size(), 200U * 2 + 2 + 2 + 2) << watched;
    apply(RenameTxn{a, kRootIno, "a", {}});
    table.drop(kWatcher);
  }
}

TEST_F(WatchEventsTest, WhoseRecursiveWatchWouldHearTooMuchIsToBeDisconnected) {
  const Ino a = create(kRootIno, "a");
  for (int i = 0; i < 200; ++i) create(a, fmt::format("n{:03}", i));
  table.add(1, "/a", WatchKind::kPersistentRecursive);
  table.add(2, "/z", WatchKind::kPersistentRecursive);
  table.add(3, "/elsewhere", WatchKind::kPersistentRecursive);
  table.add(4, "/a/n001", WatchKind::kData);
  const Texts events = events_of(RenameTxn{a, kRootIno, "z", {}}, {.znodes = 100});
  EXPECT_EQ(recorder.overflows, (std::vector<WatcherId>{1, 2}));
  EXPECT_EQ(std::count(events.begin(), events.end(), "deleted /a/n001"), 1);
  EXPECT_LT(events.size(), 20U);
}

TEST_F(WatchEventsTest, LongPathsCountAgainstTheLimitToo) {
  const Ino a = create(kRootIno, "a");
  Ino at = a;
  for (int i = 0; i < 50; ++i) at = create(at, std::string(100, 'x'));
  table.add(1, "/", WatchKind::kPersistentRecursive);
  events_of(RenameTxn{a, kRootIno, "z", {}}, {.path_bytes = 50 * 5000});
  EXPECT_EQ(recorder.overflows, std::vector<WatcherId>{1});
  events_of(RenameTxn{a, kRootIno, "a", {}}, {.path_bytes = 60 * 5000});
  EXPECT_EQ(recorder.overflows, std::vector<WatcherId>{});
}

// --- who may hear of it ---

TEST_F(WatchEventsTest, TheAclThatCountsIsThatOfTheZnodeNamed) {
  const Ino dir = closed(kRootIno, "dir");
  const Ino file = create(dir, "file");
  events_of(SetDataTxn{file, Blob("x")});
  EXPECT_EQ(recorder.acls, Texts{"open"});
  events_of(DeleteTxn{file});
  EXPECT_EQ(recorder.acls, (Texts{"open", to_text(kClosed)}));
  CreateTxn creation_closed = creation(kRootIno, "c");
  creation_closed.acl = kClosed;
  events_of(creation_closed);
  EXPECT_EQ(recorder.acls, (Texts{to_text(kClosed), "open"}));
}

TEST_F(WatchEventsTest, ADeletedZnodeIsJudgedByTheAclItHad) {
  events_of(DeleteTxn{closed(kRootIno, "a")});
  EXPECT_EQ(recorder.acls, (Texts{to_text(kClosed), "open"}));
  const Ino b = closed(kRootIno, "b");
  events_of(RenameTxn{b, kRootIno, "c", {}});
  EXPECT_EQ(recorder.acls, (Texts{to_text(kClosed), "open", to_text(kClosed), "open"}));
}

TEST_F(WatchEventsTest, WithinAMultiTheAclIsThatOfTheMoment) {
  const Ino a = closed(kRootIno, "a");
  events_of(MultiTxn{{SetDataTxn{a, Blob("1")}, SetAclTxn{a, open_acl()}, SetDataTxn{a, Blob("2")},
                      SetAclTxn{a, kClosed}, SetDataTxn{a, Blob("3")}, DeleteTxn{a}}});
  EXPECT_EQ(recorder.acls,
            (Texts{to_text(kClosed), "open", to_text(kClosed), to_text(kClosed), "open"}));
}

TEST_F(WatchEventsTest, AOneShotWatchOfWhoMayNotReadIsUsedUpUnheard) {
  const Ino a = closed(kRootIno, "a");
  table.add(kWatcher, "/a", WatchKind::kData);
  table.add(kWatcher, "/a", WatchKind::kPersistent);
  EXPECT_EQ(told_of(SetDataTxn{a, Blob("x")}), Texts{});
  EXPECT_FALSE(table.contains(kWatcher, "/a", WatcherType::kData));
  EXPECT_TRUE(table.contains(kWatcher, "/a", WatcherType::kPersistent));
}

// --- against the obvious ---

class WatchEventsModel : public testing::TestWithParam<std::uint64_t> {
 protected:
  // A few steps, valid one after another.
  MultiTxn random_multi() {
    MultiTxn multi;
    tree::test::Model ahead = model;
    for (std::uint64_t i = random.between(1, 12); i > 0;) {
      const Txn txn = tree::test::random_txn(random, ahead);
      std::visit(
          [&]<typename T>(const T& body) {
            if constexpr (std::is_constructible_v<SubTxn, T>) {
              multi.operations.emplace_back(body);
              ahead.step(Zxid{~std::uint64_t{0}}, 0, multi.operations.back());
              --i;
            }
          },
          txn.body);
    }
    return multi;
  }

  Txn next_txn() {
    Txn txn = tree::test::random_txn(random, model);
    if (random.chance(1, 2)) txn.body = random_multi();
    return txn;
  }

  static std::vector<Change> apply_to(DataTree& tree, TxnBody body) {
    const Zxid zxid{tree.last_applied().value + 1};
    return tree.apply(zxid, Txn{{}, {}, {}, 0, std::move(body)}).changes;
  }

  Random random{GetParam()};
  tree::test::Model model;
};

// Paths are long here: all of both would be megabytes.
std::string first_difference(const Texts& one, const Texts& other) {
  const auto [a, b] = std::mismatch(one.begin(), one.end(), other.begin(), other.end());
  if (a == one.end() && b == other.end()) return "";
  return fmt::format("{} of {}: {}\n{} of {}: {}", a - one.begin(), one.size(),
                     a == one.end() ? "end" : *a, b - other.begin(), other.size(),
                     b == other.end() ? "end" : *b);
}

// The bodies that, one by one, come to the same as `body`.
std::vector<TxnBody> parts_of(const TxnBody& body) {
  std::vector<TxnBody> parts;
  if (const auto* multi = std::get_if<MultiTxn>(&body)) {
    for (const SubTxn& operation : multi->operations) {
      std::visit(
          [&]<typename T>(const T& txn) {
            if constexpr (!std::is_same_v<T, CheckTxn>) parts.emplace_back(txn);
          },
          operation);
    }
    return parts;
  }
  if (const auto* close = std::get_if<CloseSessionTxn>(&body)) {
    for (const Ino ino : close->ephemerals) parts.emplace_back(DeleteTxn{ino});
    parts.emplace_back(CloseSessionTxn{close->session, {}});
    return parts;
  }
  return {body};
}

TEST_P(WatchEventsModel, AMultiTellsWhatItsPartsTellOneByOne) {
  DataTree whole;
  DataTree parts;
  WatchTable table;
  for (std::uint64_t i = 1; i <= 400; ++i) {
    const Txn txn = next_txn();
    model.apply(Zxid{i}, txn);
    Recorder expected;
    for (const TxnBody& part : parts_of(txn.body)) {
      const auto changes = apply_to(parts, part);
      watch_events(changes, parts, table, expected);
    }
    Recorder told;
    const auto changes = apply_to(whole, txn.body);
    watch_events(changes, whole, table, told);
    ASSERT_EQ(first_difference(told.events, expected.events), "") << "txn " << i;
    ASSERT_EQ(first_difference(told.acls, expected.acls), "") << "txn " << i;
  }
}

struct Shown {
  std::map<std::string, Ino> znodes;
  std::map<std::string, std::map<std::string, Ino>> children;
};

Shown show(const DataTree& tree, const tree::test::Model& model) {
  Shown shown;
  for (const auto& [ino, node] : model.nodes) {
    const std::string path = tree.path_of(ino);
    shown.znodes[path] = ino;
    for (const Ino child : node.children) {
      shown.children[path][model.nodes.at(child).name] = child;
    }
  }
  return shown;
}

// The events that the difference of two moments comes to, in any order.
std::set<std::string> difference(const Shown& before, const Shown& after) {
  std::set<std::string> events;
  const auto at = [](const auto& map, const std::string& path) {
    const auto found = map.find(path);
    return found == map.end() ? typename std::decay_t<decltype(map)>::mapped_type{} : found->second;
  };
  const auto compare = [&](const std::string& path) {
    const bool other = at(before.znodes, path) != at(after.znodes, path);
    if (other && before.znodes.contains(path)) events.insert("deleted " + path);
    if (other && after.znodes.contains(path)) events.insert("created " + path);
    const auto had = at(before.children, path);
    const auto has = at(after.children, path);
    if (had != has || (other && !had.empty())) events.insert("children " + path);
  };
  for (const auto& [path, ino] : before.znodes) compare(path);
  for (const auto& [path, ino] : after.znodes) compare(path);
  return events;
}

TEST_P(WatchEventsModel, EachStepTellsHowThePathsDiffer) {
  DataTree tree;
  WatchTable table;
  for (std::uint64_t i = 1; i <= 600; ++i) {
    Txn txn = tree::test::random_txn(random, model);
    if (txn.body.index() == TxnBody(MultiTxn{}).index()) txn.body = ErrorTxn{};
    const Shown before = show(tree, model);
    model.apply(Zxid{i}, txn);
    Recorder told;
    const auto changes = apply_to(tree, txn.body);
    watch_events(changes, tree, table, told);
    std::set<std::string> expected = difference(before, show(tree, model));
    for (const Change& change : changes) {
      if (change.kind == Change::Kind::kData || change.kind == Change::Kind::kReplaced) {
        expected.insert("data " + tree.path_of(change.ino));
      }
    }
    const std::set<std::string> events(told.events.begin(), told.events.end());
    ASSERT_EQ(first_difference({events.begin(), events.end()}, {expected.begin(), expected.end()}),
              "")
        << "txn " << i << " of body " << txn.body.index();
    // Nothing is deleted while something is beneath it, nor created before what it is beneath.
    std::set<std::string> there;
    for (const auto& [path, ino] : before.znodes) there.insert(path);
    for (const std::string& event : told.events) {
      const std::string path = event.substr(event.find(' ') + 1);
      if (event.starts_with("deleted ")) {
        ASSERT_EQ(there.erase(path), 1U) << event;
        const auto next = there.lower_bound(path + "/");
        ASSERT_FALSE(next != there.end() && next->starts_with(path + "/")) << event;
      } else if (event.starts_with("created ")) {
        ASSERT_TRUE(there.insert(path).second) << event;
        ASSERT_TRUE(there.contains(path.substr(0, std::max<std::size_t>(path.rfind('/'), 1))));
      }
    }
  }
}

TEST_P(WatchEventsModel, ToldOfWatchedPathsAloneWatchersHearTheSame) {
  DataTree tree;
  WatchTable one;
  WatchTable two;
  for (std::uint64_t i = 1; i <= 400; ++i) {
    for (std::uint64_t n = random.below(4); n > 0; --n) {
      const auto watcher = static_cast<WatcherId>(random.below(4));
      const auto kind = static_cast<WatchKind>(random.below(3));
      auto node = model.nodes.begin();
      std::advance(node, random.below(model.nodes.size()));
      const std::string path = tree.path_of(node->first);
      one.add(watcher, path, kind);
      two.add(watcher, path, kind);
    }
    const Txn txn = next_txn();
    model.apply(Zxid{i}, txn);
    const auto changes = apply_to(tree, txn.body);
    Teller all(one);
    watch_events(changes, tree, one, all);
    Teller watched(two);
    watch_events(changes, tree, two, watched, {.znodes = 0});
    std::sort(all.told.begin(), all.told.end());
    std::sort(watched.told.begin(), watched.told.end());
    ASSERT_EQ(first_difference(all.told, watched.told), "") << "txn " << i;
    ASSERT_EQ(one.watches(), two.watches());
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, WatchEventsModel, testing::Range<std::uint64_t>(1, 9));

}  // namespace
}  // namespace zkfs::server
