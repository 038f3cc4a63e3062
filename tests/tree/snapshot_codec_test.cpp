// SPDX-License-Identifier: Apache-2.0
#include "ensemble/tree/snapshot_codec.h"

#include <map>

#include <gtest/gtest.h>

#include "ensemble/proto/snapshot.pb.h"
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
// a flock of b and waits for another.
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
  parts.header().set_format(2);
  EXPECT_EQ(parts.verdict(), "snapshot: unknown format 2");
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
  parts.znodes().set_ino(3, 2);
  EXPECT_EQ(parts.verdict(), "snapshot: znode 2 comes twice");
}

TEST(SnapshotLoader, RefusesAMissingChunk) {
  Parts parts;
  parts.messages.erase(parts.messages.begin() + 3);
  EXPECT_EQ(parts.verdict(), "snapshot: the root is missing");
}

TEST(SnapshotLoader, RefusesAMissingParent) {
  Parts parts;
  parts.znodes().set_parent(2, 77);
  EXPECT_EQ(parts.verdict(), "snapshot: znode 3 has no parent 77");
}

TEST(SnapshotLoader, RefusesARingOfParents) {
  Parts parts;
  parts.znodes().set_parent(1, 3);
  EXPECT_EQ(parts.verdict(), "snapshot: 2 of 4 znodes hang below the root");
}

TEST(SnapshotLoader, RefusesTwoChildrenOfOneName) {
  Parts parts;
  parts.znodes().set_names("aba");
  EXPECT_EQ(parts.verdict(), "snapshot: 1 has two children of the name of 4");
}

TEST(SnapshotLoader, RefusesAWrongDigest) {
  Parts parts;
  parts.znodes().set_version(2, 9);
  EXPECT_NE(parts.verdict().find("digest"), std::string::npos);
}

TEST(SnapshotLoader, RefusesAWrongCount) {
  Parts parts;
  parts.header().set_znode_count(5);
  EXPECT_NE(parts.verdict().find("4 znodes"), std::string::npos);
}

TEST(SnapshotLoader, RefusesAnUnknownAcl) {
  Parts parts;
  parts.znodes().set_acl(1, 9);
  EXPECT_EQ(parts.verdict(), "snapshot: znode 2: ACL 9 is missing");
}

TEST(SnapshotLoader, RefusesAnEphemeralOfNobody) {
  Parts parts;
  parts.znodes().set_form(2, 1);
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

TEST(SnapshotLoader, RefusesRandomBytes) {
  Random random(5);
  for (int i = 0; i < 2000; ++i) {
    SnapshotLoader loader;
    EXPECT_FALSE(loader.add(random_bytes(random, 60) + '\xff'));
  }
}

}  // namespace
}  // namespace zkfs::tree::test
