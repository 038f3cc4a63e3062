// SPDX-License-Identifier: Apache-2.0
// Writes one file per way of writing, through two mounts of an ensemble at once, and reads all of
// them through every mount: no read may be empty, short or mixed, and none may show a value older
// than one this reader has seen of the same writer (contract section 2).
//
//   zkfs_hammer [--seconds N] [--only WAY] [--may-fail] DIR DIR...
//
//   --seconds N    for how long (default 10)
//   --only WAY     one way of those that it prints
//   --may-fail     nodes come and go meanwhile: calls may fail, and a node that came back may lag;
//                  what is read must still be whole
//   DIR            the same directory of the ensemble, empty, through different mounts; the first
//                  two are written through (one may be given twice)
//
// Half of the readers read whole files, half 4 KiB at a time. Prints what was done and each wrong
// value. Exit code: 0 none was wrong, 1 some were, or a call failed, 2 misuse, 3 a call never
// returned.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "ensemble/base/random.h"
#include "tests/bench/hammer_ways.h"
#include "tests/bench/measure.h"

namespace zkfs::bench {
namespace {

constexpr std::size_t kPartBytes = 4096;
constexpr std::size_t kWholeBytes = 1U << 20U;
constexpr unsigned kReadersPerMount = 2;
constexpr unsigned kShownMax = 20;
constexpr auto kHangLimit = std::chrono::seconds(90);
constexpr int kPollMs = 20;

struct Options {
  std::chrono::seconds length{10};
  std::string only{};
  bool may_fail = false;
  std::vector<std::string> directories{};
};

struct Counts {
  std::atomic<std::uint64_t> writes = 0;
  std::atomic<std::uint64_t> conflicts = 0;
  std::atomic<std::uint64_t> failures = 0;
  std::atomic<std::uint64_t> reads = 0;
  std::atomic<std::uint64_t> wrong = 0;
};

class Hammer {
 public:
  explicit Hammer(Options options) : options_(std::move(options)) {
    std::string pattern = std::filesystem::temp_directory_path() / "zkfs-hammer-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) die_of_errno(pattern);
    scratch_ = pattern;
    for (const Way& way : all_ways()) {
      if (options_.only.empty() || way.name == options_.only) ways_.push_back(&way);
    }
    if (ways_.empty()) die(options_.only + ": no such way");
    counts_ = std::vector<Counts>(ways_.size());
  }

  ~Hammer() { std::filesystem::remove_all(scratch_); }

  Hammer(const Hammer&) = delete;
  Hammer& operator=(const Hammer&) = delete;

  int run();

 private:
  void fill();
  void write_on(std::size_t way, unsigned mount);
  void read_on(std::size_t mount, bool whole, unsigned seed);
  std::optional<std::string> read_once(const std::string& path, bool whole, std::string& why);
  void show(const std::string& text);
  bool await_end(const std::vector<std::string>& names);
  int report();

  [[nodiscard]] std::string path(std::size_t mount, std::size_t way) const {
    return fmt::format("{}/{}", options_.directories[mount], ways_[way]->name);
  }

  // Each thread counts its turns: one that does not move hangs.
  struct Turn {
    std::atomic<std::uint64_t> count = 0;
    std::atomic<bool> over = false;
  };

  Turn& new_turn() { return *turns_.emplace_back(std::make_unique<Turn>()); }

