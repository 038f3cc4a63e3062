// SPDX-License-Identifier: Apache-2.0
#include "zkfs/status_text.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace zkfs {
namespace {

std::int64_t lost_for_ms(const StatusView& view) {
  if (!view.member.quorum_lost_since) return 0;
  return std::chrono::duration_cast<Millis>(view.now - *view.member.quorum_lost_since).count();
}

std::size_t connected_count(const StatusView& view) {
  std::size_t count = 0;
  for (const PeerView& peer : view.peers) count += peer.connected ? 1U : 0U;
  return count;
}

std::string state_of(const PeerView& peer, const zab::LearnerStatus* learner) {
  if (!peer.connected) return "unreachable";
  if (learner == nullptr) return "connected";
  return learner->in_step ? "in_sync" : "syncing";
}

}  // namespace

std::string_view role_word(const StatusView& view) {
  if (!view.member.in_quorum) return "looking";
  if (view.standalone) return "standalone";
  switch (view.member.state) {
    case zab::PeerState::kLooking:
      return "looking";
    case zab::PeerState::kFollowing:
      return "follower";
    case zab::PeerState::kLeading:
      return "leader";
    case zab::PeerState::kObserving:
      return "observer";
  }
  return "looking";
}

std::string status_text(const StatusView& view) {
  const server::MemberStatus& member = view.member;
  std::string text;
  const auto line = [&text](std::string_view name, std::string_view value) {
    fmt::format_to(std::back_inserter(text), "{:<12} {}\n", name, value);
  };
  line("role", role_word(view));
  line("server", fmt::format("{}", member.self.value));
  line("leader", member.leader ? fmt::format("{}", member.leader.value) : "none");
  line("quorum", member.in_quorum ? "yes"
                                  : fmt::format("no, for {:.1f} s",
                                                static_cast<double>(lost_for_ms(view)) / 1000.0));
  line("epoch", fmt::format("{}", member.epoch.value));
  line("zxid", fmt::format("{:#x}", member.last_applied.value));
  line("logged", fmt::format("{:#x}", member.last_logged.value));
  line("znodes", fmt::format("{}", member.znodes));
  line("data", fmt::format("{} bytes", member.data_bytes));
  line("sessions", fmt::format("{}", member.sessions));
  line("waiting", fmt::format("{}", member.pending_requests));
  line("digest", fmt::format("{:016x}", member.digest));
  if (!view.standalone)
    line("peers", fmt::format("{} of {} connected", connected_count(view), view.peers.size()));
  for (const PeerView& peer : view.peers)
    line(fmt::format("  server.{}", peer.id.value),
         fmt::format("{} {} {}", peer.address, peer.observer ? "observer" : "participant",
                     peer.connected ? "connected" : "not connected"));
  return text;
}

std::string status_json(const StatusView& view) {
  const server::MemberStatus& member = view.member;
  nlohmann::ordered_json peers = nlohmann::ordered_json::array();
  for (const PeerView& peer : view.peers) {
    peers.push_back({{"server", peer.id.value},
                     {"address", peer.address},
                     {"observer", peer.observer},
                     {"connected", peer.connected}});
  }
  const nlohmann::ordered_json json{{"role", role_word(view)},
                                    {"server", member.self.value},
                                    {"leader", member.leader.value},
                                    {"in_quorum", member.in_quorum},
                                    {"quorum_lost_ms", lost_for_ms(view)},
                                    {"epoch", member.epoch.value},
                                    {"zxid", fmt::format("{}", member.last_applied)},
                                    {"logged_zxid", fmt::format("{}", member.last_logged)},
                                    {"znodes", member.znodes},
                                    {"data_bytes", member.data_bytes},
                                    {"sessions", member.sessions},
                                    {"pending_requests", member.pending_requests},
                                    {"outstanding_proposals", member.outstanding_proposals},
                                    {"learners_in_sync", member.learners_in_sync},
                                    {"digest", fmt::format("{:016x}", member.digest)},
                                    {"peers", std::move(peers)}};
  // A name that is not UTF-8 must not cost the whole.
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
}

