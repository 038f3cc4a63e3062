// SPDX-License-Identifier: Apache-2.0
// Crash recovery as a property. A random run of operations on a Store, crashed at random points
// (between operations, inside them, inside recovery itself), against a model that knows what was
// acknowledged. After each recovery: everything acknowledged is there; beyond it only what was
// submitted, as a prefix; marks and epochs never go back.
#include "ensemble/base/checksum.h"
#include "ensemble/base/log.h"
#include "ensemble/storage/store.h"
#include "tests/storage/store_fixture.h"

namespace zkfs::storage {
namespace {

using History = std::vector<Entry>;

// A member may come back with the first n entries of `history`, least <= n <= history.size().
struct Outcome {
  History history;
  std::size_t least = 0;
};

template <typename T>
struct InDoubt {
  T acknowledged{};
  T submitted{};
};

struct UnderWay {
  Zxid zxid;
  std::string text;
  History history;  // kReceived: the leader's
};

class CrashRun {
 public:
  explicit CrashRun(std::uint64_t seed) : random_(seed) {
    options_.segment_bytes = random_.between(1, 6) * 1024;
    options_.snapshots_retained = static_cast<std::uint32_t>(random_.between(1, 3));
  }

  void run(int steps) {
    recover({Outcome{}});
    for (int i = 0; i < steps && !::testing::Test::HasFatalFailure(); ++i) step();
  }

  [[nodiscard]] int crashes() const { return crashes_; }

 private:
  void step() {
    arm();
    switch (random_.below(12)) {
      case 0:
        return truncate();
      case 1:
        return save_epochs();
      case 2:
        return begin(SnapshotOrigin::kOwn);
      case 3:
        return begin(SnapshotOrigin::kReceived);
      case 4:
        return chunk();
      case 5:
        return finish_own();
      case 6:
        return finish_received();
      case 7:
        return settle(store_->purge(), {same()});
      default:
        return append();
    }
  }

  void arm() {
    if (random_.chance(1, 8)) disk_.stop_after(random_.below(14));
    if (random_.chance(1, 40)) disk_.fail_sync(random_.between(1, 4));
    if (random_.chance(1, 40)) disk_.fail_write(random_.between(1, 4));
  }

  Outcome same() const { return {history_, history_.size()}; }

  [[nodiscard]] Zxid last() const { return history_.empty() ? Zxid{} : history_.back().zxid; }

  Entry next_entry() {
    const Epoch epoch = last().epoch();
    const bool new_epoch = history_.empty() || random_.chance(1, 20);
    const Zxid zxid =
        new_epoch ? Zxid{Epoch{epoch.value + 1}, 1} : Zxid{epoch, last().counter() + 1};
    std::string bytes(random_.chance(1, 10) ? random_.below(3000) : random_.below(200), '\0');
    for (char& c : bytes) c = static_cast<char>(random_.next());
    return {zxid, Blob{bytes}};
  }

  void append() {
    const std::size_t least = history_.size();
    for (std::uint64_t n = random_.between(1, 6); n > 0; --n) history_.push_back(next_entry());
    const std::span<const Entry> batch = std::span{history_}.subspan(least);
    const Zxid mark =
        random_.chance(1, 3)
            ? history_[committed_index() + random_.below(history_.size() - committed_index())].zxid
            : Zxid{};
    mark_.submitted = std::max(mark_.acknowledged, mark);
    settle(store_->append(batch, mark), {{history_, least}});
  }

  // The index of the last committed entry; 0 also if there is none.
  [[nodiscard]] std::size_t committed_index() const {
    std::size_t index = 0;
    for (std::size_t i = 0; i < history_.size() && history_[i].zxid <= mark_.submitted; ++i)
      index = i;
    return index;
  }

  void truncate() {
    if (history_.empty()) return;
    const std::size_t keep =
        committed_index() + 1 + random_.below(history_.size() - committed_index());
    const History before = history_;
    history_.resize(keep);
    settle(store_->truncate_after(last()), {{before, keep}});
  }

