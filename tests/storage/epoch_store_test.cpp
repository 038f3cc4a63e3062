// SPDX-License-Identifier: Apache-2.0
#include "ensemble/storage/epoch_store.h"

#include "tests/storage/store_fixture.h"

namespace zkfs::storage {
namespace {

class EpochStore : public StoreFixture {
 protected:
  void save(std::uint32_t accepted, std::uint32_t current) {
    ASSERT_TRUE(is_done(store().save_accepted_epoch(Epoch{accepted})));
    ASSERT_TRUE(is_done(store().save_current_epoch(Epoch{current})));
  }
};

TEST_F(EpochStore, MissingFilesMeanZero) {
  open();
  EXPECT_EQ(found().accepted_epoch, Epoch{0});
  EXPECT_EQ(found().current_epoch, Epoch{0});
}

TEST_F(EpochStore, SavedEpochsSurviveAPowerFailure) {
  open();
  save(5, 4);
  crash_and_open();
  EXPECT_EQ(found().accepted_epoch, Epoch{5});
  EXPECT_EQ(found().current_epoch, Epoch{4});
}

TEST_F(EpochStore, FilesAreDecimalText) {
  open();
  save(12, 3);
  EXPECT_EQ(disk_.content("version-2/acceptedEpoch"), "12\n");
  EXPECT_EQ(disk_.content("version-2/currentEpoch"), "3\n");
}

TEST_F(EpochStore, TextWithoutANewlineIsRead) {
  disk_.put("version-2/acceptedEpoch", "9");
  open();
  EXPECT_EQ(found().accepted_epoch, Epoch{9});
}

// ZOOKEEPER-2307, 4269
TEST_F(EpochStore, CrashBetweenTempAndRename) {
  for (std::uint64_t step = 0;; ++step) {
    open();
    const auto before = found().accepted_epoch;
    disk_.stop_after(step);
    const bool done = store().save_accepted_epoch(Epoch{before.value + 1}).has_value();
    crash_and_open();
    EXPECT_GE(found().accepted_epoch, before);
    EXPECT_LE(found().accepted_epoch, Epoch{before.value + 1});
    EXPECT_EQ(files("acceptedEpoch.tmp").size(), 0U);
    if (!done) continue;
    EXPECT_EQ(found().accepted_epoch, Epoch{before.value + 1});
    break;
  }
}

TEST_F(EpochStore, LeftoverTemporaryIsDiscardedWithARemark) {
  open();
  save(2, 2);
  disk_.put("version-2/currentEpoch.tmp", "7\n");
  open();
  EXPECT_EQ(found().current_epoch, Epoch{2});
  EXPECT_TRUE(remarked("currentEpoch.tmp"));
}

TEST_F(EpochStore, TextThatIsNoNumberIsRefused) {
  for (const char* text : {"", "\n", "x", "-1", "1 2", "1\n2\n", "4294967296", "0x10"}) {
    disk_.put("version-2/currentEpoch", text);
    EXPECT_NE(refusal().find("/sim/version-2/currentEpoch: is not a decimal number"),
              std::string::npos)
        << text;
  }
}

TEST_F(EpochStore, AcceptedBelowCurrentIsRefused) {
  disk_.put("version-2/acceptedEpoch", "3\n");
  disk_.put("version-2/currentEpoch", "4\n");
  EXPECT_NE(refusal().find("acceptedEpoch 3 is lower than currentEpoch 4"), std::string::npos);
}

// reference/zookeeper.md 9.7: a crash after the history was logged and before its epoch was saved.
TEST_F(EpochStore, EntriesOfAHigherEpochAreNoError) {
  open();
  save(5, 2);
  append({entry_of(Zxid{Epoch{5}, 1})});
  crash_and_open();
  EXPECT_EQ(found().current_epoch, Epoch{2});
  EXPECT_EQ(store().last_logged(), (Zxid{Epoch{5}, 1}));
}

TEST_F(EpochStore, GoingBackAborts) {
  open();
  save(5, 4);
  EXPECT_DEATH((void)store().save_accepted_epoch(Epoch{4}), "would go back");
}

}  // namespace
}  // namespace zkfs::storage
