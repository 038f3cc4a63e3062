// SPDX-License-Identifier: Apache-2.0
// A mutex and a condition variable, against the rule of the house: the disk thread blocks in
// fdatasync, so it has no event loop that the core could post to. They guard the queue only; the
// Store is touched by the disk thread alone, and nothing is called with the mutex held.
#include "ensemble/storage/disk_thread.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "ensemble/base/check.h"
#include "ensemble/base/limits.h"

namespace zkfs::storage {
namespace {

struct Item {
  std::uint64_t token;
  StorageOp op;
};

constexpr std::chrono::seconds kSpaceInterval{1};

std::size_t bytes_of(const AppendOp& op) {
  std::size_t bytes = 0;
  for (const Entry& entry : op.entries) bytes += entry.bytes.size();
  return bytes;
}

}  // namespace

struct DiskThread::State {
  void run();
  bool take();
  void look_at_space();
  std::size_t carry_out_from(std::size_t begin);

  std::unique_ptr<Store> store;
  std::function<void(std::uint64_t)> completed;
  std::function<void(Problem)> failed;
  std::function<bool()> is_low;           // guarded by mutex until the first submit
  std::function<void(bool)> low_changed;  // the same
  bool low = false;                       // the disk thread's

  std::mutex mutex;
  std::condition_variable wake;
  // Bounded by what the core has out: kOutstandingProposalsMax entries, kSnapshotWindowBytes of
  // chunks.
  std::vector<Item> queue;                      // guarded by mutex
  std::uint64_t last_token = 0;                 // guarded by mutex
  bool stopping = false;                        // guarded by mutex
  bool looks = false;                           // guarded by mutex: the room is to be looked at
  std::vector<Item> work;                       // the disk thread's
  bool broken = false;                          // the disk thread's
  std::vector<const AppendOp*> run_of_appends;  // the disk thread's
  std::jthread thread;                          // last: joins before the rest goes
};

DiskThread::DiskThread(std::unique_ptr<Store> store,
                       std::function<void(std::uint64_t token)> completed,
                       std::function<void(Problem)> failed)
    : state_(std::make_unique<State>()) {
  state_->store = std::move(store);
  state_->completed = std::move(completed);
  state_->failed = std::move(failed);
  state_->thread = std::jthread([state = state_.get()] { state->run(); });
}

DiskThread::~DiskThread() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake.notify_one();
  state_->thread.join();
}

void DiskThread::watch_space(std::function<bool()> is_low, std::function<void(bool low)> changed) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->is_low = std::move(is_low);
    state_->low_changed = std::move(changed);
    state_->looks = true;
  }
  state_->wake.notify_one();
}

void DiskThread::submit(std::uint64_t token, StorageOp op) {
  bool was_empty = false;
  {
    const std::lock_guard lock(state_->mutex);
    ZKFS_CHECK(token > state_->last_token, "token {} after {}", token, state_->last_token);
    state_->last_token = token;
    was_empty = state_->queue.empty();
    state_->queue.push_back({token, std::move(op)});
  }
  // With more than one queued the thread is awake, or was woken by the first.
  if (was_empty) state_->wake.notify_one();
}

void DiskThread::State::run() {
  while (take()) {
    for (std::size_t next = 0; next < work.size() && !broken;) next = carry_out_from(next);
    work.clear();
    look_at_space();
  }
}

void DiskThread::State::look_at_space() {
  if (!is_low || is_low() == low) return;
  low = !low;
  low_changed(low);
}

// Waits for work and takes all that is queued; with little room left, for a while only. False at
// the end.
bool DiskThread::State::take() {
  std::unique_lock lock(mutex);
  const auto ready = [this] { return stopping || looks || !queue.empty(); };
  if (low) {
    wake.wait_for(lock, kSpaceInterval, ready);
  } else {
    wake.wait(lock, ready);
  }
  looks = false;
  work.swap(queue);
  return !work.empty() || !stopping;
}

// Carries out one operation, or the run of appends that begins there. Returns the index after it.
std::size_t DiskThread::State::carry_out_from(std::size_t begin) {
  run_of_appends.clear();
  std::size_t bytes = 0;
  std::size_t end = begin;
  while (end < work.size()) {
    const auto* append = std::get_if<AppendOp>(&work[end].op);
    if (append == nullptr) break;
    bytes += bytes_of(*append);
    if (!run_of_appends.empty() && bytes > limits::kLogBatchBytesMax) break;
    run_of_appends.push_back(append);
    ++end;
  }
  if (run_of_appends.empty()) ++end;
  auto done = run_of_appends.empty() ? execute(*store, work[begin].op)
                                     : execute_appends(*store, run_of_appends);
  if (done) {
    completed(work[end - 1].token);
    return end;
  }
  broken = true;
  failed(std::move(done).error());
  return end;
}

}  // namespace zkfs::storage
