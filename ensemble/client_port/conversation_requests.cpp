// SPDX-License-Identifier: Apache-2.0
// The requests of a conversation, and their replies.
#include <algorithm>
#include <utility>

#include "ensemble/base/check.h"
#include "ensemble/base/limits.h"
#include "ensemble/client_port/client_codec.h"
#include "ensemble/client_port/conversation.h"
#include "ensemble/client_port/hub.h"
#include "ensemble/client_port/reads.h"
#include "ensemble/client_port/reply_codec.h"
#include "ensemble/server/digest_auth.h"

namespace zkfs::client_port {
namespace {

std::size_t bytes_of(const std::vector<server::AuthId>& ids) {
  std::size_t bytes = 0;
  for (const server::AuthId& id : ids) bytes += id.scheme.size() + id.id.size();
  return bytes;
}

bool is_write(OpCode op) {
  switch (op) {
    case OpCode::kCreate:
    case OpCode::kCreate2:
    case OpCode::kCreateContainer:
    case OpCode::kCreateTtl:
    case OpCode::kDelete:
    case OpCode::kSetData:
    case OpCode::kSetAcl:
    case OpCode::kMulti:
      return true;
    default:
      return false;
  }
}

// What a server that only reads must refuse.
bool is_refused_read_only(OpCode op) {
  return is_write(op) || op == OpCode::kSync || op == OpCode::kReconfig || op == OpCode::kCheck;
}

bool is_ephemeral(const server::SubRequest& request) {
  const auto* create = std::get_if<server::CreateRequest>(&request);
  return create != nullptr && create->type == tree::NodeType::kEphemeral;
}

bool makes_ephemeral(const server::Operation& operation) {
  if (const auto* create = std::get_if<server::CreateRequest>(&operation))
    return create->type == tree::NodeType::kEphemeral;
  const auto* multi = std::get_if<server::MultiRequest>(&operation);
  return multi != nullptr && std::any_of(multi->operations.begin(), multi->operations.end(),
                                         [](const auto& request) { return is_ephemeral(request); });
}

}  // namespace

void Conversation::request(ByteView payload) {
  jute::Reader reader(payload);
  const auto header = decode_header(reader);
  if (!header) return end();
  touch();
  const auto op = static_cast<OpCode>(header->type);
  last_op_ = op;
  view_.last_cxid = header->xid;
  if (read_only_ && is_refused_read_only(op)) return fail(*header, Error::kNotReadOnly);
  if (is_read(op)) return read_request(*header, payload);
  const auto body = decode_body(op, reader);
  if (!body) return fail(*header, body.error());
  if (is_write(op)) return write_request(*header, *body, payload);
  if (op == OpCode::kSync) return sync(*header, std::get<SyncBody>(*body).path);
  if (op == OpCode::kCloseSession) return close_session(*header);
  if (op == OpCode::kAuth) {
    const Error error = authenticate(std::get<AuthBody>(*body));
    if (error != Error::kOk) state_ = State::kClosing;
    return fail(*header, error);
  }
  // The rest are known, and not to be had here.
  if (op == OpCode::kReconfig)
    return fail(*header,
                hub_.settings().standalone ? Error::kUnimplemented : Error::kReconfigDisabled);
  state_ = State::kClosing;
  fail(*header, Error::kAuthFailed);
}

// --- reads ---

void Conversation::read_request(const RequestHeader& header, ByteView payload) {
  if (queued() == 0) return read_now(header, payload, identity_, Instant{});
  hold(header, payload);
  ++unstarted_reads_;
}

void Conversation::hold(const RequestHeader& header, ByteView payload) {
  const auto sequence = expect(header, Pending::Stage::kUnstarted, std::string(payload));
  find(sequence)->identity = identity_;
  unstarted_bytes_ += payload.size();
}

void Conversation::read_now(const RequestHeader& header,
                            ByteView payload,
                            const server::Identity& identity,
                            Instant arrived) {
  const std::size_t before = output_.size();
  const Reader who{hub_, identity, id_, local_ ? SessionId{} : session_};
  answer_read(who, header, payload, output_);
  sent(before, hub_.tree().last_applied(), arrived);
}

// --- writes ---

void Conversation::write_request(const RequestHeader& header, const Body& body, ByteView payload) {
  auto operation = to_operation(body, {.extended_types = hub_.settings().extended_types});
  if (!operation) return fail(header, operation.error());
  if (local_ && makes_ephemeral(*operation)) {
    if (!hub_.settings().local_sessions_upgrading)
      return fail(header, Error::kEphemeralOnLocalSession);
    return upgrade(payload);
  }
  if (holds_writes()) {
    hold(header, payload);
    ++held_writes_;
    return;
  }
  const bool multi = std::holds_alternative<MultiBody>(body);
  const auto sequence =
      expect(header, Pending::Stage::kWaiting, multi ? std::string(payload) : std::string());
  submit(sequence, identity_, std::move(*operation));
}

void Conversation::submit(std::uint64_t sequence,
                          const server::Identity& identity,
                          server::Operation operation) {
  const SessionId session = local_ ? hub_.gateway() : session_;
  submitted_end_ = sequence + 1;
  const auto ticket = hub_.door().submit(
      session, identity, std::move(operation),
      [this, sequence](const tree::Outcome& outcome) { decided(sequence, outcome); });
  if (Pending* pending = find(sequence)) pending->ticket = ticket;
}

// What waits in front is stalled if it is a read: the client does not read what it is sent.
bool Conversation::holds_writes() const {
  const bool stalled = queued() != 0 && queue_[head_].stage == Pending::Stage::kUnstarted;
  return held_writes_ != 0 || stalled || (syncs_ != 0 && unstarted_reads_ != 0) ||
         unstarted_reads_ > limits::kClientReadsBeforeWriteMax;
}

// From the front, which is one of them, up to the next sync, or as many reads as may be between.
void Conversation::start_writes() {
  std::size_t reads = 0;
  for (auto sequence = first_sequence_; Pending* pending = find(sequence); ++sequence) {
    if (pending->op == OpCode::kSync && pending->stage == Pending::Stage::kWaiting) return;
    if (pending->stage != Pending::Stage::kUnstarted) continue;
    if (is_read(pending->op)) {
      if (++reads > limits::kClientReadsBeforeWriteMax) return;
      continue;
    }
    pending->stage = Pending::Stage::kWaiting;
    --held_writes_;
    const std::string payload = std::exchange(pending->bytes, {});
    unstarted_bytes_ -= payload.size();
    if (pending->op == OpCode::kCloseSession) return submit_close(sequence);
    jute::Reader reader(payload);
    decode_header(reader);
    const auto body = decode_body(pending->op, reader);
    ZKFS_CHECK(body.has_value(), "a write that was decoded cannot be decoded");
    auto operation = to_operation(*body, {.extended_types = hub_.settings().extended_types});
    ZKFS_CHECK(operation.has_value(), "a write that was accepted is refused");
    if (pending->op == OpCode::kMulti) pending->bytes = payload;
    submit(sequence, std::exchange(pending->identity, {}), std::move(*operation));
  }
}

// The session becomes one of the ensemble's; the request that needs it is taken anew then.
void Conversation::upgrade(ByteView payload) {
  state_ = State::kUpgrading;
  held_ = std::string(payload);
  const auto* local = hub_.local_session(session_);
  if (local == nullptr) return end();
  hub_.door().open_client_session(
      {.id = session_,
       .timeout_ms = local->timeout_ms,
       .owner = "client " + view_.remote,
       .password = local->password},
      [this](const tree::Outcome& outcome) {
        if (outcome.error != Error::kOk) return end();
        hub_.close_local_session(session_);
        local_ = false;
        state_ = State::kServing;
        request(std::exchange(held_, {}));
        transport_.wake();
      },
      [this] { end(); });
}

// The path is echoed, whatever it is.
void Conversation::sync(const RequestHeader& header, std::string_view path) {
  const auto sequence = expect(header, Pending::Stage::kWaiting, std::string(path));
  ++syncs_;
  const auto ticket = hub_.door().sync([this, sequence](Error error) {
    if (error != Error::kOk) return end();
    --syncs_;
    const Pending* asked = find(sequence);
    if (asked == nullptr) return;
    const std::string echo = asked->bytes;
    answer(sequence, hub_.tree().last_applied(),
           [&](std::string& out, ReplyTo to) { write_path(out, to, echo); });
  });
  if (Pending* pending = find(sequence)) pending->ticket = ticket;
}

void Conversation::close_session(const RequestHeader& header) {
  state_ = State::kClosing;
  if (local_) {
    const auto sequence = expect(header, Pending::Stage::kWaiting);
    hub_.close_local_session(session_);
    return answer(sequence, hub_.tree().last_applied(),
                  [](std::string& out, ReplyTo to) { write_header_only(out, to); });
  }
  if (holds_writes()) {
    hold(header, {});
    ++held_writes_;
    return;
  }
  submit_close(expect(header, Pending::Stage::kWaiting));
}

void Conversation::submit_close(std::uint64_t sequence) {
  submitted_end_ = sequence + 1;
  hub_.door().close_session(session_, [this, sequence](const tree::Outcome& outcome) {
    if (outcome.error != Error::kOk) return end();
    answer(sequence, outcome.zxid,
           [](std::string& out, ReplyTo to) { write_header_only(out, to); });
  });
}

Error Conversation::authenticate(const AuthBody& body) {
  // Everybody has an address already.
  if (body.scheme == "ip") return Error::kOk;
  if (body.scheme != "digest" || !body.auth) {
    hub_.count_auth_failure();
    return Error::kAuthFailed;
  }
  auto ids = std::make_shared<std::vector<server::AuthId>>(*identity_.client);
  const auto add = [&](server::AuthId id) {
    if (std::find(ids->begin(), ids->end(), id) == ids->end()) ids->push_back(std::move(id));
  };
  if (server::is_super_digest(hub_.settings().super_digest, *body.auth)) add({"super", ""});
  add({"digest", server::digest_id(*body.auth)});
  if (bytes_of(*ids) > limits::kIdentityBytesMax) {
    hub_.count_auth_failure();
    return Error::kAuthFailed;
  }
  identity_.client = std::move(ids);
  return Error::kOk;
}

void Conversation::fail(const RequestHeader& header, Error error) {
  const auto sequence = expect(header, Pending::Stage::kWaiting);
  // Its number is no operation: nothing that follows can be understood.
  const auto op = static_cast<OpCode>(header.type);
  if (error == Error::kUnimplemented && !is_write(op) && op != OpCode::kReconfig)
    state_ = State::kClosing;
  answer(sequence, op == OpCode::kAuth ? Zxid{} : hub_.tree().last_applied(),
         [error](std::string& out, ReplyTo to) { write_header_only(out, to, error); });
}

// --- replies ---

std::uint64_t Conversation::expect(const RequestHeader& header,
                                   Pending::Stage stage,
                                   std::string bytes) {
  if (head_ == queue_.size()) {
    queue_.clear();
    head_ = 0;
  }
  Pending& pending = queue_.emplace_back();
  pending.stage = stage;
  pending.xid = header.xid;
  pending.op = static_cast<OpCode>(header.type);
  pending.arrived = hub_.now().monotonic;
  pending.bytes = std::move(bytes);
  hub_.count_outstanding(1);
  return first_sequence_ + queued() - 1;
}

Conversation::Pending* Conversation::find(std::uint64_t sequence) {
  if (sequence < first_sequence_ || sequence - first_sequence_ >= queued()) return nullptr;
  return &queue_[head_ + (sequence - first_sequence_)];
}

template <typename Write>
void Conversation::answer(std::uint64_t sequence, Zxid zxid, Write&& write) {
  Pending* pending = find(sequence);
  if (pending == nullptr) return;
  pending->ticket = 0;
  pending->zxid = zxid;
  const ReplyTo to{.xid = pending->xid, .zxid = zxid};
  if (sequence != first_sequence_) {
    std::string reply;
    write(reply, to);
    pending->bytes = std::move(reply);
    pending->stage = Pending::Stage::kDone;
    return;
  }
  const std::size_t before = output_.size();
  write(output_, to);
  sent(before, zxid, pending->arrived);
  retire();
  advance();
}

// The one at head_ is answered, or about to be.
void Conversation::retire() {
  ++head_;
  ++first_sequence_;
  if (set_aside_ == 0) return hub_.count_outstanding(-1);
  --set_aside_;
}

// The client does not read, so what waits for that is its own affair, and must not make the hub
// take less from others. It is bounded: by this conversation's own limits.
void Conversation::set_aside() {
  hub_.count_outstanding(static_cast<std::int64_t>(set_aside_) -
                         static_cast<std::int64_t>(queued()));
  set_aside_ = queued();
}

void Conversation::advance() {
  while (queued() != 0 && queue_[head_].stage != Pending::Stage::kWaiting) {
    if (queue_[head_].stage == Pending::Stage::kUnstarted) {
      if (!is_read(queue_[head_].op)) {
        start_writes();
        break;
      }
      // Each may have a reply a thousand times its size: see drained(). But what is before a write
      // that is under way must be read before that is applied, which may be at once.
      if (output_.size() > limits::kClientOutputWantedMax && first_sequence_ >= submitted_end_) {
        set_aside();
        break;
      }
    }
    Pending pending = std::move(queue_[head_]);
    retire();
    if (pending.stage == Pending::Stage::kDone) {
      const std::size_t before = output_.size();
      // What was asked before it may have been answered with a later txn: zxids never go back.
      if (pending.zxid != Zxid{}) pending.zxid = std::max(pending.zxid, last_zxid_);
      output_ += pending.bytes;
      patch_reply_zxid(output_, before, pending.zxid);
      sent(before, pending.zxid, pending.arrived);
      continue;
    }
    --unstarted_reads_;
    unstarted_bytes_ -= pending.bytes.size();
    const RequestHeader header{pending.xid, static_cast<std::int32_t>(pending.op)};
    read_now(header, pending.bytes, pending.identity, pending.arrived);
    if (state_ == State::kClosed) return;
  }
  // What has been answered goes when it is more than what waits.
  if (head_ > 64 && head_ > queue_.size() / 2) {
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
  if (queued() == 0 && state_ == State::kClosing) end();
}

void Conversation::drained() {
  event_bytes_ = 0;
  if (state_ != State::kClosed) advance();
}

void Conversation::decided(std::uint64_t sequence, const tree::Outcome& outcome) {
  if (closes_connection(outcome.error) || outcome.error == Error::kSessionExpired) return end();
  const Pending* pending = find(sequence);
  if (pending == nullptr) return;
  answer(sequence, outcome.zxid,
         [&](std::string& out, ReplyTo to) { write_decided(*pending, to, outcome, out); });
}

void Conversation::write_decided(const Pending& pending,
                                 const ReplyTo& to,
                                 const tree::Outcome& outcome,
                                 std::string& out) const {
  const bool refused_whole = outcome.error != Error::kOk && outcome.operations.empty();
  if (pending.op == OpCode::kMulti && !refused_whole) return write_multi(pending, to, outcome, out);
  if (outcome.error != Error::kOk) return write_header_only(out, to, outcome.error);
  const tree::DataTree& tree = hub_.tree();
  switch (pending.op) {
    case OpCode::kCreate:
      return write_path(out, to, tree.path_of(outcome.ino));
    case OpCode::kCreate2:
    case OpCode::kCreateContainer:
    case OpCode::kCreateTtl:
      return write_path(out, to, tree.path_of(outcome.ino), tree.find(outcome.ino)->stat);
    case OpCode::kSetData:
    case OpCode::kSetAcl:
      return write_stat(out, to, tree.find(outcome.ino)->stat);
    default:
      return write_header_only(out, to);
  }
}

// The results stand in the order of the operations. A multi that failed has an error for each.
void Conversation::write_multi(const Pending& pending,
                               const ReplyTo& to,
                               const tree::Outcome& outcome,
                               std::string& out) const {
  jute::Reader record(pending.bytes);
  decode_header(record);
  const auto body = decode_body(OpCode::kMulti, record);
  ZKFS_CHECK(body.has_value(), "a multi that was decoded cannot be decoded");
  const auto& asked = std::get<MultiBody>(*body);
  const auto other = refused_with(asked, {.extended_types = hub_.settings().extended_types});
  MultiReply reply(out, to);
  for (std::size_t i = 0; i < outcome.operations.size(); ++i) {
    const tree::Outcome& result = outcome.operations[i];
    if (outcome.error != Error::kOk) {
      const bool replaced = other && other->index == i && result.error == Error::kBadArguments;
      reply.failed(replaced ? other->error : result.error);
    } else if (const auto* create = std::get_if<CreateBody>(&asked.operations[i])) {
      const auto parent = create->path.substr(0, create->path.rfind('/') + 1);
      reply.created(create->op, std::string(parent) + result.name,
                    result.stat.value_or(tree::Stat{}));
    } else if (std::holds_alternative<SetDataBody>(asked.operations[i])) {
      reply.set(result.stat.value_or(tree::Stat{}));
    } else {
      const bool deleted = std::holds_alternative<DeleteBody>(asked.operations[i]);
      reply.succeeded(deleted ? OpCode::kDelete : OpCode::kCheck);
    }
  }
  reply.end();
}

void Conversation::sent(std::size_t before, Zxid zxid, Instant arrived) {
  last_zxid_ = std::max(last_zxid_, zxid);
  hub_.count_sent(output_.size() - before);
  ++view_.sent;
  view_.last_zxid = static_cast<std::int64_t>(zxid.value);
  view_.last_response = hub_.coarse_now().wall;
  // What was answered at once took no time that a millisecond could measure.
  const auto ms =
      arrived == Instant{}
          ? 0
          : static_cast<std::uint64_t>(
                std::chrono::duration_cast<Millis>(hub_.now().monotonic - arrived).count());
  view_.last_latency_ms = ms;
  view_.latency.add(ms);
  hub_.count_latency(ms);
  transport_.wake();
}

void Conversation::event(server::EventType type, std::string_view path, Zxid zxid) {
  // Its watches go with it, later: an event after the end is of another connection's time.
  if (state_ == State::kClosed) return;
  const std::size_t before = output_.size();
  write_event(output_, type, path, zxid);
  event_bytes_ += output_.size() - before;
  hub_.count_sent(output_.size() - before);
  ++view_.sent;
  transport_.wake();
}

ConnectionView Conversation::view() const {
  ConnectionView view = view_;
  view.session = session_;
  view.is_local_session = local_;
  view.outstanding = queued();
  view.last_operation = last_op_ == OpCode::kNotification ? "NA" : last_operation_code(last_op_);
  view.watches = hub_.watches().count_of(id_);
  return view;
}

void Conversation::reset_counts() {
  view_.received = 0;
  view_.sent = 0;
  view_.latency = {};
}

}  // namespace zkfs::client_port
