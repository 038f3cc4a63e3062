// SPDX-License-Identifier: Apache-2.0
#include "ensemble/tree/quota.h"

#include <array>

#include "ensemble/base/random.h"
#include "ensemble/tree/snapshot_codec.h"
#include "tests/tree/fixture.h"

namespace zkfs::tree::test {
namespace {

TEST(QuotaText, LimitsAreReadAsZooKeeperWritesThem) {
  EXPECT_EQ(parse_quota_limits("count=5,bytes=10"), (QuotaLimits{5, 10, -1, -1}));
  EXPECT_EQ(parse_quota_limits("count=-1,bytes=-1=;byteHardLimit=100;countHardLimit=5"),
            (QuotaLimits{-1, -1, 5, 100}));
  EXPECT_EQ(parse_quota_limits("count=,bytes=7"), (QuotaLimits{-1, 7, -1, -1}));
  for (const char* odd : {"", "=", ",;,", "count", "count=x", "count=1x", "other=5", "count=="})
    EXPECT_EQ(parse_quota_limits(odd), QuotaLimits{}) << odd;
}

class QuotaTest : public TreeTest {
 protected:
  // The quota of "/name" in the root.
  Ino set_quota(const std::string& name) {
    const Ino quota = create(kQuotaIno, name);
    create(quota, "zookeeper_limits");
    return quota;
  }

  void write(Ino ino, const std::string& data) { apply(SetDataTxn{ino, Blob(data)}); }

  QuotaUsage usage(Ino quota) { return tree.quota_usage(quota).value(); }
};

TEST_F(QuotaTest, CountsTheTopAndWhatIsBelow) {
  const Ino quota = set_quota("a");
  EXPECT_EQ(usage(quota), QuotaUsage{});
  const Ino a = create(kRootIno, "a");
  write(a, "12");
  const Ino b = create(a, "b");
  write(create(b, "c"), "345");
  write(create(kRootIno, "ab"), "6");
  EXPECT_EQ(usage(quota), (QuotaUsage{3, 5}));
  write(a, "");
  apply(DeleteTxn{tree.find_path("/a/b/c")->ino});
  EXPECT_EQ(usage(quota), (QuotaUsage{2, 0}));
}

TEST_F(QuotaTest, CountsWhatIsThereWhenItIsSet) {
  const Ino a = create(kRootIno, "a");
  write(create(a, "b"), "345");
  EXPECT_EQ(usage(set_quota("a")), (QuotaUsage{2, 3}));
}

TEST_F(QuotaTest, StatsAreShownNotWritten) {
  const Ino quota = set_quota("a");
  const Ino stats = create(quota, "zookeeper_stats");
  write(create(kRootIno, "a"), "xyz");
  const Stat before = stat(stats);
  const Ino b = create(tree.find_path("/a")->ino, "b");
  EXPECT_EQ(node(stats).data.view(), "count=2,bytes=3");
  EXPECT_EQ(stat(stats).data_length, 15U);
  EXPECT_EQ(stat(stats).version, before.version);
  EXPECT_EQ(stat(stats).mzxid, before.mzxid);
  apply(DeleteTxn{b});
  EXPECT_EQ(tree.digest(), tree.recompute_digest());
}

TEST_F(QuotaTest, EndsWithItsLastMark) {
  const Ino quota = set_quota("a");
  const Ino stats = create(quota, "zookeeper_stats");
  apply(DeleteTxn{tree.find_path("/zookeeper/quota/a/zookeeper_limits")->ino});
  EXPECT_TRUE(tree.quota_usage(quota));
  apply(DeleteTxn{stats});
  EXPECT_FALSE(tree.quota_usage(quota));
}

TEST_F(QuotaTest, OfTheRootIsNone) {
  create(kQuotaIno, "zookeeper_limits");
  EXPECT_FALSE(tree.quota_usage(kQuotaIno));
}

TEST_F(QuotaTest, ZooKeepersOwnIsNotCounted) {
  const Ino quota = set_quota("zookeeper");
  create(kZookeeperIno, "x");
  EXPECT_EQ(usage(quota), QuotaUsage{});
}

// --- against a naive recount ---

QuotaUsage count_naively(const DataTree& tree, Ino ino) {
  const Znode znode = tree.find(ino).value();
  QuotaUsage sum{1, znode.stat.data_length};
  for (const Ino child : tree.children_of(ino)) {
    const QuotaUsage below = count_naively(tree, child);
    sum = {sum.count + below.count, sum.bytes + below.bytes};
  }
  return sum;
}

void expect_exact(const DataTree& tree, Ino at, const std::string& path) {
  const bool marked = tree.find_child(at, kQuotaLimitsName) || tree.find_child(at, kQuotaStatsName);
  const auto usage = tree.quota_usage(at);
  ASSERT_EQ(usage.has_value(), marked && at != kQuotaIno) << path;
  const auto subject = tree.find_path(path.empty() ? "/" : path);
  if (usage) {
    EXPECT_EQ(*usage, subject ? count_naively(tree, subject->ino) : QuotaUsage{}) << path;
  }
  for (const Ino child : tree.children_of(at)) {
    expect_exact(tree, child, path + "/" + std::string(tree.find(child)->name));
  }
}

class RandomChanges {
 public:
  explicit RandomChanges(std::uint64_t seed) : random_(seed) {}

