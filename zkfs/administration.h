// SPDX-License-Identifier: Apache-2.0
// Administration: this server as administrators of ZooKeeper see it. Answers four-letter words for
// the client port, and runs the HTTP servers that the configuration asks for: admin.serverPort with
// the commands and /metrics, metricsProvider.httpPort with /metrics alone. Core thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <asio/io_context.hpp>

#include "ensemble/admin/admin_source.h"
#include "ensemble/admin/four_letter_words.h"
#include "ensemble/admin/http_server.h"
#include "ensemble/base/error.h"
#include "ensemble/client_port/hub.h"
#include "ensemble/server/member.h"
#include "zkfs/config.h"

namespace zkfs {

class Administration final : public admin::AdminSource, private server::ChangeSubscriber {
 public:
  struct Context {
    const Config& config;
    server::Member& member;
    const Histogram& appends;  // until what was appended to the log was durable
    std::function<Now()> now;
    // Families of Prometheus' text that are ours, not ZooKeeper's.
    std::function<std::string()> metrics;
  };

  // All of `context` outlives it. Requires: the member is not started yet.
  explicit Administration(Context context);
  ~Administration() override;
  Administration(const Administration&) = delete;
  Administration& operator=(const Administration&) = delete;

  // The clients to tell of from now on; without, there are none. Outlives this.
  void show_clients(client_port::Hub& hub) { hub_ = &hub; }

  // How long the data directory took to be read.
  void note_startup(Instant elapsed) { startup_.add(elapsed); }

  // Begins to answer over HTTP, where that is configured. Fails with a line that names the address,
  // the key and the remedy.
  Expected<void> listen(asio::io_context& context);
  // Closes all connections.
  void close();

  // The answer to a four-letter word; nothing if it is none.
  std::optional<std::string> answer(std::string_view word) {
    return admin::answer(word, {}, *this, whitelist_);
  }

  // --- AdminSource ---
  [[nodiscard]] const admin::Settings& settings() const override { return settings_; }

  [[nodiscard]] const admin::Environment& environment() const override { return environment_; }

  [[nodiscard]] Now now() const override { return context_.now(); }

  [[nodiscard]] Millis uptime() const override;
  [[nodiscard]] std::optional<Millis> leader_uptime() const override;

  [[nodiscard]] server::MemberStatus status() const override { return context_.member.status(); }

  [[nodiscard]] const tree::DataTree& tree() const override { return context_.member.tree(); }

  [[nodiscard]] std::vector<zab::LearnerStatus> learners() const override {
    return context_.member.learners();
  }

  [[nodiscard]] std::optional<admin::ProposalSizes> proposal_sizes() const override;
  [[nodiscard]] std::vector<admin::SessionExpiry> session_expiries() const override;
  [[nodiscard]] client_port::PortView port() const override;
  [[nodiscard]] std::vector<client_port::ConnectionView> connections() const override;
  void reset_connections() override;
  void reset_port() override;
  [[nodiscard]] admin::WatchCounts watch_counts() const override;
  [[nodiscard]] std::vector<admin::PathSessions> watched_paths() const override;
  [[nodiscard]] std::vector<admin::SessionPaths> watching_sessions() const override;
  [[nodiscard]] admin::DirectorySizes directory_sizes() const override;
  [[nodiscard]] std::optional<admin::LastSnapshot> last_snapshot() const override;
  [[nodiscard]] admin::Durations durations() const override;
  [[nodiscard]] admin::Counts counts() const override;
  [[nodiscard]] admin::ProcessUse process_use() const override;

 private:
  // --- ChangeSubscriber ---
  void applied(const server::AppliedTxn& /*txn*/) override {}

  void replaced(const tree::DataTree& /*before*/, const tree::DataTree& /*after*/) override {}

  void quorum_changed(bool in_quorum) override;

  const Context context_;
  const admin::Settings settings_;
  const admin::Environment environment_;
  const admin::Whitelist whitelist_;
  client_port::Hub* hub_ = nullptr;
  std::unique_ptr<admin::HttpServer> admin_server_;
  std::unique_ptr<admin::HttpServer> metrics_server_;

  const Instant begun_;
  Instant quorum_changed_;  // the last time; at first when it was begun
  std::uint64_t elections_ = 1;
  Histogram startup_;
  Histogram elections_took_;
};

}  // namespace zkfs
