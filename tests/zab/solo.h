// SPDX-License-Identifier: Apache-2.0
// Solo: one real machine whose peers and disk are the test itself.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ensemble/base/log.h"
#include "ensemble/zab/to_text.h"
#include "ensemble/zab/zab.h"

namespace zkfs::zab::testing {

inline Entry entry(std::uint32_t epoch, std::uint32_t counter, const char* text = "x") {
  return Entry{Zxid{Epoch{epoch}, counter}, Blob{text}};
}

struct Solo {
  explicit Solo(std::uint32_t self = 1,
                std::uint32_t accepted = 0,
                std::uint32_t current = 0,
                History history = History(Zxid{}, {}, Zxid{}),
                std::uint32_t voters = 3) {
    log::set_level(log::Level::kOff);
    Config config;
    config.self = ServerId{self};
    for (std::uint32_t id = 1; id <= voters; ++id) config.voters.emplace_back(id);
    if (self > voters) config.observers.emplace_back(self);
    zab = std::make_unique<Zab>(config, Epoch{accepted}, Epoch{current}, std::move(history), 42);
    zab->start(now);
    flush();
  }

  void up(std::uint32_t peer) {
    zab->peer_up(ServerId{peer}, now);
    flush();
  }

  void down(std::uint32_t peer) {
    zab->peer_down(ServerId{peer}, now);
    flush();
  }

  void from(std::uint32_t peer, const Message& message) {
    zab->message(ServerId{peer}, message, now);
    flush();
  }

  void tick(Millis step) {
    now += step;
    zab->tick(now);
    flush();
  }

  // All storage operations so far are durable.
  void disk_done() {
    if (last_op != 0) zab->disk_done(last_op, now);
    flush();
  }

  void flush() {
    for (auto& effect : zab->flush(now, [](ServerId) { return SIZE_MAX; })) {
      last_op = std::visit(
          [this](const auto& e) {
            if constexpr (requires { e.op; }) {
              return e.op;
            } else {
              return last_op;
            }
          },
          effect);
      effects.push_back(std::move(effect));
    }
  }

  // What happened since the last call, a line each, without pings and notifications.
  std::string happened() {
    std::string text;
    for (const auto& effect : effects) {
      const auto line = to_text(effect, false);
      if (line.find(" PONG ") != std::string::npos || line.find(" PING ") != std::string::npos ||
          line.find(" NOTIFICATION ") != std::string::npos) {
        continue;
      }
      text += line + "\n";
    }
    effects.clear();
    return text;
  }

  // The newest message of a kind that was sent since the last happened().
  template <typename M>
  const M* sent() const {
    const M* found = nullptr;
    for (const auto& effect : effects) {
      if (const auto* send = std::get_if<SendEffect>(&effect)) {
        if (const auto* m = std::get_if<M>(&send->message)) found = m;
      }
    }
    return found;
  }

  // Server `peer` says that it leads; the machine follows it. Returns the conversation's tag.
  std::uint64_t follow(std::uint32_t peer, std::uint32_t epoch = 0) {
    if (!up_.contains(peer)) up(peer);
    up_.insert(peer);
    from(peer, Notification{PeerState::kLeading, Vote{Epoch{epoch}, Zxid{}, ServerId{peer}}, 1});
    const auto* info = sent<FollowerInfo>();
    const std::uint64_t tag = info == nullptr ? 0 : info->tag;
    return tag;
  }

  // Follows `peer` up to and including ACKEPOCH of `epoch`.
  std::uint64_t promise(std::uint32_t peer, std::uint32_t epoch) {
    const auto tag = follow(peer);
    from(peer, LeaderInfo{tag, Epoch{epoch}});
    disk_done();
    return tag;
  }

  std::unique_ptr<Zab> zab;
  Instant now{};
  std::uint64_t last_op = 0;
  std::vector<Effect> effects;
  std::set<std::uint32_t> up_;
};

}  // namespace zkfs::zab::testing
