// SPDX-License-Identifier: Apache-2.0
// What the core thread pays per txn, lookup and codec call in a tree of 100 000 znodes.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "ensemble/tree/data_tree.h"
#include "ensemble/tree/txn_codec.h"

namespace zkfs::tree {
namespace {

constexpr std::uint64_t kNodes = 100'000;

Txn creation(const DataTree& tree, Ino parent, std::string name) {
  CreateTxn txn;
  txn.parent = parent;
  txn.name = std::move(name);
  txn.ino = tree.next_ino();
  txn.data = Blob(std::string(100, 'd'));
  txn.acl = open_acl();
  return Txn{{}, {}, {}, 1'700'000'000'000, std::move(txn)};
}

void apply(DataTree& tree, const Txn& txn) {
  tree.apply(Zxid{tree.last_applied().value + 1}, txn);
}

void fill(DataTree& tree) {
  for (std::uint64_t i = 0; i < kNodes; ++i) {
    apply(tree, creation(tree, kRootIno, fmt::format("node-{:06}", i)));
  }
}

void create_and_delete(benchmark::State& state) {
  DataTree tree;
  fill(tree);
  for (auto _ : state) {
    const Ino ino = tree.next_ino();
    apply(tree, creation(tree, kRootIno, "one-more"));
    apply(tree, Txn{{}, {}, {}, 0, DeleteTxn{ino}});
  }
}

void set_data(benchmark::State& state) {
  DataTree tree;
  fill(tree);
  const Blob data(std::string(static_cast<std::size_t>(state.range(0)), 'x'));
  std::uint64_t n = 0;
  for (auto _ : state)
    apply(tree, Txn{{}, {}, {}, 0, SetDataTxn{Ino{2 + n++ * 7919 % kNodes}, data}});
}

void set_data_with_outcome_kept(benchmark::State& state) {
  DataTree tree;
  fill(tree);
  apply(tree, Txn{{}, {}, {}, 0, CreateSessionTxn{SessionId{1}, 1, ""}});
  const Blob data(std::string(100, 'x'));
  std::uint64_t n = 64;
  for (auto _ : state) {
    ++n;
    apply(tree,
          Txn{SessionId{1}, Xid{n}, Xid{n - 60}, 0, SetDataTxn{Ino{2 + n * 7919 % kNodes}, data}});
  }
}

void find_child(benchmark::State& state) {
  DataTree tree;
  fill(tree);
  std::uint64_t n = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        tree.find_child(kRootIno, fmt::format("node-{:06}", n++ * 7919 % kNodes)));
  }
}

void encode_create(benchmark::State& state) {
  DataTree tree;
  const Txn txn = creation(tree, kRootIno, "node-000001");
  for (auto _ : state) benchmark::DoNotOptimize(encode(txn));
}

void decode_create(benchmark::State& state) {
  DataTree tree;
  const Blob bytes = encode(creation(tree, kRootIno, "node-000001"));
  for (auto _ : state) benchmark::DoNotOptimize(decode_txn(bytes.view()));
}

BENCHMARK(create_and_delete);
BENCHMARK(set_data)->Arg(100)->Arg(1'000'000);
BENCHMARK(set_data_with_outcome_kept);
BENCHMARK(find_child);
BENCHMARK(encode_create);
BENCHMARK(decode_create);

}  // namespace
}  // namespace zkfs::tree
