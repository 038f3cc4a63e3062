// SPDX-License-Identifier: Apache-2.0
// ZooKeeper's bugs of fuzzy snapshots and replay (reference 9.10). Ours are exact: what is written
// while txns go on is the tree as of the beginning, and replaying the txns that followed gives the
// tree that wrote it. One test for each number, with the kind of txn that went wrong there.
#include <gtest/gtest.h>

#include "ensemble/tree/data_tree.h"
#include "ensemble/tree/snapshot_codec.h"

namespace zkfs::tree {
namespace {

constexpr SessionId kSession{7};

class BugHistory : public ::testing::Test {
 protected:
  BugHistory() {
    apply(CreateSessionTxn{kSession, 4'000, "test"});
    for (const char* name : {"a", "b", "c"}) create(kRootIno, name);
  }

  void apply(TxnBody body) {
    Txn txn;
    txn.session = kSession;
    txn.time = 1'000;
    txn.body = std::move(body);
    const Zxid zxid{tree_.last_applied().value + 1};
    tree_.apply(zxid, txn);
    log_.emplace_back(zxid, txn);
  }

  Ino create(Ino parent,
             const char* name,
             NodeType type = NodeType::kPersistent,
             AclList acl = open_acl()) {
    CreateTxn txn;
    txn.parent = parent;
    txn.name = name;
    txn.ino = tree_.next_ino();
    txn.data = Blob("data");
    txn.acl = std::move(acl);
    txn.type = type;
    if (type == NodeType::kEphemeral) txn.owner = kSession;
    apply(txn);
    return txn.ino;
  }

  Ino ino(const char* path) { return tree_.find_path(path)->ino; }

  // Takes a snapshot during which `txns` happen, after one znode was visited; loads it; it must be
  // the tree of the beginning; the txns are replayed on it; it must be the tree of the end.
  void expect_exact(const std::function<void()>& txns) {
    const auto begin = tree_.digest();
    const auto zxid = tree_.last_applied();
    auto cursor = tree_.begin_snapshot();
    std::vector<Blob> chunks;
    if (auto first = cursor->next(1, 1)) chunks.push_back(std::move(*first));
    txns();
    while (auto chunk = cursor->next(64, 1)) chunks.push_back(std::move(*chunk));
    SnapshotLoader loader;
    for (const auto& chunk : chunks) ASSERT_TRUE(loader.add(chunk.view()));
    const auto loaded = loader.finish();
    ASSERT_TRUE(loaded) << loaded.error().text;
    EXPECT_EQ((*loaded)->last_applied(), zxid);
    EXPECT_EQ((*loaded)->digest(), begin);
    for (const auto& [at, txn] : log_) {
      if (at > zxid) (*loaded)->apply(at, txn);
    }
    EXPECT_EQ((*loaded)->digest(), tree_.digest());
    EXPECT_EQ((*loaded)->recompute_digest(), tree_.recompute_digest());
  }

  DataTree tree_;
  std::vector<std::pair<Zxid, Txn>> log_;
};

TEST_F(BugHistory, Zookeeper3306AclReferencesSurviveASnapshotUnderChanges) {
  const AclList rare{{Permissions::kRead, "user", "1234"}};
  expect_exact([&] {
    apply(SetAclTxn{ino("/b"), rare});
    create(kRootIno, "z", NodeType::kPersistent, rare);
    apply(SetAclTxn{ino("/b"), open_acl()});
  });
}

TEST_F(BugHistory, Zookeeper3125ParentsKeepTheirPzxid) {
  create(ino("/a"), "child");
  expect_exact([&] {
    create(ino("/c"), "child");
    apply(DeleteTxn{ino("/a/child")});
  });
}

TEST_F(BugHistory, Zookeeper3127AMultiIsWhollyInOrWhollyOut) {
  expect_exact([&] {
    CreateTxn created;
    created.parent = ino("/a");
    created.name = "x";
    created.ino = tree_.next_ino();
    created.acl = open_acl();
    apply(MultiTxn{{created, SetDataTxn{ino("/c"), Blob("multi")}, DeleteTxn{ino("/b")}}});
  });
}

TEST_F(BugHistory, Zookeeper3144SessionsAndTheirEphemeralsAgree) {
  create(kRootIno, "e", NodeType::kEphemeral);
  expect_exact([&] { create(kRootIno, "f", NodeType::kEphemeral); });
}

TEST_F(BugHistory, Zookeeper3145ACloseOfASessionDuringASnapshotIsReplayed) {
  create(kRootIno, "e", NodeType::kEphemeral);
  expect_exact([&] { apply(CloseSessionTxn{kSession, tree_.ephemerals_of(kSession)}); });
}

TEST_F(BugHistory, Zookeeper3249SequenceNumbersGoOnAfterReplay) {
  expect_exact([&] {
    for (int i = 0; i < 5; ++i) create(ino("/a"), ("s" + std::to_string(i)).c_str());
    apply(DeleteTxn{ino("/a/s3")});
  });
  EXPECT_EQ(tree_.find_path("/a")->create_counter, 5);
}

}  // namespace
}  // namespace zkfs::tree
