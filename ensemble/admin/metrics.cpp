// SPDX-License-Identifier: Apache-2.0
#include "ensemble/admin/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace zkfs::admin {
namespace {

// Asked for once for all rows.
struct Facts {
  const AdminSource& source;
  server::MemberStatus status;
  client_port::PortView port;
  std::vector<zab::LearnerStatus> learners;
  std::optional<ProposalSizes> proposals;
  Durations durations;
  Counts counts;
  ProcessUse process;
  std::uint64_t ephemerals = 0;
  bool leads = false;  // an ensemble

  [[nodiscard]] std::uint64_t learners_that(bool observer, bool in_step) const {
    return static_cast<std::uint64_t>(std::ranges::count_if(learners, [&](const auto& learner) {
      return learner.observer == observer && learner.in_step == in_step;
    }));
  }
};

Facts facts_of(const AdminSource& source) {
  Facts facts{.source = source,
              .status = source.status(),
              .port = source.port(),
              .learners = source.learners(),
              .proposals = source.proposal_sizes(),
              .durations = source.durations(),
              .counts = source.counts(),
              .process = source.process_use()};
  for (const tree::Session& session : source.tree().sessions()) {
    facts.ephemerals += session.ephemerals;
  }
  facts.leads = facts.status.in_quorum && !source.settings().standalone &&
                facts.status.state == zab::PeerState::kLeading;
  return facts;
}

using Value = std::optional<decltype(Metric::value)>;

Value of_leader(const Facts& facts, std::uint64_t value) {
  return facts.leads ? Value(value) : std::nullopt;
}

Value proposal_size(const Facts& facts, std::int64_t ProposalSizes::*which) {
  if (!facts.leads || !facts.proposals) return std::nullopt;
  return Value((*facts.proposals).*which);
}

// ZooKeeper says -1 before the first response.
Value response_size(const Facts& facts, std::uint64_t bytes) {
  return facts.port.max_response_bytes == 0 ? Value(std::int64_t{-1}) : Value(bytes);
}

Value summary(const Histogram* histogram) {
  if (histogram == nullptr) return std::nullopt;
  const auto milliseconds = [&](double part) { return histogram->quantile_seconds(part) * 1000; };
  return Value(Summary{.count = histogram->count(),
                       .sum = histogram->sum_seconds() * 1000,
                       .min = histogram->min_seconds() * 1000,
                       .max = histogram->max_seconds() * 1000,
                       .p50 = milliseconds(0.5),
                       .p95 = milliseconds(0.95),
                       .p99 = milliseconds(0.99),
                       .p999 = milliseconds(0.999)});
}

Value count(const std::optional<std::uint64_t>& counted) {
  return counted ? Value(*counted) : std::nullopt;
}

struct Row {
  std::string_view name;
  std::string_view type;
  std::string_view help;
  Value (*value)(const Facts& facts);
};

// Requests of clients, connections, znodes, the process.
constexpr std::array kServiceRows{
    Row{"avg_latency", "gauge", "Average time to answer a request, in milliseconds.",
        [](const Facts& f) { return Value(f.port.latency.average_ms()); }},
    Row{"max_latency", "gauge", "Longest time to answer a request, in milliseconds.",
        [](const Facts& f) { return Value(f.port.latency.max_ms); }},
    Row{"min_latency", "gauge", "Shortest time to answer a request, in milliseconds.",
        [](const Facts& f) { return Value(f.port.latency.min_ms); }},
    Row{"packets_received", "gauge", "Packets received from clients.",
        [](const Facts& f) { return Value(f.port.received); }},
    Row{"packets_sent", "gauge", "Packets sent to clients.",
        [](const Facts& f) { return Value(f.port.sent); }},
    Row{"num_alive_connections", "gauge", "Connections of clients.",
        [](const Facts& f) { return Value(f.port.connections); }},
    Row{"outstanding_requests", "gauge", "Requests not answered yet.",
        [](const Facts& f) { return Value(f.port.outstanding); }},
    Row{"uptime", "gauge", "Milliseconds since the server was started.",
        [](const Facts& f) { return Value(std::int64_t{f.source.uptime().count()}); }},
    Row{"znode_count", "gauge", "Znodes.",
        [](const Facts& f) { return Value(f.source.tree().node_count()); }},
    Row{"watch_count", "gauge", "Watches set through this server.",
        [](const Facts& f) { return Value(f.source.watch_counts().watches); }},
    Row{"ephemerals_count", "gauge", "Znodes owned by sessions.",
        [](const Facts& f) { return Value(f.ephemerals); }},
    Row{"approximate_data_size", "gauge", "Bytes of the data of all znodes.",
        [](const Facts& f) { return Value(f.source.tree().data_bytes()); }},
    Row{"global_sessions", "gauge", "Sessions of the ensemble.",
        [](const Facts& f) { return Value(std::uint64_t{f.source.tree().session_count()}); }},
    Row{"local_sessions", "gauge", "Sessions known to this server alone.",
        [](const Facts& f) { return Value(f.port.local_sessions); }},
    Row{"open_file_descriptor_count", "gauge", "Open file descriptors of the process.",
        [](const Facts& f) { return Value(f.process.open_descriptors); }},
    Row{"max_file_descriptor_count", "gauge", "File descriptors the process may have.",
        [](const Facts& f) { return Value(f.process.max_descriptors); }},
    Row{"connection_drop_probability", "gauge", "Connections are not dropped at random.",
        [](const Facts&) { return Value(0.0); }},
    Row{"auth_failed_count", "gauge", "Credentials that were rejected.",
        [](const Facts& f) { return Value(f.port.auth_failed); }},
    Row{"last_client_response_size", "gauge", "Bytes of the last response.",
        [](const Facts& f) { return response_size(f, f.port.last_response_bytes); }},
    Row{"max_client_response_size", "gauge", "Bytes of the largest response.",
        [](const Facts& f) { return response_size(f, f.port.max_response_bytes); }},
    Row{"min_client_response_size", "gauge", "Bytes of the smallest response.",
        [](const Facts& f) { return response_size(f, f.port.min_response_bytes); }},
    Row{"connection_rejected", "counter", "Connections refused for a limit.",
        [](const Facts& f) { return Value(f.port.connections_rejected); }},
    Row{"bytes_received_count", "counter", "Bytes received from clients.",
        [](const Facts& f) { return Value(f.port.bytes_received); }},
    Row{"response_bytes", "counter", "Bytes sent to clients.",
        [](const Facts& f) { return Value(f.port.bytes_sent); }},
};

// The ensemble, the disk, durations.
constexpr std::array kServerRows{
    Row{"quorum_size", "gauge", "Servers that vote.",
        [](const Facts& f) {
          if (f.source.settings().standalone) return Value();
          return Value(static_cast<std::uint64_t>(
              std::ranges::count(f.source.settings().servers, false, &EnsembleServer::observer)));
        }},
    Row{"learners", "gauge", "Followers and observers of this leader.",
        [](const Facts& f) { return of_leader(f, f.learners.size()); }},
    Row{"synced_followers", "gauge", "Followers in step with this leader.",
        [](const Facts& f) { return of_leader(f, f.learners_that(false, true)); }},
    Row{"synced_non_voting_followers", "gauge", "None: each follower votes.",
        [](const Facts& f) { return of_leader(f, 0); }},
    Row{"synced_observers", "gauge", "Observers in step with this leader.",
        [](const Facts& f) { return of_leader(f, f.learners_that(true, true)); }},
    Row{"leader_uptime", "gauge", "Milliseconds since this server leads.",
        [](const Facts& f) {
          const std::optional<Millis> uptime = f.source.leader_uptime();
          if (!f.leads || !uptime) return Value();
          return Value(std::int64_t{uptime->count()});
        }},
    Row{"last_proposal_size", "gauge", "Bytes of this leader's last proposal.",
        [](const Facts& f) { return proposal_size(f, &ProposalSizes::last); }},
    Row{"max_proposal_size", "gauge", "Bytes of this leader's largest proposal.",
        [](const Facts& f) { return proposal_size(f, &ProposalSizes::max); }},
    Row{"min_proposal_size", "gauge", "Bytes of this leader's smallest proposal.",
        [](const Facts& f) { return proposal_size(f, &ProposalSizes::min); }},
    Row{"fsynctime", "summary", "Milliseconds until appended entries were durable.",
        [](const Facts& f) { return summary(f.durations.fsync); }},
    Row{"snapshottime", "summary", "Milliseconds to write a snapshot.",
        [](const Facts& f) { return summary(f.durations.snapshot); }},
    Row{"dbinittime", "summary", "Milliseconds to read the data directory at the start.",
        [](const Facts& f) { return summary(f.durations.startup); }},
    Row{"election_time", "summary", "Milliseconds an election took.",
        [](const Facts& f) { return summary(f.durations.election); }},
    Row{"readlatency", "summary", "Milliseconds to answer a read.",
        [](const Facts& f) { return summary(f.durations.read); }},
    Row{"updatelatency", "summary", "Milliseconds to answer a write.",
        [](const Facts& f) { return summary(f.durations.update); }},
};

// Only what this server counts.
constexpr std::array kCountRows{
    Row{"pending_syncs", "gauge", "Syncs of clients that this leader has under way.",
        [](const Facts& f) { return count(f.counts.pending_syncs); }},
    Row{"proposal_count", "counter", "Proposals of this leader.",
        [](const Facts& f) { return count(f.counts.proposal_count); }},
    Row{"commit_count", "counter", "Proposals of this leader that were committed.",
        [](const Facts& f) { return count(f.counts.commit_count); }},
    Row{"looking_count", "counter", "Elections this server began.",
        [](const Facts& f) { return count(f.counts.looking_count); }},
    Row{"snap_count", "counter", "Learners brought up to date by a snapshot.",
        [](const Facts& f) { return count(f.counts.snap_count); }},
    Row{"diff_count", "counter", "Learners brought up to date by what they lacked.",
        [](const Facts& f) { return count(f.counts.diff_count); }},
    Row{"connection_request_count", "counter", "Connections of clients that asked for a session.",
        [](const Facts& f) { return count(f.counts.connection_requests); }},
    Row{"connection_drop_count", "counter", "Connections that this server closed.",
        [](const Facts& f) { return count(f.counts.connection_drops); }},
    Row{"connection_revalidate_count", "counter", "Sessions that came back by another connection.",
        [](const Facts& f) { return count(f.counts.revalidations); }},
    Row{"stale_sessions_expired", "counter", "Sessions that were silent for too long.",
        [](const Facts& f) { return count(f.counts.sessions_expired); }},
    Row{"sessionless_connections_expired", "counter", "Connections that never asked for a session.",
        [](const Facts& f) { return count(f.counts.sessionless_connections_expired); }},
};

std::string number_text(const Number& number) {
  return std::visit(
      [](auto value) {
        if constexpr (std::is_same_v<decltype(value), double>) return decimal_text(value);
        return fmt::format("{}", value);
      },
      number);
}

void each_of_summary(std::string_view name,
                     const Summary& summary,
                     const std::function<void(std::string_view, const Number&)>& visit) {
  const auto one = [&](std::string_view prefix, const Number& value) {
    visit(fmt::format("{}_{}", prefix, name), value);
  };
  const auto whole = [](double value) { return static_cast<std::uint64_t>(std::llround(value)); };
  const double average = summary.count == 0 ? 0 : summary.sum / static_cast<double>(summary.count);
  one("avg", average);
  one("min", whole(summary.min));
  one("max", whole(summary.max));
  one("cnt", summary.count);
  one("sum", whole(summary.sum));
  one("p50", whole(summary.p50));
  one("p95", whole(summary.p95));
  one("p99", whole(summary.p99));
  one("p999", whole(summary.p999));
}

void prometheus_summary(MetricsText& text, std::string_view name, const Summary& summary) {
  const std::array<std::pair<std::string_view, double>, 4> quantiles{{{"0.5", summary.p50},
                                                                      {"0.95", summary.p95},
                                                                      {"0.99", summary.p99},
                                                                      {"0.999", summary.p999}}};
  for (const auto& [quantile, value] : quantiles) {
    text.sample(name, MetricsText::label("quantile", quantile), value);
  }
  text.sample(fmt::format("{}_count", name), "", summary.count);
  text.sample(fmt::format("{}_sum", name), "", summary.sum);
}

}  // namespace

