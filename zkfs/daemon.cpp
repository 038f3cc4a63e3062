// SPDX-License-Identifier: Apache-2.0
#include "zkfs/daemon.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <fmt/format.h>

#include "ensemble/base/log.h"
#include "ensemble/client_port/client_port.h"
#include "ensemble/peer/peer_network.h"
#include "ensemble/server/member.h"
#include "ensemble/storage/disk_thread.h"
#include "ensemble/storage/posix_disk.h"
#include "ensemble/storage/store.h"
#include "mount/handover.pb.h"
#include "mount/mount.h"
#include "zkfs/administration.h"
#include "zkfs/config.h"
#include "zkfs/control_socket.h"
#include "zkfs/metered_storage.h"
#include "zkfs/mounts.h"
#include "zkfs/service_manager.h"
#include "zkfs/status_text.h"
#include "zkfs/upgrade.h"

namespace zkfs {
namespace {

constexpr Millis kTickInterval{10};
// A turn of the loop this long delays heartbeats and every caller.
constexpr Millis kLateTick{250};
constexpr Millis kLateTickQuiet{10'000};
// What the close of the mount's session may take when stopping.
constexpr Millis kSessionCloseWait{500};
// Without a quorum the mounts show the last known state, which may lack what was acknowledged last.
// So whoever waits for the start is told once there is one; but not later than this, for then the
// last known state is what there is.
constexpr Millis kReadyWait{3'000};
// How often the service manager hears of a change of state.
constexpr Millis kStatusInterval{500};
// Longer, and the requests of users wait for nothing.
constexpr Millis kUpgradeWait{5'000};

std::unexpected<Problem> problem(std::string text) {
  return std::unexpected(Problem{std::move(text)});
}

Instant monotonic_now() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

Now now() {
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  return {.monotonic = monotonic_now(), .wall = std::chrono::duration_cast<Millis>(wall).count()};
}

sigset_t our_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR2}) sigaddset(&set, number);
  return set;
}

void prepare_process() {
  signal(SIGPIPE, SIG_IGN);
  // From here to the first turn of the loop a stop waits; the helper's workers inherit the mask, so
  // that a Ctrl-C of the terminal reaches the daemon alone, which ends them in its own order.
  const sigset_t set = our_signals();
  sigprocmask(SIG_BLOCK, &set, nullptr);
  // A core file could land on our own mount, and would hold everybody's data.
  const rlimit none{.rlim_cur = 0, .rlim_max = 0};
  setrlimit(RLIMIT_CORE, &none);
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
}

// Symbolic links resolved, where that can be done.
std::string resolved(const std::string& path) {
  std::error_code failed;
  const std::string text = std::filesystem::weakly_canonical(path, failed).string();
  return text.empty() ? path : text;
}

server::MemberConfig member_config(const Config& config) {
  server::MemberConfig member;
  member.zab.self = config.self;
  for (const ServerLine& line : config.servers)
    (line.observer ? member.zab.observers : member.zab.voters).push_back(line.id);
  if (config.servers.empty()) member.zab.voters.push_back(config.self);
  member.zab.heartbeat_interval = config.heartbeat_interval;
  member.zab.heartbeat_timeout = config.heartbeat_timeout;
  member.zab.sync_timeout = config.tick_time * config.init_limit;
  member.reap_interval = config.reap_interval;
  member.servers_text = servers_text(config);
  member.snap_count = config.snap_count;
  member.snap_bytes = config.snap_bytes;
  member.session_timeout_min_ms = config.session_timeout_min_ms;
  member.session_timeout_max_ms = config.session_timeout_max_ms;
  member.enforce_quota = config.enforce_quota;
  member.skip_acl = config.skip_acl;
  // A session is reported several times before it could expire.
  member.touch_interval =
      std::min(member.touch_interval, Millis(config.session_timeout_min_ms / 4 + 1));
  member.seed = (std::uint64_t{std::random_device{}()} << 32U) ^ std::random_device{}();
  return member;
}

client_port::Settings client_port_settings(const Config& config) {
  return {.self = config.self,
          .standalone = config.servers.empty(),
          .address = config.client_address,
          .port = config.client_port,
          .connections_per_address_max = config.client_connections_max,
          .connections_max = config.connections_max,
          .frame_bytes_max = config.frame_bytes_max,
          .outstanding_max = config.outstanding_max,
          .tick_time = config.tick_time,
          .read_only_enabled = config.read_only_mode,
          .local_sessions = config.local_sessions,
          .local_sessions_upgrading = config.local_sessions_upgrading,
          .extended_types = config.extended_types,
          .skip_acl = config.skip_acl,
          .super_digest = config.super_digest};
}

std::vector<peer::PeerAddress> peer_addresses(const Config& config) {
  std::vector<peer::PeerAddress> all;
  for (const ServerLine& line : config.servers)
    all.push_back({.id = line.id, .host = line.host, .port = line.peer_port});
  if (all.empty()) all.push_back({.id = config.self, .host = "", .port = 0});
  return all;
}

int fail(const std::string& text, int exit_code) {
  fmt::print(stderr, "zkfs: {}\n", text);
  return exit_code;
}

class Daemon {
 public:
  Daemon(Config config, std::vector<mount::MountOptions> wanted, bool keep, SelfStart self)
      : self_(std::move(self)),
        config_(std::move(config)),
        wanted_(std::move(wanted)),
        keep_(keep),
        signals_(context_),
        tick_timer_(context_),
        purge_timer_(context_),
        mounts_({.context = context_,
                 .data_dir = resolved(config_.data_dir),
                 .control_files = [this] { return control_files(); },
                 .now = monotonic_now},
                [this](const std::string& mountpoint) {
                  ZKFS_LOG_INFO(zkfs, "somebody unmounted {}", mountpoint);
                  mount_gone("somebody unmounted it");
                }) {}

