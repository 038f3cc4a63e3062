// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/client_jobs.h"

#include <algorithm>
#include <utility>

namespace zkfs::bench {
namespace {

// Of requests that belong to no slot.
constexpr std::size_t kSetupTag = ~std::size_t{0};
// So many connections at once fit into every server's queue.
constexpr std::size_t kDialsAtOnce = 32;
constexpr std::chrono::seconds kSilenceMax{30};

void expect_ok(std::string_view what, const Answer& answer) {
  if (answer.error != kOkError) die(fmt::format("{}: error {}", what, answer.error));
}

// Opens all sessions of a fleet.
void open_all(Fleet& fleet) {
  const auto& sessions = fleet.sessions();
  for (std::size_t from = 0; from < sessions.size(); from += kDialsAtOnce) {
    const std::size_t to = std::min(from + kDialsAtOnce, sessions.size());
    for (std::size_t i = from; i < to; ++i) sessions[i]->open();
    fleet.turn_until(
        [&] {
          return std::all_of(sessions.begin() + static_cast<std::ptrdiff_t>(from),
                             sessions.begin() + static_cast<std::ptrdiff_t>(to),
                             [](const auto& session) { return session->is_open(); });
        },
        "opening sessions");
  }
}

void await_closed(Fleet& fleet) {
  fleet.turn_until(
      [&] {
        return std::all_of(fleet.sessions().begin(), fleet.sessions().end(),
                           [](const auto& session) { return session->is_closed(); });
      },
      "closing sessions");
}

// Owners drop a session when this is answered: the server does it next, which would be a loss.
void close_all(Fleet& fleet) {
  for (const auto& session : fleet.sessions()) {
    session->close_session(kSetupTag);
    session->flush();
  }
  await_closed(fleet);
}

}  // namespace

bool Stretch::goes_on() {
  const auto now = Clock::now();
  if (!running_) {
    if (now < begin_) return true;
    running_ = true;
    before_ = meter_.sample();
    begin_ = Clock::now();
    return true;
  }
  if (now < begin_ + length_) return true;
  figures_.cost = meter_.sample() - before_;
  figures_.seconds = micros(now - begin_) / 1e6;
  running_ = false;
  return false;
}

// --- windows ---

WindowLoad::WindowLoad(std::vector<Server> servers,
                       std::size_t sessions,
                       std::size_t window,
                       Next next)
    : servers_(std::move(servers)),
      window_(window),
      next_(std::move(next)),
      turns_(sessions * window) {
  for (std::size_t i = 0; i < sessions; ++i) fleet_.add(*this, servers_[i % servers_.size()]);
}

void WindowLoad::opened(ClientSession& session) {
  session.sync(kSetupTag);
}

void WindowLoad::answered(ClientSession& session, const Answer& answer) {
  if (answer.slot == kSetupTag) {
    expect_ok("setting up", answer);
    ++synced_;
    if (closing_) session.drop();
    return;
  }
  --outstanding_;
  last_answer_ = fleet_.now();
  if (answer.error != kOkError &&
      std::find(tolerated_.begin(), tolerated_.end(), answer.error) == tolerated_.end())
    die(fmt::format("{}: an operation fails with {}", session.server().name, answer.error));
  if (stretch_ != nullptr) stretch_->count(fleet_.now() - answer.asked);
  if (!stopping_) request(session, answer.slot);
}

void WindowLoad::request(ClientSession& session, std::size_t index) {
  std::uint64_t& turn = turns_[session.index() * window_ + index];
  if (!next_(session, {.session = session.index(), .index = index, .turn = turn}, index)) return;
  ++turn;
  ++outstanding_;
}

void WindowLoad::begin() {
  open_all(fleet_);
  fleet_.turn_until([this] { return synced_ == fleet_.sessions().size(); }, "sync");
  for (const auto& session : fleet_.sessions()) {
    for (std::size_t i = 0; i < window_; ++i) request(*session, i);
    session->flush();
  }
}

Figures WindowLoad::measure(const LoadSettings& settings) {
  begin();
  Stretch stretch(settings.meter, settings.warm_up, settings.length);
  stretch_ = &stretch;
  while (stretch.goes_on()) fleet_.turn();
  stretch_ = nullptr;
  stopping_ = true;
  fleet_.turn_until([this] { return outstanding_ == 0; }, "the last operations");
  return stretch.take();
}

void WindowLoad::exhaust() {
  begin();
  last_answer_ = Clock::now();
  while (outstanding_ != 0) {
    fleet_.turn();
    if (Clock::now() - last_answer_ > kSilenceMax) die("no operation was answered within 30 s");
  }
}

void WindowLoad::close() {
  closing_ = true;
  close_all(fleet_);
}

// --- connects ---

namespace {

class ConnectLoad : public SessionOwner {
 public:
  ConnectLoad(const LoadSettings& settings, std::size_t at_once)
      : settings_(settings), begun_(at_once) {
    for (std::size_t i = 0; i < at_once; ++i)
      fleet_.add(*this, settings.servers[i % settings.servers.size()]);
  }

  Figures measure() {
    Stretch stretch(settings_.meter, settings_.warm_up, settings_.length);
    stretch_ = &stretch;
    for (const auto& session : fleet_.sessions()) dial(*session);
    while (stretch.goes_on()) fleet_.turn();
    stopping_ = true;
    await_closed(fleet_);
    return stretch.take();
  }