  void save_epochs() {
    accepted_.submitted =
        Epoch{accepted_.acknowledged.value + static_cast<std::uint32_t>(random_.below(3))};
    settle(store_->save_accepted_epoch(accepted_.submitted), {same()});
    if (crashed_) return;
    current_.submitted = Epoch{static_cast<std::uint32_t>(
        random_.between(current_.acknowledged.value, accepted_.acknowledged.value))};
    settle(store_->save_current_epoch(current_.submitted), {same()});
  }

  static std::string digest(const History& history, Zxid zxid) {
    std::uint64_t sum = 0;
    for (const Entry& entry : history) {
      if (entry.zxid > zxid) break;
      sum = checksum64(entry.bytes.view(), sum ^ entry.zxid.value);
    }
    return fmt::format("{:x}", sum);
  }

  void begin(SnapshotOrigin origin) {
    auto& under_way = origin == SnapshotOrigin::kOwn ? own_ : received_;
    UnderWay made;
    if (origin == SnapshotOrigin::kOwn) {
      made.zxid = mark_.acknowledged;
      made.history = history_;
    } else {
      // The leader's history: what is committed here, and entries that this member has not seen.
      const History mine = history_;
      history_.resize(history_.empty() ? 0 : committed_index() + 1);
      const auto epoch = Epoch{
          std::max(last().epoch().value, mine.empty() ? 0U : mine.back().zxid.epoch().value) + 1};
      for (std::uint32_t n = static_cast<std::uint32_t>(random_.between(1, 4)), i = 1; i <= n; ++i)
        history_.push_back(entry_of(Zxid{epoch, i}));
      made.history = history_;
      made.zxid = last();
      history_ = mine;
    }
    made.text = digest(made.history, made.zxid);
    under_way = made;
    settle(store_->snapshot_begin(origin, made.zxid), {same()});
    if (crashed_) return;
    settle(store_->snapshot_chunk(origin, made.text), {same()});
  }

  void chunk() {
    const auto origin = random_.chance(1, 2) ? SnapshotOrigin::kOwn : SnapshotOrigin::kReceived;
    auto& under_way = origin == SnapshotOrigin::kOwn ? own_ : received_;
    if (!under_way) return;
    const std::string more(random_.below(4000), '.');
    under_way->text += more;
    settle(store_->snapshot_chunk(origin, more), {same()});
  }

  void finish_own() {
    if (!own_) return;
    own_.reset();
    settle(store_->snapshot_finish(SnapshotOrigin::kOwn), {same()});
  }

  void finish_received() {
    if (!received_) return;
    const UnderWay done = *std::exchange(received_, std::nullopt);
    if (done.zxid <= last() || done.zxid < mark_.submitted ||
        digest(done.history, mark_.submitted) != digest(history_, mark_.submitted)) {
      store_->snapshot_abandon(SnapshotOrigin::kReceived);
      if (disk_.stopped()) settle(store_->purge(), {same()});
      return;
    }
    own_.reset();
    const History before = std::exchange(history_, done.history);
    mark_.submitted = done.zxid;
    settle(store_->snapshot_finish(SnapshotOrigin::kReceived),
           {{before, before.size()}, {history_, history_.size()}});
  }

  // After an operation: it is acknowledged, or the member crashes and comes back with one of
  // `outcomes`. Sometimes it crashes anyhow.
  void settle(const Expected<void>& done, std::vector<Outcome> outcomes) {
    crashed_ = false;
    if (done) {
      mark_.acknowledged = mark_.submitted;
      accepted_.acknowledged = accepted_.submitted;
      current_.acknowledged = current_.submitted;
      if (!disk_.stopped() && !random_.chance(1, 30)) {
        if (random_.chance(1, 2)) disk_.never_stop();
        return;
      }
      outcomes = {same()};
    } else {
      const std::string& text = done.error().text;
      const bool injected = text.find("has stopped") != std::string::npos ||
                            text.find("Input/output") != std::string::npos;
      ASSERT_TRUE(injected) << text;
    }
    recover(outcomes);
  }