  // Everything up to the first turn of the loop. `left`: by the program before this one, or null.
  // Fails with the line to print.
  Expected<void> build(const handover::Daemon* left);
  // Returns the exit code.
  int run(Started started);

 private:
  Expected<void> open_storage();
  void wire_member(const storage::Recovered& recovered);
  void schedule_tick();
  void tick();
  void warn_if_late(Instant at);
  void schedule_purge();
  void request_flush();
  void await_signal();
  void await_next_signal();
  void disk_failed(const Problem& failure);
  // One mount is no longer there.
  void mount_gone(const std::string& how);
  Expected<void> asked(const ControlSocket::Words& words);
  void tell_ready();
  void tell_service_manager(Instant at);
  void begin_upgrade();
  void go_on_with_upgrade(Instant at);
  void give_upgrade_up(const std::string& reason);
  void begin_stop(const std::string& reason, int exit_code);
  void finish_stop();
  StatusView status_view() const;
  std::string our_metrics() const;
  mount::ControlFiles control_files() const;

  const SelfStart self_;
  const Config config_;
  std::vector<mount::MountOptions> wanted_;  // at start
  const bool keep_;                          // go on without mounts

  asio::io_context context_{1};
  asio::signal_set signals_;
  asio::steady_timer tick_timer_;
  asio::steady_timer purge_timer_;
  // In the order of building; what is later uses what is earlier.
  std::unique_ptr<storage::Disk> disk_;
  std::unique_ptr<tree::DataTree> tree_;  // until the member takes it
  std::unique_ptr<storage::DiskThread> disk_thread_;
  std::unique_ptr<MeteredStorage> storage_;  // the member's way to the disk thread
  std::unique_ptr<peer::PeerNetwork> network_;
  std::unique_ptr<server::Member> member_;
  std::unique_ptr<Administration> administration_;
  std::unique_ptr<client_port::ClientPort> client_port_;  // none without clientPort
  std::unique_ptr<ControlSocket> control_socket_;
  Mounts mounts_;

  // An upgrade under way: first the probe runs, then the mounts settle, then the loop ends.
  enum class Upgrade : std::uint8_t { kNone, kProbing, kSettling, kReady };
  Upgrade upgrade_ = Upgrade::kNone;
  Instant upgrade_deadline_{};
  std::optional<ProgramProbe> probe_;
  handover::Daemon upgrade_state_;

