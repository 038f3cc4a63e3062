// SPDX-License-Identifier: Apache-2.0
#include "ensemble/import/zookeeper_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <zlib.h>

namespace zkfs::zookeeper {
namespace {

namespace fs = std::filesystem;

constexpr std::int32_t kLogMagic = 0x5a4b4c47;       // ZKLG
constexpr std::int32_t kSnapshotMagic = 0x5a4b534e;  // ZKSN
constexpr std::int32_t kVersion = 2;
constexpr std::size_t kFileHeaderBytes = 16;
constexpr std::size_t kTxnHeaderBytes = 32;
constexpr std::size_t kRecordHeaderBytes = 12;  // checksum and length
constexpr char kRecordEnd = 'B';
constexpr std::string_view kOurMagics[] = {"ZKFSSNAP", "ZKFSLOG1"};

template <typename... Values>
std::unexpected<Problem> problem(fmt::format_string<Values...> format, Values&&... values) {
  return std::unexpected(Problem{fmt::format(format, std::forward<Values>(values)...)});
}

std::unexpected<Problem> failure(const std::string& path, std::string_view operation, int error) {
  return problem("{}: {} failed: {}{}", path, operation, std::generic_category().message(error),
                 error == EACCES ? "; ask as root or as who ran the server" : "");
}

std::uint64_t adler32_of(ByteView bytes) {
  return adler32_z(adler32_z(0, nullptr, 0), reinterpret_cast<const Bytef*>(bytes.data()),
                   bytes.size());
}

// The zxid of prefix.<hex>; with an extension only where one is allowed.
std::optional<Zxid> zxid_of(std::string_view name, std::string_view prefix, bool extended) {
  if (!name.starts_with(prefix)) return std::nullopt;
  std::string_view digits = name.substr(prefix.size());
  if (extended) {
    if (digits.ends_with(".gz")) digits.remove_suffix(3);
    if (digits.ends_with(".snappy")) digits.remove_suffix(7);
  }
  std::uint64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value, 16);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return Zxid{value};
}

std::string with_version(const std::string& directory) {
  std::error_code ignored;
  const fs::path inside = fs::path(directory) / "version-2";
  return fs::is_directory(inside, ignored) ? inside.string() : directory;
}

Expected<std::vector<std::string>> names_in(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error))
    names.push_back(it->path().filename().string());
  if (error) return failure(directory, "listing", error.value());
  return names;
}

Expected<std::vector<DataFile>> files_in(const std::string& directory,
                                         std::string_view prefix,
                                         bool extended) {
  const auto names = names_in(directory);
  if (!names) return std::unexpected(names.error());
  std::vector<DataFile> files;
  for (const std::string& name : *names) {
    if (const auto zxid = zxid_of(name, prefix, extended))
      files.push_back({(fs::path(directory) / name).string(), *zxid});
  }
  std::ranges::sort(files, {}, [](const DataFile& file) {
    return std::pair{file.zxid, file.path};
  });
  return files;
}

// --- gzip ---

struct Inflater {
  z_stream stream{};
  bool begun = false;

  Inflater() { begun = inflateInit2(&stream, 16 + MAX_WBITS) == Z_OK; }

  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  ~Inflater() {
    if (begun) inflateEnd(&stream);
  }
};

// Nothing: not a whole gzip file.
std::optional<std::string> gunzip(std::string& bytes) {
  constexpr std::size_t kStep = 1024 * 1024;
  constexpr std::size_t kInputMax = 1U << 30U;  // of one call; zlib counts in 32 bits
  Inflater inflater;
  if (!inflater.begun) return std::nullopt;
  std::string out;
  std::size_t taken = 0;
  int status = Z_OK;
  while (status == Z_OK) {
    const std::size_t before = out.size();
    const std::size_t offered = std::min(bytes.size() - taken, kInputMax);
    out.resize(before + kStep);
    inflater.stream.next_in = reinterpret_cast<Bytef*>(bytes.data() + taken);
    inflater.stream.avail_in = static_cast<uInt>(offered);
    inflater.stream.next_out = reinterpret_cast<Bytef*>(out.data() + before);
    inflater.stream.avail_out = static_cast<uInt>(kStep);
    status = inflate(&inflater.stream, Z_NO_FLUSH);  // Z_BUF_ERROR: the input ends early
    taken += offered - inflater.stream.avail_in;
    out.resize(before + kStep - inflater.stream.avail_out);
  }
  if (status != Z_STREAM_END || taken != bytes.size()) return std::nullopt;
  return out;
}

// --- snapshots ---

class SnapshotReader {
 public:
  SnapshotReader(const std::string& name, ByteView bytes, SnapshotSink& sink)
      : name_(name), bytes_(bytes), reader_(bytes), sink_(sink) {}

