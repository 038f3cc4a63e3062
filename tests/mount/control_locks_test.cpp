// SPDX-License-Identifier: Apache-2.0
#include "mount/control_locks.h"

#include <gtest/gtest.h>

#include "tests/support/local_door.h"

namespace zkfs::mount {
namespace {

class Locks : public testing::Test {
 protected:
  Ino make(const std::string& name, Ino parent = kRootIno) {
    server::CreateRequest request;
    request.target = {parent, name};
    request.acl = tree::open_acl();
    request.kind = tree::NodeKind::kDirectory;
    return door_.inject_foreign(std::move(request)).ino;
  }

  void lock(Ino ino, tree::LockSpace space = tree::LockSpace::kFlock, tree::LockRange range = {}) {
    door_.inject_foreign(server::LockRequest{.ino = ino,
                                             .space = space,
                                             .mode = tree::LockMode::kExclusive,
                                             .range = range,
                                             .owner = ++owner_,
                                             .request = owner_,
                                             .pid = 4711,
                                             .wait = true},
                         session_);
  }

  [[nodiscard]] std::string listed(std::string_view path) const {
    std::string text;
    for (const auto& [name, directory] : LockListing(door_.tree(), kRootIno).list(path)) {
      text += name + (directory ? "/ " : " ");
    }
    return text;
  }

  [[nodiscard]] std::string text(std::string_view path) const {
    return LockListing(door_.tree(), kRootIno).text(path);
  }

  test::LocalDoor door_;
  SessionId session_ = door_.foreign_session();
  std::uint64_t owner_ = 0;
};

TEST_F(Locks, WithoutAnyTheDirectoryIsEmpty) {
  EXPECT_EQ(LockListing(door_.tree(), kRootIno).is_directory(""), std::optional(true));
  EXPECT_EQ(listed(""), "");
}

TEST_F(Locks, HoldersComeBeforeThoseWhoWait) {
  const Ino job = make("job");
  lock(job);
  const std::string granted = fmt::format("{}", door_.tree().last_applied());
  lock(job);
  const std::string asked = fmt::format("{}", door_.tree().last_applied());
  const std::string who =
      fmt::format(" node=2 pid=4711 session={:#x} owner=another node\n", session_);
  EXPECT_EQ(text("job"), "held exclusive flock zxid=" + granted + who +
                             "waiting exclusive flock zxid=" + asked + who);
}

TEST_F(Locks, OfBytesShowTheirRange) {
  const Ino file = make("f");
  lock(file, tree::LockSpace::kPosix, {.first = 0, .last = 99});
  lock(file, tree::LockSpace::kPosix, {.first = 100});
  EXPECT_NE(text("f").find("fcntl range=0-99 "), std::string::npos) << text("f");
  EXPECT_NE(text("f").find("fcntl range=100-end "), std::string::npos) << text("f");
}

TEST_F(Locks, LieInTheDirectoriesOfTheirPaths) {
  const Ino app = make("app");
  lock(make("job", app));
  lock(make("app-2"));
  EXPECT_EQ(listed(""), "app/ app-2 ");
  EXPECT_EQ(listed("app"), "job ");
  EXPECT_NE(text("app/job"), "");
  EXPECT_EQ(LockListing(door_.tree(), kRootIno).is_directory("app/job/x"), std::nullopt);
  EXPECT_EQ(LockListing(door_.tree(), kRootIno).is_directory("ap"), std::nullopt);
}

TEST_F(Locks, OfADirectoryWithLockedOnesBelowAreAFileInIt) {
  const Ino app = make("app");
  lock(app);
  EXPECT_EQ(LockListing(door_.tree(), kRootIno).is_directory("app"), std::optional(false));
  lock(make("job", app));
  EXPECT_EQ(listed(""), "app/ ");
  EXPECT_EQ(listed("app"), ".@lock job ");
  EXPECT_NE(text("app/.@lock"), "");
  EXPECT_EQ(text("app"), "");
  EXPECT_EQ(text("app/job/.@lock"), "");
}

TEST_F(Locks, OfTheRootAreAFileToo) {
  lock(kRootIno);
  EXPECT_EQ(listed(""), ".@lock ");
  EXPECT_NE(text(".@lock"), "");
}

TEST_F(Locks, OfWhatWasRemovedAreFoundByNumber) {
  const Ino gone = make("gone");
  lock(gone);
  server::DeleteRequest request;
  request.target = {kRootIno, "gone"};
  ASSERT_EQ(door_.inject_foreign(std::move(request)).error, Error::kOk);
  EXPECT_EQ(listed(""), ".@removed/ ");
  EXPECT_NE(text(fmt::format(".@removed/{}", gone)), "");
}

TEST_F(Locks, AreCountedByWhetherTheyWait) {
  const Ino job = make("job");
  for (int i = 0; i < 3; ++i) lock(job);
  EXPECT_EQ(count_locks(door_.tree()).held, 1U);
  EXPECT_EQ(count_locks(door_.tree()).waiting, 2U);
}

}  // namespace
}  // namespace zkfs::mount
