// SPDX-License-Identifier: Apache-2.0
// Mounting, unmounting, dying; the control directory.
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "ensemble/base/log.h"
#include "mount/mount_point.h"
#include "tests/mount/local_mount.h"

namespace zkfs::test {
namespace {

class Life : public MountTest {};

bool mounted(const std::string& path) {
  std::ifstream file("/proc/self/mountinfo");
  std::stringstream text;
  text << file.rdbuf();
  for (const auto& entry : mount::parse_mountinfo(text.str())) {
    if (entry.path == path) return true;
  }
  return false;
}

TEST_F(Life, StopLeavesNothing) {
  sh("echo v > f");
  const std::string path = m().path();
  EXPECT_TRUE(mounted(path));
  m().stop();
  EXPECT_FALSE(mounted(path));
  EXPECT_TRUE(std::filesystem::is_empty(path));
}

TEST_F(Life, StopAnswersWhoeverWaits) {
  with("quorum_loss=wait");
  m().set_quorum(false);
  const pid_t pid = m().start("mkdir d");
  EXPECT_FALSE(m().drive_until([] { return false; }, std::chrono::milliseconds(100)));
  m().stop();
  const Ran ran = m().finish(pid);
  EXPECT_NE(ran.status, 0);
  EXPECT_NE(ran.out.find("not connected"), std::string::npos) << ran.out;
}

TEST_F(Life, StopWhileInUseDetaches) {
  const std::string path = m().path();
  const pid_t pid = m().start("exec 3<.; exec sleep 100");
  EXPECT_FALSE(m().drive_until([] { return false; }, std::chrono::milliseconds(100)));
  m().stop();
  EXPECT_FALSE(mounted(path));
  ::kill(pid, SIGKILL);
  EXPECT_EQ(m().finish(pid).status, 128 + SIGKILL);
}

TEST_F(Life, AForeignUnmountIsNoticed) {
  sh("cd /; umount $ZK");
  EXPECT_TRUE(m().drive_until([&] { return m().unmounted(); }));
}

TEST_F(Life, ADeadMountIsTakenOver) {
  std::string pattern = "/tmp/zkfs-dead-XXXXXX";
  const std::string base = ::mkdtemp(pattern.data());
  int ready[2];
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  // A daemon that mounts there and dies without unmounting.
  const pid_t daemon = ::fork();
  if (daemon == 0) {
    asio::io_context context;
    LocalDoor door;
    mount::MountOptions options;
    options.mountpoint = base;
    mount::Mount dying(context, door, options, {}, nullptr, [] { return Instant{}; });
    const bool up = dying.start([] {}).has_value();
    (void)!::write(ready[1], up ? "1" : "0", 1);
    ::pause();
  }
  char up = '0';
  ASSERT_EQ(::read(ready[0], &up, 1), 1);
  ASSERT_EQ(up, '1');
  ::close(ready[0]);
  ::close(ready[1]);
  ::kill(daemon, SIGKILL);
  ::waitpid(daemon, nullptr, 0);
  asio::io_context context;
  LocalDoor door;
  mount::MountOptions options;
  options.mountpoint = base;
  mount::Mount next(context, door, options, {}, nullptr, [] { return Instant{}; });
  const auto started = next.start([] {});
  EXPECT_TRUE(started) << (started ? "" : started.error().text);
  next.stop();
  EXPECT_FALSE(mounted(base));
  ::umount2(base.c_str(), MNT_DETACH);
  std::filesystem::remove(base);
}

std::string refusal(const std::string& path) {
  asio::io_context context;
  LocalDoor door;
  mount::MountOptions options;
  options.mountpoint = path;
  mount::Mount mount(context, door, options, {}, nullptr, [] { return Instant{}; });
  const auto started = mount.start([] {});
  return started ? std::string() : started.error().text;
}

TEST_F(Life, AMountPointMustBeAnEmptyDirectory) {
  EXPECT_NE(refusal("/etc").find("not empty"), std::string::npos);
  EXPECT_NE(refusal("/etc/hostname").find("not a directory"), std::string::npos);
  EXPECT_NE(refusal("/nonexistent").find("create it"), std::string::npos);
}

TEST_F(Life, MountsHaveTypeAndSource) {
  sh("grep \" $ZK \" /proc/mounts | grep -q '^zkfs .* fuse.zkfs .*nosuid,nodev,noexec'");
}

TEST_F(Life, ReadOnlyMount) {
  with("ro");
  sh("! { echo x > f; } 2>$T/e || exit; grep -q 'Read-only' $T/e");
}

TEST_F(Life, FilesAreNoTerminals) {
  sh("touch f; python3 -c 'import os\nassert not os.isatty(os.open(\"f\", os.O_RDONLY))'");
}

}  // namespace
}  // namespace zkfs::test
