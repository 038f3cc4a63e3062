// SPDX-License-Identifier: Apache-2.0
// ReplayQueue: the pokes that wait, and those under way, in the order they must happen. Pure.
//
// Order is kept per directory. A poke concerns one directory, or two (a rename), or the one that is
// removed besides its parent while something is still pending in there; it goes when nothing before
// it is pending in any of them. Which worker it goes to does not matter, so one that is stuck (a
// user's request holds the lock of a directory) delays its directory and nothing else, as long as
// another worker is left. A worker that is busy with pokes of one single directory may be sent the
// next ones of that directory ahead, kWindow at most, and gives way to other directories after as
// many when these wait; nothing else is ever queued behind a poke that may get stuck.
//
// Merging: a modify (or attributes) joins one of the same name and node that was not sent yet and
// is the last that waits for that name; so the last one is never lost, and nothing is reordered.
// Bound: when full, whatever is followed by a later poke of the same names goes; if that frees
// nothing, the oldest goes. Every drop is counted: overflowed().
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <list>
#include <map>
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
  // Behind poke.other_name before a move; node 0: nothing.
  ReplaySubject target;
  // Of a move over something: the target's znode lives on, with the data of the source.
  bool target_lives = false;
  // The call that fires the event was answered.
  bool effected = false;
  // Stands in for one that could not be performed.
  bool second_choice = false;
};

class ReplayQueue {
 public:
  enum class Pushed : std::uint8_t { kQueued, kMerged };
  // Pokes sent to one worker and not done. More than one, so that it need not wait for us between
  // two; few, so that a ghost's rename, which overtakes only what was not sent, comes soon.
  static constexpr std::size_t kWindow = 8;

  // Workers are numbered from 0.
  ReplayQueue(std::size_t workers, std::size_t bound);

  Pushed push(ReplayItem item);
  // Goes before everything that was not sent in its directory. Requires: one directory.
  void push_urgent(ReplayItem item);

  // The one to send to this worker next, or null if there is none for it. Valid until the next
  // call.
  ReplayItem* next(std::size_t worker);
  // What next() gave was sent.
  void sent(std::size_t worker);
  // The oldest under way at this worker, or null: the one it is at.
  ReplayItem* current(std::size_t worker);

  [[nodiscard]] std::size_t under_way(std::size_t worker) const {
    return workers_[worker].sent.size();
  }

  // The current one of the worker is done; its item. Empty if `token` is not its token.
  std::optional<ReplayItem> finish(std::size_t worker, std::uint64_t token);

  // What was under way at this worker, which died, waits again, before everything else.
  void worker_ended(std::size_t worker);

  // True if something about this name waits or is under way.
  [[nodiscard]] bool pending(NodeId directory, std::string_view name) const;

  // Waiting, without those under way.
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

  [[nodiscard]] std::uint64_t overflowed() const { return overflowed_; }

  // Calls `f(item, urgent)` for each that has not happened yet, in an order in which they may.
  template <typename F>
  void for_each_pending(F&& f) const {
    for (const Worker& worker : workers_) {
      for (const Entry& entry : worker.sent) {
        if (!entry.item.effected) f(entry.item, entry.urgent);
      }
    }
    for (const Entry& entry : waiting_) f(entry.item, entry.urgent);
  }

  // Drops everything that waits.
  void clear();

 private:
  struct Entry;
  using Entries = std::list<Entry>;
  using Line = std::list<Entry*>;  // what is pending in a directory: first what was sent

  struct Link {
    NodeId directory = 0;
    Line::iterator at;
  };

  struct Entry {
    ReplayItem item;
    std::vector<Link> links;  // one for each directory concerned
    std::size_t blocked = 0;  // in how many of them something is before it
    Entries::iterator self;
    std::uint64_t rank = 0;  // in ready_; 0: not there
    bool urgent = false;
    bool overtakes = false;  // was under way before
    bool sent = false;
  };

  struct Worker {
    Entries sent;
    Entry* offered = nullptr;  // by next()
    std::size_t turn = 0;      // sent since it had nothing to do
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
  void place(ReplayItem item, bool urgent);
  void link(Entry& entry, NodeId directory);
  void unlink(Entry& entry);
  void make_ready(Entry& entry);
  void unready(Entry& entry);
  void note_names(Entry& entry);
  void forget_names(const Entry& entry);
  Entry* following(const Worker& worker);
  void make_room();
  void collapse();
  Entries::iterator drop(Entries::iterator at);

  std::size_t bound_;
  std::vector<Worker> workers_;
  Entries waiting_;
  // Those of waiting_ that may go: urgent ones, then whoever has been able to go for longest, so
  // that directories take turns.
  std::map<std::uint64_t, Entry*> ready_;
  std::unordered_map<NodeId, Line> lines_;
  std::unordered_map<std::string, Name> names_;
  std::uint64_t last_token_ = 0;
  std::uint64_t last_rank_ = 0;
  std::uint64_t overflowed_ = 0;
  std::size_t pushes_to_collapse_ = 0;
};

}  // namespace zkfs::mount
