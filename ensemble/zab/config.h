// SPDX-License-Identifier: Apache-2.0
// What ZAB must know about the ensemble and about time.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "ensemble/base/clock.h"
#include "ensemble/base/ids.h"
#include "ensemble/base/limits.h"

namespace zkfs::zab {

// How many bytes may be queued on the link to a peer now, beyond what waits there already.
using LinkRoom = std::function<std::size_t(ServerId)>;

struct Config {
  ServerId self;
  std::vector<ServerId> voters;     // participants, sorted
  std::vector<ServerId> observers;  // sorted
  // Failure detection, apart from tickTime: a leader pings this often; a learner that hears nothing
  // for `heartbeat_timeout` gives up its leader, and a leader that hears nothing from a quorum for
  // as long gives up leading. Sessions keep ZooKeeper's ticks.
  Millis heartbeat_interval{100};
  Millis heartbeat_timeout{500};
  // From the decision of an election to a quorum of promises. Short: a leader that nobody follows
  // must not sit there.
  Millis discovery_timeout{1'000};
  // From then to a quorum in step (initLimit * tickTime): a snapshot may have to travel.
  Millis sync_timeout{20'000};
  // How long a decided LOOKING member waits for a better vote when some voter that is connected has
  // not voted yet.
  Millis finalize_wait{20};
  // Notifications are repeated this often at first, then twice as rarely each time, up to the
  // maximum.
  Millis notification_interval_min{50};
  Millis notification_interval_max{1'000};
  // Committed entries kept in memory, so that a returning member is brought up by DIFF, not by
  // SNAP.
  std::size_t history_entries_max = limits::kHistoryEntriesMax;
  std::size_t history_bytes_max = limits::kHistoryBytesMax;
  // What is kept for a learner that is being brought up.
  std::size_t history_held_bytes_max = limits::kHistoryHeldBytesMax;
  // For tests: an epoch's proposals end at this counter (ZOOKEEPER-1277).
  std::uint32_t counter_max = Zxid::kCounterMax;
};

}  // namespace zkfs::zab
