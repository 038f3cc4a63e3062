// SPDX-License-Identifier: Apache-2.0
// Looking at the files of a data directory without changing anything: no lock is taken, nothing is
// repaired or removed, so the member that owns the directory may be running. What it writes
// meanwhile is seen in part: a tail that it is writing looks torn, a file that it purges is gone.
// Everything that is shown has been verified by its checksums.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ensemble/storage/log_record.h"
#include "ensemble/storage/snapshot_store.h"

namespace zkfs::storage {

struct DataFile {
  enum class Kind : std::uint8_t { kLog, kSnapshot };
  Kind kind = Kind::kLog;
  std::string path;
};

// The log segments and snapshots of a data directory, or of its version-2 itself, each kind from
// the oldest to the newest, the log first. Fails with: it cannot be read; it holds neither.
Expected<std::vector<DataFile>> list_data_files(const std::string& directory);

// What a file is by its first bytes. Fails with: it cannot be read; it is neither.
Expected<DataFile> identify_data_file(const std::string& path);

struct LogFile {
  SegmentHeader header;
  SegmentScan scan;
};

// Fails with: it cannot be read; its header is not valid.
Expected<LogFile> read_log_file(const std::string& path);

// As read_snapshot().
Expected<SnapshotHeader> read_snapshot_file(const std::string& path, const ChunkFunction& chunk);

}  // namespace zkfs::storage
