// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/server/prep_fixture.h"

namespace zkfs::server {
namespace {

using tree::Permissions;

class PrepQuota : public testing::Test {
 protected:
  PrepQuota() {
    leader.prep().enforce_quota(true);
    leader.run(create(at("/q")));
    leader.run(create(at("/free")));
    leader.run(create(at("/zookeeper/quota/q")));
  }

  void limit(const std::string& text) {
    leader.run(create(at("/zookeeper/quota/q/zookeeper_limits"), text));
  }

  Error propose(Operation operation) {
    const tree::Txn txn = leader.propose(std::move(operation), kAlice, client({}));
    const auto* error = std::get_if<tree::ErrorTxn>(&txn.body);
    return error == nullptr ? Error::kOk : error->error;
  }

  Leader leader;
};

TEST_F(PrepQuota, CreatesUnderWayCount) {
  limit("count=-1,bytes=-1=;countHardLimit=3");
  EXPECT_EQ(propose(create(at("/q/a"))), Error::kOk);
  EXPECT_EQ(propose(create(at("/q/b"))), Error::kOk);
  EXPECT_EQ(propose(create(at("/q/c"))), Error::kQuotaExceeded);
  EXPECT_EQ(propose(create(at("/free/c"))), Error::kOk);
  EXPECT_EQ(propose(remove("/q/a")), Error::kOk);
  EXPECT_EQ(propose(create(at("/q/c"))), Error::kOk);
  while (leader.waiting() != 0) leader.deliver();
  EXPECT_EQ(propose(create(at("/q/d"))), Error::kQuotaExceeded);
}

TEST_F(PrepQuota, AMultiCountsItsOwnOperationsAndGivesBackWhatFails) {
  limit("count=-1,bytes=-1=;countHardLimit=3");
  EXPECT_EQ(propose(multi({create(at("/q/a")), create(at("/q/b")), create(at("/q/c"))})),
            Error::kQuotaExceeded);
  EXPECT_EQ(propose(multi({create(at("/q/a")), create(at("/q/b"))})), Error::kOk);
  EXPECT_EQ(propose(create(at("/q/c"))), Error::kQuotaExceeded);
}

TEST_F(PrepQuota, BytesOfCreateSetAndAppend) {
  limit("count=-1,bytes=-1=;byteHardLimit=10");
  EXPECT_EQ(propose(create(at("/q/a"), "123456")), Error::kOk);
  EXPECT_EQ(propose(create(at("/q/b"), "12345")), Error::kQuotaExceeded);
  EXPECT_EQ(propose(set("/q", "1234")), Error::kOk);
  EXPECT_EQ(propose(set("/q", "12345")), Error::kQuotaExceeded);
  EXPECT_EQ(propose(append("/q/a", "7")), Error::kQuotaExceeded);
  EXPECT_EQ(propose(set("/q/a", "")), Error::kOk) << "what shrinks always may";
  EXPECT_EQ(propose(append("/q/a", "123456")), Error::kOk);
}

TEST_F(PrepQuota, ComesBeforeTheVersionAndAfterThePermission) {
  limit("count=-1,bytes=-1=;byteHardLimit=1");
  EXPECT_EQ(propose(set("/q", "12", 7)), Error::kQuotaExceeded);
  leader.run(SetAclRequest{.target = at("/q"), .acl = {{Permissions::kRead, "world", "anyone"}}});
  EXPECT_EQ(propose(set("/q", "12", 7)), Error::kNoAuth);
}

TEST_F(PrepQuota, ComesLastOfACreate) {
  limit("count=-1,bytes=-1=;countHardLimit=0");
  EXPECT_EQ(propose(create(at("/q/.."))), Error::kBadArguments);
  leader.run(ephemeral("/e"));
  leader.run(create(at("/zookeeper/quota/e")));
  leader.run(
      create(at("/zookeeper/quota/e/zookeeper_limits"), "count=-1,bytes=-1=;countHardLimit=0"));
  EXPECT_EQ(propose(create(at("/e/child"))), Error::kNoChildrenForEphemerals);
  EXPECT_EQ(propose(create(at("/q/x"))), Error::kQuotaExceeded);
}

TEST_F(PrepQuota, TheNearestOneDecides) {
  limit("count=-1,bytes=-1=;countHardLimit=2");
  leader.run(create(at("/q/in")));
  leader.run(create(at("/zookeeper/quota/q/in")));
  leader.run(create(at("/zookeeper/quota/q/in/zookeeper_limits"), "count=9,bytes=-1"));
  EXPECT_EQ(propose(create(at("/q/in/x"))), Error::kOk);
  EXPECT_EQ(propose(create(at("/q/y"))), Error::kQuotaExceeded);
}

TEST_F(PrepQuota, NewLimitsHoldWhileTheirWritingIsUnderWay) {
  limit("count=-1,bytes=-1");
  EXPECT_EQ(
      propose(set("/zookeeper/quota/q/zookeeper_limits", "count=1,bytes=1=;countHardLimit=1")),
      Error::kOk);
  EXPECT_EQ(propose(create(at("/q/a"))), Error::kQuotaExceeded);
}

TEST_F(PrepQuota, WhatIsMovedInCountsAndWhatMovesWithinDoesNot) {
  limit("count=-1,bytes=-1=;countHardLimit=3");
  leader.run(directory("/d"));
  leader.run(file("/d/one"));
  leader.run(file("/d/two"));
  EXPECT_EQ(leader.error_of(rename("/d", "/q/d")), Error::kQuotaExceeded);
  leader.run(remove("/d/two"));
  EXPECT_EQ(leader.error_of(rename("/d", "/q/d")), Error::kOk);
  EXPECT_EQ(leader.error_of(rename("/q/d", "/q/e")), Error::kOk);
  EXPECT_EQ(leader.error_of(rename("/q/e", "/out")), Error::kOk);
  EXPECT_EQ(leader.error_of(create(at("/q/x"))), Error::kOk);
}

TEST_F(PrepQuota, SoftLimitsWarn) {
  limit("count=1,bytes=2");
  const Ino quota = leader.ino("/zookeeper/quota/q");
  EXPECT_EQ(propose(create(at("/q/a"), "xyz")), Error::kOk);
  EXPECT_EQ(leader.prep().take_quota_warnings(),
            (std::vector<QuotaWarning>{{quota, true, 1, 2}, {quota, false, 2, 3}}));
  EXPECT_TRUE(leader.prep().take_quota_warnings().empty());
}

TEST_F(PrepQuota, HardLimitsThatAreNotEnforcedWarn) {
  leader.prep().enforce_quota(false);
  limit("count=-1,bytes=-1=;countHardLimit=1");
  EXPECT_EQ(propose(create(at("/q/a"))), Error::kOk);
  EXPECT_EQ(leader.prep().take_quota_warnings().size(), 1U);
}

TEST_F(PrepQuota, QuotasThemselvesAreNotCounted) {
  limit("count=-1,bytes=-1=;countHardLimit=1");
  EXPECT_EQ(propose(create(at("/zookeeper/quota/q/zookeeper_stats"), "count=0,bytes=0")),
            Error::kOk);
}

}  // namespace
}  // namespace zkfs::server
