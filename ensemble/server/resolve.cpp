// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/resolve.h"

#include <string_view>
#include <utility>

#include "ensemble/base/limits.h"
#include "ensemble/tree/path.h"

namespace zkfs::server {
namespace {

// The znode at "" (the root) or "/a/b"; 0 if there is none, also where a component is empty.
Ino walk(const Outstanding& state, std::string_view path) {
  Ino at = kRootIno;
  while (at && !path.empty()) {
    if (path.front() != '/') return {};
    path.remove_prefix(1);
    const std::string_view name = path.substr(0, path.find('/'));
    at = name.empty() ? Ino{} : state.child(at, name);
    path.remove_prefix(name.size());
  }
  return at;
}

// The parent of a path other than "/" and the last name, which may be empty. One that is not
// absolute has no parent.
Result<Located> split(const Outstanding& state, std::string_view path) {
  const std::size_t slash = path.rfind('/');
  const std::string_view above = path.substr(0, slash);
  const Ino parent = above == "/" ? kRootIno : walk(state, above);
  if (!parent) return std::unexpected(Error::kNoNode);
  // "//x" is not "/x", though what is above it is the root (ZooKeeper's answers): no name is it.
  const std::size_t name = above == "/" ? slash : slash + 1;
  return Located{.parent = parent, .name = std::string(path.substr(name)), .ino = {}};
}

}  // namespace

Result<void> check_form(const Target& target) {
  if (!target.ino) return tree::validate_path(target.path);
  return target.path.empty() ? Result<void>{} : tree::validate_name(target.path);
}

Result<Located> locate(const Outstanding& state, const Target& target) {
  if (!target.ino) {
    if (target.path == "/") return Located{.parent = {}, .name = {}, .ino = kRootIno};
    auto place = split(state, target.path);
    if (place) place->ino = state.child(place->parent, place->name);
    return place;
  }
  auto node = state.node(target.ino);
  if (!node) return std::unexpected(Error::kStale);
  if (target.path.empty())
    return Located{.parent = node->parent, .name = std::move(node->name), .ino = target.ino};
  return Located{
      .parent = target.ino, .name = target.path, .ino = state.child(target.ino, target.path)};
}

Result<void> check_form_of_new(const Target& target, bool sequential) {
  const std::string_view path = target.path;
  if (path.size() > limits::kPathBytesMax) return std::unexpected(Error::kTooLarge);
  const bool is_name = path.find('/') == std::string_view::npos;
  const bool fits = target.ino ? is_name && (sequential || !path.empty()) : !is_name;
  if (!fits || path.find('\0') != std::string_view::npos)
    return std::unexpected(Error::kBadArguments);
  return {};
}

Result<Located> locate_new(const Outstanding& state, const Target& target, bool sequential) {
  if (!target.ino) {
    if (target.path == "/" && !sequential)
      return Located{.parent = {}, .name = {}, .ino = kRootIno};
    return split(state, target.path);
  }
  if (!state.node(target.ino)) return std::unexpected(Error::kStale);
  return Located{.parent = target.ino, .name = target.path, .ino = {}};
}

}  // namespace zkfs::server
