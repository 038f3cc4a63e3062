// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/prep.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "ensemble/base/limits.h"
#include "ensemble/base/secret.h"
#include "ensemble/server/decide.h"
#include "ensemble/server/outstanding.h"

namespace zkfs::server {
namespace {

constexpr std::size_t kSessionOwnerBytesMax = 4096;

// Upper bounds of encoded sizes: numbers and framing of a step, what a create has beyond that, and
// an ACL entry.
constexpr std::size_t kStepBytes = 64;
constexpr std::size_t kCreateBytes = 64;
constexpr std::size_t kAclEntryBytes = 32;

std::size_t bytes_of(const tree::AclList& acl) {
  std::size_t bytes = 0;
  for (const tree::AclEntry& entry : acl)
    bytes += kAclEntryBytes + entry.scheme.size() + entry.id.size();
  return bytes;
}

std::size_t bytes_of(const tree::CreateTxn& txn) {
  return kCreateBytes + txn.name.size() + txn.data.size() + bytes_of(txn.acl);
}

std::size_t bytes_of(const tree::SetDataTxn& txn) {
  return txn.data.size();
}

std::size_t bytes_of(const tree::AppendTxn& txn) {
  return txn.data.size();
}

std::size_t bytes_of(const tree::SetAclTxn& txn) {
  return bytes_of(txn.acl);
}

std::size_t bytes_of(const tree::RenameTxn& txn) {
  return txn.new_name.size();
}

template <typename Other>
std::size_t bytes_of(const Other&) {
  return 0;
}

std::size_t bytes_bound(const tree::SubTxn& step) {
  return kStepBytes + std::visit([](const auto& txn) { return bytes_of(txn); }, step);
}

bool grows(const tree::SubTxn& step) {
  if (const auto* set = std::get_if<tree::SetDataTxn>(&step)) return !set->data.empty();
  return std::holds_alternative<tree::CreateTxn>(step) ||
         std::holds_alternative<tree::AppendTxn>(step) ||
         std::holds_alternative<tree::SetAclTxn>(step);
}

tree::TxnBody as_body(tree::SubTxn step) {
  return std::visit(
      [](auto& txn) -> tree::TxnBody {
        // A check that stands alone is a rename onto itself.
        if constexpr (std::is_same_v<std::decay_t<decltype(txn)>, tree::CheckTxn>) {
          return tree::ErrorTxn{.error = Error::kOk, .per_operation = {}};
        } else {
          return std::move(txn);
        }
      },
      step);
}

tree::ErrorTxn refusal(Error error) {
  return {.error = error, .per_operation = {}};
}

}  // namespace

struct Prep::State {
  explicit State(const tree::DataTree& tree) : outstanding(tree) {}

  // One operation: decided, entered into the overlay, and returned.
  Decide::Step step(const Decide& decide, const auto& request) {
    auto decided = decide(request);
    if (!decided) return decided;
    // Cannot fail for what came through a front door; keeps a log entry from being unreadable.
    if (bytes_bound(*decided) > limits::kEntryBytesMax) return std::unexpected(Error::kTooLarge);
    if (growth_refused && grows(*decided)) return std::unexpected(Error::kNoSpace);
    outstanding.apply(*decided);
    return decided;
  }

  tree::TxnBody body(const Request& request);
  tree::TxnBody single(const Decide& decide, const auto& operation);
  tree::TxnBody rename(const Decide& decide, const RenameRequest& rename);
  tree::TxnBody multi(const Decide& decide, const MultiRequest& multi);
  tree::TxnBody create_session(SessionId session, const CreateSessionRequest& create);
  tree::TxnBody attach_session(SessionId session, const AttachSessionRequest& attach);
  tree::TxnBody close_session(SessionId session);
  // Whether such a lock can be; what becomes of a request for it, applying decides.
  [[nodiscard]] Result<void> check_lock(SessionId session,
                                        Ino ino,
                                        tree::LockSpace space,
                                        tree::LockRange range) const;
  [[nodiscard]] tree::TxnBody lock(SessionId session, const LockRequest& request) const;
  [[nodiscard]] tree::TxnBody lock(SessionId session, const UnlockRequest& request) const;
  [[nodiscard]] tree::TxnBody lock(SessionId session, const CancelLockRequest& request) const;

