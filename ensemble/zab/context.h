// SPDX-License-Identifier: Apache-2.0
// Context: what the roles of one machine share and what outlives them: configuration, the log,
// epochs, links, and the effects gathered since the last flush. Private to zab/.
#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ensemble/base/random.h"
#include "ensemble/zab/config.h"
#include "ensemble/zab/effect.h"
#include "ensemble/zab/history.h"
#include "ensemble/zab/quorum.h"

namespace zkfs::zab {

// What a storage operation was for. `role` tells whether the role that asked is still the one
// playing: a later role must not take an earlier one's completion for its own (ZOOKEEPER-4712).
struct PendingOp {
  enum class Kind : std::uint8_t { kAppend, kTruncate, kAcceptedEpoch, kCurrentEpoch, kInstall };
  std::uint64_t op = 0;
  Kind kind = Kind::kAppend;
  std::uint64_t role = 0;
  Zxid zxid;
  Epoch epoch;
};

struct Context {
  Context(Config config_in, Epoch accepted, Epoch current, History history_in, std::uint64_t seed)
      : config(std::move(config_in)),
        quorum(config.voters),
        accepted_epoch(accepted),
        current_epoch(current),
        history(std::move(history_in)),
        random(seed) {}

  Config config;
  Quorum quorum;
  // Highest promised, and last fully adopted. These are the values last handed to the disk; the
  // disk works in order, and no message that rests on one is sent before it is durable.
  Epoch accepted_epoch;
  Epoch current_epoch;
  // The highest promise of anybody that this member has heard of, as leader. Only an epoch above it
  // can be followed by all; a new leadership begins there instead of one above its own last.
  Epoch promise_heard;
  History history;
  Random random;
  // The election's logical clock.
  std::uint64_t round = 0;
  // Peers with a link.
  std::set<ServerId> links;
  // Counts roles played; see PendingOp.
  std::uint64_t role = 0;
  // This member's log could not be cut where a leader wanted it cut: ask for a snapshot next time.
  bool want_snapshot = false;
  // A leadership ended because the disk did not answer, and it has not answered since: this member
  // does not stand.
  bool disk_hangs = false;
  std::vector<Effect> effects;
  std::deque<PendingOp> pending;
  std::uint64_t last_op = 0;
  // Entries appended to history and not yet handed to the disk: everything after this.
  Zxid handed_to_disk;

  [[nodiscard]] bool observer() const { return !quorum.is_voter(config.self); }

  [[nodiscard]] bool connected(ServerId id) const { return links.contains(id); }

  void emit(Effect effect) { effects.push_back(std::move(effect)); }

  void send(ServerId to, Message message) { emit(SendEffect{to, std::move(message)}); }

  // To every other member.
  void broadcast(const Message& message);

  void save_accepted_epoch(Epoch epoch);
  void save_current_epoch(Epoch epoch);
  void truncate_after(Zxid last);
  void install_snapshot(Zxid zxid);
  // Hands entries appended since to the disk. Must come before any other storage operation, which
  // the functions above see to.
  void flush_appends();
  void commit(Zxid zxid);

 private:
  std::uint64_t begin_op(PendingOp::Kind kind, Zxid zxid, Epoch epoch);
};

}  // namespace zkfs::zab
