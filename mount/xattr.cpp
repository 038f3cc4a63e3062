// SPDX-License-Identifier: Apache-2.0
#include "mount/xattr.h"

#include <algorithm>
#include <array>

#include <fmt/core.h>
#include <time.h>

#include "mount/view.h"

namespace zkfs::mount {

namespace {

using tree::NodeKind;
using tree::NodeType;
using tree::Znode;

using Text = std::optional<std::string>;
using Maker = Text (*)(const Znode&, const XattrContext&);

// As Java's Date prints it, in UTC.
std::string date_text(WallMillis time) {
  const time_t seconds = time / 1000;

  struct tm parts {};

  gmtime_r(&seconds, &parts);
  std::array<char, 64> text{};
  const std::size_t length = strftime(text.data(), text.size(), "%a %b %d %H:%M:%S UTC %Y", &parts);
  return {text.data(), length};
}

// As `zkCli.sh stat` prints it.
std::string stat_text(const tree::Stat& stat) {
  return fmt::format(
      "cZxid = {}\nctime = {}\nmZxid = {}\nmtime = {}\npZxid = {}\ncversion = {}\n"
      "dataVersion = {}\naclVersion = {}\nephemeralOwner = {:#x}\ndataLength = {}\n"
      "numChildren = {}\n",
      stat.czxid, date_text(stat.ctime), stat.mzxid, date_text(stat.mtime), stat.pzxid,
      stat.cversion, stat.version, stat.aversion, stat.ephemeral_owner, stat.data_length,
      stat.num_children);
}

Text owner_text(const Znode& znode, const XattrContext& context) {
  if (znode.type != NodeType::kEphemeral) return {};
  const auto session = context.tree.find_session(znode.stat.ephemeral_owner);
  return session ? Text(session->owner) : Text();
}

Text nonempty(const std::string& text) {
  return text.empty() ? Text() : Text(text);
}

Text acl_text(const Znode& znode) {
  const bool open = znode.acl == nullptr || znode.acl->empty();
  return tree::to_text(open ? tree::open_acl() : *znode.acl);
}

Text path_text(const Znode& znode, const XattrContext& context) {
  return path_from(context.tree, context.root, znode.ino);
}

// The fencing token: the grant of the youngest of the locks held.
Text lock_text(const Znode& znode, const XattrContext& context) {
  Zxid youngest;
  for (const tree::LockView& lock : context.tree.locks_of(znode.ino)) {
    if (!lock.waiting) youngest = std::max(youngest, lock.zxid);
  }
  return youngest == Zxid{} ? Text() : Text(fmt::format("{}", youngest));
}

struct Attribute {
  std::string_view name;
  Maker make;
};

using Z = const Znode&;
using C = const XattrContext&;

constexpr std::array<Attribute, 22> kAttributes{{
    {"cZxid", [](Z z, C /*c*/) -> Text { return fmt::format("{}", z.stat.czxid); }},
    {"mZxid", [](Z z, C /*c*/) -> Text { return fmt::format("{}", z.stat.mzxid); }},
    {"pZxid", [](Z z, C /*c*/) -> Text { return fmt::format("{}", z.stat.pzxid); }},
    {"ctime", [](Z z, C /*c*/) -> Text { return std::to_string(z.stat.ctime); }},
    {"mtime", [](Z z, C /*c*/) -> Text { return std::to_string(z.stat.mtime); }},
    {"dataVersion", [](Z z, C /*c*/) -> Text { return std::to_string(z.stat.version); }},
    {"cversion", [](Z z, C /*c*/) -> Text { return std::to_string(z.stat.cversion); }},
    {"aclVersion", [](Z z, C /*c*/) -> Text { return std::to_string(z.stat.aversion); }},
    {"ephemeralOwner",
     [](Z z, C /*c*/) -> Text { return fmt::format("{:#x}", z.stat.ephemeral_owner); }},
    {"dataLength", [](Z z, C /*c*/) -> Text { return std::to_string(z.stat.data_length); }},
    {"numChildren", [](Z z, C /*c*/) -> Text { return std::to_string(z.stat.num_children); }},
    {"type", [](Z z, C /*c*/) -> Text { return std::string(tree::to_string(z.type)); }},
    {"owner", owner_text},
    {"ttl",
     [](Z z, C /*c*/) -> Text {
       return z.type == NodeType::kTtl ? Text(std::to_string(z.ttl_ms)) : Text();
     }},
    {"acl", [](Z z, C /*c*/) -> Text { return acl_text(z); }},
    {"name", [](Z z, C /*c*/) -> Text { return std::string(z.name); }},
    {"path", path_text},
    {"lock.zxid", lock_text},
    {"kind",
     [](Z z, C c) -> Text { return c.data_of_directory ? Text() : Text(tree::to_string(z.kind)); }},
    {"error", [](Z /*z*/, C c) -> Text { return nonempty(c.error); }},
    {"stale", [](Z /*z*/, C c) -> Text { return nonempty(c.stale); }},
    {"stat", [](Z z, C /*c*/) -> Text { return stat_text(z.stat); }},
}};

}  // namespace

std::optional<std::string> xattr_text(const Znode& znode,
                                      std::string_view name,
                                      const XattrContext& context) {
  for (const Attribute& attribute : kAttributes) {
    if (attribute.name == name) return attribute.make(znode, context);
  }
  return {};
}

std::vector<std::string> xattr_names(const Znode& znode, const XattrContext& context) {
  std::vector<std::string> names;
  for (const Attribute& attribute : kAttributes) {
    if (attribute.make(znode, context)) {
      names.push_back(std::string(kXattrPrefix) + std::string(attribute.name));
    }
  }
  return names;
}

bool xattr_known(std::string_view name) {
  for (const Attribute& attribute : kAttributes) {
    if (attribute.name == name) return true;
  }
  return false;
}

std::optional<NodeKind> parse_kind(std::string_view text) {
  if (text == "file") return NodeKind::kFile;
  if (text == "directory" || text == "dir") return NodeKind::kDirectory;
  return {};
}

}  // namespace zkfs::mount
