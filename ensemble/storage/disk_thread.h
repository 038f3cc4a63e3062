// SPDX-License-Identifier: Apache-2.0
// DiskThread: the StoragePort of production: one thread that owns the Store and runs its
// operations. Group commit without a delay: whatever was queued while the last flush ran is the
// next one (up to limits::kLogBatchBytesMax). Threads: submit() from the core thread; `completed`
// and `failed` are called on the disk thread and must only post to the core. On a Problem it calls
// `failed` once, carries out nothing further and completes nothing further.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "ensemble/storage/storage_port.h"

namespace zkfs::storage {

class DiskThread final : public StoragePort {
 public:
  // `completed(token)`: every operation up to and including `token` is durable (called once per
  // batch).
  DiskThread(std::unique_ptr<Store> store,
             std::function<void(std::uint64_t token)> completed,
             std::function<void(Problem)> failed);
  // From here on the disk thread asks `is_low` (whether the room left is little) at once, after
  // each batch, and every second while it is; `changed` is called, on the disk thread, when the
  // answer is another. To be called before the first submit.
  void watch_space(std::function<bool()> is_low, std::function<void(bool low)> changed);
  // Carries out what is queued, then joins.
  ~DiskThread() override;

  void submit(std::uint64_t token, StorageOp op) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace zkfs::storage
