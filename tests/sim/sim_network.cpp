// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim_network.h"

#include <algorithm>

namespace zkfs::sim {

SimNetwork::SimNetwork(EventQueue& queue, Random& random, NetworkOptions options, Events events)
    : queue_(queue), random_(random), options_(options), events_(std::move(events)) {}

void SimNetwork::add(ServerId id) {
  for (const ServerId other : ids_) dial(other, id);
  ids_.push_back(id);
}

void SimNetwork::dial(ServerId a, ServerId b) {
  // Keeps trying for ever, as PeerNetwork does.
  queue_.after(Millis{static_cast<std::int64_t>(random_.between(2, 60))}, [this, a, b] {
    const Link& link = links_[key(a, b)];
    const bool open = !cut_.contains({a, b}) && !cut_.contains({b, a});
    if (link.incarnation == 0 && link.knows.empty() && open && alive_.contains(a) &&
        alive_.contains(b)) {
      connect(a, b);
    }
    dial(a, b);
  });
}

void SimNetwork::connect(ServerId a, ServerId b) {
  Link& link = links_[key(a, b)];
  link = Link{};
  link.incarnation = ++incarnations_;
  for (const auto& [at, peer] : {Pair{a, b}, Pair{b, a}}) {
    link.knows.insert(at);
    events_.up(at, peer);
  }
}

void SimNetwork::reset(ServerId a, ServerId b) {
  Link& link = links_[key(a, b)];
  if (link.incarnation == 0) return;
  link.incarnation = 0;
  link.waiting.clear();
  for (const auto& [at_in, peer_in] : {Pair{a, b}, Pair{b, a}}) {
    const ServerId at = at_in;
    const ServerId peer = peer_in;
    // Mostly at once (FIN, RST), sometimes late.
    const auto delay = random_.chance(1, 5) ? random_.between(0, 400) : random_.between(0, 2);
    queue_.after(Millis{static_cast<std::int64_t>(delay)}, [this, at, peer] {
      // (Connected again: this was the end of a process that has been restarted since.)
      Link& now = links_[key(at, peer)];
      if (now.incarnation == 0 && now.knows.erase(at) > 0 && alive_.contains(at)) {
        events_.down(at, peer);
      }
    });
  }
}

void SimNetwork::set_alive(ServerId id, bool alive) {
  if (alive) {
    alive_.insert(id);
    return;
  }
  alive_.erase(id);
  for (const ServerId other : ids_) {
    if (other == id) continue;
    Link& link = links_[key(id, other)];
    link.knows.erase(id);
    reset(id, other);
  }
}

void SimNetwork::send(ServerId from, ServerId to, zab::Message message) {
  Link& link = links_[key(from, to)];
  if (link.incarnation == 0 || !alive_.contains(from)) return;
  if (cut_.contains({from, to})) {
    link.waiting[from].push_back(std::move(message));
    return;
  }
  deliver(from, to, std::move(message));
}

void SimNetwork::deliver(ServerId from, ServerId to, zab::Message message) {
  Link& link = links_[key(from, to)];
  auto delay = options_.delay_min +
               Instant{static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(
                   (options_.delay_max - options_.delay_min).count() + 1)))};
  if (random_.chance(options_.slow_message_per_mille, 1000)) {
    delay += Millis{static_cast<std::int64_t>(random_.below(50))};
  }
  auto& last = link.last_arrival[from];
  last = std::max(queue_.now() + delay, last + Instant{1});
  queue_.at(last,
            [this, from, to, incarnation = link.incarnation, m = std::move(message)]() mutable {
              const Link& now = links_[key(from, to)];
              if (now.incarnation == incarnation && now.knows.contains(to)) {
                events_.message(to, from, std::move(m));
              }
            });
}

void SimNetwork::set_cut(ServerId from, ServerId to, bool cut) {
  if (cut) {
    if (!cut_.insert({from, to}).second) return;
    // TCP gives up in its own time.
    const auto patience = static_cast<std::int64_t>(random_.between(100, 4'000));
    const auto incarnation = links_[key(from, to)].incarnation;
    queue_.after(Millis{patience}, [this, from, to, incarnation] {
      if (cut_.contains({from, to}) && links_[key(from, to)].incarnation == incarnation) {
        reset(from, to);
      }
    });
    return;
  }
  if (cut_.erase({from, to}) == 0) return;
  Link& link = links_[key(from, to)];
  auto waiting = std::move(link.waiting[from]);
  link.waiting.erase(from);
  if (link.incarnation == 0) return;
  for (auto& message : waiting) deliver(from, to, std::move(message));
}

void SimNetwork::heal() {
  const auto cut = cut_;
  for (const auto& [from, to] : cut) set_cut(from, to, false);
}

}  // namespace zkfs::sim
