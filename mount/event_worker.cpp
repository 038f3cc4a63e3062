// SPDX-License-Identifier: Apache-2.0
#include "mount/event_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdio>
#include <cstring>
#include <utility>

namespace zkfs::mount {

namespace {

// Where the socket lies in the worker: the first descriptor after the standard three.
constexpr int kSocket = 3;

// What this process runs is a child of fork that owns nothing but system calls: no allocation, no
// logging, no destructors of the daemon's objects.

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}

  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }

  [[nodiscard]] int get() const { return fd_; }

  [[nodiscard]] bool valid() const { return fd_ >= 0; }

 private:
  int fd_;
};

// FUSE's file handle of type 0x81 (fs/fuse/inode.c, fuse_encode_fh): the halves of the node id, the
// generation (always 0 here).
struct FuseHandle {
  std::uint32_t bytes = 12;
  std::int32_t type = 0x81;
  std::array<std::uint32_t, 3> words{};

  FuseHandle() = default;

  explicit FuseHandle(NodeId node)
      : words{static_cast<std::uint32_t>(node >> 32U), static_cast<std::uint32_t>(node), 0} {}

  [[nodiscard]] file_handle* raw() { return reinterpret_cast<file_handle*>(this); }
};

static_assert(offsetof(FuseHandle, words) == offsetof(file_handle, f_handle));

struct Order {
  WorkerOrder header;
  const char* name = nullptr;
  const char* other_name = nullptr;
  const char* parent_path = nullptr;
  const char* other_path = nullptr;
};

void look_at(int directory, const char* name) {
  struct statx now {};

  (void)::statx(directory, name, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC, 0, &now);
}

class Worker {
 public:
  int attach(const char* mountpoint) {
    detach();
    const int error = clone(mountpoint);
    if (error != 0) detach();
    error_ = error;
    return error;
  }

  void detach() {
    (void)::chdir("/");
    root_ = Descriptor();
    error_ = ENODEV;
  }

  int poke(const Order& order);
  [[nodiscard]] int prune() const;

 private:
  int clone(const char* mountpoint);
  int perform(const Order& order);
  int open_directory(NodeId node, const char* path, bool by_number, Descriptor& out);
  void forget_numbers();
  int walk(NodeId node, const char* path, Descriptor& out) const;

  Descriptor root_;
  std::array<NodeId, 2> asked_{};  // by number, for the poke under way
  int error_ = ENODEV;             // why there is no clone
};

int Worker::clone(const char* mountpoint) {
  root_ = Descriptor(static_cast<int>(
      ::syscall(SYS_open_tree, AT_FDCWD, mountpoint, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)));
  if (!root_.valid()) return errno;
  // A mount that is read-only for its users still has to be poked.
  mount_attr writable{};
  writable.attr_clr = MOUNT_ATTR_RDONLY;
  (void)::syscall(SYS_mount_setattr, root_.get(), "", AT_EMPTY_PATH, &writable, sizeof writable);
  // The clone is an O_PATH descriptor, which open_by_handle_at refuses as its anchor; the working
  // directory is accepted.
  return ::fchdir(root_.get()) == 0 ? 0 : errno;
}

int Worker::open_directory(NodeId node, const char* path, bool by_number, Descriptor& out) {
  constexpr int kFlags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  if (node == kRootNode) {
    out = Descriptor(::openat(root_.get(), ".", kFlags));
    return out.valid() ? 0 : errno;
  }
  FuseHandle handle(node);
  out = Descriptor(::open_by_handle_at(AT_FDCWD, handle.raw(), kFlags));
  if (out.valid()) return 0;
  int error = errno;
  if (error == ESTALE && *path != '\0') error = walk(node, path, out);
  if (error != ESTALE || !by_number) return error;
  (asked_[0] == 0 ? asked_[0] : asked_[1]) = node;
  return walk(node, number_name(node).data(), out);
}

// Takes the names away again. What is done is not asked for by number any more.
void Worker::forget_numbers() {
  for (NodeId& node : asked_) {
    if (node != 0) look_at(root_.get(), number_name(std::exchange(node, 0)).data());
  }
}

