// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/checkers.h"

#include <cstdio>
#include <cstdlib>

namespace zkfs::sim {

void Checkers::violated(const std::string& what) {
  (void)std::fprintf(stderr, "VIOLATED: %s\n", what.c_str());
  std::abort();
}

void Checkers::observe(SimNode& node) {
  const auto status = node.member().status();
  if (status.state == zab::PeerState::kLeading && status.in_quorum) {
    const std::pair self{node.id(), node.incarnation()};
    const auto [it, fresh] = leaders_.emplace(status.epoch, self);
    if (!fresh && it->second != self) {
      violated(fmt::format("epoch {} is led by server {} and by server {}", status.epoch,
                           it->second.first, node.id()));
    }
  }
  auto& applied = applied_[{node.id(), node.incarnation()}];
  if (status.last_applied < applied) {
    violated(
        fmt::format("server {} went back from {} to {}", node.id(), applied, status.last_applied));
  }
  if (status.last_applied == applied) return;
  applied = status.last_applied;
  const auto [it, fresh] = digests_.emplace(status.last_applied, status.digest);
  if (!fresh && it->second != status.digest) {
    violated(fmt::format("at zxid {} server {} has digest {:x}, another had {:x}", applied,
                         node.id(), status.digest, it->second));
  }
  trace_ = (trace_ ^ status.digest ^ applied.value ^ node.id().value) * 0x9e3779b97f4a7c15ULL;
}

}  // namespace zkfs::sim
