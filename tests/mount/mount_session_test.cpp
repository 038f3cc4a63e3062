// SPDX-License-Identifier: Apache-2.0
#include "mount/mount_session.h"

#include <gtest/gtest.h>

#include "tests/support/local_door.h"

namespace zkfs::mount {
namespace {

server::CreateRequest create(const char* path) {
  return {.target = {{}, path}, .data = {}, .acl = tree::open_acl()};
}

class MountSessionTest : public ::testing::Test {
 protected:
  test::LocalDoor door;
  MountSession session{door, 10'000, "node 1 mount /zk"};
  std::vector<Error> answers;

  std::uint64_t submit(const char* path) {
    return session.submit({}, create(path),
                          [this](const tree::Outcome& o) { answers.push_back(o.error); });
  }
};

TEST_F(MountSessionTest, RequestsWaitForTheSession) {
  session.start();
  submit("/a");
  EXPECT_FALSE(session.id());
  door.pump();
  EXPECT_TRUE(session.id());
  EXPECT_EQ(answers, std::vector<Error>{Error::kOk});
}

TEST_F(MountSessionTest, RequestsRefusedForALostSessionAreMadeAgain) {
  session.start();
  door.pump();
  const SessionId first = session.id();
  submit("/a");
  submit("/b");
  door.expire(first);
  door.pump();
  EXPECT_EQ(answers, (std::vector<Error>{Error::kOk, Error::kOk}));
  EXPECT_NE(session.id(), first);
  EXPECT_TRUE(door.tree().find_path("/b"));
}

TEST_F(MountSessionTest, ForgottenOnesAreNotAnswered) {
  session.start();
  door.pump();
  session.forget(submit("/a"));
  door.pump();
  EXPECT_TRUE(answers.empty());
}

TEST_F(MountSessionTest, StopClosesTheSession) {
  session.start();
  door.pump();
  session.stop();
  door.pump();
  EXPECT_TRUE(door.tree().sessions().empty());
}

TEST_F(MountSessionTest, OneThatEndsWithItsOwnerAndIsLostBeforeItIsOpenAnswers) {
  MountSession owned{door, 10'000, "process", MountSession::AfterLoss::kEnd};
  door.hold();
  owned.start();
  owned.submit({}, create("/e"), [this](const tree::Outcome& o) { answers.push_back(o.error); });
  door.pump();
  door.expire(door.tree().sessions().at(0).id);
  door.release();
  door.pump();
  EXPECT_EQ(answers, std::vector<Error>{Error::kSessionExpired});
}

TEST_F(MountSessionTest, OneThatIsToEndAndIsLostBeforeItIsOpenEnds) {
  MountSession owned{door, 10'000, "process", MountSession::AfterLoss::kEnd};
  door.hold();
  owned.start();
  bool ended = false;
  owned.end([&] { ended = true; });
  door.pump();
  door.expire(door.tree().sessions().at(0).id);
  door.release();
  door.pump();
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace zkfs::mount
