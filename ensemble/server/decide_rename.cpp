// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "ensemble/server/decide.h"
#include "ensemble/tree/path.h"

namespace zkfs::server {
namespace {

using tree::Permissions;

std::unexpected<Error> fail(Error error) {
  return std::unexpected(error);
}

Result<void> check_flags(const RenameRequest& request) {
  const bool odd =
      (request.exchange && (request.no_replace || request.sequential)) || request.onto_data;
  if (odd) return fail(Error::kBadArguments);
  return {};
}

}  // namespace

// Both ends, with `target.ino` what the source would replace.
Result<Decide::Move> Decide::ends_of(const RenameRequest& request) const {
  ZKFS_TRY(check_form(request.source));
  ZKFS_TRY(check_form_of_new(request.target, request.sequential));
  auto source = locate(state_, request.source);
  if (!source) return fail(source.error());
  if (!source->ino) return fail(Error::kNoNode);
  auto target = locate_new(state_, request.target, request.sequential);
  if (!target) return fail(target.error());
  if (is_fixed(source->ino) || target->ino == kRootIno) return fail(Error::kBadArguments);
  if (request.sequential)
    target->name += tree::sequence_suffix(state_.node(target->parent)->create_counter);
  target->ino = state_.child(target->parent, target->name);
  return Move{.source = std::move(*source), .target = std::move(*target)};
}

// A rename takes a name from one parent and gives one to another; replacing a file writes it.
Result<void> Decide::may_move(const Move& move, bool exchange) const {
  const bool files = move.target.ino && !state_.node(move.source.ino)->is_directory() &&
                     !state_.node(move.target.ino)->is_directory();
  ZKFS_TRY(allowed(move.source.parent, Permissions::kDelete));
  if (exchange) {
    ZKFS_TRY(allowed(move.source.parent, Permissions::kCreate));
    ZKFS_TRY(allowed(move.target.parent, Permissions::kCreate));
    return allowed(move.target.parent, Permissions::kDelete);
  }
  if (files) return allowed(move.target.ino, Permissions::kWrite);
  ZKFS_TRY(allowed(move.target.parent, Permissions::kCreate));
  if (!move.target.ino) return {};
  return allowed(move.target.parent, Permissions::kDelete);
}

Result<void> Decide::check_loop(const Move& move, bool exchange) const {
  if (state_.is_ancestor(move.source.ino, move.target.parent)) return fail(Error::kLoop);
  if (exchange && state_.is_ancestor(move.target.ino, move.source.parent))
    return fail(Error::kLoop);
  return {};
}

Result<void> Decide::can_replace(Ino source, Ino target) const {
  const bool from_directory = state_.node(source)->is_directory();
  const auto node = state_.node(target);
  if (from_directory && !node->is_directory()) return fail(Error::kNotDirectory);
  if (!from_directory && node->is_directory()) return fail(Error::kIsDirectory);
  if (from_directory && (node->num_children != 0 || node->data_length != 0))
    return fail(Error::kNotEmpty);
  return {};
}

Decide::Step Decide::operator()(const RenameRequest& request) const {
  ZKFS_TRY(check_flags(request));
  const auto move = ends_of(request);
  if (!move) return fail(move.error());
  const auto& [source, target] = *move;
  ZKFS_TRY(may_move(*move, request.exchange));
  ZKFS_TRY(tree::validate_name(target.name));
  if (target.ino && (request.no_replace || request.sequential)) return fail(Error::kNodeExists);
  if (!target.ino && request.exchange) return fail(Error::kNoNode);
  if (source.ino == target.ino) return tree::CheckTxn{.ino = source.ino};
  if (is_fixed(target.ino)) return fail(Error::kBadArguments);
  ZKFS_TRY(check_loop(*move, request.exchange));
  ZKFS_TRY(can_adopt(target.parent));
  if (target.ino && !request.exchange) ZKFS_TRY(can_replace(source.ino, target.ino));
  ZKFS_TRY(may_arrive(*move));
  if (request.exchange) ZKFS_TRY(may_arrive({.source = target, .target = source}));
  return tree::RenameTxn{.ino = source.ino,
                         .new_parent = target.parent,
                         .new_name = target.name,
                         .replaced = target.ino,
                         .exchange = request.exchange};
}

Result<tree::MultiTxn> Decide::onto_data(const RenameRequest& request) const {
  if (request.exchange || request.sequential) return fail(Error::kBadArguments);
  ZKFS_TRY(check_form(request.source));
  ZKFS_TRY(check_form(request.target));
  const auto source = locate(state_, request.source);
  if (!source) return fail(source.error());
  if (!source->ino) return fail(Error::kNoNode);
  if (is_fixed(source->ino)) return fail(Error::kBadArguments);
  const auto target = existing(request.target, Permissions::kWrite);
  if (!target) return fail(target.error());
  ZKFS_TRY(allowed(source->parent, Permissions::kDelete));
  // `.@data` always resolves, so there is always something that would be replaced.
  if (request.no_replace) return fail(Error::kNodeExists);
  if (state_.node(source->ino)->is_directory()) return fail(Error::kIsDirectory);
  if (!state_.node(*target)->is_directory()) return fail(Error::kNotDirectory);
  ZKFS_TRY(may_replace_data(*target, state_.node(source->ino)->data_length));
  return tree::MultiTxn{
      .operations = {tree::SetDataTxn{.ino = *target, .data = state_.data_of(source->ino)},
                     tree::DeleteTxn{.ino = source->ino}}};
}

}  // namespace zkfs::server
