// SPDX-License-Identifier: Apache-2.0
// The names inside one data directory, and the few steps on it that every part of storage shares.
//
//   <dataDir>/version-2/            as ZooKeeper names it
//     zkfs.lock                     held while a member runs; holds its pid
//     acceptedEpoch  currentEpoch   decimal text (epoch_store.h)
//     log.<hex zxid>                a log segment, named by its first entry (log_record.h)
//     snapshot.<hex zxid>           a state as of that entry (snapshot_store.h)
//     *.tmp                         was being written when the member died; removed at start
//
// Everything but a log segment comes into being as *.tmp, is synced, and only then gets its name: a
// file that has its name is complete, so a damaged one means a damaged disk and not a crash.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ensemble/base/ids.h"
#include "ensemble/storage/disk.h"

namespace zkfs::storage {

inline constexpr std::string_view kDataDirectory = "version-2";
inline constexpr std::string_view kLockName = "zkfs.lock";
inline constexpr std::string_view kTemporarySuffix = ".tmp";

// "version-2/<name>".
std::string data_path(std::string_view name);
std::string log_name(Zxid first);
std::string snapshot_name(Zxid zxid);

// The zxid in the name of a log segment or snapshot; nothing for any other name, also for one that
// we would spell otherwise.
std::optional<Zxid> parse_log_name(std::string_view name);
std::optional<Zxid> parse_snapshot_name(std::string_view name);

// Makes the directory durable and locks it. Fails with: another process holds it; the disk's own
// problems.
Expected<void> prepare_data_dir(Disk& disk);
// Removes every *.tmp, durably, with a remark for each.
Expected<void> remove_temporaries(Disk& disk, std::vector<std::string>& remarks);
// Makes what was created, renamed and removed in the directory durable.
Expected<void> sync_data_dir(Disk& disk);
// Gives `name` the content `bytes`, at once and durably: before and after a crash it has the old
// content or the new one.
Expected<void> replace_file(Disk& disk, std::string_view name, ByteView bytes);

}  // namespace zkfs::storage
