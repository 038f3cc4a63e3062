// SPDX-License-Identifier: Apache-2.0
#include "ensemble/zab/to_text.h"

#include <gtest/gtest.h>

#include "tests/zab/solo.h"

namespace zkfs::zab::testing {
namespace {

TEST(ToText, AZxidIsEpochAndCounter) {
  EXPECT_EQ(to_text(Zxid(Epoch{3}, 17)), "3.17");
}

TEST(ToText, AMessageNamesItsTag) {
  EXPECT_EQ(to_text(Message{Ack{0xab, Zxid(Epoch{1}, 2)}}), "ACK 1.2 tag=ab");
  EXPECT_EQ(to_text(Message{Ack{0xab, Zxid(Epoch{1}, 2)}}, false), "ACK 1.2");
}

TEST(ToText, ANotificationHasNoTag) {
  EXPECT_EQ(to_text(Message{Notification{PeerState::kLeading,
                                         Vote{Epoch{2}, Zxid(Epoch{1}, 9), ServerId{3}}, 4}}),
            "NOTIFICATION leading vote=3 epoch=2 zxid=1.9 round=4");
}

TEST(ToText, ABatchIsARange) {
  EXPECT_EQ(to_text(Message{Proposal{1, {}}}, false), "PROPOSAL nothing");
  EXPECT_EQ(to_text(Message{Proposal{1, {entry(1, 1)}}}, false), "PROPOSAL 1.1");
  EXPECT_EQ(to_text(Message{Inform{1, {entry(1, 1), entry(1, 2)}}}, false), "INFORM 1.1..1.2");
}

TEST(ToText, AnEffectTellsWhatIsToBeDone) {
  EXPECT_EQ(to_text(Effect{SendEffect{ServerId{2}, UpToDate{7, Zxid(Epoch{1}, 1)}}}, false),
            "send 2 UPTODATE committed=1.1");
  EXPECT_EQ(to_text(Effect{RoleEffect{PeerState::kFollowing, ServerId{3}, Epoch{2}, true, "why"}}),
            "role following active leader=3 epoch=2: why");
  EXPECT_EQ(to_text(Effect{SaveCurrentEpochEffect{1, Epoch{5}}}), "save currentEpoch=5");
}

}  // namespace
}  // namespace zkfs::zab::testing
