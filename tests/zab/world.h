// SPDX-License-Identifier: Apache-2.0
// World: an ensemble of real Zab machines on a network and disks that live in memory and move only
// when told to. Time is a number. What a member's disk has not done is lost when it crashes; what a
// link had in flight is lost when it breaks. A tree is modelled as the list of entries applied.
//
// A link is a pair of FIFO directions with an incarnation. Each side learns of Up and Down through
// its incoming direction, so one side may know earlier than the other, as with TCP; what is sent
// before a side has seen Up, or on an incarnation that is dead, goes nowhere.
//
// After every step the World checks what must hold for any ensemble (see check()); a breach is a
// gtest failure with the seed or scenario in the SCOPED_TRACE of the caller.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ensemble/zab/zab.h"

namespace zkfs::zab::testing {

using Id = std::uint32_t;

// What survives a crash of one member.
struct Durable {
  Epoch accepted;
  Epoch current;
  Zxid base;                // position of the snapshot
  std::vector<Entry> tree;  // applied entries up to base
  std::vector<Entry> entries;
  Zxid mark;

  [[nodiscard]] bool holds(Zxid zxid) const;

  [[nodiscard]] Zxid last() const { return entries.empty() ? base : entries.back().zxid; }
};

struct Node {
  Config config;
  Durable disk;
  std::unique_ptr<Zab> zab;  // null while crashed
  bool disk_auto = true;
  std::deque<Effect> queue;                 // storage operations handed over and not done
  std::deque<std::vector<Entry>> received;  // trees of the install operations in `queue`
  std::optional<std::vector<Entry>> incoming;
  std::vector<Entry> applied;

  struct Outgoing {
    Id to = 0;
    std::uint64_t tag = 0;
    std::vector<Entry> tree;
    std::size_t next = 0;
  };

  std::deque<Outgoing> outgoing;  // snapshots on their way to learners
  bool active = false;
  std::map<std::uint64_t, Zxid> synced;
  std::vector<Effect> effects;  // all since the last clear, when World::record is on
};

class World {
 public:
  explicit World(Id voters, Id observers = 0, std::uint32_t counter_max = Zxid::kCounterMax);

  Node& node(Id id) { return nodes_.at(id); }

  Zab& zab(Id id) { return *nodes_.at(id).zab; }

  [[nodiscard]] std::vector<Id> ids() const;

  [[nodiscard]] Instant now() const { return now_; }

  // The committed part of a disk made by hand counts as decided. Before any start.
  void preset(const Durable& disk);

  // Starts from the durable state. start_all() also links everybody.
  void start(Id id);
  void start_all();
  void crash(Id id);

  // Both sides notice at once, or (`lazy`) as the events are delivered.
  void link_up(Id a, Id b, bool lazy = false);
  // `lazy`: up to `kept` messages of either direction still arrive before the Down.
  void link_down(Id a, Id b, bool lazy = false, std::size_t kept = 0);
  [[nodiscard]] bool linked(Id a, Id b) const;
  void link_all(Id id);

  // The next item from a to b; false if there is none. Without `flush_now` the receiver's turn goes
  // on, as when several messages arrive in one read.
  bool deliver(Id from, Id to, bool flush_now = true);
  void drop(Id from, Id to);
  [[nodiscard]] std::size_t in_flight(Id from, Id to) const;
  // Of those, txns; a proposal may be of many.
  [[nodiscard]] std::size_t txns_in_flight(Id from, Id to) const;
  // Delivers in a fixed order until nothing (that is not held) is left, or `until` holds.
  void deliver_all(const std::function<bool()>& until = {});
  // Messages for which this is true stay where they are, and so does what follows them.
  std::function<bool(Id from, Id to, const Message&)> hold;

  void tick(Millis step);
  // Time in steps of 10 ms with everything delivered.
  void run(Millis time);
  // Runs until `done` holds; false after `limit`.
  bool run_until(const std::function<bool()>& done, Millis limit = Millis{10'000});

  // The next `count` storage operations of `id` become durable.
  void disk_done(Id id, std::size_t count = ~std::size_t{0});
  // The member's own snapshot: what it applied and has on its disk moves into the snapshot.
  void snapshot(Id id);

  Zxid propose(Id id, const std::string& text, bool flush_now = true);
  void request_sync(Id id, std::uint64_t sync);
  void flush(Id id);
  // A message out of nowhere, as if `from` had sent it.
  void inject(Id from, Id to, const Message& message);

  [[nodiscard]] Id leader() const;  // active; 0 if none
  [[nodiscard]] bool active(Id id) const;
  [[nodiscard]] bool all_active() const;
  // All running members are active in one epoch and have applied everything.
  [[nodiscard]] bool converged() const;
  [[nodiscard]] std::string texts(Id id) const;  // applied, "a b c"

  [[nodiscard]] const std::vector<Entry>& decided() const { return decided_; }

  bool record = false;
  // A leader sends one chunk of a snapshot at each flush, not the whole at once.
  bool slow_snapshots = false;
  // With as many in flight a link has no room for what brings a learner up.
  std::size_t link_txns_max = std::numeric_limits<std::size_t>::max();
  std::function<void(Id, const std::string&)> trace;

 private:
  struct Up {};

  struct Down {};

  using Item = std::variant<Up, Down, Message>;

  struct Link {
    std::uint64_t incarnation = 0;
    bool alive = false;
  };

  static std::pair<Id, Id> key(Id a, Id b) { return {std::min(a, b), std::max(a, b)}; }

  void carry_out(Id id, Effect& effect);
  void apply_op(Node& node, const Effect& op);
  void send(Id from, Id to, Message message);
  void begin_snapshot(Id from, Id to, std::uint64_t tag);
  void send_chunks(Id from);
  void delivered(Id id, const Entry& entry);
  void role(Id id, const RoleEffect& effect);
  void check();

  std::map<Id, Node> nodes_;
  std::map<std::pair<Id, Id>, Link> links_;
  std::map<std::pair<Id, Id>, std::deque<Item>> queues_;
  std::map<std::pair<Id, Id>, std::uint64_t> seen_;  // (self, peer): incarnation that is up
  Instant now_{};
  std::uint64_t seed_ = 1;
  // For the checks.
  std::map<Epoch, Id> established_;
  std::map<Zxid, Blob> bytes_;
  std::vector<Entry> decided_;
  std::map<std::pair<Id, std::uint64_t>, Zxid> sync_floor_;
};

}  // namespace zkfs::zab::testing
