// SPDX-License-Identifier: Apache-2.0
#include "mount/reply.h"

#include <algorithm>
#include <cerrno>

#include "ensemble/base/check.h"
#include "ensemble/base/log.h"

namespace zkfs::mount {

Reply::~Reply() {
  if (request_ == nullptr) return;
  ZKFS_LOG_ERROR(mount, "request of pid={} was dropped unanswered", pid());
  error(EIO);
}

fuse_req_t Reply::take() {
  ZKFS_CHECK(request_ != nullptr, "a request was answered twice");
  fuse_req_t request = std::exchange(request_, nullptr);
  if (interrupted_) {
    fuse_req_interrupt_func(request, nullptr, nullptr);
    interrupted_.reset();
  }
  return request;
}

// What libfuse returns is ignored throughout: the caller may have been killed meanwhile (ENOENT) or
// the mount be gone (ENODEV); there is nobody left to tell.

void Reply::error(int error) {
  fuse_reply_err(take(), error);
}

void Reply::entry(const fuse_entry_param& entry) {
  fuse_reply_entry(take(), &entry);
}

void Reply::create(const fuse_entry_param& entry, const fuse_file_info& info) {
  fuse_reply_create(take(), &entry, &info);
}

void Reply::attr(const struct stat& attr) {
  fuse_reply_attr(take(), &attr, 0.0);
}

void Reply::open(const fuse_file_info& info) {
  fuse_reply_open(take(), &info);
}

void Reply::write(std::size_t count) {
  fuse_reply_write(take(), count);
}

void Reply::bytes(std::string_view bytes) {
  fuse_reply_buf(take(), bytes.data(), bytes.size());
}

void Reply::readlink(const char* target) {
  fuse_reply_readlink(take(), target);
}

void Reply::statfs(const struct statvfs& statistics) {
  fuse_reply_statfs(take(), &statistics);
}

void Reply::lock(const struct flock& lock) {
  fuse_reply_lock(take(), &lock);
}

void Reply::ioctl(std::string_view answer) {
  fuse_reply_ioctl(take(), 0, answer.data(), answer.size());
}

void Reply::xattr(std::string_view value, std::size_t size) {
  if (size == 0) {
    fuse_reply_xattr(take(), value.size());
  } else if (size < value.size()) {
    error(ERANGE);
  } else {
    bytes(value);
  }
}

std::vector<gid_t> Reply::groups() const {
  if (uid() == 0) return {};
  std::vector<gid_t> list(64);
  int count = fuse_req_getgroups(request_, static_cast<int>(list.size()), list.data());
  if (count > static_cast<int>(list.size())) {
    list.resize(static_cast<std::size_t>(count));
    count = fuse_req_getgroups(request_, count, list.data());
  }
  list.resize(count < 0 ? 0 : std::min(static_cast<std::size_t>(count), list.size()));
  if (std::find(list.begin(), list.end(), gid()) == list.end()) list.push_back(gid());
  return list;
}

void Reply::on_interrupt(std::function<void()> interrupted) {
  interrupted_ = std::make_unique<std::function<void()>>(std::move(interrupted));
  const auto call = [](fuse_req_t, void* function) {
    (*static_cast<std::function<void()>*>(function))();
  };
  fuse_req_interrupt_func(request_, call, interrupted_.get());
}

}  // namespace zkfs::mount
