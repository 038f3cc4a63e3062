// SPDX-License-Identifier: Apache-2.0
#include "zkfs/commands/create_command.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>

#include <fmt/format.h>

#include "mount/marker.h"
#include "zkfs/commands/client.h"

namespace zkfs {
namespace {

constexpr mode_t kFileMode = 0666;
constexpr mode_t kDirectoryMode = 0777;

// Where it is created. With a number the name may be the number alone: "queue/".
std::string parent_of(const std::string& path) {
  return path.ends_with('/') ? without_slashes(path) : directory_of(path);
}

std::string markers_of(const CreateCommand& command, bool sequential) {
  std::string markers;
  if (sequential) markers += "@seq";
  if (command.ephemeral) markers += command.owner.empty() ? "@eph" : "@eph=" + command.owner;
  if (command.ttl) markers += fmt::format("@ttl={}ms", command.ttl->count());
  if (command.container) markers += "@container";
  return markers;
}

Answer<void> made(int result) {
  if (result == 0) return {};
  return std::unexpected(errno);
}

// A name of ours, to be renamed.
Answer<std::string> temporary_in(const std::string& directory) {
  std::uint64_t random = 0;
  if (getrandom(&random, sizeof random, 0) != sizeof random) return std::unexpected(errno);
  return joined(directory, fmt::format("{}{:016x}", kTemporaryPrefix, random));
}

Answer<void> make_directories(const std::string& path) {
  const auto first = made(mkdir(path.c_str(), kDirectoryMode));
  if (first || first.error() == EEXIST) return {};
  if (first.error() != ENOENT || directory_of(path) == path) return first;
  if (const auto above = make_directories(directory_of(path)); !above) return above;
  const auto second = made(mkdir(path.c_str(), kDirectoryMode));
  return second || second.error() == EEXIST ? Answer<void>() : second;
}

// A file that no marker makes, and that exists from then on. O_EXCL would make it empty first.
Answer<std::string> make_plain(const std::string& path, mode_t mode, const std::string& data) {
  struct stat there {};

  if (lstat(path.c_str(), &there) == 0) return std::unexpected(EEXIST);
  const auto temporary = temporary_in(directory_of(path));
  if (!temporary) return std::unexpected(temporary.error());
  Descriptor file(open(temporary->c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!file) return std::unexpected(errno);
  int error = write_whole(file.get(), data);
  const int closed = file.close();
  if (error == 0) error = closed;
  // Nothing was made if that failed.
  if (error != 0) return std::unexpected(error);
  if (renameat2(AT_FDCWD, temporary->c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0)
    return name_of(path);
  error = errno;
  unlink(temporary->c_str());
  return std::unexpected(error);
}

// A file by a name with a marker, with its value, in one transaction; the name it has.
Answer<std::string> make_marked(const std::string& path, mode_t mode, const std::string& data) {
  // A descriptor for reading and writing commits by its first write, and that fails if another made
  // the name meanwhile.
  Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!file) return std::unexpected(errno == ELOOP || errno == EISDIR ? EEXIST : errno);
  // One that is yet to be made has no attributes.
  const bool numbered = mount::parse_marker(name_of(path)).sequential;
  if (!numbered && flistxattr(file.get(), nullptr, 0) > 0) return std::unexpected(EEXIST);
  const int error = write_whole(file.get(), data);
  if (error != 0) return std::unexpected(error == ESTALE ? EEXIST : error);
  return attribute(file.get(), "name");
}

Answer<std::string> make_empty(const std::string& path, mode_t mode) {
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!file) return std::unexpected(errno);
  return attribute(file.get(), "name");
}

// A file, so that nobody sees it without its value; the name it has.
Answer<std::string> make_file(const std::string& path, mode_t mode, const std::string& data) {
  if (data.empty()) return make_empty(path, mode);
  if (mount::parse_marker(name_of(path)).any) return make_marked(path, mode, data);
  return make_plain(path, mode, data);
}

Answer<void> make_other(const CreateCommand& command, const std::string& path) {
  if (command.kind == CreateCommand::Kind::kLink)
    return made(symlink(command.target.c_str(), path.c_str()));
  return made(mkdir(path.c_str(), command.mode.value_or(kDirectoryMode)));
}

Answer<std::string> name_with(const std::string& directory, ino_t ino) {
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(opendir(directory.c_str()), closedir);
  if (!listing) return std::unexpected(errno);
  while (const dirent* entry = readdir(listing.get())) {
    if (entry->d_ino == ino) return std::string(entry->d_name);
  }
  return std::unexpected(ESTALE);
}

// A directory or link with a number. No descriptor tells what mkdir(2) or symlink(2) made, so it is
// made under a name of ours and renamed to the sequential one, which keeps its inode number and
// type.
Answer<std::string> make_numbered(const CreateCommand& command) {
  const std::string directory = parent_of(command.path);
  const auto name = temporary_in(directory);
  if (!name) return std::unexpected(name.error());
  const std::string& temporary = *name;
  if (const auto other = make_other(command, temporary + markers_of(command, false)); !other)
    return std::unexpected(other.error());

  struct stat status {};

  auto done = made(lstat(temporary.c_str(), &status));
  if (done) done = made(rename(temporary.c_str(), (command.path + "@seq").c_str()));
  if (done) return name_with(directory, status.st_ino);
  const bool link = command.kind == CreateCommand::Kind::kLink;
  (void)(link ? unlink(temporary.c_str()) : rmdir(temporary.c_str()));
  return std::unexpected(done.error());
}

Answer<std::string> make(const CreateCommand& command, const std::string& data) {
  if (command.mode) umask(0);
  if (command.kind == CreateCommand::Kind::kFile)
    return make_file(marked_path(command), command.mode.value_or(kFileMode), data);
  if (command.sequential) return make_numbered(command);
  const auto other = make_other(command, marked_path(command));
  if (!other) return std::unexpected(other.error());
  return mount::parse_marker(name_of(command.path)).base;
}

Answer<void> require_directory(const CreateCommand& command) {
  std::string directory = parent_of(command.path);
  auto there = require_zkfs_directory(directory);
  while (!there && there.error() == ENOENT && command.parents &&
         directory_of(directory) != directory) {
    directory = directory_of(directory);
    there = require_zkfs_directory(directory);
  }
  if (!there || !command.parents) return there;
  return make_directories(parent_of(command.path));
}

}  // namespace

std::string marked_path(const CreateCommand& command) {
  return command.path + markers_of(command, command.sequential);
}

int run_create(const CreateCommand& asked) {
  CreateCommand command = asked;
  if (!command.sequential) command.path = without_slashes(command.path);
  const std::string directory = parent_of(command.path);
  Answer<std::string> data;
  if (command.data) data = *command.data == "-" ? read_all(STDIN_FILENO) : *command.data;
  if (!data) return complain_errno("standard input", data.error());
  if (const auto there = require_directory(command); !there) {
    if (there.error() == ENOENT) return complain(directory, "does not exist; -p makes it");
    return complain_errno(directory, there.error());
  }
  const auto name = make(command, *data);
  if (name) return print_all(joined(directory, *name) + "\n");
  if (name.error() == ENOTDIR)
    return complain(command.path, "cannot be made: what is above it is no directory");
  return complain_errno(command.path, name.error());
}

}  // namespace zkfs
