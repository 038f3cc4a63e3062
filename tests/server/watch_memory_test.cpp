// SPDX-License-Identifier: Apache-2.0
// What a watch costs. Counts the heap, so no other test shares this process. The bounds on time are
// far above what is expected (printed): they catch a change of complexity, not a slow machine.
#include <ctime>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include "ensemble/server/watch_table.h"

namespace zkfs::server {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

// Just above a growth of the hash tables, where they are at their emptiest.
constexpr std::size_t kWatches = 330'000;

std::size_t heap_bytes() {
  const auto info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

// Of this process's CPU time: other tests run at the same time.
double seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

class WatchMemory : public testing::Test {
 protected:
  void SetUp() override {
    if (kSanitized) GTEST_SKIP() << "neither the heap nor the time is ours to count";
  }

  // Distinct paths, by so many connections in turn. The bytes of their text.
  std::size_t fill(std::size_t connections) {
    std::size_t text_bytes = 0;
    for (std::size_t i = 0; i < kWatches; ++i) {
      const std::string path = fmt::format("/services/shard-{:03}/instance-{:08}", i % 1000, i);
      text_bytes += path.size();
      table->add(static_cast<WatcherId>(i % connections), path, WatchKind::kData);
    }
    return text_bytes;
  }

  double bytes_per_watch(std::size_t connections) {
    const std::size_t before = heap_bytes();
    const std::size_t text_bytes = fill(connections);
    const double bytes = static_cast<double>(heap_bytes() - before - text_bytes) / kWatches;
    fmt::print("{:.1f} bytes a watch by {} connections\n", bytes, connections);
    return bytes;
  }

  std::unique_ptr<WatchTable> table = std::make_unique<WatchTable>();
};

TEST_F(WatchMemory, AWatchCostsLessThan120BytesBesideItsPath) {
  EXPECT_LE(bytes_per_watch(1), 120);
}

TEST_F(WatchMemory, AWatchAndItsConnectionCostLessThan140Bytes) {
  EXPECT_LE(bytes_per_watch(kWatches), 140);
}

TEST_F(WatchMemory, WhatAConnectionHadIsGivenBackWhenItIsDropped) {
  const std::size_t before = heap_bytes();
  fill(1);
  const double start = seconds();
  table->drop(0);
  const double took = seconds() - start;
  fmt::print("dropped in {:.2f} s\n", took);
  EXPECT_LT(took, 10);
  EXPECT_LT(heap_bytes(), before + 1'000'000);
}

}  // namespace
}  // namespace zkfs::server