  ServiceManager service_manager_;
  Instant status_told_{};
  const Instant begun_ = monotonic_now();
  bool ready_ = false;
  Instant ready_deadline_{};
  Started started_;  // until called
  Instant next_tick_{};
  Instant late_tick_logged_{};
  bool flush_posted_ = false;
  bool stopping_ = false;
  Instant stop_deadline_{};
  int exit_code_ = kExitYes;
  std::string failure_;  // the last line on standard error, if not empty
};

Expected<void> Daemon::build(const handover::Daemon* left) {
  ZKFS_TRY(mounts_.spawn_zygote());
  ZKFS_TRY(open_storage());
  // The lock is ours from here on. Requests wait for the loop's first turn.
  auto control_socket =
      ControlSocket::open(context_, config_.data_dir,
                          [this](const ControlSocket::Words& words) { return asked(words); });
  if (!control_socket) return std::unexpected(std::move(control_socket).error());
  control_socket_ = std::move(*control_socket);
  if (!config_.standalone) ZKFS_TRY(network_->start(config_.listen_on_all_addresses));
  if (config_.client_port != 0) {
    client_port_ = std::make_unique<client_port::ClientPort>(
        context_, *member_, client_port_settings(config_), now,
        [this](std::string_view word) { return administration_->answer(word); });
    administration_->show_clients(client_port_->hub());
    ZKFS_TRY(client_port_->listen());
  }
  ZKFS_TRY(administration_->listen(context_));
  member_->start(now());
  mounts_.serve(*member_);
  if (left != nullptr) {
    // What was mounted since the start is there as well, what was unmounted is not.
    ZKFS_TRY(mounts_.resume(*left));
  } else {
    for (mount::MountOptions& options : wanted_) ZKFS_TRY(mounts_.add(std::move(options)));
  }
  wanted_.clear();
  return {};
}

Expected<void> Daemon::open_storage() {
  const Instant begun = monotonic_now();
  auto disk = storage::open_posix_disk(config_.data_dir);
  if (!disk) return std::unexpected(std::move(disk).error());
  disk_ = std::move(*disk);
  auto opened = storage::Store::open(*disk_, {.segment_bytes = config_.segment_bytes,
                                              .snapshots_retained = config_.snapshots_retained});
  if (!opened) return std::unexpected(std::move(opened).error());
  std::unique_ptr<storage::Store> store = std::move(*opened);
  for (const std::string& remark : store->recovered().remarks) ZKFS_LOG_INFO(storage, "{}", remark);
  auto tree = server::recover(*store);
  if (!tree) return std::unexpected(std::move(tree).error());
  tree_ = std::move(*tree);
  const storage::Recovered recovered = std::move(store->recovered());
  ZKFS_LOG_INFO(zkfs, "recovered dir={} snapshot={} entries={} last={} epoch={} ms={}",
                config_.data_dir, recovered.snapshot_zxid, recovered.entries.size(),
                store->last_logged(), recovered.current_epoch.value,
                std::chrono::duration_cast<Millis>(monotonic_now() - begun).count());
  disk_thread_ = std::make_unique<storage::DiskThread>(
      std::move(store),
      [this](std::uint64_t token) {
        asio::post(context_, [this, token] {
          storage_->done(token);
          member_->disk_done(token, now());
        });
      },
      [this](Problem failure) {
        asio::post(context_, [this, failure = std::move(failure)] { disk_failed(failure); });
      });
  disk_thread_->watch_space(
      // Room for another segment and what is written until the word has spread.
      [path = config_.data_dir, reserve = 2 * config_.segment_bytes] {
        struct statvfs space {};

        return ::statvfs(path.c_str(), &space) == 0 && space.f_bavail * space.f_frsize < reserve;
      },
      [this](bool low) {
        asio::post(context_, [this, low] {
          if (low) ZKFS_LOG_WARN(storage, "{}: little room is left on this disk", config_.data_dir);
          member_->set_low_space(low, now());
        });
      });
  storage_ = std::make_unique<MeteredStorage>(*disk_thread_, monotonic_now);
  wire_member(recovered);
  administration_->note_startup(monotonic_now() - begun);
  return {};
}

void Daemon::wire_member(const storage::Recovered& recovered) {
  network_ = std::make_unique<peer::PeerNetwork>(
      context_, config_.self, peer_addresses(config_),
      peer::PeerEvents{.up = [this](ServerId peer) { member_->peer_up(peer, now()); },
                       .message =
                           [this](ServerId from, zab::Message message) {
                             member_->message(from, std::move(message), now());
                           },
                       .down = [this](ServerId peer) { member_->peer_down(peer, now()); }});
  member_ = std::make_unique<server::Member>(member_config(config_), std::move(tree_), recovered,
                                             *storage_, *network_);
  member_->on_dirty([this] { request_flush(); });
  administration_ = std::make_unique<Administration>(
      Administration::Context{.config = config_,
                              .member = *member_,
                              .appends = storage_->latencies(),
                              .now = now,
                              .metrics = [this] { return our_metrics(); }});
}

int Daemon::run(Started started) {
  await_signal();
  next_tick_ = monotonic_now();
  schedule_tick();
  schedule_purge();
  ZKFS_LOG_INFO(zkfs, "serving mountpoints={} servers={} pid={}",
                fmt::join(mounts_.mountpoints(), ","),
                std::max<std::size_t>(1, config_.servers.size()), getpid());
  started_ = std::move(started);
  ready_deadline_ = monotonic_now() + kReadyWait;
  context_.run();
  if (upgrade_ == Upgrade::kReady) {
    // Everything said and asked is settled; what the disk thread still has is carried out first.
    mounts_.drop_workers();
    administration_->close();
    client_port_.reset();
    control_socket_.reset();
    network_.reset();
    disk_thread_.reset();
    disk_.reset();
    const Problem failed = become(self_, upgrade_state_);
    return fail(fmt::format("upgrade: {}", failed.text), kExitNo);
  }
  // Outside the loop, in this order: the helper's workers, then the disk thread's queue.
  mounts_.clear();
  administration_->close();
  client_port_.reset();
  administration_.reset();
  control_socket_.reset();
  member_.reset();
  network_.reset();
  disk_thread_.reset();
  storage_.reset();
  ZKFS_LOG_INFO(zkfs, "stopped exit_code={}", exit_code_);
  return failure_.empty() ? exit_code_ : fail(failure_, exit_code_);
}

void Daemon::await_signal() {
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR2}) signals_.add(number);
  const sigset_t set = our_signals();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  await_next_signal();
}

