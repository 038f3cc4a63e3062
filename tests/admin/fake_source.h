// SPDX-License-Identifier: Apache-2.0
// A server of values: the standalone one, or a leader of three with an observer, as a test sets it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ensemble/admin/admin_source.h"
#include "ensemble/admin/version.h"

namespace zkfs::admin {

class FakeSource final : public AdminSource {
 public:
  FakeSource() {
    all_settings.version = version_text("0.1.0", "2026-11-21 18:00 UTC");
    all_settings.self = ServerId{1};
    all_settings.standalone = true;
    all_settings.client_port = 2181;
    all_settings.data_dir = "/var/lib/zkfs/version-2";
    all_settings.data_log_dir = "/var/log/zkfs/version-2";
    all_settings.tick_time_ms = 2000;
    all_settings.max_client_connections = 60;
    all_settings.session_timeout_min_ms = 4000;
    all_settings.session_timeout_max_ms = 40000;
    all_settings.configuration = "tickTime=2000\nclientPort=2181\n";
    process = {"host", "amd64", "6.1.0", "zk", "/home/zk", "/"};
    member.self = ServerId{1};
    member.state = zab::PeerState::kLeading;
    member.in_quorum = true;
    member.last_applied = Zxid(Epoch{1}, 4);
    client_port.received = 10;
    client_port.sent = 9;
    client_port.connections = 1;
    for (const std::uint64_t ms : {0, 1, 9}) client_port.latency.add(ms);
  }

  // Server 3, which leads 1 and 2 and the observer 4.
  void lead() {
    all_settings.standalone = false;
    all_settings.self = member.self = member.leader = ServerId{3};
    all_settings.init_limit = 10;
    all_settings.sync_limit = 5;
    all_settings.quorum_port = 2888;
    all_settings.election_port = 3888;
    apply(tree::SetDataTxn{.ino = kConfigIno,
                           .data = Blob("server.1=a:2888:3888:participant\nversion=100000000")});
    for (const std::uint32_t id : {1, 2, 3, 4}) {
      all_settings.servers.push_back({.id = ServerId{id},
                                      .host = "10.0.0." + std::to_string(id),
                                      .quorum_port = 2888,
                                      .election_port = 3888,
                                      .client_address = "10.0.0.1:2181",
                                      .observer = id == 4});
    }
    known.push_back({.id = ServerId{1}, .in_step = true, .acked = {}, .round_trip = {}});
    known.push_back({.id = ServerId{2}, .in_step = false, .acked = {}, .round_trip = {}});
    known.push_back(
        {.id = ServerId{4}, .observer = true, .in_step = true, .acked = {}, .round_trip = {}});
  }

  void lose_quorum() { member.in_quorum = false; }

  // A session with the ephemeral znode /e.
  void add_ephemeral() {
    apply(tree::CreateSessionTxn{.session = kSession, .timeout_ms = 10'000, .owner = "test"});
    tree::CreateTxn txn;
    txn.parent = kRootIno;
    txn.name = "e";
    txn.ino = znodes.next_ino();
    txn.acl = tree::open_acl();
    txn.type = tree::NodeType::kEphemeral;
    txn.owner = kSession;
    apply(txn);
  }

  void apply(tree::TxnBody body) {
    znodes.apply(Zxid{znodes.last_applied().value + 1},
                 tree::Txn{{}, {}, {}, 1000, std::move(body)});
  }

  static constexpr SessionId kSession{0x100017f8f050000};

  Settings all_settings;
  Environment process;
  server::MemberStatus member;
  tree::DataTree znodes;
  std::vector<zab::LearnerStatus> known;
  std::optional<ProposalSizes> proposals;
  std::vector<SessionExpiry> expiries;
  client_port::PortView client_port;
  std::vector<client_port::ConnectionView> clients;
  std::vector<PathSessions> by_path;
  std::vector<SessionPaths> by_session;
  std::optional<LastSnapshot> snapshot;
  Durations counted;
  Counts numbers;
  int connection_resets = 0;
  int port_resets = 0;

  [[nodiscard]] const Settings& settings() const override { return all_settings; }

  [[nodiscard]] const Environment& environment() const override { return process; }

  [[nodiscard]] Now now() const override { return {}; }

  [[nodiscard]] Millis uptime() const override { return Millis(23'249); }

  [[nodiscard]] std::optional<Millis> leader_uptime() const override { return Millis(22'228); }

  [[nodiscard]] server::MemberStatus status() const override { return member; }

  [[nodiscard]] const tree::DataTree& tree() const override { return znodes; }

  [[nodiscard]] std::vector<zab::LearnerStatus> learners() const override { return known; }

  [[nodiscard]] std::optional<ProposalSizes> proposal_sizes() const override { return proposals; }

  [[nodiscard]] std::vector<SessionExpiry> session_expiries() const override { return expiries; }

  [[nodiscard]] client_port::PortView port() const override { return client_port; }

  [[nodiscard]] std::vector<client_port::ConnectionView> connections() const override {
    return clients;
  }

  void reset_connections() override { ++connection_resets; }

  void reset_port() override { ++port_resets; }

  [[nodiscard]] WatchCounts watch_counts() const override {
    WatchCounts counts{by_session.size(), by_path.size(), 0};
    for (const SessionPaths& session : by_session) counts.watches += session.paths.size();
    return counts;
  }

  [[nodiscard]] std::vector<PathSessions> watched_paths() const override { return by_path; }

  [[nodiscard]] std::vector<SessionPaths> watching_sessions() const override { return by_session; }

  [[nodiscard]] DirectorySizes directory_sizes() const override { return {67109337, 67109338}; }

  [[nodiscard]] std::optional<LastSnapshot> last_snapshot() const override { return snapshot; }

  [[nodiscard]] Durations durations() const override { return counted; }

  [[nodiscard]] Counts counts() const override { return numbers; }

  [[nodiscard]] ProcessUse process_use() const override { return {45, 20000}; }
};

// One that has asked, and one that has no session yet.
inline std::vector<client_port::ConnectionView> two_connections() {
  client_port::ConnectionView asked;
  asked.remote = "127.0.0.1:53280";
  asked.session = FakeSource::kSession;
  asked.session_timeout_ms = 10'000;
  asked.received = 4;
  asked.sent = 4;
  asked.established = 1'795'287'669'472;
  asked.last_operation = "GETD";
  asked.last_cxid = 3;
  asked.last_zxid = 0xad;
  asked.last_response = 1'795'287'669'490;
  asked.last_latency_ms = 1;
  asked.latency.add(0);
  asked.latency.add(7);
  client_port::ConnectionView fresh;
  fresh.remote = "[::1]:53281";
  fresh.received = 1;
  fresh.established = 1'795'287'669'400;
  return {asked, fresh};
}

}  // namespace zkfs::admin
