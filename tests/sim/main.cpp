// SPDX-License-Identifier: Apache-2.0
// zkfs_sim: runs seeds one after the other (or over several processes); the first violation ends
// it, with the seed and the command that repeats it. One seed in twenty runs twice: a run that does
// not repeat itself is a bug of its own.
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include "ensemble/base/log.h"
#include "tests/sim/cluster.h"

namespace {

volatile std::uint64_t current_seed = 0;

void on_abort(int /*signal*/) {
  // Only async-signal-safe calls here.
  char text[160];
  std::size_t length = 0;
  const auto put = [&](std::string_view s) {
    std::memcpy(text + length, s.data(), s.size());
    length += s.size();
  };
  char digits[24];
  const auto [end, error] =
      std::to_chars(digits, digits + sizeof digits, std::uint64_t{current_seed});
  const std::string_view seed(digits, static_cast<std::size_t>(end - digits));
  put("FAILED seed=");
  put(seed);
  put("; repeat with: scripts/sim --seeds 1 --seed ");
  put(seed);
  put(" --verbose\n");
  (void)!write(STDERR_FILENO, text, length);
}

struct Options {
  std::uint64_t seeds = 100;
  std::uint64_t first = 1;
  unsigned jobs = 2;
  bool verbose = false;
};

int usage(int status) {
  std::puts(
      "usage: zkfs_sim [--seeds N] [--seed FIRST] [--jobs J] [--verbose]\n"
      "Simulates N ensembles under faults, seeds FIRST to FIRST+N-1, in J processes.\n"
      "--verbose prints each run and, for a single seed, the servers' logs at level debug.");
  return status;
}

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--verbose") {
      options.verbose = true;
      continue;
    }
    if (i + 1 >= argc) return false;
    const std::string_view text = argv[++i];
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return false;
    if (name == "--seeds") {
      options.seeds = value;
    } else if (name == "--seed") {
      options.first = value;
    } else if (name == "--jobs" && value > 0) {
      options.jobs = static_cast<unsigned>(value);
    } else {
      return false;
    }
  }
  return true;
}

// Runs every `step`-th seed from `first`; 0, or 1 if a run did not repeat itself. A violation
// aborts.
int run_share(const Options& options, std::uint64_t offset) {
  std::uint64_t operations = 0;
  std::uint64_t answered = 0;
  std::uint64_t grants = 0;
  std::uint64_t waits = 0;
  std::uint64_t client_answers = 0;
  std::uint64_t moves = 0;
  std::uint64_t events = 0;
  std::uint64_t expired = 0;
  std::uint64_t faults = 0;
  std::uint64_t epochs = 0;
  std::uint64_t runs = 0;
  for (auto seed = options.first + offset; seed < options.first + options.seeds;
       seed += options.jobs) {
    current_seed = seed;
    const auto result = zkfs::sim::Cluster(seed).run();
    if (seed % 20 == 0 && zkfs::sim::Cluster(seed).run().trace != result.trace) {
      std::fprintf(stderr, "FAILED seed=%llu: two runs of it differ\n",
                   static_cast<unsigned long long>(seed));
      return 1;
    }
    ++runs;
    operations += result.operations;
    answered += result.answered;
    grants += result.lock_grants;
    waits += result.lock_waits;
    client_answers += result.client_answers;
    moves += result.client_moves;
    events += result.client_events;
    expired += result.expired;
    faults += result.faults;
    epochs += result.epochs;
    if (options.verbose) {
      std::printf(
          "seed %llu: %s, %zu operations, %zu answered, %zu locks (%zu waited), clients: %zu "
          "answers, %zu moves, %zu events, %zu expired; %zu faults, %zu epochs, converged after "
          "%lld ms\n",
          static_cast<unsigned long long>(seed), result.topology.c_str(), result.operations,
          result.answered, result.lock_grants, result.lock_waits, result.client_answers,
          result.client_moves, result.client_events, result.expired, result.faults, result.epochs,
          static_cast<long long>(result.converged_ms));
    }
  }
  std::printf(
      "%llu seeds held: %llu operations (%llu answered), %llu locks (%llu waited); "
      "clients: %llu answers, %llu moves, %llu events, %llu expired; %llu faults, %llu epochs\n",
      static_cast<unsigned long long>(runs), static_cast<unsigned long long>(operations),
      static_cast<unsigned long long>(answered), static_cast<unsigned long long>(grants),
      static_cast<unsigned long long>(waits), static_cast<unsigned long long>(client_answers),
      static_cast<unsigned long long>(moves), static_cast<unsigned long long>(events),
      static_cast<unsigned long long>(expired), static_cast<unsigned long long>(faults),
      static_cast<unsigned long long>(epochs));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (argc > 1 && std::string_view(argv[1]) == "--help") return usage(0);
  if (!parse(argc, argv, options)) return usage(2);
  if (options.seeds == 1) options.jobs = 1;
  zkfs::log::set_level(options.verbose && options.seeds == 1 ? zkfs::log::Level::kDebug
                                                             : zkfs::log::Level::kError);
  (void)std::signal(SIGABRT, on_abort);
  std::vector<pid_t> children;
  for (unsigned job = 1; job < options.jobs; ++job) {
    const pid_t child = fork();
    if (child == 0) {
      const int status = run_share(options, job);
      std::fflush(nullptr);
      _exit(status);
    }
    if (child > 0) children.push_back(child);
  }
  int worst = run_share(options, 0);
  for (const pid_t child : children) {
    int status = 0;
    if (waitpid(child, &status, 0) != child || status != 0) worst = 1;
  }
  return worst;
}
