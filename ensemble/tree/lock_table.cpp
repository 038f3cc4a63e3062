// SPDX-License-Identifier: Apache-2.0
#include "ensemble/tree/lock_table.h"

#include <algorithm>
#include <array>
#include <deque>
#include <iterator>
#include <limits>
#include <set>

#include <fmt/format.h>

#include "ensemble/base/check.h"
#include "ensemble/base/checksum.h"
#include "ensemble/base/limits.h"

namespace zkfs::tree {
namespace {

constexpr std::size_t kPieceWeight = 1;
constexpr std::size_t kWaitingWeight = 2;

std::uint64_t checksum_of(const LockView& lock) {
  const std::uint64_t form = static_cast<std::uint64_t>(lock.space) |
                             static_cast<std::uint64_t>(lock.mode) << 8U |
                             std::uint64_t{lock.waiting} << 16U | std::uint64_t{lock.pid} << 32U;
  const std::array<std::uint64_t, 8> fields{
      lock.ino.value,     form,       lock.range.first, lock.range.last,
      lock.session.value, lock.owner, lock.request,     lock.zxid.value};
  return checksum64({reinterpret_cast<const char*>(fields.data()), sizeof fields});
}

}  // namespace

// --- who is in whose way ---

bool LockTable::conflicts(const LockView& a, const LockView& b) {
  return (a.mode == LockMode::kExclusive || b.mode == LockMode::kExclusive) &&
         a.range.overlaps(b.range) && owner_of(a) != owner_of(b);
}

const LockView* LockTable::conflict_in(const Pieces& pieces, const LockView& asked) {
  auto at = pieces.upper_bound(asked.range.first);
  if (at != pieces.begin()) --at;
  for (; at != pieces.end() && at->first <= asked.range.last; ++at) {
    if (conflicts(at->second, asked)) return &at->second;
  }
  return nullptr;
}

bool LockTable::held_conflict(const File& file, const LockView& asked) {
  if (asked.mode == LockMode::kShared && file.exclusives == 0) return false;
  return std::any_of(file.held.begin(), file.held.end(), [&](const auto& owned) {
    return conflict_in(owned.second, asked) != nullptr;
  });
}

std::vector<const LockView*> LockTable::obstacles(const File& file, const LockView& asked) {
  const auto own = file.held.find(owner_of(asked));
  std::vector<const LockView*> held_up;
  std::vector<const LockView*> result;
  for (const auto& [zxid, waiting] : file.waiting) {
    if (zxid >= asked.zxid) break;
    if (own != file.held.end() && owner_of(waiting) != owner_of(asked) &&
        (conflict_in(own->second, waiting) != nullptr ||
         std::any_of(held_up.begin(), held_up.end(),
                     [&](const LockView* before) { return conflicts(*before, waiting); }))) {
      held_up.push_back(&waiting);
    } else if (conflicts(waiting, asked)) {
      result.push_back(&waiting);
    }
  }
  return result;
}

bool LockTable::grantable(const File& file, const LockView& asked) {
  if (held_conflict(file, asked)) return false;
  const auto end = file.waiting.lower_bound(asked.zxid);
  const bool free = std::none_of(file.waiting.begin(), end, [&](const auto& waiting) {
    return conflicts(waiting.second, asked);
  });
  if (free) return true;
  return file.held.contains(owner_of(asked)) && obstacles(file, asked).empty();
}

// Looks from the asker backwards, at who waits for it: mostly nobody.
class LockTable::CircleSearch {
 public:
  CircleSearch(const LockTable& table, const LockView& asked) : table_(table) {
    reached_.insert(owner_key(asked));
    queue_.push_back(owner_key(asked));
    const File& file = table.files_.at(file_of(asked));
    for (const auto& [owner, pieces] : file.held) {
      const LockView* piece = conflict_in(pieces, asked);
      if (piece != nullptr) add_target(owner_key(*piece));
    }
    for (const LockView* waiting : obstacles(file, asked)) add_target(owner_key(*waiting));
  }

  bool run() {
    if (targets_.empty()) return false;
    for (; !queue_.empty() && !found_; queue_.pop_front()) {
      const auto owner = table_.owners_.find(queue_.front());
      if (owner == table_.owners_.end()) continue;
      const LockSpace space = owner->first.space;
      const Owner who{owner->first.session, owner->first.owner};
      for (const auto& [ino, count] : owner->second.held) {
        look_behind_held(table_.files_.at({ino, space}), who);
      }
      for (const auto& [zxid, ino] : owner->second.waiting) {
        look_behind_waiting(table_.files_.at({ino, space}), zxid);
      }
    }
    return found_;
  }

 private:
  // Who waits for nothing cannot be part of a circle.
  void add_target(const OwnerKey& key) {
    if (!table_.owners_.at(key).waiting.empty()) targets_.insert(key);
  }

