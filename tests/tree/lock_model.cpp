// SPDX-License-Identifier: Apache-2.0
#include "tests/tree/lock_model.h"

#include <algorithm>

#include <fmt/format.h>

namespace zkfs::tree::test {

LockRange lock_range(std::uint64_t first, std::uint64_t last) {
  return {first, last == kLockBytes - 1 ? UINT64_MAX : last};
}

bool LockModel::conflicts(const LockView& a, const LockView& b) {
  const bool exclusive = a.mode == LockMode::kExclusive || b.mode == LockMode::kExclusive;
  return a.ino == b.ino && a.space == b.space && owner_of(a) != owner_of(b) && exclusive &&
         a.range.overlaps(b.range);
}

// Whether a byte that `owner` holds is in the way of `asked`.
bool LockModel::holds_against(Owner owner, const LockView& asked) const {
  const auto bytes = held_.find({asked.ino, owner});
  if (bytes == held_.end() || owner == owner_of(asked)) return false;
  for (std::uint64_t i = 0; i < kLockBytes; ++i) {
    const auto& byte = bytes->second[i];
    if (!byte || !asked.range.overlaps(lock_range(i, i))) continue;
    if (byte->mode == LockMode::kExclusive || asked.mode == LockMode::kExclusive) return true;
  }
  return false;
}

bool LockModel::held_up(const LockView& waiting, Owner asker) const {
  if (owner_of(waiting) == asker) return false;
  if (holds_against(asker, waiting)) return true;
  return std::any_of(waiting_.begin(), waiting_.end(), [&](const LockView& before) {
    return before.zxid < waiting.zxid && conflicts(before, waiting) && held_up(before, asker);
  });
}

std::vector<LockModel::Owner> LockModel::obstacles(const LockView& asked) const {
  std::vector<Owner> result;
  for (const auto& [key, bytes] : held_) {
    if (key.first == asked.ino && std::get<0>(key.second) == asked.space &&
        holds_against(key.second, asked)) {
      result.push_back(key.second);
    }
  }
  for (const LockView& before : waiting_) {
    if (before.zxid < asked.zxid && conflicts(before, asked) && !held_up(before, owner_of(asked))) {
      result.push_back(owner_of(before));
    }
  }
  return result;
}

bool LockModel::reaches(Owner from, Owner to, std::vector<Owner>& seen) const {
  if (from == to) return true;
  if (std::find(seen.begin(), seen.end(), from) != seen.end()) return false;
  seen.push_back(from);
  for (const LockView& waiting : waiting_) {
    if (owner_of(waiting) != from) continue;
    for (const Owner& next : obstacles(waiting)) {
      if (reaches(next, to, seen)) return true;
    }
  }
  return false;
}

bool LockModel::closes_circle(const LockView& asked) const {
  std::vector<Owner> seen;
  for (const Owner& next : obstacles(asked)) {
    if (reaches(next, owner_of(asked), seen)) return true;
  }
  return false;
}

void LockModel::clear(Ino ino, Owner owner, LockRange range) {
  const auto bytes = held_.find({ino, owner});
  if (bytes == held_.end()) return;
  for (std::uint64_t i = 0; i < kLockBytes; ++i) {
    if (range.overlaps(lock_range(i, i))) bytes->second[i].reset();
  }
  if (bytes->second == Bytes{}) held_.erase(bytes);
}

void LockModel::grant(const LockView& asked, Zxid zxid) {
  Bytes& bytes = held_[{asked.ino, owner_of(asked)}];
  const Held held{asked.mode, asked.request, asked.pid, zxid};
  std::uint64_t first = asked.range.first;
  std::uint64_t end = asked.range.last == UINT64_MAX ? kLockBytes : asked.range.last + 1;
  // What it joins is its own from now on.
  const auto joins = [&](std::uint64_t i) { return bytes[i] && bytes[i]->mode == asked.mode; };
  while (first > 0 && joins(first - 1)) --first;
  while (end < kLockBytes && joins(end)) ++end;
  for (; first < end; ++first) bytes[first] = held;
}

void LockModel::settle(Zxid zxid) {
  for (std::size_t i = 0; i < waiting_.size();) {
    if (!obstacles(waiting_[i]).empty()) {
      ++i;
      continue;
    }
    const LockView asked = waiting_[i];
    waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
    granted.push_back({asked.ino, asked.session, asked.request});
    grant(asked, zxid);
    // Those before had their turn; what this grant lets go of is seen when all had.
    if (i == waiting_.size()) break;
  }
  const bool more = std::any_of(waiting_.begin(), waiting_.end(),
                                [&](const LockView& w) { return obstacles(w).empty(); });
  if (more) settle(zxid);
}

Error LockModel::lock(Zxid zxid, SessionId session, const LockTxn& txn) {
  granted.clear();
  for (const LockView& waiting : waiting_) {
    if (waiting.session == session && waiting.request == txn.request) return Error::kBadArguments;
  }
  const LockView asked{txn.ino,   txn.space,   txn.mode, txn.range, session,
                       txn.owner, txn.request, txn.pid,  zxid,      true};
  if (obstacles(asked).empty()) {
    grant(asked, zxid);
    settle(zxid);
    return Error::kOk;
  }
  if (!txn.wait) return Error::kWouldBlock;
  if (txn.space == LockSpace::kPosix) {
    if (closes_circle(asked)) return Error::kDeadlock;
  } else {
    clear(txn.ino, owner_of(asked), {});
    settle(zxid);
  }
  waiting_.push_back(asked);
  return Error::kLockQueued;
}

void LockModel::unlock(Zxid zxid, SessionId session, const UnlockTxn& txn) {
  granted.clear();
  clear(txn.ino, {txn.space, session, txn.owner}, txn.range);
  settle(zxid);
}

Error LockModel::cancel(Zxid zxid, SessionId session, const CancelLockTxn& txn) {
  granted.clear();
  const auto gone = std::erase_if(waiting_, [&](const LockView& w) {
    return w.ino == txn.ino && w.session == session && w.request == txn.request;
  });
  settle(zxid);
  return gone == 0 ? Error::kNoNode : Error::kOk;
}

void LockModel::end_session(Zxid zxid, SessionId session) {
  granted.clear();
  std::erase_if(held_, [&](const auto& h) { return std::get<1>(h.first.second) == session; });
  std::erase_if(waiting_, [&](const LockView& w) { return w.session == session; });
  settle(zxid);
}

std::string LockModel::difference(const DataTree& tree) const {
  decltype(held_) held;
  std::vector<LockView> pieces;
  std::vector<LockView> waiting;
  for (const Ino ino : tree.locked()) {
    for (const LockView& lock : tree.locks_of(ino)) {
      (lock.waiting ? waiting : pieces).push_back(lock);
    }
  }
  for (const LockView& piece : pieces) {
    for (const LockView& other : pieces) {
      if (conflicts(piece, other)) return fmt::format("{} is held twice", piece.ino);
    }
    for (std::uint64_t i = 0; i < kLockBytes; ++i) {
      if (!piece.range.overlaps(lock_range(i, i))) continue;
      auto& byte = held[{piece.ino, owner_of(piece)}][i];
      if (byte) return fmt::format("{}: byte {} of one owner twice", piece.ino, i);
      byte = Held{piece.mode, piece.request, piece.pid, piece.zxid};
    }
  }
  if (held != held_) return fmt::format("{} instead of {} are held", held.size(), held_.size());
  const auto by_zxid = [](const LockView& a, const LockView& b) { return a.zxid < b.zxid; };
  std::sort(waiting.begin(), waiting.end(), by_zxid);
  if (waiting != waiting_) return fmt::format("{}, not {} wait", waiting.size(), waiting_.size());
  for (const LockView& w : waiting_) {
    if (obstacles(w).empty()) return fmt::format("request {} need not wait", w.request);
  }
  return "";
}

LockStep random_lock_step(Random& random,
                          const LockModel& model,
                          const std::vector<SessionId>& sessions,
                          const std::vector<Ino>& files,
                          std::uint64_t request) {
  LockStep step;
  step.session = sessions[random.below(sessions.size())];
  const Ino ino = files[random.below(files.size())];
  const std::uint64_t owner = random.below(3);
  const auto space = static_cast<LockSpace>(random.chance(2, 3));
  LockRange range;
  if (space == LockSpace::kPosix && random.chance(9, 10)) {
    const std::uint64_t first = random.below(kLockBytes);
    range = lock_range(first, random.between(first, kLockBytes - 1));
  }
  // Long queues cost the model much and show little.
  const bool crowded = model.waiting().size() > 8;
  switch (crowded && random.chance(1, 2) ? 3 : random.below(8)) {
    case 0:
    case 1:
    case 2:
      step.body = UnlockTxn{ino, space, range, owner};
      break;
    case 3:
      step.body = CancelLockTxn{ino, request - random.below(20)};
      if (!model.waiting().empty() && random.chance(3, 4)) {
        const LockView& waiting = model.waiting()[random.below(model.waiting().size())];
        step = {waiting.session, CancelLockTxn{waiting.ino, waiting.request}};
      }
      break;
    default:
      step.body = LockTxn{ino,
                          space,
                          static_cast<LockMode>(random.below(2)),
                          range,
                          owner,
                          request,
                          7,
                          random.chance(2, 3)};
  }
  return step;
}

}  // namespace zkfs::tree::test
