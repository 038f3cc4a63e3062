// SPDX-License-Identifier: Apache-2.0
// Extended attributes: which exist and who may write them (contract section 4).
#include <cerrno>
#include <chrono>
#include <string>

#include <fmt/core.h>

#include "mount/errno_map.h"
#include "mount/filesystem.h"
#include "mount/xattr.h"

namespace zkfs::mount {

XattrContext Filesystem::xattr_context(const tree::Znode& znode, NodeId node) const {
  XattrContext context{
      .tree = tree(),
      .data_of_directory = face_of(node) != Face::kDirectory && znode.is_directory(),
      .root = root_,
      .error = {},
      .stale = {}};
  if (const auto it = errors_.find(znode.ino); it != errors_.end()) context.error = it->second;
  if (!parts_.door.in_quorum()) {
    const Instant now = parts_.now();
    const auto lost = now - parts_.door.quorum_lost_since().value_or(now);
    context.stale = fmt::format("{}", std::chrono::duration_cast<Millis>(lost).count());
  }
  return context;
}

void Filesystem::getxattr(Reply reply, NodeId node, Name name, std::size_t size) {
  if (!name.starts_with(kXattrPrefix)) return reply.error(EOPNOTSUPP);
  if (face_of(node) == Face::kControl) return reply.error(ENODATA);
  if (refuse_read(reply)) return;
  // A name is asked for that is known only once the file is made.
  if (commit_provisional_first(reply, node, [this, node, text = std::string(name), size](Reply r) {
        getxattr(std::move(r), parts_.inodes.ours(node), text, size);
      })) {
    return;
  }
  const auto znode = znode_of(node);
  if (!znode) return reply.error(ESTALE);
  const auto text =
      xattr_text(*znode, name.substr(kXattrPrefix.size()), xattr_context(*znode, node));
  if (!text) return reply.error(ENODATA);
  reply.xattr(*text, size);
}

void Filesystem::listxattr(Reply reply, NodeId node, std::size_t size) {
  const auto znode = znode_of(node);
  std::string list;
  // The kernel asks for no user.* of a symbolic link: a copy would fail on every name listed.
  if (znode && znode->kind != tree::NodeKind::kSymlink) {
    for (const std::string& name : xattr_names(*znode, xattr_context(*znode, node))) {
      list += name;
      list += '\0';
    }
  }
  reply.xattr(list, size);
}

void Filesystem::setxattr(Reply reply, NodeId node, Name name, std::string_view value) {
  if (!name.starts_with(kXattrPrefix)) return reply.error(EOPNOTSUPP);
  const Name key = name.substr(kXattrPrefix.size());
  if (key != "acl" && key != "kind") return reply.error(EPERM);
  if (commit_provisional_first(
          reply, node, [this, node, n = std::string(name), v = std::string(value)](Reply r) {
            setxattr(std::move(r), parts_.inodes.ours(node), n, v);
          })) {
    return;
  }
  const auto znode = znode_of(node);
  if (!znode) return reply.error(face_of(node) == Face::kControl ? EPERM : ESTALE);
  const server::Target target{znode->ino, {}};
  server::Operation operation;
  if (key == "acl") {
    auto acl = tree::parse_acl(value);
    if (!acl) return reply.error(EINVAL);
    operation = server::SetAclRequest{target, std::move(*acl), server::kAnyVersion};
  } else {
    const auto context = xattr_context(*znode, node);
    if (context.data_of_directory) return reply.error(EPERM);
    // What copies do: the same again, or none, from a znode that has none.
    if (value.empty() || xattr_text(*znode, key, context) == value) return reply.ok();
    const auto kind = parse_kind(value);
    if (!kind || znode->kind == tree::NodeKind::kSymlink) return reply.error(EINVAL);
    operation = server::SetAttributesRequest{
        .target = target, .mtime = {}, .kind = *kind, .executable = {}};
  }
  parts_.gate.admit(
      std::move(reply), [this, operation = std::move(operation)](Reply admitted) mutable {
        submit_any(
            std::move(admitted), std::move(operation), [](Reply answered, const Outcome& outcome) {
              // Without ADMIN.
              answered.error(outcome.error == Error::kNoAuth ? EPERM : errno_of(outcome.error));
            });
      });
}

void Filesystem::removexattr(Reply reply, Name name) {
  if (!name.starts_with(kXattrPrefix)) return reply.error(EOPNOTSUPP);
  reply.error(xattr_known(name.substr(kXattrPrefix.size())) ? EPERM : ENODATA);
}

}  // namespace zkfs::mount
