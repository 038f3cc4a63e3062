// SPDX-License-Identifier: Apache-2.0
#include "zkfs/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#include <gtest/gtest.h>

namespace zkfs {
namespace {

// A service manager's end, by an abstract name.
class Manager : public testing::Test {
 protected:
  void SetUp() override {
    name_ = "@zkfs-test-" + std::to_string(getpid());
    socket_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name_.data() + 1, name_.size() - 1);
    ASSERT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&address),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size())),
              0);
    setenv("NOTIFY_SOCKET", name_.c_str(), 1);
  }

  void TearDown() override {
    close(socket_);
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) unsetenv(name);
  }

  std::string heard() {
    char buffer[256];
    const ssize_t count = recv(socket_, buffer, sizeof buffer, 0);
    return count < 0 ? "" : std::string(buffer, static_cast<std::size_t>(count));
  }

  std::string name_;
  int socket_ = -1;
};

TEST_F(Manager, IsToldOfReadinessAndTheEnd) {
  ServiceManager manager;
  EXPECT_TRUE(manager.present());
  manager.ready();
  EXPECT_EQ(heard(), "READY=1");
  manager.stopping();
  EXPECT_EQ(heard(), "STOPPING=1");
}

TEST_F(Manager, IsToldOfAStatusOnce) {
  ServiceManager manager;
  manager.status("follower");
  manager.status("follower");
  manager.status("leader");
  EXPECT_EQ(heard(), "STATUS=follower");
  EXPECT_EQ(heard(), "STATUS=leader");
  EXPECT_EQ(heard(), "");
}

TEST_F(Manager, HearsAsOftenAsItsWatchdogWants) {
  setenv("WATCHDOG_USEC", "3000000", 1);
  setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  ServiceManager manager;
  manager.alive(Millis(10'000));
  EXPECT_EQ(heard(), "WATCHDOG=1");
  manager.alive(Millis(10'900));
  EXPECT_EQ(heard(), "");
  manager.alive(Millis(11'000));
  EXPECT_EQ(heard(), "WATCHDOG=1");
}

TEST_F(Manager, AWatchdogOfAnotherProcessIsNotOurs) {
  setenv("WATCHDOG_USEC", "3000000", 1);
  setenv("WATCHDOG_PID", "1", 1);
  ServiceManager manager;
  manager.alive(Millis(10'000));
  EXPECT_EQ(heard(), "");
}

TEST_F(Manager, IsNotInheritedByWhomWeStart) {
  ServiceManager manager;
  EXPECT_EQ(std::getenv("NOTIFY_SOCKET"), nullptr);
}

TEST_F(Manager, ThatIsGoneDoesNoHarm) {
  ServiceManager manager;
  close(std::exchange(socket_, -1));
  manager.ready();
}

TEST(NoManager, NothingHappens) {
  unsetenv("NOTIFY_SOCKET");
  ServiceManager manager;
  EXPECT_FALSE(manager.present());
  manager.ready();
  manager.alive(Millis(1));
}

}  // namespace
}  // namespace zkfs
