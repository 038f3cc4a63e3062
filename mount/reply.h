// SPDX-License-Identifier: Apache-2.0
// Reply: the duty to answer one FUSE request, exactly once. Move-only; one that is destroyed
// unanswered answers EIO and logs an error (a request that is never answered leaves a process that
// even SIGKILL cannot free). May be answered at once or much later, on the core thread.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <fuse3/fuse_lowlevel.h>

namespace zkfs::mount {

class Reply {
 public:
  Reply() = default;

  explicit Reply(fuse_req_t request) : request_(request) {}

  Reply(Reply&& other) noexcept
      : request_(std::exchange(other.request_, nullptr)),
        interrupted_(std::move(other.interrupted_)) {}

  Reply& operator=(Reply&& other) noexcept {
    std::swap(request_, other.request_);
    std::swap(interrupted_, other.interrupted_);
    return *this;
  }

  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;
  ~Reply();

  [[nodiscard]] bool pending() const { return request_ != nullptr; }

  // The caller, as the kernel tells it. pid is the thread's id in the mount's pid namespace, 0
  // where there is none (RELEASE).
  [[nodiscard]] pid_t pid() const { return fuse_req_ctx(request_)->pid; }

  [[nodiscard]] uid_t uid() const { return fuse_req_ctx(request_)->uid; }

  [[nodiscard]] gid_t gid() const { return fuse_req_ctx(request_)->gid; }

  [[nodiscard]] mode_t umask() const { return fuse_req_ctx(request_)->umask; }

  // `error` is an errno, 0 for success.
  void error(int error);

  void ok() { error(0); }

  void entry(const fuse_entry_param& entry);
  void create(const fuse_entry_param& entry, const fuse_file_info& info);
  void attr(const struct stat& attr);
  void open(const fuse_file_info& info);
  void write(std::size_t count);
  void bytes(std::string_view bytes);
  void readlink(const char* target);
  void statfs(const struct statvfs& statistics);
  void lock(const struct flock& lock);
  // `answer` goes to the caller's buffer; the ioctl returns 0.
  void ioctl(std::string_view answer);
  // getxattr and listxattr: answers the size if `size` is 0, ERANGE if it is too small, else the
  // bytes.
  void xattr(std::string_view value, std::size_t size);

  // The supplementary groups of the caller (a look into /proc); empty for root, who needs none.
  [[nodiscard]] std::vector<gid_t> groups() const;

  // `interrupted` is called (on the core thread) when a signal reaches the waiting caller, at once
  // if it has already. It must not answer the request itself (libfuse still holds it then), but
  // note it for later. Unregistered when answered.
  void on_interrupt(std::function<void()> interrupted);

 private:
  fuse_req_t take();

  fuse_req_t request_ = nullptr;
  std::unique_ptr<std::function<void()>> interrupted_;  // libfuse has its address
};

}  // namespace zkfs::mount
