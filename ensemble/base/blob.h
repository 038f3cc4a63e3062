// SPDX-License-Identifier: Apache-2.0
// Blob: immutable bytes, shared by reference count. A znode's data, a transaction's bytes and an
// open file's snapshot are all the same allocation, so a read never copies and a writer never waits
// for a reader. An absent value (ZooKeeper's null, which its clients tell from an empty one) is a
// Blob too: empty, and is_null(). May be handed between threads; the bytes never change after
// construction. Overhead: one allocation with an 8-byte header; an empty Blob allocates nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>
#include <utility>

namespace zkfs {

// Bytes that somebody else owns.
using ByteView = std::string_view;

class Blob {
 public:
  Blob() = default;

  // Copies `bytes`. Requires: fewer than 4 GiB.
  explicit Blob(ByteView bytes);

  // The absent value.
  static Blob null() noexcept;

  // The two parts one after the other, copied once.
  static Blob concat(ByteView head, ByteView tail);

  Blob(const Blob& other) noexcept : rep_(other.rep_) { retain(); }

  Blob(Blob&& other) noexcept : rep_(std::exchange(other.rep_, nullptr)) {}

  Blob& operator=(const Blob& other) noexcept {
    Blob copy(other);
    std::swap(rep_, copy.rep_);
    return *this;
  }

  Blob& operator=(Blob&& other) noexcept {
    std::swap(rep_, other.rep_);
    return *this;
  }

  ~Blob() { release(); }

  [[nodiscard]] ByteView view() const {
    return rep_ == nullptr ? ByteView{} : ByteView{bytes_of(rep_), rep_->size};
  }

  [[nodiscard]] std::uint32_t size() const { return rep_ == nullptr ? 0 : rep_->size; }

  [[nodiscard]] bool empty() const { return size() == 0; }

  [[nodiscard]] bool is_null() const { return rep_ == &null_rep_; }

  // Null and empty are different values.
  friend bool operator==(const Blob& a, const Blob& b) {
    return a.view() == b.view() && a.is_null() == b.is_null();
  }

 private:
  struct Rep {
    std::atomic<std::uint32_t> references;
    std::uint32_t size;
  };

  static Rep null_rep_;  // never freed, its count means nothing

  static char* bytes_of(Rep* rep) { return reinterpret_cast<char*>(rep + 1); }

  static Rep* allocate(std::size_t size);

  void retain() const noexcept {
    if (rep_ != nullptr && rep_ != &null_rep_)
      rep_->references.fetch_add(1, std::memory_order_relaxed);
  }

  void release() noexcept;

  Rep* rep_ = nullptr;
};

}  // namespace zkfs
