// SPDX-License-Identifier: Apache-2.0
// The overlay must not be seen: a leader with many proposals under way decides as one that applies
// each txn before it looks at the next request.
#include <deque>
#include <string>

#include <gtest/gtest.h>

#include "ensemble/base/random.h"
#include "ensemble/server/prep.h"
#include "ensemble/server/request_codec.h"
#include "ensemble/tree/txn_codec.h"
#include "tests/server/random_requests.h"

namespace zkfs::server {
namespace {

struct Counts {
  int taken = 0;
  int refused = 0;
};

// Applies at once; each decision by a Prep that has no overlay.
class Naive {
 public:
  Blob decide(const Request& request, Zxid zxid, WallMillis time) {
    Prep prep(tree);
    const tree::Txn txn = prep.prepare(request, zxid, time);
    tree.apply(zxid, txn);
    return tree::encode(txn);
  }

  tree::DataTree tree;
};

class Pipelined {
 public:
  Blob decide(const Request& request, Zxid zxid, WallMillis time) {
    waiting_.emplace_back(zxid, tree::encode(prep.prepare(request, zxid, time)));
    return waiting_.back().second;
  }

  void deliver(std::size_t leave) {
    for (; waiting_.size() > leave; waiting_.pop_front()) {
      const auto& [zxid, bytes] = waiting_.front();
      const auto txn = tree::decode_txn(bytes.view());
      ASSERT_TRUE(txn.has_value());
      tree.apply(zxid, *txn);
      prep.applied(zxid);
    }
  }

  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

  tree::DataTree tree;
  Prep prep{tree};

 private:
  std::deque<std::pair<Zxid, Blob>> waiting_;
};

void run(std::uint64_t seed, int requests, Counts& counts) {
  SCOPED_TRACE(seed);
  RandomRequests source(seed);
  Random random(seed);
  Naive naive;
  Pipelined pipelined;
  for (int i = 1; i <= requests; ++i) {
    source.newest = Ino{naive.tree.next_ino().value - 1};
    const Request request = source.next();
    const auto received = decode_forwarded(encode(request).view());
    ASSERT_TRUE(received.has_value());
    const Zxid zxid(Epoch{1}, static_cast<std::uint32_t>(i));
    const Blob expected = naive.decide(request, zxid, i);
    const Blob decided = pipelined.decide(std::get<Request>(*received), zxid, i);
    ASSERT_EQ(decided, expected) << "request " << i << " of kind " << request.operation.index();
    const auto txn = tree::decode_txn(decided.view());
    ++(std::holds_alternative<tree::ErrorTxn>(txn->body) ? counts.refused : counts.taken);
    if (pipelined.waiting() > 50 || random.chance(1, 10))
      pipelined.deliver(random.below(pipelined.waiting() + 1));
  }
  pipelined.deliver(0);
  EXPECT_EQ(pipelined.tree.digest(), naive.tree.digest());
  EXPECT_EQ(pipelined.tree.recompute_digest(), naive.tree.digest());
  EXPECT_EQ(pipelined.prep.overlay_size(), 0U);
}

TEST(PrepModel, ProposalsUnderWayDecideLikeAppliedOnes) {
  Counts counts;
  for (std::uint64_t seed = 1; seed <= 150 && !testing::Test::HasFailure(); ++seed)
    run(seed, 400, counts);
  // The requests must not all run into the same wall.
  EXPECT_GT(counts.taken, 10'000);
  EXPECT_GT(counts.refused, 10'000);
  RecordProperty("taken", counts.taken);
  RecordProperty("refused", counts.refused);
}

}  // namespace
}  // namespace zkfs::server
