// SPDX-License-Identifier: Apache-2.0
#include "zkfs/status_text.h"

#include <chrono>
#include <iterator>

#include <fmt/format.h>

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

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out;
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
  std::string text = fmt::format(
      R"({{"role":"{}","server":{},"leader":{},"in_quorum":{},"quorum_lost_ms":{},"epoch":{},)"
      R"("zxid":"{:#x}","logged_zxid":"{:#x}","znodes":{},"data_bytes":{},"sessions":{},)"
      R"("pending_requests":{},"outstanding_proposals":{},"learners_in_sync":{},)"
      R"("digest":"{:016x}","peers":[)",
      role_word(view), member.self.value, member.leader.value, member.in_quorum, lost_for_ms(view),
      member.epoch.value, member.last_applied.value, member.last_logged.value, member.znodes,
      member.data_bytes, member.sessions, member.pending_requests, member.outstanding_proposals,
      member.learners_in_sync, member.digest);
  std::string_view comma;
  for (const PeerView& peer : view.peers) {
    fmt::format_to(std::back_inserter(text),
                   R"({}{{"server":{},"address":"{}","observer":{},"connected":{}}})", comma,
                   peer.id.value, escaped(peer.address), peer.observer, peer.connected);
    comma = ",";
  }
  return text + "]}\n";
}

}  // namespace zkfs
