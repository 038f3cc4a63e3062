// SPDX-License-Identifier: Apache-2.0
#include "zkfs/mount_helper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "mount/mount.h"
#include "zkfs/control_socket.h"
#include "zkfs/daemon.h"
#include "zkfs/mounts.h"

namespace zkfs {
namespace {

// How long a server of this directory that is just ending, or just beginning, is waited for.
constexpr std::chrono::seconds kBusyWait{20};
constexpr int kBusyPollMs = 50;
constexpr Millis kAnswerWait{30'000};
constexpr std::uintmax_t kLogBytesMax = 16U << 20U;

std::unexpected<Problem> problem(std::string text) {
  return std::unexpected(Problem{std::move(text)});
}

int complain(const std::string& text, int code) {
  fmt::print(stderr, "mount.zkfs: {}\n", text);
  return code;
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const auto comma = text.find(',');
    if (comma != 0) parts.push_back(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
  }
  return parts;
}

// Each known or, if sloppy, left out.
Expected<std::string> checked_options(const MountHelperLine& line) {
  std::string options;
  for (const std::string_view option : split(line.options)) {
    if (option == "remount")
      return problem("remount: options of a zkfs cannot be changed; unmount it and mount it anew");
    mount::MountOptions scratch;
    if (auto known = mount::parse_mount_options(std::string(option), scratch); !known) {
      if (line.sloppy) continue;
      return std::unexpected(std::move(known).error());
    }
    options.append(options.empty() ? "" : ",").append(option);
  }
  // What findmnt shows and `mount -a` compares with fstab.
  if (line.source.find(',') == std::string::npos && options.find("fsname=") == std::string::npos)
    options.append(options.empty() ? "" : ",").append("fsname=").append(line.source);
  return options;
}

// The server's process: nothing of the caller's but its environment.
[[noreturn]] void become_server(const MountHelperLine& line,
                                const ConfigSource& source,
                                const std::string& data_dir,
                                int report) {
  setsid();
  const std::string log = data_dir + "/zkfs.log";
  std::error_code ignored;
  if (std::filesystem::file_size(log, ignored) > kLogBytesMax && !ignored)
    std::filesystem::rename(log, log + ".1", ignored);
  const int null = open("/dev/null", O_RDWR);
  int output = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (output < 0) output = null;
  dup2(null, STDIN_FILENO);
  dup2(null, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  if (report != 3) dup2(report, 3);
  close_range(4, ~0U, 0);
  fcntl(3, F_SETFD, FD_CLOEXEC);
  // It is nobody's service, whoever called.
  for (const char* variable : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
    unsetenv(variable);
  ServeCommand command;
  command.config_file = source.file;
  command.data_dir = source.data_dir;
  command.mountpoint = line.mountpoint;
  command.mount_options = {line.options};
  const int code = run_serve(command, [](const std::string& failure) {
    const std::string text = failure.empty() ? "ok" : failure;
    (void)!write(3, text.data(), text.size());
    close(3);
  });
  std::fflush(nullptr);
  _exit(code);
}

// Empty if the mount is usable; otherwise the line.
std::string start_server(const MountHelperLine& line,
                         const ConfigSource& source,
                         const std::string& data_dir) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return fmt::format("pipe: {}", std::strerror(errno));
  const pid_t child = fork();
  if (child == 0) become_server(line, source, data_dir, ends[1]);
  const int error = errno;
  close(ends[1]);
  std::string answer;
  char buffer[4096];
  for (ssize_t count = 0; child > 0; answer.append(buffer, static_cast<std::size_t>(count))) {
    count = read(ends[0], buffer, sizeof buffer);
    if (count < 0 && errno == EINTR)
      count = 0;
    else if (count <= 0)
      break;
  }
  close(ends[0]);
  if (child < 0) return fmt::format("fork: {}", std::strerror(error));
  if (answer == "ok") return "";
  return answer.empty() ? fmt::format("the server died as it started; see {}/zkfs.log", data_dir)
                        : answer;
}

// True while a server, which may not listen yet or not any more, has the directory.
bool is_locked(const std::string& data_dir) {
  const int fd = open((data_dir + "/version-2/zkfs.lock").c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool locked = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  close(fd);
  return locked;
}

int mount_one(const MountHelperLine& line,
              const ConfigSource& source,
              const std::string& data_dir) {
  const auto deadline = std::chrono::steady_clock::now() + kBusyWait;
  for (;;) {
    const ServerAnswer answer =
        ask_server(data_dir, {"mount", line.mountpoint, line.options}, kAnswerWait);
    std::string failure = answer.problem;
    if (answer.running && failure.empty()) return kMountDone;
    const bool busy = answer.running ? failure == kStoppingAnswer : is_locked(data_dir);
    if (!answer.running && !busy) {
      failure = start_server(line, source, data_dir);
      return failure.empty() ? kMountDone : complain(failure, kMountFailed);
    }
    if (!busy) return complain(failure, kMountFailed);
    if (std::chrono::steady_clock::now() > deadline)
      return complain(fmt::format("{}: a server has this directory and does not listen; see "
                                  "its log",
                                  data_dir),
                      kMountFailed);
    poll(nullptr, 0, kBusyPollMs);
  }
}

}  // namespace

bool is_mount_helper(const char* program) {
  return program != nullptr && std::filesystem::path(program).filename().string() == "mount.zkfs";
}

Expected<MountHelperLine> parse_mount_helper_line(int argc, const char* const* argv) {
  constexpr const char* kUsage = "usage: mount.zkfs SOURCE DIR [-sfnv] [-o OPTIONS]";
  MountHelperLine line;
  std::vector<std::string> places;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word.size() < 2 || word[0] != '-') {
      places.emplace_back(word);
      continue;
    }
    for (std::size_t at = 1; at < word.size(); ++at) {
      const char flag = word[at];
      if (flag == 'f') line.fake = true;
      if (flag == 'v') line.verbose = true;
      if (flag == 's') line.sloppy = true;
      if (std::string_view("fvsn").find(flag) != std::string_view::npos) continue;
      if (flag != 'o' && flag != 't')
        return problem(fmt::format("unknown option -{}; {}", flag, kUsage));
      const bool attached = at + 1 < word.size();
      if (!attached && i + 1 >= argc)
        return problem(fmt::format("-{} has no value; {}", flag, kUsage));
      const std::string value(attached ? word.substr(at + 1) : std::string_view(argv[++i]));
      if (flag == 'o') line.options.append(line.options.empty() ? "" : ",").append(value);
      break;
    }
  }
  if (places.size() != 2) return problem(kUsage);
  line.source = std::move(places[0]);
  line.mountpoint = std::move(places[1]);
  return line;
}

Expected<ConfigSource> config_source_of(const std::string& source) {
  if (source == "zkfs" || source == "none") return ConfigSource{};
  std::error_code failed;
  const auto path = std::filesystem::canonical(source, failed);
  if (failed)
    return problem(
        fmt::format("{}: {}; name a zoo.cfg, a data directory, or zkfs for a server of its own",
                    source, failed.message()));
  if (std::filesystem::is_directory(path)) return ConfigSource{"", path.string(), {}};
  return ConfigSource{path.string(), "", {}};
}

int run_mount_helper(int argc, const char* const* argv) {
  auto line = parse_mount_helper_line(argc, argv);
  if (!line) return complain(line.error().text, kMountMisuse);
  auto options = checked_options(*line);
  if (!options) return complain(options.error().text, kMountMisuse);
  line->options = std::move(*options);
  const auto source = config_source_of(line->source);
  if (!source) return complain(source.error().text, kMountFailed);
  const auto config = load_config(*source);
  if (!config) return complain(config.error().text, kMountFailed);
  if (line->fake) return kMountDone;
  // Here and not in the server: it must not look up what may lie on its own mount.
  line->mountpoint = resolved_mountpoint(line->mountpoint);

  // As the server makes it: other users' eyes have no business there.
  umask(0077);
  std::error_code failed;
  std::filesystem::create_directories(config->data_dir, failed);
  const int directory = open(config->data_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0)
    return complain(fmt::format("{}: {}", config->data_dir, std::strerror(errno)), kMountFailed);
  while (flock(directory, LOCK_EX) != 0 && errno == EINTR) continue;
  const int code = mount_one(*line, *source, config->data_dir);
  if (code == kMountDone && line->verbose)
    fmt::print("mount.zkfs: {} mounted on {}\n", line->source, line->mountpoint);
  return code;
}

}  // namespace zkfs