// The kernel does not hold the directory, or holds it without a dentry: then only looking the path
// up again connects the two.
int Worker::walk(NodeId node, const char* path, Descriptor& out) const {
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
  out = Descriptor(static_cast<int>(::syscall(SYS_openat2, root_.get(), path, &how, sizeof how)));
  if (!out.valid()) return errno == ENOENT || errno == ENOTDIR ? ESTALE : errno;
  FuseHandle found;
  int mount_id = 0;
  if (::name_to_handle_at(out.get(), "", found.raw(), &mount_id, AT_EMPTY_PATH) != 0) return errno;
  return found.words == FuseHandle(node).words ? 0 : ESTALE;
}

int set_times(int directory, const char* name, bool both) {
  const std::array<timespec, 2> times{timespec{0, both ? UTIME_NOW : UTIME_OMIT},
                                      timespec{0, UTIME_NOW}};
  return ::utimensat(directory, name, times.data(), AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno;
}

int modify(int directory, const char* name) {
  if (const int error = set_times(directory, name, false); error != 0) return error;
  const Descriptor file(::openat(directory, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
  // A symlink's data are its target; nobody can open it for writing.
  return file.valid() || errno == ELOOP ? 0 : errno;
}

int create_file(int directory, const char* name, bool with_data) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  const Descriptor file(::openat(directory, name, kFlags, 0644));
  if (!file.valid()) return errno;
  if (!with_data) return 0;
  const std::array<timespec, 2> times{timespec{0, UTIME_OMIT}, timespec{0, UTIME_NOW}};
  return ::futimens(file.get(), times.data()) == 0 ? 0 : errno;
}

int replace(int from, const char* name, int to, const char* new_name) {
  if (::renameat(from, name, to, new_name) != 0) return errno;

  // The kernel finds that the name leads to another node, and lets go of this one.
  look_at(to, new_name);
  return 0;
}

int Worker::poke(const Order& order) {
  // Connecting a directory fails when somebody renames one at the same time, which takes a while:
  // each attempt asks the daemon, too.
  constexpr int kAttempts = 20;
  for (int attempt = 1;; ++attempt) {
    const int error = perform(order);
    forget_numbers();
    if (error != ESTALE || !order.header.by_number || attempt == kAttempts) return error;
    ::sched_yield();
  }
}

int Worker::perform(const Order& order) {
  if (!root_.valid()) return error_;
  Descriptor parent;
  Descriptor other;
  const WorkerOrder& header = order.header;
  if (const int error = open_directory(header.parent, order.parent_path, header.by_number, parent);
      error != 0)
    return error;
  if (header.other_parent != 0)
    if (const int error =
            open_directory(header.other_parent, order.other_path, header.by_number, other);
        error != 0)
      return error;
  const auto result = [](int returned) { return returned == 0 ? 0 : errno; };
  if (other.valid()) {
    // What the kernel has in another place by now (somebody looked) comes back here; in the middle
    // of a rename across directories it could not.
    look_at(parent.get(), order.name);
    look_at(other.get(), order.other_name);
  }
  switch (header.kind) {
    case Poke::Kind::kModify:
      return modify(parent.get(), order.name);
    case Poke::Kind::kAttributes:
      return set_times(parent.get(), order.name, true);
    case Poke::Kind::kCreateFile:
      return create_file(parent.get(), order.name, false);
    case Poke::Kind::kCreateWithData:
      return create_file(parent.get(), order.name, true);
    case Poke::Kind::kCreateSymlink:
      return result(::symlinkat("-", parent.get(), order.name));
    case Poke::Kind::kMakeDirectory:
      return result(::mkdirat(parent.get(), order.name, 0755));
    case Poke::Kind::kUnlink:
      return result(::unlinkat(parent.get(), order.name, 0));
    case Poke::Kind::kRemoveDirectory:
      return result(::unlinkat(parent.get(), order.name, AT_REMOVEDIR));
    case Poke::Kind::kRename:
      return result(::renameat(parent.get(), order.name, other.get(), order.other_name));
    case Poke::Kind::kReplace:
      return replace(parent.get(), order.name, other.get(), order.other_name);
    case Poke::Kind::kExchange:
      return result(
          ::renameat2(parent.get(), order.name, other.get(), order.other_name, RENAME_EXCHANGE));
  }
  return EINVAL;
}

// Reconfiguring a filesystem prunes the entries that nobody uses from the kernel's cache
// (reconfigure_super, fs/super.c), here without a change of any option. What is open, somebody's
// working directory or watched stays.
int Worker::prune() const {
  if (!root_.valid()) return error_;
  const Descriptor context(
      static_cast<int>(::syscall(SYS_fspick, root_.get(), "", FSPICK_EMPTY_PATH | FSPICK_CLOEXEC)));
  if (!context.valid()) return errno;
  return ::syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_RECONFIGURE, nullptr, nullptr, 0) == 0
             ? 0
             : errno;
}

// False: not an order of ours.
bool decode(const char* bytes, std::size_t size, Order& order) {
  if (size < sizeof order.header) return false;
  std::memcpy(&order.header, bytes, sizeof order.header);
  const char* at = bytes + sizeof order.header;
  const char* const end = bytes + size;
  for (const char** text :
       {&order.name, &order.other_name, &order.parent_path, &order.other_path}) {
    const void* stop = std::memchr(at, '\0', static_cast<std::size_t>(end - at));
    if (stop == nullptr) return false;
    *text = at;
    at = static_cast<const char*>(stop) + 1;
  }
  return true;
}

void become_worker(int socket, pid_t daemon) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The daemon may have died between fork and prctl.
  if (::getppid() != daemon) ::_exit(0);
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  // A worker ends with its socket: a Ctrl-C for the whole process group must not end it while the
  // daemon is still stopping in order.
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE}) ::signal(number, SIG_IGN);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::prctl(PR_SET_NAME, "zkfs-events");
  ::umask(0);
  (void)::chdir("/");
  if (socket != kSocket && ::dup2(socket, kSocket) < 0) ::_exit(1);
  const int nothing = ::open("/dev/null", O_RDWR);
  for (int standard = 0; nothing >= 0 && standard < kSocket; ++standard) ::dup2(nothing, standard);
  if (::close_range(kSocket + 1, ~0U, 0) != 0) ::_exit(1);
}

