// SPDX-License-Identifier: Apache-2.0
#include "zkfs/options.h"

#include <string>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

namespace zkfs {
namespace {

Command parse(std::vector<const char*> words) {
  words.insert(words.begin(), "zkfs");
  return parse_command_line(static_cast<int>(words.size()), words.data());
}

TEST(Options, ServeTakesAllItsOptions) {
  const auto serve = std::get<ServeCommand>(
      parse({"serve", "--config", "zoo.cfg", "--data-dir", "/d", "--set", "a=1", "--set", "b=2",
             "-o", "timeo=5s", "--log-level", "debug", "/zk"}));
  EXPECT_EQ(serve.config_file, "zoo.cfg");
  EXPECT_EQ(serve.data_dir, "/d");
  EXPECT_EQ(serve.overrides, (std::vector<std::string>{"a=1", "b=2"}));
  EXPECT_EQ(serve.mount_options, (std::vector<std::string>{"timeo=5s"}));
  EXPECT_EQ(serve.log_level, "debug");
  EXPECT_EQ(serve.mountpoint, "/zk");
}

TEST(Options, SetDoesNotSwallowTheMountPoint) {
  EXPECT_EQ(std::get<ServeCommand>(parse({"serve", "--set", "a=1", "/zk"})).mountpoint, "/zk");
  EXPECT_EQ(std::get<ServeCommand>(parse({"serve", "-o", "ro", "/zk"})).mountpoint, "/zk");
}

TEST(Options, MountCanBeRepeatedAndKeepsItsCommas) {
  const auto serve =
      std::get<ServeCommand>(parse({"serve", "--mount", "/a,ro,timeo=1s", "--mount", "/b", "/zk"}));
  EXPECT_EQ(serve.mounts, (std::vector<std::string>{"/a,ro,timeo=1s", "/b"}));
  EXPECT_EQ(serve.mountpoint, "/zk");
}

TEST(Options, AMountPointIsNotNeededWithMountOrKeep) {
  EXPECT_EQ(std::get<ServeCommand>(parse({"serve", "--mount", "/a"})).mountpoint, "");
  EXPECT_TRUE(std::get<ServeCommand>(parse({"serve", "--keep"})).keep);
}

TEST(Options, SetKeepsCommasAndEquals) {
  EXPECT_EQ(std::get<ServeCommand>(parse({"serve", "--set=a=b,c=d", "/zk"})).overrides,
            (std::vector<std::string>{"a=b,c=d"}));
}

TEST(Options, StatusTakesAnOptionalMountPoint) {
  EXPECT_EQ(std::get<StatusCommand>(parse({"status", "/zk"})).mountpoint, "/zk");
  EXPECT_EQ(std::get<StatusCommand>(parse({"status"})).mountpoint, "");
}

TEST(Options, HelpAndVersionEndWithZero) {
  for (const char* option : {"--help", "--version"}) {
    const auto print = std::get<PrintAndExit>(parse({option}));
    EXPECT_EQ(print.exit_code, kExitYes);
    EXPECT_NE(print.text.find("zkfs"), std::string::npos);
  }
  EXPECT_EQ(std::get<PrintAndExit>(parse({"serve", "--help"})).exit_code, kExitYes);
}

class Misuse : public testing::TestWithParam<std::vector<const char*>> {};

TEST_P(Misuse, EndsWithTwoAndOneLine) {
  const auto print = std::get<PrintAndExit>(parse(GetParam()));
  EXPECT_EQ(print.exit_code, kExitMisuse);
  EXPECT_TRUE(print.text.starts_with("zkfs: ")) << print.text;
  EXPECT_EQ(print.text.find('\n'), print.text.size() - 1);
}

INSTANTIATE_TEST_SUITE_P(Options,
                         Misuse,
                         testing::Values(std::vector<const char*>{},
                                         std::vector<const char*>{"mount"},
                                         std::vector<const char*>{"serve"},
                                         std::vector<const char*>{"serve", "--nonsense", "/zk"},
                                         std::vector<const char*>{"serve", "/zk", "/zk2"},
                                         std::vector<const char*>{"serve", "--log-level", "loud",
                                                                  "/zk"}));

}  // namespace
}  // namespace zkfs
