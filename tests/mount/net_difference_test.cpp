// SPDX-License-Identifier: Apache-2.0
#include "mount/net_difference.h"

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "mount/view.h"
#include "tests/mount/event_mount.h"
#include "tests/support/local_door.h"

namespace zkfs::test {
namespace {

using tree::Change;
using Kind = Change::Kind;
using Lines = std::vector<std::string>;

class NetDifference : public testing::Test, public server::ChangeSubscriber {
 protected:
  NetDifference() {
    door_.subscribe(this);
    for (const char* directory : {"/d", "/e"}) make(create_directory(directory));
  }

  void applied(const server::AppliedTxn&) override {}

  void replaced(const tree::DataTree& before, const tree::DataTree& after) override {
    changes_ = mount::net_difference(before, after, inodes_);
    before_ = places(before);
    after_ = places(after);
  }

  void quorum_changed(bool) override {}

  void make(server::Operation operation) {
    ASSERT_EQ(door_.inject_foreign(std::move(operation)).error, Error::kOk);
  }

  void hold(const std::string& path) {
    inodes_.looked_up(mount::natural_node(*door_.tree().find_path(path)));
  }

  using Places = std::map<std::pair<Ino, std::string>, Ino>;

  static Places places(const tree::DataTree& tree) {
    Places places;
    std::vector<Ino> directories{kRootIno};
    while (!directories.empty()) {
      const Ino directory = directories.back();
      directories.pop_back();
      for (const Ino child : tree.children_of(directory)) {
        places[{directory, std::string(tree.find(child)->name)}] = child;
        directories.push_back(child);
      }
    }
    return places;
  }

  Lines missed(std::vector<server::Operation> operations) {
    door_.catch_up_by_snapshot(std::move(operations));
    Lines lines;
    for (const Change& change : changes_) lines.push_back(text(change));
    return lines;
  }

  static std::string text(const Change& change) {
    switch (change.kind) {
      case Kind::kCreated:
        return "created " + change.name;
      case Kind::kDeleted:
        return "deleted " + change.name;
      case Kind::kData:
        return "data " + change.name;
      case Kind::kMoved:
        return "moved " + change.old_name + " " + change.name;
      case Kind::kExchanged:
        return "exchanged " + change.old_name + " " + change.name;
      case Kind::kAttributes:
        return (change.directory == change.was_directory ? "attributes " : "retyped ") +
               change.name;
      default:
        return "?";
    }
  }

