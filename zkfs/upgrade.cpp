// SPDX-License-Identifier: Apache-2.0
#include "zkfs/upgrade.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include <fmt/format.h>
#include <spawn.h>

#include "mount/handover.pb.h"

namespace zkfs {
namespace {

constexpr const char* kVariable = "ZKFS_HANDOVER";

std::string absolute(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::absolute(path, ignored).lexically_normal().string();
}

std::unexpected<Problem> problem(std::string text) {
  return std::unexpected(Problem{std::move(text)});
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

void keep_through_exec(int fd) {
  fcntl(fd, F_SETFD, 0);
}

}  // namespace

SelfStart how_to_start(const ServeCommand& command) {
  SelfStart self;
  std::error_code failed;
  self.program = std::filesystem::read_symlink("/proc/self/exe", failed).string();
  std::vector<std::string>& words = self.arguments;
  words = {"zkfs", "serve", "--log-level", command.log_level};
  const auto add = [&words](const char* option, const std::string& value) {
    words.insert(words.end(), {option, value});
  };
  if (!command.config_file.empty()) add("--config", absolute(command.config_file));
  if (!command.data_dir.empty()) add("--data-dir", absolute(command.data_dir));
  for (const std::string& text : command.overrides) add("--set", text);
  if (command.keep) words.emplace_back("--keep");
  for (const std::string& text : command.mounts) {
    const auto comma = text.find(',');
    add("--mount",
        absolute(text.substr(0, comma)) + (comma == std::string::npos ? "" : text.substr(comma)));
  }
  for (const std::string& text : command.mount_options) add("-o", text);
  if (!command.mountpoint.empty()) words.push_back(absolute(command.mountpoint));
  return self;
}

// --- the probe ---

ProgramProbe::~ProgramProbe() {
  if (pid_ == 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

Expected<void> ProgramProbe::start(const std::string& program) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  std::vector<std::string> words{"zkfs", "--version"};
  const int error =
      posix_spawn(&pid_, program.c_str(), &actions, nullptr, pointers(words).data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error == 0) return {};
  pid_ = 0;
  return problem(fmt::format("{}: {}; put the new program there", program, std::strerror(error)));
}

std::optional<bool> ProgramProbe::ended() {
  int status = 0;
  if (pid_ == 0) return false;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return {};
  pid_ = 0;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// --- the change ---

Problem become(const SelfStart& self, const handover::Daemon& state) {
  const int memory = memfd_create("zkfs-handover", 0);
  const std::string bytes = state.SerializeAsString();
  if (memory < 0 || write(memory, bytes.data(), bytes.size()) != std::ssize(bytes)) {
    const int error = errno;
    if (memory >= 0) close(memory);
    return {fmt::format("a memfd of {} bytes: {}", bytes.size(), std::strerror(error))};
  }
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  keep_through_exec(memory);
  for (const handover::Mount& mount : state.mounts()) {
    keep_through_exec(mount.fuse());
    for (const handover::Process& process : mount.processes()) keep_through_exec(process.pidfd());
  }
  setenv(kVariable, std::to_string(memory).c_str(), 1);
  std::vector<std::string> words = self.arguments;
  execv(self.program.c_str(), pointers(words).data());
  return {fmt::format("{}: {}", self.program, std::strerror(errno))};
}

Expected<std::unique_ptr<handover::Daemon>> inheritance() {
  const char* text = std::getenv(kVariable);
  if (text == nullptr) return nullptr;
  int memory = -1;
  const auto [end, error] = std::from_chars(text, text + std::strlen(text), memory);
  unsetenv(kVariable);

  struct stat attr {};

  if (error != std::errc{} || *end != '\0' || fstat(memory, &attr) != 0) {
    return problem(fmt::format("{}={}: no descriptor of ours; unset it", kVariable, text));
  }
  std::string bytes(static_cast<std::size_t>(attr.st_size), '\0');
  const ssize_t count = pread(memory, bytes.data(), bytes.size(), 0);
  close(memory);
  auto state = std::make_unique<handover::Daemon>();
  if (count != std::ssize(bytes) || !state->ParseFromString(bytes)) {
    return problem("what the program before this one left cannot be read; start zkfs anew");
  }
  return state;
}

}  // namespace zkfs
