// SPDX-License-Identifier: Apache-2.0
#include "ensemble/base/blob.h"

#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

#include "ensemble/base/check.h"

namespace zkfs {

constinit Blob::Rep Blob::null_rep_{1, 0};

Blob Blob::null() noexcept {
  Blob result;
  result.rep_ = &null_rep_;
  return result;
}

Blob::Rep* Blob::allocate(std::size_t size) {
  ZKFS_CHECK(size <= std::numeric_limits<std::uint32_t>::max(), "a blob of {} bytes", size);
  void* memory = std::malloc(sizeof(Rep) + size);
  if (memory == nullptr) throw std::bad_alloc();
  return new (memory) Rep{1, static_cast<std::uint32_t>(size)};
}

Blob::Blob(ByteView bytes) {
  if (bytes.empty()) return;
  rep_ = allocate(bytes.size());
  std::memcpy(bytes_of(rep_), bytes.data(), bytes.size());
}

Blob Blob::concat(ByteView head, ByteView tail) {
  Blob result;
  if (head.empty() && tail.empty()) return result;
  result.rep_ = allocate(head.size() + tail.size());
  if (!head.empty()) std::memcpy(bytes_of(result.rep_), head.data(), head.size());
  if (!tail.empty()) std::memcpy(bytes_of(result.rep_) + head.size(), tail.data(), tail.size());
  return result;
}

void Blob::release() noexcept {
  if (rep_ == nullptr || rep_ == &null_rep_) return;
  if (rep_->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  rep_->~Rep();
  std::free(rep_);
}

}  // namespace zkfs
