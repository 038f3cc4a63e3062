// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/fs_load.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>

#include <spawn.h>

#include "tests/bench/measure.h"

extern char** environ;

namespace zkfs::bench {
namespace {

constexpr std::size_t kValueBytes = 100;
constexpr std::size_t kFiles = 100;       // that reads and stats go over
constexpr std::size_t kAppendsMax = 100;  // to one file before it starts anew
constexpr std::size_t kSamplesMin = 3;    // in a round, however long one takes
constexpr std::size_t kFillers = 16;      // threads that make the directory to be listed
constexpr int kEventLimitMs = 5000;

// --- which core ---

enum class Cores { kSame, kApart, kFree };

struct Placement {
  Cores cores;
  std::string_view word;
  std::string_view text;
};

constexpr std::array<Placement, 3> kPlacements{{
    {Cores::kSame, "same", "caller and servers on one core"},
    {Cores::kApart, "apart", "caller on one core, servers on another"},
    {Cores::kFree, "free", "where the scheduler puts them"},
}};

cpu_set_t only(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  return set;
}

// A server may have ended a thread meanwhile: that is no error.
void pin(const std::vector<pid_t>& processes, const cpu_set_t& set) {
  for (const pid_t process : processes) {
    std::error_code gone;
    std::filesystem::directory_iterator tasks(fmt::format("/proc/{}/task", process), gone);
    if (gone) die(fmt::format("process {}, a server to be measured, is gone", process));
    for (const auto& task : tasks) {
      sched_setaffinity(std::stoi(task.path().filename()), sizeof set, &set);
    }
  }
}

// --- a directory under measurement ---

using Samples = std::vector<double>;

// Until `deadline`, and at least some.
template <typename F>
void repeat(Samples& samples, Clock::time_point deadline, F&& once) {
  do {
    const auto begun = Clock::now();
    once();
    samples.push_back(micros(Clock::now() - begun));
  } while (samples.size() < kSamplesMin || Clock::now() < deadline);
}

void write_value(const std::string& path, int flags, std::string_view value) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
  if (file < 0) die_of_errno(path);
  if (write(file, value.data(), value.size()) != static_cast<ssize_t>(value.size()) ||
      close(file) != 0) {
    die_of_errno(path);
  }
}

std::string read_value(const std::string& path) {
  std::array<char, 4096> buffer{};
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) die_of_errno(path);
  const ssize_t size = read(file, buffer.data(), buffer.size());
  if (size < 0) die_of_errno(path);
  close(file);
  return {buffer.data(), static_cast<std::size_t>(size)};
}

class Site {
 public:
  Site(std::string directory, std::string other, std::size_t entries)
      : directory_(std::move(directory)), other_(std::move(other)), entries_(entries) {
    if (mkdir(directory_.c_str(), 0755) != 0 || mkdir(at("many").c_str(), 0755) != 0) {
      die_of_errno(directory_);
    }
    for (std::size_t i = 0; i < kFiles; ++i) write_value(file(i), O_TRUNC, value_);
    std::vector<std::jthread> fillers;
    for (std::size_t filler = 0; filler < kFillers; ++filler) {
      fillers.emplace_back([this, filler] {
        for (std::size_t i = filler; i < entries_; i += kFillers) {
          write_value(at(fmt::format("many/entry-{}", i)), O_TRUNC, value_);
        }
      });
    }
  }

  // The operations; `second` is for those that time two.
  void read(Samples& samples, Samples& /*second*/, Clock::time_point deadline) {
    std::size_t next = 0;
    repeat(samples, deadline, [&] {
      if (read_value(file(next++)).size() != kValueBytes) die(directory_ + ": a short read");
    });
  }

  void pread(Samples& samples, Samples& /*second*/, Clock::time_point deadline) {
    const int open_file = open(file(0).c_str(), O_RDONLY | O_CLOEXEC);
    if (open_file < 0) die_of_errno(file(0));
    std::array<char, 4096> buffer{};
    repeat(samples, deadline, [&] {
      if (::pread(open_file, buffer.data(), buffer.size(), 0) != ssize_t{kValueBytes})
        die(directory_ + ": a short read");
    });
    close(open_file);
  }

  void stat(Samples& samples, Samples& /*second*/, Clock::time_point deadline) {
    std::size_t next = 0;
    repeat(samples, deadline, [&] {
      struct stat attributes {};

      if (::stat(file(next++).c_str(), &attributes) != 0) die_of_errno(file(next - 1));
    });
  }

