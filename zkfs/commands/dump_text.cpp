// SPDX-License-Identifier: Apache-2.0
#include "zkfs/commands/dump_text.h"

#include <array>
#include <cstdint>
#include <ctime>
#include <iterator>
#include <variant>

#include <fmt/format.h>

namespace zkfs {
namespace {

using tree::NodeKind;
using tree::NodeType;

std::string_view kind_word(NodeKind kind) {
  return kind == NodeKind::kUnspecified ? "unspecified" : tree::to_string(kind);
}

// One overload for each kind of txn. The words are those of ZooKeeper's zkTxnLogToolkit.
std::string text(const tree::CreateTxn& txn) {
  std::string line =
      fmt::format("create parent={} name={} ino={} type={} kind={} data={} acl={}", txn.parent,
                  quoted(txn.name), txn.ino, tree::to_string(txn.type), kind_word(txn.kind),
                  txn.data.size(), txn.acl.empty() ? "open" : tree::to_text(txn.acl));
  if (txn.executable) line += " executable";
  if (txn.type == NodeType::kEphemeral) line += fmt::format(" owner={:#x}", txn.owner);
  if (txn.type == NodeType::kTtl) line += fmt::format(" ttl={}ms", txn.ttl_ms);
  return line;
}

std::string text(const tree::DeleteTxn& txn) {
  return fmt::format("delete ino={}", txn.ino);
}

std::string text(const tree::SetDataTxn& txn) {
  return fmt::format("setData ino={} data={}", txn.ino, txn.data.size());
}

std::string text(const tree::AppendTxn& txn) {
  return fmt::format("append ino={} data={}", txn.ino, txn.data.size());
}

std::string text(const tree::SetAclTxn& txn) {
  return fmt::format("setACL ino={} acl={}", txn.ino, tree::to_text(txn.acl));
}

std::string text(const tree::SetAttributesTxn& txn) {
  std::string line = fmt::format("setAttributes ino={}", txn.ino);
  if (txn.mtime) line += " mtime=" + wall_text(*txn.mtime);
  if (txn.kind) line += fmt::format(" kind={}", kind_word(*txn.kind));
  if (txn.executable) line += fmt::format(" executable={}", *txn.executable);
  return line;
}

std::string text(const tree::RenameTxn& txn) {
  std::string line =
      fmt::format("rename ino={} parent={} name={}", txn.ino, txn.new_parent, quoted(txn.new_name));
  if (txn.replaced)
    line += fmt::format(" {}={}", txn.exchange ? "exchanged" : "replaced", txn.replaced);
  return line;
}

std::string text(const tree::CheckTxn& txn) {
  return fmt::format("check ino={}", txn.ino);
}

std::string text(const tree::CreateSessionTxn& txn) {
  return fmt::format("createSession session={:#x} timeout={}ms owner={}", txn.session,
                     txn.timeout_ms, quoted(txn.owner));
}

std::string text(const tree::CloseSessionTxn& txn) {
  std::string line = fmt::format("closeSession session={:#x} ephemerals=", txn.session);
  std::string_view comma;
  for (const Ino ino : txn.ephemerals) {
    line += fmt::format("{}{}", comma, ino);
    comma = ",";
  }
  return txn.ephemerals.empty() ? line + "none" : line;
}

std::string text(const tree::AttachSessionTxn& txn) {
  return fmt::format("attach session={:#x} timeout={}ms", txn.session, txn.timeout_ms);
}

std::string text(const tree::ErrorTxn& txn) {
  return fmt::format("error {}", to_string(txn.error));
}

std::string_view space_word(tree::LockSpace space) {
  return space == tree::LockSpace::kFlock ? "flock" : "fcntl";
}

std::string range_text(const tree::LockRange& range) {
  if (range.first == 0 && range.last == UINT64_MAX) return "all";
  return range.last == UINT64_MAX ? fmt::format("{}-end", range.first)
                                  : fmt::format("{}-{}", range.first, range.last);
}

std::string text(const tree::LockTxn& txn) {
  return fmt::format(
      "lock ino={} {} {} range={} owner={:#x} request={} pid={}{}", txn.ino, space_word(txn.space),
      txn.mode == tree::LockMode::kShared ? "shared" : "exclusive", range_text(txn.range),
      txn.owner, txn.request, txn.pid, txn.wait ? " wait" : "");
}

std::string text(const tree::UnlockTxn& txn) {
  return fmt::format("unlock ino={} {} range={} owner={:#x}", txn.ino, space_word(txn.space),
                     range_text(txn.range), txn.owner);
}

std::string text(const tree::CancelLockTxn& txn) {
  return fmt::format("cancelLock ino={} request={}", txn.ino, txn.request);
}

std::string text(const tree::MultiTxn& txn) {
  std::string line = fmt::format("multi of {}", txn.operations.size());
  std::string_view separator = ": ";
  for (const tree::SubTxn& operation : txn.operations) {
    line += separator;
    line += std::visit([](const auto& body) { return text(body); }, operation);
    separator = "; ";
  }
  return line;
}

}  // namespace

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string wall_text(WallMillis time) {
  // The remainder is never negative, also before 1970.
  const WallMillis millis = (time % 1000 + 1000) % 1000;
  const time_t seconds = (time - millis) / 1000;

  struct tm parts {};

  gmtime_r(&seconds, &parts);
  std::array<char, 40> text{};
  const std::size_t size = strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  return fmt::format("{}.{:03}Z", std::string_view(text.data(), size), millis);
}

std::string txn_text(const tree::Txn& txn) {
  return fmt::format("{} session={:#x} xid={} {}", wall_text(txn.time), txn.session, txn.xid,
                     std::visit([](const auto& body) { return text(body); }, txn.body));
}

std::string znode_text(std::string_view path, const tree::Znode& znode) {
  std::string line =
      fmt::format("{} {} {} ino={} version={} cversion={} size={} czxid={} mzxid={} mtime={}",
                  quoted(path), kind_word(znode.kind), tree::to_string(znode.type), znode.ino,
                  znode.stat.version, znode.stat.cversion, znode.stat.data_length, znode.stat.czxid,
                  znode.stat.mzxid, wall_text(znode.stat.mtime));
  if (znode.type == NodeType::kEphemeral)
    line += fmt::format(" owner={:#x}", znode.stat.ephemeral_owner);
  if (znode.type == NodeType::kTtl) line += fmt::format(" ttl={}ms", znode.ttl_ms);
  return line;
}

}  // namespace zkfs