std::string encode(const WorkerOrder& header, std::array<std::string_view, 4> texts) {
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
  for (const std::string_view text : texts) {
    if (text.size() >= PATH_MAX || text.find('\0') != text.npos) return {};
    bytes.append(text).push_back('\0');
  }
  return bytes;
}

}  // namespace

NumberName number_name(NodeId directory) {
  NumberName name{'\1'};
  for (std::size_t i = 1; i <= 16; ++i)
    name.at(i) = "0123456789abcdef"[directory >> (64 - 4 * i) & 0xfU];
  return name;
}

std::string encode_order(const Poke& poke) {
  const auto usable = [](const std::string& path) {
    return path.size() < PATH_MAX ? std::string_view(path) : std::string_view();
  };
  WorkerOrder header;
  header.token = poke.token;
  header.parent = poke.parent;
  header.other_parent = poke.other_parent;
  header.kind = poke.kind;
  header.by_number = poke.by_number;
  return encode(header,
                {poke.name, poke.other_name, usable(poke.parent_path), usable(poke.other_path)});
}

std::string encode_attach(std::string_view mountpoint) {
  WorkerOrder header;
  header.action = WorkerOrder::Action::kAttach;
  return encode(header, {mountpoint, "", "", ""});
}

std::string encode_detach() {
  WorkerOrder header;
  header.action = WorkerOrder::Action::kDetach;
  return encode(header, {"", "", "", ""});
}

std::string encode_prune() {
  WorkerOrder header;
  header.action = WorkerOrder::Action::kPrune;
  header.token = EventHelper::kPruneToken;
  return encode(header, {"", "", "", ""});
}

void run_event_worker(int socket, pid_t daemon) {
  become_worker(socket, daemon);
  Worker worker;
  std::array<char, kOrderBytesMax> buffer;
  for (;;) {
    const ssize_t size = ::recv(kSocket, buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) ::_exit(0);
    Order order;
    if (!decode(buffer.data(), static_cast<std::size_t>(size), order)) ::_exit(1);
    if (order.header.action == WorkerOrder::Action::kDetach) {
      worker.detach();
      continue;
    }
    WorkerDone done;
    done.token = order.header.token;
    switch (order.header.action) {
      case WorkerOrder::Action::kAttach:
        done.error = worker.attach(order.name);
        break;
      case WorkerOrder::Action::kPrune:
        done.error = worker.prune();
        break;
      default:
        done.error = worker.poke(order);
    }
    if (::send(kSocket, &done, sizeof done, MSG_NOSIGNAL) != sizeof done) ::_exit(0);
  }
}

}  // namespace zkfs::mount
