// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/watch_table.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include <gtest/gtest.h>

#include "ensemble/base/random.h"

namespace zkfs::server {
namespace {

using enum EventType;
using enum WatchKind;

using Ids = std::vector<WatcherId>;

class WatchTableTest : public testing::Test {
 protected:
  Ids fire(EventType type, std::string_view path) {
    Ids to;
    table.fire(type, path, to);
    std::sort(to.begin(), to.end());
    return to;
  }

  WatchTable table;
};

// --- one-shot watches ---

TEST_F(WatchTableTest, ADataWatchHearsOfDataAndDeletionAndCreation) {
  for (const EventType type : {kDataChanged, kDeleted, kCreated}) {
    table.add(1, "/a", kData);
    EXPECT_EQ(fire(type, "/a"), Ids{1});
  }
}

TEST_F(WatchTableTest, ADataWatchDoesNotHearOfChildren) {
  table.add(1, "/a", kData);
  EXPECT_EQ(fire(kChildrenChanged, "/a"), Ids{});
  EXPECT_TRUE(table.contains(1, "/a", WatcherType::kData));
}

TEST_F(WatchTableTest, AChildWatchHearsOfChildrenAndDeletionOnly) {
  table.add(1, "/a", kChild);
  EXPECT_EQ(fire(kDataChanged, "/a"), Ids{});
  EXPECT_EQ(fire(kCreated, "/a"), Ids{});
  EXPECT_EQ(fire(kChildrenChanged, "/a"), Ids{1});
  table.add(1, "/a", kChild);
  EXPECT_EQ(fire(kDeleted, "/a"), Ids{1});
}

TEST_F(WatchTableTest, AOneShotWatchFiresOnce) {
  table.add(1, "/a", kData);
  table.add(1, "/a", kChild);
  EXPECT_EQ(fire(kDataChanged, "/a"), Ids{1});
  EXPECT_EQ(fire(kDataChanged, "/a"), Ids{});
  EXPECT_EQ(fire(kChildrenChanged, "/a"), Ids{1});
  EXPECT_EQ(fire(kChildrenChanged, "/a"), Ids{});
  EXPECT_TRUE(table.empty());
}

TEST_F(WatchTableTest, ADeletionIsToldOnceToWhoWatchesDataAndChildren) {
  table.add(1, "/a", kData);
  table.add(1, "/a", kChild);
  table.add(1, "/a", kPersistent);
  table.add(1, "/", kPersistentRecursive);
  table.add(2, "/a", kChild);
  EXPECT_EQ(fire(kDeleted, "/a"), (Ids{1, 2}));
  EXPECT_EQ(table.watches(), 2U) << "the persistent ones stay, the others are all used up";
}

TEST_F(WatchTableTest, RepeatingAWatchAddsNothing) {
  EXPECT_TRUE(table.add(1, "/a", kData));
  EXPECT_FALSE(table.add(1, "/a", kData));
  EXPECT_EQ(table.watches(), 1U);
  EXPECT_EQ(fire(kDataChanged, "/a"), Ids{1});
}

TEST_F(WatchTableTest, EachWatcherIsTold) {
  for (WatcherId id = 0; id < 5; ++id) table.add(id, "/a", kData);
  EXPECT_EQ(fire(kDataChanged, "/a"), (Ids{0, 1, 2, 3, 4}));
}

TEST_F(WatchTableTest, WhatIsToldReplacesWhatWasInTheList) {
  Ids to{7, 8};
  table.fire(kCreated, "/a", to);
  EXPECT_EQ(to, Ids{});
}

// --- persistent and recursive watches ---

// reference/zookeeper.md 4.1, as observed.
TEST_F(WatchTableTest, APersistentWatchHearsWhatZooKeeperTells) {
  table.add(1, "/pr", kPersistent);
  EXPECT_EQ(fire(kCreated, "/pr/b"), Ids{});
  EXPECT_EQ(fire(kChildrenChanged, "/pr"), Ids{1});
  EXPECT_EQ(fire(kDataChanged, "/pr/b"), Ids{});
  EXPECT_EQ(fire(kChildrenChanged, "/pr/b"), Ids{});
  EXPECT_EQ(fire(kDeleted, "/pr/b"), Ids{});
  EXPECT_EQ(fire(kChildrenChanged, "/pr"), Ids{1});
  EXPECT_EQ(fire(kDataChanged, "/pr"), Ids{1});
  EXPECT_EQ(fire(kDeleted, "/pr"), Ids{1});
  EXPECT_EQ(fire(kCreated, "/pr"), Ids{1}) << "it stays when its znode goes";
}

TEST_F(WatchTableTest, ARecursiveWatchHearsWhatZooKeeperTells) {
  table.add(1, "/pr", kPersistentRecursive);
  EXPECT_EQ(fire(kCreated, "/pr/b"), Ids{1});
  EXPECT_EQ(fire(kDataChanged, "/pr/b"), Ids{1});
  EXPECT_EQ(fire(kCreated, "/pr/b/c"), Ids{1});
  EXPECT_EQ(fire(kChildrenChanged, "/pr/b"), Ids{});
  EXPECT_EQ(fire(kDeleted, "/pr/b/c"), Ids{1});
  EXPECT_EQ(fire(kDeleted, "/pr/b"), Ids{1});
  EXPECT_EQ(fire(kChildrenChanged, "/pr"), Ids{});
  EXPECT_EQ(fire(kDataChanged, "/pr"), Ids{1});
  EXPECT_EQ(fire(kDeleted, "/pr"), Ids{1});
  EXPECT_EQ(fire(kCreated, "/pr"), Ids{1});
}

TEST_F(WatchTableTest, ARecursiveWatchEndsAtTheBoundaryOfAComponent) {
  table.add(1, "/a", kPersistentRecursive);
  EXPECT_EQ(fire(kCreated, "/ab"), Ids{});
  EXPECT_EQ(fire(kCreated, "/ab/c"), Ids{});
  EXPECT_EQ(fire(kCreated, "/"), Ids{});
  EXPECT_EQ(fire(kCreated, "/a/b"), Ids{1});
}

TEST_F(WatchTableTest, ARecursiveWatchOfTheRootHearsOfAll) {
  table.add(1, "/", kPersistentRecursive);
  EXPECT_EQ(fire(kDataChanged, "/"), Ids{1});
  EXPECT_EQ(fire(kCreated, "/a"), Ids{1});
  EXPECT_EQ(fire(kCreated, "/a/b/c"), Ids{1});
}

TEST_F(WatchTableTest, SeveralRecursiveWatchesAboveTellOnce) {
  table.add(1, "/", kPersistentRecursive);
  table.add(1, "/a", kPersistentRecursive);
  table.add(2, "/a/b", kPersistentRecursive);
  EXPECT_EQ(fire(kDataChanged, "/a/b"), (Ids{1, 2}));
}

TEST_F(WatchTableTest, AllKindsLiveSideBySide) {
  table.add(1, "/a", kPersistentRecursive);
  table.add(1, "/a", kPersistent);
  table.add(1, "/a", kData);
  EXPECT_EQ(table.watches(), 3U);
  EXPECT_EQ(fire(kDataChanged, "/a"), Ids{1});
  EXPECT_EQ(table.watches(), 2U);
  EXPECT_EQ(fire(kChildrenChanged, "/a"), Ids{1});
}

// --- removing ---

TEST_F(WatchTableTest, EachTypeFindsAndRemovesItsKindAlone) {
  const std::vector<std::pair<WatchKind, WatcherType>> pairs{
      {kData, WatcherType::kData},
      {kChild, WatcherType::kChildren},
      {kPersistent, WatcherType::kPersistent},
      {kPersistentRecursive, WatcherType::kPersistentRecursive}};
  for (const auto& [kind, unused] : pairs) table.add(1, "/a", kind);
  for (const auto& [unused, type] : pairs) {
    const std::size_t before = table.watches();
    EXPECT_TRUE(table.contains(1, "/a", type));
    EXPECT_TRUE(table.remove(1, "/a", type));
    EXPECT_FALSE(table.contains(1, "/a", type));
    EXPECT_FALSE(table.remove(1, "/a", type));
    EXPECT_EQ(table.watches(), before - 1);
  }
}

TEST_F(WatchTableTest, AnyFindsAndRemovesAllKinds) {
  for (const WatchKind kind : {kData, kChild, kPersistent, kPersistentRecursive}) {
    table.add(1, "/a", kind);
    EXPECT_TRUE(table.contains(1, "/a", WatcherType::kAny));
    EXPECT_TRUE(table.remove(1, "/a", WatcherType::kAny));
    EXPECT_FALSE(table.contains(1, "/a", WatcherType::kAny));
  }
  EXPECT_TRUE(table.empty());
}

TEST_F(WatchTableTest, NobodyFindsOrRemovesTheWatchesOfOthersOrOtherPaths) {
  table.add(1, "/a", kPersistentRecursive);
  EXPECT_FALSE(table.contains(2, "/a", WatcherType::kAny));
  EXPECT_FALSE(table.remove(2, "/a", WatcherType::kAny));
  EXPECT_FALSE(table.contains(1, "/a/b", WatcherType::kAny));
  EXPECT_FALSE(table.remove(1, "/", WatcherType::kAny));
}

TEST_F(WatchTableTest, ADroppedNumberStartsAnew) {
  table.add(1, "/a", kPersistent);
  table.add(1, "/b", kData);
  table.add(2, "/a", kPersistent);
  table.drop(1);
  EXPECT_EQ(table.count_of(1), 0U);
  EXPECT_EQ(fire(kDataChanged, "/a"), Ids{2});
  table.add(1, "/a", kChild);
  EXPECT_EQ(table.paths_of(1), std::vector<std::string>{"/a"});
  EXPECT_EQ(fire(kDataChanged, "/a"), Ids{2});
}

TEST_F(WatchTableTest, AWatcherIsDroppedInPiecesIfWanted) {
  for (const char* path : {"/a", "/b", "/c"}) table.add(1, path, kData);
  EXPECT_FALSE(table.drop(1, 2));
  EXPECT_EQ(table.count_of(1), 1U);
  EXPECT_TRUE(table.drop(1, 1));
  EXPECT_TRUE(table.empty());
}

TEST_F(WatchTableTest, DroppingWhoNeverWatchedDoesNothing) {
  EXPECT_TRUE(table.drop(1000));
  EXPECT_TRUE(table.empty());
}

// --- what administrators see ---

TEST_F(WatchTableTest, CountsWatchesPathsAndWatchers) {
  table.add(1, "/a", kData);
  table.add(1, "/a", kChild);
  table.add(1, "/b", kData);
  table.add(9, "/b", kPersistent);
  EXPECT_EQ(table.watches(), 4U);
  EXPECT_EQ(table.paths(), 2U);
  EXPECT_EQ(table.watchers(), 2U);
  EXPECT_EQ(table.count_of(1), 3U);
  EXPECT_EQ(table.count_of(2), 0U);
}

TEST_F(WatchTableTest, ListsAreSortedAndNameEachOnce) {
  table.add(9, "/b", kData);
  table.add(1, "/b", kData);
  table.add(1, "/b", kChild);
  table.add(1, "/a", kData);
  EXPECT_EQ(table.paths_of(1), (std::vector<std::string>{"/a", "/b"}));
  std::vector<std::pair<std::string, Ids>> paths;
  table.for_each_path(
      [&](std::string_view path, const Ids& watchers) { paths.emplace_back(path, watchers); });
  const std::vector<std::pair<std::string, Ids>> expected{{"/a", {1}}, {"/b", {1, 9}}};
  EXPECT_EQ(paths, expected);
  Ids watchers;
  table.for_each_watcher([&](WatcherId id) { watchers.push_back(id); });
  EXPECT_EQ(watchers, (Ids{1, 9}));
}

TEST_F(WatchTableTest, PathsBeneathAreThoseOfTheSubtree) {
  for (const char* path : {"/", "/a", "/a/b", "/a/b/c", "/ab", "/b"}) table.add(1, path, kData);
  EXPECT_EQ(table.paths_beneath("/a"), (std::vector<std::string>{"/a/b", "/a/b/c"}));
  EXPECT_EQ(table.paths_beneath("/").size(), 5U);
  EXPECT_EQ(table.paths_beneath("/c").size(), 0U);
}

TEST_F(WatchTableTest, RecursiveWatchersAreThoseThereAboveAndBeneath) {
  table.add(1, "/", kPersistentRecursive);
  table.add(2, "/a", kPersistentRecursive);
  table.add(3, "/a/b/c", kPersistentRecursive);
  table.add(4, "/ab", kPersistentRecursive);
  table.add(5, "/a", kPersistent);
  EXPECT_EQ(table.recursive_watchers("/a"), (Ids{1, 2, 3}));
  EXPECT_EQ(table.recursive_watchers("/a/b"), (Ids{1, 2, 3}));
  EXPECT_EQ(table.recursive_watchers("/b"), Ids{1});
}

TEST_F(WatchTableTest, TextsThatAreNoPathsAreJustTexts) {
  for (const char* path : {"", "a", "/a/", "//", "/a//b"}) {
    EXPECT_TRUE(table.add(1, path, kPersistent));
    EXPECT_TRUE(table.contains(1, path, WatcherType::kPersistent));
  }
  EXPECT_EQ(table.paths(), 5U);
  EXPECT_EQ(fire(kDataChanged, "/a"), Ids{});
  EXPECT_EQ(fire(kDataChanged, "/a/"), Ids{1});
}

// --- many ---

TEST_F(WatchTableTest, TenThousandWatchersOfOnePathComeAndGo) {
  constexpr WatcherId kWatchers = 10'000;
  for (WatcherId id = 0; id < kWatchers; ++id) table.add(id, "/lock", kChild);
  for (WatcherId id = 0; id < kWatchers; id += 2) {
    EXPECT_TRUE(table.remove(id, "/lock", WatcherType::kChildren));
  }
  EXPECT_EQ(fire(kDataChanged, "/lock").size(), 0U);
  EXPECT_EQ(fire(kChildrenChanged, "/lock").size(), kWatchers / 2);
  EXPECT_TRUE(table.empty());
}

TEST_F(WatchTableTest, WhatIsGivenBackWhenEmptyIsThereAgainAfterwards) {
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 10'000; ++i) table.add(3, "/n" + std::to_string(i), kData);
    EXPECT_EQ(table.paths(), 10'000U);
    table.drop(3);
    EXPECT_EQ(table.paths(), 0U);
  }
}

// --- against the obvious ---

// The rules of reference 4.1 over a set of registrations.
class NaiveTable {
 public:
  std::set<std::tuple<WatcherId, std::string, WatchKind>> watches;

