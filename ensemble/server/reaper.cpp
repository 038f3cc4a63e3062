// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/reaper.h"

#include <algorithm>

namespace zkfs::server {
namespace {

// A candidate costs a fraction of a microsecond: so a scan takes some percent of the time at most.
constexpr std::int64_t kCandidatesPerMilli = 20;

WallMillis changed_at(const tree::Znode& znode) {
  return std::max(znode.stat.mtime, znode.change_time);
}

}  // namespace

Reaper::Reaper(Config config, Now now) : config_(config), begun_(now), next_(now.monotonic) {}

WallMillis Reaper::believed(Now now) const {
  const auto gone = std::chrono::ceil<Millis>(now.monotonic - begun_.monotonic);
  return std::min<WallMillis>(now.wall, begun_.wall + gone.count());
}

Instant Reaper::seen_for(const tree::Znode& znode, Now now) {
  // What is done to a container's own data does not matter.
  const WallMillis changed =
      znode.type == tree::NodeType::kContainer ? WallMillis{} : changed_at(znode);
  const auto [it, fresh] = seen_.try_emplace(znode.ino);
  Seen& seen = it->second;
  if (fresh || seen.pzxid != znode.stat.pzxid || seen.changed != changed) {
    seen.since = now.monotonic;
    seen.pzxid = znode.stat.pzxid;
    seen.changed = changed;
  }
  seen.scan = scans_;
  return now.monotonic - seen.since;
}

bool Reaper::is_due(const tree::Znode& znode, Now now) {
  if (znode.type == tree::NodeType::kContainer) {
    return seen_for(znode, now) >= config_.container_grace;
  }
  // An mtime may be any number: nothing is subtracted from it.
  const WallMillis changed = changed_at(znode);
  const WallMillis clock = believed(now);
  if (znode.stat.pzxid == znode.stat.czxid) {  // never had children
    if (changed <= clock - znode.ttl_ms) return true;
    // Most need not be kept in mind: their own times tell.
    if (clock == now.wall) return false;
  }
  const Instant seen = seen_for(znode, now);
  return changed <= now.wall - znode.ttl_ms && seen >= Millis{znode.ttl_ms};
}

void Reaper::scan(const tree::DataTree& tree, Now now) {
  ++scans_;
  const std::vector<Ino> candidates = tree.reapable();
  for (const Ino ino : candidates) {
    if (is_due(*tree.find(ino), now)) found_.push_back(ino);
  }
  std::erase_if(seen_, [this](const auto& seen) { return seen.second.scan != scans_; });
  const Millis pause{static_cast<std::int64_t>(candidates.size()) / kCandidatesPerMilli};
  next_scan_ = now.monotonic + std::max(config_.interval, pause);
}

std::vector<DeleteRequest> Reaper::due(const tree::DataTree& tree, Now now) {
  std::vector<DeleteRequest> result;
  if (now.monotonic < next_) return result;
  next_ = now.monotonic + config_.interval;
  if (found_.empty() && now.monotonic >= next_scan_) scan(tree, now);
  while (!found_.empty() && result.size() < kBatchMax) {
    const Ino ino = found_.front();
    found_.pop_front();
    // Time has gone by since the scan.
    const auto znode = tree.find(ino);
    if (!znode || znode->stat.num_children != 0 || !is_due(*znode, now)) continue;
    DeleteRequest request;
    request.target.ino = ino;
    request.version = znode->stat.version;
    result.push_back(std::move(request));
  }
  return result;
}

}  // namespace zkfs::server