  void recover(const std::vector<Outcome>& outcomes) {
    crashed_ = true;
    ++crashes_;
    while (true) {
      store_.reset();
      if (random_.chance(3, 4)) {
        disk_.crash(random_);
      } else {
        disk_.restart();
      }
      if (random_.chance(1, 5)) disk_.stop_after(random_.below(10));
      auto opened = Store::open(disk_, options_);
      if (!opened && disk_.stopped()) continue;
      ASSERT_TRUE(is_done(opened));
      store_ = std::move(*opened);
      disk_.never_stop();
      break;
    }
    own_.reset();
    received_.reset();
    check(outcomes);
  }

  void check(const std::vector<Outcome>& outcomes) {
    const Recovered& found = store_->recovered();
    const Outcome* match = nullptr;
    for (const Outcome& outcome : outcomes) {
      if (matches(outcome)) match = &outcome;
    }
    ASSERT_NE(match, nullptr) << "came back with " << found.entries.size() << " entries up to "
                              << store_->last_logged().value << " after a snapshot of "
                              << found.snapshot_zxid.value;
    History adopted = match->history;
    std::erase_if(adopted, [&](const Entry& e) { return e.zxid > store_->last_logged(); });
    history_ = adopted;
    ASSERT_GE(found.committed, mark_.acknowledged);
    ASSERT_LE(found.committed, mark_.submitted);
    mark_ = {found.committed, found.committed};
    ASSERT_GE(found.accepted_epoch, accepted_.acknowledged);
    ASSERT_LE(found.accepted_epoch, accepted_.submitted);
    accepted_ = {found.accepted_epoch, found.accepted_epoch};
    ASSERT_GE(found.current_epoch, current_.acknowledged);
    ASSERT_LE(found.current_epoch, current_.submitted);
    current_ = {found.current_epoch, found.current_epoch};
  }

  bool matches(const Outcome& outcome) {
    const Recovered& found = store_->recovered();
    std::size_t base = 0;
    while (base < outcome.history.size() && outcome.history[base].zxid <= found.snapshot_zxid)
      ++base;
    if (found.has_snapshot) {
      if (found.snapshot_zxid.value != 0 &&
          (base == 0 || outcome.history[base - 1].zxid != found.snapshot_zxid))
        return false;
      std::string text;
      const auto read = store_->read_snapshot([&](ByteView chunk) -> Expected<void> {
        text += chunk;
        return {};
      });
      if (!read || text.substr(0, text.find('.')) != digest(outcome.history, found.snapshot_zxid))
        return false;
    }
    const std::size_t length = base + found.entries.size();
    if (length < outcome.least || length > outcome.history.size()) return false;
    return std::ranges::equal(found.entries,
                              std::span{outcome.history}.subspan(base, found.entries.size()));
  }

  Random random_;
  ::zkfs::testing::SimDisk disk_;
  StoreOptions options_;
  std::unique_ptr<Store> store_;
  History history_;  // as far as the model knows; the tail of an unacknowledged append is settled
                     // at recovery
  InDoubt<Zxid> mark_;
  InDoubt<Epoch> accepted_;
  InDoubt<Epoch> current_;
  std::optional<UnderWay> own_;
  std::optional<UnderWay> received_;
  bool crashed_ = false;
  int crashes_ = 0;
};

TEST(StoreCrash, NothingAcknowledgedIsLostAndNothingIsInvented) {
  log::set_level(log::Level::kOff);
  int crashes = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    CrashRun run(seed);
    run.run(150);
    crashes += run.crashes();
    if (HasFatalFailure()) break;
  }
  log::set_level(log::Level::kInfo);
  EXPECT_GT(crashes, 4000);
}

}  // namespace
}  // namespace zkfs::storage
