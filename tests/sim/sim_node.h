// SPDX-License-Identifier: Apache-2.0
// SimNode: one machine: a SimDisk that outlives its processes, and, while one runs, the very Store
// and Member of production, with the disk thread replaced by events (SimStorage).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <string>

#include "ensemble/base/random.h"
#include "ensemble/server/member.h"
#include "ensemble/storage/store.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/sim_network.h"
#include "tests/support/sim_disk.h"

namespace zkfs::sim {

// Carries out operations one batch at a time, each after a delay; consecutive appends are one
// batch, as on the disk thread.
class SimStorage final : public storage::StoragePort {
 public:
  SimStorage(EventQueue& queue,
             Random& random,
             storage::Store& store,
             Instant slowest,
             std::function<void(std::uint64_t)> done,
             std::function<void()> failed);
  ~SimStorage() override;
  void submit(std::uint64_t token, storage::StorageOp op) override;

  [[nodiscard]] bool busy() const { return busy_; }

  // Runs what is in flight (for a crash in the midst of it: the disk has been told to stop).
  void run_in_flight();

 private:
  void next();
  Expected<void> execute_batch();

  EventQueue& queue_;
  Random& random_;
  storage::Store& store_;
  Instant slowest_;
  std::function<void(std::uint64_t)> done_;
  std::function<void()> failed_;
  std::deque<std::pair<std::uint64_t, storage::StorageOp>> queued_;
  std::deque<std::pair<std::uint64_t, storage::StorageOp>> batch_;
  bool busy_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// What of a process serves clients from outside: begins and ends with it.
class FrontDoor {
 public:
  virtual ~FrontDoor() = default;
  virtual void tick() = 0;
};

struct NodeOptions {
  server::MemberConfig member;
  storage::StoreOptions store;
  Instant disk_slowest = Millis{2};
  double clock_speed = 1.0;
};

class SimNode final : public server::PeerPort {
 public:
  // Called after every input, for the checkers.
  using Observer = std::function<void(SimNode&)>;
  // Makes the front door of each process.
  using MakeFrontDoor = std::function<std::unique_ptr<FrontDoor>(SimNode&)>;

  SimNode(EventQueue& queue,
          Random& random,
          SimNetwork& network,
          NodeOptions options,
          Observer observer,
          MakeFrontDoor make_front_door);

  [[nodiscard]] ServerId id() const { return options_.member.zab.self; }

  [[nodiscard]] bool running() const { return member_ != nullptr; }

  [[nodiscard]] bool paused() const { return paused_; }

  // Counts processes that ran here.
  [[nodiscard]] std::uint64_t incarnation() const { return incarnation_; }

  // Requires: not running. Aborts with a message if the store refuses what a crash left.
  void start();
  // The process dies; with `power`, unsynced bytes are lost, and the disk operation under way may
  // be half done.
  void crash(bool power);
  // SIGSTOP and SIGCONT: whatever happens meanwhile waits.
  void pause();
  void resume();

  // Requires: running().
  [[nodiscard]] server::Member& member() { return *member_; }

  // Null unless running().
  [[nodiscard]] FrontDoor* front_door() { return front_door_.get(); }

  [[nodiscard]] testing::SimDisk& disk() { return disk_; }

  [[nodiscard]] Now now() const;
  // An input from the network or a timer.
  void input(std::function<void()> what);

  // --- PeerPort ---
  void send(ServerId to, zab::Message message) override {
    network_.send(id(), to, std::move(message));
  }

  // Now and then a link is full, which nothing but time tells.
  [[nodiscard]] std::size_t queued_bytes(ServerId to) const override {
    constexpr std::int64_t kSlice = 16'000'000;
    const auto slice = static_cast<std::uint64_t>(now().monotonic.count() / kSlice);
    return (slice + to.value) % 3 == 0 ? std::numeric_limits<std::size_t>::max() : 0;
  }

 private:
  void schedule_tick();
  void schedule_flush();

  EventQueue& queue_;
  Random& random_;
  SimNetwork& network_;
  NodeOptions options_;
  Observer observer_;
  MakeFrontDoor make_front_door_;
  testing::SimDisk disk_;
  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<SimStorage> storage_;
  std::unique_ptr<server::Member> member_;
  std::unique_ptr<FrontDoor> front_door_;
  bool paused_ = false;
  std::deque<std::function<void()>> held_;
  std::uint64_t incarnation_ = 0;
};

}  // namespace zkfs::sim
