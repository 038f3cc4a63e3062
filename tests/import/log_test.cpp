// SPDX-License-Identifier: Apache-2.0
// Each kind of record of ZooKeeper's log, and logs that end in a crash or are damaged.
#include <gtest/gtest.h>

#include "ensemble/import/zookeeper_files.h"
#include "tests/import/source.h"

namespace zkfs::zookeeper {
namespace {

using tree::NodeType;
using Txns = std::vector<std::pair<std::int32_t, std::string>>;

class ImportLog : public testing::Test {
 protected:
  // Of a log from the beginning.
  std::unique_ptr<tree::DataTree> tree_of(const Txns& txns) {
    source_.write_log(1, txns);
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

TEST_F(ImportLog, CreateHasTheStatOfZooKeeper) {
  const auto tree = tree_of(
      {{kCreateType, create("/a", Blob("x"), 1)}, {kCreateType, create("/a/b", Blob::null(), 1)}});
  const auto a = tree->find_path("/a");
  ASSERT_TRUE(a);
  EXPECT_EQ(a->data.view(), "x");
  EXPECT_EQ(a->stat.czxid, Zxid{1});
  EXPECT_EQ(a->stat.mzxid, Zxid{1});
  EXPECT_EQ(a->stat.pzxid, Zxid{2});
  EXPECT_EQ(a->stat.ctime, kTime + 1);
  EXPECT_EQ(a->stat.mtime, kTime + 1);
  EXPECT_EQ(a->stat.version, 0);
  EXPECT_EQ(a->stat.cversion, 1);
  EXPECT_EQ(a->create_counter, 1);
  EXPECT_EQ(*a->acl, tree::open_acl());
  EXPECT_TRUE(tree->find_path("/a/b")->data.is_null());
  EXPECT_EQ(tree->last_applied(), Zxid{2});
  EXPECT_EQ(tree->digest(), tree->recompute_digest());
}

TEST_F(ImportLog, ACreateOf33HasNoCounterAndRaisesTheParents) {
  const auto tree =
      tree_of({{kCreateType, create_v0("/a", Blob("x"))}, {kCreateType, create_v0("/b", Blob())}});
  ASSERT_TRUE(tree->find_path("/b"));
  EXPECT_EQ(tree->find_path("/")->create_counter, 2);
  EXPECT_EQ(tree->find_path("/")->stat.pzxid, Zxid{2});
}

TEST_F(ImportLog, DeleteRaisesOnlyThePzxid) {
  const auto tree = tree_of({{kCreateType, create("/a", Blob(), 1)},
                             {kCreateType, create("/b", Blob(), 2)},
                             {kDeleteType, remove("/a")},
                             {kDeleteContainerType, remove("/b")}});
  EXPECT_FALSE(tree->find_path("/a"));
  EXPECT_FALSE(tree->find_path("/b"));
  EXPECT_EQ(tree->find_path("/")->create_counter, 2);
  EXPECT_EQ(tree->find_path("/")->stat.pzxid, Zxid{4});
}

TEST_F(ImportLog, SetDataHasItsVersionInTheTxn) {
  const auto tree = tree_of({{kCreateType, create("/a", Blob("x"), 1)},
                             {kSetDataType, set_data("/a", Blob("yy"), 1)},
                             {kSetDataType, set_data("/a", Blob::null(), 2)}});
  const auto a = tree->find_path("/a");
  EXPECT_TRUE(a->data.is_null());
  EXPECT_EQ(a->stat.version, 2);
  EXPECT_EQ(a->stat.mzxid, Zxid{3});
  EXPECT_EQ(a->stat.mtime, kTime + 3);
  EXPECT_EQ(a->stat.czxid, Zxid{1});
}

TEST_F(ImportLog, SetAclChangesOnlyTheAclAndItsVersion) {
  const tree::AclList acl{{5, "digest", "bob:hash"}, {1, "ip", "10.0.0.1"}};
  const auto tree =
      tree_of({{kCreateType, create("/a", Blob("x"), 1)}, {kSetAclType, set_acl("/a", acl, 1)}});
  EXPECT_EQ(*tree->find_path("/a")->acl, acl);
  EXPECT_EQ(tree->find_path("/a")->stat.aversion, 1);
  EXPECT_EQ(tree->find_path("/a")->stat.mzxid, Zxid{1});
}

TEST_F(ImportLog, ContainersAndTtlZnodesKeepTheirType) {
  const auto tree = tree_of({{kCreateContainerType, create_container("/c", 1)},
                             {kCreateTtlType, create_ttl("/t", 2, 5000)}});
  EXPECT_EQ(tree->find_path("/c")->type, NodeType::kContainer);
  EXPECT_EQ(tree->find_path("/t")->type, NodeType::kTtl);
  EXPECT_EQ(tree->find_path("/t")->ttl_ms, 5000);
}

TEST_F(ImportLog, AMultiIsAppliedUnlessItFailed) {
  const auto tree = tree_of(
      {{kMultiType, multi({{kCreateType, create("/a", Blob(), 1)},
                           {kCreate2Type, create("/a/b", Blob(), 1)},
                           {kCheckType, check("/a", 0)},
                           {kSetDataType, set_data("/a/b", Blob("x"), 1)},
                           {kCreateType, create("/c", Blob(), 2)},
                           {kDeleteType, remove("/c")}}) +
                        digest(1)},
       {kMultiType, multi({{kErrorType, error(0)}, {kErrorType, error(-101)}})},
       {kMultiType, multi({{kCreateType, create("/no", Blob(), 3)}, {kErrorType, error(-110)}})}});
  EXPECT_EQ(tree->find_path("/a/b")->data.view(), "x");
  EXPECT_FALSE(tree->find_path("/c"));
  EXPECT_FALSE(tree->find_path("/no"));
  EXPECT_EQ(tree->find_path("/")->create_counter, 2);
  EXPECT_EQ(tree->last_applied(), Zxid{3});
}

TEST_F(ImportLog, AFailedTxnTakesItsZxidOnly) {
  const auto tree = tree_of({{kErrorType, error(-101)}, {kErrorType, error(-110) + digest(9)}});
  EXPECT_EQ(tree->last_applied(), Zxid{2});
}

TEST_F(ImportLog, AClosedSessionTakesItsListAndWhatItOwns) {
  const auto tree = tree_of({{kCreateSessionType, create_session(30'000)},
                             {kCreateType, create("/listed", Blob(), 1, true)},
                             {kCreateType, create("/owned", Blob(), 2, true)},
                             {kCreateType, create("/stays", Blob(), 3)},
                             {kCloseSessionType, close_session({"/listed", "/gone"})}});
  EXPECT_FALSE(tree->find_path("/listed"));
  EXPECT_FALSE(tree->find_path("/owned"));
  EXPECT_TRUE(tree->find_path("/stays"));
  EXPECT_EQ(tree->find_path("/")->stat.pzxid, Zxid{5});
  EXPECT_EQ(tree->find_path("/")->create_counter, 3);
}

TEST_F(ImportLog, AClosedSessionMayHaveNoList) {
  for (const std::string& body : {std::string(), digest(0x0102030405060708), digest(1)}) {
    source_.write_log(1, {{kCreateType, create("/e", Blob(), 1, true)},
                          {kCloseSessionType, body},
                          {kErrorType, error(-1)}});
    const auto imported = source_.read();
    ASSERT_TRUE(imported) << imported.error().text;
    EXPECT_EQ(imported->ephemerals_left_out, 0U);
    EXPECT_EQ(imported->tree->find_path("/")->stat.pzxid, Zxid{2});
    EXPECT_EQ(imported->tree->last_applied(), Zxid{3});
  }
}

TEST_F(ImportLog, DigestsOf36AreLeftOut) {
  const auto tree = tree_of({{kCreateType, create("/a", Blob("x"), 1) + digest(1)},
                             {kSetDataType, set_data("/a", Blob("y"), 1) + digest(2)},
                             {kSetAclType, set_acl("/a", tree::open_acl(), 1) + digest(3)},
                             {kCreateTtlType, create_ttl("/t", 2, 5) + digest(3)},
                             {kCreateContainerType, create_container("/c", 3) + digest(3)},
                             {kDeleteType, remove("/c") + digest(4)},
                             {kCreateSessionType, create_session(1) + digest(4)},
                             {kCloseSessionType, close_session({"/t"}) + digest(4)}});
  EXPECT_EQ(tree->find_path("/a")->data.view(), "y");
  EXPECT_FALSE(tree->find_path("/c"));
  EXPECT_FALSE(tree->find_path("/t"));
}

TEST_F(ImportLog, EphemeralsOfOpenSessionsGoAsByClosingThem) {
  source_.write_log(1, {{kCreateSessionType, create_session(30'000)},
                        {kCreateType, create("/d", Blob(), 1)},
                        {kCreateType, create("/d/e", Blob(), 1, true)},
                        {kSetDataType, set_data("/d", Blob("x"), 1)}});
  const auto imported = source_.read();
  ASSERT_TRUE(imported) << imported.error().text;
  EXPECT_EQ(imported->sessions_left_out, 1U);
  EXPECT_EQ(imported->ephemerals_left_out, 1U);
  const auto d = imported->tree->find_path("/d");
  EXPECT_EQ(d->stat.num_children, 0U);
  EXPECT_EQ(d->create_counter, 1);
  EXPECT_EQ(d->stat.cversion, 2);
  EXPECT_EQ(d->stat.pzxid, Zxid{4});
}

TEST_F(ImportLog, TheServersListIsLeftOut) {
  const auto tree = tree_of({{kCreateType, create("/zookeeper/config", Blob("server.1=x"), 1)},
                             {kReconfigType, set_data("/zookeeper/config", Blob("y"), 1)}});
  const auto config = tree->find_path("/zookeeper/config");
  EXPECT_TRUE(!config || config->data.empty());
}

TEST_F(ImportLog, QuotasAreZnodesBelowZookeeper) {
  source_.write_log(
      1,
      {{kCreateType, create("/zookeeper/quota/a", Blob::null(), 1)},
       {kCreateType, create("/zookeeper/quota/a/zookeeper_limits", Blob("count=5,bytes=-1"), 1)}});
  const auto imported = source_.read();
  ASSERT_TRUE(imported) << imported.error().text;
  EXPECT_EQ(imported->quotas, 1U);
  EXPECT_EQ(imported->tree->find_path("/zookeeper/quota/a/zookeeper_limits")->data.view(),
            "count=5,bytes=-1");
}

// --- damage ---

std::string first_log() {
  return log_header() + log_record(1, kCreateType, create("/a", Blob(), 1)) +
         log_record(2, kCreateType, create("/b", Blob(), 2));
}

TEST_F(ImportLog, ATornTailIsLeftOut) {
  const std::string last = log_record(3, kCreateType, create("/c", Blob("xyz"), 3));
  for (std::size_t size = 1; size < last.size(); ++size) {
    source_.write("log.1", first_log() + last.substr(0, size) + std::string(200, '\0'));
    const auto imported = source_.read();
    ASSERT_TRUE(imported) << size << ": " << imported.error().text;
    EXPECT_EQ(imported->tree->last_applied(), Zxid{2});
    EXPECT_FALSE(imported->tree->find_path("/c"));
    // A part of zeros cannot be told from the room after the last record.
    EXPECT_EQ(imported->remarks.size(), last.find_first_not_of('\0') < size ? 1U : 0U) << size;
  }
}

TEST_F(ImportLog, ABadChecksumAtTheTailIsTorn) {
  std::string bytes = first_log();
  bytes[bytes.size() - 3] ^= 1;
  source_.write("log.1", bytes);
  const auto imported = source_.read();
  ASSERT_TRUE(imported) << imported.error().text;
  EXPECT_EQ(imported->tree->last_applied(), Zxid{1});
  EXPECT_EQ(imported->remarks.size(), 1U);
}

TEST_F(ImportLog, ABadChecksumBeforeAValidRecordIsDamage) {
  std::string bytes = first_log();
  bytes[40] ^= 1;
  source_.write("log.1", bytes);
  EXPECT_NE(problem().find("log.1: damaged at offset 16: a valid record follows at offset "),
            std::string::npos)
      << problem();
}

TEST_F(ImportLog, ARecordOfZerosBeforeAValidOneIsDamage) {
  std::string bytes = first_log();
  const std::size_t second =
      bytes.size() - log_record(2, kCreateType, create("/b", Blob(), 2)).size();
  std::fill(bytes.begin() + 16, bytes.begin() + static_cast<std::ptrdiff_t>(second), '\0');
  source_.write("log.1", bytes);
  EXPECT_NE(problem().find("damaged at offset 16"), std::string::npos) << problem();
}

TEST_F(ImportLog, AHoleIsRefused) {
  source_.write("log.1", first_log());
  source_.write("log.4", log_header() + log_record(4, kErrorType, error(-1)));
  EXPECT_NE(problem().find("log.4: the txn 0x4 at offset 16 does not follow 0x2"),
            std::string::npos)
      << problem();
}

TEST_F(ImportLog, ATornTailMayBeFollowedByANewFile) {
  source_.write("log.1", first_log() + "\1\2\3");
  source_.write("log.3", log_header() + log_record(3, kErrorType, error(-1)));
  source_.write("log.4", "");
  const auto imported = source_.read();
  ASSERT_TRUE(imported) << imported.error().text;
  EXPECT_EQ(imported->tree->last_applied(), Zxid{3});
  EXPECT_EQ(imported->remarks.size(), 2U);
}

TEST_F(ImportLog, ANewEpochBeginsWithItsFirstTxn) {
  source_.write("log.1", first_log());
  source_.write("log.300000001", log_header() + log_record(0x300000001, kErrorType, error(-1)));
  const auto imported = source_.read();
  ASSERT_TRUE(imported) << imported.error().text;
  EXPECT_EQ(imported->tree->last_applied(), Zxid(Epoch{3}, 1));
  EXPECT_EQ(imported->current_epoch, Epoch{3});
}

TEST_F(ImportLog, AnUnknownTypeIsRefusedWithFileAndOffset) {
  source_.write_log(1, {{99, ""}});
  EXPECT_NE(problem().find("log.1: the txn 0x1 at offset 16, of type 99"), std::string::npos)
      << problem();
}

TEST_F(ImportLog, ARecordThatDoesNotParseIsRefused) {
  source_.write_log(1, {{kCreateType, create("/a", Blob(), 1) + "more"}});
  EXPECT_NE(problem().find("the txn 0x1 at offset 16, of type 1"), std::string::npos) << problem();
}

}  // namespace
}  // namespace zkfs::zookeeper
