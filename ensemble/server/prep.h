// SPDX-License-Identifier: Apache-2.0
// Prep: the leader's half of a write. Turns a Request into a Txn: resolves names, validates against
// the newest state (the committed tree with the changes of proposals still under way laid over it),
// assigns numbers, versions' effects and time. Everything odd becomes an ErrorTxn here; whatever
// leaves as another Txn applies everywhere, for ever (architecture.md 4.4, poison rule).
// Pure; lives as long as one leadership: a new one begins with an empty overlay, because a new
// leader delivers all of its log before it serves.
#pragma once

#include <memory>
#include <vector>

#include "ensemble/base/clock.h"
#include "ensemble/base/ids.h"
#include "ensemble/server/decide.h"
#include "ensemble/server/request.h"
#include "ensemble/tree/data_tree.h"
#include "ensemble/tree/txn.h"

namespace zkfs::server {

class Prep {
 public:
  // `tree` outlives it and is changed only through applied().
  explicit Prep(const tree::DataTree& tree);
  ~Prep();
  Prep(const Prep&) = delete;
  Prep& operator=(const Prep&) = delete;

  // Decides `request` as the txn that will have position `zxid`, proposed at `time`; its effects
  // are seen by later calls at once. `zxid` rises from call to call. Order of checks: session
  // (known, not closing: kSessionExpired) -> form of path, name, flags, size, ACL -> parent -> node
  // -> version -> children (reference 2.2).
  tree::Txn prepare(const Request& request, Zxid zxid, WallMillis time);

  // While set, what would add data is refused with kNoSpace; removing, emptying, locks and sessions
  // go on.
  void refuse_growth(bool refuse);

  // While set, what would pass a hard limit of a quota is refused with kQuotaExceeded (enforceQuota
  // of zoo.cfg; off at first). A quota holds from when its limits are applied.
  void enforce_quota(bool enforce);

  // While set, ACLs keep clients from nothing (skipACL of zoo.cfg; off at first). Those of
  // processes hold: their kernel checks the mode, too.
  void skip_acl(bool skip);

  // The limits passed by what was prepared since the last call: soft ones, and hard ones that are
  // not enforced. At most 16; more are not told.
  std::vector<QuotaWarning> take_quota_warnings();

  // The tree now includes everything up to `zxid`: overlay entries no newer than that are dropped.
  void applied(Zxid zxid);

  // Znodes and names that the overlay holds, for tests and status.
  [[nodiscard]] std::size_t overlay_size() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace zkfs::server
