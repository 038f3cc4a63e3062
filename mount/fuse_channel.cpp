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

// The reply to INIT is the only one of its size, and the first.
ssize_t write_reply(int fd, struct iovec* parts, int count, void* /*user*/) {
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

void FuseChannel::serve() {
  wait();
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
  fuse_session_process_buf(session_, &buffer_);
  return true;
}

}  // namespace zkfs::mount
