// SPDX-License-Identifier: Apache-2.0
#include "zkfs/mount_helper.h"

#include <vector>

#include <gtest/gtest.h>

namespace zkfs {
namespace {

Expected<MountHelperLine> parse(std::vector<const char*> words) {
  words.insert(words.begin(), "mount.zkfs");
  return parse_mount_helper_line(static_cast<int>(words.size()), words.data());
}

TEST(MountHelper, IsKnownByItsName) {
  EXPECT_TRUE(is_mount_helper("/sbin/mount.zkfs"));
  EXPECT_FALSE(is_mount_helper("/usr/sbin/zkfs"));
  EXPECT_FALSE(is_mount_helper(nullptr));
}

TEST(MountHelper, TakesWhatMount8Passes) {
  const auto line = parse({"/etc/zoo.cfg", "/zk", "-v", "-n", "-t", "zkfs", "-o", "rw,nofail"});
  ASSERT_TRUE(line);
  EXPECT_EQ(line->source, "/etc/zoo.cfg");
  EXPECT_EQ(line->mountpoint, "/zk");
  EXPECT_EQ(line->options, "rw,nofail");
  EXPECT_TRUE(line->verbose);
  EXPECT_FALSE(line->fake);
}

TEST(MountHelper, TakesOptionsInAnyOrderAndTogether) {
  const auto line = parse({"-sfnv", "-oro", "zkfs", "-o", "timeo=1s", "/zk"});
  ASSERT_TRUE(line);
  EXPECT_EQ(line->options, "ro,timeo=1s");
  EXPECT_TRUE(line->sloppy && line->fake && line->verbose);
}

TEST(MountHelper, RefusesWhatIsMissingOrUnknown) {
  for (const auto& words : std::vector<std::vector<const char*>>{
           {}, {"zkfs"}, {"zkfs", "/zk", "/x"}, {"zkfs", "/zk", "-o"}, {"zkfs", "/zk", "-x"}}) {
    const auto line = parse(words);
    ASSERT_FALSE(line);
    EXPECT_NE(line.error().text.find("usage"), std::string::npos) << line.error().text;
  }
}

TEST(MountHelper, SourceIsAFileADirectoryOrAWord) {
  EXPECT_EQ(config_source_of("zkfs")->file, "");
  EXPECT_EQ(config_source_of("zkfs")->data_dir, "");
  EXPECT_EQ(config_source_of("/usr")->data_dir, "/usr");
  EXPECT_EQ(config_source_of("/proc/self/../version")->file, "/proc/version");
  const auto missing = config_source_of("/nonexistent/zoo.cfg");
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().text.find("/nonexistent/zoo.cfg"), std::string::npos);
}

}  // namespace
}  // namespace zkfs
