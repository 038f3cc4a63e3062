// SPDX-License-Identifier: Apache-2.0
#include "mount/mount.h"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <utility>

#include <asio/post.hpp>
#include <fmt/core.h>

#include "ensemble/base/log.h"
#include "mount/control.h"
#include "mount/control_locks.h"
#include "mount/filesystem.h"
#include "mount/fuse_channel.h"
#include "mount/fuse_ops.h"
#include "mount/handover.pb.h"
#include "mount/inode_table.h"
#include "mount/locks.h"
#include "mount/metrics.h"
#include "mount/mount_point.h"
#include "mount/mount_session.h"
#include "mount/owner_sessions.h"
#include "mount/parking.h"
#include "mount/quorum_gate.h"
#include "mount/replay.h"

namespace zkfs::mount {

namespace {

// The kernel ends the whole connection, not the request, when one is unanswered for longer than
// this many seconds (fs.fuse.*_request_timeout, since 6.15; 0: it has no such limit). Then a wait
// for a lock must be shorter.
Millis longest_wait() {
  std::int64_t seconds = 0;
  for (const char* name : {"default_request_timeout", "max_request_timeout"}) {
    std::int64_t limit = 0;
    std::ifstream(fmt::format("/proc/sys/fs/fuse/{}", name)) >> limit;
    if (limit > 0 && (seconds == 0 || limit < seconds)) seconds = limit;
  }
  if (seconds == 0) return Millis{0};
  ZKFS_LOG_WARN(mount,
                "fs.fuse request timeout is {} s: whoever waits longer for a lock gets ETIMEDOUT; "
                "set fs.fuse.default_request_timeout and max_request_timeout to 0",
                seconds);
  return Millis{seconds * 700};
}

}  // namespace

// Members in the order of dependence; destroyed the other way round.
struct Mount::State final : server::ChangeSubscriber {
  State(asio::io_context& io,
        server::Door& d,
        MountOptions o,
        ControlFiles files,
        std::unique_ptr<EventHelper> h,
        std::function<Instant()> now)
      : context(io),
        door(d),
        options(std::move(o)),
        helper(std::move(h)),
        control(door, complete(std::move(files))),
        parking(context, now),
        gate(door, parking, options, now),
        session(door, options.session_timeout_ms, owner_text()),
        owners(context, door, options.session_timeout_ms),
        locks(door, session, parking, gate, now, longest_wait()),
        replay(context,
               door,
               inodes,
               helper.get(),
               [this](SessionId id) { return session.id() == id || owners.own(id); }),
        filesystem({context, door, session, owners, locks, parking, gate, inodes, replay, control,
                    options, now}),
        user{filesystem, replay, inodes, metrics},
        point(context) {
    session.measure(std::move(now), metrics.commits);
  }

  // The program's files and what the mount has to add to them.
  ControlFiles complete(ControlFiles files) {
    files.metrics = [this, program = std::move(files.metrics)] {
      return (program ? program() : std::string()) + metrics_text();
    };
    files.config = [this, program = std::move(files.config)] {
      return (program ? program() : std::string()) + mount_options_text(options);
    };
    return files;
  }

  std::string metrics_text() const;

  std::string owner_text() const {
    return fmt::format("node {} mount {}", door.status().self, options.mountpoint);
  }

  void applied(const server::AppliedTxn& txn) override {
    if (!serving) return;
    filesystem.applied(txn);
    locks.applied(txn);
    replay.applied(txn);
  }

  void replaced(const tree::DataTree& before, const tree::DataTree& after) override {
    if (!serving) return;
    filesystem.find_root(after);
    replay.replaced(before, after);
  }

  void quorum_changed(bool in_quorum) override {
    if (!serving) return;
    if (in_quorum) locks.quorum_found();
    filesystem.quorum_changed(in_quorum);
  }

  void subscribe() {
    filesystem.find_root(door.tree());
    if (options.root != "/" && !door.tree().find_path(options.root)) {
      ZKFS_LOG_WARN(mount, "root={}: there is no such znode yet; {} is empty until it is made",
                    options.root, options.mountpoint);
    }
    serving = true;
    door.subscribe(this);
    session.on_lost([this](SessionId lost) {
      filesystem.session_lost(lost);
      locks.session_lost(lost);
    });
  }

  void serve(std::function<void()> when_unmounted) {
    unmounted = std::move(when_unmounted);
    channel->serve();
    point.watch([this] { ended(); });
    if (helper) helper->attach(options.mountpoint);
    replay.start();
  }

  void ended() {
    if (!serving || !unmounted) return;
    asio::post(context, [call = std::exchange(unmounted, nullptr)] { call(); });
  }

