// SPDX-License-Identifier: Apache-2.0
#include "ensemble/storage/disk_thread.h"

#include <condition_variable>
#include <mutex>

#include "ensemble/base/limits.h"
#include "tests/storage/store_fixture.h"

namespace zkfs::storage {
namespace {

constexpr Epoch kOne{1};

// What the disk thread reported, for the test's thread to wait on.
class Reports {
 public:
  void completed(std::uint64_t token) {
    const std::lock_guard lock(mutex_);
    tokens_.push_back(token);
    changed_.notify_all();
  }

  void failed(const Problem& problem) {
    const std::lock_guard lock(mutex_);
    problems_.push_back(problem.text);
    changed_.notify_all();
  }

  void wait_for(std::uint64_t token) {
    std::unique_lock lock(mutex_);
    changed_.wait(
        lock, [&] { return !problems_.empty() || (!tokens_.empty() && tokens_.back() >= token); });
  }

  void wait_for_problem() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !problems_.empty(); });
  }

  std::vector<std::uint64_t> tokens() {
    const std::lock_guard lock(mutex_);
    return tokens_;
  }

  std::vector<std::string> problems() {
    const std::lock_guard lock(mutex_);
    return problems_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::uint64_t> tokens_;
  std::vector<std::string> problems_;
};

class DiskThread : public StoreFixture {
 protected:
  void start() {
    open();
    thread_ = std::make_unique<zkfs::storage::DiskThread>(
        std::move(store_), [this](std::uint64_t token) { reports_.completed(token); },
        [this](const Problem& problem) { reports_.failed(problem); });
  }

  void submit_append(std::uint32_t counter, std::size_t size = 20) {
    thread_->submit(++token_, AppendOp{entries_of(kOne, counter, counter, size), Zxid{}});
  }

  Reports reports_;
  std::unique_ptr<zkfs::storage::DiskThread> thread_;
  std::uint64_t token_ = 0;
};

TEST_F(DiskThread, CompletesInOrderAndDurably) {
  start();
  for (std::uint32_t i = 1; i <= 300; ++i) submit_append(i);
  reports_.wait_for(300);
  EXPECT_TRUE(std::ranges::is_sorted(reports_.tokens()));
  EXPECT_EQ(reports_.tokens().back(), 300U);
  thread_.reset();
  crash_and_open();
  EXPECT_EQ(found().entries, entries_of(kOne, 1, 300));
}

TEST_F(DiskThread, CarriesOutWhatIsQueuedBeforeItEnds) {
  start();
  for (std::uint32_t i = 1; i <= 50; ++i) submit_append(i);
  thread_.reset();
  EXPECT_EQ(reports_.tokens().back(), 50U);
}

TEST_F(DiskThread, AllKindsOfOperationsAreCarriedOut) {
  start();
  submit_append(1);
  submit_append(2);
  submit_append(3);
  thread_->submit(++token_, TruncateOp{Zxid{kOne, 2}});
  thread_->submit(++token_, SaveAcceptedEpochOp{Epoch{4}});
  thread_->submit(++token_, SaveCurrentEpochOp{Epoch{3}});
  thread_->submit(++token_, SnapshotBeginOp{SnapshotOrigin::kOwn, Zxid{kOne, 1}});
  thread_->submit(++token_, SnapshotChunkOp{SnapshotOrigin::kOwn, Blob{"state"}});
  thread_->submit(++token_, SnapshotFinishOp{SnapshotOrigin::kOwn});
  thread_->submit(++token_, SnapshotBeginOp{SnapshotOrigin::kReceived, Zxid{kOne, 9}});
  thread_->submit(++token_, SnapshotAbandonOp{SnapshotOrigin::kReceived});
  thread_->submit(++token_, PurgeOp{});
  thread_.reset();
  EXPECT_TRUE(reports_.problems().empty());
  EXPECT_EQ(reports_.tokens().back(), token_);
  open();
  EXPECT_EQ(found().entries, entries_of(kOne, 2, 2));
  EXPECT_EQ(found().accepted_epoch, Epoch{4});
  EXPECT_EQ(found().current_epoch, Epoch{3});
  EXPECT_EQ(snapshot_text(), "state");
}

TEST_F(DiskThread, FailureIsReportedOnceAndEndsEverything) {
  start();
  submit_append(1);
  reports_.wait_for(1);
  disk_.fail_sync(1);
  submit_append(2);
  reports_.wait_for_problem();
  submit_append(3);
  thread_->submit(++token_, SaveAcceptedEpochOp{Epoch{1}});
  thread_.reset();
  EXPECT_EQ(reports_.tokens(), std::vector<std::uint64_t>{1});
  EXPECT_EQ(reports_.problems().size(), 1U);
}

TEST_F(DiskThread, QueuedAppendsShareASync) {
  // The first completion holds the disk thread until the rest is queued.
  open();
  std::mutex gate;
  std::vector<std::uint64_t> tokens;
  {
    std::unique_lock closed(gate);
    zkfs::storage::DiskThread thread(
        std::move(store_),
        [&](std::uint64_t token) {
          const std::lock_guard wait(gate);
          tokens.push_back(token);
        },
        [](const Problem&) {});
    thread.submit(1, SaveAcceptedEpochOp{Epoch{1}});
    for (std::uint32_t i = 1; i <= 100; ++i)
      thread.submit(1 + i, AppendOp{entries_of(kOne, i, i), Zxid{}});
    closed.unlock();
  }
  EXPECT_EQ(tokens.back(), 101U);
  EXPECT_LE(tokens.size(), 3U);
}

TEST_F(DiskThread, BatchIsBoundedInBytes) {
  options_.segment_bytes = 64ULL << 20U;
  open();
  std::mutex gate;
  std::vector<std::uint64_t> tokens;
  {
    std::unique_lock closed(gate);
    zkfs::storage::DiskThread thread(
        std::move(store_),
        [&](std::uint64_t token) {
          const std::lock_guard wait(gate);
          tokens.push_back(token);
        },
        [](const Problem&) {});
    thread.submit(1, SaveAcceptedEpochOp{Epoch{1}});
    for (std::uint32_t i = 1; i <= 20; ++i)
      thread.submit(1 + i, AppendOp{entries_of(kOne, i, i, 1U << 20U), Zxid{}});
    closed.unlock();
  }
  EXPECT_EQ(tokens.back(), 21U);
  EXPECT_GE(tokens.size(), 1 + (20U << 20U) / limits::kLogBatchBytesMax);
}

TEST_F(DiskThread, ManyThreadsTurnsEndCleanly) {
  for (int round = 0; round < 50; ++round) {
    start();
    const auto first = static_cast<std::uint32_t>(round * 3 + 1);
    for (std::uint32_t i = 0; i < 3; ++i) submit_append(first + i);
    thread_.reset();
  }
  EXPECT_TRUE(reports_.problems().empty());
}

}  // namespace
}  // namespace zkfs::storage
