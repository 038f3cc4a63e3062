// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/lock_workload.h"

#include <algorithm>

#include <fmt/format.h>

namespace zkfs::sim {
namespace {

constexpr std::uint32_t kSessionTimeoutMs = 4'000;
constexpr std::uint64_t kOwners = 2;
constexpr std::uint64_t kBytes = 8;

bool conflict(const tree::LockView& a, const tree::LockView& b) {
  const bool same = a.session == b.session && a.owner == b.owner;
  const bool exclusive =
      a.mode == tree::LockMode::kExclusive || b.mode == tree::LockMode::kExclusive;
  return a.ino == b.ino && a.space == b.space && !same && exclusive && a.range.overlaps(b.range);
}

std::string text(const tree::LockView& lock) {
  return fmt::format("the {} lock of znode {}, {}..{}, by {:#x}/{} (request {}, zxid {})",
                     lock.mode == tree::LockMode::kShared ? "shared" : "exclusive", lock.ino,
                     lock.range.first, lock.range.last, lock.session, lock.owner, lock.request,
                     lock.zxid);
}

bool holds(const tree::DataTree& tree, const tree::LockView& lock) {
  const auto all = tree.locks_of(lock.ino);
  return std::find(all.begin(), all.end(), lock) != all.end();
}

}  // namespace

// The locks of one process's session.
class LockWorkload::Client final : public server::ChangeSubscriber {
 public:
  Client(LockWorkload& all, SimNode& node) : all_(all), node_(node) {
    node.member().subscribe(this);
  }

  void act() {
    if (!session_) open();
    if (!open_) return;
    Slot& slot = slots_[all_.random_.below(slots_.size())];
    if (slot.pending) return;
    switch (slot.state) {
      case Slot::State::kIdle:
        return ask(slot);
      case Slot::State::kHeld:
        if (slot.asked.space == tree::LockSpace::kFlock && all_.random_.chance(1, 4)) {
          return ask(slot);
        }
        return drop(slot);
      case Slot::State::kWaiting:
        if (all_.random_.chance(1, 3)) cancel(slot);
        return;
      default:
        return;
    }
  }

  // Nothing is on its way any more: what it waits for, waits.
  void check() const {
    const tree::DataTree& tree = node_.member().tree();
    if (!open_) return;
    for (const Slot& slot : slots_) {
      if (slot.state != Slot::State::kWaiting) continue;
      const auto lock = tree.lock_of_request(slot.asked.ino, session_, slot.asked.request);
      if (!lock || !lock->waiting) Checkers::violated("a grant was not told: " + text(slot.asked));
    }
  }

  // --- ChangeSubscriber ---
  void applied(const server::AppliedTxn& txn) override {
    for (const tree::Change& change : txn.changes) {
      if (change.kind != tree::Change::Kind::kLockGranted || change.session != session_) continue;
      Slot* slot = slot_of(change.request);
      if (slot == nullptr) Checkers::violated("a grant that nobody waits for");
      // Told before the answer "queued": when a flock gave up what it held is not known.
      if (slot->state == Slot::State::kAsking) slot->hold.reset();
      granted(*slot, txn.zxid);
    }
  }

  void replaced(const tree::DataTree& /*before*/, const tree::DataTree& after) override {
    for (Slot& slot : slots_) {
      const bool may_wait =
          slot.state == Slot::State::kWaiting || slot.state == Slot::State::kCancelling;
      if (may_wait) look_up(slot, after);
    }
  }

  void quorum_changed(bool /*in_quorum*/) override {}

 private:
  void open() {
    slots_.assign(kOwners * 4, Slot{});
    open_ = false;
    session_ = node_.member().open_session(
        kSessionTimeoutMs, "locks",
        [this](const tree::Outcome& outcome) { open_ = outcome.error == Error::kOk; },
        [this] {
          open_ = false;
          session_ = {};
        });
  }

