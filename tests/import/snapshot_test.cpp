// SPDX-License-Identifier: Apache-2.0
// Snapshots of ZooKeeper: their versions, damage, and what their fuzziness asks of the replay.
#include <gtest/gtest.h>

#include "ensemble/import/zookeeper_tree.h"
#include "tests/import/source.h"

namespace zkfs::zookeeper {
namespace {

using tree::NodeType;

StatPersisted made_at(std::int64_t zxid, std::int64_t owner = 0) {
  StatPersisted stat;
  stat.czxid = stat.mzxid = stat.pzxid = zxid;
  stat.ctime = stat.mtime = kTime + zxid;
  stat.ephemeral_owner = owner;
  return stat;
}

StatPersisted parent(std::int32_t created, std::int64_t pzxid) {
  StatPersisted stat;
  stat.cversion = created;
  stat.pzxid = pzxid;
  return stat;
}

class ImportSnapshot : public testing::Test {
 protected:
  // A snapshot of zxid 5 with a log that ends there.
  void write(const SnapshotText& snapshot, const std::string& name = "snapshot.5") {
    source_.write(name, snapshot.bytes());
    source_.write("log.5", log_header() + log_record(5, kErrorType, error(-1)));
  }

  std::unique_ptr<tree::DataTree> tree() {
    auto imported = source_.read();
    if (!imported) ADD_FAILURE() << imported.error().text;
    return imported ? std::move(imported->tree) : std::make_unique<tree::DataTree>();
  }

  std::string problem() {
    const auto imported = source_.read();
    return imported ? "none" : imported.error().text;
  }

  Source source_;
};

SnapshotText sample() {
  StatPersisted stat = made_at(2);
  stat.mzxid = 3;
  stat.pzxid = 4;
  stat.mtime += 7;
  stat.version = 11;
  stat.cversion = 12;
  stat.aversion = 13;
  return {
      .sessions = {77},
      .acls = {{1, {{31, "digest", "bob:hash"}}}},
      .znodes = znodes({{"/a", Blob("data"), 1, stat}, {"/a/b", Blob::null(), -1, made_at(4)}})};
}

void expect_sample(const tree::DataTree& tree) {
  const auto a = tree.find_path("/a");
  ASSERT_TRUE(a);
  EXPECT_EQ(a->data.view(), "data");
  EXPECT_EQ(*a->acl, (tree::AclList{{31, "digest", "bob:hash"}}));
  EXPECT_EQ(a->stat.czxid, Zxid{2});
  EXPECT_EQ(a->stat.mzxid, Zxid{3});
  EXPECT_EQ(a->stat.pzxid, Zxid{4});
  EXPECT_EQ(a->stat.ctime, kTime + 2);
  EXPECT_EQ(a->stat.mtime, kTime + 9);
  EXPECT_EQ(a->stat.version, 11);
  EXPECT_EQ(a->stat.cversion, 23);
  EXPECT_EQ(a->stat.aversion, 13);
  EXPECT_EQ(a->create_counter, 12);
  EXPECT_EQ(*tree.find_path("/a/b")->acl, tree::open_acl());
  EXPECT_TRUE(tree.find_path("/a/b")->data.is_null());
  EXPECT_EQ(tree.last_applied(), Zxid{5});
}

TEST_F(ImportSnapshot, StatDataAndAclAreKept) {
  write(sample());
  expect_sample(*tree());
}

TEST_F(ImportSnapshot, TheAppendicesOfLaterVersionsAreVerified) {
  for (const auto& [digest, last_zxid] : {std::pair{true, false}, {true, true}, {false, true}}) {
    SnapshotText snapshot = sample();
    snapshot.digest = digest;
    snapshot.last_zxid = last_zxid;
    write(snapshot);
    expect_sample(*tree());
    std::string bytes = snapshot.bytes();
    bytes[bytes.size() - 15] ^= 1;
    source_.write("snapshot.5", bytes);
    EXPECT_NE(problem().find("snapshot.5: not a valid snapshot"), std::string::npos) << problem();
  }
}

TEST_F(ImportSnapshot, MayBeCompressedByGzip) {
  source_.write("log.5", log_header() + log_record(5, kErrorType, error(-1)));
  const std::string bytes = gzip(sample().bytes());
  source_.write("snapshot.5.gz", bytes);
  expect_sample(*tree());
  source_.write("snapshot.5.gz", bytes.substr(0, bytes.size() - 9));
  EXPECT_NE(problem().find("snapshot.5.gz: not a valid snapshot"), std::string::npos) << problem();
}

TEST_F(ImportSnapshot, SnappyIsRefusedWithTheRemedy) {
  source_.write("log.5", log_header() + log_record(5, kErrorType, error(-1)));
  source_.write("snapshot.5.snappy", "\x82SNAPPY");
  EXPECT_NE(problem().find("compression.method=gz"), std::string::npos) << problem();
}

TEST_F(ImportSnapshot, AnyDamageIsFound) {
  const DataFile file{source_.path() + "/version-2/snapshot.5", Zxid{5}};
  const auto is_valid = [&](const std::string& content) {
    source_.write("snapshot.5", content);
    ZooKeeperTree tree;
    return read_snapshot(file, tree).has_value();
  };
  const std::string bytes = sample().bytes();
  EXPECT_TRUE(is_valid(bytes));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] ^= 4;
    EXPECT_FALSE(is_valid(damaged)) << i;
  }
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(is_valid(bytes.substr(0, size))) << size;
  }
}

