// SPDX-License-Identifier: Apache-2.0
// One message of each kind, every field different from its default and from its neighbours.
#pragma once

#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "ensemble/zab/message.h"

namespace zkfs::peer {

inline std::vector<zab::Message> sample_messages() {
  const Zxid low(Epoch{3}, 4);
  const Zxid high(Epoch{5}, 6);
  const std::vector<Entry> entries{{low, Blob("first")}, {high, Blob()}, {Zxid{9}, Blob("third")}};
  std::vector<zab::Message> all{
      zab::Notification{zab::PeerState::kLeading, {Epoch{5}, high, ServerId{255}}, 1ULL << 40U},
      zab::FollowerInfo{11, Epoch{12}, true},
      zab::LeaderInfo{13, Epoch{0xffffffffU}},
      zab::AckEpoch{14, Epoch{15}, high, low, true, true},
      zab::Diff{16, high},
      zab::Trunc{17, low},
      zab::Snap{18, high},
      zab::SnapChunk{19, Blob("chunk"), true},
      zab::NewLeader{20, Epoch{21}},
      zab::AckNewLeader{22, Epoch{23}},
      zab::UpToDate{24, low},
      zab::Proposal{25, entries},
      zab::Ack{26, high},
      zab::Commit{27, low},
      zab::Inform{28, entries},
      zab::Ping{29, 30, high},
      zab::Pong{31, 32},
      zab::Forward{33, Blob("forward")},
      zab::SyncRequest{34, 35},
      zab::SyncReply{36, 37, low},
  };
  EXPECT_EQ(all.size(), std::variant_size_v<zab::Message>);
  return all;
}

}  // namespace zkfs::peer
