// SPDX-License-Identifier: Apache-2.0
#include "ensemble/zab/to_text.h"

#include <type_traits>

#include <fmt/core.h>

namespace zkfs::zab {
namespace {

std::string range(const std::vector<Entry>& entries) {
  if (entries.empty()) return "nothing";
  if (entries.size() == 1) return to_text(entries.front().zxid);
  return fmt::format("{}..{}", to_text(entries.front().zxid), to_text(entries.back().zxid));
}

std::string body(const Notification& m) {
  return fmt::format("NOTIFICATION {} vote={} epoch={} zxid={} round={}", to_string(m.state),
                     m.vote.leader, m.vote.epoch, to_text(m.vote.zxid), m.round);
}

std::string body(const FollowerInfo& m) {
  return fmt::format("{} accepted={}", m.observer ? "OBSERVERINFO" : "FOLLOWERINFO",
                     m.accepted_epoch);
}

std::string body(const LeaderInfo& m) {
  return fmt::format("LEADERINFO epoch={}", m.new_epoch);
}

std::string body(const AckEpoch& m) {
  return fmt::format("ACKEPOCH current={} last={} applied={}{}{}", m.current_epoch,
                     to_text(m.last_logged), to_text(m.applied), m.fresh ? "" : " stale",
                     m.want_snapshot ? " want-snapshot" : "");
}

std::string body(const Diff& m) {
  return fmt::format("DIFF from={}", to_text(m.from));
}

std::string body(const Trunc& m) {
  return fmt::format("TRUNC last={}", to_text(m.last));
}

std::string body(const Snap& m) {
  return fmt::format("SNAP zxid={}", to_text(m.zxid));
}

std::string body(const SnapChunk& m) {
  return m.last ? "SNAPCHUNK last" : fmt::format("SNAPCHUNK bytes={}", m.bytes.size());
}

std::string body(const NewLeader& m) {
  return fmt::format("NEWLEADER epoch={}", m.epoch);
}

std::string body(const AckNewLeader& m) {
  return fmt::format("ACK NEWLEADER epoch={}", m.epoch);
}

std::string body(const UpToDate& m) {
  return fmt::format("UPTODATE committed={}", to_text(m.committed));
}

std::string body(const Proposal& m) {
  return "PROPOSAL " + range(m.entries);
}

std::string body(const Ack& m) {
  return "ACK " + to_text(m.zxid);
}

std::string body(const Commit& m) {
  return "COMMIT " + to_text(m.committed);
}

std::string body(const Inform& m) {
  return "INFORM " + range(m.entries);
}

std::string body(const Ping& m) {
  return fmt::format("PING round={}", m.round);
}

std::string body(const Pong& m) {
  return fmt::format("PONG round={}", m.round);
}

std::string body(const Forward& m) {
  return fmt::format("FORWARD bytes={}", m.bytes.size());
}

std::string body(const SyncRequest& m) {
  return fmt::format("SYNC id={}", m.id);
}

std::string body(const SyncReply& m) {
  return fmt::format("SYNCED id={} committed={}", m.id, to_text(m.committed));
}

std::string line(const SendEffect& e, bool with_tag) {
  return fmt::format("send {} {}", e.to, to_text(e.message, with_tag));
}

std::string line(const AppendEffect& e, bool /*with_tag*/) {
  return fmt::format("append {} committed={}", range(e.entries), to_text(e.committed));
}

std::string line(const TruncateEffect& e, bool /*with_tag*/) {
  return "truncate after " + to_text(e.last);
}

std::string line(const SaveAcceptedEpochEffect& e, bool /*with_tag*/) {
  return fmt::format("save acceptedEpoch={}", e.epoch);
}

std::string line(const SaveCurrentEpochEffect& e, bool /*with_tag*/) {
  return fmt::format("save currentEpoch={}", e.epoch);
}

std::string line(const SnapshotBeginEffect& e, bool /*with_tag*/) {
  return "snapshot begin " + to_text(e.zxid);
}

std::string line(const SnapshotChunkEffect& e, bool /*with_tag*/) {
  return fmt::format("snapshot chunk bytes={}", e.bytes.size());
}

std::string line(const SnapshotInstallEffect& e, bool /*with_tag*/) {
  return "snapshot install " + to_text(e.zxid);
}

std::string line(const SnapshotAbandonEffect& /*e*/, bool /*with_tag*/) {
  return "snapshot abandon";
}

std::string line(const DeliverEffect& e, bool /*with_tag*/) {
  return "deliver " + range(e.entries);
}

std::string line(const RoleEffect& e, bool /*with_tag*/) {
  return fmt::format("role {}{} leader={} epoch={}: {}", to_string(e.state),
                     e.active ? " active" : "", e.leader, e.epoch, e.reason);
}

std::string line(const SnapshotWantedEffect& e, bool /*with_tag*/) {
  return fmt::format("snapshot wanted for {}", e.learner);
}

std::string line(const ForwardedEffect& e, bool /*with_tag*/) {
  return fmt::format("forwarded from {} bytes={}", e.from, e.bytes.size());
}

std::string line(const SyncedEffect& e, bool /*with_tag*/) {
  return fmt::format("synced id={} zxid={}", e.id, to_text(e.zxid));
}

}  // namespace

std::string_view to_string(PeerState state) {
  switch (state) {
    case PeerState::kLooking:
      return "looking";
    case PeerState::kFollowing:
      return "following";
    case PeerState::kLeading:
      return "leading";
    case PeerState::kObserving:
      return "observing";
  }
  return "unknown";
}

std::string to_text(Zxid zxid) {
  return fmt::format("{}.{}", zxid.epoch(), zxid.counter());
}

std::string to_text(const Message& message, bool with_tag) {
  return std::visit(
      [with_tag](const auto& m) {
        if constexpr (std::is_same_v<std::decay_t<decltype(m)>, Notification>) {
          return body(m);
        } else {
          return with_tag ? fmt::format("{} tag={:x}", body(m), m.tag) : body(m);
        }
      },
      message);
}

std::string to_text(const Effect& effect, bool with_tag) {
  return std::visit([with_tag](const auto& e) { return line(e, with_tag); }, effect);
}

}  // namespace zkfs::zab