  void reach(const LockView& waiting) {
    const OwnerKey key = owner_key(waiting);
    found_ = found_ || targets_.contains(key);
    if (reached_.size() < kDeadlockOwnersMax && reached_.insert(key).second) queue_.push_back(key);
  }

  [[nodiscard]] bool known(const LockView& waiting) const {
    return reached_.contains(owner_key(waiting));
  }

  void look_behind_held(const File& file, Owner who) {
    const Pieces& pieces = file.held.at(who);
    for (const auto& [zxid, waiting] : file.waiting) {
      if (!known(waiting) && conflict_in(pieces, waiting) != nullptr) reach(waiting);
    }
  }

  void look_behind_waiting(const File& file, Zxid zxid) {
    const auto at = file.waiting.find(zxid);
    for (auto later = std::next(at); later != file.waiting.end(); ++later) {
      const LockView& waiting = later->second;
      if (known(waiting) || !conflicts(at->second, waiting)) continue;
      if (file.held.contains(owner_of(waiting))) {
        const auto all = obstacles(file, waiting);
        if (std::find(all.begin(), all.end(), &at->second) == all.end()) continue;
      }
      reach(waiting);
    }
  }

  const LockTable& table_;
  std::set<OwnerKey> targets_;  // whom the asker would wait for, if they wait themselves
  std::set<OwnerKey> reached_;  // who waits for the asker, and the asker
  std::deque<OwnerKey> queue_;
  bool found_ = false;
};

bool LockTable::closes_circle(const LockView& asked) const {
  // Nobody waits for who has nothing.
  return owners_.contains(owner_key(asked)) && CircleSearch(*this, asked).run();
}

// --- steps ---

std::size_t LockTable::weight_of(SessionId session) const {
  const auto at = weights_.find(session);
  return at == weights_.end() ? 0 : at->second;
}

void LockTable::add_weight(SessionId session, std::size_t weight) {
  weights_[session] += weight;
}

void LockTable::take_weight(SessionId session, std::size_t weight) {
  const auto at = weights_.find(session);
  at->second -= weight;
  if (at->second == 0) weights_.erase(at);
}

void LockTable::drop_index(const OwnerKey& key) {
  const auto at = owners_.find(key);
  if (at->second.held.empty() && at->second.waiting.empty()) owners_.erase(at);
}

void LockTable::insert_held(File& file, const LockView& piece) {
  file.held[owner_of(piece)].emplace(piece.range.first, piece);
  if (piece.mode == LockMode::kExclusive) ++file.exclusives;
  ++owners_[owner_key(piece)].held[piece.ino];
  add_weight(piece.session, kPieceWeight);
  digest_ += checksum_of(piece);
}

void LockTable::erase_held(File& file, Pieces& pieces, Pieces::iterator at) {
  const LockView& piece = at->second;
  const Owner owner = owner_of(piece);
  const OwnerKey key = owner_key(piece);
  if (piece.mode == LockMode::kExclusive) --file.exclusives;
  auto& held = owners_.at(key).held;
  const auto count = held.find(piece.ino);
  if (--count->second == 0) held.erase(count);
  drop_index(key);
  take_weight(piece.session, kPieceWeight);
  digest_ -= checksum_of(piece);
  pieces.erase(at);
  if (pieces.empty()) file.held.erase(owner);
}

void LockTable::insert_waiting(File& file, const LockView& request) {
  file.waiting.emplace(request.zxid, request);
  owners_[owner_key(request)].waiting.emplace(request.zxid, request.ino);
  requests_.emplace(RequestKey{request.session, request.request},
                    WaitingPlace{file_of(request), request.zxid});
  add_weight(request.session, kWaitingWeight);
  digest_ += checksum_of(request);
}

void LockTable::erase_waiting(File& file, std::map<Zxid, LockView>::iterator at) {
  const LockView& request = at->second;
  const OwnerKey key = owner_key(request);
  owners_.at(key).waiting.erase(request.zxid);
  drop_index(key);
  requests_.erase({request.session, request.request});
  take_weight(request.session, kWaitingWeight);
  digest_ -= checksum_of(request);
  file.waiting.erase(at);
}

bool LockTable::splits(const Pieces& pieces, LockRange range) {
  auto at = pieces.upper_bound(range.first);
  if (at == pieces.begin()) return false;
  --at;
  return at->second.range.first < range.first && range.last < at->second.range.last;
}

void LockTable::carve(File& file, Owner owner, LockRange range) {
  const auto own = file.held.find(owner);
  if (own == file.held.end()) return;
  Pieces& pieces = own->second;
  std::vector<LockView> rests;
  auto at = pieces.upper_bound(range.first);
  if (at != pieces.begin()) --at;
  std::vector<std::uint64_t> cut;
  for (; at != pieces.end() && at->first <= range.last; ++at) {
    const LockView& piece = at->second;
    if (!piece.range.overlaps(range)) continue;
    cut.push_back(at->first);
    if (piece.range.first < range.first) {
      rests.push_back(piece);
      rests.back().range.last = range.first - 1;
    }
    if (piece.range.last > range.last) {
      rests.push_back(piece);
      rests.back().range.first = range.last + 1;
    }
  }
  // The last erase_held() takes `pieces` with it.
  for (const std::uint64_t first : cut) erase_held(file, pieces, pieces.find(first));
  for (const LockView& rest : rests) insert_held(file, rest);
}

void LockTable::grant(File& file, LockView piece) {
  piece.waiting = false;
  carve(file, owner_of(piece), piece.range);
  const auto own = file.held.find(owner_of(piece));
  if (own != file.held.end()) {
    // No piece of the owner overlaps now: the next one begins behind, the one before it ends
    // before.
    const auto next = own->second.upper_bound(piece.range.first);
    const auto previous = next == own->second.begin() ? own->second.end() : std::prev(next);
    std::vector<Pieces::iterator> joined;
    if (next != own->second.end() && next->first - 1 == piece.range.last &&
        next->second.mode == piece.mode) {
      piece.range.last = next->second.range.last;
      joined.push_back(next);
    }
    if (previous != own->second.end() && previous->second.range.last + 1 == piece.range.first &&
        previous->second.mode == piece.mode) {
      piece.range.first = previous->first;
      joined.push_back(previous);
    }
    for (const auto at : joined) erase_held(file, own->second, at);
  }
  insert_held(file, piece);
}

void LockTable::settle(Zxid zxid, FileKey key, Grants& granted) {
  const auto found = files_.find(key);
  if (found == files_.end()) return;
  File& file = found->second;
  // Again after a grant: one that weakens what its owner held may let go an earlier request.
  for (bool again = true; again;) {
    again = false;
    for (auto at = file.waiting.begin(); at != file.waiting.end();) {
      const auto here = at++;
      if (!grantable(file, here->second)) continue;
      LockView piece = here->second;
      erase_waiting(file, here);
      granted.push_back({piece.ino, piece.session, piece.request});
      piece.zxid = zxid;
      grant(file, piece);
      again = true;
    }
  }
  if (file.held.empty() && file.waiting.empty()) files_.erase(found);
}

// --- changing ---

Error LockTable::lock(const LockView& asked, bool wait, Grants& granted) {
  const FileKey key = file_of(asked);
  if (requests_.contains({asked.session, asked.request})) return Error::kBadArguments;
  if (weight_of(asked.session) + kWaitingWeight > limits::kLocksPerSessionMax) {
    return Error::kQuotaExceeded;
  }
  File& file = files_[key];
  if (grantable(file, asked)) {
    grant(file, asked);
    settle(asked.zxid, key, granted);
    return Error::kOk;
  }
  if (!wait) return Error::kWouldBlock;
  if (asked.space == LockSpace::kPosix) {
    if (closes_circle(asked)) return Error::kDeadlock;
  } else if (file.held.contains(owner_of(asked))) {
    // What is in the way stays there, be it that a request is granted that waited before: the file
    // does not go, nor does the request become grantable.
    carve(file, owner_of(asked), asked.range);
    settle(asked.zxid, key, granted);
  }
  LockView request = asked;
  request.waiting = true;
  insert_waiting(file, request);
  return Error::kLockQueued;
}

Error LockTable::unlock(Zxid zxid,
                        Ino ino,
                        LockSpace space,
                        LockRange range,
                        SessionId session,
                        std::uint64_t owner,
                        Grants& granted) {
  const auto file = files_.find({ino, space});
  if (file == files_.end()) return Error::kOk;
  const auto own = file->second.held.find({session, owner});
  if (own == file->second.held.end()) return Error::kOk;
  if (weight_of(session) + kPieceWeight > limits::kLocksPerSessionMax &&
      splits(own->second, range)) {
    return Error::kQuotaExceeded;
  }
  carve(file->second, {session, owner}, range);
  settle(zxid, {ino, space}, granted);
  return Error::kOk;
}

Error LockTable::cancel(
    Zxid zxid, Ino ino, SessionId session, std::uint64_t request, Grants& granted) {
  const auto found = requests_.find({session, request});
  if (found == requests_.end() || found->second.file.ino != ino) return Error::kNoNode;
  const WaitingPlace place = found->second;
  File& file = files_.at(place.file);
  erase_waiting(file, file.waiting.find(place.zxid));
  settle(zxid, place.file, granted);
  return Error::kOk;
}

void LockTable::end_session(Zxid zxid, SessionId session, Grants& granted) {
  std::set<FileKey> changed;
  for (;;) {
    const auto at = owners_.lower_bound({session, LockSpace::kFlock, 0});
    if (at == owners_.end() || at->first.session != session) break;
    const OwnerKey key = at->first;
    // Copied: the last thing taken away takes the index with it.
    const OwnerIndex index = at->second;
    for (const auto& [ino, count] : index.held) {
      changed.insert({ino, key.space});
      carve(files_.at({ino, key.space}), {session, key.owner}, LockRange{});
    }
    for (const auto& [asked, ino] : index.waiting) {
      changed.insert({ino, key.space});
      File& file = files_.at({ino, key.space});
      erase_waiting(file, file.waiting.find(asked));
    }
  }
  for (const FileKey& key : changed) settle(zxid, key, granted);
}

// --- reading ---

std::vector<LockView> LockTable::locks_of(Ino ino) const {
  std::vector<LockView> held;
  std::vector<LockView> waiting;
  for (const LockSpace space : {LockSpace::kFlock, LockSpace::kPosix}) {
    const auto file = files_.find({ino, space});
    if (file == files_.end()) continue;
    const auto start = static_cast<std::ptrdiff_t>(held.size());
    for (const auto& [owner, pieces] : file->second.held) {
      for (const auto& [first, piece] : pieces) held.push_back(piece);
    }
    // Stable: owners come in order.
    std::stable_sort(held.begin() + start, held.end(), [](const auto& a, const auto& b) {
      return a.range.first != b.range.first ? a.range.first < b.range.first
                                            : a.range.last < b.range.last;
    });
    for (const auto& [zxid, request] : file->second.waiting) waiting.push_back(request);
  }
  held.insert(held.end(), waiting.begin(), waiting.end());
  return held;
}

std::vector<Ino> LockTable::locked() const {
  std::vector<Ino> result;
  for (const auto& [key, file] : files_) {
    if (result.empty() || result.back() != key.ino) result.push_back(key.ino);
  }
  return result;
}

std::optional<LockView> LockTable::conflict(const LockView& asked) const {
  const auto file = files_.find(file_of(asked));
  if (file == files_.end()) return std::nullopt;
  const LockView* first = nullptr;
  for (const auto& [owner, pieces] : file->second.held) {
    const LockView* piece = conflict_in(pieces, asked);
    if (piece != nullptr && (first == nullptr || piece->range.first < first->range.first)) {
      first = piece;
    }
  }
  if (first == nullptr) return std::nullopt;
  return *first;
}

std::optional<LockView> LockTable::of_request(Ino ino,
                                              SessionId session,
                                              std::uint64_t request) const {
  const auto waiting = requests_.find({session, request});
  if (waiting != requests_.end() && waiting->second.file.ino == ino) {
    return files_.at(waiting->second.file).waiting.at(waiting->second.zxid);
  }
  for (const LockSpace space : {LockSpace::kFlock, LockSpace::kPosix}) {
    const auto file = files_.find({ino, space});
    if (file == files_.end()) continue;
    const auto& held = file->second.held;
    for (auto at = held.lower_bound({session, 0}); at != held.end(); ++at) {
      if (at->first.session != session) break;
      for (const auto& [first, piece] : at->second) {
        if (piece.request == request) return piece;
      }
    }
  }
  return std::nullopt;
}

std::uint64_t LockTable::recompute_digest() const {
  std::uint64_t sum = 0;
  for (const LockView& lock : all()) sum += checksum_of(lock);
  return sum;
}

// --- snapshots ---

std::vector<LockView> LockTable::all() const {
  std::vector<LockView> result;
  for (const auto& [key, file] : files_) {
    for (const auto& [owner, pieces] : file.held) {
      for (const auto& [first, piece] : pieces) result.push_back(piece);
    }
    for (const auto& [zxid, request] : file.waiting) result.push_back(request);
  }
  return result;
}

bool LockTable::load(const LockView& lock) {
  if (lock.range.first > lock.range.last) return false;
  if (lock.space == LockSpace::kFlock && lock.range != LockRange{}) return false;
  File& file = files_[file_of(lock)];
  if (lock.waiting) {
    if (file.waiting.contains(lock.zxid) || requests_.contains({lock.session, lock.request})) {
      return false;
    }
    insert_waiting(file, lock);
    return true;
  }
  if (held_conflict(file, lock)) return false;
  const auto own = file.held.find(owner_of(lock));
  if (own != file.held.end()) {
    const auto next = own->second.upper_bound(lock.range.first);
    if (next != own->second.end() && next->second.range.overlaps(lock.range)) return false;
    if (next != own->second.begin() && std::prev(next)->second.range.overlaps(lock.range)) {
      return false;
    }
  }
  insert_held(file, lock);
  return true;
}

}  // namespace zkfs::tree
