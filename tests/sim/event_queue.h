// SPDX-License-Identifier: Apache-2.0
// Virtual time: events in the order of their time, ties in the order of scheduling.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

#include "ensemble/base/clock.h"

namespace zkfs::sim {

class EventQueue {
 public:
  [[nodiscard]] Instant now() const { return now_; }

  void at(Instant when, std::function<void()> what) {
    events_.push({when < now_ ? now_ : when, ++sequence_, std::move(what)});
  }

  void after(Instant delay, std::function<void()> what) { at(now_ + delay, std::move(what)); }

  // Runs the next event; false if there is none before `end` (time then is `end`).
  bool step(Instant end) {
    if (events_.empty() || events_.top().when > end) {
      now_ = end;
      return false;
    }
    const auto what = events_.top().what;
    now_ = events_.top().when;
    events_.pop();
    what();
    return true;
  }

 private:
  struct Event {
    Instant when;
    std::uint64_t sequence;
    std::function<void()> what;

    bool operator<(const Event& other) const {
      return std::pair(when, sequence) > std::pair(other.when, other.sequence);
    }
  };

  std::priority_queue<Event> events_;
  Instant now_{};
  std::uint64_t sequence_ = 0;
};

}  // namespace zkfs::sim