  void list(Samples& samples, Samples& /*second*/, Clock::time_point deadline) {
    repeat(samples, deadline, [&] {
      DIR* listing = opendir(at("many").c_str());
      if (listing == nullptr) die_of_errno(at("many"));
      std::size_t count = 0;
      while (const dirent* entry = readdir(listing)) count += entry->d_name[0] != '.' ? 1 : 0;
      closedir(listing);
      if (count != entries_) die(fmt::format("{}: {} entries", at("many"), count));
    });
  }

  void echo(Samples& samples, Samples& /*second*/, Clock::time_point deadline) {
    const std::string path = at(fmt::format("echo-{}", gettid()));
    repeat(samples, deadline, [&] { write_value(path, O_TRUNC, value_); });
  }

  void create_and_unlink(Samples& samples, Samples& second, Clock::time_point deadline) {
    std::size_t made = 0;
    const auto name = [&](std::size_t i) { return at(fmt::format("new-{}", i)); };
    repeat(samples, deadline, [&] { write_value(name(made++), O_TRUNC, value_); });
    for (std::size_t i = 0; i < made; ++i) {
      const auto begun = Clock::now();
      if (unlink(name(i).c_str()) != 0) die_of_errno(name(i));
      second.push_back(micros(Clock::now() - begun));
    }
  }

  void append(Samples& samples, Samples& /*second*/, Clock::time_point deadline) {
    do {
      write_value(at("log"), O_TRUNC, "");
      for (std::size_t i = 0; i < kAppendsMax && Clock::now() < deadline; ++i) {
        const auto begun = Clock::now();
        write_value(at("log"), O_APPEND, value_);
        samples.push_back(micros(Clock::now() - begun));
      }
    } while (Clock::now() < deadline);
  }

  void replace(Samples& samples, Samples& /*second*/, Clock::time_point deadline) {
    repeat(samples, deadline, [&] {
      write_value(at("temporary"), O_TRUNC, value_);
      if (rename(at("temporary").c_str(), at("replaced").c_str()) != 0)
        die_of_errno(at("temporary"));
    });
  }

  void run_cat(Samples& samples, Samples& /*second*/, Clock::time_point deadline) {
    repeat(samples, deadline, [&] { run({"cat", file(0)}); });
  }

  void run_echo(Samples& samples, Samples& /*second*/, Clock::time_point deadline) {
    const std::string command = "echo x > " + at("shell");
    repeat(samples, deadline, [&] { run({"sh", "-c", command}); });
  }

  void event(Samples& samples, Samples& second, Clock::time_point deadline);

  // Of all rounds: events that did not come in time, and values older than the event told.
  std::size_t lost_events = 0;
  std::size_t stale_values = 0;

 private:
  [[nodiscard]] std::string at(std::string_view name) const {
    return fmt::format("{}/{}", directory_, name);
  }

  [[nodiscard]] std::string file(std::size_t i) const {
    return fmt::format("{}/file-{}", directory_, i % kFiles);
  }

