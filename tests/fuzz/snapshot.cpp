// SPDX-License-Identifier: Apache-2.0
// Chunks of a snapshot, from a disk or a leader, each after its length in two bytes. A tree that
// the loader lets through must be sound.
#include "ensemble/base/check.h"
#include "ensemble/tree/data_tree.h"
#include "ensemble/tree/snapshot_codec.h"
#include "tests/fuzz/target.h"

namespace zkfs::fuzz {
namespace {

tree::Txn create(Ino ino, Ino parent, std::string name) {
  tree::Txn txn;
  txn.time = 1000;
  txn.body = tree::CreateTxn{.parent = parent,
                             .name = std::move(name),
                             .ino = ino,
                             .data = Blob("data"),
                             .acl = tree::open_acl(),
                             .owner = SessionId{}};
  return txn;
}

// In chunks of about `chunk_bytes`.
std::string input_of(tree::DataTree& tree, std::size_t chunk_bytes) {
  std::string input;
  const auto cursor = tree.begin_snapshot();
  while (const auto chunk = cursor->next(chunk_bytes, 1000)) {
    input.push_back(static_cast<char>(chunk->size() / 256));
    input.push_back(static_cast<char>(chunk->size() % 256));
    input += chunk->view();
  }
  return input;
}

}  // namespace

bool run_snapshot(ByteView input) {
  tree::SnapshotLoader loader;
  while (!input.empty()) {
    const std::size_t high = take_byte(input);
    const std::size_t length = high * 256 + take_byte(input);
    const ByteView chunk = input.substr(0, length);
    input.remove_prefix(chunk.size());
    if (!loader.add(chunk)) return false;
  }
  const auto tree = loader.finish();
  if (tree) ZKFS_CHECK((*tree)->digest() == (*tree)->recompute_digest(), "another digest");
  return tree.has_value();
}

std::vector<std::string> snapshot_seeds() {
  std::vector<std::string> seeds;
  tree::DataTree tree;
  const auto add = [&] {
    seeds.push_back(input_of(tree, 1));
    seeds.push_back(input_of(tree, 1 << 15));
  };
  add();
  std::uint32_t counter = 0;
  const Ino first = tree.next_ino();
  tree.apply(Zxid(Epoch{1}, ++counter), create(first, kRootIno, "a"));
  tree.apply(Zxid(Epoch{1}, ++counter), create(tree.next_ino(), first, "b"));
  add();
  tree::Txn session;
  session.body = tree::CreateSessionTxn{.session = SessionId{7}, .timeout_ms = 10, .owner = "me"};
  tree.apply(Zxid(Epoch{1}, ++counter), session);
  tree::Txn ephemeral = create(tree.next_ino(), kRootIno, "e");
  std::get<tree::CreateTxn>(ephemeral.body).type = tree::NodeType::kEphemeral;
  std::get<tree::CreateTxn>(ephemeral.body).owner = SessionId{7};
  ephemeral.session = SessionId{7};
  ephemeral.xid = Xid{1};
  ephemeral.first_unanswered = Xid{1};
  tree.apply(Zxid(Epoch{1}, ++counter), ephemeral);
  add();
  return seeds;
}

}  // namespace zkfs::fuzz
