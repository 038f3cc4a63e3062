// SPDX-License-Identifier: Apache-2.0
// LockTable: the advisory locks of the tree, as replicated state. Whether a request is granted,
// waits or is refused is decided when its txn is applied, so equally on every server, and whoever
// lets go hands over in the same txn. Pure; knows numbers only: a lock stays on its Ino whatever
// name it has, and after the znode is gone.
//
// The rules. "Owner" is (space, session, owner); a file is an Ino in one LockSpace.
// - Two locks of different owners conflict if they are of one file, overlap, and are not both
// shared.
// - The queue is first come, first served: a request is granted if it conflicts with no held lock
// and with no request that waits before it. Only those that are themselves held up by the asker do
// not count (by a lock the asker holds in this file, directly or behind another one that is): they
// cannot go before the asker lets go, and to put the asker behind them would be a deadlock. So who
// holds a lock can ask for it again, weaken it, strengthen it if alone, or add to it, whoever
// waits.
// - A grant replaces what the owner held in the range: pieces are split, and joined with
// neighbours of the same mode. A flock, being of the whole file, is one piece.
// - A flock request that must wait gives up what its owner holds first, as in Linux: otherwise two
// that strengthen a shared lock would wait for each other. A fcntl request that must wait keeps
// it; if it would close a circle of owners that wait for each other, it is refused.
// - After every change all waiting requests that can be granted are, from first to last.
// - A session's pieces count 1 and its waiting requests 2 (what one may become when granted)
// towards limits::kLocksPerSessionMax.
//
// Cost: a call walks the waiting requests of one file, and of its pieces those of one owner each;
// the search for circles stops after kDeadlockOwnersMax owners.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ensemble/base/error.h"
#include "ensemble/base/ids.h"
#include "ensemble/tree/lock.h"

namespace zkfs::tree {

inline constexpr std::size_t kDeadlockOwnersMax = 1000;

class LockTable {
 public:
  using Grants = std::vector<LockGrant>;

  // --- changing; requests that waited and are granted now, at `zxid`, are added to `granted` ---

  // `asked.zxid` is that of the txn and higher than that of any call before; `asked.waiting` does
  // not count. Requires: a range that is not empty, for a flock the whole. Returns kOk - granted;
  // kLockQueued - it waits (only if `wait`); kWouldBlock - refused, nothing changed; kDeadlock -
  // refused, nothing changed; kQuotaExceeded - the session has too many; kBadArguments - a request
  // of this number waits already.
  Error lock(const LockView& asked, bool wait, Grants& granted);
  // Requires: as above. Returns kOk, also if nothing was held; kQuotaExceeded - it would split a
  // piece, and the session has too many: nothing changed.
  Error unlock(Zxid zxid,
               Ino ino,
               LockSpace space,
               LockRange range,
               SessionId session,
               std::uint64_t owner,
               Grants& granted);
  // Takes back a request that waits. Returns kOk; kNoNode - it does not wait: nothing changed.
  Error cancel(Zxid zxid, Ino ino, SessionId session, std::uint64_t request, Grants& granted);
  // Lets go of everything that a session holds and waits for.
  void end_session(Zxid zxid, SessionId session, Grants& granted);

  // --- reading ---

  // What is held, by space, range and owner; then what waits, by space, in order.
  [[nodiscard]] std::vector<LockView> locks_of(Ino ino) const;
  // Numbers with locks or waiting requests, ascending.
  [[nodiscard]] std::vector<Ino> locked() const;
  // The lock held by another that conflicts with such a request: the first by range and owner.
  [[nodiscard]] std::optional<LockView> conflict(const LockView& asked) const;
  // The request if it waits, else the first piece that was granted last by it, if any.
  [[nodiscard]] std::optional<LockView> of_request(Ino ino,
                                                   SessionId session,
                                                   std::uint64_t request) const;

  // A sum of checksums, one for each held piece and waiting request; 0 if there are none.
  [[nodiscard]] std::uint64_t digest() const { return digest_; }