  static void run(std::vector<std::string> words) {
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t process = 0;
    int status = posix_spawnp(&process, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (status == 0) waitpid(process, &status, 0);
    if (status != 0) die(fmt::format("{} {} failed", words[0], words.back()));
  }

  std::string directory_;
  std::string other_;
  std::size_t entries_;
  std::size_t watched_ = 0;  // the value of the file whose events are awaited
  std::string value_ = std::string(kValueBytes - 1, 'v') + '\n';
};

// Written here, awaited there, one at a time. The watcher is a thread that blocks, as a program's
// would; it takes the time when it has read the event.
void Site::event(Samples& samples, Samples& /*second*/, Clock::time_point deadline) {
  const int events = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (events < 0 || inotify_add_watch(events, other_.c_str(), IN_CLOSE_WRITE) < 0)
    die_of_errno(other_);
  const auto await = [&]() -> std::optional<Clock::time_point> {
    alignas(inotify_event) std::array<char, 4096> buffer{};
    pollfd item{events, POLLIN, 0};
    if (poll(&item, 1, kEventLimitMs) != 1) return {};
    (void)::read(events, buffer.data(), buffer.size());
    return Clock::now();
  };
  const auto write_and_await = [&]() -> std::optional<double> {
    std::optional<Clock::time_point> seen;
    Clock::time_point begun;
    {
      const std::jthread watcher([&] { seen = await(); });
      begun = Clock::now();
      write_value(at("watched"), O_TRUNC, std::to_string(++watched_));
    }
    if (!seen) {
      if (++lost_events > 3) die(other_ + ": events do not come");
      return {};
    }
    if (std::stoul(read_value(other_ + "/watched")) < watched_) ++stale_values;
    return micros(*seen - begun);
  };
  write_and_await();  // not counted: what there was before the watch has passed then
  while (samples.size() < kSamplesMin || Clock::now() < deadline) {
    if (const auto time = write_and_await()) samples.push_back(*time);
  }
  close(events);
}

// --- operations, rounds, table ---

struct Operation {
  std::string name;
  std::string second;  // what is timed on the side; may be empty
  void (Site::*run)(Samples&, Samples&, Clock::time_point);
  std::size_t callers = 1;
  std::size_t row = 0;  // in the record of the peers' figures
};

const std::array<Operation, 13> kOperations{{
    {"open+read+close", "", &Site::read, 1, 23},
    {"open+read+close, 4 callers", "", &Site::read, 4, 24},
    {"stat", "", &Site::stat, 1, 25},
    {"pread", "", &Site::pread, 1, 25},
    {"echo >", "", &Site::echo, 1, 26},
    {"echo >, 8 callers", "", &Site::echo, 8, 27},
    {"append", "", &Site::append, 1, 28},
    {"create", "unlink", &Site::create_and_unlink, 1, 28},
    {"write temporary, rename", "", &Site::replace, 1, 29},
    {"readdir", "", &Site::list, 1, 30},
    {"event of a write", "", &Site::event, 1, 31},
    {"process: cat FILE", "", &Site::run_cat, 1, 32},
    {"process: echo x > FILE", "", &Site::run_echo, 1, 32},
}};

struct Figures {
  Samples medians;  // one of each round
  Samples all;

  void add(const Samples& round) {
    medians.push_back(at_fraction(round, 0.5));
    all.insert(all.end(), round.begin(), round.end());
  }
};

struct Target {
  std::string name;
  std::string directory;
  std::string other;
  std::vector<pid_t> servers;
  std::unique_ptr<Site> site;
};

Target parse_target(const std::string& word) {
  const std::size_t equals = word.find('=');
  if (equals == std::string::npos) die(word + ": give NAME=DIR[:DIR2][@PID[,PID]...]");
  Target target{.name = word.substr(0, equals),
                .directory = word.substr(equals + 1),
                .other = {},
                .servers = {},
                .site = {}};
  if (const auto sign = target.directory.find('@'); sign != std::string::npos) {
    std::string pids = target.directory.substr(sign + 1);
    target.directory.erase(sign);
    while (!pids.empty()) {
      const auto comma = pids.find(',');
      target.servers.push_back(static_cast<pid_t>(number(pids.substr(0, comma))));
      pids.erase(0, comma == std::string::npos ? comma : comma + 1);
    }
  }
  target.other = target.directory;
  if (const auto colon = target.directory.find(':'); colon != std::string::npos) {
    target.other = target.directory.substr(colon + 1);
    target.directory.erase(colon);
  }
  return target;
}

struct Options {
  std::size_t rounds = 20;
  std::chrono::milliseconds length{100};
  std::size_t entries = 10'000;
  std::vector<Placement> placements{};
  std::string operation{};  // with which the names of those measured begin
  std::vector<Target> targets{};
};

std::vector<Placement> parse_placements(std::string words) {
  std::vector<Placement> result;
  while (!words.empty()) {
    const auto comma = words.find(',');
    const std::string word = words.substr(0, comma);
    const auto found = std::find_if(kPlacements.begin(), kPlacements.end(),
                                    [&](const Placement& each) { return each.word == word; });
    if (found == kPlacements.end()) die(word + ": give same, apart or free");
    result.push_back(*found);
    words.erase(0, comma == std::string::npos ? comma : comma + 1);
  }
  return result;
}

Options parse(const std::vector<std::string>& words) {
  Options options;
  options.placements.assign(kPlacements.begin(), kPlacements.end());
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (!words[i].starts_with("--")) {
      options.targets.push_back(parse_target(words[i]));
      continue;
    }
    if (i + 1 == words.size()) die(words[i] + " needs a value");
    const std::string& value = words[i + 1];
    if (words[i] == "--rounds") {
      options.rounds = number(value);
    } else if (words[i] == "--round-ms") {
      options.length = std::chrono::milliseconds(number(value));
    } else if (words[i] == "--entries") {
      options.entries = number(value);
    } else if (words[i] == "--operation") {
      options.operation = value;
    } else if (words[i] == "--cores") {
      options.placements = parse_placements(value);
    } else {
      die(words[i] + ": unknown option");
    }
    ++i;
  }
  if (options.targets.size() < 2) die("fs: give at least two targets");
  return options;
}

