// SPDX-License-Identifier: Apache-2.0
// Checkers: what must hold whatever happens, watched from outside the servers. A violation prints
// what was seen and aborts; main.cpp then tells the seed. Names from the TLA+ specification where
// it has them.
//
//   leadership       at most one established leader per epoch
//   consistency      two servers at the same zxid have the same digest (same txns, same order, same
//   bytes:
//                    prefix consistency, total order, local and global primary order in one)
//   integrity        a server's position never goes back while its process lives
//   durability       an acknowledged write is in the final tree (Workload checks its own)
//   exactly once     no completion twice; no write twice; an answered error means it never happened
//   linearizable sync   after sync, a server has applied all that was acknowledged anywhere before
//   the call
//   convergence      once healed: one position, one digest, nothing left to reap, new writes go
//   through everywhere
//   locks            see lock_workload.h
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "ensemble/base/ids.h"
#include "tests/sim/sim_node.h"

namespace zkfs::sim {

class Checkers {
 public:
  // After every input of a server.
  void observe(SimNode& node);

  // A write was acknowledged at `zxid`, somewhere.
  void acknowledged(Zxid zxid) { newest_acknowledged_ = std::max(newest_acknowledged_, zxid); }

  [[nodiscard]] Zxid newest_acknowledged() const { return newest_acknowledged_; }

  // A fingerprint of the run: equal for equal seeds.
  [[nodiscard]] std::uint64_t trace() const { return trace_; }

  [[nodiscard]] std::size_t epochs() const { return leaders_.size(); }

  [[nodiscard]] std::size_t positions() const { return digests_.size(); }

  // Prints and aborts.
  [[noreturn]] static void violated(const std::string& what);

 private:
  std::map<Epoch, std::pair<ServerId, std::uint64_t>> leaders_;  // server and its incarnation
  std::map<Zxid, std::uint64_t> digests_;
  std::map<std::pair<ServerId, std::uint64_t>, Zxid> applied_;
  Zxid newest_acknowledged_;
  std::uint64_t trace_ = 0;
};

}  // namespace zkfs::sim
