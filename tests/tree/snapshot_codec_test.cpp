// SPDX-License-Identifier: Apache-2.0
#include "ensemble/tree/snapshot_codec.h"

#include <map>

#include <gtest/gtest.h>

#include "ensemble/base/limits.h"
#include "ensemble/proto/snapshot.pb.h"
#include "ensemble/tree/tree_state.h"
#include "tests/tree/random_txn.h"

namespace zkfs::tree::test {
namespace {

using Chunks = std::vector<Blob>;

Chunks read_all(SnapshotCursor& cursor, std::size_t chunk_bytes = 4096) {
  Chunks chunks;
  while (auto chunk = cursor.next(chunk_bytes, 1000)) chunks.push_back(std::move(*chunk));
  return chunks;
}

Expected<std::unique_ptr<DataTree>> load(const Chunks& chunks) {
  SnapshotLoader loader;
  for (const Blob& chunk : chunks) ZKFS_TRY(loader.add(chunk.view()));
  return loader.finish();
}

// A tree and its model, changed together.
struct Pair {
  explicit Pair(std::uint64_t seed, std::uint64_t txns) : random(seed) {
    for (; txns > 0; --txns) step();
  }

  void step() {
    const Txn txn = random_txn(random, model);
    const Zxid zxid{model.last.value + 1};
    model.apply(zxid, txn);
    tree.apply(zxid, txn);
  }