  void step() {
    std::vector<Ino> all = below(kRootIno);
    std::erase_if(all, [](Ino ino) { return is_system(ino); });
    std::vector<Ino> parents = all;
    parents.insert(parents.end(), {kRootIno, kQuotaIno});
    const Ino parent = parents[random_.below(parents.size())];
    const std::string name = this->name();
    const auto there = tree.find_child(parent, name);
    const auto what = random_.below(8);
    if (what < 3 && !there && all.size() < 40) {
      CreateTxn txn;
      txn.parent = parent;
      txn.name = name;
      txn.ino = tree.next_ino();
      txn.acl = open_acl();
      txn.data = data();
      return apply(txn);
    }
    if (all.empty()) return;
    const Ino ino = all[random_.below(all.size())];
    if (what == 3 && tree.children_of(ino).empty()) return apply(DeleteTxn{ino});
    if (what == 4) return apply(SetDataTxn{ino, data()});
    if (what == 5) return apply(AppendTxn{ino, data()});
    if (what > 5) rename(ino, parent, name, there);
  }

  DataTree tree;

 private:
  void apply(TxnBody body) {
    const Zxid zxid{tree.last_applied().value + 1};
    tree.apply(zxid, Txn{{}, {}, {}, 0, std::move(body)});
  }

  void rename(Ino ino, Ino parent, const std::string& name, const std::optional<Znode>& there) {
    if (tree.is_ancestor(ino, parent)) return;
    if (!there) return apply(RenameTxn{ino, parent, name, {}, false});
    if (is_system(there->ino) || there->ino == ino) return;
    if (random_.chance(1, 2)) {
      if (tree.is_ancestor(there->ino, tree.find(ino)->parent)) return;
      return apply(RenameTxn{ino, parent, name, there->ino, true});
    }
    const bool directory = tree.find(ino)->is_directory();
    if (directory != there->is_directory()) return;
    if (!tree.children_of(directory ? there->ino : ino).empty()) return;
    apply(RenameTxn{ino, parent, name, there->ino, false});
  }

  std::vector<Ino> below(Ino top) {
    std::vector<Ino> result;
    for (const Ino child : tree.children_of(top)) {
      result.push_back(child);
      for (const Ino ino : below(child)) result.push_back(ino);
    }
    return result;
  }

  std::string name() {
    static const std::array<const char*, 6> kNames{
        "a", "b", "a", "zookeeper_limits", "c", "zookeeper_stats"};
    return kNames.at(random_.below(kNames.size()));
  }

  Blob data() { return Blob(std::string(random_.below(5), 'x')); }

  Random random_;
};

class QuotaModel : public testing::TestWithParam<std::uint64_t> {};

TEST_P(QuotaModel, EveryQuotaIsExactAfterEachChange) {
  RandomChanges changes(GetParam());
  std::size_t quotas = 0;
  for (int i = 0; i < 3000 && !testing::Test::HasFailure(); ++i) {
    changes.step();
    expect_exact(changes.tree, kQuotaIno, "");
    for (const Ino ino : changes.tree.children_of(kQuotaIno)) {
      const auto usage = changes.tree.quota_usage(ino);
      quotas += usage && usage->count > 1 ? 1 : 0;
    }
  }
  EXPECT_GT(quotas, 50U) << "the changes met too few quotas";
}

TEST_P(QuotaModel, ALoadedTreeCountsTheSame) {
  RandomChanges changes(GetParam());
  for (int i = 0; i < 400; ++i) changes.step();
  const auto cursor = changes.tree.begin_snapshot();
  SnapshotLoader loader;
  while (auto chunk = cursor->next(4096, 1000)) ASSERT_TRUE(loader.add(chunk->view()));
  const auto loaded = loader.finish();
  ASSERT_TRUE(loaded) << loaded.error().text;
  expect_exact(**loaded, kQuotaIno, "");
}

INSTANTIATE_TEST_SUITE_P(Seeds, QuotaModel, testing::Range<std::uint64_t>(1, 9));

}  // namespace
}  // namespace zkfs::tree::test
