// SPDX-License-Identifier: Apache-2.0
#include "mount/replay.h"

#include <fcntl.h>
#include <unistd.h>

#include <optional>
#include <span>

#include <gtest/gtest.h>

#include "tests/mount/event_mount.h"

namespace zkfs::test {
namespace {

using Events = std::vector<std::string>;

class Replay : public testing::Test {
 protected:
  void SetUp() override {
    if (!EventMount::possible()) GTEST_SKIP() << "needs root and /dev/fuse";
    mount_.emplace();
    mount_->foreign(create_directory("/d"));
    mount_->foreign(create_directory("/e"));
  }

  void watch(const std::string& path, std::string label) {
    mount_->settle();
    watcher_.add(mount_->path(path), std::move(label));
  }

  // What the watcher is told of a change made elsewhere.
  Events events_of(server::Operation operation) {
    mount_->settle();
    watcher_.take();
    mount_->foreign(std::move(operation));
    mount_->settle();
    return watcher_.take();
  }

  std::optional<EventMount> mount_;
  Watcher watcher_;
};

TEST_F(Replay, CreateOfAnEmptyFileShowsCreate) {
  watch("d", "d");
  EXPECT_EQ(events_of(create_file("/d/f")),
            (Events{"d: CREATE f", "d: OPEN f", "d: CLOSE_WRITE f"}));
}

TEST_F(Replay, CreateWithDataShowsWhatALocalWriterShows) {
  watch("d", "d");
  EXPECT_EQ(events_of(create_file("/d/f", "x")),
            (Events{"d: CREATE f", "d: OPEN f", "d: MODIFY f", "d: CLOSE_WRITE f"}));
}

TEST_F(Replay, CreateOfADirectoryShowsCreateIsdir) {
  watch("d", "d");
  EXPECT_EQ(events_of(create_directory("/d/s")), (Events{"d: CREATE,ISDIR s"}));
}

TEST_F(Replay, CreateOfASymlinkShowsCreate) {
  watch("d", "d");
  EXPECT_EQ(events_of(create_symlink("/d/l", "/etc/passwd")), (Events{"d: CREATE l"}));
}

TEST_F(Replay, SetShowsModifyAndCloseWriteInDirectoryAndFile) {
  mount_->foreign(create_file("/d/f"));
  watch("d", "d");
  watch("d/f", "f");
  EXPECT_EQ(events_of(set_data("/d/f", "x")),
            (Events{"d: MODIFY f", "f: MODIFY", "d: OPEN f", "f: OPEN", "d: CLOSE_WRITE f",
                    "f: CLOSE_WRITE"}));
}

TEST_F(Replay, SetOfARootFileShows) {
  mount_->foreign(create_file("/f"));
  watch("", "r");
  EXPECT_EQ(events_of(set_data("/f", "x")),
            (Events{"r: MODIFY f", "r: OPEN f", "r: CLOSE_WRITE f"}));
}

TEST_F(Replay, DeleteShowsDeleteAndDeleteSelf) {
  mount_->foreign(create_file("/d/f"));
  watch("d", "d");
  watch("d/f", "f");
  EXPECT_EQ(events_of(remove("/d/f")),
            (Events{"f: ATTRIB", "f: DELETE_SELF", "f: IGNORED", "d: DELETE f"}));
}

TEST_F(Replay, RemovalOfADirectoryShowsBoth) {
  mount_->foreign(create_directory("/d/s"));
  watch("d", "d");
  watch("d/s", "s");
  EXPECT_EQ(events_of(remove("/d/s")),
            (Events{"s: DELETE_SELF", "s: IGNORED", "d: DELETE,ISDIR s"}));
}

TEST_F(Replay, AclShowsAttrib) {
  mount_->foreign(create_file("/d/f"));
  watch("d", "d");
  EXPECT_EQ(events_of(set_acl("/d/f")), (Events{"d: ATTRIB f"}));
}

TEST_F(Replay, MtimeShowsAttrib) {
  mount_->foreign(create_file("/d/f"));
  watch("d", "d");
  EXPECT_EQ(events_of(set_mtime("/d/f", 1)), (Events{"d: ATTRIB f"}));
}

TEST_F(Replay, AclOfTheRootShowsAttrib) {
  watch("", "r");
  EXPECT_EQ(events_of(set_acl("/")), (Events{"r: ATTRIB,ISDIR"}));
}

TEST_F(Replay, AttributesOfASymlinkDoNotTouchItsTarget) {
  mount_->foreign(create_file("/d/f"));
  mount_->foreign(create_symlink("/d/l", "f"));
  watch("d", "d");
  EXPECT_EQ(events_of(set_acl("/d/l")), (Events{"d: ATTRIB l"}));
}

TEST_F(Replay, RenameShowsMovedFromAndTo) {
  mount_->foreign(create_file("/d/f"));
  watch("d", "d");
  watch("d/f", "f");
  EXPECT_EQ(events_of(rename("/d/f", "/d/g")),
            (Events{"d: MOVED_FROM f #1", "d: MOVED_TO g #1", "f: MOVE_SELF"}));
}

TEST_F(Replay, RenameAcrossDirectoriesShowsInBoth) {
  mount_->foreign(create_file("/d/f"));
  watch("d", "d");
  watch("e", "e");
  EXPECT_EQ(events_of(rename("/d/f", "/e/g")), (Events{"d: MOVED_FROM f #1", "e: MOVED_TO g #1"}));
}

TEST_F(Replay, RenameFromADirectoryNobodyKnowsShows) {
  mount_->foreign(create_file("/d/f"));
  watch("e", "e");
  EXPECT_EQ(events_of(rename("/d/f", "/e/f")), (Events{"e: MOVED_TO f #1"}));
}

TEST_F(Replay, RenameOfADirectoryKeepsWatchesInside) {
  mount_->foreign(create_directory("/d/s"));
  watch("d", "d");
  watch("e", "e");
  watch("d/s", "s");
  EXPECT_EQ(events_of(rename("/d/s", "/e/t")),
            (Events{"d: MOVED_FROM,ISDIR s #1", "e: MOVED_TO,ISDIR t #1", "s: MOVE_SELF"}));
  EXPECT_EQ(events_of(create_directory("/e/t/x")), (Events{"s: CREATE,ISDIR x"}));
}

TEST_F(Replay, DirectoryThatGoesAndComesBackShowsBoth) {
  for (const char* path : {"/d/s", "/d/s/t"}) mount_->foreign(create_directory(path));
  mount_->foreign(create_file("/d/s/t/f"));
  watch("d", "d");
  const auto looked_up = [&] { return ::access(mount_->path("d/s/t/f").c_str(), F_OK) == 0; };
  EXPECT_TRUE(looked_up());
  EXPECT_EQ(events_of(rename("/d/s", "/d/gone")),
            (Events{"d: MOVED_FROM,ISDIR s #1", "d: MOVED_TO,ISDIR gone #1"}));
  EXPECT_FALSE(looked_up());
  EXPECT_EQ(events_of(rename("/d/gone", "/d/s")),
            (Events{"d: MOVED_FROM,ISDIR gone #1", "d: MOVED_TO,ISDIR s #1"}));
  EXPECT_TRUE(looked_up());
}

TEST_F(Replay, RenameOverAFileKeepsTheTargetsWatch) {
  mount_->foreign(create_file("/d/tmp", "new"));
  mount_->foreign(create_file("/d/f", "old"));
  watch("d", "d");
  watch("d/f", "f");
  EXPECT_EQ(events_of(rename("/d/tmp", "/d/f")),
            (Events{"d: MOVED_FROM tmp #1", "d: MOVED_TO f #1", "f: ATTRIB", "d: MODIFY f",
                    "f: MODIFY", "d: OPEN f", "f: OPEN", "d: CLOSE_WRITE f", "f: CLOSE_WRITE"}));
  EXPECT_EQ(events_of(set_acl("/d/f")), (Events{"d: ATTRIB f", "f: ATTRIB"}));
}

TEST_F(Replay, RenameOverAFileEndsTheWatchOfTheSource) {
  mount_->foreign(create_file("/d/tmp", "new"));
  mount_->foreign(create_file("/d/f", "old"));
  watch("d/tmp", "tmp");
  EXPECT_EQ(events_of(rename("/d/tmp", "/d/f")),
            (Events{"tmp: MOVE_SELF", "tmp: DELETE_SELF", "tmp: IGNORED"}));
}

TEST_F(Replay, SourceThatIsOpenEndsAtItsClose) {
  mount_->foreign(create_file("/d/tmp", "new"));
  mount_->foreign(create_file("/d/f", "old"));
  watch("d/tmp", "tmp");
  const int file = ::open(mount_->path("d/tmp").c_str(), O_RDONLY);
  ASSERT_GE(file, 0);
  EXPECT_EQ(events_of(rename("/d/tmp", "/d/f")), (Events{"tmp: MOVE_SELF"}));
  ::close(file);
  EXPECT_EQ(watcher_.take(), (Events{"tmp: DELETE_SELF", "tmp: IGNORED"}));
}

TEST_F(Replay, RenameOverAFileNobodyHoldsShowsTheMoveOnly) {
  mount_->foreign(create_file("/e/tmp", "new"));
  mount_->foreign(create_file("/d/f", "old"));
  mount_->make_forget({"/d/f", "/e/tmp", "/e"});
  watch("d", "d");
  EXPECT_EQ(events_of(rename("/e/tmp", "/d/f")), (Events{"d: MOVED_TO f #1"}));
  EXPECT_EQ(events_of(set_data("/d/f", "x")),
            (Events{"d: MODIFY f", "d: OPEN f", "d: CLOSE_WRITE f"}));
}

TEST_F(Replay, FileRenamedOverASymlinkEndsTheWatchOfTheSymlink) {
  mount_->foreign(create_file("/d/tmp", "new"));
  mount_->foreign(create_symlink("/d/l", "tmp"));
  watch("d", "d");
  watch("d/l", "l");
  EXPECT_EQ(events_of(rename("/d/tmp", "/d/l")),
            (Events{"d: MOVED_FROM tmp #1", "d: MOVED_TO l #1", "l: ATTRIB", "l: DELETE_SELF",
                    "l: IGNORED"}));
  watch("d/l", "file");
  EXPECT_EQ(events_of(set_acl("/d/l")), (Events{"d: ATTRIB l", "file: ATTRIB"}));
}

TEST_F(Replay, SymlinkRenamedOverAFileEndsTheWatchOfTheFileOnceItIsClosed) {
  mount_->foreign(create_file("/d/f", "old"));
  mount_->foreign(create_symlink("/d/tmp", "target"));
  watch("d", "d");
  watch("d/f", "f");
  const int file = ::open(mount_->path("d/f").c_str(), O_RDONLY);
  ASSERT_GE(file, 0);
  EXPECT_EQ(events_of(rename("/d/tmp", "/d/f")),
            (Events{"d: MOVED_FROM tmp #1", "d: MOVED_TO f #1", "f: ATTRIB"}));
  ::close(file);
  EXPECT_EQ(watcher_.take(), (Events{"f: DELETE_SELF", "f: IGNORED"}));
}

TEST_F(Replay, DirectoryRenamedOverAnotherShowsNoDelete) {
  mount_->foreign(create_directory("/d/s"));
  mount_->foreign(create_directory("/d/t"));
  watch("d", "d");
  watch("d/s", "s");
  watch("d/t", "t");
  EXPECT_EQ(events_of(rename("/d/s", "/d/t")),
            (Events{"d: MOVED_FROM,ISDIR s #1", "d: MOVED_TO,ISDIR t #1", "t: ATTRIB,ISDIR",
                    "s: MOVE_SELF", "t: DELETE_SELF", "t: IGNORED"}));
  EXPECT_EQ(events_of(create_directory("/d/t/x")), (Events{"s: CREATE,ISDIR x"}));
}

TEST_F(Replay, RenameFromADirectoryThatIsGoneByNowShowsTheArrival) {
  mount_->foreign(create_directory("/e/tmp"));
  mount_->foreign(create_file("/e/tmp/f", "x"));
  mount_->make_forget({"/e/tmp/f", "/e/tmp"});
  watch("d", "d");
  mount_->run([&] {
    mount_->door().inject_foreign(rename("/e/tmp/f", "/d/f"));
    mount_->door().inject_foreign(set_data("/d/f", "y"));
    mount_->door().inject_foreign(remove("/e/tmp"));
  });
  mount_->settle();
  EXPECT_EQ(watcher_.take(), (Events{"d: CREATE f", "d: OPEN f", "d: MODIFY f", "d: CLOSE_WRITE f",
                                     "d: MODIFY f", "d: OPEN f", "d: CLOSE_WRITE f"}));
}

TEST_F(Replay, RenameIntoADirectoryThatIsGoneByNowShowsTheLeaving) {
  mount_->foreign(create_directory("/e/tmp"));
  mount_->foreign(create_file("/d/f", "x"));
  watch("d", "d");
  mount_->make_forget({"/e/tmp"});
  mount_->run([&] {
    mount_->door().inject_foreign(rename("/d/f", "/e/tmp/f"));
    mount_->door().inject_foreign(remove("/e/tmp/f"));
    mount_->door().inject_foreign(remove("/e/tmp"));
  });
  mount_->settle();
  EXPECT_EQ(watcher_.take(), (Events{"d: DELETE f"}));
}

TEST_F(Replay, ExchangeShowsTwoMoves) {
  mount_->foreign(create_file("/d/a"));
  mount_->foreign(create_directory("/e/b"));
  watch("d", "d");
  watch("e", "e");
  EXPECT_EQ(events_of(rename("/d/a", "/e/b", true)),
            (Events{"d: MOVED_FROM a #1", "e: MOVED_TO b #1", "e: MOVED_FROM,ISDIR b #2",
                    "d: MOVED_TO,ISDIR a #2"}));
}

TEST_F(Replay, FirstChildShowsTheFileTurnIntoADirectory) {
  mount_->foreign(create_plain("/d/f"));
  watch("d", "d");
  watch("d/f", "f");
  EXPECT_EQ(
      events_of(create_file("/d/f/child")),
      (Events{"f: ATTRIB", "f: DELETE_SELF", "f: IGNORED", "d: DELETE f", "d: CREATE,ISDIR f"}));
}

TEST_F(Replay, FileThatIsMadeADirectoryShowsDeleteAndCreate) {
  mount_->foreign(create_file("/d/f"));
  watch("d", "d");
  watch("d/f", "f");
  EXPECT_EQ(
      events_of(set_kind("/d/f", tree::NodeKind::kDirectory)),
      (Events{"f: ATTRIB", "f: DELETE_SELF", "f: IGNORED", "d: DELETE f", "d: CREATE,ISDIR f"}));
}

TEST_F(Replay, DirectoryThatIsMadeAFileShowsDeleteAndCreate) {
  mount_->foreign(create_directory("/d/s"));
  watch("d", "d");
  watch("d/s", "s");
  EXPECT_EQ(events_of(set_kind("/d/s", tree::NodeKind::kFile)),
            (Events{"s: DELETE_SELF", "s: IGNORED", "d: DELETE,ISDIR s", "d: CREATE s", "d: OPEN s",
                    "d: CLOSE_WRITE s"}));
}

TEST_F(Replay, KindThatIsShownAsBeforeShowsAttrib) {
  mount_->foreign(create_plain("/d/f"));
  watch("d", "d");
  EXPECT_EQ(events_of(set_kind("/d/f", tree::NodeKind::kFile)), (Events{"d: ATTRIB f"}));
}

TEST_F(Replay, FirstDataOfADirectoryShowsAnEntry) {
  watch("d", "d");
  EXPECT_EQ(events_of(set_data("/d", "x")), (Events{"d: CREATE .@data", "d: OPEN .@data",
                                                    "d: MODIFY .@data", "d: CLOSE_WRITE .@data"}));
}

TEST_F(Replay, NextDataOfADirectoryShowsModify) {
  watch("d", "d");
  mount_->foreign(set_data("/d", "x"));
  mount_->settle();
  EXPECT_EQ(events_of(set_data("/d", "y")),
            (Events{"d: MODIFY .@data", "d: OPEN .@data", "d: CLOSE_WRITE .@data"}));
}

TEST_F(Replay, EmptiedDirectoryDataShowsDelete) {
  watch("d", "d");
  mount_->foreign(set_data("/d", "x"));
  mount_->settle();
  EXPECT_EQ(events_of(set_data("/d", "")), (Events{"d: DELETE .@data"}));
}

TEST_F(Replay, DirectoryDataThatWasThereBeforeAnybodyLookedShowsModify) {
  mount_->foreign(set_data("/d", "x"));
  mount_->make_forget({"/d"});
  watch("d", "d");
  EXPECT_EQ(events_of(set_data("/d", "y")),
            (Events{"d: MODIFY .@data", "d: OPEN .@data", "d: CLOSE_WRITE .@data"}));
}

TEST_F(Replay, FirstDataOfADirectoryWhoseEmptyDataIsWatchedShowsInBoth) {
  watch("d", "d");
  watch("d/.@data", "data");
  EXPECT_EQ(events_of(set_data("/d", "x")),
            (Events{"d: CREATE .@data", "d: OPEN .@data", "data: OPEN", "d: MODIFY .@data",
                    "data: MODIFY", "d: CLOSE_WRITE .@data", "data: CLOSE_WRITE"}));
}

TEST_F(Replay, EmptyDirectoryDataThatStaysEmptyWakesItsWatcher) {
  watch("d/.@data", "data");
  EXPECT_EQ(events_of(set_data("/d", "")),
            (Events{"data: MODIFY", "data: OPEN", "data: CLOSE_WRITE"}));
}

TEST_F(Replay, RemovalOfADirectoryWithDataShowsTheDataGo) {
  mount_->foreign(create_directory("/d/s"));
  mount_->foreign(set_data("/d/s", "x"));
  watch("d/s", "s");
  EXPECT_EQ(events_of(remove("/d/s")),
            (Events{"s: DELETE .@data", "s: DELETE_SELF", "s: IGNORED"}));
}

TEST_F(Replay, ChangeOfAnUnknownKindIsIgnored) {
  watch("d", "d");
  mount_->run([&] {
    tree::Change change;
    change.kind = static_cast<tree::Change::Kind>(200);
    change.ino = kRootIno;
    change.parent = kRootIno;
    change.name = "d";
    mount_->replay().applied(
        {.zxid = Zxid{1}, .session = {}, .local = false, .changes = std::span(&change, 1)});
  });
  mount_->settle();
  EXPECT_EQ(watcher_.take(), Events{});
}

TEST_F(Replay, DataOfTheRootShows) {
  watch("", "r");
  EXPECT_EQ(events_of(set_data("/", "x")), (Events{"r: CREATE .@data", "r: OPEN .@data",
                                                   "r: MODIFY .@data", "r: CLOSE_WRITE .@data"}));
}

}  // namespace
}  // namespace zkfs::test