  Expected<void> read() {
    ZKFS_TRY(read_header());
    read_sessions();
    read_acls();
    ZKFS_TRY(read_znodes());
    if (!read_seal(reader_)) return invalid("the checksum does not match");
    return read_appendix();
  }

 private:
  [[nodiscard]] std::uint64_t offset() const { return bytes_.size() - reader_.rest().size(); }

  [[nodiscard]] std::unexpected<Problem> invalid(std::string_view what) const {
    return problem("{}: not a valid snapshot: {}", name_, what);
  }

  Expected<void> read_header() {
    const std::int32_t magic = reader_.read_int();
    const std::int32_t version = reader_.read_int();
    reader_.read_long();
    if (!reader_.good() || magic != kSnapshotMagic) return invalid("it does not begin as one");
    if (version != kVersion) return invalid(fmt::format("unknown version {}", version));
    return {};
  }

  void read_sessions() {
    const std::size_t count = reader_.read_count(12).value_or(0);
    for (std::size_t i = 0; i < count && reader_.good(); ++i) {
      const std::int64_t id = reader_.read_long();
      reader_.read_int();
      sink_.add_session(id);
    }
  }

  void read_acls() {
    const std::size_t count = reader_.read_count(12).value_or(0);
    for (std::size_t i = 0; i < count && reader_.good(); ++i) {
      const std::int64_t number = reader_.read_long();
      sink_.add_acl(number, read_acl(reader_));
    }
  }

  Expected<void> read_znodes() {
    while (true) {
      const std::uint64_t begin = offset();
      const std::string_view path = reader_.read_text();
      if (reader_.good() && path == "/") return {};
      const auto data = reader_.read_buffer();
      const std::int64_t acl = reader_.read_long();
      StatPersisted stat;
      stat.czxid = reader_.read_long();
      stat.mzxid = reader_.read_long();
      stat.ctime = reader_.read_long();
      stat.mtime = reader_.read_long();
      stat.version = reader_.read_int();
      stat.cversion = reader_.read_int();
      stat.aversion = reader_.read_int();
      stat.ephemeral_owner = reader_.read_long();
      stat.pzxid = reader_.read_long();
      if (!reader_.good()) return invalid(fmt::format("it ends early, at offset {}", begin));
      if (!sink_.add_znode(path, data ? Blob(*data) : Blob::null(), acl, stat))
        return invalid(fmt::format("znode '{}' at offset {} cannot be", path, begin));
    }
  }

  // The checksum covers all before it, earlier seals too.
  bool read_seal(jute::Reader& reader) {
    const std::size_t end = bytes_.size() - reader.rest().size();
    const auto sum = static_cast<std::uint64_t>(reader.read_long());
    const std::string_view path = reader.read_text();
    return reader.good() && path == "/" && sum == adler32_of(bytes_.substr(0, end));
  }

  // What later versions append: a digest, the last zxid. Neither is needed: the first is of their
  // own arithmetic, the second names where the fuzziness ended.
  Expected<void> read_appendix() {
    if (reader_.at_end()) return {};
    jute::Reader digest = reader_;
    digest.read_long();
    if (digest.read_int() < 2) {
      digest.read_text();
    } else {
      digest.read_long();
    }
    if (read_seal(digest)) reader_ = digest;
    if (reader_.at_end()) return {};
    reader_.read_long();
    if (!read_seal(reader_) || !reader_.at_end())
      return invalid("the checksum of what follows the znodes does not match");
    return {};
  }

  const std::string& name_;
  ByteView bytes_;
  jute::Reader reader_;
  SnapshotSink& sink_;
};

// --- the log ---

// The record at `offset`; nothing if there is no whole and valid one.
std::optional<LogRecord> record_at(ByteView bytes, std::size_t offset) {
  if (bytes.size() - offset < kRecordHeaderBytes + kTxnHeaderBytes + 1) return std::nullopt;
  jute::Reader reader(bytes.substr(offset));
  const auto sum = static_cast<std::uint64_t>(reader.read_long());
  if (sum >> 32U != 0) return std::nullopt;
  const auto content = reader.read_buffer();
  if (!content || content->size() < kTxnHeaderBytes) return std::nullopt;
  const auto end = static_cast<char>(reader.read_byte());
  if (!reader.good() || end != kRecordEnd || adler32_of(*content) != sum) return std::nullopt;
  jute::Reader header(*content);
  LogRecord record;
  record.client_id = header.read_long();
  header.read_int();
  record.zxid = Zxid{static_cast<std::uint64_t>(header.read_long())};
  record.time = header.read_long();
  record.type = header.read_int();
  record.body = header.rest();
  record.offset = offset;
  return record;
}

std::size_t size_of(const LogRecord& record) {
  return kRecordHeaderBytes + kTxnHeaderBytes + record.body.size() + 1;
}

