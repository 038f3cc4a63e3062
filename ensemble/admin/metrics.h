// SPDX-License-Identifier: Apache-2.0
// The numbers of a server by the names that dashboards made for ZooKeeper read
// (reference/zookeeper.md 7.2 mntr, 7.4): one table, shown as `mntr`, as the command `monitor` and
// as Prometheus' text. What this server does not count is left out rather than shown as 0.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ensemble/admin/admin_source.h"

namespace zkfs::admin {

// Durations in milliseconds.
struct Summary {
  std::uint64_t count = 0;
  double sum = 0;
  double min = 0;
  double max = 0;
  double p50 = 0;
  double p95 = 0;
  double p99 = 0;
  double p999 = 0;
};

struct Metric {
  std::string_view name;  // without zk_
  std::string_view type;  // gauge, counter or summary, as Prometheus names them
  std::string_view help;
  std::variant<std::uint64_t, std::int64_t, double, Summary> value;
};

// Those that apply to this server now, in the order of the table.
std::vector<Metric> collect(const AdminSource& source);

// The metrics as names with values: a summary becomes avg_, min_, max_, cnt_, sum_, p50_, p95_,
// p99_ and p999_. The value is one of the metric's, or a double.
using Number = std::variant<std::uint64_t, std::int64_t, double>;
void for_each_number(const std::vector<Metric>& metrics,
                     const std::function<void(std::string_view name, const Number& value)>& visit);

// `mntr`: lines of zk_name, a tabulator and a value; version and state first. Requires: is_serving.
std::string monitor_text(const AdminSource& source);

// leading - broadcast, following - broadcast, observing - broadcast. Requires: is_serving.
std::string_view peer_state_text(const AdminSource& source);

// GET /metrics. `ours`: families under zkfs_ that the caller adds.
std::string prometheus_text(const AdminSource& source, std::string_view ours);

}  // namespace zkfs::admin
