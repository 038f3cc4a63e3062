// SPDX-License-Identifier: Apache-2.0
// Workload: clients of every server: appends, sets, compare-and-sets, sequential and ephemeral
// creates, renames, deletes, syncs, each with a mark of its own, so that afterwards the final tree
// tells which of them happened and how often.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ensemble/base/random.h"
#include "tests/sim/checkers.h"
#include "tests/sim/sim_node.h"

namespace zkfs::sim {

class Workload {
 public:
  Workload(Random& random, Checkers& checkers);

  // A client of `node`'s present process does something (opens its session first).
  void act(SimNode& node);
  // A write that must go through: convergence. Its completion counts in marks_done().
  void mark(SimNode& node);

  [[nodiscard]] std::size_t marks_done() const { return marks_done_; }

  // Judges the final tree.
  void check(const tree::DataTree& tree) const;

  [[nodiscard]] std::size_t operations() const { return operations_.size(); }

  [[nodiscard]] std::size_t answered() const { return answered_; }

 private:
  enum class Kind : std::uint8_t {
    kAppend,
    kSet,
    kIncrement,
    kSequential,
    kUnique,
    kEphemeral,
    kRename,
    kDelete,
    kTransient
  };

  struct Operation {
    Kind kind = Kind::kAppend;
    std::string path;
    std::string mark;
    std::optional<tree::Outcome> outcome;  // empty: never answered
  };

  struct Client {
    SessionId session;
    bool open = false;
  };

  using Key = std::pair<ServerId, std::uint64_t>;

  Client& client_of(SimNode& node);
  void submit(SimNode& node,
              Client& client,
              Kind kind,
              std::string path,
              server::Operation operation,
              std::string mark);
  void increment(SimNode& node, Client& client);
  void transient(SimNode& node, Client& client);
  void sync(SimNode& node);
  void check_appends(const tree::DataTree& tree) const;
  void check_sets(const tree::DataTree& tree) const;
  void check_increments(const tree::DataTree& tree) const;
  void check_creates(const tree::DataTree& tree) const;

  Random& random_;
  Checkers& checkers_;
  std::map<Key, Client> clients_;
  std::vector<Operation> operations_;
  std::size_t answered_ = 0;
  std::size_t marks_done_ = 0;
};

}  // namespace zkfs::sim
