// SPDX-License-Identifier: Apache-2.0
// What a znode costs, and how long a million of them take. Counts the heap, so no other test shares
// this process. The bounds on time are far above what is expected (printed): they catch a change of
// complexity, not a slow machine.
#include <ctime>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include "ensemble/tree/data_tree.h"
#include "ensemble/tree/snapshot_codec.h"

namespace zkfs::tree {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

constexpr std::uint64_t kDirectories = 1000;
constexpr std::uint64_t kChildren = 1000;
constexpr std::uint64_t kDataBytes = 100;

std::size_t heap_bytes() {
  const auto info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

// Of this process's CPU time: other tests run at the same time.
double seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

// 1000 directories of 1000; returns the bytes of names.
std::uint64_t fill(DataTree& tree) {
  std::uint64_t name_bytes = 0;
  const auto create = [&](Ino parent, std::string name) {
    CreateTxn txn;
    txn.parent = parent;
    txn.name = std::move(name);
    txn.ino = tree.next_ino();
    txn.data = Blob(std::string(kDataBytes, 'd'));
    txn.acl = open_acl();
    name_bytes += txn.name.size();
    const Zxid zxid{tree.last_applied().value + 1};
    return tree.apply(zxid, Txn{{}, {}, {}, 1'700'000'000'000, std::move(txn)}).outcome.ino;
  };
  for (std::uint64_t d = 0; d < kDirectories; ++d) {
    const Ino directory = create(kRootIno, fmt::format("dir-{:08}", d));
    for (std::uint64_t c = 0; c < kChildren; ++c) create(directory, fmt::format("n-{:010}", c));
  }
  return name_bytes;
}

TEST(DataTreeMemory, AMillionZnodesCostLessThan250BytesEach) {
  if (kSanitized) GTEST_SKIP() << "the heap is not ours to count";
  const std::size_t before = heap_bytes();
  auto tree = std::make_unique<DataTree>();
  const double start = seconds();
  const std::uint64_t name_bytes = fill(*tree);
  const double applying = seconds() - start;
  const auto nodes = static_cast<double>(tree->node_count());
  const auto used = static_cast<double>(heap_bytes() - before);
  const double overhead = (used - static_cast<double>(name_bytes + tree->data_bytes())) / nodes;
  fmt::print("{:.1f} bytes of overhead a znode, {:.2f} us a create\n", overhead,
             applying / nodes * 1e6);
  EXPECT_LE(overhead, 250);
  tree.reset();
  EXPECT_LT(heap_bytes(), before + 1'000'000);
}

TEST(DataTreeMemory, AMillionZnodesAreWrittenAndLoadedInTime) {
  if (kSanitized) GTEST_SKIP() << "the time is not ours to count";
  DataTree tree;
  fill(tree);
  std::vector<Blob> chunks;
  double slowest = 0;
  double start = seconds();
  const auto cursor = tree.begin_snapshot();
  while (true) {
    const double one = seconds();
    auto chunk = cursor->next(256 * 1024, 10000);
    if (!chunk) break;
    chunks.push_back(std::move(*chunk));
    slowest = std::max(slowest, seconds() - one);
  }
  const double writing = seconds() - start;
  const std::size_t before = heap_bytes();
  start = seconds();
  SnapshotLoader loader;
  for (const Blob& chunk : chunks) ASSERT_TRUE(loader.add(chunk.view()));
  const auto loaded = loader.finish();
  const double loading = seconds() - start;
  ASSERT_TRUE(loaded) << loaded.error().text;
  EXPECT_EQ((*loaded)->digest(), tree.digest());
  fmt::print(
      "written in {:.2f} s ({} chunks, slowest {:.1f} ms), loaded in {:.2f} s into {:.0f} MB\n",
      writing, chunks.size(), slowest * 1e3, loading,
      static_cast<double>(heap_bytes() - before) / 1e6);
  EXPECT_LT(loading, 10);
}

}  // namespace
}  // namespace zkfs::tree
