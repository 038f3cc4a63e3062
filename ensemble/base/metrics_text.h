// SPDX-License-Identifier: Apache-2.0
// What is counted over time, and the text that Prometheus reads. Counting costs an addition;
// everything else happens when somebody asks. Single-threaded.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "ensemble/base/clock.h"

namespace zkfs {

// How long something took: counts by fixed bounds, from 50 us (a flush of a fast disk) to 10 s (an
// election by ZooKeeper's defaults).
class Histogram {
 public:
  static constexpr std::array<double, 16> kBoundsSeconds{
      0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
      0.025,   0.05,   0.1,     0.25,   0.5,   1,      2.5,   10};

  void add(Instant elapsed);

  [[nodiscard]] std::uint64_t count() const { return count_; }

  [[nodiscard]] double sum_seconds() const { return sum_seconds_; }

  // 0 before the first.
  [[nodiscard]] double min_seconds() const { return min_seconds_; }

  [[nodiscard]] double max_seconds() const { return max_seconds_; }

  // What the part `fraction` (0..1) of them took at most: between two bounds by interpolation,
  // never above the maximum. 0 before the first.
  [[nodiscard]] double quantile_seconds(double fraction) const;

  // How many took at most kBoundsSeconds[i].
  [[nodiscard]] std::uint64_t within(std::size_t i) const;

 private:
  std::array<std::uint64_t, kBoundsSeconds.size()> counts_{};  // above the bound before
  std::uint64_t count_ = 0;
  double sum_seconds_ = 0;
  double min_seconds_ = 0;
  double max_seconds_ = 0;
};

// Prometheus' text format: a family (HELP, TYPE), then its samples. `labels` is the inside of the
// braces, written with label(); empty: none.
class MetricsText {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help);
  void sample(std::string_view name, std::string_view labels, std::uint64_t value);
  void sample(std::string_view name, std::string_view labels, double value);

  // A family of one sample.
  template <typename Value>
  void one(std::string_view name,
           std::string_view type,
           std::string_view help,
           std::string_view labels,
           Value value) {
    family(name, type, help);
    sample(name, labels, value);
  }

  void histogram(std::string_view name,
                 std::string_view help,
                 std::string_view labels,
                 const Histogram& histogram);

  // Families made elsewhere.
  void append(std::string_view text) { text_ += text; }

  // name="value", escaped.
  static std::string label(std::string_view name, std::string_view value);

  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

}  // namespace zkfs
