// SPDX-License-Identifier: Apache-2.0
// OutputQueue: encoded bytes on their way to a socket, in blocks. Appending never moves what is
// queued already (beyond one block), and one gathered write takes many blocks.
#pragma once

#include <array>
#include <cstddef>
#include <deque>
#include <span>
#include <string>
#include <utility>

#include <asio/buffer.hpp>

namespace zkfs::peer {

class OutputQueue {
 public:
  // `encode(std::string&)` appends to the string it is given.
  template <typename Encode>
  void append(Encode&& encode) {
    if (blocks_.empty() || blocks_.back().size() >= kBlockBytes) start_block();
    std::string& block = blocks_.back();
    const std::size_t before = block.size();
    std::forward<Encode>(encode)(block);
    bytes_ += block.size() - before;
  }

  [[nodiscard]] std::size_t bytes() const { return bytes_; }

  using Gathered = std::array<asio::const_buffer, 16>;

  // The oldest bytes, as many blocks as fit; valid until the next change.
  std::span<const asio::const_buffer> front(Gathered& into) const {
    std::size_t count = 0;
    for (const std::string& block : blocks_) {
      if (count == into.size()) break;
      const std::size_t skip = count == 0 ? written_ : 0;
      into[count++] = asio::const_buffer(block.data() + skip, block.size() - skip);
    }
    return std::span(into).first(count);
  }

  // Requires: count <= bytes().
  void consume(std::size_t count) {
    bytes_ -= count;
    written_ += count;
    while (!blocks_.empty() && written_ >= blocks_.front().size()) {
      written_ -= blocks_.front().size();
      recycle(std::move(blocks_.front()));
      blocks_.pop_front();
    }
  }

  void clear() {
    blocks_.clear();
    written_ = 0;
    bytes_ = 0;
  }

 private:
  static constexpr std::size_t kBlockBytes = 256 * 1024;
  static constexpr std::size_t kSpareBytesMax = 2 * 1024 * 1024;

  void start_block() { blocks_.push_back(std::exchange(spare_, {})); }

  // One block is kept, so that a link in its stride allocates nothing.
  void recycle(std::string block) {
    if (block.capacity() > kSpareBytesMax || block.capacity() <= spare_.capacity()) return;
    block.clear();
    spare_ = std::move(block);
  }

  std::deque<std::string> blocks_;
  std::string spare_;
  std::size_t written_ = 0;  // of the first block
  std::size_t bytes_ = 0;
};

}  // namespace zkfs::peer
