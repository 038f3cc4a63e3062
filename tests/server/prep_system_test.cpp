// SPDX-License-Identifier: Apache-2.0
// ZooKeeper's own znodes: there from the beginning, and nobody takes them away.
#include <gtest/gtest.h>

#include "tests/server/prep_fixture.h"

namespace zkfs::server {
namespace {

class PrepSystem : public testing::TestWithParam<const char*> {
 protected:
  Leader leader;
};

TEST_P(PrepSystem, CannotBeDeleted) {
  EXPECT_EQ(leader.error_of(remove(GetParam())), Error::kBadArguments);
  DeleteRequest by_number;
  by_number.target = at(leader.ino(GetParam()));
  EXPECT_EQ(leader.error_of(by_number), Error::kBadArguments);
}

TEST_P(PrepSystem, CannotBeRenamedReplacedOrExchanged) {
  leader.run(directory("/d"));
  leader.run(file("/f"));
  EXPECT_EQ(leader.error_of(rename(GetParam(), "/other")), Error::kBadArguments);
  for (const char* source : {"/d", "/f"}) {
    EXPECT_EQ(leader.error_of(rename(source, GetParam())), Error::kBadArguments);
    RenameRequest exchange = rename(source, GetParam());
    exchange.exchange = true;
    EXPECT_EQ(leader.error_of(exchange), Error::kBadArguments);
  }
  RenameRequest onto = rename(GetParam(), "/d");
  onto.onto_data = true;
  EXPECT_EQ(leader.error_of(onto), Error::kBadArguments);
}

TEST_P(PrepSystem, BecomesNoFileAndNoSymlink) {
  EXPECT_EQ(leader.error_of(set_kind(GetParam(), tree::NodeKind::kFile)), Error::kBadArguments);
  EXPECT_EQ(leader.error_of(set_kind(GetParam(), tree::NodeKind::kSymlink)), Error::kBadArguments);
}

TEST_P(PrepSystem, CanBeLocked) {
  const LockRequest request{.ino = leader.ino(GetParam()), .request = 1};
  EXPECT_EQ(leader.error_of(request), Error::kOk);
}

INSTANTIATE_TEST_SUITE_P(Znodes,
                         PrepSystem,
                         testing::Values("/zookeeper", "/zookeeper/quota", "/zookeeper/config"));

TEST(PrepSystemTree, HasChildrenBelowZooKeeperAndQuota) {
  Leader leader;
  EXPECT_EQ(leader.error_of(create(at("/zookeeper/x"))), Error::kOk);
  EXPECT_EQ(leader.error_of(create(at("/zookeeper/quota/a"))), Error::kOk);
  EXPECT_EQ(leader.ino("/zookeeper/quota/a"), Ino{3});
  EXPECT_EQ(leader.error_of(remove("/zookeeper/quota/a")), Error::kOk);
}

TEST(PrepSystemTree, TakesNoNumberAndNoSequenceOfTheRoot) {
  Leader leader;
  const tree::Outcome outcome = leader.run(sequential("/"));
  EXPECT_EQ(outcome.name, "0000000000");
  EXPECT_EQ(outcome.ino, Ino{2});
}

TEST(PrepSystemTree, ANumberNextToTheReservedOnesIsNone) {
  Leader leader;
  EXPECT_EQ(leader.error_of(create(at(Ino{kConfigIno.value + 1}, "x"))), Error::kStale);
  const LockRequest request{.ino = Ino{kConfigIno.value + 1}, .request = 1};
  EXPECT_EQ(leader.error_of(request), Error::kBadArguments);
}

}  // namespace
}  // namespace zkfs::server
