// SPDX-License-Identifier: Apache-2.0
#include "tests/system/shell.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <utility>

namespace zkfs::testing {
namespace {

int exit_status(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

[[noreturn]] void become(const std::vector<std::string>& arguments, int input, int output) {
  dup2(input, 0);
  dup2(output, 1);
  dup2(output, 2);
  closefrom(3);
  std::vector<char*> argv;
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  _exit(127);
}

int write_with(const std::string& path, const std::string& data, int flags) {
  const int fd = open(path.c_str(), flags | O_WRONLY | O_CLOEXEC, 0644);
  if (fd < 0) return errno;
  int result = 0;
  if (write(fd, data.data(), data.size()) != static_cast<ssize_t>(data.size())) result = errno;
  if (close(fd) != 0 && result == 0) result = errno;
  return result;
}

}  // namespace

Process Process::start(const std::vector<std::string>& arguments, const std::string& log) {
  const int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int output = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  Process process = start(arguments, input, output);
  close(input);
  close(output);
  return process;
}

Process Process::start(const std::vector<std::string>& arguments, int input, int output) {
  Process process;
  process.pid_ = fork();
  if (process.pid_ == 0) become(arguments, input, output);
  return process;
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), status_(other.status_) {}

Process& Process::operator=(Process&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(status_, other.status_);
  return *this;
}

Process::~Process() {
  if (!running()) return;
  signal(SIGKILL);
  signal(SIGCONT);
  wait(Seconds(10));
}

bool Process::running() {
  if (pid_ <= 0) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) == 0) return true;
  status_ = exit_status(status);
  pid_ = -1;
  return false;
}

void Process::signal(int number) const {
  if (pid_ > 0) kill(pid_, number);
}

int Process::wait(Millis limit) {
  if (pid_ > 0) {
    // A pidfd becomes readable at the end: no polling.
    const int fd = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
    pollfd item{fd, POLLIN, 0};
    (void)poll(&item, 1, static_cast<int>(limit.count()));
    close(fd);
    if (running()) return -1;
  }
  return status_;
}

CommandResult run(const std::string& command, Millis limit) {
  CommandResult result;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return result;
  const pid_t pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    become({"/bin/bash", "-c", command}, open("/dev/null", O_RDONLY), ends[1]);
  }
  close(ends[1]);
  const auto deadline = std::chrono::steady_clock::now() + limit;
  bool ended = false;
  while (!ended) {
    const auto left =
        std::chrono::duration_cast<Millis>(deadline - std::chrono::steady_clock::now());
    pollfd item{ends[0], POLLIN, 0};
    if (left.count() <= 0 || poll(&item, 1, static_cast<int>(left.count())) <= 0) break;
    char buffer[65536];
    const ssize_t size = read(ends[0], buffer, sizeof buffer);
    if (size <= 0) ended = true;
    if (size > 0) result.output.append(buffer, static_cast<std::size_t>(size));
  }
  close(ends[0]);
  if (!ended) kill(-pid, SIGKILL);
  int status = 0;
  waitpid(pid, &status, 0);
  if (ended) result.status = exit_status(status);
  return result;
}

bool eventually(const std::function<bool()>& condition, Millis limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    // There is no event to await on another process's state in general.
    (void)poll(nullptr, 0, 5);
  }
  return true;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

int write_file(const std::string& path, const std::string& data) {
  return write_with(path, data, O_CREAT | O_TRUNC);
}

int append_file(const std::string& path, const std::string& data) {
  return write_with(path, data, O_APPEND);
}

}  // namespace zkfs::testing
