// SPDX-License-Identifier: Apache-2.0
#include "ensemble/tree/node_pool.h"

#include <cstdlib>
#include <new>

#include "ensemble/base/check.h"
#include "ensemble/base/limits.h"

namespace zkfs::tree {

static_assert(limits::kNameBytesMax <= 255, "NodeName keeps its size in one byte");

NodeName::NodeName(std::string_view name) : size_(static_cast<std::uint8_t>(name.size())) {
  ZKFS_CHECK(name.size() <= limits::kNameBytesMax, "a name of {} bytes", name.size());
  char* to = bytes_.data();
  if (name.size() > kInlineBytes) {
    to = static_cast<char*>(std::malloc(name.size()));
    if (to == nullptr) throw std::bad_alloc();
    std::memcpy(bytes_.data(), &to, sizeof to);
  }
  if (!name.empty()) std::memcpy(to, name.data(), name.size());
}

NodeName::~NodeName() {
  if (size_ > kInlineBytes) std::free(outside());
}

Slot NodePool::allocate() {
  if (first_free_ != kNoSlot) {
    const Slot slot = first_free_;
    first_free_ = std::exchange((*this)[slot].next_sibling, kNoSlot);
    return slot;
  }
  ZKFS_CHECK(end_ < kNoSlot - 1, "{} znodes", end_);
  if (end_ % kChunkNodes == 0) chunks_.push_back(std::make_unique<Node[]>(kChunkNodes));
  return end_++;
}

void NodePool::free(Slot slot) {
  Node& node = (*this)[slot];
  node = Node{};
  node.next_sibling = std::exchange(first_free_, slot);
}

void SlotList::append(NodePool& pool, Slot slot) {
  pool[slot].list_previous = last;
  (last == kNoSlot ? first : pool[last].list_next) = slot;
  last = slot;
  ++size;
}

void SlotList::remove(NodePool& pool, Slot slot) {
  Node& node = pool[slot];
  (node.list_previous == kNoSlot ? first : pool[node.list_previous].list_next) = node.list_next;
  (node.list_next == kNoSlot ? last : pool[node.list_next].list_previous) = node.list_previous;
  node.list_next = node.list_previous = kNoSlot;
  --size;
}

}  // namespace zkfs::tree
