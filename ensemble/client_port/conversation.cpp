// SPDX-License-Identifier: Apache-2.0
#include "ensemble/client_port/conversation.h"

#include <algorithm>
#include <utility>

#include "ensemble/base/limits.h"
#include "ensemble/base/secret.h"
#include "ensemble/client_port/client_codec.h"
#include "ensemble/client_port/hub.h"
#include "ensemble/client_port/reply_codec.h"

namespace zkfs::client_port {
namespace {

constexpr Millis kTouchInterval{100};

}  // namespace

Conversation::Conversation(Hub& hub, Transport& transport, std::string address, std::string remote)
    : hub_(hub), transport_(transport), address_(std::move(address)) {
  id_ = hub_.enter(*this);
  view_.remote = std::move(remote);
  view_.established = hub_.coarse_now().wall;
  // Whoever connects has at least its address.
  identity_.client = std::make_shared<const std::vector<server::AuthId>>(
      std::vector{server::AuthId{"ip", address_}});
}

Conversation::~Conversation() {
  close();
  hub_.leave(id_);
}

void Conversation::close() {
  if (state_ == State::kClosed) return;
  hub_.count_outstanding(-static_cast<std::int64_t>(queued() - set_aside_));
  set_aside_ = 0;
  for (std::size_t i = head_; i < queue_.size(); ++i) {
    if (queue_[i].ticket != 0) hub_.door().forget(queue_[i].ticket);
  }
  queue_.clear();
  head_ = 0;
  const bool upgrading = state_ == State::kUpgrading;
  state_ = State::kClosed;
  if (!session_) return;
  hub_.unbind(session_, *this);
  if (!local_ || upgrading) hub_.door().detach_session(session_);
}

void Conversation::end() {
  close();
  if (std::exchange(ending_, true)) return;
  transport_.end();
}

void Conversation::wake() {
  if (state_ != State::kClosed) transport_.wake();
}

bool Conversation::wants_frames() const {
  if (state_ != State::kConnecting && state_ != State::kServing) return false;
  if (!hub_.in_quorum() && state_ == State::kServing && !read_only_) return false;
  if (output_.size() > limits::kClientOutputWantedMax) return false;
  if (unstarted_bytes_ > limits::kClientUnstartedBytesMax) return false;
  return queued() == 0 || (queued() < hub_.settings().outstanding_max && !hub_.is_overloaded());
}

void Conversation::frame(ByteView payload) {
  hub_.count_received();
  ++view_.received;
  if (state_ == State::kConnecting) return connect(payload);
  request(payload);
}

// --- the session ---

void Conversation::connect(ByteView payload) {
  const auto asked = decode_connect(payload);
  if (!asked) return end();
  wants_read_only_byte_ = asked->read_only.has_value();
  const auto timeout_ms = hub_.door().negotiated(asked->timeout_ms);
  if (!hub_.in_quorum()) {
    if (!hub_.read_only() || !asked->read_only.value_or(false)) return end();
    read_only_ = true;
  }
  // It has seen what this server has not got yet: it must look elsewhere, silently, or it would
  // take its session for lost.
  if (asked->last_zxid_seen > hub_.tree().last_applied()) return end();
  const SessionId session = asked->session;
  if (session) {
    auto* local = hub_.local_session(session);
    if (local == nullptr && !read_only_) return attach(session, timeout_ms, asked->password);
    // The ensemble may have it: to say that it has ended would be a lie.
    if (local == nullptr && read_only_) return end();
    if (!same_secret(local->password, asked->password)) return refuse();
    if (Conversation* other = hub_.conversation_of(session)) other->end();
    return begin_local(session, timeout_ms, local->password);
  }
  if (!read_only_ && !hub_.settings().local_sessions) return open_session(timeout_ms);
  std::string password = hub_.random_bytes(kPasswordBytes);
  const SessionId opened = hub_.open_local_session(timeout_ms, password);
  begin_local(opened, timeout_ms, password);
}

void Conversation::begin_local(SessionId session,
                               std::uint32_t timeout_ms,
                               const std::string& password) {
  session_ = session;
  local_ = true;
  hub_.bind(session_, *this);
  hub_.local_session(session)->timeout_ms = timeout_ms;
  established(timeout_ms, password);
}

void Conversation::open_session(std::uint32_t timeout_ms) {
  session_ = hub_.door().new_session_id();
  state_ = State::kOpening;
  hub_.bind(session_, *this);
  password_ = hub_.random_bytes(kPasswordBytes);
  hub_.door().open_client_session(
      {.id = session_,
       .timeout_ms = timeout_ms,
       .owner = "client " + view_.remote,
       .password = password_},
      [this, timeout_ms](const tree::Outcome& outcome) {
        if (outcome.error != Error::kOk) return end();
        established(timeout_ms, password_);
      },
      [this] { end(); });
}

void Conversation::attach(SessionId session, std::uint32_t timeout_ms, ByteView password) {
  const auto known = hub_.tree().find_session(session);
  // What is known to be wrong need not be asked about, nor may it disturb the rightful owner.
  if (known && (known->password.empty() || !same_secret(known->password, password)))
    return refuse();
  if (Conversation* other = hub_.conversation_of(session)) {
    // Who has it is waiting for the ensemble's word too. Whoever comes again will find it known.
    if (!known) return end();
    other->end();
  }
  // One of this server's own that the ensemble is only being told of.
  if (hub_.door().has_session(session)) return end();
  session_ = session;
  state_ = State::kOpening;
  hub_.bind(session_, *this);
  password_ = std::string(password);
  hub_.door().attach_session(
      session_, timeout_ms, password_,
      [this, timeout_ms](const tree::Outcome& outcome) {
        if (outcome.error == Error::kOk) return established(timeout_ms, password_);
        if (outcome.error != Error::kSessionExpired) return end();
        hub_.unbind(session_, *this);
        session_ = {};
        refuse();
      },
      [this] { end(); });
}

void Conversation::established(std::uint32_t timeout_ms, const std::string& password) {
  state_ = State::kServing;
  view_.session = session_;
  view_.session_timeout_ms = timeout_ms;
  touch();
  answer_connect(timeout_ms, session_, password);
}

// Clients read a timeout of 0 as the end of the session they asked for.
void Conversation::refuse() {
  answer_connect(0, SessionId{}, {});
  end();
}

void Conversation::answer_connect(std::uint32_t timeout_ms,
                                  SessionId session,
                                  const std::string& password) {
  const std::size_t before = output_.size();
  ConnectResponse response;
  response.timeout_ms = static_cast<std::int32_t>(timeout_ms);
  response.session = session;
  response.password = password;
  if (wants_read_only_byte_) response.read_only = read_only_;
  write_connect_response(output_, response);
  sent(before, Zxid{}, hub_.coarse_now().monotonic);
}

void Conversation::touch() {
  const Instant now = hub_.coarse_now().monotonic;
  if (now - touched_ < kTouchInterval && touched_ != Instant{}) return;
  touched_ = now;
  if (!local_) return hub_.door().touch(session_);
  if (auto* local = hub_.local_session(session_)) {
    local->deadline = now + Millis(local->timeout_ms);
  }
}

}  // namespace zkfs::client_port