  Outstanding outstanding;
  bool growth_refused = false;
  bool acl_skipped = false;
  QuotaKeeper quotas;
};

tree::TxnBody Prep::State::single(const Decide& decide, const auto& operation) {
  auto decided = step(decide, operation);
  return decided ? as_body(std::move(*decided)) : refusal(decided.error());
}

tree::TxnBody Prep::State::rename(const Decide& decide, const RenameRequest& rename) {
  if (!rename.onto_data) return single(decide, rename);
  auto steps = decide.onto_data(rename);
  if (!steps) return refusal(steps.error());
  for (const tree::SubTxn& txn : steps->operations) outstanding.apply(txn);
  return std::move(*steps);
}

tree::TxnBody Prep::State::multi(const Decide& decide, const MultiRequest& multi) {
  if (multi.operations.size() > kMultiOperationsMax) return refusal(Error::kTooLarge);
  tree::MultiTxn txn;
  std::size_t bytes = 0;
  for (const SubRequest& operation : multi.operations) {
    auto decided =
        std::visit([&](const auto& request) { return step(decide, request); }, operation);
    if (decided) bytes += bytes_bound(*decided);
    if (decided && bytes > limits::kEntryBytesMax) decided = std::unexpected(Error::kTooLarge);
    if (!decided) {
      outstanding.rollback();
      tree::ErrorTxn error = refusal(decided.error());
      error.per_operation.assign(multi.operations.size(), Error::kRuntimeInconsistency);
      std::fill_n(error.per_operation.begin(), txn.operations.size(), Error::kOk);
      error.per_operation[txn.operations.size()] = decided.error();
      return error;
    }
    txn.operations.push_back(std::move(*decided));
  }
  return txn;
}

tree::TxnBody Prep::State::create_session(SessionId session, const CreateSessionRequest& create) {
  if (!session || outstanding.session_alive(session) ||
      create.owner.size() > kSessionOwnerBytesMax || create.password.size() > kSessionOwnerBytesMax)
    return refusal(Error::kBadArguments);
  const tree::CreateSessionTxn txn{.session = session,
                                   .timeout_ms = create.timeout_ms,
                                   .owner = create.owner,
                                   .password = create.password};
  outstanding.apply(txn);
  return txn;
}

tree::TxnBody Prep::State::attach_session(SessionId session, const AttachSessionRequest& attach) {
  // An unknown session and a wrong password are one answer, so that nothing can be tried out.
  const std::string_view password = outstanding.password_of(session);
  if (!session || !outstanding.session_alive(session) || password.empty() ||
      !same_secret(password, attach.password))
    return refusal(Error::kSessionExpired);
  const tree::AttachSessionTxn txn{.session = session, .timeout_ms = attach.timeout_ms};
  outstanding.apply(txn);
  return txn;
}

tree::TxnBody Prep::State::close_session(SessionId session) {
  if (!session) return refusal(Error::kSessionExpired);
  tree::CloseSessionTxn txn{.session = session, .ephemerals = outstanding.ephemerals_of(session)};
  outstanding.apply(txn);
  return txn;
}

Result<void> Prep::State::check_lock(SessionId session,
                                     Ino ino,
                                     tree::LockSpace space,
                                     tree::LockRange range) const {
  // Session 0, the leader itself, holds no locks: nobody could ever end it.
  if (!session) return std::unexpected(Error::kSessionExpired);
  const bool number = was_assigned(ino, outstanding.next_ino());
  const bool whole = range == tree::LockRange{};
  if (!number || range.first > range.last || (space == tree::LockSpace::kFlock && !whole))
    return std::unexpected(Error::kBadArguments);
  return {};
}

tree::TxnBody Prep::State::lock(SessionId session, const LockRequest& request) const {
  const auto checked = check_lock(session, request.ino, request.space, request.range);
  if (!checked) return refusal(checked.error());
  if (request.request == 0) return refusal(Error::kBadArguments);
  return tree::LockTxn{.ino = request.ino,
                       .space = request.space,
                       .mode = request.mode,
                       .range = request.range,
                       .owner = request.owner,
                       .request = request.request,
                       .pid = request.pid,
                       .wait = request.wait};
}

tree::TxnBody Prep::State::lock(SessionId session, const UnlockRequest& request) const {
  const auto checked = check_lock(session, request.ino, request.space, request.range);
  if (!checked) return refusal(checked.error());
  return tree::UnlockTxn{
      .ino = request.ino, .space = request.space, .range = request.range, .owner = request.owner};
}

tree::TxnBody Prep::State::lock(SessionId session, const CancelLockRequest& request) const {
  if (!session) return refusal(Error::kSessionExpired);
  return tree::CancelLockTxn{.ino = request.ino, .request = request.request};
}

tree::TxnBody Prep::State::body(const Request& request) {
  const SessionId session = request.session;
  if (const auto* create = std::get_if<CreateSessionRequest>(&request.operation))
    return create_session(session, *create);
  if (const auto* attach = std::get_if<AttachSessionRequest>(&request.operation))
    return attach_session(session, *attach);
  // Session 0 is the leader itself.
  if (session && !outstanding.session_alive(session)) return refusal(Error::kSessionExpired);
  // The leader's own, the end of a session that was silent, has no number.
  if (session && request.xid && attachment_of(request.xid) != outstanding.attachment_of(session))
    return refusal(Error::kSessionMoved);
  const Decide decide(outstanding, session, request.identity, quotas, acl_skipped);
  return std::visit(
      [&](const auto& operation) -> tree::TxnBody {
        using T = std::decay_t<decltype(operation)>;
        if constexpr (std::is_same_v<T, CloseSessionRequest>) {
          return close_session(session);
        } else if constexpr (std::is_same_v<T, MultiRequest>) {
          return multi(decide, operation);
        } else if constexpr (std::is_same_v<T, RenameRequest>) {
          return rename(decide, operation);
        } else if constexpr (requires { lock(session, operation); }) {
          return lock(session, operation);
        } else if constexpr (!std::is_same_v<T, CreateSessionRequest> &&
                             !std::is_same_v<T, AttachSessionRequest>) {
          return single(decide, operation);
        } else {
          return refusal(Error::kBadArguments);
        }
      },
      request.operation);
}

Prep::Prep(const tree::DataTree& tree) : state_(std::make_unique<State>(tree)) {}

Prep::~Prep() = default;

tree::Txn Prep::prepare(const Request& request, Zxid zxid, WallMillis time) {
  state_->outstanding.begin(zxid);
  return {.session = request.session,
          .xid = request.xid,
          .first_unanswered = request.first_unanswered,
          .time = time,
          .body = state_->body(request)};
}

void Prep::refuse_growth(bool refuse) {
  state_->growth_refused = refuse;
}

void Prep::enforce_quota(bool enforce) {
  state_->quotas.enforced = enforce;
}

void Prep::skip_acl(bool skip) {
  state_->acl_skipped = skip;
}

std::vector<QuotaWarning> Prep::take_quota_warnings() {
  return std::exchange(state_->quotas.warnings, {});
}

void Prep::applied(Zxid zxid) {
  state_->outstanding.applied(zxid);
}

std::size_t Prep::overlay_size() const {
  return state_->outstanding.size();
}

}  // namespace zkfs::server
