// SPDX-License-Identifier: Apache-2.0
#include "ensemble/base/metrics_text.h"

#include <algorithm>
#include <chrono>
#include <iterator>

#include <fmt/format.h>

namespace zkfs {

void Histogram::add(Instant elapsed) {
  const double seconds = std::chrono::duration<double>(elapsed).count();
  const auto* bound = std::lower_bound(kBoundsSeconds.begin(), kBoundsSeconds.end(), seconds);
  if (bound != kBoundsSeconds.end()) {
    ++counts_.at(static_cast<std::size_t>(bound - kBoundsSeconds.begin()));
  }
  min_seconds_ = count_ == 0 ? seconds : std::min(min_seconds_, seconds);
  max_seconds_ = std::max(max_seconds_, seconds);
  ++count_;
  sum_seconds_ += seconds;
}

std::uint64_t Histogram::within(std::size_t i) const {
  std::uint64_t sum = 0;
  for (std::size_t at = 0; at <= i; ++at) sum += counts_.at(at);
  return sum;
}

double Histogram::quantile_seconds(double fraction) const {
  const double wanted = fraction * static_cast<double>(count_);
  double below = 0;  // how many are under the bucket
  double from = 0;
  for (std::size_t i = 0; i < kBoundsSeconds.size(); ++i) {
    const auto here = static_cast<double>(counts_.at(i));
    const double to = kBoundsSeconds.at(i);
    if (here > 0 && below + here >= wanted) {
      return std::min(from + (to - from) * (wanted - below) / here, max_seconds_);
    }
    below += here;
    from = to;
  }
  return max_seconds_;
}

void MetricsText::family(std::string_view name, std::string_view type, std::string_view help) {
  fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void MetricsText::sample(std::string_view name, std::string_view labels, std::uint64_t value) {
  fmt::format_to(std::back_inserter(text_), "{}{}{}{} {}\n", name, labels.empty() ? "" : "{",
                 labels, labels.empty() ? "" : "}", value);
}

void MetricsText::sample(std::string_view name, std::string_view labels, double value) {
  fmt::format_to(std::back_inserter(text_), "{}{}{}{} {}\n", name, labels.empty() ? "" : "{",
                 labels, labels.empty() ? "" : "}", value);
}

void MetricsText::histogram(std::string_view name,
                            std::string_view help,
                            std::string_view labels,
                            const Histogram& histogram) {
  family(name, "histogram", help);
  const std::string bucket = fmt::format("{}_bucket", name);
  const std::string before = labels.empty() ? "" : fmt::format("{},", labels);
  for (std::size_t i = 0; i < Histogram::kBoundsSeconds.size(); ++i) {
    sample(bucket, fmt::format("{}le=\"{}\"", before, Histogram::kBoundsSeconds.at(i)),
           histogram.within(i));
  }
  sample(bucket, fmt::format("{}le=\"+Inf\"", before), histogram.count());
  sample(fmt::format("{}_sum", name), labels, histogram.sum_seconds());
  sample(fmt::format("{}_count", name), labels, histogram.count());
}

std::string MetricsText::label(std::string_view name, std::string_view value) {
  std::string text = fmt::format("{}=\"", name);
  for (const char c : value) {
    if (c == '\n') {
      text += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + '"';
}

}  // namespace zkfs
