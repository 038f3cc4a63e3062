// SPDX-License-Identifier: Apache-2.0
// MeteredStorage: a StoragePort that notes how long appended entries take to be durable, as the
// core sees it: from submit until the completion has come back. Core thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <utility>

#include "ensemble/base/clock.h"
#include "ensemble/base/metrics_text.h"
#include "ensemble/storage/storage_port.h"

namespace zkfs {

class MeteredStorage final : public storage::StoragePort {
 public:
  MeteredStorage(storage::StoragePort& storage, std::function<Instant()> now)
      : storage_(storage), now_(std::move(now)) {}

  void submit(std::uint64_t token, storage::StorageOp op) override {
    if (std::holds_alternative<storage::AppendOp>(op)) appends_.emplace_back(token, now_());
    storage_.submit(token, std::move(op));
  }

  // Everything up to `token` is durable.
  void done(std::uint64_t token) {
    while (!appends_.empty() && appends_.front().first <= token) {
      latencies_.add(now_() - appends_.front().second);
      appends_.pop_front();
    }
  }

  [[nodiscard]] const Histogram& latencies() const { return latencies_; }

 private:
  storage::StoragePort& storage_;
  std::function<Instant()> now_;
  std::deque<std::pair<std::uint64_t, Instant>> appends_;  // not durable yet, by token
  Histogram latencies_;
};

}  // namespace zkfs
