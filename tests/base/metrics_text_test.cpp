// SPDX-License-Identifier: Apache-2.0
#include "ensemble/base/metrics_text.h"

#include <string>

#include <gtest/gtest.h>

namespace zkfs {
namespace {

using std::chrono::microseconds;

TEST(Histogram, CountsWithinItsBounds) {
  Histogram histogram;
  histogram.add(microseconds(50));  // the bound itself
  histogram.add(microseconds(70));
  histogram.add(std::chrono::seconds(60));
  EXPECT_EQ(histogram.within(0), 1U);
  EXPECT_EQ(histogram.within(1), 2U);
  EXPECT_EQ(histogram.within(Histogram::kBoundsSeconds.size() - 1), 2U);
  EXPECT_EQ(histogram.count(), 3U);
  EXPECT_NEAR(histogram.sum_seconds(), 60.00012, 1e-9);
  EXPECT_NEAR(histogram.min_seconds(), 0.00005, 1e-9);
  EXPECT_NEAR(histogram.max_seconds(), 60, 1e-9);
}

TEST(Histogram, AQuantileLiesInTheBucketOfItsRank) {
  Histogram histogram;
  EXPECT_EQ(histogram.quantile_seconds(0.5), 0);
  for (int i = 0; i < 90; ++i) histogram.add(microseconds(800));
  for (int i = 0; i < 10; ++i) histogram.add(std::chrono::seconds(60));
  EXPECT_GT(histogram.quantile_seconds(0.5), 0.0005);
  EXPECT_LE(histogram.quantile_seconds(0.5), 0.001);
  EXPECT_EQ(histogram.quantile_seconds(0.99), 60);
}

TEST(Histogram, AQuantileIsNeverAboveTheMaximum) {
  Histogram histogram;
  histogram.add(microseconds(510));
  EXPECT_NEAR(histogram.quantile_seconds(0.999), 0.00051, 1e-9);
}

TEST(MetricsText, AFamilyIsHelpTypeAndSamples) {
  MetricsText text;
  text.one("zkfs_x", "gauge", "What x is.", "", std::uint64_t{18446744073709551615ULL});
  text.one("zkfs_y", "gauge", "Y.", MetricsText::label("a", "b"), 0.5);
  EXPECT_EQ(text.take(),
            "# HELP zkfs_x What x is.\n# TYPE zkfs_x gauge\nzkfs_x 18446744073709551615\n"
            "# HELP zkfs_y Y.\n# TYPE zkfs_y gauge\nzkfs_y{a=\"b\"} 0.5\n");
}

TEST(MetricsText, LabelsAreEscaped) {
  EXPECT_EQ(MetricsText::label("m", "a\"b\\c\nd"), R"(m="a\"b\\c\nd")");
}

TEST(MetricsText, AHistogramEndsWithAllSumAndCount) {
  Histogram histogram;
  histogram.add(microseconds(70));
  MetricsText text;
  text.histogram("zkfs_h", "H.", "m=\"x\"", histogram);
  const std::string all = text.take();
  EXPECT_NE(all.find("zkfs_h_bucket{m=\"x\",le=\"5e-05\"} 0\n"), std::string::npos) << all;
  EXPECT_NE(all.find("zkfs_h_bucket{m=\"x\",le=\"0.0001\"} 1\n"), std::string::npos) << all;
  EXPECT_NE(all.find("zkfs_h_bucket{m=\"x\",le=\"+Inf\"} 1\n"), std::string::npos) << all;
  EXPECT_NE(all.find("zkfs_h_count{m=\"x\"} 1\n"), std::string::npos) << all;
}

}  // namespace
}  // namespace zkfs
