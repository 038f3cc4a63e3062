// SPDX-License-Identifier: Apache-2.0
// Decide: one operation against the newest state: the step of a txn that it becomes, or the error
// it is answered. Changes nothing; Prep tells Outstanding what was decided. The order of checks is
// that of prep.h; where several errors apply, ZooKeeper's precedence (reference/zookeeper.md 2.2).
//
// It upholds what DataTree::apply takes for granted, and one thing more: a znode of kind file or
// symlink is no container and has no children. (A ZooKeeper client may give it one; then it is a
// directory.)
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "ensemble/base/error.h"
#include "ensemble/base/ids.h"
#include "ensemble/server/outstanding.h"
#include "ensemble/server/request.h"
#include "ensemble/server/resolve.h"
#include "ensemble/tree/txn.h"

namespace zkfs::server {

// Ephemerals of one session: all of them must fit the one CloseSessionTxn.
inline constexpr std::size_t kEphemeralsPerSessionMax = 100'000;
// Also of the ErrorTxn that a multi may become.
inline constexpr std::size_t kMultiOperationsMax = 100'000;
// ZooKeeper's TTLs have 40 bits.
inline constexpr std::int64_t kTtlMsMax = (1LL << 40U) - 1;

// The root and the system znodes: nobody removes, moves or replaces them.
constexpr bool is_fixed(Ino ino) {
  return ino == kRootIno || is_system(ino);
}

// A soft limit that a write is about to pass, for a log.
struct QuotaWarning {
  Ino quota;  // the znode below /zookeeper/quota
  bool of_count = false;
  std::int64_t limit = 0;
  std::int64_t value = 0;

  friend bool operator==(const QuotaWarning&, const QuotaWarning&) = default;
};

// How quotas are held, and what was found.
struct QuotaKeeper {
  bool enforced = false;  // hard limits refuse (enforceQuota)
  std::vector<QuotaWarning> warnings{};
};

class Decide {
 public:
  using Step = Result<tree::SubTxn>;

  // All outlive it. Requires: the session is alive, or none. `skip_acl`: no ACL keeps a client from
  // anything; those of processes hold.
  Decide(const Outstanding& state,
         SessionId session,
         const Identity& identity,
         QuotaKeeper& quotas,
         bool skip_acl = false);

  Step operator()(const CreateRequest& request) const;
  Step operator()(const DeleteRequest& request) const;
  Step operator()(const SetDataRequest& request) const;
  Step operator()(const AppendRequest& request) const;
  Step operator()(const SetAclRequest& request) const;
  Step operator()(const SetAttributesRequest& request) const;
  // A rename onto itself becomes a CheckTxn: nothing happens. Fails with kBadArguments for
  // `onto_data`, which is two steps: see below.
  Step operator()(const RenameRequest& request) const;
  Step operator()(const CheckRequest& request) const;

  // A RenameRequest with `onto_data`: SetData of the directory and Delete of the source.
  [[nodiscard]] Result<tree::MultiTxn> onto_data(const RenameRequest& request) const;

 private:
  // The two ends of a rename.
  struct Move {
    Located source;
    Located target;
  };

  [[nodiscard]] Result<void> allowed(Ino ino, std::uint32_t permission) const;
  // `form`, as it is answered to who asks.
  [[nodiscard]] Result<void> named(Result<void> form) const;
  // An existing znode and the right to do something with it.
  [[nodiscard]] Result<Ino> existing(const Target& target, std::uint32_t permission) const;
  [[nodiscard]] Result<void> check_create(const CreateRequest& request) const;
  // Whether so much more may be at the znode `ino`, or at its child of that name. Fails with:
  // kQuotaExceeded.
  [[nodiscard]] Result<void> may_use(Ino ino,
                                     std::string_view name,
                                     const tree::QuotaUsage& more) const;
  [[nodiscard]] Result<void> may_replace_data(Ino ino, std::size_t length) const;
  [[nodiscard]] Result<void> may_arrive(const Move& move) const;
  [[nodiscard]] Result<void> within(
      Ino quota, bool of_count, std::int64_t soft, std::int64_t hard, std::int64_t value) const;
  [[nodiscard]] Result<void> is_still_a_file(Ino ino) const;
  [[nodiscard]] Step set_existing(const CreateRequest& request, Ino ino) const;
  [[nodiscard]] Result<void> can_adopt(Ino parent) const;

  [[nodiscard]] Result<Move> ends_of(const RenameRequest& request) const;
  [[nodiscard]] Result<void> may_move(const Move& move, bool exchange) const;
  [[nodiscard]] Result<void> can_replace(Ino source, Ino target) const;
  [[nodiscard]] Result<void> check_loop(const Move& move, bool exchange) const;

  const Outstanding& state_;
  SessionId session_;
  const Identity& identity_;
  bool almighty_;
  QuotaKeeper& quotas_;
};

}  // namespace zkfs::server
