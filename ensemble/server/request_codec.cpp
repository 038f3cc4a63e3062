// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/request_codec.h"

#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "ensemble/base/check.h"
#include "ensemble/proto/request.pb.h"

namespace zkfs::server {
namespace {

// Decoding goes on after an odd value; the end tells.
struct Reading {
  bool good = true;

  void refuse_unless(bool condition) { good = good && condition; }
};

// --- writing ---

void write(const Target& from, proto::Target* to) {
  to->set_ino(from.ino.value);
  to->set_path(from.path);
}

void write(const tree::AclList& from, google::protobuf::RepeatedPtrField<proto::AclEntry>* to) {
  for (const tree::AclEntry& entry : from) {
    proto::AclEntry* added = to->Add();
    added->set_permissions(entry.permissions);
    added->set_scheme(entry.scheme);
    added->set_id(entry.id);
  }
}

void write(const Blob& from, std::string* to) {
  to->assign(from.view());
}

void write(const CreateRequest& from, proto::CreateRequest* to) {
  write(from.target, to->mutable_target());
  write(from.data, to->mutable_data());
  to->set_null_data(from.data.is_null());
  write(from.acl, to->mutable_acl());
  to->set_type(static_cast<std::uint32_t>(from.type));
  to->set_kind(static_cast<std::uint32_t>(from.kind));
  to->set_sequential(from.sequential);
  to->set_executable(from.executable);
  to->set_ttl_ms(from.ttl_ms);
  to->set_or_set(from.or_set);
  to->set_append(from.append);
}

void write(const DeleteRequest& from, proto::DeleteRequest* to) {
  write(from.target, to->mutable_target());
  to->set_version(from.version);
  to->set_expected(static_cast<std::uint32_t>(from.expected));
  to->set_only_without_data(from.only_without_data);
}

void write(const SetDataRequest& from, proto::SetDataRequest* to) {
  write(from.target, to->mutable_target());
  write(from.data, to->mutable_data());
  to->set_null_data(from.data.is_null());
  to->set_version(from.version);
}

void write(const AppendRequest& from, proto::AppendRequest* to) {
  write(from.target, to->mutable_target());
  write(from.data, to->mutable_data());
}

void write(const SetAclRequest& from, proto::SetAclRequest* to) {
  write(from.target, to->mutable_target());
  write(from.acl, to->mutable_acl());
  to->set_version(from.version);
}

void write(const SetAttributesRequest& from, proto::SetAttributesRequest* to) {
  write(from.target, to->mutable_target());
  if (from.mtime) to->set_mtime(*from.mtime);
  if (from.kind) to->set_kind(static_cast<std::uint32_t>(*from.kind));
  if (from.executable) to->set_executable(*from.executable);
}

void write(const RenameRequest& from, proto::RenameRequest* to) {
  write(from.source, to->mutable_source());
  write(from.target, to->mutable_target());
  to->set_no_replace(from.no_replace);
  to->set_exchange(from.exchange);
  to->set_sequential(from.sequential);
  to->set_onto_data(from.onto_data);
}

void write(const CheckRequest& from, proto::CheckRequest* to) {
  write(from.target, to->mutable_target());
  to->set_version(from.version);
}

void write(const Identity& from, proto::Identity* to) {
  to->set_uid(from.uid);
  to->mutable_gids()->Add(from.gids.begin(), from.gids.end());
  if (!from.client) return;
  to->set_is_client(true);
  for (const AuthId& id : *from.client) {
    proto::AuthId* added = to->add_client();
    added->set_scheme(id.scheme);
    added->set_id(id.id);
  }
}

// Where the operations that may also stand in a multi go: the same fields in both messages.
template <typename Message>
struct SubWriter {
  Message* to;

  void operator()(const CreateRequest& r) const { write(r, to->mutable_create()); }

  void operator()(const DeleteRequest& r) const { write(r, to->mutable_delete_()); }

  void operator()(const SetDataRequest& r) const { write(r, to->mutable_set_data()); }

  void operator()(const AppendRequest& r) const { write(r, to->mutable_append()); }

  void operator()(const SetAclRequest& r) const { write(r, to->mutable_set_acl()); }

  void operator()(const SetAttributesRequest& r) const { write(r, to->mutable_set_attributes()); }

  void operator()(const RenameRequest& r) const { write(r, to->mutable_rename()); }
};

struct SubRequestWriter : SubWriter<proto::SubRequest> {
  using SubWriter::operator();

  void operator()(const CheckRequest& r) const { write(r, to->mutable_check()); }
};

struct RequestWriter : SubWriter<proto::Request> {
  using SubWriter::operator();

  void operator()(const MultiRequest& r) const {
    proto::MultiRequest* multi = to->mutable_multi();
    for (const SubRequest& operation : r.operations)
      std::visit(SubRequestWriter{{multi->add_operations()}}, operation);
  }

  void operator()(const CreateSessionRequest& r) const {
    to->mutable_create_session()->set_timeout_ms(r.timeout_ms);
    to->mutable_create_session()->set_owner(r.owner);
    to->mutable_create_session()->set_password(r.password);
  }