  void submit(server::Operation operation,
              Slot& slot,
              void (Client::*answer)(Slot&, const tree::Outcome&)) {
    slot.pending = true;
    node_.member().submit(session_, {}, std::move(operation),
                          [this, session = session_, at = &slot - slots_.data(),
                           answer](const tree::Outcome& outcome) {
                            // Of a session that was lost meanwhile: nothing is known.
                            if (session != session_ || outcome.error == Error::kSessionExpired ||
                                outcome.error == Error::kUnknownOutcome) {
                              return;
                            }
                            Slot& answered = slots_[static_cast<std::size_t>(at)];
                            answered.pending = false;
                            (this->*answer)(answered, outcome);
                          });
  }

  void ask(Slot& slot) {
    Random& random = all_.random_;
    const auto index = static_cast<std::uint64_t>(&slot - slots_.data());
    tree::LockView asked;
    asked.space = static_cast<tree::LockSpace>((index / kOwners) % 2);
    asked.ino = Ino{1 + index / kOwners / 2};
    asked.owner = index % kOwners;
    asked.session = session_;
    asked.mode = static_cast<tree::LockMode>(random.below(2));
    if (asked.space == tree::LockSpace::kPosix) {
      asked.range.first = random.below(kBytes);
      asked.range.last = random.between(asked.range.first, kBytes);
    }
    asked.request = ++last_request_;
    asked.pid = static_cast<std::uint32_t>(index);
    // What it holds is in doubt until this conversion is answered.
    if (slot.hold) all_.holds_[*slot.hold].doubtful = true;
    slot.asked = asked;
    slot.state = Slot::State::kAsking;
    submit(server::LockRequest{asked.ino, asked.space, asked.mode, asked.range, asked.owner,
                               asked.request, asked.pid, random.chance(2, 3)},
           slot, &Client::asked);
  }

  void asked(Slot& slot, const tree::Outcome& outcome) {
    switch (outcome.error) {
      case Error::kOk:
        release(slot, outcome.zxid);
        return granted(slot, outcome.zxid);
      case Error::kLockQueued:
        if (slot.state == Slot::State::kHeld) return;  // the grant was told first
        // A flock gives up what it held.
        release(slot, outcome.zxid);
        slot.state = Slot::State::kWaiting;
        return look_up(slot, node_.member().tree());
      case Error::kWouldBlock:
      case Error::kDeadlock:
      case Error::kBadArguments:  // no such znode yet
        slot.state = slot.hold ? Slot::State::kHeld : Slot::State::kIdle;
        if (slot.hold) all_.holds_[*slot.hold].doubtful = false;
        return;
      default:
        Checkers::violated(fmt::format("a lock was answered {}", to_string(outcome.error)));
    }
  }

  void granted(Slot& slot, Zxid zxid) {
    if (slot.state == Slot::State::kHeld || slot.state == Slot::State::kIdle) {
      Checkers::violated("granted twice: " + text(slot.asked));
    }
    if (slot.state != Slot::State::kAsking) ++all_.waits_;
    slot.asked.zxid = zxid;
    slot.hold = all_.add_hold(slot.asked);
    slot.state = Slot::State::kHeld;
  }

  // For a request that was queued: the tree knows whether it still waits.
  void look_up(Slot& slot, const tree::DataTree& tree) {
    const auto lock = tree.lock_of_request(slot.asked.ino, session_, slot.asked.request);
    if (lock && !lock->waiting) return granted(slot, lock->zxid);
    if (!lock && slot.state == Slot::State::kWaiting && tree.find_session(session_)) {
      Checkers::violated("neither waits nor is held: " + text(slot.asked));
    }
  }

  void release(Slot& slot, Zxid zxid) {
    if (!slot.hold) return;
    Hold& hold = all_.holds_[*slot.hold];
    hold.doubtful = false;
    hold.released = zxid;
    slot.hold.reset();
  }

  void drop(Slot& slot) {
    all_.holds_[*slot.hold].doubtful = true;
    slot.state = Slot::State::kDropping;
    submit(server::UnlockRequest{slot.asked.ino, slot.asked.space, {}, slot.asked.owner}, slot,
           &Client::dropped);
  }

  void dropped(Slot& slot, const tree::Outcome& outcome) {
    if (outcome.error != Error::kOk) Checkers::violated("an unlock was refused");
    release(slot, outcome.zxid);
    slot.state = Slot::State::kIdle;
  }