  Options options_;
  std::string scratch_;
  std::vector<const Way*> ways_;
  std::vector<Counts> counts_;
  std::vector<std::unique_ptr<Turn>> turns_;
  std::atomic<bool> stop_ = false;
  std::mutex shown_mutex_;
  unsigned shown_ = 0;
};

void Hammer::show(const std::string& text) {
  const std::lock_guard lock(shown_mutex_);
  if (++shown_ <= kShownMax) fmt::print("{}\n", text);
  if (shown_ == kShownMax) fmt::print("... and so on\n");
  std::fflush(stdout);
}

// Every file has a value before anyone reads, on every mount.
void Hammer::fill() {
  for (std::size_t way = 0; way < ways_.size(); ++way) {
    std::string why;
    const Attempt attempt{.directory = options_.directories[0],
                          .file = path(0, way),
                          .scratch = {},
                          .value = make_value(0, 0, ways_[way]->longest),
                          .writer = 0};
    // The link begins as a file: `mv` over it makes it one, and readers do not care.
    const Way& plain = *std::find_if(all_ways().begin(), all_ways().end(),
                                     [](const Way& each) { return each.name == "truncate"; });
    if (plain.write(attempt, why) != Written::kYes) die(attempt.file + ": " + why);
  }
  for (const std::string& directory : options_.directories) {
    const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) die_of_errno(directory);
    close(fd);
  }
}

void Hammer::write_on(std::size_t way, unsigned mount) {
  const Way& how = *ways_[way];
  const unsigned writer = mount + 1;
  Random random(way * 2 + writer);
  Attempt attempt{.directory = options_.directories[mount],
                  .file = path(mount, way),
                  .scratch = fmt::format("{}/{}-{}", scratch_, how.name, writer),
                  .value = {},
                  .writer = writer};
  Turn& turn = *turns_[way * 2 + mount];
  for (std::uint64_t serial = 1; !stop_; ++serial, ++turn.count) {
    // Mostly short, sometimes as long as can be.
    const std::size_t longest =
        random.chance(1, 4) ? how.longest : std::min(how.longest, how.shortest * 40);
    attempt.value = make_value(writer, serial, random.between(how.shortest, longest));
    if (how.uses_scratch) {
      FILE* file = std::fopen(attempt.scratch.c_str(), "w");
      if (file == nullptr) die_of_errno(attempt.scratch);
      std::fwrite(attempt.value.data(), 1, attempt.value.size(), file);
      std::fclose(file);
    }
    std::string why;
    switch (how.write(attempt, why)) {
      case Written::kYes:
        ++counts_[way].writes;
        break;
      case Written::kConflict:
        ++counts_[way].conflicts;
        break;
      case Written::kFailed:
        ++counts_[way].failures;
        if (!options_.may_fail) show(fmt::format("FAILED write {}: {}", attempt.file, why));
        if (options_.may_fail) (void)poll(nullptr, 0, kPollMs);
    }
  }
  turn.over = true;
}

std::optional<std::string> Hammer::read_once(const std::string& path,
                                             bool whole,
                                             std::string& why) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    why = fmt::format("open: {}", std::strerror(errno));
    return {};
  }
  const std::size_t part = whole ? kWholeBytes : kPartBytes;
  std::string text;
  ssize_t size = 0;
  do {
    const std::size_t before = text.size();
    text.resize(before + part);
    size = read(fd, text.data() + before, part);
    if (size < 0) why = fmt::format("read at {}: {}", before, std::strerror(errno));
    text.resize(before + static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  } while (size > 0);
  close(fd);
  if (size < 0) return {};
  return text;
}

void Hammer::read_on(std::size_t mount, bool whole, unsigned seed) {
  Turn& turn = *turns_[seed];
  Random random(seed);
  // The newest seen of each writer, by file.
  std::map<std::pair<std::size_t, unsigned>, std::uint64_t> newest;
  for (; !stop_; ++turn.count) {
    const std::size_t way = random.below(ways_.size());
    std::string why;
    const auto text = read_once(path(mount, way), whole, why);
    if (!text) {
      ++counts_[way].failures;
      if (!options_.may_fail) show(fmt::format("FAILED read {}: {}", path(mount, way), why));
      if (options_.may_fail) (void)poll(nullptr, 0, kPollMs);
      continue;
    }
    ++counts_[way].reads;
    const auto authors = authors_of(*text, why);
    if (why.empty() && authors.size() > ways_[way]->values) why = "more than one value";
    for (const Author& author : authors) {
      auto& last = newest[{way, author.writer}];
      if (author.serial < last && !options_.may_fail && ways_[way]->ordered) {
        why =
            fmt::format("value {} of writer {} after value {}", author.serial, author.writer, last);
      }
      last = std::max(last, author.serial);
    }
    if (why.empty()) continue;
    ++counts_[way].wrong;
    show(fmt::format("WRONG {} ({}): {}", path(mount, way), whole ? "whole" : "4 KiB reads", why));
  }
  turn.over = true;
}

