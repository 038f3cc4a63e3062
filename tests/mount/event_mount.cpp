// SPDX-License-Identifier: Apache-2.0
#include "tests/mount/event_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <future>
#include <map>
#include <thread>

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <fmt/format.h>

#include "ensemble/base/check.h"
#include "mount/view.h"

namespace zkfs::test {

namespace {

using mount::NodeId;
using mount::Reply;

}  // namespace

struct EventMount::State final : server::ChangeSubscriber {
  LocalDoor door;
  asio::io_context context{1};
  std::unique_ptr<mount::EventHelper> helper;
  mount::InodeTable inodes;
  std::unique_ptr<mount::Replay> replay;
  fuse_session* session = nullptr;
  int fuse = -1;
  std::unique_ptr<asio::posix::stream_descriptor> readable;
  fuse_buf buffer{};
  std::thread loop;
  SessionId mount_session;
  bool own_session_only = false;
  bool frozen = false;
  std::size_t requests = 0;
  std::vector<std::function<void()>> parked;

  void applied(const server::AppliedTxn& txn) override { replay->applied(txn); }

  void replaced(const tree::DataTree& before, const tree::DataTree& after) override {
    replay->replaced(before, after);
  }

  void quorum_changed(bool) override {}

  // --- the filesystem ---

  static State& of(fuse_req_t request) { return *static_cast<State*>(fuse_req_userdata(request)); }

  // True if the request is a worker's.
  [[nodiscard]] bool works(const Reply& reply) const { return replay->is_worker(reply.pid()); }

  static Ino ino_of(NodeId node) { return mount::ino_of(node); }

