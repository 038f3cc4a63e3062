// SPDX-License-Identifier: Apache-2.0
// What the storage tests share: entries with recognisable bytes, and a Store over a SimDisk that
// can be opened again.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ensemble/storage/store.h"
#include "tests/support/sim_disk.h"

namespace zkfs::storage {

inline constexpr std::uint64_t kSmallSegment = 4096;

inline Entry entry_of(Zxid zxid, std::size_t size = 20) {
  std::string bytes = fmt::format("{}:", zxid);
  bytes.resize(std::max(size, bytes.size()), 'x');
  return {zxid, Blob{bytes}};
}

// Entries first..last of one epoch.
inline std::vector<Entry> entries_of(Epoch epoch,
                                     std::uint32_t first,
                                     std::uint32_t last,
                                     std::size_t size = 20) {
  std::vector<Entry> entries;
  for (std::uint32_t i = first; i <= last; ++i) entries.push_back(entry_of(Zxid{epoch, i}, size));
  return entries;
}

// Tells of a Problem by its text.
template <typename T>
::testing::AssertionResult is_done(const Expected<T>& result) {
  if (result) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << result.error().text;
}

class StoreFixture : public ::testing::Test {
 protected:
  Store& store() { return *store_; }

  Recovered& found() { return store_->recovered(); }

  // Opens the Store as a process that is started: the former one, if any, is dead. If it is refused
  // the test has failed, and goes on with an empty disk.
  void open() {
    const auto opened = try_open();
    if (opened) return;
    ADD_FAILURE() << opened.error().text;
    disk_.wipe();
    store_ = std::move(*Store::open(disk_, options_));
  }

  Expected<void> try_open() {
    store_.reset();
    disk_.restart();
    auto opened = Store::open(disk_, options_);
    if (!opened) return std::unexpected(std::move(opened).error());
    store_ = std::move(*opened);
    return {};
  }

  void crash_and_open() {
    disk_.crash(random_);
    open();
  }

  // The text of the refusal; empty if the Store opens.
  std::string refusal() {
    const auto opened = try_open();
    return opened ? std::string{} : opened.error().text;
  }

  void append(const std::vector<Entry>& entries, Zxid committed = {}) {
    ASSERT_TRUE(is_done(store_->append(entries, committed)));
  }

  void snapshot(SnapshotOrigin origin, Zxid zxid, const std::vector<std::string>& chunks) {
    ASSERT_TRUE(is_done(store_->snapshot_begin(origin, zxid)));
    for (const std::string& chunk : chunks)
      ASSERT_TRUE(is_done(store_->snapshot_chunk(origin, chunk)));
    ASSERT_TRUE(is_done(store_->snapshot_finish(origin)));
  }

  std::string snapshot_text() {
    std::string text;
    const auto done = store_->read_snapshot([&](ByteView chunk) -> Expected<void> {
      text += chunk;
      return {};
    });
    EXPECT_TRUE(is_done(done));
    return text;
  }

  std::vector<std::string> files(std::string_view prefix) {
    const auto names = disk_.list("version-2");
    EXPECT_TRUE(is_done(names));
    std::vector<std::string> chosen;
    for (const std::string& name : *names) {
      if (name.starts_with(prefix)) chosen.push_back(name);
    }
    return chosen;
  }

  [[nodiscard]] bool remarked(std::string_view word) {
    return std::ranges::any_of(
        found().remarks, [&](const std::string& r) { return r.find(word) != std::string::npos; });
  }

  ::zkfs::testing::SimDisk disk_;
  Random random_{1};
  StoreOptions options_{.segment_bytes = kSmallSegment, .snapshots_retained = 3};
  std::unique_ptr<Store> store_;
};

}  // namespace zkfs::storage
