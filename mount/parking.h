// SPDX-License-Identifier: Apache-2.0
// Parking: every request that waits for something (a quorum, an outcome, another commit) has its
// Reply here, so that it can be answered at any time: when its caller is about to die of a signal
// (EINTR), when its time is up, or when the mount stops (ENOTCONN). Other signals do not disturb
// it: Go's preemption signals must not break programs (contract section 6). A request that is never
// answered leaves a process that not even SIGKILL frees; hence no Reply waits anywhere else.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include <asio/io_context.hpp>

#include "ensemble/base/clock.h"
#include "mount/reply.h"

namespace zkfs::mount {

class Parking {
 public:
  using Id = std::uint64_t;
  enum class Why : std::uint8_t { kSignal, kDeadline, kStopped };
  // Called when the request was answered here rather than by whoever was going to.
  using Abandoned = std::move_only_function<void(Why)>;

  struct Terms {
    std::optional<Instant> deadline;
    int deadline_error = 0;
    // The caller may be exiting, deaf to signals (FLUSH as its files are closed): then do not keep
    // it.
    bool may_exit = false;
    // For waits that any signal ends (locks): called when one arrived that does not end the caller.
    // False: answer EINTR now. True: whoever parked it will answer soon.
    std::move_only_function<bool()> on_signal;
  };

  Parking(asio::io_context& context, std::function<Instant()> now);
  ~Parking();
  Parking(const Parking&) = delete;
  Parking& operator=(const Parking&) = delete;

  Id park(Reply reply, Abandoned abandoned, Terms terms);

  Id park(Reply reply, Abandoned abandoned) {
    return park(std::move(reply), std::move(abandoned), Terms{});
  }

  // From now on it waits until `deadline` at most, and is then answered `error`.
  void limit(Id id, Instant deadline, int error);

  // The Reply back; an empty one if it was answered meanwhile.
  [[nodiscard]] Reply take(Id id);

  // Looks for deadlines and for callers that were told to die. Every some 20 ms.
  void tick();
  // Answers everything, and whatever comes later, with ENOTCONN.
  void stop();

  [[nodiscard]] std::size_t size() const { return parked_.size(); }

 private:
  struct Parked {
    Reply reply;
    Abandoned abandoned;
    Terms terms;
    Instant since{};
    std::optional<Instant> interrupted;
  };

  void interrupted(Id id);
  void look_at_interrupted();
  void abandon(Id id, int error, Why why);
  bool doomed(const Parked& parked, Instant now) const;

  asio::io_context& context_;
  std::function<Instant()> now_;
  Id last_ = 0;
  bool stopped_ = false;
  bool look_posted_ = false;
  Instant looked_{};
  std::unordered_map<Id, Parked> parked_;
  std::vector<Id> interrupted_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace zkfs::mount
