// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/decide.h"

#include <utility>

#include "ensemble/base/limits.h"
#include "ensemble/server/acl_check.h"
#include "ensemble/tree/path.h"

namespace zkfs::server {
namespace {

using tree::NodeKind;
using tree::NodeType;
using tree::Permissions;

std::unexpected<Error> fail(Error error) {
  return std::unexpected(error);
}

bool is_known(NodeType type) {
  return type <= NodeType::kTtl;
}

bool is_known(NodeKind kind) {
  return kind <= NodeKind::kSymlink;
}

using tree::is_leaf_kind;

// What a client sent fits the frame that it came in. A mount leaves room for what a client needs
// around the data to read it.
std::size_t data_bytes_max(const Identity& identity) {
  return identity.client ? limits::kFrameBytesMax : limits::kDataBytesMax;
}

Result<void> check_version(std::int32_t wanted, std::int32_t actual) {
  if (wanted != kAnyVersion && wanted != actual) return fail(Error::kBadVersion);
  return {};
}

Result<void> check_shown(DeleteRequest::Shown expected, bool directory) {
  if (expected == DeleteRequest::Shown::kDirectory && !directory) return fail(Error::kNotDirectory);
  if (expected == DeleteRequest::Shown::kNotDirectory && directory)
    return fail(Error::kIsDirectory);
  return {};
}

}  // namespace

Decide::Decide(const Outstanding& state,
               SessionId session,
               const Identity& identity,
               QuotaKeeper& quotas,
               bool skip_acl)
    : state_(state),
      session_(session),
      identity_(identity),
      almighty_(is_almighty(identity) || (skip_acl && identity.client != nullptr)),
      quotas_(quotas) {}

Result<void> Decide::allowed(Ino ino, std::uint32_t permission) const {
  if (almighty_ || acl_allows(state_.acl_of(ino), identity_, permission)) return {};
  return fail(Error::kNoAuth);
}

// To a ZooKeeper client a name that is too long is one it may not choose.
Result<void> Decide::named(Result<void> form) const {
  const bool long_name = identity_.client && !form && form.error() == Error::kTooLarge;
  return long_name ? fail(Error::kBadArguments) : form;
}

Result<Ino> Decide::existing(const Target& target, std::uint32_t permission) const {
  ZKFS_TRY(named(check_form(target)));
  const auto place = locate(state_, target);
  if (!place) return fail(place.error());
  if (!place->ino) return fail(Error::kNoNode);
  ZKFS_TRY(allowed(place->ino, permission));
  return place->ino;
}

// --- create ---

Result<void> Decide::check_create(const CreateRequest& request) const {
  ZKFS_TRY(named(check_form_of_new(request.target, request.sequential)));
  if (!is_known(request.type) || !is_known(request.kind)) return fail(Error::kBadArguments);
  if (request.type == NodeType::kContainer && is_leaf_kind(request.kind))
    return fail(Error::kBadArguments);
  if (request.type == NodeType::kEphemeral && !session_) return fail(Error::kBadArguments);
  if (request.type == NodeType::kTtl && (request.ttl_ms <= 0 || request.ttl_ms > kTtlMsMax))
    return fail(Error::kBadArguments);
  if (request.data.size() > data_bytes_max(identity_)) return fail(Error::kTooLarge);
  return {};
}

// What a parent must be to have (another) child. A ZooKeeper client knows no files: its first child
// makes one a directory (contract section 1).
Result<void> Decide::can_adopt(Ino parent) const {
  const auto node = state_.node(parent);
  if (node->type == NodeType::kEphemeral) return fail(Error::kNoChildrenForEphemerals);
  if (is_leaf_kind(node->kind) && !identity_.client) return fail(Error::kNotDirectory);
  return {};
}

Decide::Step Decide::operator()(const CreateRequest& request) const {
  ZKFS_TRY(check_create(request));
  auto acl = acl_to_store(request.acl, identity_);
  if (!acl) return fail(acl.error());
  const auto place = locate_new(state_, request.target, request.sequential);
  if (!place) return fail(place.error());
  if (place->ino) {
    ZKFS_TRY(allowed(place->ino, Permissions::kCreate));
    return fail(request.or_set ? Error::kIsDirectory : Error::kNodeExists);
  }

  std::string name = place->name;
  if (request.sequential) name += tree::sequence_suffix(state_.node(place->parent)->create_counter);
  const Ino present = state_.child(place->parent, name);
  // A sequential name that is taken is somebody else's, whatever `or_set` says.
  if (present && request.or_set && !request.sequential) return set_existing(request, present);
  ZKFS_TRY(allowed(place->parent, Permissions::kCreate));
  ZKFS_TRY(named(tree::validate_name(name)));
  if (present) return fail(Error::kNodeExists);
  ZKFS_TRY(can_adopt(place->parent));

  const bool ephemeral = request.type == NodeType::kEphemeral;
  if (ephemeral && state_.ephemerals_bound(session_) >= kEphemeralsPerSessionMax)
    return fail(Error::kQuotaExceeded);
  ZKFS_TRY(may_use(place->parent, name, {1, request.data.size()}));
  return tree::CreateTxn{.parent = place->parent,
                         .name = std::move(name),
                         .ino = state_.next_ino(),
                         .data = request.data,
                         .acl = std::move(*acl),
                         .type = request.type,
                         .kind = request.kind,
                         .executable = request.executable,
                         .owner = ephemeral ? session_ : SessionId{},
                         .ttl_ms = request.type == NodeType::kTtl ? request.ttl_ms : 0};
}

// A process writes to what it opened as a file. Since then a link may have been renamed over it:
// what is written must not become the link's target.
Result<void> Decide::is_still_a_file(Ino ino) const {
  const auto node = state_.node(ino);
  if (identity_.client || node->is_directory() || node->kind != NodeKind::kSymlink) return {};
  return fail(Error::kStale);
}

Decide::Step Decide::set_existing(const CreateRequest& request, Ino ino) const {
  const auto node = state_.node(ino);
  ZKFS_TRY(allowed(ino, Permissions::kWrite));
  if (node->is_directory()) return fail(Error::kIsDirectory);
  ZKFS_TRY(is_still_a_file(ino));
  if (request.type == NodeType::kEphemeral && node->owner != session_)
    return fail(Error::kNodeExists);
  if (!request.append) {
    ZKFS_TRY(may_replace_data(ino, request.data.size()));
    return tree::SetDataTxn{.ino = ino, .data = request.data};
  }
  if (node->data_length + request.data.size() > data_bytes_max(identity_))
    return fail(Error::kTooLarge);
  ZKFS_TRY(may_use(ino, {}, {0, request.data.size()}));
  return tree::AppendTxn{.ino = ino, .data = request.data};
}

// --- the others ---

Decide::Step Decide::operator()(const DeleteRequest& request) const {
  // ZooKeeper does not look at the names: a path that cannot be is one where nothing is.
  const bool by_path = identity_.client && !request.target.ino;
  ZKFS_TRY(named(by_path ? check_form_of_new(request.target, false) : check_form(request.target)));
  const auto place = locate(state_, request.target);
  if (!place) return fail(place.error());
  if (is_fixed(place->ino)) return fail(Error::kBadArguments);
  ZKFS_TRY(allowed(place->parent, Permissions::kDelete));
  if (!place->ino) return fail(Error::kNoNode);
  const auto node = state_.node(place->ino);
  ZKFS_TRY(check_shown(request.expected, node->is_directory()));
  ZKFS_TRY(check_version(request.version, node->version));
  if (node->num_children != 0) return fail(Error::kNotEmpty);
  if (request.only_without_data && node->data_length != 0) return fail(Error::kNotEmpty);
  return tree::DeleteTxn{.ino = place->ino};
}

Decide::Step Decide::operator()(const SetDataRequest& request) const {
  if (request.data.size() > data_bytes_max(identity_)) return fail(Error::kTooLarge);
  const auto ino = existing(request.target, Permissions::kWrite);
  if (!ino) return fail(ino.error());
  ZKFS_TRY(is_still_a_file(*ino));
  ZKFS_TRY(may_replace_data(*ino, request.data.size()));
  ZKFS_TRY(check_version(request.version, state_.node(*ino)->version));
  return tree::SetDataTxn{.ino = *ino, .data = request.data};
}

Decide::Step Decide::operator()(const AppendRequest& request) const {
  const auto ino = existing(request.target, Permissions::kWrite);
  if (!ino) return fail(ino.error());
  ZKFS_TRY(is_still_a_file(*ino));
  if (state_.node(*ino)->data_length + request.data.size() > data_bytes_max(identity_))
    return fail(Error::kTooLarge);
  ZKFS_TRY(may_use(*ino, {}, {0, request.data.size()}));
  return tree::AppendTxn{.ino = *ino, .data = request.data};
}

Decide::Step Decide::operator()(const SetAclRequest& request) const {
  ZKFS_TRY(named(check_form(request.target)));
  auto acl = acl_to_store(request.acl, identity_);
  if (!acl) return fail(acl.error());
  const auto ino = existing(request.target, Permissions::kAdmin);
  if (!ino) return fail(ino.error());
  ZKFS_TRY(check_version(request.version, state_.node(*ino)->aversion));
  return tree::SetAclTxn{.ino = *ino, .acl = std::move(*acl)};
}

Decide::Step Decide::operator()(const SetAttributesRequest& request) const {
  if (request.kind && !is_known(*request.kind)) return fail(Error::kBadArguments);
  // Who may write may say when.
  const bool only_time = !request.kind && !request.executable;
  const auto ino = existing(request.target, only_time ? Permissions::kWrite : Permissions::kAdmin);
  if (!ino) return fail(ino.error());
  if (request.kind) {
    // The mount hangs on the root being a directory.
    if (is_fixed(*ino) && *request.kind != NodeKind::kDirectory) return fail(Error::kBadArguments);
    const auto node = state_.node(*ino);
    if (is_leaf_kind(*request.kind) && node->num_children != 0) return fail(Error::kNotEmpty);
    if (is_leaf_kind(*request.kind) && node->type == NodeType::kContainer)
      return fail(Error::kBadArguments);
  }
  return tree::SetAttributesTxn{
      .ino = *ino, .mtime = request.mtime, .kind = request.kind, .executable = request.executable};
}

Decide::Step Decide::operator()(const CheckRequest& request) const {
  const auto ino = existing(request.target, Permissions::kRead);
  if (!ino) return fail(ino.error());
  ZKFS_TRY(check_version(request.version, state_.node(*ino)->version));
  return tree::CheckTxn{.ino = *ino};
}

}  // namespace zkfs::server