void Daemon::await_next_signal() {
  signals_.async_wait([this](const asio::error_code& error, int number) {
    if (error) return;
    if (number != SIGUSR2) return begin_stop(fmt::format("signal {}", number), kExitYes);
    begin_upgrade();
    await_next_signal();
  });
}

// --- upgrade in place ---

void Daemon::begin_upgrade() {
  if (stopping_ || upgrade_ != Upgrade::kNone) return;
  probe_.emplace();
  if (const auto started = probe_->start(self_.program); !started) {
    return give_upgrade_up(started.error().text);
  }
  ZKFS_LOG_INFO(zkfs, "upgrading to {}", self_.program);
  upgrade_ = Upgrade::kProbing;
  upgrade_deadline_ = monotonic_now() + kUpgradeWait;
}

void Daemon::go_on_with_upgrade(Instant at) {
  if (upgrade_ == Upgrade::kProbing) {
    const auto ended = probe_->ended();
    if (ended == false) return give_upgrade_up(self_.program + " --version fails");
    if (ended == true) {
      upgrade_ = Upgrade::kSettling;
      mounts_.pause();
    }
  } else if (upgrade_ == Upgrade::kSettling && mounts_.settled()) {
    if (const auto left = mounts_.hand_over(upgrade_state_); !left) {
      upgrade_state_.Clear();
      return give_upgrade_up(left.error().text);
    }
    upgrade_ = Upgrade::kReady;
    context_.stop();
    return;
  }
  if (at >= upgrade_deadline_) give_upgrade_up("requests under way do not end; is there a quorum?");
}

void Daemon::give_upgrade_up(const std::string& reason) {
  ZKFS_LOG_ERROR(zkfs, "upgrade given up: {}", reason);
  if (upgrade_ == Upgrade::kSettling) mounts_.go_on();
  upgrade_ = Upgrade::kNone;
  probe_.reset();
}

void Daemon::request_flush() {
  if (flush_posted_) return;
  flush_posted_ = true;
  // Posted, not called: inputs that are ready in this turn come first and share the flush.
  asio::post(context_, [this] {
    flush_posted_ = false;
    member_->flush(now());
    // Replies and events of this turn need not wait for the next.
    if (client_port_) client_port_->flush();
  });
}