  void pump_fuse();
  void submit(Reply reply, server::Operation operation, std::function<void(Reply)> answer);
  void entry(Reply reply, NodeId parent, std::string_view name);
  void look_up(Reply reply, NodeId parent, std::string_view name);
  void get_attributes(Reply reply, NodeId node);
  void make(Reply reply, NodeId parent, std::string name, server::Operation make);
  void create_here(Reply reply, NodeId parent, std::string name, fuse_file_info info);
  void remove_here(Reply reply, NodeId parent, const std::string& name);
  static void fill_making(fuse_lowlevel_ops& ops);
  static void fill_removing(fuse_lowlevel_ops& ops);
  static void fill_opening(fuse_lowlevel_ops& ops);
  static const fuse_lowlevel_ops& operations();
  void serve(const std::string& path);
  void end();
};

void EventMount::State::entry(Reply reply, NodeId parent, std::string_view name) {
  const auto znode = door.tree().find_child(ino_of(parent), mount::real_name(name));
  const auto self = door.tree().find(ino_of(parent));
  if (name == mount::kDataName && self) {
    inodes.looked_up(mount::file_node(self->ino));
    return reply.entry(mount::entry(*self, mount::file_node(self->ino)));
  }
  if (!znode) return reply.error(ENOENT);
  const NodeId node = mount::natural_node(*znode);
  inodes.looked_up(node);
  reply.entry(mount::entry(*znode, node));
}

void EventMount::State::look_up(Reply reply, NodeId parent, std::string_view name) {
  ++requests;
  if (works(reply)) return replay->lookup(std::move(reply), parent, name);
  entry(std::move(reply), parent, name);
}

void EventMount::State::get_attributes(Reply reply, NodeId node) {
  ++requests;
  if (works(reply)) return replay->getattr(std::move(reply), node);
  inodes.used(node);
  const auto znode = door.tree().find(ino_of(node));
  if (znode) return reply.attr(mount::attributes(*znode, node));

  struct stat gone {};

  gone.st_mode = mount::face_of(node) == mount::Face::kDirectory ? S_IFDIR : S_IFREG;
  reply.attr(gone);
}

// As a user's request: committed here. Held back while frozen.
void EventMount::State::submit(Reply reply,
                               server::Operation operation,
                               std::function<void(Reply)> answer) {
  auto shared = std::make_shared<Reply>(std::move(reply));
  auto go = [this, shared, operation = std::move(operation), answer = std::move(answer)] {
    door.submit(mount_session, {}, operation, [shared, answer](const tree::Outcome& outcome) {
      if (outcome.error != Error::kOk) return shared->error(EIO);
      answer(std::move(*shared));
    });
    door.pump();
  };
  if (frozen) return parked.push_back(std::move(go));
  go();
}

void EventMount::State::make(Reply reply, NodeId parent, std::string name, server::Operation make) {
  submit(std::move(reply), std::move(make),
         [this, parent, name](Reply made) { entry(std::move(made), parent, name); });
}

void EventMount::State::create_here(Reply reply,
                                    NodeId parent,
                                    std::string name,
                                    fuse_file_info info) {
  auto request = server::CreateRequest{.target = {ino_of(parent), name},
                                       .data = {},
                                       .acl = tree::open_acl(),
                                       .kind = tree::NodeKind::kFile};
  submit(std::move(reply), std::move(request), [this, parent, name, info](Reply made) {
    const auto znode = door.tree().find_child(ino_of(parent), name);
    const NodeId node = mount::file_node(znode->ino);
    inodes.looked_up(node);
    made.create(mount::entry(*znode, node), info);
  });
}

void EventMount::State::remove_here(Reply reply, NodeId parent, const std::string& name) {
  submit(std::move(reply), server::DeleteRequest{.target = {ino_of(parent), name}},
         [](Reply removed) { removed.ok(); });
}

void EventMount::State::fill_making(fuse_lowlevel_ops& ops) {
  ops.create = [](fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode,
                  fuse_file_info* info) {
    State& state = of(request);
    Reply reply(request);
    if (state.works(reply))
      return state.replay->create(std::move(reply), parent, name, mode, *info);
    state.create_here(std::move(reply), parent, name, *info);
  };
  ops.mkdir = [](fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode) {
    State& state = of(request);
    Reply reply(request);
    if (state.works(reply)) return state.replay->mkdir(std::move(reply), parent, name, mode);
    state.make(std::move(reply), parent, name,
               server::CreateRequest{.target = {ino_of(parent), name},
                                     .data = {},
                                     .acl = tree::open_acl(),
                                     .kind = tree::NodeKind::kDirectory});
  };
  ops.symlink = [](fuse_req_t request, const char*, fuse_ino_t parent, const char* name) {
    State& state = of(request);
    Reply reply(request);
    if (state.works(reply)) return state.replay->symlink(std::move(reply), parent, name);
    reply.error(EPERM);
  };
}

void EventMount::State::fill_removing(fuse_lowlevel_ops& ops) {
  ops.unlink = [](fuse_req_t request, fuse_ino_t parent, const char* name) {
    State& state = of(request);
    Reply reply(request);
    if (state.works(reply)) return state.replay->unlink(std::move(reply), parent, name);
    state.remove_here(std::move(reply), parent, name);
  };
  ops.rmdir = [](fuse_req_t request, fuse_ino_t parent, const char* name) {
    State& state = of(request);
    Reply reply(request);
    if (state.works(reply)) return state.replay->rmdir(std::move(reply), parent, name);
    state.remove_here(std::move(reply), parent, name);
  };
  ops.rename = [](fuse_req_t request, fuse_ino_t parent, const char* name, fuse_ino_t new_parent,
                  const char* new_name, unsigned int) {
    State& state = of(request);
    Reply reply(request);
    if (state.works(reply))
      return state.replay->rename(std::move(reply), parent, name, new_parent, new_name);
    reply.error(EPERM);
  };
}

void EventMount::State::fill_opening(fuse_lowlevel_ops& ops) {
  ops.open = [](fuse_req_t request, fuse_ino_t node, fuse_file_info* info) {
    State& state = of(request);
    Reply reply(request);
    if (state.works(reply)) return state.replay->open(std::move(reply), node, *info);
    reply.open(*info);
  };
  ops.release = [](fuse_req_t request, fuse_ino_t, fuse_file_info*) { fuse_reply_err(request, 0); };
  ops.flush = [](fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
    // The workers' handles ask for none.
    fuse_reply_err(request, (info->fh & mount::Replay::kHandleBit) != 0 ? EIO : 0);
  };
  ops.opendir = [](fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
    fuse_reply_open(request, info);
  };
  ops.readdir = [](fuse_req_t request, fuse_ino_t, std::size_t, off_t, fuse_file_info*) {
    fuse_reply_buf(request, nullptr, 0);
  };
}

const fuse_lowlevel_ops& EventMount::State::operations() {
  static const fuse_lowlevel_ops kOperations = [] {
    fuse_lowlevel_ops ops{};
    ops.lookup = [](fuse_req_t request, fuse_ino_t parent, const char* name) {
      of(request).look_up(Reply(request), parent, name);
    };
    ops.forget = [](fuse_req_t request, fuse_ino_t node, std::uint64_t count) {
      of(request).inodes.forget(node, count);
      fuse_reply_none(request);
    };
    ops.getattr = [](fuse_req_t request, fuse_ino_t node, fuse_file_info*) {
      of(request).get_attributes(Reply(request), node);
    };
    ops.setattr = [](fuse_req_t request, fuse_ino_t node, struct stat*, int, fuse_file_info*) {
      State& state = of(request);
      Reply reply(request);
      if (state.works(reply)) return state.replay->setattr(std::move(reply), node);
      state.get_attributes(std::move(reply), node);
    };
    fill_opening(ops);
    fill_making(ops);
    fill_removing(ops);
    return ops;
  }();
  return kOperations;
}

// --- the mount ---

void EventMount::State::serve(const std::string& path) {
  fuse = ::open("/dev/fuse", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  ZKFS_CHECK(fuse >= 0, "/dev/fuse: {}", ::strerror(errno));
  const std::string options =
      fmt::format("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", fuse);
  const int mounted = ::mount("zkfs-test", path.c_str(), "fuse.zkfs", MS_NOSUID, options.c_str());
  ZKFS_CHECK(mounted == 0, "mount {}: {}", path, ::strerror(errno));
  std::array<char*, 1> arguments{const_cast<char*>("zkfs-test")};
  fuse_args args{1, arguments.data(), 0};
  session = fuse_session_new(&args, &operations(), sizeof(fuse_lowlevel_ops), this);
  fuse_opt_free_args(&args);
  fuse_custom_io io{};
  io.writev = [](int fd, iovec* vectors, int count, void* self) -> ssize_t {
    if (static_cast<State*>(self)->readable) return ::writev(fd, vectors, count);
    errno = ENODEV;  // closed, and the number may be another's by now
    return -1;
  };
  io.read = [](int fd, void* bytes, std::size_t size, void*) { return ::read(fd, bytes, size); };
  ZKFS_CHECK(fuse_session_custom_io(session, &io, fuse) == 0, "custom io refused");
  readable = std::make_unique<asio::posix::stream_descriptor>(context, fuse);
  pump_fuse();
  loop = std::thread([this] {
    const auto work = asio::make_work_guard(context);
    context.run();
  });
}

void EventMount::State::pump_fuse() {
  readable->async_wait(asio::posix::stream_descriptor::wait_read,
                       [this](const asio::error_code& error) {
                         if (error) return;
                         for (;;) {
                           const int size = fuse_session_receive_buf(session, &buffer);
                           if (size == -EAGAIN || size == -EINTR) break;
                           if (size <= 0) return;  // unmounted
                           fuse_session_process_buf(session, &buffer);
                         }
                         pump_fuse();
                       });
}

void EventMount::State::end() {
  asio::post(context, [this] {
    replay.reset();
    readable->cancel();
    context.stop();
  });
  loop.join();
  // Frees whoever waits, the workers too.
  readable.reset();
  parked.clear();
  helper.reset();
  fuse_session_destroy(session);
  std::free(buffer.mem);
}

bool EventMount::possible() {
  return ::geteuid() == 0 && ::access("/dev/fuse", R_OK | W_OK) == 0;
}

EventMount::EventMount(int workers) : state_(std::make_unique<State>()) {
  State& state = *state_;
  auto helper = mount::EventHelper::spawn(workers);
  ZKFS_CHECK(helper.has_value(), "{}", helper.error().text);
  state.helper = std::move(*helper);
  std::string pattern = "/tmp/zkfs-replay-XXXXXX";
  ZKFS_CHECK(::mkdtemp(pattern.data()) != nullptr, "mkdtemp: {}", ::strerror(errno));
  path_ = pattern;
  state.replay = std::make_unique<mount::Replay>(
      state.context, state.door, state.inodes, state.helper.get(), [&state](SessionId session) {
        return !state.own_session_only || session == state.mount_session;
      });
  state.door.subscribe(&state);
  state.mount_session = state.door.open_session(
      10'000, "test", [](const tree::Outcome&) {}, [] {});
  state.door.pump();
  state.serve(path_);

  struct stat root {};

  ZKFS_CHECK(::stat(path_.c_str(), &root) == 0, "stat {}: {}", path_, ::strerror(errno));
  run([&] {
    state.helper->attach(path_);
    state.replay->start();
  });
}

EventMount::~EventMount() {
  ::umount2(path_.c_str(), MNT_DETACH);
  state_->end();
  ::rmdir(path_.c_str());
}

void EventMount::run(const std::function<void()>& f) {
  std::promise<void> ran;
  asio::post(state_->context, [&] {
    f();
    ran.set_value();
  });
  ran.get_future().wait();
}

void EventMount::foreign(server::Operation operation) {
  run([&] {
    const tree::Outcome outcome = door().inject_foreign(std::move(operation));
    ZKFS_CHECK(outcome.error == Error::kOk, "{}", to_string(outcome.error));
  });
}

void EventMount::settle() {
  for (bool idle = false; !idle;) run([&] { idle = replay().idle(); });
}

void EventMount::make_forget(const std::vector<std::string>& paths) {
  settle();
  for (bool held = true; held;) {
    std::ofstream("/proc/sys/vm/drop_caches") << "2\n" << std::flush;
    run([&] {
      held = std::ranges::any_of(paths, [&](const std::string& path) {
        const Ino ino = door().tree().find_path(path)->ino;
        return inodes().held(mount::file_node(ino)) || inodes().held(mount::directory_node(ino));
      });
    });
  }
}

LocalDoor& EventMount::door() {
  return state_->door;
}

mount::Replay& EventMount::replay() {
  return *state_->replay;
}

mount::InodeTable& EventMount::inodes() {
  return state_->inodes;
}

mount::EventHelper& EventMount::helper() {
  return *state_->helper;
}

void EventMount::own_session_only() {
  state_->own_session_only = true;
}

std::vector<pid_t> EventMount::workers() {
  std::vector<pid_t> pids;
  const std::string mine = fmt::format("/proc/self/task/{}/children", ::getpid());
  std::ifstream children(mine);
  for (pid_t pid = 0; children >> pid;) {
    bool works = false;
    run([&] { works = helper().is_worker(pid); });
    if (works) pids.push_back(pid);
  }
  return pids;
}

void EventMount::freeze() {
  run([&] { state_->frozen = true; });
}

void EventMount::thaw() {
  run([&] {
    state_->frozen = false;
    for (const auto& go : std::exchange(state_->parked, {})) go();
  });
}

std::size_t EventMount::frozen_count() {
  std::size_t count = 0;
  run([&] { count = state_->parked.size(); });
  return count;
}

std::size_t EventMount::request_count() {
  std::size_t count = 0;
  run([&] { count = state_->requests; });
  return count;
}

mount::ReplayCounters EventMount::counters() {
  mount::ReplayCounters counters;
  run([&] { counters = replay().counters(); });
  return counters;
}

// --- operations ---

namespace {

server::Operation create(std::string path, std::string_view data, tree::NodeKind kind) {
  return server::CreateRequest{
      .target = {{}, std::move(path)}, .data = Blob(data), .acl = tree::open_acl(), .kind = kind};
}

}  // namespace

server::Operation create_file(std::string path, std::string data) {
  return create(std::move(path), data, tree::NodeKind::kFile);
}

server::Operation create_plain(std::string path, std::string data) {
  return create(std::move(path), data, tree::NodeKind::kUnspecified);
}

server::Operation create_directory(std::string path) {
  return create(std::move(path), "", tree::NodeKind::kDirectory);
}

server::Operation create_symlink(std::string path, std::string target) {
  return create(std::move(path), target, tree::NodeKind::kSymlink);
}

server::Operation set_data(std::string path, std::string data) {
  return server::SetDataRequest{.target = {{}, std::move(path)}, .data = Blob(data)};
}

server::Operation set_mtime(std::string path, WallMillis mtime) {
  server::SetAttributesRequest request;
  request.target.path = std::move(path);
  request.mtime = mtime;
  return request;
}

server::Operation set_kind(std::string path, tree::NodeKind kind) {
  server::SetAttributesRequest request;
  request.target.path = std::move(path);
  request.kind = kind;
  return request;
}

server::Operation set_acl(std::string path) {
  return server::SetAclRequest{.target = {{}, std::move(path)},
                               .acl = {{tree::Permissions::kRead, "world", "anyone"}}};
}

server::Operation remove(std::string path) {
  return server::DeleteRequest{.target = {{}, std::move(path)}};
}

server::Operation rename(std::string from, std::string to, bool exchange) {
  return server::RenameRequest{
      .source = {{}, std::move(from)}, .target = {{}, std::move(to)}, .exchange = exchange};
}

// --- Watcher ---

namespace {

constexpr std::uint32_t kMask = IN_ALL_EVENTS & ~(IN_ACCESS | IN_CLOSE_NOWRITE);

std::string names_of(std::uint32_t mask) {
  static constexpr std::array<std::pair<std::uint32_t, std::string_view>, 13> kNames{{
      {IN_MODIFY, "MODIFY"},
      {IN_ATTRIB, "ATTRIB"},
      {IN_CLOSE_WRITE, "CLOSE_WRITE"},
      {IN_OPEN, "OPEN"},
      {IN_MOVED_FROM, "MOVED_FROM"},
      {IN_MOVED_TO, "MOVED_TO"},
      {IN_CREATE, "CREATE"},
      {IN_DELETE, "DELETE"},
      {IN_DELETE_SELF, "DELETE_SELF"},
      {IN_MOVE_SELF, "MOVE_SELF"},
      {IN_IGNORED, "IGNORED"},
      {IN_Q_OVERFLOW, "Q_OVERFLOW"},
      {IN_ISDIR, "ISDIR"},
  }};
  std::string names;
  for (const auto& [bit, name] : kNames)
    if ((mask & bit) != 0) names.append(names.empty() ? "" : ",").append(name);
  return names;
}

}  // namespace

Watcher::Watcher() : descriptor_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
  ZKFS_CHECK(descriptor_ >= 0, "inotify_init1: {}", ::strerror(errno));
}

Watcher::~Watcher() {
  ::close(descriptor_);
}

void Watcher::add(const std::string& path, std::string label) {
  const int watch = ::inotify_add_watch(descriptor_, path.c_str(), kMask | IN_DONT_FOLLOW);
  ZKFS_CHECK(watch >= 0, "watch {}: {}", path, ::strerror(errno));
  labels_.emplace_back(watch, std::move(label));
}

std::vector<std::string> Watcher::take() {
  std::vector<std::string> events;
  std::map<std::uint32_t, std::size_t> cookies;
  alignas(inotify_event) std::array<char, 64 * 1024> buffer;
  for (;;) {
    const ssize_t size = ::read(descriptor_, buffer.data(), buffer.size());
    if (size <= 0) return events;
    for (ssize_t at = 0; at < size;) {
      const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      std::string label = "?";
      for (const auto& [watch, name] : labels_)
        if (watch == event->wd) label = name;
      std::string text = label + ": " + names_of(event->mask);
      if (event->len != 0) text.append(" ").append(event->name);
      if (event->cookie != 0) {
        const auto number = cookies.try_emplace(event->cookie, cookies.size() + 1).first->second;
        text.append(fmt::format(" #{}", number));
      }
      events.push_back(std::move(text));
    }
  }
}

}  // namespace zkfs::test
