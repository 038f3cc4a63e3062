// SPDX-License-Identifier: Apache-2.0
// The command lines of the helpers over a mount.
#include <string>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "zkfs/options.h"

namespace zkfs {
namespace {

using Words = std::vector<const char*>;

Command parse(Words words) {
  words.insert(words.begin(), "zkfs");
  return parse_command_line(static_cast<int>(words.size()), words.data());
}

template <typename T>
T parsed(Words words) {
  const Command command = parse(std::move(words));
  if (const auto* print = std::get_if<PrintAndExit>(&command)) ADD_FAILURE() << print->text;
  return std::get<T>(command);
}

TEST(CreateOptions, AFileByDefaultWithItsData) {
  const auto create = parsed<CreateCommand>({"create", "/zk/a", "value"});
  EXPECT_EQ(create.kind, CreateCommand::Kind::kFile);
  EXPECT_EQ(create.path, "/zk/a");
  EXPECT_EQ(create.data, "value");
  EXPECT_EQ(parsed<CreateCommand>({"create", "/zk/a"}).data, std::nullopt);
}

TEST(CreateOptions, DashIsStandardInput) {
  EXPECT_EQ(parsed<CreateCommand>({"create", "/zk/a", "-"}).data, "-");
  EXPECT_EQ(parsed<SetCommand>({"set", "/zk/a", "-"}).data, "-");
}

TEST(CreateOptions, DataMayLookLikeAnOptionAfterTwoDashes) {
  EXPECT_EQ(parsed<CreateCommand>({"create", "--", "/zk/a", "-e5"}).data, "-e5");
}

TEST(CreateOptions, EphemeralHasAnOptionalOwnerThatIsAttached) {
  const auto mount = parsed<CreateCommand>({"create", "-e", "/zk/a", "v"});
  EXPECT_TRUE(mount.ephemeral);
  EXPECT_EQ(mount.owner, "");
  EXPECT_EQ(mount.path, "/zk/a");
  const auto process = parsed<CreateCommand>({"create", "-e4711", "/zk/a"});
  EXPECT_TRUE(process.ephemeral);
  EXPECT_EQ(process.owner, "4711");
  const auto cluster = parsed<CreateCommand>({"create", "-se12", "/zk/a"});
  EXPECT_TRUE(cluster.sequential);
  EXPECT_EQ(cluster.owner, "12");
  EXPECT_EQ(parsed<CreateCommand>({"create", "--ephemeral=9", "/zk/a"}).owner, "9");
  EXPECT_FALSE(parsed<CreateCommand>({"create", "/zk/a"}).ephemeral);
}

TEST(CreateOptions, TypesKindsAndMode) {
  EXPECT_EQ(parsed<CreateCommand>({"create", "--ttl", "30s", "/zk/a"}).ttl, Millis(30'000));
  EXPECT_EQ(parsed<CreateCommand>({"create", "--container", "/zk/a"}).kind,
            CreateCommand::Kind::kDirectory);
  EXPECT_EQ(parsed<CreateCommand>({"create", "-d", "/zk/a"}).kind, CreateCommand::Kind::kDirectory);
  const auto link = parsed<CreateCommand>({"create", "-l", "t", "/zk/a"});
  EXPECT_EQ(link.kind, CreateCommand::Kind::kLink);
  EXPECT_EQ(link.target, "t");
  EXPECT_EQ(parsed<CreateCommand>({"create", "--mode", "640", "/zk/a"}).mode, 0640U);
  EXPECT_TRUE(parsed<CreateCommand>({"create", "-p", "/zk/a"}).parents);
}

TEST(ValueOptions, GetAndSet) {
  const auto get = parsed<GetCommand>({"get", "--sync", "--stat", "/zk/a"});
  EXPECT_TRUE(get.sync);
  EXPECT_TRUE(get.stat);
  const auto set = parsed<SetCommand>({"set", "--version", "3", "/zk/a", "v"});
  EXPECT_EQ(set.version, 3);
  EXPECT_EQ(set.data, "v");
  EXPECT_EQ(parsed<SetCommand>({"set", "/zk/a", ""}).data, "");
  EXPECT_EQ(parsed<SetCommand>({"set", "/zk/a"}).data, std::nullopt);
}

TEST(TreeOptions, LsRmStat) {
  EXPECT_EQ(parsed<LsCommand>({"ls"}).path, ".");
  const auto ls = parsed<LsCommand>({"ls", "-lR", "/zk"});
  EXPECT_TRUE(ls.details);
  EXPECT_TRUE(ls.recursive);
  const auto rm = parsed<RmCommand>({"rm", "-r", "/zk/a", "/zk/b"});
  EXPECT_TRUE(rm.recursive);
  EXPECT_EQ(rm.paths, (std::vector<std::string>{"/zk/a", "/zk/b"}));
  EXPECT_EQ(parsed<StatCommand>({"stat", "/zk/a"}).path, "/zk/a");
}

TEST(WaitOptions, ExistsByDefault) {
  const auto wait = parsed<WaitCommand>({"wait", "/zk/a"});
  EXPECT_EQ(wait.what, WaitCommand::For::kExists);
  EXPECT_EQ(wait.timeout, std::nullopt);
}

TEST(WaitOptions, WhatForValueVersionAndTimeout) {
  using For = WaitCommand::For;
  EXPECT_EQ(parsed<WaitCommand>({"wait", "--gone", "/zk/a"}).what, For::kGone);
  EXPECT_EQ(parsed<WaitCommand>({"wait", "--children", "/zk/a"}).what, For::kChildren);
  const auto wait = parsed<WaitCommand>({"wait", "--changed", "--version", "4", "--value", "x",
                                         "--print", "--timeout", "90", "/zk/a"});
  EXPECT_EQ(wait.what, For::kChanged);
  EXPECT_EQ(wait.version, 4);
  EXPECT_EQ(wait.value, "x");
  EXPECT_TRUE(wait.print);
  EXPECT_EQ(wait.timeout, Millis(90'000));
}

TEST(LockOptions, WordsInBracketsStayWhole) {
  const auto lock = parsed<LockCommand>({"lock", "[l]", "--", "printf", "[1,2]", "[]", "[", "]"});
  EXPECT_EQ(lock.path, "[l]");
  EXPECT_EQ(lock.command, (std::vector<std::string>{"printf", "[1,2]", "[]", "[", "]"}));
  EXPECT_EQ(parsed<RmCommand>({"rm", "[a,b]"}).paths, (std::vector<std::string>{"[a,b]"}));
}

TEST(LockOptions, TheCommandIsWhatFollowsTwoDashes) {
  const auto lock =
      parsed<LockCommand>({"lock", "-s", "-w", "2s", "/zk/l", "--", "cmd", "-x", "--", "--help"});
  EXPECT_TRUE(lock.shared);
  EXPECT_EQ(lock.wait, Millis(2'000));
  EXPECT_EQ(lock.path, "/zk/l");
  EXPECT_EQ(lock.command, (std::vector<std::string>{"cmd", "-x", "--", "--help"}));
  EXPECT_EQ(lock.grace, Millis(5'000));
  EXPECT_EQ(lock.suspect_after, Millis(3'000));
}

TEST(DumpOptions, WhatAndWhichPart) {
  const auto dump = parsed<DumpCommand>({"dump", "--data-dir", "/d", "--tree", "--to", "0x10"});
  EXPECT_EQ(dump.data_dir, "/d");
  EXPECT_EQ(dump.show, DumpCommand::Show::kTree);
  EXPECT_EQ(dump.to, Zxid{16});
  EXPECT_EQ(parsed<DumpCommand>({"dump", "--from", "12", "f", "g"}).from, Zxid{12});
  EXPECT_EQ(parsed<DumpCommand>({"dump", "f", "g"}).files.size(), 2U);
}

TEST(ImportOptions, FromWhereAndWhereTo) {
  const auto import = parsed<ImportCommand>({"import", "-d", "/d", "--log-dir", "/l", "/zk"});
  EXPECT_EQ(import.data_dir, "/d");
  EXPECT_EQ(import.log_dir, "/l");
  EXPECT_EQ(import.source, "/zk");
}

TEST(CommandHelp, EndsWithZeroForEachCommand) {
  for (const char* command : {"serve", "status", "create", "get", "set", "rm", "ls", "stat", "wait",
                              "lock", "dump", "import"}) {
    const auto print = std::get<PrintAndExit>(parse({command, "--help"}));
    EXPECT_EQ(print.exit_code, kExitYes) << command;
    EXPECT_NE(print.text.find("Usage: zkfs " + std::string(command)), std::string::npos)
        << print.text;
  }
}

class CommandMisuse : public testing::TestWithParam<Words> {};

TEST_P(CommandMisuse, EndsWithTwoAndOneLine) {
  const auto print = std::get<PrintAndExit>(parse(GetParam()));
  EXPECT_EQ(print.exit_code, kExitMisuse);
  EXPECT_TRUE(print.text.starts_with("zkfs: ")) << print.text;
  EXPECT_EQ(print.text.find('\n'), print.text.size() - 1) << print.text;
}

INSTANTIATE_TEST_SUITE_P(Options,
                         CommandMisuse,
                         testing::Values(Words{"create"},
                                         Words{"create", ""},
                                         Words{"create", "/zk/.."},
                                         Words{"create", "/zk/a/"},
                                         Words{"create", "-e", "--ttl", "3s", "/zk/a"},
                                         Words{"create", "-e", "--container", "/zk/a"},
                                         Words{"create", "--ephemeral=x", "/zk/a"},
                                         Words{"create", "--ttl", "soon", "/zk/a"},
                                         Words{"create", "--ttl", "0", "/zk/a"},
                                         Words{"create", "-d", "-l", "t", "/zk/a"},
                                         Words{"create", "-d", "/zk/a", "data"},
                                         Words{"create", "--mode", "999", "/zk/a"},
                                         Words{"create", "--mode", "640", "-l", "t", "/zk/a"},
                                         Words{"get"},
                                         Words{"get", "/zk/a", "/zk/b"},
                                         Words{"set"},
                                         Words{"set", "--version", "x", "/zk/a", "v"},
                                         Words{"rm"},
                                         Words{"stat"},
                                         Words{"ls", "/zk/a", "/zk/b"},
                                         Words{"wait"},
                                         Words{"wait", "--gone", "--exists", "/zk/a"},
                                         Words{"wait", "--gone", "--value", "x", "/zk/a"},
                                         Words{"wait", "--version", "3", "/zk/a"},
                                         Words{"wait", "--timeout", "-3s", "/zk/a"},
                                         Words{"lock", "/zk/a"},
                                         Words{"lock", "-n", "-w", "1s", "/zk/a", "--", "true"},
                                         Words{"lock", "--suspect-after", "0", "/zk/a", "--", "x"},
                                         Words{"dump", "--txns", "--tree"},
                                         Words{"import"},
                                         Words{"import", "a", "b"},
                                         Words{"import", ""},
                                         Words{"dump", "--from", "zero"},
                                         Words{"dump", "--data-dir", "d", "file"}));

}  // namespace
}  // namespace zkfs
