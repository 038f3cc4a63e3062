// SPDX-License-Identifier: Apache-2.0
// SnapshotStore: the snapshots of one member. It knows chunks of bytes; what they say is the tree's
// business. Owned by the Store.
//
// File snapshot.<hex zxid>, numbers little-endian:
//   header    magic "ZKFSSNAP", u32 version 1, u32 0, u64 generation (store.h),
//             u64 zxid as in the name, u64 XXH3 of the 32 bytes before
//   chunk     u32 mark "CHNK", u32 length, u64 sum, bytes
//   trailer   u32 mark "DONE", u32 0, u64 sum, u64 chunk count, u64 XXH3 of the 24 bytes before
// Each sum is the XXH3 of the chunk's bytes seeded with the sum before it, the first with the
// header's checksum; the trailer repeats the last one, the total. So a chunk that is damaged,
// missing, doubled, moved or from another file is found. The file ends with the trailer.
//
// Crash story: written as snapshot.<hex>.<own|received>.tmp, synced every kSnapshotSyncBytes so
// that the last sync is short, then synced, renamed, and the directory synced. A file that has its
// name was complete; an invalid one means a damaged disk. It is passed over if the log makes up for
// it (Store::open decides), and never counts as retained (ZOOKEEPER-3231). A snapshot of a lower
// generation than the newest one cannot be joined with the log any more and is removed.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ensemble/base/ids.h"
#include "ensemble/storage/disk.h"
#include "ensemble/storage/store.h"

namespace zkfs::storage {

inline constexpr ByteView kSnapshotMagic = "ZKFSSNAP";
inline constexpr std::uint64_t kSnapshotSyncBytes = 4 * 1024 * 1024;

struct SnapshotHeader {
  std::uint64_t generation = 0;
  Zxid zxid;

  friend bool operator==(const SnapshotHeader&, const SnapshotHeader&) = default;
};

std::string encode_snapshot_header(const SnapshotHeader& header);
std::optional<SnapshotHeader> decode_snapshot_header(ByteView bytes);

using ChunkFunction = std::function<Expected<void>(ByteView)>;

// Reads a snapshot file to its end, verifying it, and calls `chunk` with each chunk in order;
// `name` is for messages. Fails with: not valid, or not of `zxid` where one is given (the chunks so
// far were handed out); the disk's problems; what `chunk` fails with.
Expected<SnapshotHeader> read_snapshot(File& file,
                                       const std::string& name,
                                       std::optional<Zxid> zxid,
                                       const ChunkFunction& chunk);

class SnapshotStore {
 public:
  struct Snapshot {
    SnapshotHeader header;  // of an unreadable one only the zxid, from the name
    std::uint64_t bytes = 0;
    enum class State : std::uint8_t { kUnknown, kValid, kInvalid } state = State::kUnknown;
  };

  explicit SnapshotStore(Disk& disk) : disk_(disk) {}

  // Finds the newest valid one by reading it to its end. Removes those of lower generations.
  Expected<void> open(std::vector<std::string>& remarks);

  // The newest valid one; null if there is none. Valid until the next call that changes something.
  [[nodiscard]] const Snapshot* newest() const;

  // All that were found or made, oldest first.
  [[nodiscard]] const std::vector<Snapshot>& all() const { return snapshots_; }

  // Calls `chunk` with each chunk in order. Fails with: not valid (the chunks so far were handed
  // out); the disk's problems; what `chunk` fails with.
  Expected<void> read(Zxid zxid, const ChunkFunction& chunk) const;

  // One may be under way for each origin; see Store. Chunk and finish do nothing if none is: it was
  // abandoned.
  Expected<void> begin(SnapshotOrigin origin, const SnapshotHeader& header);
  Expected<void> chunk(SnapshotOrigin origin, ByteView bytes);
  // Nothing if none was under way.
  Expected<std::optional<SnapshotHeader>> finish(SnapshotOrigin origin);
  void abandon(SnapshotOrigin origin);
  // Of lower generations than the newest valid one, invalid ones too.
  Expected<void> remove_lower_generations();

  // The position of the snapshot under way; nothing if there is none.
  [[nodiscard]] std::optional<Zxid> under_way(SnapshotOrigin origin) const;

  // Keeps the `retained` newest valid ones. Returns the zxid of the oldest kept; nothing if none is
  // valid.
  Expected<std::optional<Zxid>> purge(std::uint32_t retained);

  [[nodiscard]] std::uint64_t bytes() const;

 private:
  struct Writer {
    std::unique_ptr<File> file;
    std::string temporary;
    SnapshotHeader header;
    std::uint64_t sum = 0;
    std::uint64_t chunks = 0;
    std::uint64_t position = 0;
    std::uint64_t synced_to = 0;
  };

  Expected<void> load_headers(std::vector<std::string>& remarks);
  Expected<void> write(Writer& writer, ByteView bytes);
  void add(const Snapshot& snapshot);
  Expected<void> remove_if(const std::function<bool(const Snapshot&)>& dead,
                           std::vector<std::string>& remarks);
  // Reads it to the end if that was not done yet.
  Snapshot::State examine(Snapshot& snapshot, std::vector<std::string>& remarks) const;

  std::optional<Writer>& writer(SnapshotOrigin origin) {
    return writers_[static_cast<std::size_t>(origin)];
  }

  Disk& disk_;
  std::vector<Snapshot> snapshots_;  // by generation, then zxid
  std::array<std::optional<Writer>, 2> writers_;
};

}  // namespace zkfs::storage
