// SPDX-License-Identifier: Apache-2.0
// The tree as a stream of chunks, and back. A chunk is a protobuf message (proto/snapshot.proto) of
// some 256 KiB; the first carries the header (format version, zxid, next_ino, znode count, digest),
// sessions and kept outcomes come next, then locks, then znodes in any order, then a last chunk
// that says so. Whoever stores or sends chunks frames and checksums them (storage/snapshot_store.h,
// peer/). The loader verifies count and digest.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include "ensemble/base/blob.h"
#include "ensemble/base/error.h"
#include "ensemble/tree/data_tree.h"

namespace zkfs::tree {

// One snapshot being read out of a DataTree. Dropping it early is fine.
class SnapshotCursor {
 public:
  ~SnapshotCursor();
  SnapshotCursor(const SnapshotCursor&) = delete;
  SnapshotCursor& operator=(const SnapshotCursor&) = delete;

  // The state that it shows.
  [[nodiscard]] Zxid zxid() const;
  // The next chunk: visits until about `chunk_bytes` are gathered or `nodes_max` znodes were
  // visited (bounds the time of a call). Empty optional: done, the last chunk was handed out by the
  // call before.
  std::optional<Blob> next(std::size_t chunk_bytes, std::size_t nodes_max);

 private:
  friend class DataTree;
  struct State;
  explicit SnapshotCursor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class SnapshotLoader {
 public:
  SnapshotLoader();
  ~SnapshotLoader();
  SnapshotLoader(const SnapshotLoader&) = delete;
  SnapshotLoader& operator=(const SnapshotLoader&) = delete;

  // Takes the next chunk. Fails if it cannot be decoded or comes in the wrong place.
  Expected<void> add(ByteView chunk);
  // The tree, verified. Fails if the last chunk is missing, or count or digest differ from the
  // header's.
  Expected<std::unique_ptr<DataTree>> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace zkfs::tree
