// SPDX-License-Identifier: Apache-2.0
// Barriers: makes what comes after a last close wait for that close's commit. The kernel answers
// close(2) before the RELEASE behind it has been dealt with; whoever looks up, stats or opens the
// file next must see what was written (contract section 2). Keys stand for a znode or for a name
// that is not a znode yet; two that collide only make somebody wait in vain.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ensemble/base/ids.h"

namespace zkfs::mount {

class Barriers {
 public:
  using Key = std::uint64_t;
  using Waiter = std::move_only_function<void()>;

  static Key of(Ino ino) { return ino.value * 2; }

  static Key of(Ino parent, std::string_view name) {
    return (std::hash<std::string_view>{}(name) ^ (parent.value * 0x9e3779b97f4a7c15ULL)) | 1U;
  }

  void begin(Key key) { ++raised_[key].count; }

  // The last one to end lets the waiters go.
  void end(Key key) {
    const auto it = raised_.find(key);
    if (it == raised_.end() || --it->second.count != 0) return;
    auto waiters = std::move(it->second.waiters);
    raised_.erase(it);
    for (Waiter& waiter : waiters) waiter();
  }

  [[nodiscard]] bool any() const { return !raised_.empty(); }

  [[nodiscard]] bool raised(Key key) const { return !raised_.empty() && raised_.contains(key); }

  // Requires: raised(key).
  void wait(Key key, Waiter waiter) { raised_.at(key).waiters.push_back(std::move(waiter)); }

  // Lets all go, whatever becomes of the commits: nobody waits for a quorum here.
  void let_go() {
    std::vector<Waiter> all;
    for (auto& [key, raised] : raised_) {
      for (Waiter& waiter : std::exchange(raised.waiters, {})) all.push_back(std::move(waiter));
    }
    for (Waiter& waiter : all) waiter();
  }

 private:
  struct Raised {
    std::size_t count = 0;
    std::vector<Waiter> waiters;
  };

  std::unordered_map<Key, Raised> raised_;
};

}  // namespace zkfs::mount
