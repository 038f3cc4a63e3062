// SPDX-License-Identifier: Apache-2.0
// Replay under a flood: what must be seen is seen, and how fast. The figures are printed, not
// judged: they are this machine's.
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <map>
#include <optional>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/mount/event_mount.h"

namespace zkfs::test {
namespace {

using Events = std::vector<std::string>;
using std::chrono::steady_clock;

class ReplayFlood : public testing::Test {
 protected:
  void SetUp() override {
    if (!EventMount::possible()) GTEST_SKIP() << "needs root and /dev/fuse";
    mount_.emplace(8);
  }

  void make_watched(const std::string& directory) {
    mount_->foreign(create_directory("/" + directory));
    mount_->settle();
    watcher_.add(mount_->path(directory), directory);
  }

  void take() {
    for (std::string& event : watcher_.take()) ++seen_[std::move(event)];
  }

  // Commits what `make` gives for 0 .. count - 1, in bursts, while the watcher reads on.
  void flood(int count, const std::function<server::Operation(int)>& make) {
    constexpr int kBurst = 100;
    const auto begin = steady_clock::now();
    for (int i = 0; i < count; i += kBurst) {
      mount_->run([&] {
        for (int j = i; j < std::min(i + kBurst, count); ++j)
          mount_->door().inject_foreign(make(j));
      });
      take();
    }
    for (bool idle = false; !idle;) {
      mount_->run([&] { idle = mount_->replay().idle(); });
      take();
    }
    const std::chrono::duration<double> spent = steady_clock::now() - begin;
    fmt::print("{} changes shown in {:.2f} s, {:.0f} a second\n", count, spent.count(),
               count / spent.count());
  }

  std::optional<EventMount> mount_;
  Watcher watcher_;
  std::map<std::string, int> seen_;
};

TEST_F(ReplayFlood, EveryCreateAndDeleteInAWatchedDirectoryIsSeenOnce) {
  constexpr int kFiles = 10'000;
  make_watched("d");
  flood(kFiles, [](int i) { return create_file(fmt::format("/d/f{}", i), "x"); });
  flood(kFiles, [](int i) { return remove(fmt::format("/d/f{}", i)); });
  for (int i = 0; i < kFiles; ++i) {
    ASSERT_EQ(seen_[fmt::format("d: CREATE f{}", i)], 1) << i;
    ASSERT_EQ(seen_[fmt::format("d: DELETE f{}", i)], 1) << i;
  }
  EXPECT_EQ(mount_->counters().overflowed, 0U);
}

// The workers hold for a moment what they show as made. If that counted as somebody who watches,
// the next change in it would be shown too, and so on as long as changes come.
TEST_F(ReplayFlood, WhatNobodyHasLookedAtIsNotShown) {
  constexpr int kFiles = 20;
  const auto path = [](int i) { return fmt::format("/d/f{}", i % kFiles); };
  mount_->foreign(create_directory("/d"));
  flood(kFiles, [&](int i) { return create_file(path(i)); });
  flood(2'000, [&](int i) { return set_data(path(i), fmt::format("{}", i)); });
  EXPECT_EQ(mount_->counters().queued, 1U) << "d in the root, which somebody might be watching";
}

// Whoever lists a tree makes the kernel hold all of it.
TEST_F(ReplayFlood, WhatNobodyLooksAtAnyMoreIsNotShownForEver) {
  constexpr int kFiles = 100;
  const auto path = [](int i) { return fmt::format("/d{}/f{}", i % 2, i % kFiles); };
  make_watched("d0");
  mount_->foreign(create_directory("/d1"));
  flood(kFiles, [&](int i) { return create_file(path(i)); });
  ASSERT_EQ(std::system(fmt::format("ls -lR {} > /dev/null", mount_->path()).c_str()), 0);
  int changes = 0;
  const auto change = [&](int i) { return set_data(path(i), fmt::format("{}", ++changes)); };
  for (int round = 0; mount_->counters().prunes == 0; ++round) {
    ASSERT_LT(round, 100);
    flood(kFiles, change);
  }
  const auto held = [&](int i) {
    bool watchable = false;
    mount_->run([&] {
      const auto znode = mount_->door().tree().find_path(path(i));
      watchable = mount_->inodes().watchable(mount::directory_node(znode->parent));
    });
    return watchable;
  };
  // What a worker was just at stays until the next time.
  for (int round = 0; held(1); ++round) {
    ASSERT_LT(round, 100);
    flood(kFiles, change);
  }
  seen_.clear();
  const auto queued = mount_->counters().queued;
  flood(kFiles, change);
  EXPECT_EQ(mount_->counters().queued, queued + kFiles / 2);
  for (int i = 0; i < kFiles; i += 2) EXPECT_GE(seen_[fmt::format("d0: MODIFY f{}", i)], 1) << i;
}

TEST_F(ReplayFlood, ManyDirectoriesAreServedSideBySide) {
  constexpr int kDirectories = 20;
  constexpr int kFiles = 10'000;
  for (int i = 0; i < kDirectories; ++i) make_watched(fmt::format("d{}", i));
  const auto path = [](int i) { return fmt::format("/d{}/f{}", i % kDirectories, i); };
  flood(kFiles, [&](int i) { return create_file(path(i), "x"); });
  for (int i = 0; i < kFiles; ++i)
    ASSERT_EQ(seen_[fmt::format("d{}: CREATE f{}", i % kDirectories, i)], 1) << i;
}

TEST_F(ReplayFlood, ModifiesOfManyFilesAllEndWithTheirLast) {
  constexpr int kFiles = 1'000;
  make_watched("d");
  for (int i = 0; i < kFiles; ++i) mount_->foreign(create_file(fmt::format("/d/f{}", i)));
  mount_->settle();
  take();
  flood(10 * kFiles,
        [](int i) { return set_data(fmt::format("/d/f{}", i % kFiles), std::to_string(i)); });
  for (int i = 0; i < kFiles; ++i) ASSERT_GE(seen_[fmt::format("d: CLOSE_WRITE f{}", i)], 1) << i;
}

TEST_F(ReplayFlood, ASingleChangeIsShownAtOnce) {
  constexpr int kChanges = 2'000;
  make_watched("d");
  mount_->foreign(create_file("/d/f"));
  mount_->settle();
  watcher_.take();
  std::vector<double> micros;
  for (int i = 0; i < kChanges; ++i) {
    const auto begin = steady_clock::now();
    mount_->foreign(set_data("/d/f", std::to_string(i)));
    for (bool shown = false; !shown;) {
      pollfd wait{watcher_.descriptor(), POLLIN, 0};
      ASSERT_EQ(::poll(&wait, 1, 5'000), 1);
      shown = std::ranges::count(watcher_.take(), "d: MODIFY f") != 0;
    }
    micros.push_back(
        std::chrono::duration<double, std::micro>(steady_clock::now() - begin).count());
    mount_->settle();
    watcher_.take();
  }
  std::ranges::sort(micros);
  const auto at = [&](double part) { return micros[static_cast<std::size_t>(part * kChanges)]; };
  fmt::print("commit to event: p50 {:.0f} us, p99 {:.0f} us\n", at(0.5), at(0.99));
}

}  // namespace
}  // namespace zkfs::test