  void opened(ClientSession& session) override {
    took_[session.index()] = fleet_.now() - begun_[session.index()];
    session.close_session(0);
  }

  void answered(ClientSession& session, const Answer& answer) override {
    expect_ok("closing a session", answer);
    stretch_->count(took_[session.index()]);
    session.drop();
    if (!stopping_) dial(session);
  }

 private:
  void dial(ClientSession& session) {
    begun_[session.index()] = Clock::now();
    session.open();
  }

  const LoadSettings& settings_;
  std::vector<Clock::time_point> begun_;
  std::vector<Clock::duration> took_ = std::vector<Clock::duration>(begun_.size());
  Stretch* stretch_ = nullptr;
  bool stopping_ = false;
  Fleet fleet_;
};

// --- watches ---

class WatchLoad : public SessionOwner {
 public:
  WatchLoad(const LoadSettings& settings, std::size_t watchers)
      : settings_(settings), watchers_(watchers) {
    const auto& servers = settings.servers;
    writer_ = &fleet_.add(*this, servers.back());
    for (std::size_t i = 0; i < watchers; ++i)
      fleet_.add(*this, servers[servers.size() > 1 ? servers.size() - 2 : 0]);
  }

  Figures measure(const std::string& path) {
    open_all(fleet_);
    fleet_.turn_until([this] { return answers_ == watchers_ + 1; }, "sync");
    Stretch stretch(settings_.meter, settings_.warm_up, settings_.length);
    while (stretch.goes_on()) {
      answers_ = events_ = 0;
      for (const auto& session : fleet_.sessions()) {
        if (session.get() == writer_) continue;
        session->get(0, path, true);
        session->flush();
      }
      fleet_.turn_until([this] { return answers_ == watchers_; }, "watching");
      const auto set_at = Clock::now();
      writer_->set(0, path, "changed");
      writer_->flush();
      fleet_.turn_until([this] { return answers_ == watchers_ + 1 && events_ == watchers_; },
                        "events");
      stretch.count(last_event_ - set_at);
    }
    close_all(fleet_);
    return stretch.take();
  }

  void opened(ClientSession& session) override { session.sync(0); }

  void answered(ClientSession& session, const Answer& answer) override {
    expect_ok("watching", answer);
    ++answers_;
    if (answer.slot == kSetupTag) session.drop();
  }

  void watch_fired(ClientSession&) override {
    ++events_;
    last_event_ = fleet_.now();
  }

 private:
  const LoadSettings& settings_;
  std::size_t watchers_;
  ClientSession* writer_;
  std::size_t answers_ = 0;
  std::size_t events_ = 0;
  Clock::time_point last_event_;
  Fleet fleet_;
};

// --- outages ---

class OutageLoad : public SessionOwner {
 public:
  explicit OutageLoad(const LoadSettings& settings) : settings_(settings) {
    for (const Server& server : settings.servers) fleet_.add(*this, server);
    acknowledged_by_.resize(settings.servers.size());
  }

  Outage watch(const std::function<void()>& ready) {
    tick_until([this] {
      return std::all_of(acknowledged_by_.begin(), acknowledged_by_.end(),
                         [](std::size_t count) { return count > 100; });
    });
    ready();
    outage_ = {};
    last_ = Clock::now();
    const auto end = last_ + settings_.length;
    tick_until([end] { return Clock::now() >= end; });
    gap_until(Clock::now());
    return outage_;
  }

  void opened(ClientSession&) override {}

  void answered(ClientSession& session, const Answer& answer) override {
    if (answer.error != kOkError) return;
    ++acknowledged_by_[session.index()];
    ++outage_.acknowledged;
    gap_until(fleet_.now());
  }

  void lost(ClientSession&, const std::string&) override { ++outage_.lost; }

 private:
  static constexpr std::chrono::milliseconds kInterval{5};

  void gap_until(Clock::time_point now) {
    outage_.longest_ms = std::max(outage_.longest_ms, micros(now - last_) / 1e3);
    last_ = now;
  }

  template <typename Done>
  void tick_until(Done&& done) {
    while (!done()) {
      const auto now = Clock::now();
      if (now >= next_) {
        next_ = std::max(next_ + kInterval, now);
        for (const auto& session : fleet_.sessions()) {
          if (session->is_closed()) session->open();
          if (!session->is_open()) continue;
          session->set(0, "/zkfs-bench/probe", "alive");
          session->flush();
        }
      }
      fleet_.turn(next_ - Clock::now());
    }
  }

  const LoadSettings& settings_;
  std::vector<std::size_t> acknowledged_by_;
  Clock::time_point next_ = Clock::now();
  Clock::time_point last_ = Clock::now();
  Outage outage_;
  Fleet fleet_;
};

}  // namespace

Figures measure_connects(const LoadSettings& settings, std::size_t at_once) {
  return ConnectLoad(settings, at_once).measure();
}

Figures measure_watches(const LoadSettings& settings, std::size_t watchers) {
  return WatchLoad(settings, watchers).measure("/zkfs-bench/watched");
}

Outage watch_outage(const LoadSettings& settings, const std::function<void()>& ready) {
  return OutageLoad(settings).watch(ready);
}

}  // namespace zkfs::bench
