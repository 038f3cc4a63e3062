// SPDX-License-Identifier: Apache-2.0
// The load of scripts/bench. Measures through plain system calls, as a user's programs would see
// it: `echo x > FILE` is open(O_TRUNC), write, close.
//
//   zkfs_bench latency ROUNDS OPS TARGET...           one caller
//   zkfs_bench throughput ROUNDS OPS THREADS TARGET...  THREADS callers, a file each
//   zkfs_bench outage FILE SECONDS                    writes on and on; the longest time without
//   zkfs_bench fs [OPTIONS] TARGET...                 what small files cost; see fs_load.h
//
// TARGET is NAME=FILE (echo >) or NAME=raw:FILE (512 bytes appended to a laid-out file, fdatasync).
// Rounds are interleaved: each goes over all targets, so that a disturbance of the machine meets
// them alike. Shown are medians over the rounds and ratios to the first target.
#include <fcntl.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/bench/fs_load.h"
#include "tests/bench/measure.h"

namespace zkfs::bench {
namespace {

constexpr std::size_t kRawBytes = 512;
constexpr std::size_t kRawFileBytes = 32U << 20U;

// False with errno if any of the three calls fails.
bool echo_into(const std::string& path, std::string_view text) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return false;
  const bool written = write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int error = errno;
  const bool closed = close(file) == 0;
  if (!written) errno = error;
  return written && closed;
}

// One caller's work: prepares its file, then performs one operation a call.
class Caller {
 public:
  Caller(std::string path, bool raw) : path_(std::move(path)), raw_(raw) {
    if (!raw_) {
      // A name of its own: one that another node has just removed may still be seen here, and a
      // write to it is then ESTALE, as the contract has it.
      static int serial = 0;
      path_ += fmt::format(".{}.{}", getpid(), ++serial);
      if (!echo_into(path_, text_)) die_of_errno(path_);
      return;
    }
    file_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    const std::string zeros(kRawFileBytes, '\0');
    if (file_ < 0 || pwrite(file_, zeros.data(), zeros.size(), 0) != ssize_t(zeros.size()) ||
        fsync(file_) != 0)
      die_of_errno(path_);
  }

  ~Caller() {
    if (file_ >= 0) close(file_);
    unlink(path_.c_str());
  }

  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  void operate() {
    if (!raw_) {
      if (!echo_into(path_, text_)) die_of_errno(path_);
      return;
    }
    const std::string block(kRawBytes, 'x');
    if (pwrite(file_, block.data(), block.size(), static_cast<off_t>(offset_)) !=
            ssize_t(kRawBytes) ||
        fdatasync(file_) != 0)
      die_of_errno(path_);
    offset_ = (offset_ + kRawBytes) % kRawFileBytes;
  }

 private:
  std::string path_;
  std::string text_ = std::string(99, 'v') + '\n';
  bool raw_;
  int file_ = -1;
  std::size_t offset_ = 0;
};

struct Round {
  double p50 = 0;
  double p99 = 0;
  double per_second = 0;
};

struct Target {
  std::string name;
  std::string path;
  bool raw = false;
  std::vector<Round> rounds = {};
};

Target parse_target(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) die(fmt::format("{}: give NAME=FILE", text));
  Target target{.name = std::string(text.substr(0, equals)),
                .path = std::string(text.substr(equals + 1))};
  target.raw = target.path.starts_with("raw:");
  if (target.raw) target.path.erase(0, 4);
  return target;
}

Round run_round(const Target& target, std::size_t operations, std::size_t threads) {
  std::vector<std::vector<double>> times(threads);
  std::vector<std::unique_ptr<Caller>> callers;
  for (std::size_t i = 0; i < threads; ++i)
    callers.push_back(std::make_unique<Caller>(fmt::format("{}.{}", target.path, i), target.raw));
  const auto begun = Clock::now();
  {
    std::vector<std::jthread> workers;
    for (std::size_t i = 0; i < threads; ++i)
      workers.emplace_back([&own = times[i], caller = callers[i].get(), operations] {
        own.reserve(operations);
        for (std::size_t n = 0; n < operations; ++n) {
          const auto start = Clock::now();
          caller->operate();
          own.push_back(micros(Clock::now() - start));
        }
      });
  }
  const double seconds = micros(Clock::now() - begun) / 1e6;
  std::vector<double> all;
  for (const auto& own : times) all.insert(all.end(), own.begin(), own.end());
  return {.p50 = at_fraction(all, 0.5),
          .p99 = at_fraction(all, 0.99),
          .per_second = static_cast<double>(operations * threads) / seconds};
}

double median_of(const Target& target, double Round::*field) {
  std::vector<double> values;
  for (const Round& round : target.rounds) values.push_back(round.*field);
  return at_fraction(values, 0.5);
}

int run_load(std::size_t rounds,
             std::size_t operations,
             std::size_t threads,
             std::vector<Target> targets) {
  for (Target& target : targets) run_round(target, std::max<std::size_t>(1, operations / 10), 1);
  for (std::size_t i = 0; i < rounds; ++i)
    for (Target& target : targets) target.rounds.push_back(run_round(target, operations, threads));
  fmt::print("{:<24} {:>10} {:>10} {:>12} {:>8}\n", "target", "p50 us", "p99 us", "ops/s", "x p50");
  const double base = median_of(targets.front(), &Round::p50);
  for (const Target& target : targets) {
    const double p50 = median_of(target, &Round::p50);
    fmt::print("{:<24} {:>10.0f} {:>10.0f} {:>12.0f} {:>8.2f}\n", target.name, p50,
               median_of(target, &Round::p99), median_of(target, &Round::per_second), p50 / base);
  }
  return 0;
}

// Prints "ready" after the first write, then, at the end, the longest time between two that were
// acknowledged. A write that fails is made again: outages show as time, not as errors.
int run_outage(const std::string& path, std::chrono::seconds length) {
  if (!echo_into(path, "0\n")) die_of_errno(path);
  fmt::print("ready\n");
  std::fflush(stdout);
  const auto end = Clock::now() + length;
  auto last = Clock::now();
  Clock::duration longest{};
  std::size_t written = 1;
  std::size_t failed = 0;
  while (last < end && Clock::now() < end + length) {
    if (!echo_into(path, fmt::format("{}\n", written))) {
      ++failed;
      continue;
    }
    ++written;
    const auto now = Clock::now();
    longest = std::max(longest, now - last);
    last = now;
  }
  fmt::print("outage_ms={:.0f} written={} failed={}\n", micros(longest) / 1000.0, written, failed);
  return 0;
}

int run(const std::vector<std::string>& words) {
  const std::string command = words.empty() ? "" : words[0];
  if (command == "outage" && words.size() == 3)
    return run_outage(words[1], std::chrono::seconds(number(words[2])));
  if (command == "fs") return run_fs_load({words.begin() + 1, words.end()});
  const std::size_t fixed = command == "throughput" ? 4 : 3;
  if ((command != "latency" && command != "throughput") || words.size() <= fixed)
    die("usage: latency ROUNDS OPS TARGET... | throughput ROUNDS OPS THREADS TARGET... | "
        "outage FILE SECONDS | fs [OPTIONS] TARGET...");
  std::vector<Target> targets;
  for (std::size_t i = fixed; i < words.size(); ++i) targets.push_back(parse_target(words[i]));
  const std::size_t threads = command == "throughput" ? number(words[3]) : 1;
  return run_load(number(words[1]), number(words[2]), threads, std::move(targets));
}

}  // namespace
}  // namespace zkfs::bench

int main(int argc, char** argv) {
  return zkfs::bench::run({argv + 1, argv + argc});
}
