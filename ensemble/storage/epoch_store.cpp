// SPDX-License-Identifier: Apache-2.0
#include "ensemble/storage/epoch_store.h"

#include <charconv>
#include <string>

#include <fmt/format.h>

#include "ensemble/base/check.h"
#include "ensemble/storage/data_dir.h"

namespace zkfs::storage {
namespace {

constexpr std::string_view kAcceptedName = "acceptedEpoch";
constexpr std::string_view kCurrentName = "currentEpoch";
constexpr std::size_t kTextBytesMax = 16;

Problem not_a_number(Disk& disk, const std::string& path) {
  return Problem{
      fmt::format("{}: is not a decimal number below 2^32; restore it, or move the data directory "
                  "away so that this member starts empty",
                  disk.describe(path))};
}

Expected<Epoch> load(Disk& disk, std::string_view name) {
  const std::string path = data_path(name);
  if (!disk.exists(path)) return Epoch{};
  const auto file = disk.open(path);
  if (!file) return std::unexpected(file.error());
  const auto text = (*file)->read_at(0, kTextBytesMax);
  if (!text) return std::unexpected(text.error());
  std::string_view digits = *text;
  if (digits.ends_with('\n')) digits.remove_suffix(1);
  std::uint32_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value);
  if (error != std::errc{} || stop != end) return std::unexpected(not_a_number(disk, path));
  return Epoch{value};
}

Expected<void> save(Disk& disk, std::string_view name, Epoch epoch) {
  return replace_file(disk, name, fmt::format("{}\n", epoch.value));
}

}  // namespace

Expected<EpochStore> EpochStore::open(Disk& disk) {
  EpochStore store(disk);
  const auto accepted = load(disk, kAcceptedName);
  if (!accepted) return std::unexpected(accepted.error());
  const auto current = load(disk, kCurrentName);
  if (!current) return std::unexpected(current.error());
  if (*accepted < *current) {
    return std::unexpected(
        Problem{fmt::format("{}: acceptedEpoch {} is lower than currentEpoch {}; restore both "
                            "files from one moment, or move the data "
                            "directory away so that this member starts empty",
                            disk.describe(std::string{kDataDirectory}), *accepted, *current)});
  }
  store.accepted_ = *accepted;
  store.current_ = *current;
  return store;
}

Expected<void> EpochStore::save_accepted(Epoch epoch) {
  ZKFS_CHECK(epoch >= accepted_, "acceptedEpoch would go back from {} to {}", accepted_, epoch);
  ZKFS_TRY(save(*disk_, kAcceptedName, epoch));
  accepted_ = epoch;
  return {};
}

Expected<void> EpochStore::save_current(Epoch epoch) {
  ZKFS_CHECK(epoch >= current_, "currentEpoch would go back from {} to {}", current_, epoch);
  ZKFS_CHECK(epoch <= accepted_, "currentEpoch {} above acceptedEpoch {}", epoch, accepted_);
  ZKFS_TRY(save(*disk_, kCurrentName, epoch));
  current_ = epoch;
  return {};
}

}  // namespace zkfs::storage