  [[nodiscard]] std::uint64_t recompute_digest() const;

  // --- snapshots ---

  [[nodiscard]] std::vector<LockView> all() const;
  // Takes one of all() in, as it is. False if no table could have it beside what is here.
  bool load(const LockView& lock);

 private:
  struct Owner {
    SessionId session;
    std::uint64_t owner = 0;

    friend constexpr auto operator<=>(const Owner&, const Owner&) = default;
  };

  struct FileKey {
    Ino ino;
    LockSpace space = LockSpace::kFlock;

    friend constexpr auto operator<=>(const FileKey&, const FileKey&) = default;
  };

  // By first byte; disjoint; neighbours of one mode are one piece.
  using Pieces = std::map<std::uint64_t, LockView>;

  struct File {
    std::map<Owner, Pieces> held;  // no owner without pieces
    std::size_t exclusives = 0;    // pieces, of all owners
    std::map<Zxid, LockView> waiting;
  };

  using Files = std::map<FileKey, File>;

  // Where an owner has something; an entry goes with the last thing. Sorted by session first.
  struct OwnerKey {
    SessionId session;
    LockSpace space = LockSpace::kFlock;
    std::uint64_t owner = 0;

    friend constexpr auto operator<=>(const OwnerKey&, const OwnerKey&) = default;
  };

  struct OwnerIndex {
    std::map<Ino, std::size_t> held;  // how many pieces
    std::map<Zxid, Ino> waiting;
  };

  struct RequestKey {
    SessionId session;
    std::uint64_t request = 0;

    friend constexpr auto operator<=>(const RequestKey&, const RequestKey&) = default;
  };

  struct WaitingPlace {
    FileKey file;
    Zxid zxid;
  };

  class CircleSearch;

  static FileKey file_of(const LockView& lock) { return {lock.ino, lock.space}; }

  static Owner owner_of(const LockView& lock) { return {lock.session, lock.owner}; }

  static OwnerKey owner_key(const LockView& lock) { return {lock.session, lock.space, lock.owner}; }

  static bool conflicts(const LockView& a, const LockView& b);
  // The first piece of one owner that conflicts with `asked`, or nullptr.
  static const LockView* conflict_in(const Pieces& pieces, const LockView& asked);
  static bool held_conflict(const File& file, const LockView& asked);
  // Requests that wait before `asked`, conflict with it and count: those not held up by its owner.
  static std::vector<const LockView*> obstacles(const File& file, const LockView& asked);
  static bool grantable(const File& file, const LockView& asked);

  [[nodiscard]] std::size_t weight_of(SessionId session) const;
  // Whether cutting `range` out leaves two pieces of one.
  static bool splits(const Pieces& pieces, LockRange range);

  void insert_held(File& file, const LockView& piece);
  void erase_held(File& file, Pieces& pieces, Pieces::iterator at);
  void insert_waiting(File& file, const LockView& request);
  void erase_waiting(File& file, std::map<Zxid, LockView>::iterator at);
  void add_weight(SessionId session, std::size_t weight);
  void take_weight(SessionId session, std::size_t weight);
  void drop_index(const OwnerKey& key);
  // Cuts `range` out of what the owner holds.
  void carve(File& file, Owner owner, LockRange range);
  // Requires: grantable.
  void grant(File& file, LockView piece);
  // Whether a circle of owners would wait for each other if `asked` waited.
  [[nodiscard]] bool closes_circle(const LockView& asked) const;
  // Grants whatever can be granted, and forgets the file if nothing is left.
  void settle(Zxid zxid, FileKey key, Grants& granted);

  Files files_;
  std::map<OwnerKey, OwnerIndex> owners_;
  std::map<RequestKey, WaitingPlace> requests_;  // those that wait
  std::unordered_map<SessionId, std::size_t> weights_;
  std::uint64_t digest_ = 0;
};

}  // namespace zkfs::tree
