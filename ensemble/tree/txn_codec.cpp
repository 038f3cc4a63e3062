// SPDX-License-Identifier: Apache-2.0
#include "ensemble/tree/txn_codec.h"

#include <array>
#include <limits>
#include <string>
#include <utility>

#include <google/protobuf/arena.h>

#include "ensemble/base/check.h"
#include "ensemble/proto/txn.pb.h"

namespace zkfs::tree {
namespace {

// --- to protobuf ---

void write(const AclList& acl, google::protobuf::RepeatedPtrField<proto::AclEntry>& out) {
  for (const AclEntry& entry : acl) {
    proto::AclEntry& to = *out.Add();
    to.set_permissions(entry.permissions);
    to.set_scheme(entry.scheme);
    to.set_id(entry.id);
  }
}

void write_bytes(const Blob& data, std::string& out) {
  out.assign(data.view());
}

void write(const CreateTxn& txn, proto::CreateTxn& out) {
  out.set_parent(txn.parent.value);
  out.set_name(txn.name);
  out.set_ino(txn.ino.value);
  write_bytes(txn.data, *out.mutable_data());
  out.set_null_data(txn.data.is_null());
  write(txn.acl, *out.mutable_acl());
  out.set_type(static_cast<std::uint32_t>(txn.type));
  out.set_kind(static_cast<std::uint32_t>(txn.kind));
  out.set_executable(txn.executable);
  out.set_owner(txn.owner.value);
  out.set_ttl_ms(txn.ttl_ms);
}

void write(const DeleteTxn& txn, proto::DeleteTxn& out) {
  out.set_ino(txn.ino.value);
}

template <typename SetOrAppend>
void write(const SetOrAppend& txn, proto::DataTxn& out) {
  out.set_ino(txn.ino.value);
  write_bytes(txn.data, *out.mutable_data());
  out.set_null_data(txn.data.is_null());
}

void write(const SetAclTxn& txn, proto::SetAclTxn& out) {
  out.set_ino(txn.ino.value);
  write(txn.acl, *out.mutable_acl());
}

void write(const SetAttributesTxn& txn, proto::SetAttributesTxn& out) {
  out.set_ino(txn.ino.value);
  if (txn.mtime) out.set_mtime(*txn.mtime);
  if (txn.kind) out.set_kind(static_cast<std::uint32_t>(*txn.kind));
  if (txn.executable) out.set_executable(*txn.executable);
}

void write(const RenameTxn& txn, proto::RenameTxn& out) {
  out.set_ino(txn.ino.value);
  out.set_new_parent(txn.new_parent.value);
  out.set_new_name(txn.new_name);
  out.set_replaced(txn.replaced.value);
  out.set_exchange(txn.exchange);
}

void write(const CheckTxn& txn, proto::CheckTxn& out) {
  out.set_ino(txn.ino.value);
}

// The bodies that a multi and a single txn have in common; `Message` is proto::Txn or
// proto::SubTxn.
template <typename Message>
struct BodyWriter {
  Message& out;

  void operator()(const CreateTxn& txn) { write(txn, *out.mutable_create()); }

  void operator()(const DeleteTxn& txn) { write(txn, *out.mutable_delete_()); }

  void operator()(const SetDataTxn& txn) { write(txn, *out.mutable_set_data()); }

  void operator()(const AppendTxn& txn) { write(txn, *out.mutable_append()); }

  void operator()(const SetAclTxn& txn) { write(txn, *out.mutable_set_acl()); }

  void operator()(const SetAttributesTxn& txn) { write(txn, *out.mutable_set_attributes()); }

  void operator()(const RenameTxn& txn) { write(txn, *out.mutable_rename()); }
};

struct SubTxnWriter : BodyWriter<proto::SubTxn> {
  using BodyWriter::operator();

  void operator()(const CheckTxn& txn) { write(txn, *out.mutable_check()); }
};

struct TxnWriter : BodyWriter<proto::Txn> {
  using BodyWriter::operator();

  void operator()(const CreateSessionTxn& txn) {
    proto::CreateSessionTxn& to = *out.mutable_create_session();
    to.set_session(txn.session.value);
    to.set_timeout_ms(txn.timeout_ms);
    to.set_owner(txn.owner);
    to.set_password(txn.password);
  }

  void operator()(const AttachSessionTxn& txn) {
    out.mutable_attach_session()->set_session(txn.session.value);
    out.mutable_attach_session()->set_timeout_ms(txn.timeout_ms);
  }

  void operator()(const CloseSessionTxn& txn) {
    proto::CloseSessionTxn& to = *out.mutable_close_session();
    to.set_session(txn.session.value);
    for (const Ino ino : txn.ephemerals) to.add_ephemerals(ino.value);
  }

  void operator()(const MultiTxn& txn) {
    proto::MultiTxn& to = *out.mutable_multi();
    for (const SubTxn& operation : txn.operations) {
      std::visit(SubTxnWriter{{*to.add_operations()}}, operation);
    }
  }

