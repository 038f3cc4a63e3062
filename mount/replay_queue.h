// SPDX-License-Identifier: Apache-2.0
// ReplayQueue: the pokes that wait, and those under way, in the order they must happen. Pure; one
// lane per worker process, and a directory's pokes all in the lane of its worker, so a lane's order
// is each directory's order. A poke that concerns directories of several lanes (a rename; the
// removal of a directory in which something is still waiting) stands in one lane and leaves a gate
// in the others: it goes once every gate is at the front of its lane with nothing under way there,
// and its gates open when it is done.
//
// Merging: a modify (or attributes) joins one of the same name and node that was not sent yet and
// is the last that waits for that name; so the last one is never lost, and nothing is reordered.
// Bound: when full, whatever is followed by a later poke of the same names goes; if that frees
// nothing, the oldest goes. Every drop is counted: overflowed().
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "mount/event_helper.h"
#include "mount/node_id.h"

namespace zkfs::mount {

// What a worker is told about a node that the tree does not have any more.
struct ReplaySubject {
  NodeId node = 0;
  mode_t type = S_IFREG;
  std::uint64_t size = 0;
};

struct ReplayItem {
  Poke poke;              // token: given by the queue; paths: filled when it is sent
  ReplaySubject subject;  // behind poke.name: after a creation, before anything else
  // Behind poke.other_name before a rename or exchange; node 0: nothing.
  ReplaySubject target;
  // The call that fires the event was answered.
  bool effected = false;
};

class ReplayQueue {
 public:
  using LaneOf = std::function<std::size_t(NodeId directory)>;
  enum class Pushed : std::uint8_t { kQueued, kMerged };

  // Requires: lane_of answers less than `lanes`, the same for the same directory until lane_ended.
  ReplayQueue(std::size_t lanes, std::size_t bound, LaneOf lane_of);

  Pushed push(ReplayItem item);
  // Goes before everything that waits in its lane, gates included. Requires: one lane is concerned.
  void push_urgent(ReplayItem item);

  // The one to send next in this lane, or null if none may go now. Valid until the next call.
  ReplayItem* next(std::size_t lane);
  // What next() gave was sent.
  void sent(std::size_t lane);
  // The oldest under way in this lane, or null: the one the lane's worker is at.
  ReplayItem* current(std::size_t lane);

  [[nodiscard]] std::size_t under_way(std::size_t lane) const { return lanes_[lane].sent.size(); }

  // The current one of the lane is done; its item. Empty if `token` is not its token.
  std::optional<ReplayItem> finish(std::size_t lane, std::uint64_t token);

  // The lane has no worker any more (lane_of no longer answers it): what is in it goes to the
  // others, first what was under way. Requires: another lane is left.
  void lane_ended(std::size_t lane);

  // True if something about this name waits or is under way.
  [[nodiscard]] bool pending(NodeId directory, std::string_view name) const;

  // Waiting, without those under way.
  [[nodiscard]] std::size_t waiting() const { return waiting_; }

  [[nodiscard]] std::uint64_t overflowed() const { return overflowed_; }

  // Drops everything that waits.
  void clear();

 private:
  struct Entry {
    ReplayItem item;
    std::vector<std::size_t> gates;  // lanes that hold a gate of this one
    std::uint64_t gate_of = 0;       // a gate itself: the token it waits for
    bool urgent = false;
  };

  using Entries = std::list<Entry>;

  struct Lane {
    Entries urgent;
    Entries waiting;
    Entries sent;
  };

  struct Name {
    std::size_t pending = 0;
    std::uint64_t last_token = 0;
    Entry* last_waiting = nullptr;  // the entry of last_token as long as it was not sent
  };

  static std::string key(NodeId directory, std::string_view name);
  template <typename F>
  void for_names(const Poke& poke, F&& f);
  bool merge(const ReplayItem& item);
  void place(Entry entry);
  void place_gates(Entry& entry);
  void drop_open_gates(Lane& lane);
  [[nodiscard]] bool gates_reached(const Entry& entry);
  void forget(const Entry& entry);
  void make_room();
  void collapse();
  void drop_oldest();
  Entries::iterator drop(Lane& lane, Entries::iterator at);

  std::size_t bound_;
  LaneOf lane_of_;
  std::vector<Lane> lanes_;
  std::unordered_map<std::string, Name> names_;
  std::unordered_map<NodeId, std::size_t> directories_;   // pending per directory
  std::unordered_map<std::uint64_t, std::size_t> gated_;  // tokens whose gates are shut
  std::uint64_t last_token_ = 0;
  std::size_t waiting_ = 0;
  std::uint64_t overflowed_ = 0;
  std::size_t pushes_to_collapse_ = 0;
};

}  // namespace zkfs::mount