  LocalDoor door_;
  mount::InodeTable inodes_;
  std::vector<Change> changes_;
  Places before_, after_;
};

TEST_F(NetDifference, OfWhatNobodyHoldsIsNothing) {
  make(create_file("/d/f"));
  EXPECT_EQ(missed({set_data("/d/f", "x"), create_file("/d/g"), remove("/d/f")}), Lines{});
}

TEST_F(NetDifference, OfWhatOnlyTheWorkersHoldIsNothing) {
  make(create_file("/d/f"));
  inodes_.looked_up_by_worker(mount::natural_node(*door_.tree().find_path("/d")));
  EXPECT_EQ(missed({set_data("/d/f", "x")}), Lines{});
  hold("/d");
  EXPECT_EQ(missed({set_data("/d/f", "y")}), Lines{"data f"});
}

TEST_F(NetDifference, WhatCameAndWentIsNothing) {
  hold("/d");
  EXPECT_EQ(missed({create_file("/d/f"), remove("/d/f")}), Lines{});
}

TEST_F(NetDifference, RecreatedFileIsRemovedAndCreated) {
  make(create_file("/d/f"));
  hold("/d");
  EXPECT_EQ(missed({remove("/d/f"), create_file("/d/f")}), (Lines{"deleted f", "created f"}));
}

TEST_F(NetDifference, RemovedTreeGoesFromTheLeaves) {
  make(create_directory("/d/s"));
  make(create_file("/d/s/f"));
  for (const char* path : {"/d", "/d/s"}) hold(path);
  EXPECT_EQ(missed({remove("/d/s/f"), remove("/d/s")}), (Lines{"deleted f", "deleted s"}));
}

TEST_F(NetDifference, WhatWasMovedOutOfARemovedDirectoryLeavesItFirst) {
  make(create_directory("/d/s"));
  make(create_file("/d/s/f"));
  for (const char* path : {"/d", "/d/s"}) hold(path);
  EXPECT_EQ(missed({rename("/d/s/f", "/d/f"), remove("/d/s")}), (Lines{"moved f f", "deleted s"}));
}

TEST_F(NetDifference, NameIsLeftBeforeItIsTaken) {
  for (const char* path : {"/d/1", "/d/2", "/d/3"}) make(create_file(path));
  hold("/d");
  EXPECT_EQ(
      missed({remove("/d/3"), rename("/d/2", "/d/3"), rename("/d/1", "/d/2"), create_file("/d/1")}),
      (Lines{"deleted 3", "moved 2 3", "moved 1 2", "created 1"}));
}

TEST_F(NetDifference, TwoThatSwapPlacesAreAnExchange) {
  make(create_file("/d/a"));
  make(create_directory("/e/b"));
  for (const char* path : {"/d", "/e"}) hold(path);
  EXPECT_EQ(missed({rename("/d/a", "/e/b", true)}), (Lines{"exchanged a b"}));
  EXPECT_FALSE(changes_[0].directory);
  EXPECT_TRUE(changes_[0].was_directory);
}

TEST_F(NetDifference, CircleEndsWithEveryNameThere) {
  for (const char* path : {"/d/a", "/d/b", "/d/c"}) make(create_file(path));
  hold("/d");
  EXPECT_EQ(missed({rename("/d/a", "/d/x"), rename("/d/c", "/d/a"), rename("/d/b", "/d/c"),
                    rename("/d/x", "/d/b")}),
            (Lines{"moved a b", "moved c a", "moved b c", "attributes b"}));
}

TEST_F(NetDifference, RetypedNodeIsShownOnceAtItsNewPlace) {
  make(create_file("/d/f"));
  hold("/d");
  EXPECT_EQ(missed({set_kind("/d/f", tree::NodeKind::kDirectory), rename("/d/f", "/d/g"),
                    set_data("/d/g", "x")}),
            (Lines{"moved f g", "retyped g"}));
  EXPECT_FALSE(changes_[0].directory);
}

TEST_F(NetDifference, ManyDependentMovesNeedNoDeepStack) {
  constexpr int kFiles = 20'000;
  for (int i = 0; i < kFiles; ++i) make(create_file(fmt::format("/d/{:05}", i)));
  hold("/d");
  std::vector<server::Operation> missed_moves;
  for (int i = kFiles; i > 0; --i)
    missed_moves.push_back(rename(fmt::format("/d/{:05}", i - 1), fmt::format("/d/{:05}", i)));
  const Lines lines = missed(std::move(missed_moves));
  ASSERT_EQ(lines.size(), static_cast<std::size_t>(kFiles));
  EXPECT_EQ(lines.front(), "moved 19999 20000");
  EXPECT_EQ(lines.back(), "moved 00000 00001");
}

// Whoever follows the changes name by name ends with what is there.
class NetDifferenceModel : public NetDifference, public testing::WithParamInterface<unsigned> {
 protected:
  // The model of a watcher: what lies where.
  void follow() {
    Places places = before_;
    std::set<Ino> shown_again;
    const auto leave = [&](Ino parent, const std::string& name, Ino ino) {
      const auto at = places.find({parent, name});
      if (at != places.end() && at->second == ino) places.erase(at);
    };
    for (const Change& change : changes_) {
      const std::pair here{change.parent, change.name};
      if (change.kind == Kind::kDeleted) {
        ASSERT_EQ(places[here], change.ino) << text(change);
        ASSERT_TRUE(std::ranges::none_of(
            places, [&](const auto& place) { return place.first.first == change.ino; }))
            << "not empty: " << text(change);
        places.erase(here);
      } else if (change.kind == Kind::kMoved) {
        leave(change.old_parent, change.old_name, change.ino);
        if (places.contains(here)) taken_early_.insert(change.ino);
        places[here] = change.ino;
      } else if (change.kind == Kind::kExchanged) {
        std::swap(places[here], places[{change.old_parent, change.old_name}]);
        ASSERT_EQ(places[here], change.ino) << text(change);
      } else if (change.kind == Kind::kCreated) {
        ASSERT_FALSE(places.contains(here)) << text(change);
        places[here] = change.ino;
      } else if (change.kind == Kind::kAttributes) {
        shown_again.insert(change.ino);
      }
    }
    // Whoever watches a directory that is new to it looks into it.
    std::set<Ino> known{kRootIno};
    for (const auto& [place, ino] : before_) known.insert(ino);
    const auto is_new = [&](const auto& place) { return !known.contains(place.first.first); };
    std::erase_if(places, is_new);
    std::erase_if(after_, is_new);
    ASSERT_TRUE(places == after_);
    for (const Ino ino : taken_early_) EXPECT_TRUE(shown_again.contains(ino)) << ino.value;
  }

  server::Operation random_operation() {
    const auto directory = [&] {
      static constexpr std::array<const char*, 4> kDirectories{"/d", "/e", "/d/s", "/e/t"};
      return std::string(kDirectories.at(random_() % kDirectories.size()));
    };
    const auto path = [&] {
      static constexpr std::array<const char*, 5> kNames{"/a", "/b", "/c", "/s", "/t"};
      return directory() + kNames.at(random_() % kNames.size());
    };
    switch (random_() % 7) {
      case 0:
        return create_file(path(), "x");
      case 1:
        return create_directory(path());
      case 2:
        return remove(path());
      case 3:
        return set_data(path(), "y");
      case 4:
        return rename(path(), path(), true);
      default:
        return rename(path(), path());
    }
  }

  std::mt19937 random_{GetParam()};
  std::set<Ino> taken_early_;
};

TEST_P(NetDifferenceModel, LeadsFromTheOneToTheOther) {
  for (int round = 0; round < 60; ++round) {
    const auto hold_all = [&](const Places& places) {
      for (const auto& [place, ino] : places)
        inodes_.looked_up(mount::natural_node(*door_.tree().find(ino)));
    };
    hold_all(places(door_.tree()));
    std::vector<server::Operation> operations;
    for (auto i = random_() % 40; i > 0; --i) operations.push_back(random_operation());
    missed(std::move(operations));
    taken_early_.clear();
    follow();
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, NetDifferenceModel, testing::Range(1U, 21U));

}  // namespace
}  // namespace zkfs::test