  Random random;
  Model model;
  DataTree tree;
};

class SnapshotSeeds : public testing::TestWithParam<std::uint64_t> {};

TEST_P(SnapshotSeeds, LoadsWhatWasWritten) {
  Pair pair(GetParam(), 400);
  const auto loaded = load(read_all(*pair.tree.begin_snapshot()));
  ASSERT_TRUE(loaded) << loaded.error().text;
  EXPECT_EQ(pair.model.difference(**loaded, true), "");
  EXPECT_EQ((*loaded)->digest(), pair.tree.digest());
}

TEST_P(SnapshotSeeds, ALoadedTreeGoesOnLikeTheOriginal) {
  Pair pair(GetParam(), 300);
  auto loaded = load(read_all(*pair.tree.begin_snapshot()));
  ASSERT_TRUE(loaded);
  for (std::uint64_t i = 301; i <= 600; ++i) {
    const Txn txn = random_txn(pair.random, pair.model);
    const Outcome expected = pair.model.apply(Zxid{i}, txn);
    ASSERT_EQ(pair.tree.apply(Zxid{i}, txn).outcome, expected);
    ASSERT_EQ((*loaded)->apply(Zxid{i}, txn).outcome, expected);
    ASSERT_EQ((*loaded)->digest(), pair.tree.digest()) << "txn " << i;
  }
}

struct UnderWay {
  std::unique_ptr<SnapshotCursor> cursor;
  Model model;  // as it was at the beginning
  std::uint64_t digest;
  Chunks chunks;
};

void expect_faithful(const UnderWay& snapshot) {
  const auto loaded = load(snapshot.chunks);
  ASSERT_TRUE(loaded) << loaded.error().text;
  EXPECT_EQ((*loaded)->digest(), snapshot.digest);
  EXPECT_EQ(snapshot.model.difference(**loaded, true), "");
  EXPECT_EQ(snapshot.cursor->zxid(), snapshot.model.last);
}

// Several snapshots at a time, begun and read bit by bit between txns, some dropped early.
TEST_P(SnapshotSeeds, ShowTheTreeAsItWasWhenTheyBegan) {
  Pair pair(GetParam(), 200);
  Random random(GetParam() * 77);
  std::vector<UnderWay> snapshots;
  int finished = 0;
  for (int i = 0; i < 1500; ++i) {
    pair.step();
    if (snapshots.size() < 4 && random.chance(1, 8)) {
      snapshots.push_back({pair.tree.begin_snapshot(), pair.model, pair.tree.digest(), {}});
    }
    if (snapshots.empty()) continue;
    const std::size_t which = random.below(snapshots.size());
    UnderWay& snapshot = snapshots[which];
    auto chunk = snapshot.cursor->next(random.between(1, 400), random.between(1, 6));
    if (chunk) snapshot.chunks.push_back(std::move(*chunk));
    if (!chunk) {
      expect_faithful(snapshot);
      ++finished;
    }
    if (!chunk || random.chance(1, 100)) {
      snapshots.erase(snapshots.begin() + static_cast<std::ptrdiff_t>(which));
    }
  }
  EXPECT_GT(finished, 10);
  EXPECT_EQ(pair.model.difference(pair.tree), "");
}

// Whatever is done to the chunks, loading ends in a tree of the right digest or in a Problem.
TEST_P(SnapshotSeeds, DamageIsRefused) {
  Pair pair(GetParam(), 300);
  const Chunks chunks = read_all(*pair.tree.begin_snapshot(), 600);
  Random random(GetParam());
  int refused = 0;
  for (int i = 0; i < 400; ++i) {
    Chunks damaged = chunks;
    const std::size_t which = random.below(damaged.size());
    std::string bytes(damaged[which].view());
    for (std::uint64_t n = random.between(1, 3); n > 0 && !bytes.empty(); --n) {
      bytes[random.below(bytes.size())] = static_cast<char>(random.below(256));
    }
    if (random.chance(1, 4)) bytes.resize(random.below(bytes.size() + 1));
    damaged[which] = Blob(bytes);
    if (random.chance(1, 5)) std::swap(damaged[0], damaged[random.below(damaged.size())]);
    const auto loaded = load(damaged);
    if (!loaded) {
      ++refused;
      EXPECT_FALSE(loaded.error().text.empty());
    } else {
      EXPECT_EQ((*loaded)->recompute_digest(), pair.tree.digest());
    }
  }
  EXPECT_GT(refused, 200);
}

INSTANTIATE_TEST_SUITE_P(Seeds, SnapshotSeeds, testing::Range<std::uint64_t>(1, 9));

TEST(SnapshotCursor, ReadsAFreshTree) {
  DataTree tree;
  const auto loaded = load(read_all(*tree.begin_snapshot()));
  ASSERT_TRUE(loaded) << loaded.error().text;
  EXPECT_EQ(Model().difference(**loaded), "");
}

TEST(SnapshotCursor, EndsWithNothing) {
  DataTree tree;
  const auto cursor = tree.begin_snapshot();
  read_all(*cursor);
  EXPECT_EQ(cursor->next(1, 1), std::nullopt);
}

// A session's client may have sent many multis before the first was answered; a chunk must fit a
// message between servers all the same.
TEST(SnapshotCursor, OutcomesOfOneSessionAreCutIntoChunks) {
  constexpr std::size_t kMultis = 12;
  constexpr std::size_t kChecks = 60'000;
  DataTree tree;
  Txn txn;
  txn.session = SessionId{7};
  txn.xid = txn.first_unanswered = Xid{1};
  txn.body = CreateSessionTxn{.session = txn.session, .timeout_ms = 1'000, .owner = "a"};
  tree.apply(Zxid{Epoch{1}, 1}, txn);
  MultiTxn multi;
  multi.operations.assign(kChecks, CheckTxn{.ino = kRootIno});
  txn.body = multi;
  for (std::uint32_t i = 2; i < 2 + kMultis; ++i) {
    txn.xid = Xid{i};
    tree.apply(Zxid{Epoch{1}, i}, txn);
  }
  for (const std::size_t chunk_bytes : {std::size_t{1}, limits::kSnapshotChunkBytes}) {
    const Chunks chunks = read_all(*tree.begin_snapshot(), chunk_bytes);
    for (const Blob& chunk : chunks) EXPECT_LT(chunk.size(), 1024U * 1024U);
    const auto loaded = load(chunks);
    ASSERT_TRUE(loaded) << loaded.error().text;
    EXPECT_EQ((*loaded)->digest(), tree.digest());
    EXPECT_TRUE((*loaded)->outcome_of(txn.session, txn.xid).has_value());
  }
}

TEST(SnapshotCursor, VisitsNoMoreThanAsked) {
  Pair pair(3, 300);
  const auto cursor = pair.tree.begin_snapshot();
  while (auto bytes = cursor->next(1'000'000, 3)) {
    proto::SnapshotChunk chunk;
    ASSERT_TRUE(chunk.ParseFromString(std::string(bytes->view())));
    EXPECT_LE(chunk.znodes().ino_size(), 3);
  }
}

TEST(SnapshotCursor, ATreeMayEndBeforeIt) {
  auto tree = std::make_unique<DataTree>();
  const auto cursor = tree->begin_snapshot();
  tree->apply(Zxid{1}, Txn{{}, {}, {}, 5, SetDataTxn{kRootIno, Blob("x")}});
  tree.reset();
  EXPECT_EQ(cursor->zxid(), Zxid{});
}

// --- the loader's checks, one by one ---

constexpr SessionId kSession{9};

// The chunks of a small tree, open for changes: /a (2) with /a/b (3), /c (4), a session that holds
// a flock of b and waits for another. Rows of znodes: the root, the system znodes, a, b, c.
struct Parts {
  Parts() {
    DataTree tree;
    const auto create = [&](std::uint64_t ino, Ino parent, const char* name) {
      CreateTxn txn;
      txn.parent = parent;
      txn.name = name;
      txn.ino = Ino{ino};
      txn.acl = open_acl();
      tree.apply(Zxid{ino}, Txn{{}, {}, {}, 100, txn});
    };
    create(2, kRootIno, "a");
    create(3, Ino{2}, "b");
    create(4, kRootIno, "c");
    tree.apply(Zxid{5}, Txn{{}, {}, {}, 100, CreateSessionTxn{kSession, 4000, "s"}});
    LockTxn lock;
    lock.ino = Ino{3};
    lock.mode = LockMode::kExclusive;
    lock.owner = 1;
    lock.request = 1;
    tree.apply(Zxid{6}, Txn{kSession, {}, {}, 100, lock});
    lock.owner = 2;
    lock.request = 2;
    lock.wait = true;
    tree.apply(Zxid{7}, Txn{kSession, {}, {}, 100, lock});
    for (const Blob& bytes : read_all(*tree.begin_snapshot())) {
      messages.emplace_back().ParseFromString(std::string(bytes.view()));
    }
  }

  // Loads it and says why that failed.
  std::string verdict() {
    Chunks chunks;
    for (const auto& message : messages) chunks.emplace_back(message.SerializeAsString());
    const auto loaded = load(chunks);
    return loaded ? "" : loaded.error().text;
  }

  proto::SnapshotHeader& header() { return *messages.at(0).mutable_header(); }

  // Held, then waiting.
  proto::SnapshotLock& lock(int i) { return *messages.at(2).mutable_locks(i); }

  proto::SnapshotZnodes& znodes() { return *messages.at(3).mutable_znodes(); }

  std::vector<proto::SnapshotChunk> messages;  // header, sessions, locks, znodes, end
};

TEST(SnapshotLoader, TakesTheUndamagedParts) {
  EXPECT_EQ(Parts().verdict(), "");
}

TEST(SnapshotLoader, RefusesAnUnknownFormat) {
  Parts parts;
  parts.header().set_format(3);
  EXPECT_EQ(parts.verdict(), "snapshot: unknown format 3");
  parts.header().set_format(0);
  EXPECT_EQ(parts.verdict(), "snapshot: unknown format 0");
}

TEST(SnapshotLoader, RefusesAMissingHeader) {
  Parts parts;
  parts.messages.erase(parts.messages.begin());
  EXPECT_EQ(parts.verdict(), "snapshot: the header is missing");
}

TEST(SnapshotLoader, RefusesAMissingEnd) {
  Parts parts;
  parts.messages.pop_back();
  EXPECT_EQ(parts.verdict(), "snapshot: it ends early");
}

TEST(SnapshotLoader, RefusesAChunkThatComesTwice) {
  Parts parts;
  parts.messages.insert(parts.messages.begin() + 3, parts.messages[3]);
  EXPECT_EQ(parts.verdict(), "snapshot: more znodes than announced");
  parts = Parts();
  parts.messages.insert(parts.messages.begin() + 2, parts.messages[2]);
  EXPECT_EQ(parts.verdict(), "snapshot: a lock of znode 3 cannot be");
}

TEST(SnapshotLoader, RefusesAZnodeThatComesTwice) {
  Parts parts;
  parts.znodes().set_ino(6, 2);
  EXPECT_EQ(parts.verdict(), "snapshot: znode 2 comes twice");
}

TEST(SnapshotLoader, RefusesAMissingChunk) {
  Parts parts;
  parts.messages.erase(parts.messages.begin() + 3);
  EXPECT_EQ(parts.verdict(), "snapshot: the root is missing");
}

TEST(SnapshotLoader, RefusesAMissingParent) {
  Parts parts;
  parts.znodes().set_parent(5, 77);
  EXPECT_EQ(parts.verdict(), "snapshot: znode 3 has no parent 77");
}

TEST(SnapshotLoader, RefusesARingOfParents) {
  Parts parts;
  parts.znodes().set_parent(4, 3);
  EXPECT_EQ(parts.verdict(), "snapshot: 5 of 7 znodes hang below the root");
}

TEST(SnapshotLoader, RefusesTwoChildrenOfOneName) {
  Parts parts;
  parts.znodes().set_names("zookeeperquotaconfigaba");
  EXPECT_EQ(parts.verdict(), "snapshot: 1 has two children of the name of 4");
}

TEST(SnapshotLoader, RefusesAWrongDigest) {
  Parts parts;
  parts.znodes().set_version(5, 9);
  EXPECT_NE(parts.verdict().find("digest"), std::string::npos);
}

TEST(SnapshotLoader, RefusesAWrongCount) {
  Parts parts;
  parts.header().set_znode_count(8);
  EXPECT_NE(parts.verdict().find("7 znodes"), std::string::npos);
}

TEST(SnapshotLoader, RefusesAnUnknownAcl) {
  Parts parts;
  parts.znodes().set_acl(4, 9);
  EXPECT_EQ(parts.verdict(), "snapshot: znode 2: ACL 9 is missing");
}

TEST(SnapshotLoader, RefusesAnEphemeralOfNobody) {
  Parts parts;
  parts.znodes().set_form(5, 1);
  EXPECT_EQ(parts.verdict(), "snapshot: znode 3 is owned by no session");
}

TEST(SnapshotLoader, RefusesALockOfNoSuchNumberOrTime) {
  Parts parts;
  parts.lock(0).set_ino(5);
  EXPECT_NE(parts.verdict(), "");
  parts = Parts();
  parts.lock(0).set_ino(0);
  EXPECT_NE(parts.verdict(), "");
  parts = Parts();
  parts.lock(0).set_zxid(8);
  EXPECT_NE(parts.verdict(), "");
  parts = Parts();
  parts.lock(0).set_space(2);
  EXPECT_NE(parts.verdict(), "");
  parts = Parts();
  parts.lock(0).set_mode(2);
  EXPECT_NE(parts.verdict(), "");
}

TEST(SnapshotLoader, RefusesALockOfNobody) {
  Parts parts;
  parts.lock(1).set_session(8);
  EXPECT_EQ(parts.verdict(), "snapshot: a lock of znode 3 is owned by no session");
}

TEST(SnapshotLoader, RefusesLocksThatCannotBe) {
  Parts parts;
  parts.lock(1).set_waiting(false);
  EXPECT_EQ(parts.verdict(), "snapshot: a lock of znode 3 cannot be") << "held by two";
  parts = Parts();
  parts.lock(0).set_waiting(true);
  parts.lock(0).set_zxid(7);
  EXPECT_EQ(parts.verdict(), "snapshot: a lock of znode 3 cannot be") << "two of one txn";
  parts = Parts();
  parts.lock(0).set_waiting(true);
  parts.lock(0).set_request(2);
  EXPECT_EQ(parts.verdict(), "snapshot: a lock of znode 3 cannot be") << "one number twice";
  parts = Parts();
  parts.lock(0).set_first(1);
  EXPECT_EQ(parts.verdict(), "snapshot: a lock of znode 3 cannot be") << "a flock of a part";
  parts = Parts();
  parts.lock(0).set_space(1);
  parts.lock(0).set_last(4);
  parts.lock(0).set_first(5);
  EXPECT_EQ(parts.verdict(), "snapshot: a lock of znode 3 cannot be") << "an empty range";
  parts = Parts();
  parts.lock(1).set_waiting(false);
  parts.lock(1).set_owner(1);
  EXPECT_EQ(parts.verdict(), "snapshot: a lock of znode 3 cannot be") << "one owner's twice";
}

TEST(SnapshotLoader, RefusesAMissingLock) {
  Parts parts;
  parts.messages.at(2).mutable_locks()->RemoveLast();
  EXPECT_EQ(parts.verdict(), "snapshot: 1 locks instead of 2");
}

TEST(SnapshotLoader, RefusesAnotherPid) {
  Parts parts;
  parts.lock(0).set_pid(1);
  EXPECT_NE(parts.verdict().find("digest"), std::string::npos);
}

TEST(SnapshotLoader, RefusesColumnsOfDifferentLength) {
  Parts parts;
  parts.znodes().add_version(1);
  EXPECT_EQ(parts.verdict(), "snapshot: columns of znodes do not fit each other");
}

// A tree as it was before there were system znodes, as chunks of format 1.
Chunks chunks_of_old_tree(const std::string& name) {
  TreeState tree;
  const auto add = [&tree](Ino ino, std::string_view called) {
    Node node;
    node.ino = ino;
    node.name = NodeName(called);
    node.acl = tree.acls().intern(open_acl());
    node.kind = NodeKind::kDirectory;
    return tree.add(std::move(node));
  };
  const Slot root = add(kRootIno, "");
  const Slot child = add(Ino{2}, name);
  tree.set_create_counter(root, 1);
  tree.link(child, root);
  tree.set_next_ino(Ino{3});
  tree.settle();
  proto::SnapshotChunk header;
  header.mutable_header()->set_format(1);
  header.mutable_header()->set_zxid(1);
  header.mutable_header()->set_next_ino(3);
  header.mutable_header()->set_znode_count(2);
  header.mutable_header()->set_digest(tree.digest());
  proto::SnapshotChunk rows;
  proto::SnapshotAcl& acl = *rows.add_acls();
  acl.add_entries()->set_permissions(Permissions::kAll);
  acl.mutable_entries(0)->set_scheme("world");
  acl.mutable_entries(0)->set_id("anyone");
  proto::SnapshotZnodes& z = *rows.mutable_znodes();
  for (const std::uint64_t ino : {1, 2}) {
    z.add_ino(ino);
    z.add_parent(ino - 1);
    z.add_name_bytes(ino == 1 ? 0 : static_cast<std::uint32_t>(name.size()));
    z.add_create_counter(ino == 1 ? 1 : 0);
    z.add_form(static_cast<std::uint32_t>(NodeKind::kDirectory) << 2U);
    for (auto* column : {z.mutable_data_bytes(), z.mutable_acl()}) column->Add(0);
    for (auto* column : {z.mutable_czxid(), z.mutable_owner_or_ttl()}) column->Add(0);
    for (auto* column : {z.mutable_mzxid(), z.mutable_pzxid(), z.mutable_ctime(), z.mutable_mtime(),
                         z.mutable_change_time()}) {
      column->Add(0);
    }
    for (auto* column : {z.mutable_version(), z.mutable_aversion()}) column->Add(0);
  }
  z.set_names(name);
  proto::SnapshotChunk end;
  end.mutable_end();
  return {Blob(header.SerializeAsString()), Blob(rows.SerializeAsString()),
          Blob(end.SerializeAsString())};
}

TEST(SnapshotLoader, GivesAnOlderTreeTheSystemZnodes) {
  const auto loaded = load(chunks_of_old_tree("app"));
  ASSERT_TRUE(loaded) << loaded.error().text;
  const DataTree& tree = **loaded;
  EXPECT_EQ(tree.node_count(), 5U);
  EXPECT_EQ(tree.find_path("/zookeeper/config")->ino, kConfigIno);
  EXPECT_EQ(tree.find(kRootIno)->stat.cversion, 0);
  EXPECT_EQ(tree.next_ino(), Ino{3});
  EXPECT_EQ(tree.digest(), tree.recompute_digest());
  const auto again = load(read_all(*(*loaded)->begin_snapshot()));
  ASSERT_TRUE(again) << again.error().text;
  EXPECT_EQ((*again)->digest(), tree.digest());
}

TEST(SnapshotLoader, RefusesAnOlderTreeWhoseNameZooKeeperIsTaken) {
  const auto loaded = load(chunks_of_old_tree("zookeeper"));
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().text.find("'zookeeper'"), std::string::npos) << loaded.error().text;
}

TEST(SnapshotLoader, RefusesRandomBytes) {
  Random random(5);
  for (int i = 0; i < 2000; ++i) {
    SnapshotLoader loader;
    EXPECT_FALSE(loader.add(random_bytes(random, 60) + '\xff'));
  }
}

}  // namespace
}  // namespace zkfs::tree::test
