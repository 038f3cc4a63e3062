// SPDX-License-Identifier: Apache-2.0
#include "mount/parking.h"

#include <cerrno>

#include <asio/post.hpp>

#include "mount/task_state.h"

namespace zkfs::mount {

namespace {

// How often callers are looked at again: a signal that did no harm when it came may be followed by
// a deadly one, of which the kernel says nothing (it interrupts a request once).
constexpr Millis kLookAgain{100};
// A caller whose pid we cannot see (another pid namespace) gets EINTR this long after a signal.
constexpr Millis kUnseenCallerGrace{2000};
// A commit that takes this long may have a caller that is exiting.
constexpr Millis kExitGrace{200};

}  // namespace

Parking::Parking(asio::io_context& context, std::function<Instant()> now)
    : context_(context), now_(std::move(now)) {}

Parking::~Parking() {
  *alive_ = false;
  stop();
}

Parking::Id Parking::park(Reply reply, Abandoned abandoned, Terms terms) {
  const Id id = ++last_;
  if (stopped_) {
    reply.error(ENOTCONN);
    if (abandoned) abandoned(Why::kStopped);
    return id;
  }
  Parked& parked = parked_[id];
  parked.abandoned = std::move(abandoned);
  parked.terms = std::move(terms);
  parked.since = now_();
  parked.reply = std::move(reply);
  parked.reply.on_interrupt([this, id] { interrupted(id); });
  return id;
}

void Parking::limit(Id id, Instant deadline, int error) {
  const auto it = parked_.find(id);
  if (it == parked_.end()) return;
  it->second.terms.deadline = deadline;
  it->second.terms.deadline_error = error;
}

Reply Parking::take(Id id) {
  const auto it = parked_.find(id);
  if (it == parked_.end()) return {};
  Reply reply = std::move(it->second.reply);
  parked_.erase(it);
  return reply;
}

// libfuse must not see the request answered from within this call, so the look is posted.
void Parking::interrupted(Id id) {
  interrupted_.push_back(id);
  if (look_posted_) return;
  look_posted_ = true;
  asio::post(context_, [this, alive = alive_] {
    if (*alive) look_at_interrupted();
  });
}

void Parking::look_at_interrupted() {
  look_posted_ = false;
  const Instant now = now_();
  for (const Id id : std::exchange(interrupted_, {})) {
    const auto it = parked_.find(id);
    if (it == parked_.end()) continue;
    it->second.interrupted = now;
    if (doomed(it->second, now)) {
      abandon(id, EINTR, Why::kSignal);
    } else if (it->second.terms.on_signal && !it->second.terms.on_signal()) {
      abandon(id, EINTR, Why::kSignal);
    }
  }
}

bool Parking::doomed(const Parked& parked, Instant now) const {
  const auto state = read_task_state(parked.reply.pid());
  if (state) return state->fatal_pending || (parked.terms.may_exit && state->exiting);
  return parked.interrupted && now - *parked.interrupted > kUnseenCallerGrace;
}

void Parking::abandon(Id id, int error, Why why) {
  const auto it = parked_.find(id);
  if (it == parked_.end()) return;
  Parked parked = std::move(it->second);
  parked_.erase(it);
  parked.reply.error(error);
  if (parked.abandoned) parked.abandoned(why);
}

void Parking::tick() {
  if (parked_.empty()) return;
  const Instant now = now_();
  const bool look = now - looked_ >= kLookAgain;
  if (look) looked_ = now;
  std::vector<Id> late;
  std::vector<Id> dying;
  for (const auto& [id, parked] : parked_) {
    if (parked.terms.deadline && now >= *parked.terms.deadline) {
      late.push_back(id);
    } else if (look &&
               (parked.interrupted || (parked.terms.may_exit && now - parked.since > kExitGrace)) &&
               doomed(parked, now)) {
      dying.push_back(id);
    }
  }
  for (const Id id : late) {
    const auto it = parked_.find(id);
    if (it != parked_.end()) abandon(id, it->second.terms.deadline_error, Why::kDeadline);
  }
  for (const Id id : dying) abandon(id, EINTR, Why::kSignal);
}

void Parking::stop() {
  stopped_ = true;
  std::vector<Id> all;
  for (const auto& [id, parked] : parked_) all.push_back(id);
  for (const Id id : all) abandon(id, ENOTCONN, Why::kStopped);
}

}  // namespace zkfs::mount
