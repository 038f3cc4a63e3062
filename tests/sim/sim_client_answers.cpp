// SPDX-License-Identifier: Apache-2.0
// What a simulated client is told, judged.
#include <algorithm>
#include <utility>

#include "ensemble/base/error.h"
#include "ensemble/client_port/protocol.h"
#include "tests/sim/sim_client.h"

namespace zkfs::sim {
namespace {

using client_port::CreateFlags;
using server::EventType;
using wire::OpCode;

std::int32_t code(Error error) {
  return static_cast<std::int32_t>(error);
}

bool is_write(OpCode op) {
  return op == OpCode::kCreate || op == OpCode::kSetData || op == OpCode::kDelete;
}

bool is_read(OpCode op) {
  return op == OpCode::kGetData || op == OpCode::kExists || op == OpCode::kGetChildren;
}

std::string text(const ClientRequest& request) {
  return fmt::format("request {} (operation {}) of {} {}", request.xid,
                     static_cast<int>(request.op), request.path, request.mark);
}

Zxid next(Zxid zxid) {
  return Zxid{zxid.value + 1};
}

}  // namespace

// After a silence as long as the timeout the leader may be ending the session, while a server that
// has not heard of it still answers.
void SimClient::count_sign(Instant sent) {
  constexpr Millis kTold{500};      // from the server that hears of the client to the leader
  constexpr Millis kEnding{2'500};  // and back
  ClientSession& it = session();
  if (sent - it.last_sign > Millis(it.timeout_ms) - kTold) it.doubted = sent + kEnding;
  it.last_sign = std::max(it.last_sign, sent);
  if (sent >= it.doubted) it.last_answered = std::max(it.last_answered, sent);
}

void SimClient::reply(const wire::ReplyHeader& header, jute::Reader& reader) {
  if (connection().answered == connection().requests.size()) {
    violated(fmt::format("an answer {} to nothing", header.xid));
  }
  ++world_.answers;
  ClientRequest& request = connection().requests[connection().answered++];
  if (request.xid != header.xid) {
    violated(fmt::format("answer {} in place of that to {}", header.xid, text(request)));
  }
  request.answered = true;
  request.error = header.error;
  request.zxid = Zxid{static_cast<std::uint64_t>(header.zxid)};
  count_sign(request.sent);
  if (request.op == OpCode::kAuth) {
    if (header.error != 0) violated("auth was refused");
    return;
  }
  const Zxid zxid = request.zxid;
  const bool decided = is_write(request.op) || request.op == OpCode::kCloseSession;
  // A sync is no txn: one that was decided before the sync was answered carries the sync's zxid.
  const bool raised = decided && zxid == connection().synced;
  if (request.op != OpCode::kPing) session().last_zxid = zxid;
  judge_watches(zxid);
  if (decided) {
    if (zxid <= session().shown && !raised) {
      violated(fmt::format("{} was decided at {}, but {} was shown before", text(request), zxid,
                           session().shown));
    }
    session().last_decided = std::max(session().last_decided, request.sent);
    if (header.error == 0) world_.checkers.acknowledged(zxid);
  } else if (zxid < session().shown) {
    violated(
        fmt::format("{} was answered as of {}, after {}", text(request), zxid, session().shown));
  }
  if (request.op == OpCode::kSync) {
    if (zxid < request.acknowledged) {
      violated(fmt::format("sync was answered as of {}, but {} was acknowledged before", zxid,
                           request.acknowledged));
    }
    connection().synced = zxid;
    return;
  }
  if (!raised) session().shown = std::max(session().shown, zxid);
  if (connection().least_shown == Zxid{}) connection().least_shown = zxid;
  told(request, raised, reader);
}

// Its place is right: what does it say?
void SimClient::told(ClientRequest& request, bool raised, jute::Reader& reader) {
  if (request.op == OpCode::kCloseSession) {
    if (request.error != 0) violated("closeSession was refused");
    session().closed = request.zxid;
    has_session_ = false;
    lost_watches_.clear();
    lost_child_watch_ = false;
    data_watches_.clear();
    child_watch_.reset();
    return;
  }
  if (is_write(request.op)) {
    if (raised) {
      const auto effect = world_.history.effect(request.mark);
      if (request.error != 0 || !effect) return;
      request.zxid = *effect;
    }
    return judge_write(request, reader);
  }
  if (is_read(request.op)) return judge_read(request, reader);
  if (request.op == OpCode::kSetWatches) return judge_set_watches(request);
  if (request.op == OpCode::kAddWatch) {
    const auto& steps = world_.history.steps();
    const auto first = std::upper_bound(steps.begin(), steps.end(), request.zxid,
                                        [](Zxid z, const auto& step) { return z < step.zxid; });
    recursive_ = static_cast<std::size_t>(first - steps.begin());
  }
}

// --- reads and writes ---

bool SimClient::allows(const ClientHistory::State& state, bool authenticated) const {
  return state.user.empty() || (authenticated && state.user == user_);
}

std::int32_t SimClient::expected_of_read(const ClientRequest& request) const {
  const auto& state = world_.history.at(request.path, request.zxid);
  if (!state.exists) return code(Error::kNoNode);
  return code(allows(state, request.authenticated) ? Error::kOk : Error::kNoAuth);
}

std::int32_t SimClient::expected_of(const ClientRequest& request) const {
  const auto& history = world_.history;
  const auto& before = history.before(request.path, request.zxid);
  if (request.op == OpCode::kCreate) {
    if (request.only_owner && !request.authenticated) return code(Error::kInvalidAcl);
    const bool top =
        request.path == ClientHistory::kDirectory || request.path == ClientHistory::kQuota;
    const auto parent = request.path.substr(0, request.path.rfind('/'));
    if (!top && !history.before(parent, request.zxid).exists) return code(Error::kNoNode);
    const bool sequential = request.flags == CreateFlags::kEphemeralSequential;
    if (before.exists && !sequential) return code(Error::kNodeExists);
    const bool counts = parent == ClientHistory::kDirectory && world_.count_max != 0 &&
                        history.before(ClientHistory::kQuotaLimits, request.zxid).exists;
    const auto full = [&] {
      return history.children(Zxid{request.zxid.value - 1}).size() + 2 > world_.count_max;
    };
    return code(counts && full() ? Error::kQuotaExceeded : Error::kOk);
  }
  if (!before.exists) return code(Error::kNoNode);
  const bool set = request.op == OpCode::kSetData;
  if (set && !allows(before, request.authenticated)) return code(Error::kNoAuth);
  const bool version = request.version == -1 || request.version == before.version;
  return code(version ? Error::kOk : Error::kBadVersion);
}

void SimClient::judge_write(const ClientRequest& request, jute::Reader& reader) {
  const bool ok = request.error == 0;
  if (request.path == ClientHistory::kDirectory &&
      (ok || request.error == code(Error::kNodeExists)))
    directory_known_ = true;
  const Zxid zxid = request.zxid;
  if (!world_.history.known(Zxid{zxid.value - 1}, zxid)) return;
  ++world_.judged;
  if (const auto expected = expected_of(request); expected != request.error) {
    violated(fmt::format("{} was answered {} at {}, not {}", text(request), request.error, zxid,
                         expected));
  }
  if (!ok) return;
  std::string path = request.path;
  if (request.op == OpCode::kCreate) path = reader.read_text();
  const auto& state = world_.history.at(path, zxid);
  if (request.op == OpCode::kDelete) {
    if (state.exists) violated(text(request) + " was acknowledged, and it is there");
    return;
  }
  if (!state.exists || state.data != request.mark || state.mzxid != zxid) {
    violated(fmt::format("{} was acknowledged at {}, where {} has {} of {}", text(request), zxid,
                         path, state.data, state.mzxid));
  }
  const bool ephemeral = request.flags == CreateFlags::kEphemeral ||
                         request.flags == CreateFlags::kEphemeralSequential;
  if (ephemeral && state.owner != session().id) violated(path + " belongs to another session");
  if (request.op == OpCode::kSetData) {
    const auto stat = wire::read_stat(reader);
    if (stat.mzxid != zxid || stat.version != state.version) {
      violated(text(request) + " was answered with the Stat of another time");
    }
  }
}

void SimClient::judge_read(const ClientRequest& request, jute::Reader& reader) {
  register_watch(request);
  const Zxid zxid = request.zxid;
  const auto& history = world_.history;
  if (!history.known(Zxid{zxid.value - 1}, zxid)) return;
  ++world_.judged;
  if (const auto expected = expected_of_read(request); expected != request.error) {
    violated(fmt::format("{} was answered {} as of {}, not {}", text(request), request.error, zxid,
                         expected));
  }
  if (request.error != 0) return;
  if (request.op == OpCode::kGetChildren) {
    auto names = wire::read_names(reader);
    std::sort(names.begin(), names.end());
    if (names != history.children(zxid)) {
      violated(fmt::format("{} as of {} lists other children", text(request), zxid));
    }
    return;
  }
  const auto& state = history.at(request.path, zxid);
  if (request.op == OpCode::kGetData) {
    const std::string data(reader.read_buffer().value_or(ByteView{}));
    if (data != state.data) {
      violated(fmt::format("{} as of {} is {}, not {}", text(request), zxid, data, state.data));
    }
  }
  const auto stat = wire::read_stat(reader);
  // (The creation of the directory aside, nothing else changes what a Stat has of these.)
  if (stat.mzxid != state.mzxid || stat.version != state.version || stat.owner != state.owner) {
    violated(fmt::format("{} as of {} has the Stat of another time", text(request), zxid));
  }
}

// --- watches ---

void SimClient::register_watch(const ClientRequest& request) {
  const bool absent = request.op == OpCode::kExists && request.error == code(Error::kNoNode);
  if (!request.watch || (request.error != 0 && !absent)) return;
  if (request.op == OpCode::kGetChildren) {
    if (!child_watch_) child_watch_ = request.zxid;
    return;
  }
  data_watches_.try_emplace(request.path, Watch{request.zxid, absent});
}

bool SimClient::may_see(const ClientHistory::Step& step) const {
  if (!step.path.starts_with("/c")) return false;
  const auto& history = world_.history;
  const bool deleted = step.type == EventType::kDeleted;
  const auto& state =
      deleted ? history.before(step.path, step.zxid) : history.at(step.path, step.zxid);
  return allows(state, authenticated_);
}

void SimClient::skip_hidden() {
  const auto& steps = world_.history.steps();
  while (recursive_ && *recursive_ < steps.size() && !may_see(steps[*recursive_])) ++*recursive_;
}

// As of `zxid` it knows the world: every event up to there has been told.
void SimClient::judge_watches(Zxid zxid) const {
  const auto& history = world_.history;
  const auto judge = [&](std::string_view what, Zxid since, std::optional<Zxid> change) {
    if (!change || *change > zxid || !history.known(since, *change)) return;
    violated(fmt::format("an answer as of {} came before the event of {} for {} (watched at {})",
                         zxid, *change, what, since));
  };
  for (const auto& [path, watch] : data_watches_) {
    judge(path, watch.since, history.first_change(path, watch.since));
  }
  if (child_watch_) judge("the children", *child_watch_, history.first_child_change(*child_watch_));
  if (!recursive_ || !history.gaps().empty()) return;
  const auto& steps = history.steps();
  for (auto i = *recursive_; i < steps.size() && steps[i].zxid <= zxid; ++i) {
    if (may_see(steps[i])) {
      violated(fmt::format("an answer as of {} came before the event of {} for {} (recursive)",
                           zxid, steps[i].zxid, steps[i].path));
    }
  }
}

void SimClient::event(const wire::ReplyHeader& header, jute::Reader& reader) {
  const auto event = wire::read_event(reader);
  ++world_.events;
  if (header.zxid == -1) {
    catching_up_.emplace_back(event.type, event.path);
    return;
  }
  const Zxid zxid{static_cast<std::uint64_t>(header.zxid)};
  const auto type = static_cast<EventType>(event.type);
  const auto& history = world_.history;
  const bool gap = !history.gaps().empty();
  bool waited = false;
  if (type == EventType::kChildrenChanged) {
    if (child_watch_ && event.path == ClientHistory::kDirectory) {
      waited =
          !history.known(*child_watch_, zxid) || history.first_child_change(*child_watch_) == zxid;
      child_watch_.reset();
    }
  } else if (const auto watch = data_watches_.find(event.path); watch != data_watches_.end()) {
    const Zxid since = watch->second.since;
    waited = !history.known(since, zxid) || history.first_change(event.path, since) == zxid;
    data_watches_.erase(watch);
  }
  if (recursive_ && type != EventType::kChildrenChanged) {
    skip_hidden();
    const auto& steps = history.steps();
    if (*recursive_ < steps.size() && steps[*recursive_].zxid == zxid &&
        steps[*recursive_].path == event.path && steps[*recursive_].type == type) {
      waited = true;
      ++*recursive_;
    }
  }
  if (!waited && !gap) {
    violated(fmt::format("an event of type {} for {} at {} that was not to come", event.type,
                         event.path, zxid));
  }
}

void SimClient::judge_set_watches(const ClientRequest& request) {
  const auto& history = world_.history;
  const Zxid zxid = request.zxid;
  std::vector<std::pair<std::int32_t, std::string>> expected;
  const auto expect = [&](EventType type, const std::string& path) {
    expected.emplace_back(static_cast<std::int32_t>(type), path);
  };
  for (const auto& path : request.data) {
    const auto& state = history.at(path, zxid);
    if (!state.exists) {
      expect(EventType::kDeleted, path);
    } else if (state.mzxid > request.relative) {
      expect(EventType::kDataChanged, path);
    } else {
      data_watches_.try_emplace(path, Watch{zxid, false});
    }
  }
  for (const auto& path : request.exist) {
    if (history.at(path, zxid).exists) {
      expect(EventType::kCreated, path);
    } else {
      data_watches_.try_emplace(path, Watch{zxid, true});
    }
  }
  if (!request.child.empty()) {
    const auto change = history.first_child_change(request.relative);
    if (change && *change <= zxid) {
      expect(EventType::kChildrenChanged, "/c");
    } else {
      child_watch_ = zxid;
    }
  }
  lost_watches_.clear();
  lost_child_watch_ = false;
  const auto told = std::exchange(catching_up_, {});
  if (told != expected && history.known(request.relative, next(zxid))) {
    violated(fmt::format("setWatches of {} as of {} told {} events, not {}", request.relative, zxid,
                         told.size(), expected.size()));
  }
}

// --- afterwards ---

// The order of the log is that of the requests, over all connections of a session.
void SimClient::check_sessions() const {
  const auto& history = world_.history;
  for (const auto& session : sessions_) {
    Zxid newest;  // effect of a connection before
    for (const auto& connection : session.connections) {
      if (connection.least_shown != Zxid{} && newest >= connection.least_shown &&
          history.known(connection.least_shown, newest)) {
        violated(
            fmt::format("session {:#x}: a request of an older connection took effect at {}, "
                        "when a newer one had shown {}",
                        session.id, newest, connection.least_shown));
      }
      Zxid last = newest;
      const ClientRequest* without = nullptr;
      for (const auto& request : connection.requests) {
        if (request.mark.empty()) continue;
        const auto effect = history.effect(request.mark);
        if (request.answered && request.error != 0 && effect) {
          violated(text(request) + " was refused, and took effect");
        }
        if (request.answered && request.error == 0 && request.op != OpCode::kDelete && !effect &&
            history.gaps().empty()) {
          violated(text(request) + " was acknowledged, and never took effect");
        }
        if (!effect) {
          if (request.certain && !request.answered && without == nullptr) without = &request;
          continue;
        }
        if (without != nullptr && history.gaps().empty()) {
          violated(fmt::format("{} took effect, and {} before it did not", text(request),
                               text(*without)));
        }
        if (*effect <= last && history.known(*effect, last)) {
          violated(fmt::format("{} took effect at {}, what was asked before at {}", text(request),
                               *effect, last));
        }
        if (session.closed && *effect > *session.closed) {
          violated(text(request) + " took effect after its session was closed");
        }
        last = *effect;
      }
      newest = std::max(newest, last);
    }
  }
}

}  // namespace zkfs::sim
