// SPDX-License-Identifier: Apache-2.0
#include "mount/marker.h"

#include <gtest/gtest.h>

namespace zkfs::mount {
namespace {

using tree::NodeType;
using Owner = Marker::Owner;

struct Row {
  const char* name;
  const char* base;
  bool any = true;
  bool bad = false;
  bool sequential = false;
  NodeType type = NodeType::kPersistent;
  Owner owner = Owner::kMount;
  pid_t pid = 0;
  std::int64_t ttl_ms = 0;
};

constexpr NodeType kPlain = NodeType::kPersistent;
constexpr NodeType kEph = NodeType::kEphemeral;
constexpr NodeType kTtl = NodeType::kTtl;

const Row kRows[] = {
    {"plain", "plain", false},
    {"user@host", "user@host", false},
    {"a@seqx", "a@seqx", false},
    {"a@seq.txt", "a@seq.txt", false},
    {"@eph", "@eph", false},
    {"a@", "a@", false},
    {"job-@seq", "job-", true, false, true},
    {"@seq", "", true, false, true},
    {"a@b@seq", "a@b", true, false, true},
    {"a@seq@b", "a@seq@b", false},
    {"me@eph", "me", true, false, false, kEph},
    {"me@eph=4711", "me", true, false, false, kEph, Owner::kProcess, 4711},
    {"me@eph=fd", "me", true, false, false, kEph, Owner::kFile},
    {"m-@seq@eph=12", "m-", true, false, true, kEph, Owner::kProcess, 12},
    {"m-@eph=12@seq", "m-", true, false, true, kEph, Owner::kProcess, 12},
    {"c@ttl=30s", "c", true, false, false, kTtl, Owner::kMount, 0, 30'000},
    {"c@ttl=5ms", "c", true, false, false, kTtl, Owner::kMount, 0, 5},
    {"c@ttl=2m", "c", true, false, false, kTtl, Owner::kMount, 0, 120'000},
    {"c@ttl=1h", "c", true, false, false, kTtl, Owner::kMount, 0, 3'600'000},
    {"c@ttl=1d@seq", "c", true, false, true, kTtl, Owner::kMount, 0, 86'400'000},
    {"p@container", "p", true, false, false, NodeType::kContainer},
};

TEST(Marker, GrammarTable) {
  for (const Row& row : kRows) {
    const Marker marker = parse_marker(row.name);
    EXPECT_EQ(marker.base, row.base) << row.name;
    EXPECT_EQ(marker.any, row.any) << row.name;
    EXPECT_EQ(marker.bad, row.bad) << row.name;
    EXPECT_EQ(marker.sequential, row.sequential) << row.name;
    EXPECT_EQ(marker.type, row.type) << row.name;
    EXPECT_EQ(marker.owner, row.owner) << row.name;
    EXPECT_EQ(marker.pid, row.pid) << row.name;
    EXPECT_EQ(marker.ttl_ms, row.ttl_ms) << row.name;
    EXPECT_EQ(reads_as_marker(row.name), row.any) << row.name;
  }
}

TEST(Marker, BadArgumentsAreKnownAndBad) {
  for (const char* name :
       {"a@seq=1", "a@seq@seq", "a@eph=", "a@eph=0", "a@eph=-1", "a@eph=x", "a@eph=1x", "a@ttl",
        "a@ttl=", "a@ttl=30", "a@ttl=s", "a@ttl=0s", "a@ttl=3w", "a@ttl=99999999999999999d",
        "a@container=1", "a@eph@ttl=1s", "a@eph@container", "a@eph@eph=1"}) {
    const Marker marker = parse_marker(name);
    EXPECT_TRUE(marker.any) << name;
    EXPECT_TRUE(marker.bad) << name;
  }
}

TEST(Marker, PlainNamesHaveNoType) {
  EXPECT_EQ(parse_marker("plain").type, kPlain);
}

}  // namespace
}  // namespace zkfs::mount