std::vector<Metric> collect(const AdminSource& source) {
  const Facts facts = facts_of(source);
  std::vector<Metric> metrics;
  const auto add = [&](const auto& rows) {
    for (const Row& row : rows) {
      Value value = row.value(facts);
      if (value) metrics.push_back({row.name, row.type, row.help, std::move(*value)});
    }
  };
  add(kServiceRows);
  add(kServerRows);
  add(kCountRows);
  return metrics;
}

void for_each_number(const std::vector<Metric>& metrics,
                     const std::function<void(std::string_view name, const Number& value)>& visit) {
  for (const Metric& metric : metrics) {
    if (const auto* all = std::get_if<Summary>(&metric.value)) {
      each_of_summary(metric.name, *all, visit);
    } else if (const auto* count = std::get_if<std::uint64_t>(&metric.value)) {
      visit(metric.name, *count);
    } else if (const auto* number = std::get_if<std::int64_t>(&metric.value)) {
      visit(metric.name, *number);
    } else {
      visit(metric.name, std::get<double>(metric.value));
    }
  }
}

std::string_view peer_state_text(const AdminSource& source) {
  switch (source.status().state) {
    case zab::PeerState::kLeading:
      return "leading - broadcast";
    case zab::PeerState::kFollowing:
      return "following - broadcast";
    case zab::PeerState::kObserving:
      return "observing - broadcast";
    case zab::PeerState::kLooking:
      break;
  }
  return "looking";
}

std::string monitor_text(const AdminSource& source) {
  std::string text;
  const auto line = [&text](std::string_view name, std::string_view value) {
    fmt::format_to(std::back_inserter(text), "zk_{}\t{}\n", name, value);
  };
  line("version", source.settings().version);
  line("server_state", mode_word(source));
  if (!source.settings().standalone) line("peer_state", peer_state_text(source));
  for_each_number(collect(source), [&](std::string_view name, const Number& value) {
    line(name, number_text(value));
  });
  return text;
}

std::string prometheus_text(const AdminSource& source, std::string_view ours) {
  MetricsText text;
  for (const Metric& metric : collect(source)) {
    text.family(metric.name, metric.type, metric.help);
    if (const auto* all = std::get_if<Summary>(&metric.value)) {
      prometheus_summary(text, metric.name, *all);
    } else if (const auto* count = std::get_if<std::uint64_t>(&metric.value)) {
      text.sample(metric.name, "", *count);
    } else if (const auto* number = std::get_if<std::int64_t>(&metric.value)) {
      text.sample(metric.name, "", static_cast<double>(*number));
    } else {
      text.sample(metric.name, "", std::get<double>(metric.value));
    }
  }
  text.append(ours);
  return text.take();
}

}  // namespace zkfs::admin
