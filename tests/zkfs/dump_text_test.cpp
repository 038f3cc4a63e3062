// SPDX-License-Identifier: Apache-2.0
#include "zkfs/commands/dump_text.h"

#include <gtest/gtest.h>

namespace zkfs {
namespace {

using namespace tree;

std::string of(TxnBody body) {
  const std::string text = txn_text(Txn{SessionId{0x1a}, Xid{7}, {}, 1'500, std::move(body)});
  const std::string prefix = "1970-01-01T00:00:01.500Z session=0x1a xid=7 ";
  EXPECT_TRUE(text.starts_with(prefix)) << text;
  return text.substr(prefix.size());
}

TEST(DumpText, TimesAreUtcWithMilliseconds) {
  EXPECT_EQ(wall_text(0), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(wall_text(1'700'000'000'123), "2023-11-14T22:13:20.123Z");
  EXPECT_EQ(wall_text(-1), "1969-12-31T23:59:59.999Z");
}

TEST(DumpText, QuotingLeavesNoDoubtAndNoControlCharacter) {
  EXPECT_EQ(quoted("a b"), "\"a b\"");
  EXPECT_EQ(quoted("a\"\\\n"), "\"a\\\"\\\\\\x0a\"");
}

TEST(DumpText, CreateTellsNameTypeKindSizeAndAcl) {
  CreateTxn txn;
  txn.parent = Ino{1};
  txn.name = "job";
  txn.ino = Ino{5};
  txn.data = Blob("secret");
  txn.acl = open_acl();
  txn.kind = NodeKind::kFile;
  EXPECT_EQ(of(txn),
            "create parent=1 name=\"job\" ino=5 type=persistent kind=file data=6 "
            "acl=world:anyone:cdrwa");
  txn.type = NodeType::kEphemeral;
  txn.owner = SessionId{0xff};
  EXPECT_TRUE(of(txn).ends_with(" owner=0xff"));
  txn.type = NodeType::kTtl;
  txn.ttl_ms = 30;
  EXPECT_TRUE(of(txn).ends_with(" ttl=30ms"));
}

TEST(DumpText, EveryKindOfTxnHasItsLine) {
  EXPECT_EQ(of(DeleteTxn{Ino{5}}), "delete ino=5");
  EXPECT_EQ(of(SetDataTxn{Ino{5}, Blob("abc")}), "setData ino=5 data=3");
  EXPECT_EQ(of(AppendTxn{Ino{5}, Blob("abc")}), "append ino=5 data=3");
  EXPECT_EQ(of(SetAclTxn{Ino{5}, open_acl()}), "setACL ino=5 acl=world:anyone:cdrwa");
  EXPECT_EQ(of(SetAttributesTxn{Ino{5}, 0, NodeKind::kDirectory, true}),
            "setAttributes ino=5 mtime=1970-01-01T00:00:00.000Z kind=directory executable=true");
  EXPECT_EQ(of(RenameTxn{Ino{5}, Ino{1}, "n", Ino{9}, false}),
            "rename ino=5 parent=1 name=\"n\" replaced=9");
  EXPECT_EQ(of(RenameTxn{Ino{5}, Ino{1}, "n", Ino{9}, true}),
            "rename ino=5 parent=1 name=\"n\" exchanged=9");
  EXPECT_EQ(of(CreateSessionTxn{SessionId{0x2b}, 4000, "node 2"}),
            "createSession session=0x2b timeout=4000ms owner=\"node 2\"");
  EXPECT_EQ(of(CloseSessionTxn{SessionId{0x2b}, {Ino{3}, Ino{4}}}),
            "closeSession session=0x2b ephemerals=3,4");
  EXPECT_EQ(of(CloseSessionTxn{SessionId{0x2b}, {}}), "closeSession session=0x2b ephemerals=none");
  EXPECT_EQ(of(ErrorTxn{Error::kNoNode, {}}), "error NoNode");
  EXPECT_EQ(of(LockTxn{.ino = Ino{5},
                       .space = {},
                       .mode = {},
                       .range = {},
                       .owner = 16,
                       .request = 2,
                       .pid = 7,
                       .wait = true}),
            "lock ino=5 flock shared range=all owner=0x10 request=2 pid=7 wait");
  EXPECT_EQ(of(UnlockTxn{Ino{5}, LockSpace::kPosix, {10, 19}, 16}),
            "unlock ino=5 fcntl range=10-19 owner=0x10");
  EXPECT_EQ(of(CancelLockTxn{Ino{5}, 2}), "cancelLock ino=5 request=2");
  EXPECT_EQ(of(MultiTxn{{CheckTxn{Ino{2}}, DeleteTxn{Ino{5}}}}),
            "multi of 2: check ino=2; delete ino=5");
}

TEST(DumpText, AZnodeIsOneLine) {
  const DataTree tree;
  EXPECT_EQ(znode_text("/", *tree.find(kRootIno)),
            "\"/\" directory persistent ino=1 version=0 cversion=-1 size=0 czxid=0x0 mzxid=0x0 "
            "mtime=1970-01-01T00:00:00.000Z");
}

}  // namespace
}  // namespace zkfs
