// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "mount/mount.h"

namespace zkfs::mount {
namespace {

TEST(MountOptions, ReadsAll) {
  MountOptions options;
  ASSERT_TRUE(parse_mount_options(
      "allow_other,ro,exec,timeo=5s,commit_timeo=1500ms,quorum_loss=strict,commit=writer,"
      "control=.ctl,session_timeout=20s,fsname=zk1:/",
      options));
  EXPECT_TRUE(options.allow_other);
  EXPECT_TRUE(options.read_only);
  EXPECT_TRUE(options.exec);
  EXPECT_EQ(options.timeo, Millis(5000));
  EXPECT_EQ(options.commit_timeo, Millis(1500));
  EXPECT_EQ(options.quorum_loss, QuorumLoss::kStrict);
  EXPECT_EQ(options.commit, CommitMode::kWriter);
  EXPECT_EQ(options.control, ".ctl");
  EXPECT_EQ(options.session_timeout_ms, 20'000U);
  EXPECT_EQ(options.source, "zk1:/");
}

TEST(MountOptions, IgnoresWhatFstabPassesAlong) {
  MountOptions options;
  EXPECT_TRUE(parse_mount_options(
      "rw,nosuid,nodev,noexec,_netdev,nofail,x-systemd.mount-timeout=30,defaults,,", options));
  EXPECT_TRUE(parse_mount_options("user,users,user=me,owner,group,sync,comment=a", options));
  EXPECT_TRUE(parse_mount_options("", options));
}

TEST(MountOptions, ANumberAloneIsSeconds) {
  MountOptions options;
  ASSERT_TRUE(parse_mount_options("timeo=3", options));
  EXPECT_EQ(options.timeo, Millis(3000));
}

TEST(MountOptions, RefusalsNameOptionValueAndRemedy) {
  const std::pair<const char*, const char*> rows[] = {{"timeo=soon", "such as 10s"},
                                                      {"timeo=-1", "such as 10s"},
                                                      {"commit=later", "close, writer or write"},
                                                      {"quorum_loss=never", "wait or strict"},
                                                      {"control=a/b", "a file name"},
                                                      {"session_timeout=5ms", "1s to 1h"},
                                                      {"nonsense", "known"},
                                                      {"nonsense=1", "known"},
                                                      {"suid", "known"}};
  for (const auto& [text, remedy] : rows) {
    MountOptions options;
    const auto parsed = parse_mount_options(text, options);
    ASSERT_FALSE(parsed) << text;
    EXPECT_NE(parsed.error().text.find(text), std::string::npos) << parsed.error().text;
    EXPECT_NE(parsed.error().text.find(remedy), std::string::npos) << parsed.error().text;
  }
}

}  // namespace
}  // namespace zkfs::mount
