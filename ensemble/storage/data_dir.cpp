// SPDX-License-Identifier: Apache-2.0
#include "ensemble/storage/data_dir.h"

#include <charconv>

#include <fmt/core.h>

namespace zkfs::storage {
namespace {

constexpr std::string_view kLogPrefix = "log.";
constexpr std::string_view kSnapshotPrefix = "snapshot.";

std::optional<Zxid> parse_name(std::string_view prefix, std::string_view name) {
  if (!name.starts_with(prefix)) return std::nullopt;
  const std::string_view digits = name.substr(prefix.size());
  std::uint64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value, 16);
  if (error != std::errc{} || stop != end) return std::nullopt;
  // One spelling only, so that two files can never claim the same position.
  if (fmt::format("{:x}", value) != digits) return std::nullopt;
  return Zxid{value};
}

}  // namespace

std::string data_path(std::string_view name) {
  return fmt::format("{}/{}", kDataDirectory, name);
}

std::string log_name(Zxid first) {
  return fmt::format("{}{:x}", kLogPrefix, first.value);
}

std::string snapshot_name(Zxid zxid) {
  return fmt::format("{}{:x}", kSnapshotPrefix, zxid.value);
}

std::optional<Zxid> parse_log_name(std::string_view name) {
  return parse_name(kLogPrefix, name);
}

std::optional<Zxid> parse_snapshot_name(std::string_view name) {
  return parse_name(kSnapshotPrefix, name);
}

Expected<void> prepare_data_dir(Disk& disk) {
  const std::string directory{kDataDirectory};
  ZKFS_TRY(disk.make_directory(directory));
  ZKFS_TRY(disk.sync_directory(""));
  return disk.lock(data_path(kLockName));
}

Expected<void> remove_temporaries(Disk& disk, std::vector<std::string>& remarks) {
  const auto names = disk.list(std::string{kDataDirectory});
  if (!names) return std::unexpected(names.error());
  bool removed = false;
  for (const std::string& name : *names) {
    if (!name.ends_with(kTemporarySuffix)) continue;
    const std::string path = data_path(name);
    ZKFS_TRY(disk.remove(path));
    remarks.push_back(fmt::format("{}: unfinished, removed", disk.describe(path)));
    removed = true;
  }
  return removed ? sync_data_dir(disk) : Expected<void>{};
}

Expected<void> sync_data_dir(Disk& disk) {
  return disk.sync_directory(std::string{kDataDirectory});
}

Expected<void> replace_file(Disk& disk, std::string_view name, ByteView bytes) {
  const std::string path = data_path(name);
  const std::string temporary = path + std::string{kTemporarySuffix};
  auto file = disk.create(temporary);
  if (!file) return std::unexpected(std::move(file).error());
  ZKFS_TRY((*file)->write_at(0, bytes));
  ZKFS_TRY((*file)->sync());
  ZKFS_TRY(disk.rename(temporary, path));
  return sync_data_dir(disk);
}

}  // namespace zkfs::storage
