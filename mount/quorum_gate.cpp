// SPDX-License-Identifier: Apache-2.0
#include "mount/quorum_gate.h"

#include <utility>

namespace zkfs::mount {

QuorumGate::QuorumGate(const server::Door& door,
                       Parking& parking,
                       const MountOptions& options,
                       std::function<Instant()> now)
    : door_(door), parking_(parking), options_(options), now_(std::move(now)) {}

void QuorumGate::admit(Reply reply, Go go, int error, bool any_signal) {
  if (door_.in_quorum()) return go(std::move(reply));
  Parking::Terms terms;
  if (options_.quorum_loss != QuorumLoss::kWait) {
    const Instant now = now_();
    terms.deadline = door_.quorum_lost_since().value_or(now) + options_.timeo;
    terms.deadline_error = error;
    if (now >= *terms.deadline) return reply.error(error);
  }
  if (any_signal) terms.on_signal = [] { return false; };
  const std::uint64_t number = ++last_;
  const Parking::Id id = parking_.park(
      std::move(reply), [this, number](Parking::Why) { waiting_.erase(number); }, std::move(terms));
  waiting_.emplace(number, Waiting{id, std::move(go)});
}

void QuorumGate::admit_now(Reply reply, Go go, int error) {
  if (!door_.in_quorum() && options_.quorum_loss != QuorumLoss::kWait) {
    const Instant now = now_();
    if (now - door_.quorum_lost_since().value_or(now) >= options_.timeo) return reply.error(error);
  }
  go(std::move(reply));
}

bool QuorumGate::may_read() const {
  return options_.quorum_loss != QuorumLoss::kStrict || door_.in_quorum();
}

void QuorumGate::quorum_found() {
  for (auto& [number, waiting] : std::exchange(waiting_, {})) {
    if (Reply reply = parking_.take(waiting.id); reply.pending()) waiting.go(std::move(reply));
  }
}

}  // namespace zkfs::mount