void Daemon::schedule_tick() {
  tick_timer_.expires_at(std::chrono::steady_clock::time_point(next_tick_));
  tick_timer_.async_wait([this](const asio::error_code& error) {
    if (!error) tick();
  });
}

void Daemon::tick() {
  const Now at = now();
  warn_if_late(at.monotonic);
  member_->tick(at);
  if (client_port_) client_port_->tick();
  service_manager_.alive(at.monotonic);
  if (!stopping_) {
    mounts_.tick();
    if (upgrade_ != Upgrade::kNone) go_on_with_upgrade(at.monotonic);
    if (upgrade_ == Upgrade::kReady) return;
    if (!ready_ && (member_->in_quorum() || at.monotonic >= ready_deadline_)) tell_ready();
    tell_service_manager(at.monotonic);
  } else if (at.monotonic >= stop_deadline_ || !member_->in_quorum() ||
             member_->status().pending_requests == 0) {
    return finish_stop();
  }
  next_tick_ = std::max(next_tick_ + kTickInterval, at.monotonic + kTickInterval / 2);
  schedule_tick();
}

void Daemon::warn_if_late(Instant at) {
  if (at - next_tick_ < kLateTick || at - late_tick_logged_ < kLateTickQuiet) return;
  late_tick_logged_ = at;
  ZKFS_LOG_WARN(zkfs, "the event loop stood still (busy machine, or the process was stopped) ms={}",
                std::chrono::duration_cast<Millis>(at - next_tick_).count());
}

void Daemon::schedule_purge() {
  if (config_.purge_interval.count() == 0) return;
  purge_timer_.expires_after(config_.purge_interval);
  purge_timer_.async_wait([this](const asio::error_code& error) {
    if (error || stopping_) return;
    member_->purge();
    schedule_purge();
  });
}

void Daemon::disk_failed(const Problem& failure) {
  ZKFS_LOG_ERROR(storage, "{}", failure.text);
  begin_stop("the disk failed", kExitNo);
  exit_code_ = kExitNo;
  failure_ = failure.text;
  // Not one flush more: nothing may be said to peers that rests on this disk.
  finish_stop();
}

void Daemon::tell_ready() {
  ready_ = true;
  service_manager_.ready();
  if (started_) std::exchange(started_, nullptr)("");
}

void Daemon::tell_service_manager(Instant at) {
  if (!service_manager_.present() || at - status_told_ < kStatusInterval) return;
  status_told_ = at;
  const StatusView view = status_view();
  const std::string leader =
      view.member.leader ? fmt::format(", leader {}", view.member.leader) : std::string();
  service_manager_.status(fmt::format("{} of server {}{}, epoch {}", role_word(view),
                                      view.member.self, leader, view.member.epoch));
}

void Daemon::mount_gone(const std::string& how) {
  if (!mounts_.empty() || keep_) return;
  begin_stop(how, kExitYes);
}

Expected<void> Daemon::asked(const ControlSocket::Words& words) {
  if (words == ControlSocket::Words{"ping"}) return {};
  if (stopping_) return problem(std::string(kStoppingAnswer));
  if (words.size() == 3 && words[0] == "mount") {
    mount::MountOptions options;
    ZKFS_TRY(mount::parse_mount_options(words[2], options));
    if (!words[1].starts_with('/'))
      return problem(fmt::format("mount point {}: not absolute", words[1]));
    options.mountpoint = words[1];
    return mounts_.add(std::move(options));
  }
  if (words.size() == 2 && words[0] == "unmount") {
    ZKFS_TRY(mounts_.remove(words[1]));
    // The answer first.
    asio::post(context_, [this] { mount_gone("it was asked to unmount the last one"); });
    return {};
  }
  return problem(fmt::format("{}: neither ping, mount nor unmount", words[0]));
}

void Daemon::begin_stop(const std::string& reason, int exit_code) {
  if (stopping_) return;
  stopping_ = true;
  exit_code_ = exit_code;
  ZKFS_LOG_INFO(zkfs, "stopping: {}", reason);
  signals_.clear();  // a second signal has its default action from here on
  purge_timer_.cancel();
  service_manager_.stopping();
  if (started_) std::exchange(started_, nullptr)(fmt::format("stopped as it started: {}", reason));
  if (client_port_) client_port_->stop();
  mounts_.stop();
  // The next ticks wait for the close of the mounts' sessions, then finish.
  stop_deadline_ = monotonic_now() + kSessionCloseWait;
}

