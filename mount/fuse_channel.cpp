// SPDX-License-Identifier: Apache-2.0
#include "mount/fuse_channel.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <asio/post.hpp>
#include <fmt/core.h>

#include "ensemble/base/log.h"

namespace zkfs::mount {

namespace {

// Requests handled before timers and sockets get their turn.
constexpr int kBatchMax = 64;
constexpr int kInitTimeoutMs = 10'000;
constexpr unsigned kMaxWriteBytes = 1024 * 1024;
// RELEASE and other background requests the kernel keeps with us at once; 12 by default, which a
// single busy script exhausts.
constexpr unsigned kBackgroundMax = 512;

// Of the channel that takes a connection over, while libfuse is shown the INIT that the kernel had
// an answer to long ago.
thread_local bool answer_is_old = false;

// FUSE_NOTIFY_RESEND, since kernel 6.9; Debian 12's headers are older.
constexpr int kNotifyResend = 7;
constexpr std::uint32_t kHasResend = 1U << 7U;  // FUSE_HAS_RESEND, in flags2 of INIT

// The reply to INIT is the only one of its size, and the first.
ssize_t write_reply(int fd, struct iovec* parts, int count, void* /*user*/) {
  if (answer_is_old) {
    ssize_t length = 0;
    for (int i = 0; i < count; ++i) length += static_cast<ssize_t>(parts[i].iov_len);
    return length;
  }
  if (count == 2 && parts[1].iov_len == sizeof(fuse_init_out)) {
    auto* init = static_cast<fuse_init_out*>(parts[1].iov_base);
    if (init->major == FUSE_KERNEL_VERSION && init->max_write == kMaxWriteBytes) {
      init->flags |= FUSE_PARALLEL_DIROPS;
    }
  }
  return ::writev(fd, parts, count);
}

ssize_t read_request(int fd, void* buffer, std::size_t length, void* /*user*/) {
  return ::read(fd, buffer, length);
}

constexpr fuse_custom_io kIo{
    .writev = write_reply, .read = read_request, .splice_receive = nullptr, .splice_send = nullptr};

}  // namespace

FuseChannel::FuseChannel(asio::io_context& context, std::function<void()> ended)
    : descriptor_(context), ended_(std::move(ended)) {}

FuseChannel::~FuseChannel() {
  *alive_ = false;
  asio::error_code ignored;
  descriptor_.close(ignored);
  if (session_ != nullptr) fuse_session_destroy(session_);  // closes the other one
  std::free(buffer_.mem);                                   // NOLINT: libfuse allocated it
}

Expected<std::unique_ptr<FuseChannel>> FuseChannel::open(asio::io_context& context,
                                                         int fd,
                                                         const fuse_lowlevel_ops& operations,
                                                         void* user,
                                                         std::function<void()> ended) {
  std::unique_ptr<FuseChannel> channel(new FuseChannel(context, std::move(ended)));
  char name[] = "zkfs";
  char* arguments[] = {name, nullptr};
  fuse_args args = FUSE_ARGS_INIT(1, arguments);
  channel->session_ = fuse_session_new(&args, &operations, sizeof(operations), user);
  fuse_opt_free_args(&args);  // libfuse has copied and extended them
  if (channel->session_ == nullptr || fuse_session_custom_io(channel->session_, &kIo, fd) != 0) {
    ::close(fd);
    return std::unexpected(Problem{"libfuse refused to begin a session (out of memory?)"});
  }
  const int watched = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (watched < 0) {
    return std::unexpected(Problem{fmt::format("dup of /dev/fuse: {}", std::strerror(errno))});
  }
  channel->descriptor_.assign(watched);
  return channel;
}

void FuseChannel::negotiate(fuse_conn_info& connection) {
  // Everything not named is off: no writeback, no splicing, no cached symlinks; export support too,
  // so that a file handle of an inode the kernel does not hold fails without asking us.
  connection.want =
      connection.capable &
      (FUSE_CAP_ASYNC_READ | FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_ASYNC_DIO | FUSE_CAP_READDIRPLUS |
       FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_POSIX_LOCKS | FUSE_CAP_FLOCK_LOCKS);
  connection.max_write = kMaxWriteBytes;
  connection.max_readahead = 0;
  connection.max_background = kBackgroundMax;
  connection.congestion_threshold = kBackgroundMax / 4 * 3;
}

Expected<void> FuseChannel::answer_init() {
  struct pollfd ready {
    .fd = descriptor_.native_handle(), .events = POLLIN, .revents = 0
  };

  if (::poll(&ready, 1, kInitTimeoutMs) != 1 || !receive()) {
    return std::unexpected(
        Problem{"the kernel did not begin the FUSE connection; see dmesg, and try again"});
  }
  return {};
}

Expected<void> FuseChannel::take_over(std::string_view init) {
  init_ = init;
  std::string copy(init);
  fuse_buf buffer{};
  buffer.mem = copy.data();
  buffer.size = copy.size();
  answer_is_old = true;
  fuse_session_process_buf(session_, &buffer);
  answer_is_old = false;
  if (fuse_session_exited(session_) != 0) {
    return std::unexpected(Problem{"libfuse refused the connection of the daemon before this one"});
  }
  fuse_out_header resend{};
  resend.len = sizeof resend;
  resend.error = kNotifyResend;
  if (::write(descriptor_.native_handle(), &resend, sizeof resend) != sizeof resend) {
    return std::unexpected(Problem{
        fmt::format("asking the kernel for unanswered requests: {}; it must be 6.9 or newer",
                    std::strerror(errno))});
  }
  return {};
}

void FuseChannel::serve() {
  paused_ = false;
  wait();
}

void FuseChannel::pause() {
  paused_ = true;
  asio::error_code ignored;
  descriptor_.cancel(ignored);
}

Expected<int> FuseChannel::inheritable() const {
  // flags2 of fuse_init_in, behind the header: major, minor, max_readahead, flags, flags2.
  constexpr std::size_t kFlags2 = sizeof(fuse_in_header) + 4 * sizeof(std::uint32_t);
  std::uint32_t flags2 = 0;
  if (init_.size() >= kFlags2 + sizeof flags2) {
    std::memcpy(&flags2, init_.data() + kFlags2, sizeof flags2);
  }
  if ((flags2 & kHasResend) == 0) {
    return std::unexpected(Problem{
        "this kernel cannot send unanswered requests again (6.9 can): stop and start instead"});
  }
  // Without FD_CLOEXEC.
  const int copy = ::fcntl(session_fd(), F_DUPFD, 0);
  if (copy < 0) {
    return std::unexpected(Problem{fmt::format("dup of /dev/fuse: {}", std::strerror(errno))});
  }
  return copy;
}

int FuseChannel::session_fd() const {
  return const_cast<asio::posix::stream_descriptor&>(descriptor_).native_handle();
}

void FuseChannel::wait() {
  descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                         [this, alive = alive_](const asio::error_code& error) {
                           if (!error && *alive) pump();
                         });
}

void FuseChannel::pump() {
  const auto alive = alive_;
  for (int i = 0; i < kBatchMax; ++i) {
    if (paused_) return;
    const bool more = receive();
    if (!*alive) return;
    if (fuse_session_exited(session_) != 0) {
      if (ended_) std::exchange(ended_, nullptr)();
      return;
    }
    if (!more) return wait();
  }
  asio::post(descriptor_.get_executor(), [this, alive] {
    if (*alive) pump();
  });
}

bool FuseChannel::receive() {
  const int length = fuse_session_receive_buf(session_, &buffer_);
  if (length == -EINTR) return true;
  if (length <= 0) {
    if (length != -EAGAIN && length != 0) {
      ZKFS_LOG_ERROR(mount, "reading /dev/fuse: {}", std::strerror(-length));
    }
    return false;
  }
  if (init_.empty()) {
    init_.assign(static_cast<const char*>(buffer_.mem), static_cast<std::size_t>(length));
  }
  fuse_session_process_buf(session_, &buffer_);
  return true;
}

}  // namespace zkfs::mount