std::vector<mount::EnsembleMember> ensemble_members(const StatusView& view) {
  std::vector<mount::EnsembleMember> all;
  all.push_back({.id = view.member.self,
                 .address = view.address,
                 .role = std::string(role_word(view)),
                 .state = view.member.in_quorum ? "in_sync" : "looking",
                 .zxid = fmt::format("{}", view.member.last_applied),
                 .latency_ms = "0"});
  for (const PeerView& peer : view.peers) {
    const auto found = std::ranges::find(view.learners, peer.id, &zab::LearnerStatus::id);
    const zab::LearnerStatus* learner = found == view.learners.end() ? nullptr : &*found;
    mount::EnsembleMember& member = all.emplace_back();
    member.id = peer.id;
    member.address = peer.address;
    member.role = "unknown";
    if (peer.observer) {
      member.role = "observer";
    } else if (peer.id == view.member.leader) {
      member.role = "leader";
    } else if (learner != nullptr && learner->in_step) {
      member.role = "follower";
    }
    member.state = state_of(peer, learner);
    if (learner != nullptr && learner->acked.value != 0) {
      member.zxid = fmt::format("{}", learner->acked);
    }
    if (learner != nullptr && learner->round_trip) {
      member.latency_ms = fmt::format(
          "{:.3f}", std::chrono::duration<double, std::milli>(*learner->round_trip).count());
    }
  }
  std::ranges::sort(all, {}, &mount::EnsembleMember::id);
  return all;
}

std::string metrics_text(const StatusView& view,
                         const Histogram& appends,
                         const ProcessFacts& process) {
  const server::MemberStatus& member = view.member;
  MetricsText text;
  const auto gauge = [&text](std::string_view name, std::string_view help, auto value) {
    text.one(name, "gauge", help, "", value);
  };
  const auto number = [](auto value) { return static_cast<std::uint64_t>(value); };
  text.family("zkfs_role", "gauge", "1 for the role this server has.");
  for (const std::string_view role : {"leader", "follower", "observer", "standalone", "looking"}) {
    text.sample("zkfs_role", MetricsText::label("role", role), number(role_word(view) == role));
  }
  gauge("zkfs_in_quorum", "1 while this server takes part in a quorum.", number(member.in_quorum));
  gauge("zkfs_quorum_lost_seconds", "Since when it does not; 0 while it does.",
        static_cast<double>(lost_for_ms(view)) / 1000.0);
  gauge("zkfs_epoch", "Number of the leadership.", number(member.epoch.value));
  gauge("zkfs_zxid", "Last transaction applied.", member.last_applied.value);
  gauge("zkfs_logged_zxid", "Last transaction in the log.", member.last_logged.value);
  gauge("zkfs_znodes", "Znodes in the tree.", member.znodes);
  gauge("zkfs_data_bytes", "Data of all znodes.", member.data_bytes);
  gauge("zkfs_sessions", "Sessions of the ensemble.", member.sessions);
  gauge("zkfs_pending_requests", "Requests made here and not answered.",
        number(member.pending_requests));
  gauge("zkfs_outstanding_proposals", "Proposals of this leader not committed yet.",
        number(member.outstanding_proposals));
  gauge("zkfs_learners_in_sync", "Learners in step with this leader.",
        number(member.learners_in_sync));
  text.family("zkfs_peer_connected", "gauge", "1 while the link to the server is up.");
  for (const PeerView& peer : view.peers) {
    text.sample("zkfs_peer_connected", MetricsText::label("server", fmt::format("{}", peer.id)),
                number(peer.connected));
  }
  text.family("zkfs_heartbeat_seconds", "gauge",
              "Round trip of the last heartbeat, by learner of this leader.");
  for (const zab::LearnerStatus& learner : view.learners) {
    if (!learner.round_trip) continue;
    text.sample("zkfs_heartbeat_seconds",
                MetricsText::label("server", fmt::format("{}", learner.id)),
                std::chrono::duration<double>(*learner.round_trip).count());
  }
  text.histogram("zkfs_log_append_seconds",
                 "From handing entries to the disk until they are durable.", "", appends);
  gauge("zkfs_process_resident_bytes", "Memory of the daemon.", process.resident_bytes);
  gauge("zkfs_process_open_descriptors", "Open file descriptors of the daemon.",
        process.open_descriptors);
  gauge("zkfs_process_uptime_seconds", "Since the daemon was started.", process.uptime_seconds);
  return text.take();
}

ProcessFacts process_facts(Instant uptime) {
  ProcessFacts facts;
  std::ifstream statm("/proc/self/statm");
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  if (statm >> size >> resident) {
    facts.resident_bytes = resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  }
  std::error_code ignored;
  for (auto it = std::filesystem::directory_iterator("/proc/self/fd", ignored);
       it != std::filesystem::directory_iterator(); it.increment(ignored)) {
    ++facts.open_descriptors;
  }
  if (facts.open_descriptors > 0) --facts.open_descriptors;  // the one that counts
  facts.uptime_seconds = std::chrono::duration<double>(uptime).count();
  return facts;
}

}  // namespace zkfs
