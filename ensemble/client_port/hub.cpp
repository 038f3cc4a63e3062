// SPDX-License-Identifier: Apache-2.0
#include "ensemble/client_port/hub.h"

#include <algorithm>
#include <utility>

#include "ensemble/base/log.h"
#include "ensemble/client_port/conversation.h"
#include "ensemble/server/acl_check.h"
#include "ensemble/server/watch_events.h"

namespace zkfs::client_port {
namespace {

// An election takes milliseconds; a client that waits longer should ask another server.
constexpr Millis kQuorumGrace{1'000};
// As long as ZooKeeper's: an election that is only slow should not show clients an old world.
constexpr Millis kReadOnlyAfterMin{2'000};
constexpr Millis kSweepInterval{100};
// Watches of connections that have ended, as many as a few milliseconds take.
constexpr std::size_t kDroppedAtOnce = 1'000;
constexpr std::size_t kDroppedPerTick = 5'000;
constexpr Millis kComplaintInterval{1'000};

}  // namespace

Hub::Hub(server::ClientDoor& door,
         Settings settings,
         std::function<Now()> now,
         std::function<std::string(std::size_t)> random_bytes)
    : door_(door),
      settings_(std::move(settings)),
      now_(std::move(now)),
      random_bytes_(std::move(random_bytes)),
      coarse_now_(now_()) {
  door_.subscribe(this);
}

Hub::~Hub() {
  door_.unsubscribe(this);
}

void Hub::tick() {
  coarse_now_ = now_();
  drop_departed(kDroppedPerTick);
  if (coarse_now_.monotonic < next_sweep_) return;
  next_sweep_ = coarse_now_.monotonic + kSweepInterval;
  update_read_only();
  expire_local_sessions();
  keep_gateway();
}

// --- conversations ---

server::WatcherId Hub::enter(Conversation& conversation) {
  if (free_ids_.empty()) {
    conversations_.push_back(nullptr);
    free_ids_.push_back(static_cast<server::WatcherId>(conversations_.size() - 1));
  }
  const auto id = free_ids_.back();
  free_ids_.pop_back();
  conversations_[id] = &conversation;
  ++port_.connections;
  return id;
}

// Its number is nobody's until the last of its watches is gone, which takes a while if there were
// many: thousands of connections may end in one moment.
void Hub::leave(server::WatcherId id) {
  conversations_[id] = nullptr;
  departed_.push_back(id);
  --port_.connections;
  if (departed_.size() == 1) drop_departed(kDroppedAtOnce);
}

void Hub::drop_departed(std::size_t watches_max) {
  while (!departed_.empty() && watches_max != 0) {
    const auto id = departed_.front();
    const std::size_t before = watches_.count_of(id);
    const bool gone = watches_.drop(id, watches_max);
    watches_max -= std::min(watches_max, std::max<std::size_t>(before - watches_.count_of(id), 1));
    if (!gone) return;
    departed_.pop_front();
    free_ids_.push_back(id);
  }
}

Conversation* Hub::conversation_of(SessionId session) const {
  const auto it = by_session_.find(session);
  return it == by_session_.end() ? nullptr : it->second;
}

void Hub::bind(SessionId session, Conversation& conversation) {
  by_session_[session] = &conversation;
}

void Hub::unbind(SessionId session, const Conversation& conversation) {
  const auto it = by_session_.find(session);
  if (it != by_session_.end() && it->second == &conversation) by_session_.erase(it);
}

void Hub::end_all(std::string_view why) {
  std::size_t ended = 0;
  for (Conversation* conversation : conversations_) {
    if (conversation == nullptr) continue;
    conversation->end();
    ++ended;
  }
  if (ended != 0) ZKFS_LOG_INFO(client_port, "{} clients are sent away: {}", ended, why);
}

void Hub::wake_all() {
  for (Conversation* conversation : conversations_) {
    if (conversation != nullptr) conversation->wake();
  }
}

// --- sessions known to this server alone ---

Hub::LocalSession* Hub::local_session(SessionId id) {
  const auto it = local_sessions_.find(id);
  return it == local_sessions_.end() ? nullptr : &it->second;
}

SessionId Hub::open_local_session(std::uint32_t timeout_ms, std::string password) {
  const SessionId id = door_.new_session_id();
  local_sessions_[id] = {.timeout_ms = timeout_ms,
                         .password = std::move(password),
                         .deadline = coarse_now_.monotonic + Millis(timeout_ms)};
  return id;
}

void Hub::close_local_session(SessionId id) {
  local_sessions_.erase(id);
}

void Hub::expire_local_sessions() {
  for (auto it = local_sessions_.begin(); it != local_sessions_.end();) {
    if (it->second.deadline > coarse_now_.monotonic) {
      ++it;
      continue;
    }
    const SessionId id = it->first;
    it = local_sessions_.erase(it);
    if (Conversation* conversation = conversation_of(id)) conversation->end();
  }
}

// What local sessions write is asked in the name of one session of this server's. It is opened when
// there is a quorum, and kept.
void Hub::keep_gateway() {
  if (!settings_.local_sessions || !in_quorum()) return;
  if (gateway_open_) return door_.touch(gateway_);
  gateway_ = door_.new_session_id();
  gateway_open_ = true;
  door_.open_client_session(
      {.id = gateway_,
       .timeout_ms = door_.negotiated(INT32_MAX),
       .owner = fmt::format("local sessions of server {}", settings_.self),
       .password = {}},
      [](const tree::Outcome&) {},
      [this] {
        gateway_open_ = false;
        // Their requests under way are lost.
        for (Conversation* conversation : conversations_) {
          if (conversation != nullptr && conversation->is_local()) conversation->end();
        }
      });
}

SessionId Hub::gateway() {
  if (!gateway_open_) keep_gateway();
  return gateway_;
}

// --- limits and counts ---

void Hub::count_outstanding(std::int64_t change) {
  outstanding_ = static_cast<std::size_t>(static_cast<std::int64_t>(outstanding_) + change);
  if (is_overloaded()) {
    throttled_ = true;
  } else if (throttled_ && outstanding_ <= settings_.outstanding_max / 2) {
    throttled_ = false;
    wake_all();
  }
}

void Hub::count_sent(std::size_t bytes) {
  ++port_.sent;
  port_.last_response_bytes = bytes;
  port_.max_response_bytes = std::max<std::uint64_t>(port_.max_response_bytes, bytes);
  if (port_.min_response_bytes == 0 || bytes < port_.min_response_bytes) {
    port_.min_response_bytes = bytes;
  }
}

void Hub::refused_frame(const Conversation& conversation, std::int64_t length) {
  cut_off(conversation, fmt::format("it sent a frame of {} bytes (jute.maxbuffer is {})", length,
                                    settings_.frame_bytes_max));
}

void Hub::cut_off(const Conversation& conversation, std::string_view why) {
  if (coarse_now_.monotonic < next_complaint_) return;
  next_complaint_ = coarse_now_.monotonic + kComplaintInterval;
  ZKFS_LOG_WARN(client_port, "client {} is cut off: {} session={:#x}", conversation.remote(), why,
                conversation.session());
}

// --- for administrators ---

PortView Hub::view() const {
  PortView view = port_;
  view.outstanding = outstanding_;
  view.local_sessions = local_sessions_.size();
  view.read_only = read_only_;
  return view;
}

std::vector<ConnectionView> Hub::connections() const {
  std::vector<ConnectionView> result;
  for (const Conversation* conversation : conversations_) {
    if (conversation != nullptr) result.push_back(conversation->view());
  }
  return result;
}

void Hub::reset_counts() {
  const PortView before = std::exchange(port_, {});
  port_.connections = before.connections;
}

void Hub::reset_connections() {
  for (Conversation* conversation : conversations_) {
    if (conversation != nullptr) conversation->reset_counts();
  }
}

std::string Hub::remote_of(server::WatcherId id) const {
  return id < conversations_.size() && conversations_[id] != nullptr ? conversations_[id]->remote()
                                                                     : std::string();
}

SessionId Hub::session_of(server::WatcherId id) const {
  return id < conversations_.size() && conversations_[id] != nullptr ? conversations_[id]->session()
                                                                     : SessionId{};
}

// --- what happens in the ensemble ---

void Hub::applied(const server::AppliedTxn& txn) {
  if (watches_.empty()) return;
  applying_ = txn.zxid;
  server::watch_events(txn.changes, tree(), watches_, *this);
}

void Hub::event(const server::WatchEvent& event) {
  watches_.fire(event.type, event.path, told_);
  for (const server::WatcherId id : told_) {
    if (conversations_[id] == nullptr) continue;  // it has left
    Conversation& conversation = *conversations_[id];
    // Who may not read hears nothing, and the watch is gone all the same (reference 4.6).
    if (event.acl != nullptr && !settings_.skip_acl &&
        !server::acl_allows(*event.acl, conversation.identity(), tree::Permissions::kRead)) {
      continue;
    }
    conversation.event(event.type, event.path, applying_);
  }
}

void Hub::overflow(server::WatcherId watcher) {
  if (conversations_[watcher] == nullptr) return;
  cut_off(*conversations_[watcher],
          "a directory moved with more than its recursive watch can tell");
  conversations_[watcher]->end();
}

void Hub::replaced(const tree::DataTree& /*before*/, const tree::DataTree& /*after*/) {
  end_all("the tree was replaced by the leader's snapshot");
}

void Hub::quorum_changed(bool in_quorum) {
  if (!in_quorum) return;
  without_quorum_ = false;
  if (std::exchange(read_only_, false)) {
    // They asked for less than there is now: they come again.
    end_all("there is a quorum again");
    // And are told that their sessions were of that time only.
    if (!settings_.local_sessions) local_sessions_.clear();
  }
  wake_all();
}

void Hub::update_read_only() {
  const auto lost = door_.quorum_lost_since();
  if (in_quorum() || !lost) return;
  const Instant since = coarse_now_.monotonic - *lost;
  if (since >= kQuorumGrace && !std::exchange(without_quorum_, true)) {
    end_all("this server is in no quorum");
  }
  if (!settings_.read_only_enabled || read_only_) return;
  if (since < std::max(kReadOnlyAfterMin, settings_.tick_time)) return;
  read_only_ = true;
  ZKFS_LOG_INFO(client_port, "serving read-only clients, for want of a quorum");
}

}  // namespace zkfs::client_port
