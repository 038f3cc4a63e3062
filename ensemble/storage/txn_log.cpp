// SPDX-License-Identifier: Apache-2.0
#include "ensemble/storage/txn_log.h"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "ensemble/base/check.h"
#include "ensemble/storage/data_dir.h"

namespace zkfs::storage {
namespace {

constexpr std::string_view kStartEmpty =
    "restore the files, or move the data directory away so that this member starts empty and is "
    "synchronised by the others";
constexpr std::size_t kCopyBytes = 1024 * 1024;

// True if an entry `next` whose predecessor in the log is `before` continues a state as of `base`.
// A state may also be named by the beginning of an epoch, which is never logged.
bool continues(Zxid before, Zxid base, Zxid next) {
  return before == base || (base.counter() == 0 && before < base && follows(base, next));
}

Expected<void> copy_range(File& from, File& to, std::uint64_t begin, std::uint64_t end) {
  for (std::uint64_t at = begin; at < end;) {
    const auto piece = from.read_at(at, std::min<std::uint64_t>(kCopyBytes, end - at));
    if (!piece) return std::unexpected(piece.error());
    ZKFS_CHECK(!piece->empty(), "a log segment shrank to {} bytes while it was copied", at);
    ZKFS_TRY(to.write_at(at, *piece));
    at += piece->size();
  }
  return {};
}

}  // namespace

TxnLog::TxnLog(Disk& disk, std::uint64_t segment_bytes)
    : disk_(disk), segment_bytes_(segment_bytes) {
  ZKFS_CHECK(segment_bytes > kSegmentHeaderBytes, "segment_bytes {}", segment_bytes);
}

Expected<LogFound> TxnLog::open(const LogBase& base, std::vector<std::string>& remarks) {
  base_ = base;
  last_ = base.zxid;
  ZKFS_TRY(load_headers(remarks));
  const auto from = first_needed();
  if (!from) return std::unexpected(from.error());
  auto found = load_records(*from, remarks);
  if (!found) return found;
  committed_ = found->committed;
  return found;
}

Expected<void> TxnLog::load_headers(std::vector<std::string>& remarks) {
  const auto names = disk_.list(std::string{kDataDirectory});
  if (!names) return std::unexpected(names.error());
  std::vector<Zxid> firsts;
  for (const std::string& name : *names) {
    if (const auto first = parse_log_name(name)) firsts.push_back(*first);
  }
  std::ranges::sort(firsts);
  for (const Zxid first : firsts) {
    ZKFS_TRY(load_header(log_name(first), first == firsts.back(), remarks));
  }
  return {};
}

Expected<void> TxnLog::load_header(const std::string& name,
                                   bool newest,
                                   std::vector<std::string>& remarks) {
  const std::string path = data_path(name);
  const auto file = disk_.open(path);
  if (!file) return std::unexpected(file.error());
  const auto bytes = (*file)->read_at(0, kSegmentHeaderBytes);
  if (!bytes) return std::unexpected(bytes.error());
  const auto size = (*file)->size();
  if (!size) return std::unexpected(size.error());
  const auto header = decode_segment_header(*bytes);
  if (!header) return accept_headerless(name, newest, remarks);
  if (log_name(header->first) != name || !follows(header->previous, header->first)) {
    return std::unexpected(
        Problem{fmt::format("{}: its header at offset 0 says that it begins with {} after {}; {}",
                            disk_.describe(path), header->first, header->previous, kStartEmpty)});
  }
  if (header->generation > base_.generation) {
    return std::unexpected(Problem{
        fmt::format("{}: continues a snapshot of generation {} (offset 16), but the newest valid "
                    "one is of generation {}; {}",
                    disk_.describe(path), header->generation, base_.generation, kStartEmpty)});
  }
  if (header->generation < base_.generation) {
    ZKFS_TRY(disk_.remove(path));
    remarks.push_back(
        fmt::format("{}: replaced by a snapshot from a leader, removed", disk_.describe(path)));
    return sync_data_dir(disk_);
  }
  segments_.push_back({*header, *size});
  return {};
}

// A segment whose header never became durable: it was being made when the member died, and holds
// nothing.
Expected<void> TxnLog::accept_headerless(const std::string& name,
                                         bool newest,
                                         std::vector<std::string>& remarks) {
  const std::string path = data_path(name);
  const auto file = disk_.open(path);
  if (!file) return std::unexpected(file.error());
  const auto size = (*file)->size();
  if (!size) return std::unexpected(size.error());
  const auto bytes = (*file)->read_at(0, *size);
  if (!bytes) return std::unexpected(bytes.error());
  const auto proof = find_proof(*bytes, *parse_log_name(name), 0);
  if (!newest || proof) {
    return std::unexpected(Problem{fmt::format("{}: the header at offset 0 is damaged; {}",
                                               disk_.describe(path), kStartEmpty)});
  }
  ZKFS_TRY(disk_.remove(path));
  remarks.push_back(fmt::format("{}: begun but never used, removed", disk_.describe(path)));
  return sync_data_dir(disk_);
}

// The newest segment that begins at or before the base; all before it hold nothing after the base.
Expected<std::size_t> TxnLog::first_needed() const {
  if (segments_.empty()) return 0;
  for (std::size_t i = segments_.size(); i-- > 0;) {
    if (segments_[i].header.previous <= base_.zxid) return i;
  }
  const Segment& oldest = segments_.front();
  return std::unexpected(Problem{fmt::format(
      "{}: the log begins after {} (offset 32), but the newest valid snapshot is of {}: entries "
      "between are missing; {}",
      disk_.describe(path_of(oldest)), oldest.header.previous, base_.zxid, kStartEmpty)});
}

Expected<SegmentScan> TxnLog::scan(const Segment& segment) const {
  const auto file = disk_.open(path_of(segment));
  if (!file) return std::unexpected(file.error());
  const auto bytes = (*file)->read_at(0, segment.bytes);
  if (!bytes) return std::unexpected(bytes.error());
  return scan_segment(*bytes, segment.header.first);
}

Expected<LogFound> TxnLog::load_records(std::size_t from, std::vector<std::string>& remarks) {
  LogFound found{{}, base_.zxid};
  Zxid previous;
  for (std::size_t i = from; i < segments_.size(); ++i) {
    const Segment& segment = segments_[i];
    const bool newest = i + 1 == segments_.size();
    auto result = scan(segment);
    if (!result) return std::unexpected(result.error());
    if (result->tail == SegmentScan::Tail::kDamaged)
      return std::unexpected(damaged(segment, *result));
    if (!newest && result->tail != SegmentScan::Tail::kClean)
      return std::unexpected(damaged(segment, *result));
    if (i > from && segment.header.previous != previous) {
      return std::unexpected(Problem{fmt::format(
          "{}: begins after {} (offset 32), but the segment before it ends with {}; {}",
          disk_.describe(path_of(segment)), segment.header.previous, previous, kStartEmpty)});
    }
    previous =
        result->records.empty() ? segment.header.previous : result->records.back().entry.zxid;
    ZKFS_TRY(take_records(*result, segment, found));
    if (newest) {
      ZKFS_TRY(settle_newest(*result, remarks));
      break;  // settle_newest may have dropped it
    }
  }
  return found;
}

// Moves the entries after the base to `found`.
Expected<void> TxnLog::take_records(SegmentScan& scan, const Segment& segment, LogFound& found) {
  Zxid before = segment.header.previous;
  for (LogRecord& record : scan.records) {
    const Zxid zxid = record.entry.zxid;
    found.committed = std::max(found.committed, record.committed);
    if (zxid > base_.zxid) {
      if (found.entries.empty() && !continues(before, base_.zxid, zxid)) {
        return std::unexpected(Problem{fmt::format(
            "{}: holds {} directly after {} (record ending at offset {}), but the newest valid "
            "snapshot is of {}; {}",
            disk_.describe(path_of(segment)), zxid, before, record.end, base_.zxid, kStartEmpty)});
      }
      last_ = zxid;
      found.entries.push_back(std::move(record.entry));
      record.entry.zxid = zxid;
    }
    before = zxid;
  }
  return {};
}

// Cuts the torn tail, makes the rest durable, and continues in the newest segment if the next entry
// may follow there.
Expected<void> TxnLog::settle_newest(const SegmentScan& scan, std::vector<std::string>& remarks) {
  const Segment& newest = segments_.back();
  const std::string path = path_of(newest);
  if (scan.tail == SegmentScan::Tail::kTorn) {
    remarks.push_back(
        fmt::format("{}: a write that was never acknowledged was cut at offset {} ({} bytes)",
                    disk_.describe(path), scan.end, scan.content_end - scan.end));
  }
  if (scan.records.empty()) {
    remarks.push_back(fmt::format("{}: holds no entries, removed", disk_.describe(path)));
    return drop_newest();
  }
  auto file = disk_.open(path);
  if (!file) return std::unexpected(std::move(file).error());
  ZKFS_TRY(rewrite_last_batch(**file, scan));
  const Zxid newest_entry = scan.records.back().entry.zxid;
  if (newest_entry != last_) {
    remarks.push_back(fmt::format("{}: ends with {}, before the newest snapshot at {}",
                                  disk_.describe(path), newest_entry, last_));
    return {};
  }
  active_ = std::move(*file);
  position_ = scan.end;
  written_ = scan.end;
  return {};
}

Expected<void> TxnLog::rewrite_last_batch(File& file, const SegmentScan& scan) const {
  const std::uint64_t start = scan.records.back().synced_to;
  auto bytes = file.read_at(start, scan.end - start);
  if (!bytes) return std::unexpected(bytes.error());
  bytes->resize(scan.content_end - start, '\0');
  ZKFS_TRY(file.write_at(start, *bytes));
  return file.sync();
}

Expected<void> TxnLog::drop_newest() {
  active_.reset();
  ZKFS_TRY(disk_.remove(path_of(segments_.back())));
  segments_.pop_back();
  return sync_data_dir(disk_);
}

Expected<void> TxnLog::append(std::span<const Entry> entries, Zxid committed) {
  if (entries.empty()) return {};
  std::uint64_t bytes = 0;
  for (Zxid before = last_; const Entry& entry : entries) {
    ZKFS_CHECK(follows(before, entry.zxid), "append of {} after {}", entry.zxid, before);
    before = entry.zxid;
    bytes += record_bytes(entry.bytes.size());
  }
  const bool full = position_ > kSegmentHeaderBytes && position_ + bytes > segment_bytes_;
  if (active_ == nullptr || full) ZKFS_TRY(begin_segment(entries.front().zxid));
  Segment& segment = segments_.back();
  buffer_.clear();
  for (const Entry& entry : entries) {
    encode_record(buffer_, {segment.header.first, std::min(committed, entry.zxid), position_},
                  entry);
  }
  ZKFS_CHECK(buffer_.size() == bytes, "a batch of {} bytes was expected to have {}", buffer_.size(),
             bytes);
  ZKFS_TRY(write_at_end(bytes));
  last_ = entries.back().zxid;
  committed_ = std::max(committed_, std::min(committed, last_));
  return {};
}

// Writes buffer_, which holds `bytes`, after what is there.
Expected<void> TxnLog::write_at_end(std::uint64_t bytes) {
  Segment& segment = segments_.back();
  const std::uint64_t end = position_ + bytes;
  if (end > segment.bytes) {
    const std::uint64_t ahead =
        (end + kReserveStepBytes - 1) / kReserveStepBytes * kReserveStepBytes;
    const std::uint64_t target = std::max(end, std::min(ahead, segment_bytes_));
    ZKFS_TRY(active_->reserve(target));
    segment.bytes = target;
  }
  if (end > written_) {
    const std::uint64_t zeros =
        bytes >= kZeroBatchBytesMax
            ? 0
            : std::clamp(kZeroBatches * bytes, kZeroBytesMin, kZeroBytesMax);
    written_ = std::min(end + zeros, segment.bytes);
    buffer_.resize(written_ - position_, '\0');
  }
  ZKFS_TRY(active_->write_at(position_, buffer_));
  ZKFS_TRY(active_->sync());
  position_ = end;
  return {};
}

Expected<void> TxnLog::begin_segment(Zxid first) {
  const Segment segment{{base_.generation, first, last_},
                        std::min(segment_bytes_, kReserveStepBytes)};
  const std::string path = path_of(segment);
  // What is removed is synced, so a name is never there already; old bytes under new ones would
  // confuse the torn-tail rule.
  ZKFS_CHECK(!disk_.exists(path), "{} is to be begun but exists", path);
  auto file = disk_.create(path);
  if (!file) return std::unexpected(std::move(file).error());
  ZKFS_TRY((*file)->reserve(segment.bytes));
  ZKFS_TRY((*file)->write_at(0, encode_segment_header(segment.header)));
  ZKFS_TRY((*file)->sync());
  ZKFS_TRY(sync_data_dir(disk_));
  segments_.push_back(segment);
  active_ = std::move(*file);
  position_ = kSegmentHeaderBytes;
  written_ = position_;
  return {};
}

Expected<void> TxnLog::truncate_after(Zxid last) {
  if (last == last_) return {};
  if (last < committed_ || last > last_) {
    return std::unexpected(
        Problem{fmt::format("{}: cannot truncate the log after {}: it ends with {} and is known to "
                            "be committed up to {}",
                            disk_.describe(std::string{kDataDirectory}), last, last_, committed_)});
  }
  const auto cut = find_cut(last);
  if (!cut) return std::unexpected(cut.error());
  const bool drops = segments_.size() > cut->segments;
  if (cut->raise && drops) ZKFS_TRY(rewrite(*cut, cut->end));
  while (segments_.size() > cut->segments) ZKFS_TRY(drop_newest());
  if (cut->record.end != cut->end || (cut->raise && !drops))
    ZKFS_TRY(rewrite(*cut, cut->record.end));
  last_ = last;
  return {};
}

// Changes nothing yet, so that what cannot be done is refused while the log is whole.
Expected<TxnLog::Cut> TxnLog::find_cut(Zxid last) const {
  const auto after =
      std::ranges::find_if(segments_, [&](const Segment& s) { return s.header.first > last; });
  Cut cut;
  cut.segments = static_cast<std::size_t>(after - segments_.begin());
  Zxid kept = segments_.empty() ? base_.zxid : segments_.front().header.previous;
  if (cut.segments > 0) {
    const Segment& newest = segments_[cut.segments - 1];
    const auto result = scan(newest);
    if (!result) return std::unexpected(result.error());
    if (result->tail != SegmentScan::Tail::kClean) return std::unexpected(damaged(newest, *result));
    for (const LogRecord& record : result->records) {
      if (record.entry.zxid <= last) cut.record = record;
    }
    kept = cut.record.entry.zxid;
    cut.end = result->end;
    cut.raise = cut.record.committed < std::min(committed_, kept);
  }
  if (last == base_.zxid || last == kept) return cut;
  return std::unexpected(Problem{fmt::format(
      "{}: cannot truncate the log after {}: there is no such entry, the one before it is {}",
      disk_.describe(std::string{kDataDirectory}), last, kept)});
}

// Replaces the segment of the cut by its bytes up to `end`, with the commit mark of the cut's
// record raised to what is known; the next append continues there.
Expected<void> TxnLog::rewrite(const Cut& cut, std::uint64_t end) {
  Segment& segment = segments_[cut.segments - 1];
  const LogRecord& record = cut.record;
  const std::string path = path_of(segment);
  const std::string temporary = path + std::string{kTemporarySuffix};
  auto from = disk_.open(path);
  if (!from) return std::unexpected(std::move(from).error());
  auto to = disk_.create(temporary);
  if (!to) return std::unexpected(std::move(to).error());
  const std::uint64_t start = record.end - record_bytes(record.entry.bytes.size());
  auto batch = (*from)->read_at(record.synced_to, start - record.synced_to);
  if (!batch) return std::unexpected(std::move(batch).error());
  const Zxid mark = std::max(record.committed, std::min(committed_, record.entry.zxid));
  encode_record(*batch, {segment.header.first, mark, record.synced_to}, record.entry);
  ZKFS_TRY(copy_range(**from, **to, 0, record.synced_to));
  ZKFS_TRY((*to)->write_at(record.synced_to, *batch));
  ZKFS_TRY(copy_range(**from, **to, record.end, end));
  ZKFS_TRY((*to)->sync());
  ZKFS_TRY(disk_.rename(temporary, path));
  ZKFS_TRY(sync_data_dir(disk_));
  active_ = std::move(*to);
  position_ = end;
  written_ = end;
  segment.bytes = end;
  return {};
}

Expected<void> TxnLog::restart_after(const LogBase& base) {
  active_.reset();
  for (const Segment& segment : segments_) ZKFS_TRY(disk_.remove(path_of(segment)));
  segments_.clear();
  ZKFS_TRY(sync_data_dir(disk_));
  base_ = base;
  last_ = base.zxid;
  committed_ = base.zxid;
  return {};
}

Expected<void> TxnLog::purge_before(Zxid oldest) {
  bool removed = false;
  while (segments_.size() > 1 && segments_[1].header.previous <= oldest) {
    ZKFS_TRY(disk_.remove(path_of(segments_.front())));
    segments_.erase(segments_.begin());
    removed = true;
  }
  return removed ? sync_data_dir(disk_) : Expected<void>{};
}

std::uint64_t TxnLog::bytes() const {
  std::uint64_t total = 0;
  for (const Segment& segment : segments_) total += segment.bytes;
  return total;
}

std::string TxnLog::path_of(const Segment& segment) const {
  return data_path(log_name(segment.header.first));
}

Problem TxnLog::damaged(const Segment& segment, const SegmentScan& scan) const {
  std::string why{"a later segment shows that it was durable"};
  if (scan.tail == SegmentScan::Tail::kDamaged) {
    why = scan.proof == scan.end
              ? std::string{"it does not follow the one before it"}
              : fmt::format("the record at offset {} shows that it was durable", scan.proof);
  }
  return Problem{fmt::format("{}: the record at offset {} is damaged ({}); {}",
                             disk_.describe(path_of(segment)), scan.end, why, kStartEmpty)};
}

}  // namespace zkfs::storage
