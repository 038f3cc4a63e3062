// SPDX-License-Identifier: Apache-2.0
// A tree to be changed in short words. The n-th txn has zxid n and time 1000 * n.
#pragma once

#include <gtest/gtest.h>

#include "ensemble/tree/data_tree.h"

namespace zkfs::tree::test {

class TreeTest : public testing::Test {
 protected:
  ApplyResult apply(TxnBody body) { return apply_for({}, {}, {}, std::move(body)); }

  ApplyResult apply_for(SessionId session, Xid xid, Xid first_unanswered, TxnBody body) {
    const Zxid zxid{tree.last_applied().value + 1};
    const auto time = static_cast<WallMillis>(1000 * zxid.value);
    return tree.apply(zxid, Txn{session, xid, first_unanswered, time, std::move(body)});
  }

  // A CreateTxn for the next number.
  CreateTxn creation(Ino parent, const std::string& name, NodeKind kind = NodeKind::kUnspecified) {
    CreateTxn txn;
    txn.parent = parent;
    txn.name = name;
    txn.ino = tree.next_ino();
    txn.acl = open_acl();
    txn.kind = kind;
    return txn;
  }

  Ino create(Ino parent, const std::string& name, NodeKind kind = NodeKind::kUnspecified) {
    return apply(creation(parent, name, kind)).outcome.ino;
  }

  Ino create_of_type(NodeType type, const std::string& name, SessionId owner = {}) {
    CreateTxn txn = creation(kRootIno, name);
    txn.type = type;
    txn.owner = owner;
    txn.ttl_ms = type == NodeType::kTtl ? 5000 : 0;
    return apply(txn).outcome.ino;
  }

  Znode node(Ino ino) { return tree.find(ino).value(); }

  Stat stat(Ino ino) { return node(ino).stat; }

  DataTree tree;
};

inline std::vector<Change::Kind> kinds(const std::vector<Change>& changes) {
  std::vector<Change::Kind> result;
  for (const Change& change : changes) result.push_back(change.kind);
  return result;
}

}  // namespace zkfs::tree::test
