// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/server/prep_fixture.h"

namespace zkfs::server {
namespace {

using tree::NodeKind;

RenameRequest exchange(const std::string& source, const std::string& target) {
  RenameRequest request = rename(source, target);
  request.exchange = true;
  return request;
}

RenameRequest no_replace(const std::string& source, const std::string& target) {
  RenameRequest request = rename(source, target);
  request.no_replace = true;
  return request;
}

RenameRequest onto_data(const std::string& source, const std::string& target) {
  RenameRequest request = rename(source, target);
  request.onto_data = true;
  return request;
}

// /d/sub, /empty are directories; /f holds "f", /g holds "g".
class PrepRename : public testing::Test {
 protected:
  void SetUp() override {
    for (const std::string path : {"/d", "/d/sub", "/empty"}) leader_.run(directory(path));
    leader_.run(file("/f", "f"));
    leader_.run(file("/g", "g"));
  }

  Error error_of(Operation operation) { return leader_.error_of(std::move(operation)); }

  Leader leader_;
};

TEST_F(PrepRename, KeepsTheNumberAndTheSubtree) {
  const Ino sub = leader_.ino("/d/sub");
  const Ino moved = leader_.run(rename("/d", "/e")).ino;
  EXPECT_EQ(leader_.ino("/e"), moved);
  EXPECT_EQ(leader_.ino("/e/sub"), sub);
  EXPECT_EQ(leader_.ino("/d"), Ino{});
}

TEST_F(PrepRename, MissingEnds) {
  EXPECT_EQ(error_of(rename("/no", "/x")), Error::kNoNode);
  EXPECT_EQ(error_of(rename("/f", "/no/x")), Error::kNoNode);
  RenameRequest stale;
  stale.source = at(Ino{999});
  stale.target = at("/x");
  EXPECT_EQ(error_of(stale), Error::kStale);
  stale.source = at("/f");
  stale.target = at(Ino{999}, "x");
  EXPECT_EQ(error_of(stale), Error::kStale);
}

TEST_F(PrepRename, RootStaysWhereItIs) {
  EXPECT_EQ(error_of(rename("/", "/x")), Error::kBadArguments);
  EXPECT_EQ(error_of(rename("/f", "/")), Error::kBadArguments);
  EXPECT_EQ(error_of(exchange("/f", "/")), Error::kBadArguments);
}

TEST_F(PrepRename, OntoItselfIsNothingWithAZxid) {
  const Zxid before = leader_.tree().last_applied();
  const auto digest = leader_.tree().digest();
  EXPECT_EQ(error_of(rename("/f", "/f")), Error::kOk);
  EXPECT_EQ(error_of(exchange("/f", "/f")), Error::kOk);
  EXPECT_EQ(error_of(multi({rename("/d", "/d")})), Error::kOk);
  EXPECT_EQ(leader_.tree().last_applied().value, before.value + 3);
  EXPECT_EQ(leader_.tree().digest(), digest);
  EXPECT_EQ(error_of(no_replace("/f", "/f")), Error::kNodeExists);
}

TEST_F(PrepRename, FileReplacesFile) {
  const Ino target = leader_.ino("/g");
  const auto outcome = leader_.run(rename("/f", "/g"));
  EXPECT_EQ(outcome.ino, target);
  EXPECT_EQ(outcome.version, 1);
  EXPECT_EQ(leader_.data("/g"), "f");
  EXPECT_EQ(leader_.ino("/f"), Ino{});
}

TEST_F(PrepRename, PendingVersionOfTheReplacedCounts) {
  leader_.propose(rename("/f", "/g"));
  EXPECT_EQ(error_of(set("/g", "x", 0)), Error::kBadVersion);
}

TEST_F(PrepRename, SortsDoNotMix) {
  EXPECT_EQ(error_of(rename("/d", "/f")), Error::kNotDirectory);
  EXPECT_EQ(error_of(rename("/f", "/empty")), Error::kIsDirectory);
}

TEST_F(PrepRename, OnlyAnEmptyDirectoryWithoutDataIsReplaced) {
  EXPECT_EQ(error_of(rename("/empty", "/d")), Error::kNotEmpty);
  leader_.propose(set("/empty", "state"));
  EXPECT_EQ(error_of(rename("/d", "/empty")), Error::kNotEmpty);
  leader_.propose(set("/empty", ""));
  const Ino d = leader_.ino("/d");
  EXPECT_EQ(error_of(rename("/d", "/empty")), Error::kOk);
  EXPECT_EQ(leader_.ino("/empty"), d);
}

TEST_F(PrepRename, NotIntoItsOwnSubtree) {
  EXPECT_EQ(error_of(rename("/d", "/d/x")), Error::kLoop);
  EXPECT_EQ(error_of(rename("/d", "/d/sub/x")), Error::kLoop);
  EXPECT_EQ(error_of(exchange("/d", "/d/sub")), Error::kLoop);
  EXPECT_EQ(error_of(exchange("/d/sub", "/d")), Error::kLoop);
}

TEST_F(PrepRename, LoopIsSeenThroughMovesUnderWay) {
  leader_.propose(rename("/empty", "/d/sub/empty"));
  EXPECT_EQ(error_of(rename("/d", "/d/sub/empty/x")), Error::kLoop);
  leader_.propose(rename("/d/sub", "/sub"));
  EXPECT_EQ(error_of(rename("/d", "/sub/empty/d")), Error::kOk);
}

TEST_F(PrepRename, NoReplaceWantsAFreeName) {
  EXPECT_EQ(error_of(no_replace("/f", "/g")), Error::kNodeExists);
  leader_.propose(remove("/g"));
  EXPECT_EQ(error_of(no_replace("/f", "/g")), Error::kOk);
}

TEST_F(PrepRename, ExchangeSwapsPlaces) {
  const Ino f = leader_.ino("/f");
  const Ino sub = leader_.ino("/d/sub");
  EXPECT_EQ(error_of(exchange("/f", "/d/sub")), Error::kOk);
  EXPECT_EQ(leader_.ino("/f"), sub);
  EXPECT_EQ(leader_.ino("/d/sub"), f);
  EXPECT_EQ(error_of(exchange("/f", "/no")), Error::kNoNode);
}

TEST_F(PrepRename, ContradictingFlagsAreRefused) {
  RenameRequest request = exchange("/f", "/g");
  request.no_replace = true;
  EXPECT_EQ(error_of(request), Error::kBadArguments);
  request.no_replace = false;
  request.sequential = true;
  EXPECT_EQ(error_of(request), Error::kBadArguments);
}

TEST_F(PrepRename, SequentialTargetGetsTheParentsCounter) {
  RenameRequest request = rename("/f", "/d/job-");
  request.sequential = true;
  EXPECT_EQ(error_of(request), Error::kOk);
  EXPECT_EQ(leader_.data("/d/job-0000000001"), "f");
  request.source = at("/g");
  request.target = at(leader_.ino("/d"), "");
  EXPECT_EQ(error_of(request), Error::kOk);
  EXPECT_EQ(leader_.data("/d/0000000002"), "g");
}

TEST_F(PrepRename, NewParentMustTakeChildren) {
  leader_.propose(ephemeral("/e"));
  EXPECT_EQ(error_of(rename("/f", "/e/x")), Error::kNoChildrenForEphemerals);
  EXPECT_EQ(error_of(rename("/f", "/g/x")), Error::kNotDirectory);
}

TEST_F(PrepRename, NewNameIsChecked) {
  EXPECT_EQ(error_of(rename("/f", "/" + std::string(256, 'x'))), Error::kTooLarge);
  EXPECT_EQ(error_of(rename("/f", "/..")), Error::kBadArguments);
  EXPECT_EQ(error_of(rename("/f", "/d/")), Error::kBadArguments);
}

TEST_F(PrepRename, GainedNameRaisesTheCounterReplacedNameDoesNot) {
  leader_.run(rename("/empty", "/d/empty"));
  EXPECT_EQ(leader_.tree().find_path("/d")->create_counter, 2);
  leader_.propose(rename("/d/sub", "/d/empty"));
  EXPECT_EQ(leader_.run(sequential("/d/n")).name, "n0000000002");
}

TEST_F(PrepRename, OntoDataSetsTheDirectoryAndDropsTheSource) {
  leader_.propose(append("/f", "irst"));
  leader_.propose(append("/f", " try"));
  EXPECT_EQ(error_of(onto_data("/f", "/d")), Error::kOk);
  EXPECT_EQ(leader_.data("/d"), "first try");
  EXPECT_EQ(leader_.ino("/f"), Ino{});
  EXPECT_NE(leader_.ino("/d/sub"), Ino{});
}

TEST_F(PrepRename, OntoDataWantsAFileAndADirectory) {
  EXPECT_EQ(error_of(onto_data("/f", "/g")), Error::kNotDirectory);
  EXPECT_EQ(error_of(onto_data("/empty", "/d")), Error::kIsDirectory);
  EXPECT_EQ(error_of(onto_data("/no", "/d")), Error::kNoNode);
  EXPECT_EQ(error_of(onto_data("/f", "/no")), Error::kNoNode);
  EXPECT_EQ(error_of(multi({onto_data("/f", "/d")})), Error::kBadArguments);
  RenameRequest request = onto_data("/f", "/d");
  request.no_replace = true;
  EXPECT_EQ(error_of(request), Error::kNodeExists);
  EXPECT_EQ(error_of(onto_data("/f", "/")), Error::kOk) << "the root has data too";
}

TEST_F(PrepRename, OntoDataOfAPendingReplacementTakesThatData) {
  leader_.propose(append("/f", "!"));
  leader_.propose(rename("/f", "/g"));
  EXPECT_EQ(error_of(onto_data("/g", "/d")), Error::kOk);
  EXPECT_EQ(leader_.data("/d"), "f!");
}

}  // namespace
}  // namespace zkfs::server
