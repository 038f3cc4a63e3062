// SPDX-License-Identifier: Apache-2.0
// ClientHistory: the committed history of the znodes that clients use, as whichever server was
// first showed it: what a client is told is judged by it. Servers agree on it (see Checkers).
//
// What no server was seen to apply (it was recovered from disks, or came by a snapshot that no
// running server had made) is a gap; nothing is judged there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ensemble/base/ids.h"
#include "ensemble/server/door.h"
#include "ensemble/server/watch_table.h"

namespace zkfs::sim {

class ClientHistory {
 public:
  // The directory of the clients. Besides, they read and set what the mounts set ("/s0" ...).
  static constexpr std::string_view kDirectory = "/c";
  static constexpr std::string_view kQuota = "/zookeeper/quota/c";
  static constexpr std::string_view kQuotaLimits = "/zookeeper/quota/c/zookeeper_limits";

  struct State {
    bool exists = false;
    std::string data;
    Zxid mzxid;
    std::int32_t version = 0;
    SessionId owner;
    std::string user;  // who alone may read and write it; empty: everybody

    friend bool operator==(const State&, const State&) = default;
  };

  struct Step {
    Zxid zxid;
    std::string path;
    server::EventType type;
  };

  // A server applied a txn; its tree is that after it.
  void applied(const tree::DataTree& tree, const server::AppliedTxn& txn);
  // A server came to its position unseen.
  void jumped(const tree::DataTree& tree);

  // A server is there, having applied nothing of interest.
  void reached(Zxid position) { position_ = std::max(position_, position); }

  [[nodiscard]] Zxid position() const { return position_; }

  // No gap in (after, to].
  [[nodiscard]] bool known(Zxid after, Zxid to) const;
  // As of `zxid`. Requires: known at `zxid`.
  [[nodiscard]] const State& at(std::string_view path, Zxid zxid) const;

  // Just before `zxid`.
  [[nodiscard]] const State& before(std::string_view path, Zxid zxid) const {
    return at(path, Zxid{zxid.value - 1});
  }

  [[nodiscard]] std::optional<Zxid> first_change(std::string_view path, Zxid after) const;
  // Of the children of the directory.
  [[nodiscard]] std::optional<Zxid> first_child_change(Zxid after) const;
  [[nodiscard]] std::vector<std::string> children(Zxid zxid) const;

  // Where the request that carried `mark` took effect.
  [[nodiscard]] std::optional<Zxid> effect(const std::string& mark) const;

  // All of them in the order of the log.
  [[nodiscard]] const std::vector<Step>& steps() const { return steps_; }

  [[nodiscard]] const std::vector<std::pair<Zxid, Zxid>>& gaps() const { return gaps_; }

  // Of all paths, the last.
  [[nodiscard]] std::map<std::string, State> last() const;

 private:
  using States = std::vector<std::pair<Zxid, State>>;

  static bool is_tracked(std::string_view path);
  static State state_of(const tree::DataTree& tree, std::string_view path);
  void note(const std::string& path, Zxid zxid, State state);

  std::map<std::string, States, std::less<>> paths_;
  std::map<std::string, Zxid> effects_;
  std::vector<Step> steps_;
  std::vector<Zxid> child_changes_;
  std::vector<std::pair<Zxid, Zxid>> gaps_;
  Zxid position_;
};

}  // namespace zkfs::sim
