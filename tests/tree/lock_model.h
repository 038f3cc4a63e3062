// SPDX-License-Identifier: Apache-2.0
// The rules of tree/lock_table.h told naively: byte by byte, every question asked anew of
// everything. For files of kLockBytes bytes, the last of which stands for all that follow.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "ensemble/base/random.h"
#include "ensemble/tree/data_tree.h"

namespace zkfs::tree::test {

inline constexpr std::uint64_t kLockBytes = 12;

// What a range is of kLockBytes bytes, and back: the last one ends at UINT64_MAX.
LockRange lock_range(std::uint64_t first, std::uint64_t last);

class LockModel {
 public:
  // Of one byte of one owner.
  struct Held {
    LockMode mode;
    std::uint64_t request;
    std::uint32_t pid;
    Zxid zxid;

    friend bool operator==(const Held&, const Held&) = default;
  };

  using File = std::pair<Ino, LockSpace>;
  using Owner = std::tuple<LockSpace, SessionId, std::uint64_t>;
  using Bytes = std::array<std::optional<Held>, kLockBytes>;

  // Requests that the last call granted after they had waited.
  std::vector<LockGrant> granted;

  Error lock(Zxid zxid, SessionId session, const LockTxn& txn);
  void unlock(Zxid zxid, SessionId session, const UnlockTxn& txn);
  Error cancel(Zxid zxid, SessionId session, const CancelLockTxn& txn);
  void end_session(Zxid zxid, SessionId session);

  // What waits, in order, of all files.
  [[nodiscard]] const std::vector<LockView>& waiting() const { return waiting_; }

  // Where the tree differs, or what it should not be even so; empty: nowhere.
  [[nodiscard]] std::string difference(const DataTree& tree) const;

 private:
  static Owner owner_of(const LockView& v) { return {v.space, v.session, v.owner}; }

  static bool conflicts(const LockView& a, const LockView& b);
  [[nodiscard]] bool holds_against(Owner owner, const LockView& asked) const;
  [[nodiscard]] bool held_up(const LockView& waiting, Owner asker) const;
  // Whom it waits for.
  [[nodiscard]] std::vector<Owner> obstacles(const LockView& asked) const;
  [[nodiscard]] bool reaches(Owner from, Owner to, std::vector<Owner>& seen) const;
  [[nodiscard]] bool closes_circle(const LockView& asked) const;
  void grant(const LockView& asked, Zxid zxid);
  void clear(Ino ino, Owner owner, LockRange range);
  void settle(Zxid zxid);

  std::map<std::pair<Ino, Owner>, Bytes> held_;
  std::vector<LockView> waiting_;
};

// A txn of a lock: by one of a few sessions of a few owners each, on a few files.
struct LockStep {
  SessionId session;
  TxnBody body;
};

LockStep random_lock_step(Random& random,
                          const LockModel& model,
                          const std::vector<SessionId>& sessions,
                          const std::vector<Ino>& files,
                          std::uint64_t request);

}  // namespace zkfs::tree::test
