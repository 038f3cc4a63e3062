// SPDX-License-Identifier: Apache-2.0
#include "ensemble/client_port/client_codec.h"

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ensemble/base/check.h"

namespace zkfs::client_port {
namespace {

using jute::Reader;

// The least that an element takes: a length; permissions and two lengths.
constexpr std::size_t kStringBytesMin = 4;
constexpr std::size_t kAclBytesMin = 12;

Paths read_paths(Reader& reader) {
  const std::size_t count = reader.read_count(kStringBytesMin).value_or(0);
  Paths paths;
  paths.reserve(count);
  for (std::size_t i = 0; i < count && reader.good(); ++i) paths.push_back(reader.read_text());
  return paths;
}

std::vector<AclRecord> read_acl(Reader& reader) {
  const std::size_t count = reader.read_count(kAclBytesMin).value_or(0);
  std::vector<AclRecord> acl;
  acl.reserve(count);
  for (std::size_t i = 0; i < count && reader.good(); ++i) {
    AclRecord& record = acl.emplace_back();
    record.permissions = reader.read_int();
    record.scheme = reader.read_string();
    record.id = reader.read_string();
  }
  return acl;
}

CreateBody read_create(OpCode op, Reader& reader) {
  CreateBody body;
  body.op = op;
  body.path = reader.read_text();
  body.data = reader.read_buffer();
  body.acl = read_acl(reader);
  body.flags = reader.read_int();
  if (op == OpCode::kCreateTtl) body.ttl_ms = reader.read_long();
  return body;
}

DeleteBody read_delete(Reader& reader) {
  DeleteBody body;
  body.path = reader.read_text();
  body.version = reader.read_int();
  return body;
}

SetDataBody read_set_data(Reader& reader) {
  SetDataBody body;
  body.path = reader.read_text();
  body.data = reader.read_buffer();
  body.version = reader.read_int();
  return body;
}

SetAclBody read_set_acl(Reader& reader) {
  SetAclBody body;
  body.path = reader.read_text();
  body.acl = read_acl(reader);
  body.version = reader.read_int();
  return body;
}

CheckBody read_check(Reader& reader) {
  CheckBody body;
  body.path = reader.read_text();
  body.version = reader.read_int();
  return body;
}

// ExistsBody, GetDataBody.
template <typename WatchedRead>
WatchedRead read_watched(Reader& reader) {
  WatchedRead body;
  body.path = reader.read_text();
  body.watch = reader.read_bool();
  return body;
}

GetChildrenBody read_get_children(bool with_stat, Reader& reader) {
  auto body = read_watched<GetChildrenBody>(reader);
  body.with_stat = with_stat;
  return body;
}

ReconfigBody read_reconfig(Reader& reader) {
  ReconfigBody body;
  body.joining = reader.read_text();
  body.leaving = reader.read_text();
  body.new_members = reader.read_text();
  body.current_config = reader.read_long();
  return body;
}

WatchesBody read_watches(bool remove, Reader& reader) {
  WatchesBody body;
  body.remove = remove;
  body.path = reader.read_text();
  const std::int32_t type = reader.read_int();
  if (type < static_cast<std::int32_t>(WatcherType::kChildren) ||
      type > static_cast<std::int32_t>(WatcherType::kPersistentRecursive)) {
    reader.fail();
  } else {
    body.type = static_cast<WatcherType>(type);
  }
  return body;
}

AuthBody read_auth(Reader& reader) {
  AuthBody body;
  body.type = reader.read_int();
  body.scheme = reader.read_text();
  body.auth = reader.read_buffer();
  return body;
}

SetWatchesBody read_set_watches(bool with_persistent, Reader& reader) {
  SetWatchesBody body;
  body.relative_zxid = reader.read_long();
  body.data = read_paths(reader);
  body.exist = read_paths(reader);
  body.child = read_paths(reader);
  if (with_persistent) {
    body.persistent = read_paths(reader);
    body.persistent_recursive = read_paths(reader);
  }
  return body;
}

AddWatchBody read_add_watch(Reader& reader) {
  AddWatchBody body;
  body.path = reader.read_text();
  const std::int32_t mode = reader.read_int();
  if (mode != static_cast<std::int32_t>(WatchMode::kPersistent) &&
      mode != static_cast<std::int32_t>(WatchMode::kPersistentRecursive)) {
    reader.fail();
  } else {
    body.mode = static_cast<WatchMode>(mode);
  }
  return body;
}

// The operations of a multi up to its end mark. `read(op, reader)` appends one, or fails the
// reader.
template <typename ReadOne>
void read_operations(Reader& reader, ReadOne read) {
  while (reader.good()) {
    const std::int32_t type = reader.read_int();
    const bool done = reader.read_bool();
    reader.read_int();  // an error, which a request has none of
    if (!reader.good() || done) return;
    read(static_cast<OpCode>(type), reader);
  }
}

MultiBody read_multi(Reader& reader) {
  MultiBody body;
  auto& operations = body.operations;
  read_operations(reader, [&operations](OpCode op, Reader& from) {
    switch (op) {
      case OpCode::kCreate:
      case OpCode::kCreate2:
      case OpCode::kCreateContainer:
      case OpCode::kCreateTtl:
        operations.emplace_back(read_create(op, from));
        break;
      case OpCode::kDelete:
        operations.emplace_back(read_delete(from));
        break;
      case OpCode::kSetData:
        operations.emplace_back(read_set_data(from));
        break;
      case OpCode::kCheck:
        operations.emplace_back(read_check(from));
        break;
      default:
        from.fail();
    }
  });
  return body;
}

MultiReadBody read_multi_read(Reader& reader) {
  MultiReadBody body;
  auto& operations = body.operations;
  read_operations(reader, [&operations](OpCode op, Reader& from) {
    switch (op) {
      case OpCode::kGetData:
        operations.emplace_back(read_watched<GetDataBody>(from));
        break;
      case OpCode::kGetChildren:
        operations.emplace_back(read_get_children(false, from));
        break;
      default:
        from.fail();
    }
  });
  return body;
}

// Nothing: no operation of clients.
std::optional<Body> read_body(OpCode op, Reader& reader) {
  switch (op) {
    case OpCode::kCreate:
    case OpCode::kCreate2:
    case OpCode::kCreateContainer:
    case OpCode::kCreateTtl:
      return read_create(op, reader);
    case OpCode::kDelete:
      return read_delete(reader);
    case OpCode::kExists:
      return read_watched<ExistsBody>(reader);
    case OpCode::kGetData:
      return read_watched<GetDataBody>(reader);
    case OpCode::kSetData:
      return read_set_data(reader);
    case OpCode::kGetAcl:
      return GetAclBody{reader.read_text()};
    case OpCode::kSetAcl:
      return read_set_acl(reader);
    case OpCode::kGetChildren:
      return read_get_children(false, reader);
    case OpCode::kGetChildren2:
      return read_get_children(true, reader);
    case OpCode::kSync:
      return SyncBody{reader.read_text()};
    case OpCode::kPing:
      return PingBody{};
    case OpCode::kMulti:
      return read_multi(reader);
    case OpCode::kMultiRead:
      return read_multi_read(reader);
    case OpCode::kReconfig:
      return read_reconfig(reader);
    case OpCode::kCheckWatches:
      return read_watches(false, reader);
    case OpCode::kRemoveWatches:
      return read_watches(true, reader);
    case OpCode::kAuth:
      return read_auth(reader);
    case OpCode::kSetWatches:
      return read_set_watches(false, reader);
    case OpCode::kSetWatches2:
      return read_set_watches(true, reader);
    case OpCode::kSasl:
      return SaslBody{reader.read_buffer()};
    case OpCode::kGetEphemerals:
      return GetEphemeralsBody{reader.read_text()};
    case OpCode::kGetAllChildrenNumber:
      return GetAllChildrenNumberBody{reader.read_text()};
    case OpCode::kAddWatch:
      return read_add_watch(reader);
    case OpCode::kWhoAmI:
      return WhoAmIBody{};
    case OpCode::kCloseSession:
      return CloseSessionBody{};
    case OpCode::kError:
    case OpCode::kNotification:
    case OpCode::kCheck:
    case OpCode::kDeleteContainer:
    case OpCode::kCreateSession:
      break;
  }
  return std::nullopt;
}

// --- to the ensemble ---

server::Target target_of(std::string_view path) {
  return {.ino = Ino{}, .path = std::string(path)};
}

Blob blob_of(const Data& data) {
  return data ? Blob(*data) : Blob::null();
}

// A null scheme or id becomes an entry of no scheme, which prep refuses as an invalid ACL; but
// `auth` has no id of its own.
tree::AclList acl_of(const std::vector<AclRecord>& records) {
  tree::AclList acl;
  acl.reserve(records.size());
  for (const AclRecord& record : records) {
    tree::AclEntry& entry = acl.emplace_back();
    entry.permissions = static_cast<std::uint32_t>(record.permissions);
    if (!record.scheme || (!record.id && record.scheme != "auth")) continue;
    entry.scheme = *record.scheme;
    entry.id = record.id.value_or(std::string_view{});
  }
  return acl;
}

bool is_ttl(std::int32_t flags) {
  return flags == CreateFlags::kPersistentTtl || flags == CreateFlags::kPersistentSequentialTtl;
}

bool is_sequential(std::int32_t flags) {
  return flags == CreateFlags::kPersistentSequential ||
         flags == CreateFlags::kEphemeralSequential ||
         flags == CreateFlags::kPersistentSequentialTtl;
}

// In the order of reference 2.2.
Error check_flags(const CreateBody& body, Translation translation) {
  if (body.flags < CreateFlags::kPersistent || body.flags > CreateFlags::kPersistentSequentialTtl)
    return Error::kBadArguments;
  if (!is_ttl(body.flags)) return body.ttl_ms < 0 ? Error::kOk : Error::kBadArguments;
  return translation.extended_types ? Error::kOk : Error::kUnimplemented;
}

tree::NodeType type_of(const CreateBody& body) {
  if (is_ttl(body.flags)) return tree::NodeType::kTtl;
  if (body.op == OpCode::kCreateContainer) return tree::NodeType::kContainer;
  return body.flags == CreateFlags::kEphemeral || body.flags == CreateFlags::kEphemeralSequential
             ? tree::NodeType::kEphemeral
             : tree::NodeType::kPersistent;
}

// Requires: check_flags.
server::CreateRequest create_of(const CreateBody& body) {
  server::CreateRequest request;
  request.target = target_of(body.path);
  request.data = blob_of(body.data);
  request.acl = acl_of(body.acl);
  request.type = type_of(body);
  request.sequential = is_sequential(body.flags);
  request.ttl_ms = is_ttl(body.flags) ? body.ttl_ms : 0;
  return request;
}

server::DeleteRequest request_of(const DeleteBody& body) {
  server::DeleteRequest request;
  request.target = target_of(body.path);
  request.version = body.version;
  return request;
}

server::SetDataRequest request_of(const SetDataBody& body) {
  return {.target = target_of(body.path), .data = blob_of(body.data), .version = body.version};
}

server::CheckRequest request_of(const CheckBody& body) {
  return {.target = target_of(body.path), .version = body.version};
}

// Prep refuses it with kBadArguments: a path that does not begin with '/'.
server::CreateRequest refused_create() {
  server::CreateRequest request;
  request.target = target_of("refused");
  return request;
}

server::MultiRequest multi_of(const MultiBody& body, Translation translation) {
  server::MultiRequest multi;
  multi.operations.reserve(body.operations.size());
  for (const SubBody& operation : body.operations) {
    if (const auto* create = std::get_if<CreateBody>(&operation)) {
      const bool good = check_flags(*create, translation) == Error::kOk;
      multi.operations.emplace_back(good ? create_of(*create) : refused_create());
    } else if (const auto* remove = std::get_if<DeleteBody>(&operation)) {
      multi.operations.emplace_back(request_of(*remove));
    } else if (const auto* set = std::get_if<SetDataBody>(&operation)) {
      multi.operations.emplace_back(request_of(*set));
    } else {
      multi.operations.emplace_back(request_of(std::get<CheckBody>(operation)));
    }
  }
  return multi;
}

}  // namespace

Result<ConnectRequest> decode_connect(ByteView payload) {
  Reader reader(payload);
  ConnectRequest request;
  request.protocol_version = reader.read_int();
  const std::int64_t last_zxid = reader.read_long();
  request.last_zxid_seen = Zxid(static_cast<std::uint64_t>(last_zxid < 0 ? 0 : last_zxid));
  request.timeout_ms = reader.read_int();
  request.session = SessionId{static_cast<std::uint64_t>(reader.read_long())};
  request.password = reader.read_text();
  if (!reader.good()) return std::unexpected(Error::kMarshalling);
  if (!reader.at_end()) request.read_only = reader.read_bool();
  return request;
}

std::optional<RequestHeader> decode_header(Reader& reader) {
  RequestHeader header;
  header.xid = reader.read_int();
  header.type = reader.read_int();
  if (!reader.good()) return std::nullopt;
  return header;
}

Result<Body> decode_body(OpCode op, Reader& reader) {
  auto body = read_body(op, reader);
  if (!body) return std::unexpected(Error::kUnimplemented);
  if (!reader.good()) return std::unexpected(Error::kMarshalling);
  return *std::move(body);
}

Result<server::Operation> to_operation(const Body& body, Translation translation) {
  if (const auto* create = std::get_if<CreateBody>(&body)) {
    const Error error = check_flags(*create, translation);
    if (error != Error::kOk) return std::unexpected(error);
    return create_of(*create);
  }
  if (const auto* remove = std::get_if<DeleteBody>(&body)) return request_of(*remove);
  if (const auto* set = std::get_if<SetDataBody>(&body)) return request_of(*set);
  if (const auto* set = std::get_if<SetAclBody>(&body)) {
    return server::SetAclRequest{
        .target = target_of(set->path), .acl = acl_of(set->acl), .version = set->version};
  }
  if (const auto* multi = std::get_if<MultiBody>(&body)) return multi_of(*multi, translation);
  ZKFS_CHECK(std::holds_alternative<CloseSessionBody>(body), "body {} is no write", body.index());
  return server::CloseSessionRequest{};
}

std::optional<SubRefusal> refused_with(const MultiBody& multi, Translation translation) {
  for (std::size_t i = 0; i < multi.operations.size(); ++i) {
    const auto* create = std::get_if<CreateBody>(&multi.operations[i]);
    if (create == nullptr) continue;
    const Error error = check_flags(*create, translation);
    if (error == Error::kOk) continue;
    if (error == Error::kBadArguments) return std::nullopt;
    return SubRefusal{.index = i, .error = error};
  }
  return std::nullopt;
}

std::int32_t wire_error(Error error) {
  constexpr std::int32_t kSystemError = -1;
  constexpr auto kOursBelow = -1000;
  const auto code = static_cast<std::int32_t>(error);
  if (code > kOursBelow) return code;
  switch (error) {
    case Error::kTooLarge:
    case Error::kLoop:
    case Error::kIsDirectory:
      return static_cast<std::int32_t>(Error::kBadArguments);
    case Error::kNotDirectory:
      return static_cast<std::int32_t>(Error::kNoChildrenForEphemerals);
    case Error::kStale:
      return static_cast<std::int32_t>(Error::kNoNode);
    default:
      return kSystemError;
  }
}

std::string_view last_operation_code(OpCode op) {
  switch (op) {
    case OpCode::kPing:
      return "PING";
    case OpCode::kCreateSession:
      return "SESS";
    case OpCode::kMulti:
      return "MULT";
    case OpCode::kMultiRead:
      return "MLTR";
    case OpCode::kCreate:
    case OpCode::kCreate2:
    case OpCode::kCreateContainer:
    case OpCode::kCreateTtl:
      return "CREA";
    case OpCode::kDelete:
    case OpCode::kDeleteContainer:
      return "DELE";
    case OpCode::kSetData:
      return "SETD";
    case OpCode::kReconfig:
      return "RECO";
    case OpCode::kSetAcl:
      return "SETA";
    case OpCode::kCloseSession:
      return "CLOS";
    case OpCode::kSync:
      return "SYNC";
    case OpCode::kCheck:
      return "CHEC";
    case OpCode::kExists:
      return "EXIS";
    case OpCode::kGetData:
      return "GETD";
    case OpCode::kSetWatches:
      return "SETW";
    case OpCode::kSetWatches2:
      return "STW2";
    case OpCode::kAddWatch:
      return "ADDW";
    case OpCode::kGetAcl:
      return "GETA";
    case OpCode::kGetChildren:
    case OpCode::kGetChildren2:
      return "GETC";
    case OpCode::kGetAllChildrenNumber:
      return "GETACN";
    case OpCode::kCheckWatches:
      return "CHKW";
    case OpCode::kRemoveWatches:
      return "REMW";
    case OpCode::kWhoAmI:
      return "HOMI";
    case OpCode::kGetEphemerals:
      return "GETE";
    case OpCode::kAuth:
    case OpCode::kSasl:
    case OpCode::kError:
    case OpCode::kNotification:
      break;
  }
  return "NA";
}

}  // namespace zkfs::client_port