  void operator()(const LockTxn& txn) {
    proto::LockTxn& to = *out.mutable_lock();
    to.set_ino(txn.ino.value);
    to.set_space(static_cast<std::uint32_t>(txn.space));
    to.set_mode(static_cast<std::uint32_t>(txn.mode));
    to.set_first(txn.range.first);
    to.set_last(txn.range.last);
    to.set_owner(txn.owner);
    to.set_request(txn.request);
    to.set_pid(txn.pid);
    to.set_wait(txn.wait);
  }

  void operator()(const UnlockTxn& txn) {
    proto::UnlockTxn& to = *out.mutable_unlock();
    to.set_ino(txn.ino.value);
    to.set_space(static_cast<std::uint32_t>(txn.space));
    to.set_first(txn.range.first);
    to.set_last(txn.range.last);
    to.set_owner(txn.owner);
  }

  void operator()(const CancelLockTxn& txn) {
    out.mutable_cancel_lock()->set_ino(txn.ino.value);
    out.mutable_cancel_lock()->set_request(txn.request);
  }

  void operator()(const ErrorTxn& txn) {
    proto::ErrorTxn& to = *out.mutable_error();
    to.set_error(static_cast<std::int32_t>(txn.error));
    for (const Error error : txn.per_operation) {
      to.add_per_operation(static_cast<std::int32_t>(error));
    }
  }
};

// --- from protobuf; false: a value that this version does not know ---

Blob read_data(const auto& from) {
  return from.null_data() ? Blob::null() : Blob(from.data());
}

template <typename Enum>
bool read_enum(std::uint32_t value, Enum last, Enum& out) {
  if (value > static_cast<std::uint32_t>(last)) return false;
  out = static_cast<Enum>(value);
  return true;
}

void read(const google::protobuf::RepeatedPtrField<proto::AclEntry>& acl, AclList& out) {
  out.reserve(static_cast<std::size_t>(acl.size()));
  for (const proto::AclEntry& entry : acl) {
    out.push_back({entry.permissions(), entry.scheme(), entry.id()});
  }
}

bool read(const proto::CreateTxn& from, CreateTxn& txn) {
  txn.parent = Ino{from.parent()};
  txn.name = from.name();
  txn.ino = Ino{from.ino()};
  txn.data = read_data(from);
  txn.executable = from.executable();
  txn.owner = SessionId{from.owner()};
  txn.ttl_ms = from.ttl_ms();
  read(from.acl(), txn.acl);
  return read_enum(from.type(), NodeType::kTtl, txn.type) &&
         read_enum(from.kind(), NodeKind::kSymlink, txn.kind);
}

bool read(const proto::DeleteTxn& from, DeleteTxn& txn) {
  txn.ino = Ino{from.ino()};
  return true;
}

template <typename SetOrAppend>
bool read(const proto::DataTxn& from, SetOrAppend& txn) {
  txn.ino = Ino{from.ino()};
  txn.data = read_data(from);
  return true;
}

bool read(const proto::SetAclTxn& from, SetAclTxn& txn) {
  txn.ino = Ino{from.ino()};
  read(from.acl(), txn.acl);
  return true;
}

bool read(const proto::SetAttributesTxn& from, SetAttributesTxn& txn) {
  txn.ino = Ino{from.ino()};
  if (from.has_mtime()) txn.mtime = from.mtime();
  if (from.has_executable()) txn.executable = from.executable();
  return !from.has_kind() || read_enum(from.kind(), NodeKind::kSymlink, txn.kind.emplace());
}

bool read(const proto::RenameTxn& from, RenameTxn& txn) {
  txn.ino = Ino{from.ino()};
  txn.new_parent = Ino{from.new_parent()};
  txn.new_name = from.new_name();
  txn.replaced = Ino{from.replaced()};
  txn.exchange = from.exchange();
  return true;
}

bool read(const proto::CheckTxn& from, CheckTxn& txn) {
  txn.ino = Ino{from.ino()};
  return true;
}

// The bodies in common, as in BodyWriter. False also for a body that is not among them.
template <typename Message, typename Body>
bool read_body(const Message& from, Body& out) {
  switch (from.body_case()) {
    case Message::kCreate:
      return read(from.create(), out.template emplace<CreateTxn>());
    case Message::kDelete:
      return read(from.delete_(), out.template emplace<DeleteTxn>());
    case Message::kSetData:
      return read(from.set_data(), out.template emplace<SetDataTxn>());
    case Message::kAppend:
      return read(from.append(), out.template emplace<AppendTxn>());
    case Message::kSetAcl:
      return read(from.set_acl(), out.template emplace<SetAclTxn>());
    case Message::kSetAttributes:
      return read(from.set_attributes(), out.template emplace<SetAttributesTxn>());
    case Message::kRename:
      return read(from.rename(), out.template emplace<RenameTxn>());
    default:
      return false;
  }
}

bool read(const proto::MultiTxn& from, MultiTxn& txn) {
  for (const proto::SubTxn& operation : from.operations()) {
    SubTxn& to = txn.operations.emplace_back();
    const bool ok = operation.has_check() ? read(operation.check(), to.emplace<CheckTxn>())
                                          : read_body(operation, to);
    if (!ok) return false;
  }
  return true;
}

bool read(const proto::CreateSessionTxn& from, CreateSessionTxn& txn) {
  txn.session = SessionId{from.session()};
  txn.timeout_ms = from.timeout_ms();
  txn.owner = from.owner();
  txn.password = from.password();
  return true;
}

bool read(const proto::AttachSessionTxn& from, AttachSessionTxn& txn) {
  txn.session = SessionId{from.session()};
  txn.timeout_ms = from.timeout_ms();
  return true;
}

bool read(const proto::CloseSessionTxn& from, CloseSessionTxn& txn) {
  txn.session = SessionId{from.session()};
  for (const std::uint64_t ino : from.ephemerals()) txn.ephemerals.push_back(Ino{ino});
  return true;
}

bool read(const proto::ErrorTxn& from, ErrorTxn& txn) {
  txn.error = Error{from.error()};
  for (const std::int32_t error : from.per_operation()) txn.per_operation.push_back(Error{error});
  return true;
}

bool read(const proto::LockTxn& from, LockTxn& txn) {
  txn.ino = Ino{from.ino()};
  txn.range = {from.first(), from.last()};
  txn.owner = from.owner();
  txn.request = from.request();
  txn.pid = from.pid();
  txn.wait = from.wait();
  return read_enum(from.space(), LockSpace::kPosix, txn.space) &&
         read_enum(from.mode(), LockMode::kExclusive, txn.mode);
}

bool read(const proto::UnlockTxn& from, UnlockTxn& txn) {
  txn.ino = Ino{from.ino()};
  txn.range = {from.first(), from.last()};
  txn.owner = from.owner();
  return read_enum(from.space(), LockSpace::kPosix, txn.space);
}

bool read(const proto::CancelLockTxn& from, CancelLockTxn& txn) {
  txn.ino = Ino{from.ino()};
  txn.request = from.request();
  return true;
}

bool read(const proto::Txn& from, Txn& txn) {
  txn.session = SessionId{from.session()};
  txn.xid = Xid{from.xid()};
  txn.first_unanswered = Xid{from.first_unanswered()};
  txn.time = from.time();
  switch (from.body_case()) {
    case proto::Txn::kCreateSession:
      return read(from.create_session(), txn.body.emplace<CreateSessionTxn>());
    case proto::Txn::kAttachSession:
      return read(from.attach_session(), txn.body.emplace<AttachSessionTxn>());
    case proto::Txn::kCloseSession:
      return read(from.close_session(), txn.body.emplace<CloseSessionTxn>());
    case proto::Txn::kMulti:
      return read(from.multi(), txn.body.emplace<MultiTxn>());
    case proto::Txn::kError:
      return read(from.error(), txn.body.emplace<ErrorTxn>());
    case proto::Txn::kLock:
      return read(from.lock(), txn.body.emplace<LockTxn>());
    case proto::Txn::kUnlock:
      return read(from.unlock(), txn.body.emplace<UnlockTxn>());
    case proto::Txn::kCancelLock:
      return read(from.cancel_lock(), txn.body.emplace<CancelLockTxn>());
    default:
      return read_body(from, txn.body);
  }
}

// Messages of ordinary txns live here, so that coding one allocates little.
struct ScratchArena {
  alignas(8) std::array<char, 4096> block;
  google::protobuf::Arena arena{block.data(), block.size()};
};

}  // namespace

Blob encode(const Txn& txn) {
  ScratchArena scratch;
  auto& message = *google::protobuf::Arena::CreateMessage<proto::Txn>(&scratch.arena);
  message.set_session(txn.session.value);
  message.set_xid(txn.xid.value);
  message.set_first_unanswered(txn.first_unanswered.value);
  message.set_time(txn.time);
  std::visit(TxnWriter{{message}}, txn.body);
  std::string bytes;
  ZKFS_CHECK(message.SerializeToString(&bytes), "a txn of {} bytes", message.ByteSizeLong());
  return Blob(bytes);
}

// Only what encode() would have written is a txn. So a field that this version does not know (which
// might change what the txn means, and servers that read it differently would diverge) is refused,
// and equal txns are equal bytes in every log.
Result<Txn> decode_txn(ByteView bytes) {
  constexpr std::size_t kMax = std::numeric_limits<int>::max();
  ScratchArena scratch;
  auto& message = *google::protobuf::Arena::CreateMessage<proto::Txn>(&scratch.arena);
  Txn txn;
  if (bytes.size() > kMax ||
      !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) ||
      !read(message, txn) || encode(txn).view() != bytes) {
    return std::unexpected(Error::kMarshalling);
  }
  return txn;
}

}  // namespace zkfs::tree
