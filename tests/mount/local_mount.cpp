// SPDX-License-Identifier: Apache-2.0
#include "tests/mount/local_mount.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <asio/post.hpp>
#include <spawn.h>

#include "ensemble/base/log.h"
#include "mount/event_helper.h"

namespace zkfs::test {

namespace {

constexpr std::chrono::milliseconds kTick{20};
constexpr std::chrono::seconds kScriptLimit{60};

Instant monotonic() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

std::string slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

bool LocalMount::available() {
  const int fd = ::open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (fd >= 0) ::close(fd);
  return fd >= 0 && ::geteuid() == 0;
}

LocalMount::LocalMount(const std::string& options, bool with_helper)
    : timer_(context_), door_(std::make_unique<LocalDoor>()) {
  log::set_level(log::Level::kOff);
  std::string pattern = "/tmp/zkfs-mount-test-XXXXXX";
  base_ = ::mkdtemp(pattern.data());
  ::chmod(base_.c_str(), 0755);  // other users come here, too
  path_ = base_ + "/mnt";
  std::filesystem::create_directory(path_);
  mount::MountOptions parsed;
  parsed.mountpoint = path_;
  started = mount::parse_mount_options(options, parsed);
  std::unique_ptr<mount::EventHelper> helper;
  if (with_helper) {
    auto begun = mount::EventHelper::spawn(2);
    if (begun) helper = std::move(*begun);
  }
  mount::ControlFiles files;
  files.status = [] { return std::string("all is well"); };
  files.status_json = [] { return std::string("{\"well\":true}"); };
  files.role = [] { return std::string("leading"); };
  files.metrics = [] { return std::string("zkfs_from_the_program 1\n"); };
  files.config = [] { return std::string("tickTime=2000\n"); };
  files.ensemble = [] {
    return std::vector<mount::EnsembleMember>{{.id = ServerId{1},
                                               .address = "",
                                               .role = "leader",
                                               .state = "in_sync",
                                               .zxid = "0x100000002",
                                               .latency_ms = ""},
                                              {.id = ServerId{2},
                                               .address = "host:2888",
                                               .role = "follower",
                                               .state = "in_sync",
                                               .zxid = "0x100000001",
                                               .latency_ms = "0.250"}};
  };
  mount_ = std::make_unique<mount::Mount>(context_, *door_, parsed, std::move(files),
                                          std::move(helper), monotonic);
  door_->set_now({.monotonic = monotonic(), .wall = 1'700'000'000'000});
  door_->on_dirty([this] { pump(); });
  door_->subscribe(this);
  if (started) started = mount_->start([this] { unmounted_ = true; });
  tick();
  if (started) drive_until([this] { return door_->pending() == 0; });
}

LocalMount::~LocalMount() {
  for (const auto& [pid, child] : children_) {
    ::kill(-pid, SIGKILL);
    ::kill(pid, SIGKILL);
  }
  mount_->stop();
  for (const auto& [pid, child] : children_) ::waitpid(pid, nullptr, 0);
  ::umount2(path_.c_str(), MNT_DETACH);
  std::error_code ignored;
  std::filesystem::remove_all(base_, ignored);
}

void LocalMount::tick() {
  timer_.expires_after(kTick);
  timer_.async_wait([this](const asio::error_code& error) {
    if (error) return;
    mount_->tick();
    tick();
  });
}

void LocalMount::pump() {
  if (std::exchange(pump_posted_, true)) return;
  asio::post(context_, [this] {
    pump_posted_ = false;
    if (!paused_) door_->pump();
  });
}

void LocalMount::set_quorum(bool in_quorum) {
  door_->set_now({.monotonic = monotonic(), .wall = 1'700'000'000'000});
  door_->set_quorum(in_quorum);
  pump();
}

void LocalMount::pause(bool paused) {
  paused_ = paused;
  pump();
}

pid_t LocalMount::start(const std::string& script, const std::string& shell) {
  const std::string output = base_ + "/out" + std::to_string(++scripts_);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                     0600);
  ::posix_spawn_file_actions_adddup2(&actions, 1, 2);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  // Not spawned into the mount: this thread, which would have to answer, waits for the exec.
  // A script that outlives a killed test must not spin for ever.
  std::string text = "ulimit -t 60; cd \"$ZK\" || exit 99\n" + script;
  std::string name = shell;
  std::string flag = "-c";
  char* arguments[] = {name.data(), flag.data(), text.data(), nullptr};
  ::setenv("ZK", path_.c_str(), 1);
  ::setenv("T", base_.c_str(), 1);
  pid_t pid = -1;
  ::posix_spawnp(&pid, shell.c_str(), &actions, &attributes, arguments, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  children_[pid] = Child{output};
  return pid;
}

Ran LocalMount::finish(pid_t pid) {
  int status = 0;
  const bool ended =
      drive_until([&] { return ::waitpid(pid, &status, WNOHANG) == pid; }, kScriptLimit);
  Ran ran;
  ran.out = slurp(children_[pid].output);
  if (!ended) {
    ran.out += "\n(did not end)";
    return ran;
  }
  children_.erase(pid);
  ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ran;
}

bool LocalMount::drive_until(const std::function<bool()>& condition,
                             std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    context_.run_one_for(std::chrono::milliseconds(2));
  }
  return true;
}

std::optional<std::string> LocalMount::data(const std::string& path) const {
  const auto znode = door_->tree().find_path(path);
  if (!znode) return {};
  return std::string(znode->data.view());
}

int LocalMount::versions(const std::string& name) const {
  const auto it = versions_.find(name);
  return it == versions_.end() ? 0 : it->second;
}

void LocalMount::applied(const server::AppliedTxn& txn) {
  using Kind = tree::Change::Kind;
  for (const tree::Change& change : txn.changes) {
    if (change.kind != Kind::kCreated && change.kind != Kind::kData &&
        change.kind != Kind::kReplaced) {
      continue;
    }
    ++versions_[door_->tree().path_of(change.ino)];
  }
}

}  // namespace zkfs::test
