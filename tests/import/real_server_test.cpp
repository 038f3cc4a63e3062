// SPDX-License-Identifier: Apache-2.0
// What real ZooKeeper servers answer, and what becomes of their data directories, znode by znode:
// stat, data and ACL. Snapshots are taken while clients write, so that they are fuzzy.
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ensemble/import/importer.h"
#include "tests/system/shell.h"

namespace zkfs::zookeeper {
namespace {

namespace fs = std::filesystem;
using testing::run;

class RealServer : public ::testing::Test {
 protected:
  void SetUp() override {
    if (run("command -v java && test -e /usr/share/java/zookeeper.jar &&"
            " test -e /usr/share/java/slf4j-simple.jar && /usr/bin/python3 -c 'import kazoo'")
            .status != 0) {
      GTEST_SKIP() << "no java, zookeeper.jar or kazoo here";
    }
    std::string pattern = (fs::temp_directory_path() / "zkfs-import-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }

  void TearDown() override {
    if (!root_.empty()) fs::remove_all(root_);
  }

  // Lines by path.
  std::map<std::string, std::string> run_servers(int count, int seed) {
    const auto made =
        run(fmt::format("/usr/bin/python3 " ZKFS_REAL_SERVER " {}/servers {} {} 2> {}/errors",
                        root_, count, seed, root_),
            testing::Seconds(200));
    EXPECT_EQ(made.status, 0) << testing::read_file(root_ + "/errors");
    std::map<std::string, std::string> lines;
    std::istringstream in(made.output);
    for (std::string line; std::getline(in, line);) lines[line.substr(0, line.find(' '))] = line;
    return lines;
  }

  Expected<Imported> import_of(int server) const {
    return read_zookeeper(fmt::format("{}/servers/{}", root_, server), "");
  }

  std::string root_;
};

std::string hex(ByteView bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

// As real_server.py prints a znode.
std::string line_of(const std::string& path, const tree::Znode& znode) {
  const tree::Stat& s = znode.stat;
  std::string value = znode.data.is_null() ? "null" : hex(znode.data.view());
  if (value.size() >= 1000) value = fmt::format("{}", value.size());
  std::string line = fmt::format("{} {} {} {} {} {} {} {} {} {} {} ", path, s.czxid.value,
                                 s.mzxid.value, s.pzxid.value, s.ctime, s.mtime, s.version,
                                 s.cversion, s.aversion, s.num_children, value);
  std::string_view blank;
  for (const tree::AclEntry& entry : *znode.acl) {
    line += fmt::format("{}{}:{}:{}", blank, entry.permissions, entry.scheme, entry.id);
    blank = " ";
  }
  return line;
}

void collect(const tree::DataTree& tree,
             const std::string& path,
             std::map<std::string, std::string>& lines) {
  const auto znode = tree.find_path(path);
  ASSERT_TRUE(znode) << path;
  lines[path] = line_of(path, *znode);
  for (const Ino child : tree.children_of(znode->ino)) collect(tree, tree.path_of(child), lines);
}

// What differs by design: the servers' list; statistics of quotas, which ZooKeeper rewrites without
// a txn; and the directory that had ephemerals, which is looked at apart.
void leave_out(std::map<std::string, std::string>& lines) {
  for (const char* path :
       {"/zookeeper/config", "/zookeeper/quota/acl/zookeeper_stats", "/held", "last"})
    lines.erase(path);
}

void expect_same(const tree::DataTree& tree, std::map<std::string, std::string> answered) {
  std::map<std::string, std::string> imported;
  collect(tree, "/", imported);
  leave_out(answered);
  leave_out(imported);
  EXPECT_GT(answered.size(), 20U);
  for (const auto& [path, line] : answered) EXPECT_EQ(imported[path], line);
  for (const auto& [path, line] : imported) EXPECT_TRUE(answered.contains(path)) << line;
  EXPECT_EQ(tree.digest(), tree.recompute_digest());
}

void expect_types(const tree::DataTree& tree) {
  EXPECT_EQ(tree.find_path("/types/container")->type, tree::NodeType::kContainer);
  EXPECT_EQ(tree.find_path("/types/unused")->type, tree::NodeType::kContainer);
  EXPECT_EQ(tree.find_path("/types/ttl")->type, tree::NodeType::kTtl);
  EXPECT_EQ(tree.find_path("/types/ttl")->ttl_ms, 123456789);
  EXPECT_TRUE(tree.find_path("/types/null")->data.is_null());
  EXPECT_FALSE(tree.find_path("/types/empty")->data.is_null());
}

// Four ephemerals went, one znode stays; the next sequential one continues.
void expect_closed_sessions(const tree::DataTree& tree) {
  const auto held = tree.find_path("/held");
  ASSERT_TRUE(held);
  EXPECT_EQ(held->stat.num_children, 1U);
  EXPECT_EQ(held->create_counter, 5);
  EXPECT_EQ(held->stat.cversion, 9);
  EXPECT_EQ(held->stat.pzxid, tree.last_applied());
}

TEST_F(RealServer, AServerAloneIsImportedZnodeByZnode) {
  for (int seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE(seed);
    fs::remove_all(root_ + "/servers");
    const auto answered = run_servers(1, seed);
    const auto imported = import_of(1);
    ASSERT_TRUE(imported) << imported.error().text;
    expect_same(*imported->tree, answered);
    expect_types(*imported->tree);
    expect_closed_sessions(*imported->tree);
    EXPECT_EQ(imported->ephemerals_left_out, 4U);
    EXPECT_EQ(imported->quotas, 1U);
    EXPECT_EQ(fmt::format("last {}", imported->tree->last_applied().value), answered.at("last"));
  }
}

// Older snapshots are fuzzy just as well, and more of the log has to make up for it.
TEST_F(RealServer, EverySnapshotAndTheLogAfterItComeToTheSameTree) {
  const auto answered = run_servers(1, 4);
  const std::string data = root_ + "/servers/1/version-2";
  std::vector<std::pair<std::size_t, fs::path>> snapshots;
  for (const auto& entry : fs::directory_iterator(data)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("snapshot.")) snapshots.emplace_back(name.size(), entry.path());
  }
  std::ranges::sort(snapshots, std::greater<>());
  ASSERT_GT(snapshots.size(), 5U);
  std::size_t txns = 0;
  for (const auto& [size, path] : snapshots) {
    SCOPED_TRACE(path.string());
    const auto imported = import_of(1);
    ASSERT_TRUE(imported) << imported.error().text;
    expect_same(*imported->tree, answered);
    EXPECT_GE(imported->txns, txns);
    txns = imported->txns;
    fs::remove(path);
  }
}

TEST_F(RealServer, AnEnsembleGoesOnAboveItsEpochs) {
  const auto answered = run_servers(3, 5);
  const auto imported = import_of(1);
  ASSERT_TRUE(imported) << imported.error().text;
  expect_same(*imported->tree, answered);
  expect_types(*imported->tree);
  expect_closed_sessions(*imported->tree);
  EXPECT_EQ(fmt::format("last {}", imported->tree->last_applied().value), answered.at("last"));
  EXPECT_EQ(imported->tree->last_applied().epoch(), imported->current_epoch);
  EXPECT_GE(imported->current_epoch, Epoch{2});
  EXPECT_GE(imported->accepted_epoch, imported->current_epoch);
}

}  // namespace
}  // namespace zkfs::zookeeper
