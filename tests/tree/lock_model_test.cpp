// SPDX-License-Identifier: Apache-2.0
// Locks against the naive model, txn by txn, and through snapshots.
#include "tests/tree/lock_model.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ensemble/tree/snapshot_codec.h"
#include "ensemble/tree/txn_codec.h"

namespace zkfs::tree::test {
namespace {

bool same(const std::vector<LockGrant>& expected, const std::vector<Change>& changes) {
  std::vector<LockGrant> told;
  for (const Change& change : changes) {
    if (change.kind != Change::Kind::kLockGranted) return false;
    told.push_back({change.ino, change.session, change.request});
  }
  const auto equal = [](const LockGrant& a, const LockGrant& b) {
    return a.ino == b.ino && a.session == b.session && a.request == b.request;
  };
  // Files are settled in an order of their own.
  return std::is_permutation(expected.begin(), expected.end(), told.begin(), told.end(), equal);
}

// What a snapshot of `tree` loads as.
std::unique_ptr<DataTree> reloaded(DataTree& tree) {
  SnapshotLoader loader;
  const auto cursor = tree.begin_snapshot();
  while (const auto chunk = cursor->next(200, 10)) {
    const auto added = loader.add(chunk->view());
    EXPECT_TRUE(added) << added.error().text;
  }
  auto loaded = loader.finish();
  EXPECT_TRUE(loaded) << loaded.error().text;
  return loaded ? std::move(*loaded) : std::make_unique<DataTree>();
}

const std::vector<Ino> kFiles{kRootIno, Ino{2}};

class Locks : public testing::TestWithParam<std::uint64_t> {
 protected:
  Locks() : random_(GetParam()) {
    CreateTxn file;
    file.parent = kRootIno;
    file.name = "file";
    file.ino = kFiles.back();
    file.acl = open_acl();
    apply({{}, file});
    for (std::uint64_t i = 1; i <= 3; ++i) open();
  }

  void open() {
    sessions_.push_back(SessionId{++last_session_});
    apply({sessions_.back(), CreateSessionTxn{sessions_.back(), 4000, "s"}});
  }

  ApplyResult apply(LockStep step) {
    const Txn txn{step.session, {}, {}, 5, std::move(step.body)};
    const auto decoded = decode_txn(encode(txn).view());
    EXPECT_TRUE(decoded);
    return tree_->apply(Zxid{tree_->last_applied().value + 1}, *decoded);
  }

  // The model's answer.
  Error tell(const LockStep& step) {
    const Zxid zxid{tree_->last_applied().value + 1};
    if (const auto* lock = std::get_if<LockTxn>(&step.body)) {
      return model_.lock(zxid, step.session, *lock);
    }
    if (const auto* cancel = std::get_if<CancelLockTxn>(&step.body)) {
      return model_.cancel(zxid, step.session, *cancel);
    }
    if (const auto* unlock = std::get_if<UnlockTxn>(&step.body)) {
      model_.unlock(zxid, step.session, *unlock);
    } else {
      model_.end_session(zxid, step.session);
    }
    return Error::kOk;
  }

  LockStep next() {
    if (random_.chance(1, 60)) {
      const SessionId session = sessions_[random_.below(sessions_.size())];
      std::erase(sessions_, session);
      return {session, CloseSessionTxn{session, {}}};
    }
    return random_lock_step(random_, model_, sessions_, kFiles, ++request_);
  }