// True once all threads have ended; false if some do not move any more.
bool Hammer::await_end(const std::vector<std::string>& names) {
  std::vector<std::pair<std::uint64_t, Clock::time_point>> last(turns_.size());
  const auto end = Clock::now() + options_.length;
  for (auto& each : last) each = {0, Clock::now()};
  for (bool running = true; running;) {
    (void)poll(nullptr, 0, kPollMs);
    const auto now = Clock::now();
    if (now >= end) stop_ = true;
    running = false;
    bool hangs = false;
    for (std::size_t i = 0; i < turns_.size(); ++i) {
      if (turns_[i]->over) continue;
      running = true;
      if (const std::uint64_t count = turns_[i]->count; count != last[i].first)
        last[i] = {count, now};
      if (now - last[i].second < kHangLimit) continue;
      hangs = true;
      fmt::print("HANGS {}\n", names[i]);
    }
    if (hangs) return false;
  }
  return true;
}

int Hammer::report() {
  bool good = true;
  fmt::print("{:<10} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "way", "writes", "conflicts", "failures",
             "reads", "wrong");
  for (std::size_t way = 0; way < ways_.size(); ++way) {
    const Counts& counts = counts_[way];
    fmt::print("{:<10} {:>9} {:>9} {:>9} {:>9} {:>9}\n", ways_[way]->name, counts.writes.load(),
               counts.conflicts.load(), counts.failures.load(), counts.reads.load(),
               counts.wrong.load());
    if (counts.wrong != 0 || (counts.failures != 0 && !options_.may_fail)) good = false;
    if (counts.writes == 0 || counts.reads == 0) good = false;
  }
  return good ? 0 : 1;
}

int Hammer::run() {
  fill();
  std::vector<std::string> names;
  for (std::size_t way = 0; way < ways_.size(); ++way) {
    for (unsigned mount = 0; mount < 2; ++mount) {
      new_turn();
      names.push_back(fmt::format("writing {}", path(mount, way)));
    }
  }
  const std::size_t writers = names.size();
  for (const std::string& directory : options_.directories) {
    for (unsigned i = 0; i < kReadersPerMount; ++i) {
      new_turn();
      names.push_back("reading " + directory);
    }
  }
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < writers; ++i) {
    threads.emplace_back([this, i] { write_on(i / 2, static_cast<unsigned>(i % 2)); });
  }
  for (std::size_t i = writers; i < names.size(); ++i) {
    threads.emplace_back([this, i, writers] {
      read_on((i - writers) / kReadersPerMount, (i - writers) % 2 == 0, static_cast<unsigned>(i));
    });
  }
  const bool ended = await_end(names);
  const int result = report();
  std::fflush(stdout);
  if (!ended) _exit(3);
  for (std::thread& thread : threads) thread.join();
  return result;
}

Options parse(const std::vector<std::string>& words) {
  Options options;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool has_value = i + 1 < words.size();
    if (words[i] == "--seconds" && has_value) {
      options.length = std::chrono::seconds(number(words[++i]));
    } else if (words[i] == "--only" && has_value) {
      options.only = words[++i];
    } else if (words[i] == "--may-fail") {
      options.may_fail = true;
    } else if (!words[i].starts_with("--")) {
      options.directories.push_back(words[i]);
    } else {
      options.directories.clear();
      break;
    }
  }
  if (options.directories.size() < 2) {
    fmt::print(stderr, "usage: zkfs_hammer [--seconds N] [--only WAY] [--may-fail] DIR DIR...\n");
    std::exit(2);
  }
  return options;
}

}  // namespace
}  // namespace zkfs::bench

int main(int argc, char** argv) {
  return zkfs::bench::Hammer(zkfs::bench::parse({argv + 1, argv + argc})).run();
}
