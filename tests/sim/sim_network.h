// SPDX-License-Identifier: Apache-2.0
// SimNetwork: links as TCP gives them: connected or not, in order within a link and direction,
// delayed; nothing is lost but with the link. Faults: a direction may be cut (what is sent waits;
// after a while the link breaks, and each side learns of it at a time of its own), a link may be
// reset, and its two ends may learn of that at different times.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "ensemble/base/ids.h"
#include "ensemble/base/random.h"
#include "ensemble/zab/message.h"
#include "tests/sim/event_queue.h"

namespace zkfs::sim {

struct NetworkOptions {
  Instant delay_min = Millis{0};
  Instant delay_max = Millis{2};
  std::uint32_t slow_message_per_mille = 10;  // takes up to 50 ms more
};

class SimNetwork {
 public:
  struct Events {
    std::function<void(ServerId at, ServerId peer)> up;
    std::function<void(ServerId at, ServerId peer)> down;
    std::function<void(ServerId at, ServerId from, zab::Message)> message;
  };

  SimNetwork(EventQueue& queue, Random& random, NetworkOptions options, Events events);

  void add(ServerId id);
  // The process at `id` began or ceased to run; its links break.
  void set_alive(ServerId id, bool alive);
  void send(ServerId from, ServerId to, zab::Message message);
  // Cuts or mends one direction.
  void set_cut(ServerId from, ServerId to, bool cut);
  void heal();
  // Breaks the link between two.
  void reset(ServerId a, ServerId b);

 private:
  using Pair = std::pair<ServerId, ServerId>;

  struct Link {
    std::uint64_t incarnation = 0;  // 0: none
    std::set<ServerId> knows;       // ends that were told "up" and not yet "down"
    std::map<ServerId, std::deque<zab::Message>> waiting;  // by sender: sent into a cut
    std::map<ServerId, Instant> last_arrival;              // by sender: keeps order
  };

  static Pair key(ServerId a, ServerId b) { return a < b ? Pair{a, b} : Pair{b, a}; }

  void dial(ServerId a, ServerId b);
  void deliver(ServerId from, ServerId to, zab::Message message);
  void connect(ServerId a, ServerId b);

  EventQueue& queue_;
  Random& random_;
  NetworkOptions options_;
  Events events_;
  std::vector<ServerId> ids_;
  std::set<ServerId> alive_;
  std::map<Pair, Link> links_;
  std::set<Pair> cut_;  // (from, to)
  std::uint64_t incarnations_ = 0;
};

}  // namespace zkfs::sim
