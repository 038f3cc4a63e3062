// SPDX-License-Identifier: Apache-2.0
// ClientWorkload: ZooKeeper's clients around the ensemble, over the wire protocol (sim_client.h),
// and what must hold of them:
//
//   answers      each request is answered once, in order, as the history has it at the zxid it
//                carries: data, Stat, children, errors (versions, ACLs); no read goes back, none
//                sees what its own session asked later
//   attachments  nothing asked on an older connection takes effect after a newer one was accepted;
//                on one connection nothing takes effect before what was asked before it
//   watches      an event is told before any answer that could show its change, once, and none
//                else; what happened between two connections is told by setWatches
//   sessions     a wrong password is refused and disturbs nobody; a session does not end before its
//                timeout is over since a sign of life that arrived, and does end in time when there
//                was none; its ephemerals are there exactly as long as it
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "tests/sim/sim_client.h"

namespace zkfs::sim {

class ClientWorkload {
 public:
  ClientWorkload(Random& random,
                 EventQueue& queue,
                 Checkers& checkers,
                 std::vector<std::unique_ptr<SimNode>>& nodes);

  // The front door of a process.
  std::unique_ptr<FrontDoor> make_front_door(SimNode& node);
  void start(std::size_t clients);

  // The clients will set a quota (the servers enforce it). Before start().
  void limit(std::size_t count_max) { world_.count_max = count_max; }

  [[nodiscard]] bool limited() const { return world_.count_max != 0; }

  // The servers were healed: from here on sessions live by the letter.
  void calm();
  // Nothing but signs of life from here on.
  void rest();
  // After every input of a server.
  void observe(SimNode& node);

  // Everybody is served, and of those who fell silent nothing is left.
  [[nodiscard]] bool settled() const;
  [[nodiscard]] std::string describe() const;

  // Judges the final tree.
  void check(const tree::DataTree& tree) const;

  [[nodiscard]] const ClientWorld& world() const { return world_; }

  [[nodiscard]] std::size_t expired() const { return expired_; }

 private:
  void observe_quiet();
  void judge_end(const ClientSession& session) const;

  ClientWorld world_;
  std::vector<std::unique_ptr<SimClient>> clients_;
  bool calm_ = false;
  // Since when one leader has all servers.
  std::optional<Instant> quiet_since_;
  ServerId leader_;
  std::size_t expired_ = 0;
};

}  // namespace zkfs::sim
