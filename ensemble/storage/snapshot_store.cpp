// SPDX-License-Identifier: Apache-2.0
#include "ensemble/storage/snapshot_store.h"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "ensemble/base/check.h"
#include "ensemble/base/checksum.h"
#include "ensemble/base/log.h"
#include "ensemble/storage/data_dir.h"
#include "ensemble/storage/little_endian.h"

namespace zkfs::storage {
namespace {

constexpr ByteView kMagic = kSnapshotMagic;
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeaderChecksumAt = 32;
constexpr std::size_t kHeaderBytes = 40;
constexpr std::uint32_t kChunkMark = 0x4b4e4843;    // "CHNK"
constexpr std::uint32_t kTrailerMark = 0x454e4f44;  // "DONE"
constexpr std::size_t kFrameBytes = 16;
constexpr std::size_t kTrailerBytes = 32;

std::uint64_t header_sum(ByteView header) {
  return get_little<std::uint64_t>(header, kHeaderChecksumAt);
}

std::string encode_frame(std::uint32_t mark, std::uint32_t length, std::uint64_t sum) {
  std::string out;
  put_little(out, mark);
  put_little(out, length);
  put_little(out, sum);
  return out;
}

std::string encode_trailer(std::uint64_t sum, std::uint64_t chunks) {
  std::string out = encode_frame(kTrailerMark, 0, sum);
  put_little(out, chunks);
  put_little(out, checksum64(out));
  return out;
}

// Reads one snapshot file in order.
class Reader {
 public:
  Reader(File& file, std::uint64_t size, std::string name)
      : file_(file), size_(size), name_(std::move(name)) {}

  // The next chunk; nothing after a valid trailer.
  Expected<std::optional<std::string>> next() {
    const auto frame = file_.read_at(position_, kTrailerBytes);
    if (!frame) return std::unexpected(frame.error());
    if (frame->size() < kTrailerBytes) return invalid("ends early");
    const auto mark = get_little<std::uint32_t>(*frame, 0);
    if (mark == kTrailerMark) return finish(*frame);
    const auto length = get_little<std::uint32_t>(*frame, 4);
    if (mark != kChunkMark || length > size_ - position_ - kFrameBytes) return invalid("no chunk");
    auto bytes = file_.read_at(position_ + kFrameBytes, length);
    if (!bytes) return std::unexpected(bytes.error());
    sum_ = checksum64(*bytes, sum_);
    if (bytes->size() != length || sum_ != get_little<std::uint64_t>(*frame, 8))
      return invalid("damaged chunk");
    position_ += kFrameBytes + length;
    ++chunks_;
    return std::optional{std::move(*bytes)};
  }

  Expected<SnapshotHeader> header() {
    const auto bytes = file_.read_at(0, kHeaderBytes);
    if (!bytes) return std::unexpected(bytes.error());
    const auto decoded = decode_snapshot_header(*bytes);
    if (!decoded) return std::unexpected(problem("damaged header"));
    sum_ = header_sum(*bytes);
    position_ = kHeaderBytes;
    return *decoded;
  }

 private:
  Expected<std::optional<std::string>> finish(ByteView trailer) {
    if (trailer != encode_trailer(sum_, chunks_)) return invalid("damaged trailer");
    if (position_ + kTrailerBytes != size_) return invalid("bytes after the trailer");
    return std::nullopt;
  }

  std::unexpected<Problem> invalid(std::string_view what) { return std::unexpected(problem(what)); }

  Problem problem(std::string_view what) {
    return Problem{fmt::format("{}: not a valid snapshot: {} at offset {}; remove it or restore it",
                               name_, what, position_)};
  }

