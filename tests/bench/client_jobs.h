// SPDX-License-Identifier: Apache-2.0
// The shapes that the jobs of client_load.h have.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/client_fleet.h"
#include "tests/bench/client_load.h"
#include "tests/bench/process_cost.h"

namespace zkfs::bench {

// Measures the operations of a stretch of time.
class Stretch {
 public:
  Stretch(const CostMeter& meter, Clock::duration warm_up, Clock::duration length)
      : meter_(meter), begin_(Clock::now() + warm_up), length_(length) {}

  // To be called after every turn. Returns false when the time is over.
  bool goes_on();

  void count(Clock::duration latency) {
    if (!running_) return;
    ++figures_.operations;
    figures_.latencies_us.push_back(micros(latency));
  }

  [[nodiscard]] Figures take() { return std::move(figures_); }

 private:
  const CostMeter& meter_;
  Clock::time_point begin_;
  Clock::duration length_;
  bool running_ = false;
  Cost before_;
  Figures figures_;
};

// Sessions that each keep a window of requests outstanding.
class WindowLoad : public SessionOwner {
 public:
  // One of the outstanding requests of a session.
  struct Slot {
    std::size_t session;
    std::size_t index;   // in the window
    std::uint64_t turn;  // how many requests it has made before
  };

  // Makes the slot's next request, with `tag` for its number; false: there is none any more.
  using Next = std::function<bool(ClientSession& session, const Slot& slot, std::size_t tag)>;

  // Sessions are spread over `servers` in turn; each sees all that was written before.
  WindowLoad(std::vector<Server> servers, std::size_t sessions, std::size_t window, Next next);

  // Errors that are as good as none.
  void tolerate(std::initializer_list<std::int32_t> errors) { tolerated_ = errors; }

  Figures measure(const LoadSettings& settings);
  // Until there is no request any more.
  void exhaust();
  // Sessions end as they should, so that their ephemerals are gone.
  void close();

  // How many requests a slot has made.
  [[nodiscard]] std::uint64_t turns_of(std::size_t session, std::size_t index) const {
    return turns_[session * window_ + index];
  }

  void opened(ClientSession& session) override;
  void answered(ClientSession& session, const Answer& answer) override;

 private:
  void begin();
  void request(ClientSession& session, std::size_t index);

  std::vector<Server> servers_;
  std::size_t window_;
  Next next_;
  std::vector<std::int32_t> tolerated_;
  std::vector<std::uint64_t> turns_;
  Stretch* stretch_ = nullptr;  // while measure() runs
  std::size_t synced_ = 0;
  std::size_t outstanding_ = 0;
  Clock::time_point last_answer_;
  bool stopping_ = false;
  bool closing_ = false;
  Fleet fleet_;
};

// Sessions are opened and closed, `at_once` of them. Latency is that of opening, an operation both.
Figures measure_connects(const LoadSettings& settings, std::size_t at_once);

// `watchers` sessions at one server watch one znode, which is set through another server. Latency:
// until the last event. An operation includes that all watch again.
Figures measure_watches(const LoadSettings& settings, std::size_t watchers);

struct Outage {
  double longest_ms = 0;
  std::size_t acknowledged = 0;
  std::size_t lost = 0;  // connections
};

// A write every 5 ms through each server, over sessions that are opened again when they break:
// the longest time in which none was acknowledged. Calls `ready` when it begins to count.
Outage watch_outage(const LoadSettings& settings, const std::function<void()>& ready);

}  // namespace zkfs::bench
