// SPDX-License-Identifier: Apache-2.0
// LockWorkload: clients of every server take, try, wait for, take back, convert and drop advisory
// locks, and it watches them:
//
//   exclusion     in no tree that a server ever had do two hold conflicting locks, and what clients
//                 were told they held never overlaps in the order of the log
//   the told hold who was told "granted" at a zxid has that very lock in every tree from there on,
//                 until its unlock or the end of its session
//   no lost grant whoever waits in its own view waits in the tree: a grant was told, once
//   no idle wait  nobody waits for what is free
//
// A client does what the mount must do: a grant may be told before the answer "queued", and a
// snapshot from the leader may hide it, so that both are looked up in the tree.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "ensemble/base/random.h"
#include "tests/sim/checkers.h"
#include "tests/sim/sim_node.h"

namespace zkfs::sim {

class LockWorkload {
 public:
  explicit LockWorkload(Random& random);
  ~LockWorkload();

  // An owner of `node`'s present process does something (its session is opened first).
  void act(SimNode& node);
  // After every input of a server.
  void observe(SimNode& node);
  // Judges the final tree of a running server, and what was told.
  void check(SimNode& node) const;

  // Locks that clients were told to have, and those of them that had waited.
  [[nodiscard]] std::size_t grants() const { return holds_.size(); }

  [[nodiscard]] std::size_t waits() const { return waits_; }

 private:
  // What a client was told to hold.
  struct Hold {
    tree::LockView lock;
    bool doubtful = false;         // an unlock or a conversion was sent and not answered
    std::optional<Zxid> released;  // by an unlock or a conversion that was answered
    Zxid seen;                     // the last position at which it was held for certain
    bool over = false;             // of no interest for the trees to come
  };

  // One owner's lock of one file: idle -> asking -> held, or asking -> waiting -> held or idle.
  struct Slot {
    enum class State : std::uint8_t { kIdle, kAsking, kWaiting, kCancelling, kHeld, kDropping };
    State state = State::kIdle;
    bool pending = false;             // an answer is on its way; a grant may come before it
    tree::LockView asked;             // the last request
    std::optional<std::size_t> hold;  // index in holds_
  };

  using Key = std::pair<ServerId, std::uint64_t>;
  class Client;

  Client& client_of(SimNode& node);
  std::size_t add_hold(const tree::LockView& lock);
  static void check_tree(const tree::DataTree& tree);
  void check_told() const;

  Random& random_;
  std::map<Key, std::unique_ptr<Client>> clients_;
  std::vector<Hold> holds_;
  std::size_t first_open_ = 0;  // holds before it are over
  std::map<Key, Zxid> observed_;
  std::size_t waits_ = 0;
};

}  // namespace zkfs::sim