TEST_F(ImportSnapshot, ADamagedOneIsPassedOverIfTheLogMakesUpForIt) {
  source_.write("snapshot.0", SnapshotText{.znodes = znodes()}.bytes());
  source_.write("snapshot.2", "ZKSN");
  source_.write_log(1, {{kCreateType, create("/a", Blob(), 1)},
                        {kCreateType, create("/b", Blob(), 2)},
                        {kCreateType, create("/c", Blob(), 3)}});
  const auto imported = source_.read();
  ASSERT_TRUE(imported) << imported.error().text;
  EXPECT_TRUE(imported->tree->find_path("/c"));
  EXPECT_EQ(imported->remarks.size(), 1U);
}

TEST_F(ImportSnapshot, WithoutAnyTheLogMustBeginAtTheBeginning) {
  source_.write_log(7, {{kErrorType, error(-1)}});
  EXPECT_NE(problem().find("the log does not begin at the beginning"), std::string::npos)
      << problem();
}

TEST_F(ImportSnapshot, OwnersTellTheTypes) {
  const auto container = std::numeric_limits<std::int64_t>::min();
  const auto ttl = static_cast<std::int64_t>(0xff00000000000000ULL | 60'000);
  const auto ttl_353 = static_cast<std::int64_t>(0x8000000000000000ULL | 50'000);
  const auto server_255 = static_cast<std::int64_t>(0xff12345678000001ULL);
  SnapshotText snapshot{.sessions = {0x100000001, ttl + 1},
                        .znodes = znodes({{"/container", {}, -1, made_at(1, container)},
                                          {"/ttl", {}, -1, made_at(1, ttl)},
                                          {"/ttl353", {}, -1, made_at(1, ttl_353)},
                                          {"/e1", {}, -1, made_at(1, 0x100000001)},
                                          {"/e2", {}, -1, made_at(1, server_255)},
                                          {"/e3", {}, -1, made_at(1, ttl + 1)}})};
  write(snapshot);
  const auto imported = source_.read();
  ASSERT_TRUE(imported) << imported.error().text;
  const auto& made = *imported->tree;
  EXPECT_EQ(made.find_path("/container")->type, NodeType::kContainer);
  EXPECT_EQ(made.find_path("/ttl")->type, NodeType::kTtl);
  EXPECT_EQ(made.find_path("/ttl")->ttl_ms, 60'000);
  EXPECT_EQ(made.find_path("/ttl353")->ttl_ms, 50'000);
  for (const char* path : {"/e1", "/e2", "/e3"}) EXPECT_FALSE(made.find_path(path)) << path;
  EXPECT_EQ(imported->ephemerals_left_out, 3U);
}

// --- fuzziness: the snapshot of zxid 5 holds a part of what the log after it does ---

TEST_F(ImportSnapshot, ACreateThatIsThereRaisesTheParent) {
  // Deleted by a closed session and made again by another after the parent was written.
  SnapshotText snapshot{.znodes = znodes({{"/a", Blob("x"), -1, made_at(7)}})};
  snapshot.znodes[0].stat = parent(1, 1);
  source_.write("snapshot.5", snapshot.bytes());
  const tree::AclList acl{{1, "world", "anyone"}};
  source_.write_log(
      6, {{kErrorType, error(-1)}, {kCreateType, create("/a", Blob("x"), 2, false, acl)}});
  const auto made = tree();
  EXPECT_EQ(made->find_path("/")->create_counter, 2);
  EXPECT_EQ(made->find_path("/")->stat.pzxid, Zxid{7});
  EXPECT_EQ(made->find_path("/a")->stat.czxid, Zxid{7});
  EXPECT_EQ(*made->find_path("/a")->acl, acl);
}

TEST_F(ImportSnapshot, WhatTheParentHasSeenIsNotCountedAgain) {
  SnapshotText snapshot{.znodes = znodes()};
  snapshot.znodes[0].stat = parent(9, 9);
  source_.write("snapshot.5", snapshot.bytes());
  source_.write_log(
      6,
      {{kCreateType, create("/a", Blob(), 7)},
       {kDeleteType, remove("/a")},
       {kCreateType, create("/b", Blob(), 8)},
       {kMultiType, multi({{kDeleteType, remove("/b")}, {kCreateType, create("/b", Blob(), 9)}})}});
  const auto root = tree()->find_path("/");
  EXPECT_EQ(root->create_counter, 9);
  EXPECT_EQ(root->stat.pzxid, Zxid{9});
}

TEST_F(ImportSnapshot, ADeleteOfWhatIsGoneRaisesTheParentsPzxid) {
  SnapshotText snapshot{.znodes = znodes()};
  snapshot.znodes[0].stat = parent(3, 4);
  source_.write("snapshot.5", snapshot.bytes());
  source_.write_log(6, {{kDeleteType, remove("/a")}, {kSetDataType, set_data("/a", Blob(), 1)}});
  EXPECT_EQ(tree()->find_path("/")->stat.pzxid, Zxid{6});
}

TEST_F(ImportSnapshot, ADeleteTakesALaterLifeOfTheSubtreeAlong) {
  SnapshotText snapshot{
      .znodes = znodes({{"/a", Blob("2"), -1, made_at(7)}, {"/a/c", Blob("2"), -1, made_at(8)}})};
  snapshot.znodes[0].stat = parent(2, 7);
  source_.write("snapshot.5", snapshot.bytes());
  source_.write_log(6, {{kDeleteType, remove("/a")},
                        {kCreateType, create("/a", Blob("1"), 2)},
                        {kCreateType, create("/a/c", Blob("2"), 1)},
                        {kSetDataType, set_data("/a", Blob("2"), 1)}});
  const auto made = tree();
  EXPECT_EQ(made->find_path("/a")->data.view(), "2");
  EXPECT_EQ(made->find_path("/a")->create_counter, 1);
  EXPECT_EQ(made->find_path("/a/c")->data.view(), "2");
}

TEST_F(ImportSnapshot, ACreateWhoseParentIsGoneIsLeftOut) {
  source_.write("snapshot.5", SnapshotText{.znodes = znodes()}.bytes());
  source_.write_log(6, {{kCreateType, create("/a/b", Blob(), 1)},
                        {kDeleteType, remove("/a/b")},
                        {kDeleteType, remove("/a")}});
  EXPECT_FALSE(tree()->find_path("/a"));
}

TEST_F(ImportSnapshot, AnAclThatCameLaterIsInTheLog) {
  SnapshotText snapshot{.znodes = znodes({{"/a", Blob(), 42, made_at(6)}})};
  source_.write("snapshot.5", snapshot.bytes());
  source_.write_log(6, {{kCreateType, create("/a", Blob(), 1)}});
  EXPECT_EQ(*tree()->find_path("/a")->acl, tree::open_acl());
  source_.write_log(6, {{kErrorType, error(-1)}});
  EXPECT_NE(problem().find("/a: its ACL 42 is not in the snapshot"), std::string::npos)
      << problem();
}

TEST_F(ImportSnapshot, ALogThatEndsBeforeTheSnapshotIsRefused) {
  write({.znodes = znodes({{"/a", Blob(), -1, made_at(8)}})});
  EXPECT_NE(problem().find("/a: is newer than the log, which ends at 0x5"), std::string::npos)
      << problem();
}

}  // namespace
}  // namespace zkfs::zookeeper
