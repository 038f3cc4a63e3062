// SPDX-License-Identifier: Apache-2.0
// FuseChannel: /dev/fuse on the core thread's event loop. libfuse decodes requests and encodes
// replies; reading, batching and the mount itself are ours: mounting by ourselves lets the reply to
// INIT be completed (libfuse 3.14 never asks for parallel directory operations, without which one
// waiting look-up holds up `ls`; reference/fuse.md 3.5), and reading without blocking needs no
// thread. The connection ends when this is destroyed: the kernel then fails what is unanswered.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <fuse3/fuse_lowlevel.h>

#include "ensemble/base/error.h"

namespace zkfs::mount {

class FuseChannel {
 public:
  // Takes over `fd` (non-blocking, mounted or about to be). `user` is what the operations get as
  // user data. `ended` is called (once, from the event loop) when the filesystem is unmounted or
  // the connection aborted.
  static Expected<std::unique_ptr<FuseChannel>> open(asio::io_context& context,
                                                     int fd,
                                                     const fuse_lowlevel_ops& operations,
                                                     void* user,
                                                     std::function<void()> ended);
  ~FuseChannel();
  FuseChannel(const FuseChannel&) = delete;
  FuseChannel& operator=(const FuseChannel&) = delete;

  // Answers the kernel's INIT, waiting for it (it is there once mount(2) has returned). Fails if
  // the kernel does not send one, or speaks a protocol too old.
  Expected<void> answer_init();
  // Instead, on a connection that another daemon began: `init` is what it was asked. Whatever that
  // one had taken and not answered comes again.
  Expected<void> take_over(std::string_view init);

  // The kernel's INIT request, as it came.
  [[nodiscard]] const std::string& init() const { return init_; }

  // Serves requests from the event loop until destroyed, or paused.
  void serve();
  // No further request is taken; the kernel keeps them.
  void pause();
  // A copy of the descriptor that survives exec.
  [[nodiscard]] Expected<int> inheritable() const;

  // What the filesystem asks for in INIT; to be called from fuse_lowlevel_ops::init.
  static void negotiate(fuse_conn_info& connection);

 private:
  FuseChannel(asio::io_context& context, std::function<void()> ended);

  [[nodiscard]] int session_fd() const;
  void wait();
  // Handles requests until there are none, or enough for one turn of the loop.
  void pump();
  // One request. False if there is none.
  bool receive();

  asio::posix::stream_descriptor descriptor_;  // a duplicate: libfuse closes its own
  std::function<void()> ended_;
  fuse_session* session_ = nullptr;
  fuse_buf buffer_{};
  std::string init_;
  bool paused_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace zkfs::mount
