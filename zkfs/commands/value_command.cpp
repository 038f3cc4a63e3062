// SPDX-License-Identifier: Apache-2.0
#include "zkfs/commands/value_command.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include <fmt/format.h>

#include "zkfs/commands/client.h"

namespace zkfs {
namespace {

// How often a value is read again because it changed while it was asked for its stat, or set again
// because it was set between two calls.
constexpr int kAttemptsMax = 100;

Answer<std::string> read_value(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return std::unexpected(errno);
  return read_all(file.get(), limits::kFrameBytesMax);
}

Answer<void> sync_file(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file || fsync(file.get()) != 0) return std::unexpected(errno);
  return {};
}

struct WithStat {
  std::string value;
  std::string stat;
};

// The value and the stat of one version: no other was set between the two looks at the version.
Answer<WithStat> read_with_stat(const std::string& path) {
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    const auto before = attribute(path, "mZxid");
    if (!before) return std::unexpected(before.error());
    auto value = read_value(path);
    if (!value) return std::unexpected(value.error());
    auto stat = attribute(path, "stat");
    if (!stat) return std::unexpected(stat.error());
    const auto after = attribute(path, "mZxid");
    if (after == before) return WithStat{std::move(*value), std::move(*stat)};
  }
  return std::unexpected(ESTALE);
}

// A whole new value, whatever the old one was.
int replace(const std::string& path, const std::string& data) {
  Descriptor file(open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
  if (!file) return errno;
  const int error = data.empty() ? 0 : write_whole(file.get(), data);
  const int closed = file.close();
  return error != 0 ? error : closed;
}

// A whole new value in one transaction, if the version is still the one this opens. A descriptor
// for writing that does not truncate compares at its commit; one for reading and writing compares
// at each call, which only cutting to nothing can be done by.
int replace_opened(Descriptor file, const std::string& data) {
  if (data.empty()) return ftruncate(file.get(), 0) == 0 ? file.close() : errno;

  struct stat old {};

  if (fstat(file.get(), &old) != 0) return errno;
  const auto size = static_cast<off_t>(data.size());
  int error = write_whole(file.get(), data);
  if (error == 0 && old.st_size > size && ftruncate(file.get(), size) != 0) error = errno;
  const int closed = file.close();
  return error != 0 ? error : closed;
}

Answer<std::int32_t> version_of(int fd) {
  const auto text = attribute(fd, "dataVersion");
  if (!text) return std::unexpected(text.error());
  std::int32_t version = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), version);
  if (error != std::errc{}) return std::unexpected(EIO);
  return version;
}

int compare_and_set(const std::string& path, const std::string& data, std::int32_t version) {
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    Descriptor file(open(path.c_str(), (data.empty() ? O_RDWR : O_WRONLY) | O_CLOEXEC));
    if (!file) return complain_errno(path, errno);
    const auto present = version_of(file.get());
    if (!present) return complain_errno(path, present.error());
    if (*present != version)
      return complain(path, fmt::format("has version {}, not {}; get it again", *present, version));
    const int error = replace_opened(std::move(file), data);
    if (error == 0) return kExitYes;
    // It was set between open and the look at the version, or after it: look again.
    if (error != ESTALE) return complain_errno(path, error);
  }
  return complain_errno(path, ESTALE);
}

}  // namespace

int run_get(const GetCommand& command) {
  const std::string path = without_slashes(command.path);
  if (command.sync) {
    // The directory stands for a file that is not known here yet.
    auto synced = sync_file(path);
    if (!synced && synced.error() == ENOENT) synced = sync_file(directory_of(path));
    if (!synced) return complain_errno(path, synced.error());
  }
  if (const auto there = require_zkfs(path); !there) return complain_errno(path, there.error());
  const auto source = value_path(path);
  if (!source) return complain_errno(path, source.error());
  if (!command.stat) {
    const auto value = read_value(*source);
    return value ? print_all(*value) : complain_errno(path, value.error());
  }
  auto both = read_with_stat(*source);
  if (!both) return complain_errno(path, both.error());
  if (!both->value.empty() && !both->value.ends_with('\n')) both->value += '\n';
  return print_all(both->value + both->stat);
}

int run_set(const SetCommand& command) {
  const std::string path = without_slashes(command.path);
  if (const auto there = require_zkfs(path); !there) return complain_errno(path, there.error());
  const bool from_input = !command.data || *command.data == "-";
  if (!command.data && isatty(STDIN_FILENO) == 1) {
    return complain(path, "no value; give it as an argument, or - to type it", kExitMisuse);
  }
  const auto data = from_input ? read_all(STDIN_FILENO) : Answer<std::string>(*command.data);
  if (!data) return complain_errno("standard input", data.error());
  const auto target = value_path(path);
  if (!target) return complain_errno(path, target.error());
  if (command.version) return compare_and_set(*target, *data, *command.version);
  const int error = replace(*target, *data);
  return error == 0 ? kExitYes : complain_errno(path, error);
}

}  // namespace zkfs
