// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/client_load.h"

#include <algorithm>
#include <array>
#include <functional>
#include <span>
#include <utility>

#include "ensemble/base/random.h"
#include "tests/bench/client_jobs.h"

namespace zkfs::bench {
namespace {

using client_port::CreateFlags;

constexpr std::string_view kTop = "/zkfs-bench";
constexpr std::size_t kZnodes = 1'000;    // that are read and set
constexpr std::size_t kSmallBytes = 100;  // of data
constexpr std::size_t kLargeBytes = 1'024;
constexpr std::size_t kFillDirectory = 1'000;  // znodes in each
constexpr std::uint64_t kSeed = 1;
constexpr unsigned kMixedSetsOf10 = 1;

enum class Kind { kSet, kCreate, kGet, kMixed, kEphemeral, kConnect, kWatch, kOutage, kFill };

// Through which servers.
enum class Via { kAll, kLeader, kFollower };

struct Job {
  std::string_view name;
  Kind kind;
  Via via;
  std::size_t sessions;
  std::size_t window;
  std::size_t bytes;
  std::string_view what;
};

constexpr std::array kJobs{
    Job{"set-1-leader", Kind::kSet, Via::kLeader, 1, 1, kSmallBytes, "one set after the other"},
    Job{"set-1-follower", Kind::kSet, Via::kFollower, 1, 1, kSmallBytes, "through a follower"},
    Job{"set-9x1", Kind::kSet, Via::kAll, 9, 1, kSmallBytes, "9 sessions, one set each"},
    Job{"set-63x1", Kind::kSet, Via::kAll, 63, 1, kSmallBytes, "63 sessions, one set each"},
    Job{"set-12x64", Kind::kSet, Via::kAll, 12, 64, kSmallBytes, "12 sessions, 64 sets each"},
    Job{"set-12x64-1k", Kind::kSet, Via::kAll, 12, 64, kLargeBytes, "of 1 KiB"},
    Job{"create-12x64", Kind::kCreate, Via::kAll, 12, 64, kSmallBytes, "creates"},
    Job{"get-1", Kind::kGet, Via::kFollower, 1, 1, kSmallBytes, "one get after the other"},
    Job{"get-12x64-1srv", Kind::kGet, Via::kFollower, 12, 64, kSmallBytes, "gets, one server"},
    Job{"get-12x64-3srv", Kind::kGet, Via::kAll, 12, 64, kSmallBytes, "gets, all servers"},
    Job{"mixed-12x32", Kind::kMixed, Via::kAll, 12, 32, kSmallBytes, "9 gets to a set"},
    Job{"ephemeral-12x16", Kind::kEphemeral, Via::kAll, 12, 16, kSmallBytes,
        "ephemerals created and deleted, each an operation"},
    Job{"connect-1", Kind::kConnect, Via::kAll, 1, 1, kSmallBytes, "sessions opened one by one"},
    Job{"connect-32", Kind::kConnect, Via::kAll, 32, 1, kSmallBytes,
        "sessions opened and closed, 32 at once"},
    Job{"watch-1", Kind::kWatch, Via::kAll, 1, 1, kSmallBytes, "a set until its event"},
    Job{"watch-100", Kind::kWatch, Via::kAll, 100, 1, kSmallBytes, "until the last of 100 events"},
    Job{"watch-1000", Kind::kWatch, Via::kAll, 1'000, 1, kSmallBytes,
        "until the last of 1000 events"},
    Job{"outage", Kind::kOutage, Via::kAll, 1, 1, kSmallBytes,
        "the longest time without an answer"},
    Job{"fill", Kind::kFill, Via::kAll, 12, 64, kSmallBytes, "creates --count znodes"},
};

std::vector<Server> servers_of(Via via, const std::vector<Server>& servers) {
  if (via == Via::kAll || servers.size() == 1) return servers;
  return {via == Via::kLeader ? servers.front() : servers.back()};
}

std::string key(std::size_t n) {
  return fmt::format("{}/k/{:04}", kTop, n);
}

// Runs operations 0 to `count` - 1, none of whose failures with one of `tolerated` matters.
void run_batch(const LoadSettings& settings,
               std::size_t count,
               std::initializer_list<std::int32_t> tolerated,
               const std::function<void(ClientSession&, std::size_t tag, std::size_t n)>& operate) {
  std::size_t next = 0;
  const std::vector<Server> through = {settings.servers.front()};
  const std::size_t window = std::min<std::size_t>(count, 256);
  WindowLoad load(through, 1, window, [&](ClientSession& session, const auto&, std::size_t tag) {
    if (next == count) return false;
    operate(session, tag, next++);
    return true;
  });
  load.tolerate(tolerated);
  load.exhaust();
  load.close();
}

void prepare(const LoadSettings& settings, std::size_t bytes) {
  const std::string data(bytes, 'v');
  const std::array<std::string, 4> parents = {std::string(kTop), fmt::format("{}/k", kTop),
                                              fmt::format("{}/watched", kTop),
                                              fmt::format("{}/probe", kTop)};
  run_batch(settings, parents.size(), {kNodeExistsError}, [&](auto& session, auto tag, auto n) {
    session.create(tag, parents[n], data, CreateFlags::kPersistent);
  });
  run_batch(settings, 2 * kZnodes, {kNodeExistsError}, [&](auto& session, auto tag, auto n) {
    if (n % 2 == 0) {
      session.create(tag, key(n / 2), data, CreateFlags::kPersistent);
    } else {
      session.set(tag, key(n / 2), data);
    }
  });
}

// --- jobs that keep windows full ---

class Keys {
 public:
  Keys() {
    for (std::size_t n = 0; n < kZnodes; ++n) keys_.push_back(key(n));
  }

