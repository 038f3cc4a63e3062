// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include <fmt/format.h>

#include "ensemble/server/member.h"
#include "ensemble/storage/store.h"
#include "ensemble/tree/snapshot_codec.h"
#include "ensemble/tree/txn_codec.h"

namespace zkfs::server {

Expected<std::unique_ptr<tree::DataTree>> recover(storage::Store& store) {
  const auto& recovered = store.recovered();
  auto tree = std::make_unique<tree::DataTree>();
  if (recovered.has_snapshot) {
    tree::SnapshotLoader loader;
    ZKFS_TRY(store.read_snapshot([&](ByteView chunk) { return loader.add(chunk); }));
    auto loaded = loader.finish();
    if (!loaded) return std::unexpected(loaded.error());
    tree = std::move(*loaded);
  }
  for (const auto& entry : recovered.entries) {
    if (entry.zxid > recovered.committed) break;
    const auto txn = tree::decode_txn(entry.bytes.view());
    if (!txn) {
      return std::unexpected(Problem{fmt::format(
          "the log's txn {} cannot be decoded: was it written by a newer zkfs? start that one",
          entry.zxid)});
    }
    tree->apply(entry.zxid, *txn);
  }
  return tree;
}

}  // namespace zkfs::server
