// SPDX-License-Identifier: Apache-2.0
// EventZygote: a process forked at start, from which sets of event workers are forked whenever a
// mount needs one. The workers of a mount that is added later could not be forked from the daemon:
// it has threads and holds /dev/fuse by then, and a worker that held it too would keep the mounts
// of a dead daemon alive (event_helper.h).
//
// It holds nothing but its socket, dies with the daemon, and its workers die with it. A worker that
// ended stays unreaped until the daemon has noticed, so that its pid is not taken by a stranger
// whose requests would be answered as a worker's.
#pragma once

#include <memory>

#include "ensemble/base/error.h"
#include "mount/event_helper.h"

namespace zkfs::mount {

class EventZygote {
 public:
  // Forks it. Must be called while this process has one thread and no /dev/fuse open, after
  // daemonizing: it dies with the thread that calls it.
  static Expected<std::unique_ptr<EventZygote>> spawn();
  // Ends it and, with it, the workers of whatever helper still lives: destroy those first.
  ~EventZygote();
  EventZygote(const EventZygote&) = delete;
  EventZygote& operator=(const EventZygote&) = delete;

  // A set of `workers` (at most kSetMax). Waits for the forks, a second at most. Fails if the
  // zygote is gone or does not answer; it then never does again.
  Expected<std::unique_ptr<EventHelper>> helper(int workers);

  static constexpr int kSetMax = 64;

 private:
  struct State;
  explicit EventZygote(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace zkfs::mount