  const std::string& any() { return keys_[random_.below(keys_.size())]; }

  bool sets() { return random_.chance(kMixedSetsOf10, 10); }

 private:
  Random random_{kSeed};
  std::vector<std::string> keys_;
};

Figures run_window(const Job& job, const LoadSettings& settings, WindowLoad::Next next) {
  WindowLoad load(servers_of(job.via, settings.servers), job.sessions, job.window, std::move(next));
  Figures figures = load.measure(settings);
  load.close();
  return figures;
}

Figures run_data(const Job& job, const LoadSettings& settings) {
  Keys keys;
  const std::string data(job.bytes, 'v');
  return run_window(job, settings, [&](ClientSession& session, const auto&, std::size_t tag) {
    if (job.kind == Kind::kSet || (job.kind == Kind::kMixed && keys.sets())) {
      session.set(tag, keys.any(), data);
    } else {
      session.get(tag, keys.any(), false);
    }
    return true;
  });
}

std::string created(std::size_t session, std::size_t index, std::uint64_t turn) {
  return fmt::format("{}/k/c{}-{}-{}", kTop, session, index, turn);
}

Figures run_create(const Job& job, const LoadSettings& settings) {
  const std::string data(job.bytes, 'v');
  const auto create = [&](ClientSession& session, const WindowLoad::Slot& slot, std::size_t tag) {
    session.create(tag, created(slot.session, slot.index, slot.turn), data,
                   CreateFlags::kPersistent);
    return true;
  };
  WindowLoad load(servers_of(job.via, settings.servers), job.sessions, job.window, create);
  Figures figures = load.measure(settings);
  load.close();
  const auto remove = [&](ClientSession& session, const WindowLoad::Slot& slot, std::size_t tag) {
    if (slot.turn == load.turns_of(slot.session, slot.index)) return false;
    session.remove(tag, created(slot.session, slot.index, slot.turn));
    return true;
  };
  WindowLoad undo(settings.servers, job.sessions, job.window, remove);
  undo.exhaust();
  undo.close();
  return figures;
}

Figures run_ephemeral(const Job& job, const LoadSettings& settings) {
  const std::string data(job.bytes, 'v');
  return run_window(
      job, settings, [&](ClientSession& session, const WindowLoad::Slot& slot, std::size_t tag) {
        const std::string path = fmt::format("{}/k/e{}-{}", kTop, slot.session, slot.index);
        if (slot.turn % 2 == 0) {
          session.create(tag, path, data, CreateFlags::kEphemeral);
        } else {
          session.remove(tag, path);
        }
        return true;
      });
}

// In directories, as people do; a znode's name has 9 bytes.
Figures run_fill(const Job& job, const LoadSettings& settings) {
  const auto directory = [](std::size_t n) { return fmt::format("{}/d{:04}", kTop, n); };
  const std::size_t directories = (settings.count + kFillDirectory - 1) / kFillDirectory;
  run_batch(settings, directories, {kNodeExistsError}, [&](auto& session, auto tag, auto n) {
    session.create(tag, directory(n), "", CreateFlags::kPersistent);
  });
  const std::string data(job.bytes, 'v');
  const Cost before = settings.meter.sample();
  const auto begun = Clock::now();
  std::size_t next = 0;
  WindowLoad load(settings.servers, job.sessions, job.window,
                  [&](ClientSession& session, const auto&, std::size_t tag) {
                    if (next == settings.count) return false;
                    const std::string path =
                        fmt::format("{}/n{:08}", directory(next / kFillDirectory), next);
                    session.create(tag, path, data, CreateFlags::kPersistent);
                    ++next;
                    return true;
                  });
  load.exhaust();
  Figures figures{.operations = settings.count,
                  .seconds = micros(Clock::now() - begun) / 1e6,
                  .latencies_us = {},
                  .cost = settings.meter.sample() - before};
  load.close();
  return figures;
}

Figures run(const Job& job, const LoadSettings& settings) {
  switch (job.kind) {
    case Kind::kSet:
    case Kind::kGet:
    case Kind::kMixed:
      return run_data(job, settings);
    case Kind::kCreate:
      return run_create(job, settings);
    case Kind::kEphemeral:
      return run_ephemeral(job, settings);
    case Kind::kConnect:
      return measure_connects(settings, job.sessions);
    case Kind::kWatch:
      return measure_watches(settings, job.sessions);
    case Kind::kFill:
      return run_fill(job, settings);
    case Kind::kOutage:
      break;
  }
  die("no such kind of job");
}

void print_line(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

void print_figures(const Job& job, const Figures& figures) {
  if (figures.operations == 0) die(fmt::format("{}: nothing was done in time", job.name));
  const auto each = [&](double sum) { return sum / static_cast<double>(figures.operations); };
  const auto& times = figures.latencies_us;
  const Cost& cost = figures.cost;
  print_line(
      fmt::format(R"({{"job":"{}","ops":{},"seconds":{:.3f},"ops_per_s":{:.1f},"p50_us":{:.1f},)"
                  R"("p95_us":{:.1f},"p99_us":{:.1f},"client_us":{:.2f},"server_us":{:.2f},)"
                  R"("server_user_us":{:.2f},"server_sys_us":{:.2f},"server_disk_bytes":{:.1f},)"
                  R"("device_bytes":{:.1f},"device_writes":{:.3f}}})",
                  job.name, figures.operations, figures.seconds,
                  static_cast<double>(figures.operations) / figures.seconds,
                  at_fraction(times, 0.5), at_fraction(times, 0.95), at_fraction(times, 0.99),
                  each(cost.client_us), each(cost.server_user_us + cost.server_sys_us),
                  each(cost.server_user_us), each(cost.server_sys_us), each(cost.server_disk_bytes),
                  each(cost.device_bytes), each(cost.device_writes)));
}

}  // namespace

std::string job_list() {
  std::string list;
  for (const Job& job : kJobs) list += fmt::format("{:<16} {}\n", job.name, job.what);
  return list;
}

void run_job(std::string_view name, const LoadSettings& settings) {
  const auto* job = std::find_if(kJobs.begin(), kJobs.end(),
                                 [name](const Job& candidate) { return candidate.name == name; });
  if (job == kJobs.end()) die(fmt::format("{}: no such job; give --list", name));
  prepare(settings, job->bytes);
  if (job->kind != Kind::kOutage) {
    print_figures(*job, run(*job, settings));
    return;
  }
  const Outage outage = watch_outage(settings, [] { print_line("ready"); });
  print_line(fmt::format(R"({{"job":"{}","outage_ms":{:.1f},"acknowledged":{},"lost":{}}})", name,
                         outage.longest_ms, outage.acknowledged, outage.lost));
}

}  // namespace zkfs::bench
