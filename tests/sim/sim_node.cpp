// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim_node.h"

#include <utility>

#include "ensemble/base/check.h"

namespace zkfs::sim {

// --- SimStorage ---

SimStorage::SimStorage(EventQueue& queue,
                       Random& random,
                       storage::Store& store,
                       Instant slowest,
                       std::function<void(std::uint64_t)> done,
                       std::function<void()> failed)
    : queue_(queue),
      random_(random),
      store_(store),
      slowest_(slowest),
      done_(std::move(done)),
      failed_(std::move(failed)) {}

SimStorage::~SimStorage() {
  *alive_ = false;
}

void SimStorage::submit(std::uint64_t token, storage::StorageOp op) {
  queued_.emplace_back(token, std::move(op));
  if (!busy_) next();
}

void SimStorage::next() {
  if (queued_.empty()) return;
  busy_ = true;
  batch_.clear();
  do {
    batch_.push_back(std::move(queued_.front()));
    queued_.pop_front();
  } while (!queued_.empty() && std::holds_alternative<storage::AppendOp>(batch_.back().second) &&
           std::holds_alternative<storage::AppendOp>(queued_.front().second));
  const auto delay = random_.below(static_cast<std::uint64_t>(slowest_.count()));
  queue_.after(Instant{static_cast<std::int64_t>(delay)}, [this, alive = alive_] {
    if (!*alive) return;
    if (!execute_batch()) {
      failed_();
      return;
    }
    const auto token = batch_.back().first;
    busy_ = false;
    next();
    done_(token);
  });
}

Expected<void> SimStorage::execute_batch() {
  if (batch_.size() == 1) return storage::execute(store_, batch_.front().second);
  std::vector<const storage::AppendOp*> appends;
  for (const auto& [token, op] : batch_) appends.push_back(&std::get<storage::AppendOp>(op));
  return storage::execute_appends(store_, appends);
}

void SimStorage::run_in_flight() {
  if (busy_) (void)execute_batch();
}

// --- SimNode ---

SimNode::SimNode(EventQueue& queue,
                 Random& random,
                 SimNetwork& network,
                 NodeOptions options,
                 Observer observer,
                 MakeFrontDoor make_front_door)
    : queue_(queue),
      random_(random),
      network_(network),
      options_(std::move(options)),
      observer_(std::move(observer)),
      make_front_door_(std::move(make_front_door)) {
  network_.add(id());
}

Now SimNode::now() const {
  const auto scaled =
      static_cast<std::int64_t>(static_cast<double>(queue_.now().count()) * options_.clock_speed);
  return Now{Instant{scaled}, 1'700'000'000'000 + scaled / 1'000'000};
}

void SimNode::start() {
  ++incarnation_;
  auto opened = storage::Store::open(disk_, options_.store);
  ZKFS_CHECK(opened.has_value(), "server {} cannot open its store after a crash: {}", id(),
             opened.error().text);
  store_ = std::move(*opened);
  auto tree = server::recover(*store_);
  ZKFS_CHECK(tree.has_value(), "server {} cannot recover: {}", id(), tree.error().text);
  storage_ = std::make_unique<SimStorage>(
      queue_, random_, *store_, options_.disk_slowest,
      [this, incarnation = incarnation_](std::uint64_t token) {
        if (incarnation != incarnation_) return;
        input([this, token] { member_->disk_done(token, now()); });
      },
      [this] {
        const bool stopped = disk_.stopped();
        ZKFS_CHECK(stopped, "server {}: the disk failed by itself", id());
      });
  auto config = options_.member;
  config.seed = random_.next();
  member_ = std::make_unique<server::Member>(config, std::move(*tree), store_->recovered(),
                                             *storage_, *this);
  member_->on_dirty([this] { schedule_flush(); });
  front_door_ = make_front_door_(*this);
  network_.set_alive(id(), true);
  member_->start(now());
  schedule_tick();
  observer_(*this);
}

void SimNode::crash(bool power) {
  if (!running()) return;
  ++incarnation_;
  paused_ = false;
  held_.clear();
  network_.set_alive(id(), false);
  if (storage_->busy() && (power || random_.chance(1, 2))) {
    disk_.stop_after(random_.below(6));
    storage_->run_in_flight();
  }
  front_door_.reset();
  // The front doors' callers die with the process: their completions are never called.
  member_.reset();
  storage_.reset();
  store_.reset();
  if (power) {
    disk_.crash(random_);
  } else {
    disk_.restart();
  }
}

void SimNode::pause() {
  if (running()) paused_ = true;
}

void SimNode::resume() {
  if (!paused_) return;
  paused_ = false;
  for (auto& what : std::exchange(held_, {})) input(std::move(what));
}

void SimNode::input(std::function<void()> what) {
  if (!running()) return;
  if (paused_) {
    held_.push_back(std::move(what));
    return;
  }
  what();
}

void SimNode::schedule_tick() {
  const auto period = Instant{static_cast<std::int64_t>(random_.between(8, 12)) * 1'000'000};
  queue_.after(period, [this, incarnation = incarnation_] {
    if (incarnation != incarnation_) return;
    // A paused process gets one tick when it wakes, not all it missed.
    if (paused_) return schedule_tick();
    member_->tick(now());
    front_door_->tick();
    schedule_tick();
  });
}

void SimNode::schedule_flush() {
  queue_.after(Instant{static_cast<std::int64_t>(random_.below(20'000))},
               [this, incarnation = incarnation_] {
                 if (incarnation != incarnation_) return;
                 input([this] {
                   member_->flush(now());
                   observer_(*this);
                 });
               });
}

}  // namespace zkfs::sim