  asio::io_context& context;
  server::Door& door;
  MountOptions options;
  std::unique_ptr<EventHelper> helper;
  InodeTable inodes;
  MountMetrics metrics;
  Control control;
  Parking parking;
  QuorumGate gate;
  MountSession session;
  OwnerSessions owners;
  Locks locks;
  Replay replay;
  Filesystem filesystem;
  FuseUser user;
  MountPoint point;
  std::unique_ptr<FuseChannel> channel;
  std::function<void()> unmounted;
  bool serving = false;
};

std::string Mount::State::metrics_text() const {
  const std::string label = MetricsText::label("mountpoint", options.mountpoint);
  MetricsText text;
  text.family("zkfs_fuse_requests_total", "counter", "Requests of the kernel, by operation.");
  for (std::size_t i = 0; i < kFuseOperations; ++i) {
    const std::string operation =
        MetricsText::label("operation", name_of(static_cast<FuseOperation>(i)));
    text.sample("zkfs_fuse_requests_total", label + ',' + operation, metrics.requests.at(i));
  }
  text.one("zkfs_parked_requests", "gauge", "Requests that wait for an answer.", label,
           std::uint64_t{parking.size()});
  text.one("zkfs_kernel_nodes", "gauge", "Files and directories that the kernel holds.", label,
           std::uint64_t{inodes.size()});
  text.histogram("zkfs_commit_seconds", "Requests to the ensemble, from submit to outcome.", label,
                 metrics.commits);
  const ReplayCounters& replayed = replay.counters();
  text.family("zkfs_replay_events_total", "counter",
              "Changes made elsewhere, on their way to local watchers.");
  const std::pair<const char*, std::uint64_t> counters[] = {
      {"queued", replayed.queued},         {"done", replayed.done},
      {"skipped", replayed.skipped},       {"merged", replayed.merged},
      {"overflowed", replayed.overflowed}, {"failed", replayed.failed}};
  for (const auto& [result, count] : counters) {
    text.sample("zkfs_replay_events_total", label + ',' + MetricsText::label("result", result),
                count);
  }
  text.one("zkfs_replay_prunes_total", "counter",
           "Times the kernel was made to forget what nobody uses.", label, replayed.prunes);
  const LockCounts all_locks = count_locks(door.tree());
  text.family("zkfs_locks", "gauge", "Advisory locks of the ensemble.");
  text.sample("zkfs_locks", MetricsText::label("state", "held"), all_locks.held);
  text.sample("zkfs_locks", MetricsText::label("state", "waiting"), all_locks.waiting);
  text.one("zkfs_replay_workers", "gauge", "Processes that replay events.", label,
           std::uint64_t{helper ? helper->living_count() : 0});
  return text.take();
}

Mount::Mount(asio::io_context& context,
             server::Door& door,
             MountOptions options,
             ControlFiles control,
             std::unique_ptr<EventHelper> helper,
             std::function<Instant()> now)
    : state_(std::make_unique<State>(context,
                                     door,
                                     std::move(options),
                                     std::move(control),
                                     std::move(helper),
                                     std::move(now))) {}

Mount::~Mount() {
  stop();
}

Expected<void> Mount::start(std::function<void()> unmounted) {
  State& s = *state_;
  const auto fd = s.point.mount(s.options);
  if (!fd) return std::unexpected(fd.error());
  auto channel = FuseChannel::open(s.context, *fd, fuse_operations(), &s.user, [&s] { s.ended(); });
  if (!channel) {
    s.point.unmount();
    return std::unexpected(channel.error());
  }
  s.channel = std::move(*channel);
  if (const auto answered = s.channel->answer_init(); !answered) {
    s.point.unmount();
    s.channel.reset();
    return std::unexpected(answered.error());
  }
  s.subscribe();
  s.session.start();
  s.serve(std::move(unmounted));
  ZKFS_LOG_INFO(mount, "mounted at {}", s.options.mountpoint);
  return {};
}

void Mount::pause() {
  if (state_->serving) state_->channel->pause();
}

void Mount::go_on() {
  if (state_->serving) state_->channel->serve();
}

bool Mount::settled() {
  return state_->serving && state_->filesystem.settled();
}

Expected<void> Mount::hand_over(handover::Mount& out) {
  State& s = *state_;
  const auto fuse = s.channel->inheritable();
  if (!fuse) return std::unexpected(fuse.error());
  out.set_mountpoint(s.options.mountpoint);
  out.set_options(s.options.given);
  out.set_fuse(*fuse);
  out.set_init(s.channel->init());
  s.filesystem.save(out);
  s.replay.save(out);
  return {};
}

void Mount::drop_helper() {
  state_->replay.stop();
  state_->helper.reset();
}

Expected<void> Mount::resume(const handover::Mount& in, std::function<void()> unmounted) {
  State& s = *state_;
  ZKFS_TRY(s.point.take_over(s.options.mountpoint));
  ::fcntl(in.fuse(), F_SETFD, FD_CLOEXEC);
  auto channel =
      FuseChannel::open(s.context, in.fuse(), fuse_operations(), &s.user, [&s] { s.ended(); });
  if (!channel) return std::unexpected(channel.error());
  s.channel = std::move(*channel);
  s.subscribe();
  s.filesystem.restore(in);
  ZKFS_TRY(s.channel->take_over(in.init()));
  s.serve(std::move(unmounted));
  s.replay.restore(in);
  ZKFS_LOG_INFO(mount, "took over {} files={} directories={} lock_waiters={}", s.options.mountpoint,
                in.files_size(), in.directories_size(), in.lock_waiters_size());
  return {};
}

void Mount::stop() {
  State& s = *state_;
  if (!std::exchange(s.serving, false)) return;
  s.door.unsubscribe(&s);
  s.replay.stop();
  if (s.helper) s.helper->detach();
  s.filesystem.stop();
  s.parking.stop();
  s.owners.stop();
  s.session.stop();
  s.point.unmount();
  // Closing the connection fails whatever the kernel still has for us.
  s.channel.reset();
  ZKFS_LOG_INFO(mount, "unmounted {}", s.options.mountpoint);
}

void Mount::tick() {
  state_->parking.tick();
  state_->locks.tick();
}

}  // namespace zkfs::mount
