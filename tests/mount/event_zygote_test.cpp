// SPDX-License-Identifier: Apache-2.0
#include "mount/event_zygote.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace zkfs::test {
namespace {

using mount::EventHelper;
using mount::EventZygote;

std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> pids;
  std::ifstream list(fmt::format("/proc/{}/task/{}/children", pid, pid));
  for (pid_t child = 0; list >> child;) pids.push_back(child);
  return pids;
}

// Waits for the end of a process that need not be a child.
bool ends(pid_t pid) {
  const int handle = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (handle < 0) return true;
  pollfd wait{.fd = handle, .events = POLLIN, .revents = 0};
  const bool ended = ::poll(&wait, 1, 5000) == 1;
  ::close(handle);
  return ended;
}

class Zygote : public testing::Test {
 protected:
  void SetUp() override {
    auto spawned = EventZygote::spawn();
    ASSERT_TRUE(spawned) << spawned.error().text;
    zygote_ = std::move(*spawned);
    const auto pids = children_of(::getpid());
    ASSERT_EQ(pids.size(), 1U);
    pid_ = pids[0];
  }

  std::unique_ptr<EventHelper> helper(int workers) {
    auto made = zygote_->helper(workers);
    EXPECT_TRUE(made) << (made ? "" : made.error().text);
    return made ? std::move(*made) : nullptr;
  }

  // What attaching to a missing directory comes to, told by a worker that is alive.
  static int answer(EventHelper& helper, std::size_t worker) {
    helper.attach("/nonexistent");
    pollfd wait{.fd = helper.descriptor(worker), .events = POLLIN, .revents = 0};
    int error = -1;
    if (::poll(&wait, 1, 5000) == 1) {
      helper.receive(wait.fd, [&](std::uint64_t, int e) { error = e; });
    }
    return error;
  }

  std::unique_ptr<EventZygote> zygote_;
  pid_t pid_ = 0;
};

TEST_F(Zygote, ForksSetsOfWorkersThatWork) {
  const auto first = helper(2);
  const auto second = helper(3);
  EXPECT_EQ(first->living_count(), 2U);
  EXPECT_EQ(second->living_count(), 3U);
  EXPECT_EQ(answer(*first, 1), ENOENT);
  EXPECT_EQ(answer(*second, 2), ENOENT);
  for (const pid_t worker : children_of(pid_)) {
    EXPECT_NE(first->is_worker(worker), second->is_worker(worker));
  }
}

TEST_F(Zygote, WorkersHoldNothingOfTheDaemonAndOfEachOther) {
  const int held = ::open("/dev/null", O_RDONLY);  // inheritable
  const auto set = helper(2);
  ASSERT_EQ(answer(*set, 1), ENOENT);  // both have begun
  ASSERT_EQ(answer(*set, 0), ENOENT);
  for (const pid_t worker : children_of(pid_)) {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& fd :
         std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", worker))) {
      ++count;
    }
    EXPECT_EQ(count, 4U) << "three standard ones and the socket";
  }
  ::close(held);
}

TEST_F(Zygote, AWorkersPidIsTakenUntilTheDaemonIsDoneWithIt) {
  auto set = helper(1);
  const pid_t worker = children_of(pid_).at(0);
  ::kill(worker, SIGKILL);
  ASSERT_TRUE(ends(worker));
  EXPECT_EQ(::kill(worker, 0), 0) << "a zombie";
  EXPECT_FALSE(set->receive(set->descriptor(0), [](std::uint64_t, int) {}));
  const auto next = helper(1);  // the zygote is past the order to reap
  EXPECT_EQ(::kill(worker, 0), -1);
}

TEST_F(Zygote, TheEndOfAHelperEndsItsWorkersAlone) {
  auto first = helper(1);
  const pid_t worker = children_of(pid_).at(0);
  const auto second = helper(1);
  first.reset();
  EXPECT_TRUE(ends(worker));
  EXPECT_EQ(answer(*second, 0), ENOENT);
}

TEST_F(Zygote, ThatIsGoneIsToldOf) {
  ::kill(pid_, SIGKILL);
  ASSERT_TRUE(ends(pid_));
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto refused = zygote_->helper(1);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().text.find("restart"), std::string::npos) << refused.error().text;
  }
}

TEST_F(Zygote, ItsWorkersDieWithIt) {
  const auto set = helper(2);
  const auto workers = children_of(pid_);
  ::kill(pid_, SIGKILL);
  for (const pid_t worker : workers) EXPECT_TRUE(ends(worker));
}

}  // namespace
}  // namespace zkfs::test
