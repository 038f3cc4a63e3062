// SPDX-License-Identifier: Apache-2.0
// Txn <-> bytes (protobuf, proto/txn.proto): what the log, the network and ZAB carry.
#pragma once

#include "ensemble/base/blob.h"
#include "ensemble/base/error.h"
#include "ensemble/tree/txn.h"

namespace zkfs::tree {

Blob encode(const Txn& txn);

// Fails with: kMarshalling - not a txn, or one that this version does not know.
Result<Txn> decode_txn(ByteView bytes);

}  // namespace zkfs::tree