void run_round(const Operation& operation,
               Site& site,
               Clock::time_point deadline,
               Samples& samples,
               Samples& second) {
  if (operation.callers == 1) return (site.*operation.run)(samples, second, deadline);
  std::vector<std::array<Samples, 2>> own(operation.callers);
  {
    std::vector<std::jthread> callers;
    for (auto& [first, other] : own) {
      callers.emplace_back(
          [&, to = &first, side = &other] { (site.*operation.run)(*to, *side, deadline); });
    }
  }
  for (const auto& [first, other] : own) samples.insert(samples.end(), first.begin(), first.end());
}

void print(const std::string& title,
           std::size_t row,
           const std::vector<Target>& targets,
           const std::vector<Figures>& figures) {
  const std::size_t name_width = 22;
  fmt::print("\n{} (row {})\n{:<{}} {:>9} {:>9} {:>9} {:>8}", title, row, "target", name_width,
             "p50 us", "best q", "p99 us", "samples");
  for (std::size_t i = 0; i < 2; ++i) fmt::print(" {:>10} {:>8}", "x " + targets[i].name, "best q");
  fmt::print("\n");
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const auto& own = figures[i];
    const double p50 = at_fraction(own.medians, 0.5);
    const double best = at_fraction(own.medians, 0.25);
    fmt::print("{:<{}} {:>9.1f} {:>9.1f} {:>9.0f} {:>8}", targets[i].name, name_width, p50, best,
               at_fraction(own.all, 0.99), own.all.size());
    for (std::size_t base = 0; base < 2; ++base) {
      fmt::print(" {:>10.2f} {:>8.2f}", p50 / at_fraction(figures[base].medians, 0.5),
                 best / at_fraction(figures[base].medians, 0.25));
    }
    fmt::print("\n");
  }
  std::fflush(stdout);
}

void measure(const Operation& operation, Options& options) {
  std::vector<Figures> first(options.targets.size());
  std::vector<Figures> second(options.targets.size());
  for (std::size_t round = 0; round < options.rounds; ++round) {
    for (std::size_t i = 0; i < options.targets.size(); ++i) {
      Samples samples;
      Samples side;
      run_round(operation, *options.targets[i].site, Clock::now() + options.length, samples, side);
      first[i].add(samples);
      second[i].add(side);
    }
  }
  print(operation.name, operation.row, options.targets, first);
  if (!operation.second.empty()) print(operation.second, operation.row, options.targets, second);
}

void place(const Placement& placement, const std::vector<Target>& targets, const cpu_set_t& all) {
  std::vector<int> cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &all)) cores.push_back(core);
  }
  const bool free = placement.cores == Cores::kFree;
  const cpu_set_t own = free ? all : only(cores.front());
  const int servers = placement.cores == Cores::kApart ? cores.back() : cores.front();
  sched_setaffinity(0, sizeof own, &own);
  for (const Target& target : targets) pin(target.servers, free ? all : only(servers));
}

}  // namespace

int run_fs_load(const std::vector<std::string>& words) {
  Options options = parse(words);
  cpu_set_t all;
  if (sched_getaffinity(0, sizeof all, &all) != 0) die_of_errno("sched_getaffinity");
  for (Target& target : options.targets) {
    target.site = std::make_unique<Site>(target.directory, target.other, options.entries);
  }
  for (const Placement& placement : options.placements) {
    if (placement.cores == Cores::kApart && CPU_COUNT(&all) < 2) continue;
    fmt::print("\n=== {} ===\n", placement.text);
    place(placement, options.targets, all);
    for (const Operation& operation : kOperations) {
      if (operation.name.starts_with(options.operation)) measure(operation, options);
    }
  }
  place(kPlacements.back(), options.targets, all);
  for (const Target& target : options.targets) {
    if (target.site->lost_events + target.site->stale_values == 0) continue;
    fmt::print("\n{}: {} events lost, {} values older than their event\n", target.name,
               target.site->lost_events, target.site->stale_values);
    return 1;
  }
  return 0;
}

}  // namespace zkfs::bench
