// SPDX-License-Identifier: Apache-2.0
#include "ensemble/client_port/reads.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "ensemble/base/limits.h"
#include "ensemble/client_port/client_codec.h"
#include "ensemble/client_port/hub.h"
#include "ensemble/client_port/reply_codec.h"
#include "ensemble/server/acl_check.h"
#include "ensemble/tree/path.h"

namespace zkfs::client_port {
namespace {

using server::EventType;
using server::WatchKind;
using tree::Permissions;

class Answer {
 public:
  Answer(const Reader& reader, ReplyTo to, std::string& out)
      : reader_(reader), hub_(reader.hub), tree_(hub_.tree()), to_(to), out_(out) {}

  void operator()(const ExistsBody& body) {
    if (body.path.find('\0') != std::string_view::npos) return fail(Error::kBadArguments);
    const auto znode = tree_.find_path(body.path);
    if (znode && !may(*znode, Permissions::kRead)) return fail(Error::kNoAuth);
    // A znode that is not there may be waited for.
    if (body.watch) watch(body.path, WatchKind::kData);
    if (!znode) return fail(Error::kNoNode);
    write_stat(out_, to_, znode->stat);
  }

  void operator()(const GetDataBody& body) {
    const auto znode = readable(body.path);
    if (!znode) return fail(znode.error());
    if (body.watch) watch(body.path, WatchKind::kData);
    write_data(out_, to_, znode->data, znode->stat);
  }

  void operator()(const GetAclBody& body) {
    const auto znode = tree_.find_path(body.path);
    if (!znode) return fail(Error::kNoNode);
    const bool admin = may(*znode, Permissions::kAdmin);
    if (!admin && !may(*znode, Permissions::kRead)) return fail(Error::kNoAuth);
    // Who may not change it sees no hash of a password.
    write_acl(out_, to_, admin ? *znode->acl : server::masked_acl(*znode->acl), znode->stat);
  }

  void operator()(const GetChildrenBody& body) {
    const auto znode = readable(body.path);
    if (!znode) return fail(znode.error());
    if (body.watch) watch(body.path, WatchKind::kChild);
    ChildrenReply reply(out_, to_);
    tree_.for_each_child(znode->ino, [&](std::string_view name) { reply.add(name); });
    body.with_stat ? reply.end(znode->stat) : reply.end();
  }

  void operator()(const PingBody&) { write_header_only(out_, to_); }

  // Each is answered for itself.
  void operator()(const MultiReadBody& body) {
    MultiReply reply(out_, to_);
    const std::size_t before = out_.size();
    for (const ReadBody& operation : body.operations) {
      // One frame can name a large znode fifty thousand times. No client takes such a reply.
      if (out_.size() - before > limits::kClientOutputBytesMax) {
        reply.failed(Error::kTooLarge);
        continue;
      }
      if (const auto* get = std::get_if<GetDataBody>(&operation)) {
        const auto znode = readable(get->path);
        znode ? reply.data(znode->data, znode->stat) : reply.failed(znode.error());
        continue;
      }
      const auto znode = readable(std::get<GetChildrenBody>(operation).path);
      if (!znode) {
        reply.failed(znode.error());
        continue;
      }
      StringsWriter names = reply.children();
      tree_.for_each_child(znode->ino, [&](std::string_view name) { names.add(name); });
      names.end();
    }
    reply.end();
  }

  void operator()(const WatchesBody& body) {
    auto& watches = hub_.watches();
    const bool found = body.remove ? watches.remove(reader_.watcher, body.path, body.type)
                                   : watches.contains(reader_.watcher, body.path, body.type);
    write_header_only(out_, to_, found ? Error::kOk : Error::kNoWatcher);
  }