  static bool hears(const std::string& on,
                    WatchKind kind,
                    EventType type,
                    const std::string& path) {
    const bool children = type == kChildrenChanged;
    switch (kind) {
      case kData:
        return on == path && !children;
      case kChild:
        return on == path && (children || type == kDeleted);
      case kPersistent:
        return on == path;
      case kPersistentRecursive:
        return !children && (on == path || on == "/" || path.starts_with(on + "/"));
    }
    return false;
  }

  Ids fire(EventType type, const std::string& path) {
    std::set<WatcherId> to;
    for (auto at = watches.begin(); at != watches.end();) {
      const auto& [watcher, on, kind] = *at;
      const bool fires = hears(on, kind, type, path);
      if (fires) to.insert(watcher);
      at = fires && (kind == kData || kind == kChild) ? watches.erase(at) : std::next(at);
    }
    return {to.begin(), to.end()};
  }

  std::size_t remove(WatcherId watcher, const std::string& path, WatcherType type) {
    return std::erase_if(watches, [&](const auto& watch) {
      const auto& [w, p, kind] = watch;
      return w == watcher && p == path && means(type, kind);
    });
  }

  static bool means(WatcherType type, WatchKind kind) {
    switch (type) {
      case WatcherType::kChildren:
        return kind == kChild;
      case WatcherType::kData:
        return kind == kData;
      case WatcherType::kPersistent:
        return kind == kPersistent;
      case WatcherType::kPersistentRecursive:
        return kind == kPersistentRecursive;
      case WatcherType::kAny:
        break;
    }
    return true;
  }
};

void expect_same(const WatchTable& table, const NaiveTable& naive) {
  std::map<std::string, std::set<WatcherId>> by_path;
  std::map<WatcherId, std::set<std::string>> by_watcher;
  std::map<WatcherId, std::size_t> counts;
  for (const auto& [watcher, path, kind] : naive.watches) {
    by_path[path].insert(watcher);
    by_watcher[watcher].insert(path);
    ++counts[watcher];
  }
  ASSERT_EQ(table.watches(), naive.watches.size());
  ASSERT_EQ(table.paths(), by_path.size());
  ASSERT_EQ(table.watchers(), by_watcher.size());
  auto at = by_path.begin();
  table.for_each_path([&](std::string_view path, const Ids& watchers) {
    ASSERT_NE(at, by_path.end());
    EXPECT_EQ(path, at->first);
    EXPECT_EQ(watchers, Ids(at->second.begin(), at->second.end()));
    ++at;
  });
  ASSERT_EQ(at, by_path.end());
  for (const auto& [watcher, paths] : by_watcher) {
    ASSERT_EQ(table.paths_of(watcher), std::vector<std::string>(paths.begin(), paths.end()));
    ASSERT_EQ(table.count_of(watcher), counts[watcher]);
  }
}

class WatchTableModel : public testing::TestWithParam<std::uint64_t> {};

TEST_P(WatchTableModel, AgreesWithASetOfRegistrations) {
  Random random(GetParam());
  WatchTable table;
  NaiveTable naive;
  const auto any_path = [&] {
    std::string path;
    for (std::uint64_t depth = random.below(4); depth > 0; --depth) {
      path += random.chance(1, 2) ? "/a" : random.chance(1, 2) ? "/ab" : "/b";
    }
    return path.empty() ? "/" : path;
  };
  for (int step = 0; step < 6000; ++step) {
    const auto watcher = static_cast<WatcherId>(random.below(8));
    const std::string path = any_path();
    const auto kind = static_cast<WatchKind>(random.below(4));
    const auto type = static_cast<WatcherType>(random.between(1, 5));
    const std::uint64_t roll = random.below(100);
    if (roll < 60) {
      ASSERT_EQ(table.add(watcher, path, kind), naive.watches.emplace(watcher, path, kind).second);
    } else if (roll < 80) {
      const auto event = static_cast<EventType>(random.between(1, 4));
      Ids to;
      table.fire(event, path, to);
      std::sort(to.begin(), to.end());
      ASSERT_EQ(to, naive.fire(event, path)) << "step " << step << " " << path;
    } else if (roll < 95) {
      ASSERT_EQ(table.contains(watcher, path, type),
                std::any_of(naive.watches.begin(), naive.watches.end(), [&](const auto& watch) {
                  return std::get<0>(watch) == watcher && std::get<1>(watch) == path &&
                         NaiveTable::means(type, std::get<2>(watch));
                }));
      ASSERT_EQ(table.remove(watcher, path, type), naive.remove(watcher, path, type) != 0);
    } else {
      table.drop(watcher);
      std::erase_if(naive.watches,
                    [&](const auto& watch) { return std::get<0>(watch) == watcher; });
    }
    if (step % 20 == 0) {
      ASSERT_NO_FATAL_FAILURE(expect_same(table, naive)) << "step " << step;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, WatchTableModel, testing::Range<std::uint64_t>(1, 9));

}  // namespace
}  // namespace zkfs::server
