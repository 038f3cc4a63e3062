// SPDX-License-Identifier: Apache-2.0
#include "tests/tree/fixture.h"

namespace zkfs::tree::test {
namespace {

constexpr SessionId kMe{0x0200000000000005};
constexpr SessionId kOther{0x0100000000000001};

class SessionTest : public TreeTest {
 protected:
  SessionTest() {
    apply(CreateSessionTxn{kMe, 4000, "node 2 mount /zk"});
    apply(CreateSessionTxn{kOther, 9000, "zkCli"});
  }

  // A write of `kMe` with this number.
  Outcome write(std::uint64_t xid, std::uint64_t first_unanswered) {
    return apply_for(kMe, Xid{xid}, Xid{first_unanswered}, SetDataTxn{kRootIno, Blob("x")}).outcome;
  }

  bool keeps(std::uint64_t xid) { return tree.outcome_of(kMe, Xid{xid}).has_value(); }
};

using SessionDeathTest = SessionTest;

TEST_F(SessionTest, IsFoundWithWhatItWasMadeWith) {
  const Session me = tree.find_session(kMe).value();
  EXPECT_EQ(me.timeout_ms, 4000U);
  EXPECT_EQ(me.owner, "node 2 mount /zk");
  EXPECT_EQ(me.ephemerals, 0U);
  EXPECT_FALSE(tree.find_session(SessionId{7}));
}

TEST_F(SessionTest, AreListedInTheOrderOfIds) {
  ASSERT_EQ(tree.sessions().size(), 2U);
  EXPECT_EQ(tree.sessions()[0].id, kOther);
}

TEST_F(SessionTest, CloseRemovesItsEphemeralsUnderOneZxid) {
  const Ino a = create_of_type(NodeType::kEphemeral, "a", kMe);
  const Ino b = create_of_type(NodeType::kEphemeral, "b", kMe);
  const Ino c = create_of_type(NodeType::kEphemeral, "c", kOther);
  EXPECT_EQ(tree.ephemerals_of(kMe), (std::vector{a, b}));
  const auto result = apply(CloseSessionTxn{kMe, {a, b}});
  EXPECT_EQ(kinds(result.changes), (std::vector{Change::Kind::kDeleted, Change::Kind::kDeleted}));
  EXPECT_EQ(tree.children_of(kRootIno), (std::vector{kZookeeperIno, c}));
  EXPECT_FALSE(tree.find_session(kMe));
  EXPECT_TRUE(tree.ephemerals_of(kMe).empty());
  EXPECT_EQ(tree.find_session(kOther)->ephemerals, 1U);
}

TEST_F(SessionTest, OutcomesAreKeptUntilAnswered) {
  const Outcome first = write(1, 1);
  write(2, 1);
  EXPECT_EQ(tree.outcome_of(kMe, Xid{1}), first);
  write(3, 2);
  EXPECT_FALSE(keeps(1));
  EXPECT_TRUE(keeps(2));
  EXPECT_TRUE(keeps(3));
}

TEST_F(SessionTest, WithoutFirstUnansweredNothingIsKept) {
  write(1, 0);
  EXPECT_FALSE(keeps(1));
}

TEST_F(SessionTest, ErrorsAndMultisAreKeptToo) {
  apply_for(kMe, Xid{1}, Xid{1}, ErrorTxn{Error::kNotEmpty, {}});
  apply_for(kMe, Xid{2}, Xid{1}, MultiTxn{{SetDataTxn{kRootIno, Blob("x")}, CheckTxn{kRootIno}}});
  EXPECT_EQ(tree.outcome_of(kMe, Xid{1})->error, Error::kNotEmpty);
  EXPECT_EQ(tree.outcome_of(kMe, Xid{2})->operations.size(), 2U);
}

TEST_F(SessionTest, OutcomesGoWithTheirSession) {
  const auto before = tree.digest();
  apply_for(kMe, Xid{1}, Xid{1}, ErrorTxn{Error::kNoNode, {}});
  EXPECT_NE(tree.digest(), before);
  apply(CloseSessionTxn{kMe, {}});
  EXPECT_FALSE(keeps(1));
  EXPECT_EQ(tree.digest(), tree.recompute_digest());
}

TEST_F(SessionTest, TheCloseItselfKeepsNothing) {
  apply_for(kMe, Xid{1}, Xid{1}, CloseSessionTxn{kMe, {}});
  EXPECT_FALSE(keeps(1));
}

TEST_F(SessionTest, ARequestThatComesTwiceLeavesItsLastOutcome) {
  write(1, 1);
  const Outcome again = write(1, 1);
  EXPECT_EQ(tree.outcome_of(kMe, Xid{1}), again);
  EXPECT_EQ(tree.digest(), tree.recompute_digest());
}

TEST_F(SessionDeathTest, ATxnThatDoesNotFitAborts) {
  const Ino mine = create_of_type(NodeType::kEphemeral, "a", kMe);
  EXPECT_DEATH(apply(CreateSessionTxn{kMe, 1, ""}), "exists");
  EXPECT_DEATH(apply(CloseSessionTxn{SessionId{7}, {}}), "no session");
  EXPECT_DEATH(apply(CloseSessionTxn{kMe, {}}), "owns 1");
  EXPECT_DEATH(apply(CloseSessionTxn{kOther, {mine}}), "does not own");
  EXPECT_DEATH(create_of_type(NodeType::kEphemeral, "b", SessionId{7}), "no session");
  EXPECT_DEATH(create(mine, "x"), "ephemeral");
}

}  // namespace
}  // namespace zkfs::tree::test