  void cancel(Slot& slot) {
    slot.state = Slot::State::kCancelling;
    submit(server::CancelLockRequest{slot.asked.ino, slot.asked.request}, slot, &Client::cancelled);
  }

  void cancelled(Slot& slot, const tree::Outcome& outcome) {
    const bool was_granted = slot.state == Slot::State::kHeld;
    if (was_granted != (outcome.error == Error::kNoNode)) {
      Checkers::violated(fmt::format("taking back was answered {} but it was {}granted: {}",
                                     to_string(outcome.error), was_granted ? "" : "not ",
                                     text(slot.asked)));
    }
    if (!was_granted) slot.state = Slot::State::kIdle;
  }

  Slot* slot_of(std::uint64_t request) {
    const auto at = std::find_if(slots_.begin(), slots_.end(),
                                 [&](const Slot& s) { return s.asked.request == request; });
    return at == slots_.end() ? nullptr : &*at;
  }

  LockWorkload& all_;
  SimNode& node_;
  SessionId session_;
  bool open_ = false;
  std::vector<Slot> slots_;
  std::uint64_t last_request_ = 0;
};

LockWorkload::LockWorkload(Random& random) : random_(random) {}

LockWorkload::~LockWorkload() = default;

LockWorkload::Client& LockWorkload::client_of(SimNode& node) {
  auto& client = clients_[{node.id(), node.incarnation()}];
  if (!client) client = std::make_unique<Client>(*this, node);
  return *client;
}

void LockWorkload::act(SimNode& node) {
  if (node.running() && !node.paused()) client_of(node).act();
}

std::size_t LockWorkload::add_hold(const tree::LockView& lock) {
  holds_.push_back({lock, false, std::nullopt, lock.zxid, false});
  return holds_.size() - 1;
}

void LockWorkload::check_tree(const tree::DataTree& tree) {
  for (const Ino ino : tree.locked()) {
    const auto locks = tree.locks_of(ino);
    for (auto lock = locks.begin(); lock != locks.end(); ++lock) {
      const auto other = std::find_if(locks.begin(), lock,
                                      [&](const auto& before) { return conflict(before, *lock); });
      if (lock->waiting && other == lock) {
        Checkers::violated(
            fmt::format("at {} waits for nothing: {}", tree.last_applied(), text(*lock)));
      }
      if (!lock->waiting && other != lock) {
        Checkers::violated(
            fmt::format("at {}: {} and {}", tree.last_applied(), text(*other), text(*lock)));
      }
    }
  }
}

void LockWorkload::observe(SimNode& node) {
  const tree::DataTree& tree = node.member().tree();
  const Zxid position = tree.last_applied();
  if (std::exchange(observed_[{node.id(), node.incarnation()}], position) == position) return;
  check_tree(tree);
  for (std::size_t i = first_open_; i < holds_.size(); ++i) {
    Hold& hold = holds_[i];
    if (hold.over || position < hold.lock.zxid) continue;
    // A session that was there once and is not ended for good.
    hold.over =
        (hold.released && position >= *hold.released) || !tree.find_session(hold.lock.session);
    if (hold.over || hold.doubtful) continue;
    hold.seen = std::max(hold.seen, position);
    if (!holds(tree, hold.lock)) {
      Checkers::violated(
          fmt::format("server {} at {} has not {}", node.id(), position, text(hold.lock)));
    }
  }
  while (first_open_ < holds_.size() && holds_[first_open_].over) ++first_open_;
}

void LockWorkload::check(SimNode& node) const {
  const auto client = clients_.find({node.id(), node.incarnation()});
  if (client != clients_.end()) client->second->check();
  check_told();
}

// In the order of the log no lock begins where a conflicting one was held for certain.
void LockWorkload::check_told() const {
  for (const Hold& hold : holds_) {
    const Zxid end = hold.released ? *hold.released : Zxid{hold.seen.value + 1};
    for (const Hold& other : holds_) {
      if (conflict(hold.lock, other.lock) && other.lock.zxid > hold.lock.zxid &&
          other.lock.zxid < end) {
        Checkers::violated(
            fmt::format("{} while {} was held until {}", text(other.lock), text(hold.lock), end));
      }
    }
  }
}

}  // namespace zkfs::sim