void Daemon::finish_stop() {
  member_->stop();
  network_->stop();
  context_.stop();
}

StatusView Daemon::status_view() const {
  StatusView view{.member = member_->status(),
                  .standalone = config_.standalone,
                  .peers = {},
                  .now = monotonic_now(),
                  .learners = member_->learners(),
                  .address = {},
                  .observer = false};
  for (const ServerLine& line : config_.servers) {
    const bool ipv6 = line.host.find(':') != std::string::npos;
    std::string address = ipv6 ? fmt::format("[{}]:{}", line.host, line.peer_port)
                               : fmt::format("{}:{}", line.host, line.peer_port);
    if (line.id == config_.self) {
      view.address = std::move(address);
      view.observer = line.observer;
      continue;
    }
    view.peers.push_back({.id = line.id,
                          .address = std::move(address),
                          .observer = line.observer,
                          .connected = network_->connected(line.id)});
  }
  return view;
}

std::string Daemon::our_metrics() const {
  return metrics_text(status_view(), storage_->latencies(),
                      process_facts(monotonic_now() - begun_));
}

mount::ControlFiles Daemon::control_files() const {
  return {.status = [this] { return status_text(status_view()); },
          .status_json = [this] { return status_json(status_view()); },
          .role = [this] { return std::string(role_word(status_view())); },
          .metrics = [this] { return our_metrics(); },
          .config = [this] { return config_text(config_); },
          .ensemble = [this] { return ensemble_members(status_view()); }};
}

// The mounts asked for, the plain MOUNTPOINT first. Fails for a wrong option.
Expected<std::vector<mount::MountOptions>> wanted_mounts(const ServeCommand& command) {
  std::vector<mount::MountOptions> all;
  if (!command.mountpoint.empty()) {
    mount::MountOptions& options = all.emplace_back();
    for (const std::string& text : command.mount_options)
      ZKFS_TRY(mount::parse_mount_options(text, options));
    options.mountpoint = resolved_mountpoint(command.mountpoint);
  }
  for (const std::string& text : command.mounts) {
    const auto comma = text.find(',');
    mount::MountOptions& options = all.emplace_back();
    if (comma != std::string::npos)
      ZKFS_TRY(mount::parse_mount_options(text.substr(comma + 1), options));
    const std::string mountpoint = text.substr(0, comma);
    if (mountpoint.empty())
      return problem(fmt::format("--mount {}: begins with no mount point", text));
    options.mountpoint = resolved_mountpoint(mountpoint);
  }
  return all;
}

int serve(const ServeCommand& command, Started started) {
  // Says it twice where somebody waits for it: the log may be elsewhere.
  const auto refuse = [&started](const std::string& text, int exit_code) {
    if (started) started(text);
    return fail(text, exit_code);
  };
  auto left = inheritance();
  if (!left) return refuse(left.error().text, kExitNo);
  Expected<std::vector<mount::MountOptions>> mounts;
  // To look at a mount point that is inherited would be to wait for ourselves.
  if (*left == nullptr) mounts = wanted_mounts(command);
  if (!mounts) return refuse(mounts.error().text, kExitMisuse);
  auto config = load_config(
      {.file = command.config_file, .data_dir = command.data_dir, .overrides = command.overrides});
  if (!config) return refuse(config.error().text, kExitNo);

  log::set_level(std::string_view(command.log_level));
  log::set_prefix(fmt::format("server={}", config->self.value));
  for (const Remark& remark : config->remarks)
    log::write(log::Room::zkfs, remark.warning ? log::Level::kWarn : log::Level::kInfo,
               remark.text);
  SelfStart self = how_to_start(command);
  prepare_process();
  if (chdir("/") != 0) return refuse("/: cannot be entered", kExitNo);

  Daemon daemon(std::move(*config), std::move(*mounts), command.keep, std::move(self));
  if (auto built = daemon.build(left->get()); !built) return refuse(built.error().text, kExitNo);
  left->reset();
  return daemon.run(std::move(started));
}

}  // namespace

int run_serve(const ServeCommand& command, Started started) {
  return serve(command, std::move(started));
}

}  // namespace zkfs