  // Events first, then the reply (reference/zookeeper.md 4.4). What a client may not read it is not
  // told of; that its watch is gone then is as if it had fired unheard.
  void operator()(const SetWatchesBody& body) {
    // A client that has seen nothing may say -1.
    const Zxid seen{static_cast<std::uint64_t>(std::max<std::int64_t>(body.relative_zxid, 0))};
    for (const auto path : body.data) {
      const auto znode = tree_.find_path(path);
      if (!znode) {
        write_event(out_, EventType::kDeleted, path, std::nullopt);
      } else if (znode->stat.mzxid > seen) {
        event(EventType::kDataChanged, path, *znode);
      } else {
        watch(path, WatchKind::kData);
      }
    }
    for (const auto path : body.exist) {
      const auto znode = tree_.find_path(path);
      znode ? event(EventType::kCreated, path, *znode) : watch(path, WatchKind::kData);
    }
    for (const auto path : body.child) {
      const auto znode = tree_.find_path(path);
      if (!znode) {
        write_event(out_, EventType::kDeleted, path, std::nullopt);
      } else if (znode->stat.pzxid > seen) {
        event(EventType::kChildrenChanged, path, *znode);
      } else {
        watch(path, WatchKind::kChild);
      }
    }
    for (const auto path : body.persistent) watch(path, WatchKind::kPersistent);
    for (const auto path : body.persistent_recursive) watch(path, WatchKind::kPersistentRecursive);
    write_header_only(out_, to_);
  }

  void operator()(const GetEphemeralsBody& body) {
    std::vector<std::string> paths;
    for (const Ino ino : tree_.ephemerals_of(reader_.session)) {
      std::string path = tree_.path_of(ino);
      if (path.starts_with(body.prefix)) paths.push_back(std::move(path));
    }
    write_strings(out_, to_, paths);
  }

  void operator()(const GetAllChildrenNumberBody& body) {
    const auto znode = readable(body.path);
    if (!znode) return fail(znode.error());
    write_number(out_, to_, static_cast<std::int32_t>(tree_.count_beneath(znode->ino)));
  }

  void operator()(const AddWatchBody& body) {
    watch(body.path, body.mode == WatchMode::kPersistent ? WatchKind::kPersistent
                                                         : WatchKind::kPersistentRecursive);
    write_number(out_, to_, 0);
  }

  void operator()(const WhoAmIBody&) { write_identities(out_, to_, *reader_.identity.client); }

  // Not reads (see is_read).
  template <typename Other>
  void operator()(const Other&) {
    fail(Error::kUnimplemented);
  }

  void fail(Error error) { write_header_only(out_, to_, error); }

 private:
  [[nodiscard]] bool may(const tree::Znode& znode, std::uint32_t permission) const {
    return hub_.settings().skip_acl || server::acl_allows(*znode.acl, reader_.identity, permission);
  }

  [[nodiscard]] Result<tree::Znode> readable(std::string_view path) const {
    auto znode = tree_.find_path(path);
    if (!znode) return std::unexpected(Error::kNoNode);
    if (!may(*znode, Permissions::kRead)) return std::unexpected(Error::kNoAuth);
    return *std::move(znode);
  }

  void watch(std::string_view path, WatchKind kind) {
    hub_.watches().add(reader_.watcher, path, kind);
  }

  void event(EventType type, std::string_view path, const tree::Znode& znode) {
    if (may(znode, Permissions::kRead)) write_event(out_, type, path, std::nullopt);
  }

  const Reader& reader_;
  Hub& hub_;
  const tree::DataTree& tree_;
  ReplyTo to_;
  std::string& out_;
};

}  // namespace

bool is_read(OpCode op) {
  switch (op) {
    case OpCode::kExists:
    case OpCode::kGetData:
    case OpCode::kGetAcl:
    case OpCode::kGetChildren:
    case OpCode::kGetChildren2:
    case OpCode::kPing:
    case OpCode::kCheckWatches:
    case OpCode::kRemoveWatches:
    case OpCode::kMultiRead:
    case OpCode::kSetWatches:
    case OpCode::kSetWatches2:
    case OpCode::kGetEphemerals:
    case OpCode::kGetAllChildrenNumber:
    case OpCode::kAddWatch:
    case OpCode::kWhoAmI:
      return true;
    default:
      return false;
  }
}

void answer_read(const Reader& reader,
                 const RequestHeader& header,
                 ByteView payload,
                 std::string& out) {
  const ReplyTo to{.xid = header.xid, .zxid = reader.hub.tree().last_applied()};
  Answer answer(reader, to, out);
  jute::Reader record(payload);
  decode_header(record);
  const auto body = decode_body(static_cast<OpCode>(header.type), record);
  if (!body) return answer.fail(body.error());
  std::visit(answer, *body);
}

}  // namespace zkfs::client_port