// Where a valid record lies behind `offset`. Long runs of zeros are passed over: within the first
// 12 bytes of a record there is a length.
std::optional<std::size_t> find_record(ByteView bytes, std::size_t offset) {
  for (std::size_t at = offset; at < bytes.size(); ++at) {
    const std::size_t content = bytes.find_first_not_of('\0', at);
    if (content == ByteView::npos) return std::nullopt;
    at = std::max(at, content - std::min<std::size_t>(content, kRecordHeaderBytes - 1));
    if (record_at(bytes, at)) return at;
  }
  return std::nullopt;
}

}  // namespace

Expected<DataFiles> list_data_files(const std::string& data_dir, const std::string& log_dir) {
  DataFiles files;
  files.data_dir = with_version(data_dir);
  files.log_dir = log_dir.empty() ? files.data_dir : with_version(log_dir);
  auto snapshots = files_in(files.data_dir, "snapshot.", true);
  if (!snapshots) return std::unexpected(std::move(snapshots).error());
  auto logs = files_in(files.log_dir, "log.", false);
  if (!logs) return std::unexpected(std::move(logs).error());
  files.snapshots = std::move(*snapshots);
  files.logs = std::move(*logs);
  std::ranges::reverse(files.snapshots);
  if (files.snapshots.empty() && files.logs.empty()) {
    return problem("{}: holds neither log.* nor snapshot.*; give the dataDir of a ZooKeeper server",
                   data_dir);
  }
  return files;
}

Expected<std::string> read_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failure(path, "open", errno);
  const std::unique_ptr<const int, void (*)(const int*)> closer(&fd,
                                                                [](const int* f) { ::close(*f); });

  struct stat status {};

  if (::fstat(fd, &status) != 0) return failure(path, "stat", errno);
  std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::read(fd, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failure(path, "reading", errno);
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  bytes.resize(done);
  for (const std::string_view ours : kOurMagics) {
    if (bytes.starts_with(ours)) return problem("{}: is of zkfs, not of ZooKeeper", path);
  }
  return bytes;
}

Expected<void> read_snapshot(const DataFile& file, SnapshotSink& sink) {
  if (file.path.ends_with(".snappy")) {
    return problem(
        "{}: is compressed with snappy, which zkfs does not read; let ZooKeeper write another with "
        "zookeeper.snapshot.compression.method=gz",
        file.path);
  }
  auto bytes = read_file(file.path);
  if (!bytes) return std::unexpected(std::move(bytes).error());
  if (file.path.ends_with(".gz")) {
    auto whole = gunzip(*bytes);
    if (!whole) return problem("{}: not a valid snapshot: it is no whole gzip file", file.path);
    *bytes = std::move(*whole);
  }
  return SnapshotReader(file.path, *bytes, sink).read();
}

tree::AclList read_acl(jute::Reader& reader) {
  const auto count = reader.read_count(12);
  if (!count) return tree::open_acl();
  tree::AclList acl;
  for (std::size_t i = 0; i < *count && reader.good(); ++i) {
    tree::AclEntry entry;
    entry.permissions = static_cast<std::uint32_t>(reader.read_int());
    entry.scheme = reader.read_text();
    entry.id = reader.read_text();
    acl.push_back(std::move(entry));
  }
  return acl;
}

Expected<std::optional<std::string>> read_log(
    const DataFile& file, const std::function<Expected<void>(const LogRecord&)>& record) {
  const auto bytes = read_file(file.path);
  if (!bytes) return std::unexpected(bytes.error());
  if (bytes->size() < kFileHeaderBytes || bytes->find_first_not_of('\0') == std::string::npos)
    return fmt::format("{}: empty: a crash came before its first record", file.path);
  jute::Reader header(*bytes);
  if (header.read_int() != kLogMagic) return problem("{}: is not a log of ZooKeeper", file.path);
  if (const std::int32_t version = header.read_int(); version != kVersion)
    return problem("{}: unknown version {} of the log", file.path, version);
  std::size_t offset = kFileHeaderBytes;
  while (offset < bytes->size()) {
    const auto found = record_at(*bytes, offset);
    if (!found) break;
    ZKFS_TRY(record(*found));
    offset += size_of(*found);
  }
  if (const auto behind = find_record(*bytes, offset)) {
    return problem(
        "{}: damaged at offset {}: a valid record follows at offset {}; restore the file, or take "
        "the directory of another server of the ensemble",
        file.path, offset, *behind);
  }
  if (bytes->find_first_not_of('\0', offset) == std::string::npos) return std::nullopt;
  return fmt::format("{}: the tail from offset {} on was torn by a crash and is left out",
                     file.path, offset);
}

}  // namespace zkfs::zookeeper