  File& file_;
  std::uint64_t size_;
  std::string name_;
  std::uint64_t position_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t chunks_ = 0;
};

Expected<void> read_file(Disk& disk,
                         const std::string& path,
                         Zxid zxid,
                         const ChunkFunction& chunk) {
  const auto file = disk.open(path);
  if (!file) return std::unexpected(file.error());
  const auto header = read_snapshot(**file, disk.describe(path), zxid, chunk);
  if (!header) return std::unexpected(header.error());
  return {};
}

bool older(const SnapshotStore::Snapshot& a, const SnapshotStore::Snapshot& b) {
  return std::pair{a.header.generation, a.header.zxid} <
         std::pair{b.header.generation, b.header.zxid};
}

std::string path_of(const SnapshotStore::Snapshot& snapshot) {
  return data_path(snapshot_name(snapshot.header.zxid));
}

}  // namespace

std::string encode_snapshot_header(const SnapshotHeader& header) {
  std::string out{kMagic};
  put_little(out, kVersion);
  put_little(out, std::uint32_t{0});
  put_little(out, header.generation);
  put_little(out, header.zxid.value);
  put_little(out, checksum64(out));
  return out;
}

std::optional<SnapshotHeader> decode_snapshot_header(ByteView bytes) {
  if (bytes.size() < kHeaderBytes) return std::nullopt;
  if (!bytes.starts_with(kMagic)) return std::nullopt;
  if (header_sum(bytes) != checksum64(bytes.substr(0, kHeaderChecksumAt))) return std::nullopt;
  if (get_little<std::uint32_t>(bytes, kMagic.size()) != kVersion) return std::nullopt;
  return SnapshotHeader{get_little<std::uint64_t>(bytes, 16),
                        Zxid{get_little<std::uint64_t>(bytes, 24)}};
}

Expected<SnapshotHeader> read_snapshot(File& file,
                                       const std::string& name,
                                       std::optional<Zxid> zxid,
                                       const ChunkFunction& chunk) {
  const auto size = file.size();
  if (!size) return std::unexpected(size.error());
  Reader reader(file, *size, name);
  const auto header = reader.header();
  if (!header) return std::unexpected(header.error());
  if (zxid && header->zxid != *zxid) {
    return std::unexpected(Problem{
        fmt::format("{}: its header says {}; remove it or restore it", name, header->zxid)});
  }
  while (true) {
    const auto bytes = reader.next();
    if (!bytes) return std::unexpected(bytes.error());
    if (!*bytes) return *header;
    ZKFS_TRY(chunk(**bytes));
  }
}

Expected<void> SnapshotStore::open(std::vector<std::string>& remarks) {
  ZKFS_TRY(load_headers(remarks));
  for (std::size_t i = snapshots_.size(); i-- > 0;) {
    if (examine(snapshots_[i], remarks) == Snapshot::State::kValid) break;
  }
  const Snapshot* base = newest();
  if (base == nullptr) return {};
  // An invalid one stays until the Store has decided about it.
  const std::uint64_t generation = base->header.generation;
  return remove_if(
      [generation](const Snapshot& s) {
        return s.header.generation < generation && s.state != Snapshot::State::kInvalid;
      },
      remarks);
}

Expected<void> SnapshotStore::load_headers(std::vector<std::string>& remarks) {
  const auto names = disk_.list(std::string{kDataDirectory});
  if (!names) return std::unexpected(names.error());
  for (const std::string& name : *names) {
    const auto zxid = parse_snapshot_name(name);
    if (!zxid) continue;
    const auto file = disk_.open(data_path(name));
    if (!file) return std::unexpected(file.error());
    const auto size = (*file)->size();
    if (!size) return std::unexpected(size.error());
    const auto bytes = (*file)->read_at(0, kHeaderBytes);
    if (!bytes) return std::unexpected(bytes.error());
    const auto header = decode_snapshot_header(*bytes);
    Snapshot snapshot{header.value_or(SnapshotHeader{0, *zxid}), *size};
    if (!header || header->zxid != *zxid) {
      snapshot = {SnapshotHeader{0, *zxid}, *size, Snapshot::State::kInvalid};
      remarks.push_back(
          fmt::format("{}: not a valid snapshot: damaged header", disk_.describe(data_path(name))));
    }
    add(snapshot);
  }
  return {};
}

SnapshotStore::Snapshot::State SnapshotStore::examine(Snapshot& snapshot,
                                                      std::vector<std::string>& remarks) const {
  if (snapshot.state == Snapshot::State::kValid) return snapshot.state;
  const auto valid = read(snapshot.header.zxid, [](ByteView) { return Expected<void>{}; });
  snapshot.state = valid ? Snapshot::State::kValid : Snapshot::State::kInvalid;
  if (!valid) remarks.push_back(valid.error().text);
  return snapshot.state;
}

const SnapshotStore::Snapshot* SnapshotStore::newest() const {
  for (std::size_t i = snapshots_.size(); i-- > 0;) {
    if (snapshots_[i].state == Snapshot::State::kValid) return &snapshots_[i];
  }
  return nullptr;
}

Expected<void> SnapshotStore::remove_if(const std::function<bool(const Snapshot&)>& dead,
                                        std::vector<std::string>& remarks) {
  if (std::ranges::none_of(snapshots_, dead)) return {};
  for (const Snapshot& snapshot : snapshots_) {
    if (!dead(snapshot)) continue;
    ZKFS_TRY(disk_.remove(path_of(snapshot)));
    remarks.push_back(fmt::format("{}: replaced by a snapshot from a leader, removed",
                                  disk_.describe(path_of(snapshot))));
  }
  std::erase_if(snapshots_, dead);
  return sync_data_dir(disk_);
}

Expected<void> SnapshotStore::read(Zxid zxid, const ChunkFunction& chunk) const {
  return read_file(disk_, data_path(snapshot_name(zxid)), zxid, chunk);
}

Expected<void> SnapshotStore::begin(SnapshotOrigin origin, const SnapshotHeader& header) {
  abandon(origin);
  Writer made;
  made.header = header;
  made.temporary =
      fmt::format("{}.{}{}", data_path(snapshot_name(header.zxid)),
                  origin == SnapshotOrigin::kOwn ? "own" : "received", kTemporarySuffix);
  auto file = disk_.create(made.temporary);
  if (!file) return std::unexpected(std::move(file).error());
  made.file = std::move(*file);
  const std::string bytes = encode_snapshot_header(header);
  made.sum = header_sum(bytes);
  ZKFS_TRY(write(made, bytes));
  writer(origin) = std::move(made);
  return {};
}

Expected<void> SnapshotStore::chunk(SnapshotOrigin origin, ByteView bytes) {
  std::optional<Writer>& current = writer(origin);
  if (!current) return {};
  ZKFS_CHECK(bytes.size() <= UINT32_MAX, "a snapshot chunk of {} bytes", bytes.size());
  current->sum = checksum64(bytes, current->sum);
  ++current->chunks;
  std::string framed =
      encode_frame(kChunkMark, static_cast<std::uint32_t>(bytes.size()), current->sum);
  framed.append(bytes);
  ZKFS_TRY(write(*current, framed));
  if (current->position - current->synced_to < kSnapshotSyncBytes) return {};
  ZKFS_TRY(current->file->sync());
  current->synced_to = current->position;
  return {};
}

Expected<void> SnapshotStore::write(Writer& writer, ByteView bytes) {
  ZKFS_TRY(writer.file->write_at(writer.position, bytes));
  writer.position += bytes.size();
  return {};
}

Expected<std::optional<SnapshotHeader>> SnapshotStore::finish(SnapshotOrigin origin) {
  if (!writer(origin)) return std::nullopt;
  Writer done = std::move(*writer(origin));
  writer(origin).reset();
  ZKFS_TRY(write(done, encode_trailer(done.sum, done.chunks)));
  ZKFS_TRY(done.file->sync());
  ZKFS_TRY(disk_.rename(done.temporary, data_path(snapshot_name(done.header.zxid))));
  ZKFS_TRY(sync_data_dir(disk_));
  add({done.header, done.position, Snapshot::State::kValid});
  return done.header;
}

Expected<void> SnapshotStore::remove_lower_generations() {
  const Snapshot* base = newest();
  if (base == nullptr) return {};
  std::vector<std::string> remarks;
  const std::uint64_t generation = base->header.generation;
  return remove_if([generation](const Snapshot& s) { return s.header.generation < generation; },
                   remarks);
}

// Best effort: what stays is removed at the next start.
void SnapshotStore::abandon(SnapshotOrigin origin) {
  std::optional<Writer>& current = writer(origin);
  if (!current) return;
  current->file.reset();
  if (const auto removed = disk_.remove(current->temporary); !removed) {
    ZKFS_LOG_WARN(storage, "{}", removed.error().text);
  }
  current.reset();
}

std::optional<Zxid> SnapshotStore::under_way(SnapshotOrigin origin) const {
  const std::optional<Writer>& current = writers_[static_cast<std::size_t>(origin)];
  return current ? std::optional{current->header.zxid} : std::nullopt;
}

void SnapshotStore::add(const Snapshot& snapshot) {
  std::erase_if(snapshots_,
                [&](const Snapshot& s) { return s.header.zxid == snapshot.header.zxid; });
  snapshots_.insert(std::ranges::upper_bound(snapshots_, snapshot, older), snapshot);
}

Expected<std::optional<Zxid>> SnapshotStore::purge(std::uint32_t retained) {
  if (newest() == nullptr) return std::nullopt;
  std::vector<std::string> remarks;
  std::uint32_t kept = 0;
  std::optional<Zxid> oldest;
  std::vector<Snapshot> keep;
  bool removed = false;
  for (std::size_t i = snapshots_.size(); i-- > 0;) {
    Snapshot& snapshot = snapshots_[i];
    const bool wanted = kept < std::max(retained, 1U);
    const bool valid = wanted && examine(snapshot, remarks) == Snapshot::State::kValid;
    if (valid) {
      ++kept;
      oldest = snapshot.header.zxid;
    }
    // An invalid one that is newer than the base was accepted at open only because the log makes up
    // for it; it goes as well.
    if (valid) {
      keep.insert(keep.begin(), snapshot);
      continue;
    }
    ZKFS_TRY(disk_.remove(path_of(snapshot)));
    removed = true;
  }
  snapshots_ = std::move(keep);
  for (const std::string& remark : remarks) ZKFS_LOG_WARN(storage, "{}", remark);
  if (removed) ZKFS_TRY(sync_data_dir(disk_));
  return oldest;
}

std::uint64_t SnapshotStore::bytes() const {
  std::uint64_t total = 0;
  for (const Snapshot& snapshot : snapshots_) total += snapshot.bytes;
  for (const auto& current : writers_) {
    if (current) total += current->position;
  }
  return total;
}

}  // namespace zkfs::storage
