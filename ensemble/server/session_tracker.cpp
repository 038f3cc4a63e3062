// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/session_tracker.h"

#include <algorithm>

#include "ensemble/base/check.h"

namespace zkfs::server {

SessionTracker::SessionTracker(Millis tick) : tick_(tick) {
  ZKFS_CHECK(tick.count() > 0, "a tick of {} ms", tick.count());
}

Instant SessionTracker::bucket_of(Instant now, std::uint32_t timeout_ms) const {
  const Instant tick = tick_;
  return ((now + Millis(timeout_ms)) / tick + 1) * tick;
}

void SessionTracker::add(SessionId session, std::uint32_t timeout_ms, Instant now) {
  remove(session);
  const Instant bucket = bucket_of(now, timeout_ms);
  sessions_[session] = Tracked{.timeout_ms = timeout_ms, .bucket = bucket};
  buckets_[bucket].insert(session);
}

void SessionTracker::remove(SessionId session) {
  const auto tracked = sessions_.find(session);
  if (tracked == sessions_.end()) return;
  const auto bucket = buckets_.find(tracked->second.bucket);
  bucket->second.erase(session);
  if (bucket->second.empty()) buckets_.erase(bucket);
  sessions_.erase(tracked);
}

void SessionTracker::touch(SessionId session, Instant now) {
  const auto tracked = sessions_.find(session);
  if (tracked == sessions_.end()) return;
  const Instant bucket = bucket_of(now, tracked->second.timeout_ms);
  // Most touches fall into the bucket where the session is; none moves it to an earlier one.
  if (bucket > tracked->second.bucket) add(session, tracked->second.timeout_ms, now);
}

std::vector<SessionId> SessionTracker::expired(Instant now) {
  std::vector<SessionId> over;
  while (!buckets_.empty() && buckets_.begin()->first <= now) {
    for (const SessionId session : buckets_.begin()->second) {
      over.push_back(session);
      sessions_.erase(session);
    }
    buckets_.erase(buckets_.begin());
  }
  std::sort(over.begin(), over.end());
  return over;
}

}  // namespace zkfs::server