  Random random_;
  LockModel model_;
  std::unique_ptr<DataTree> tree_ = std::make_unique<DataTree>();
  std::vector<SessionId> sessions_;
  std::uint64_t last_session_ = 0;
  std::uint64_t request_ = 20;
  std::map<Error, int> answers_;
};

TEST_P(Locks, AgreeWithTheModelAfterEveryTxn) {
  std::size_t waited = 0;
  for (int i = 0; i < 2500; ++i) {
    const LockStep step = next();
    const Error expected = tell(step);
    const ApplyResult result = apply(step);
    ASSERT_EQ(result.outcome.error, expected) << "txn " << i << ", body " << step.body.index();
    ASSERT_EQ(model_.difference(*tree_), "") << "txn " << i << ", body " << step.body.index();
    ASSERT_TRUE(same(model_.granted, result.changes)) << "txn " << i;
    ASSERT_EQ(tree_->digest(), tree_->recompute_digest());
    ++answers_[expected];
    waited += result.changes.size();
    if (sessions_.size() < 3) open();
  }
  EXPECT_GT(answers_[Error::kWouldBlock], 50);
  EXPECT_GT(answers_[Error::kLockQueued], 50);
  EXPECT_GT(answers_[Error::kDeadlock], 5);
  EXPECT_GT(waited, 50U);
}

// The loaded one takes the place of the original half of the time; a twin that goes on without
// stays equal to both.
TEST_P(Locks, ALoadedTreeGoesOnLikeTheOriginal) {
  const auto twin = reloaded(*tree_);
  for (int i = 0; i < 600; ++i) {
    if (random_.chance(1, 10)) {
      auto loaded = reloaded(*tree_);
      ASSERT_EQ(model_.difference(*loaded), "");
      if (random_.chance(1, 2)) tree_ = std::move(loaded);
    }
    LockStep step = random_lock_step(random_, model_, sessions_, kFiles, ++request_);
    const Error expected = tell(step);
    const Zxid zxid{tree_->last_applied().value + 1};
    const Txn txn{step.session, {}, {}, 5, step.body};
    ASSERT_EQ(twin->apply(zxid, txn).outcome.error, expected);
    ASSERT_EQ(tree_->apply(zxid, txn).outcome.error, expected);
    ASSERT_EQ(twin->digest(), tree_->digest()) << "txn " << i;
  }
}

TEST_P(Locks, ASnapshotShowsThemAsTheyWereWhenItBegan) {
  for (int i = 0; i < 100; ++i) {
    LockStep step = random_lock_step(random_, model_, sessions_, kFiles, ++request_);
    tell(step);
    apply(std::move(step));
  }
  const auto cursor = tree_->begin_snapshot();
  const auto digest = tree_->digest();
  SnapshotLoader loader;
  while (const auto chunk = cursor->next(100, 10)) {
    ASSERT_TRUE(loader.add(chunk->view()));
    apply(random_lock_step(random_, model_, sessions_, kFiles, ++request_));
  }
  const auto loaded = loader.finish();
  ASSERT_TRUE(loaded) << loaded.error().text;
  EXPECT_EQ((*loaded)->digest(), digest);
  EXPECT_EQ(model_.difference(**loaded), "");
}

// Whatever is done to the chunks, loading ends in the same locks or in a Problem.
TEST_P(Locks, DamageIsRefused) {
  for (int i = 0; i < 100; ++i) {
    apply(random_lock_step(random_, model_, sessions_, kFiles, ++request_));
  }
  std::vector<std::string> chunks;
  const auto cursor = tree_->begin_snapshot();
  while (const auto chunk = cursor->next(300, 10)) chunks.emplace_back(chunk->view());
  ASSERT_GT(chunks.size(), 5U);
  int refused = 0;
  for (int i = 0; i < 300; ++i) {
    auto damaged = chunks;
    std::string& bytes = damaged[random_.between(2, damaged.size() - 3)];
    bytes[random_.below(bytes.size())] = static_cast<char>(random_.below(256));
    SnapshotLoader loader;
    Expected<void> added;
    for (const std::string& chunk : damaged) {
      if (added) added = loader.add(chunk);
    }
    const auto loaded = loader.finish();
    if (loaded) {
      EXPECT_EQ((*loaded)->recompute_digest(), tree_->digest());
    } else {
      ++refused;
    }
  }
  EXPECT_GT(refused, 250);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Locks, testing::Range<std::uint64_t>(1, 9));

}  // namespace
}  // namespace zkfs::tree::test
