// SPDX-License-Identifier: Apache-2.0
#include "ensemble/storage/inspect.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fmt/core.h>

#include "ensemble/storage/data_dir.h"

namespace zkfs::storage {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMagicBytes = 8;

Problem failure(const std::string& name, std::string_view operation, int error) {
  const std::string_view remedy =
      error == EACCES ? "; it is its owner's only: ask as root or as who runs the server" : "";
  return Problem{fmt::format("{}: {} failed: {}{}", name, operation,
                             std::generic_category().message(error), remedy)};
}

// A File that only reads; whatever changes fails with EROFS.
class ReadOnlyFile final : public File {
 public:
  ReadOnlyFile(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}

  ReadOnlyFile(const ReadOnlyFile&) = delete;
  ReadOnlyFile& operator=(const ReadOnlyFile&) = delete;

  ~ReadOnlyFile() override { ::close(fd_); }

  Expected<std::string> read_at(std::uint64_t offset, std::size_t size) override {
    std::string bytes(size, '\0');
    std::size_t done = 0;
    while (done < size) {
      const ssize_t count =
          ::pread(fd_, bytes.data() + done, size - done, static_cast<off_t>(offset + done));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return std::unexpected(failure(name_, "reading", errno));
      if (count == 0) break;
      done += static_cast<std::size_t>(count);
    }
    bytes.resize(done);
    return bytes;
  }

  Expected<std::uint64_t> size() override {
    struct stat status {};

    if (::fstat(fd_, &status) != 0) return std::unexpected(failure(name_, "stat", errno));
    return static_cast<std::uint64_t>(status.st_size);
  }

  Expected<void> write_at(std::uint64_t /*offset*/, ByteView /*bytes*/) override {
    return refused("writing");
  }

  Expected<void> sync() override { return refused("sync"); }

  Expected<void> truncate(std::uint64_t /*size*/) override { return refused("truncating"); }

  Expected<void> reserve(std::uint64_t /*size*/) override { return refused("reserving"); }

 private:
  [[nodiscard]] Expected<void> refused(std::string_view operation) const {
    return std::unexpected(failure(name_, operation, EROFS));
  }

  int fd_;
  std::string name_;
};

Expected<std::unique_ptr<File>> open_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::unexpected(failure(path, "open", errno));
  return std::make_unique<ReadOnlyFile>(fd, path);
}

Expected<std::vector<std::string>> names_in(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error))
    names.push_back(it->path().filename().string());
  if (error) return std::unexpected(failure(directory, "listing", error.value()));
  return names;
}

}  // namespace

Expected<std::vector<DataFile>> list_data_files(const std::string& directory) {
  const std::string inside = (fs::path(directory) / kDataDirectory).string();
  std::error_code ignored;
  const std::string place = fs::is_directory(inside, ignored) ? inside : directory;
  const auto names = names_in(place);
  if (!names) return std::unexpected(names.error());
  std::vector<std::pair<Zxid, DataFile>> found;
  for (const std::string& name : *names) {
    const std::string path = (fs::path(place) / name).string();
    using Kind = DataFile::Kind;
    if (const auto first = parse_log_name(name)) found.push_back({*first, {Kind::kLog, path}});
    if (const auto zxid = parse_snapshot_name(name))
      found.push_back({*zxid, {Kind::kSnapshot, path}});
  }
  if (found.empty()) {
    return std::unexpected(Problem{fmt::format(
        "{}: holds neither log nor snapshots; give the --data-dir of a server", directory)});
  }
  std::ranges::sort(found, {}, [](const auto& file) {
    return std::pair{file.second.kind, file.first};
  });
  std::vector<DataFile> files;
  for (auto& [zxid, file] : found) files.push_back(std::move(file));
  return files;
}

Expected<DataFile> identify_data_file(const std::string& path) {
  const auto file = open_file(path);
  if (!file) return std::unexpected(file.error());
  const auto magic = (*file)->read_at(0, kMagicBytes);
  if (!magic) return std::unexpected(magic.error());
  if (*magic == kSegmentMagic) return DataFile{DataFile::Kind::kLog, path};
  if (*magic == kSnapshotMagic) return DataFile{DataFile::Kind::kSnapshot, path};
  return std::unexpected(
      Problem{fmt::format("{}: neither a log segment nor a snapshot of zkfs", path)});
}

Expected<LogFile> read_log_file(const std::string& path) {
  const auto file = open_file(path);
  if (!file) return std::unexpected(file.error());
  const auto size = (*file)->size();
  if (!size) return std::unexpected(size.error());
  const auto bytes = (*file)->read_at(0, *size);
  if (!bytes) return std::unexpected(bytes.error());
  const auto header = decode_segment_header(*bytes);
  if (!header) {
    return std::unexpected(Problem{fmt::format(
        "{}: no valid header: a segment that was being made, or damage; look at it again", path)});
  }
  return LogFile{*header, scan_segment(*bytes, header->first)};
}

Expected<SnapshotHeader> read_snapshot_file(const std::string& path, const ChunkFunction& chunk) {
  const auto file = open_file(path);
  if (!file) return std::unexpected(file.error());
  return read_snapshot(**file, path, std::nullopt, chunk);
}

}  // namespace zkfs::storage
