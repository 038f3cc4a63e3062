// SPDX-License-Identifier: Apache-2.0
// Transactions, as logs and leaders carry them. Whatever is read is written again as something that
// reads the same.
#include "ensemble/tree/txn.h"

#include <utility>

#include "ensemble/base/check.h"
#include "ensemble/tree/txn_codec.h"
#include "tests/fuzz/target.h"

namespace zkfs::fuzz {
namespace {

using namespace tree;

std::vector<TxnBody> sample_bodies() {
  const CreateTxn create{.parent = Ino{1},
                         .name = "a",
                         .ino = Ino{2},
                         .data = Blob("data"),
                         .acl = open_acl(),
                         .type = NodeType::kTtl,
                         .kind = NodeKind::kFile,
                         .executable = true,
                         .owner = SessionId{3},
                         .ttl_ms = 4};
  const SetAclTxn set_acl{Ino{5}, {{31, "digest", "bob:hash"}, {1, "user", "1000"}}};
  const RenameTxn rename{Ino{6}, Ino{7}, "b", Ino{8}, true};
  return {create,
          DeleteTxn{Ino{9}},
          SetDataTxn{Ino{10}, Blob::null()},
          AppendTxn{Ino{11}, Blob("more")},
          set_acl,
          SetAttributesTxn{Ino{12}, 13, NodeKind::kDirectory, false},
          rename,
          CreateSessionTxn{SessionId{14}, 15, "owner", "0123456789abcdef"},
          AttachSessionTxn{SessionId{16}, 17},
          CloseSessionTxn{SessionId{18}, {Ino{19}, Ino{20}}},
          MultiTxn{{create, set_acl, rename, CheckTxn{Ino{21}}}},
          ErrorTxn{Error::kNoNode, {Error::kOk, Error::kNoNode}},
          LockTxn{Ino{22}, LockSpace::kPosix, LockMode::kExclusive, {23, 24}, 25, 26, 27, true},
          UnlockTxn{Ino{28}, LockSpace::kPosix, {29, 30}, 31},
          CancelLockTxn{Ino{32}, 33}};
}

}  // namespace

bool run_txn(ByteView input) {
  const auto first = decode_txn(input);
  if (!first) return false;
  const Blob again = encode(*first);
  const auto second = decode_txn(again.view());
  ZKFS_CHECK(second.has_value(), "what was read cannot be read again");
  ZKFS_CHECK(encode(*second) == again, "what was read reads differently");
  return true;
}

std::vector<std::string> txn_seeds() {
  std::vector<std::string> seeds;
  for (TxnBody& body : sample_bodies()) {
    Txn txn;
    txn.session = SessionId{1};
    txn.xid = Xid{2};
    txn.first_unanswered = Xid{1};
    txn.time = 1'700'000'000'000;
    txn.body = std::move(body);
    seeds.emplace_back(encode(txn).view());
  }
  return seeds;
}

}  // namespace zkfs::fuzz