  void operator()(const AttachSessionRequest& r) const {
    to->mutable_attach_session()->set_timeout_ms(r.timeout_ms);
    to->mutable_attach_session()->set_password(r.password);
  }

  void operator()(const CloseSessionRequest&) const { to->mutable_close_session(); }

  void operator()(const LockRequest& r) const {
    proto::LockRequest* lock = to->mutable_lock();
    lock->set_ino(r.ino.value);
    lock->set_space(static_cast<std::uint32_t>(r.space));
    lock->set_mode(static_cast<std::uint32_t>(r.mode));
    lock->set_first(r.range.first);
    lock->set_last(r.range.last);
    lock->set_owner(r.owner);
    lock->set_request(r.request);
    lock->set_pid(r.pid);
    lock->set_wait(r.wait);
  }

  void operator()(const UnlockRequest& r) const {
    proto::UnlockRequest* unlock = to->mutable_unlock();
    unlock->set_ino(r.ino.value);
    unlock->set_space(static_cast<std::uint32_t>(r.space));
    unlock->set_first(r.range.first);
    unlock->set_last(r.range.last);
    unlock->set_owner(r.owner);
  }

  void operator()(const CancelLockRequest& r) const {
    to->mutable_cancel_lock()->set_ino(r.ino.value);
    to->mutable_cancel_lock()->set_request(r.request);
  }
};

Blob as_blob(const proto::Forwarded& message) {
  std::string bytes;
  ZKFS_CHECK(message.SerializeToString(&bytes), "a request of {} bytes", message.ByteSizeLong());
  return Blob(bytes);
}

// --- reading ---

// A number that names one of the enumerators 0..last.
template <typename Enum>
Enum read_enum(Reading& reading, std::uint32_t number, Enum last) {
  reading.refuse_unless(number <= static_cast<std::uint32_t>(last));
  return static_cast<Enum>(number);
}

tree::NodeKind read_kind(Reading& reading, std::uint32_t number) {
  return read_enum(reading, number, tree::NodeKind::kSymlink);
}

Target read(const proto::Target& from) {
  return {.ino = Ino{from.ino()}, .path = from.path()};
}

tree::AclList read(const google::protobuf::RepeatedPtrField<proto::AclEntry>& from) {
  tree::AclList acl;
  acl.reserve(static_cast<std::size_t>(from.size()));
  for (const proto::AclEntry& entry : from) {
    acl.push_back({entry.permissions(), entry.scheme(), entry.id()});
  }
  return acl;
}

Blob read_data(const auto& from) {
  return from.null_data() ? Blob::null() : Blob(from.data());
}

CreateRequest read(Reading& reading, const proto::CreateRequest& from) {
  return {.target = read(from.target()),
          .data = read_data(from),
          .acl = read(from.acl()),
          .type = read_enum(reading, from.type(), tree::NodeType::kTtl),
          .kind = read_kind(reading, from.kind()),
          .sequential = from.sequential(),
          .executable = from.executable(),
          .ttl_ms = from.ttl_ms(),
          .or_set = from.or_set(),
          .append = from.append()};
}

DeleteRequest read(Reading& reading, const proto::DeleteRequest& from) {
  return {.target = read(from.target()),
          .version = from.version(),
          .expected = read_enum(reading, from.expected(), DeleteRequest::Shown::kNotDirectory),
          .only_without_data = from.only_without_data()};
}

SetDataRequest read(const proto::SetDataRequest& from) {
  return {.target = read(from.target()), .data = read_data(from), .version = from.version()};
}

AppendRequest read(const proto::AppendRequest& from) {
  return {.target = read(from.target()), .data = Blob(from.data())};
}

SetAclRequest read(const proto::SetAclRequest& from) {
  return {.target = read(from.target()), .acl = read(from.acl()), .version = from.version()};
}

SetAttributesRequest read(Reading& reading, const proto::SetAttributesRequest& from) {
  SetAttributesRequest request;
  request.target = read(from.target());
  if (from.has_mtime()) request.mtime = from.mtime();
  if (from.has_kind()) request.kind = read_kind(reading, from.kind());
  if (from.has_executable()) request.executable = from.executable();
  return request;
}

RenameRequest read(const proto::RenameRequest& from) {
  return {.source = read(from.source()),
          .target = read(from.target()),
          .no_replace = from.no_replace(),
          .exchange = from.exchange(),
          .sequential = from.sequential(),
          .onto_data = from.onto_data()};
}

CheckRequest read(const proto::CheckRequest& from) {
  return {.target = read(from.target()), .version = from.version()};
}

CreateSessionRequest read(const proto::CreateSessionRequest& from) {
  return {.timeout_ms = from.timeout_ms(), .owner = from.owner(), .password = from.password()};
}

LockRequest read(Reading& reading, const proto::LockRequest& from) {
  return {.ino = Ino{from.ino()},
          .space = read_enum(reading, from.space(), tree::LockSpace::kPosix),
          .mode = read_enum(reading, from.mode(), tree::LockMode::kExclusive),
          .range = {from.first(), from.last()},
          .owner = from.owner(),
          .request = from.request(),
          .pid = from.pid(),
          .wait = from.wait()};
}

UnlockRequest read(Reading& reading, const proto::UnlockRequest& from) {
  return {.ino = Ino{from.ino()},
          .space = read_enum(reading, from.space(), tree::LockSpace::kPosix),
          .range = {from.first(), from.last()},
          .owner = from.owner()};
}

CancelLockRequest read(const proto::CancelLockRequest& from) {
  return {.ino = Ino{from.ino()}, .request = from.request()};
}

Identity read(const proto::Identity& from) {
  Identity identity{
      .uid = from.uid(), .gids = {from.gids().begin(), from.gids().end()}, .client = nullptr};
  if (!from.is_client()) return identity;
  auto ids = std::make_shared<std::vector<AuthId>>();
  for (const proto::AuthId& id : from.client()) ids->push_back({id.scheme(), id.id()});
  identity.client = std::move(ids);
  return identity;
}

// The operations that may also stand in a multi: the same cases of both messages.
template <typename Variant, typename Message>
std::optional<Variant> read_common(Reading& reading, const Message& from) {
  switch (from.operation_case()) {
    case Message::kCreate:
      return read(reading, from.create());
    case Message::kDelete:
      return read(reading, from.delete_());
    case Message::kSetData:
      return read(from.set_data());
    case Message::kAppend:
      return read(from.append());
    case Message::kSetAcl:
      return read(from.set_acl());
    case Message::kSetAttributes:
      return read(reading, from.set_attributes());
    case Message::kRename:
      return read(from.rename());
    default:
      return std::nullopt;
  }
}

MultiRequest read(Reading& reading, const proto::MultiRequest& from) {
  MultiRequest multi;
  multi.operations.reserve(static_cast<std::size_t>(from.operations_size()));
  for (const proto::SubRequest& sub : from.operations()) {
    std::optional<SubRequest> operation;
    if (sub.operation_case() == proto::SubRequest::kCheck) {
      operation = read(sub.check());
    } else {
      operation = read_common<SubRequest>(reading, sub);
    }
    reading.refuse_unless(operation.has_value());
    if (!reading.good) break;
    multi.operations.push_back(std::move(*operation));
  }
  return multi;
}

std::optional<Operation> read_operation(Reading& reading, const proto::Request& from) {
  switch (from.operation_case()) {
    case proto::Request::kMulti:
      return read(reading, from.multi());
    case proto::Request::kCreateSession:
      return read(from.create_session());
    case proto::Request::kAttachSession:
      return AttachSessionRequest{.timeout_ms = from.attach_session().timeout_ms(),
                                  .password = from.attach_session().password()};
    case proto::Request::kCloseSession:
      return CloseSessionRequest{};
    case proto::Request::kLock:
      return read(reading, from.lock());
    case proto::Request::kUnlock:
      return read(reading, from.unlock());
    case proto::Request::kCancelLock:
      return read(from.cancel_lock());
    default:
      return read_common<Operation>(reading, from);
  }
}

Result<Forwarded> read_request(const proto::Request& from) {
  Reading reading;
  Request request;
  request.session = SessionId{from.session()};
  request.xid = Xid{from.xid()};
  request.first_unanswered = Xid{from.first_unanswered()};
  request.identity = read(from.identity());
  // Without an identity everybody would be root.
  reading.refuse_unless(from.has_identity());
  auto operation = read_operation(reading, from);
  if (!reading.good || !operation) return std::unexpected(Error::kMarshalling);
  request.operation = std::move(*operation);
  return request;
}

}  // namespace

Blob encode(const Request& request) {
  proto::Forwarded message;
  proto::Request* to = message.mutable_request();
  to->set_session(request.session.value);
  to->set_xid(request.xid.value);
  to->set_first_unanswered(request.first_unanswered.value);
  write(request.identity, to->mutable_identity());
  std::visit(RequestWriter{{to}}, request.operation);
  return as_blob(message);
}

Blob encode(const Touch& touch) {
  proto::Forwarded message;
  proto::Touch* to = message.mutable_touch();
  to->mutable_sessions()->Reserve(static_cast<int>(touch.sessions.size()));
  for (const SessionId session : touch.sessions) to->add_sessions(session.value);
  to->set_low_space(touch.low_space);
  return as_blob(message);
}

Result<Forwarded> decode_forwarded(ByteView bytes) {
  proto::Forwarded message;
  if (bytes.size() > std::numeric_limits<int>::max() ||
      !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return std::unexpected(Error::kMarshalling);
  if (message.has_request()) return read_request(message.request());
  if (!message.has_touch()) return std::unexpected(Error::kMarshalling);
  Touch touch;
  touch.sessions.reserve(static_cast<std::size_t>(message.touch().sessions_size()));
  for (const std::uint64_t session : message.touch().sessions())
    touch.sessions.push_back(SessionId{session});
  touch.low_space = message.touch().low_space();
  return touch;
}

}  // namespace zkfs::server
