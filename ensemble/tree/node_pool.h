// SPDX-License-Identifier: Apache-2.0
// How a znode lies in memory: 152 bytes in a chunk of 512, addressed by a 32-bit slot, names of up
// to 18 bytes inside. Chunks never move and are never given back; freed slots are used again. Knows
// no rules of the tree.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "ensemble/base/blob.h"
#include "ensemble/base/clock.h"
#include "ensemble/base/ids.h"
#include "ensemble/tree/slot_table.h"
#include "ensemble/tree/txn.h"

namespace zkfs::tree {

// A name of at most 255 bytes: short ones inside, longer ones in an allocation whose address takes
// their place.
class NodeName {
 public:
  NodeName() = default;
  explicit NodeName(std::string_view name);

  NodeName(const NodeName& other) : NodeName(other.view()) {}

  NodeName(NodeName&& other) noexcept { swap(other); }

  NodeName& operator=(NodeName other) noexcept {
    swap(other);
    return *this;
  }

  ~NodeName();

  [[nodiscard]] std::string_view view() const {
    return {size_ > kInlineBytes ? outside() : bytes_.data(), size_};
  }

 private:
  static constexpr std::size_t kInlineBytes = 18;

  void swap(NodeName& other) noexcept {
    std::swap(size_, other.size_);
    std::swap(bytes_, other.bytes_);
  }

  // The address is copied out: it need not lie aligned.
  [[nodiscard]] char* outside() const {
    char* address = nullptr;
    std::memcpy(&address, bytes_.data(), sizeof address);
    return address;
  }

  std::uint8_t size_ = 0;
  std::array<char, kInlineBytes> bytes_{};
};

// Members in the order of their alignment; every 8 bytes here are 8 MB in a tree of a million.
struct Node {
  Ino ino;  // 0: the slot is free, and next_sibling chains to the next free one
  Zxid czxid, mzxid, pzxid;
  WallMillis ctime = 0, mtime = 0, change_time = 0;
  std::uint64_t owner_or_ttl = 0;   // kEphemeral: the session; kTtl: ttl_ms; else 0
  std::uint64_t data_checksum = 0;  // of `data`, so that a change of the stat need not read it
  Blob data;
  Slot parent = kNoSlot;  // kNoSlot: the root
  Slot first_child = kNoSlot, last_child = kNoSlot;
  Slot next_sibling = kNoSlot, previous_sibling = kNoSlot;
  // Neighbours in a SlotList: ephemerals of one owner; containers and TTL znodes.
  Slot list_next = kNoSlot, list_previous = kNoSlot;
  std::uint32_t acl = 0;  // in the AclTable
  std::uint32_t num_children = 0;
  std::uint32_t subdirectories = 0;
  std::int32_t version = 0, aversion = 0, create_counter = 0;
  NodeType type : 2 = NodeType::kPersistent;
  NodeKind kind : 2 = NodeKind::kUnspecified;
  bool executable : 1 = false;
  bool touched : 1 = false;  // by the txn being applied
  NodeName name;

  [[nodiscard]] bool is_directory() const {
    return kind == NodeKind::kDirectory || type == NodeType::kContainer ||
           (kind == NodeKind::kUnspecified && create_counter != 0);
  }
};

static_assert(sizeof(Node) == 152);

class NodePool {
 public:
  // A default Node, and where it lies. Requires: fewer than 2^32 - 2 nodes.
  Slot allocate();
  // Destroys what the node holds.
  void free(Slot slot);

  Node& operator[](Slot slot) { return chunks_[slot / kChunkNodes][slot % kChunkNodes]; }

  const Node& operator[](Slot slot) const {
    return chunks_[slot / kChunkNodes][slot % kChunkNodes];
  }

  // Slots ever handed out lie below this; the free ones among them have ino 0.
  [[nodiscard]] Slot end() const { return end_; }

 private:
  static constexpr Slot kChunkNodes = 512;

  std::vector<std::unique_ptr<Node[]>> chunks_;
  Slot end_ = 0;
  Slot first_free_ = kNoSlot;
};

// A doubly linked list through list_next and list_previous. A node is in one list at most.
struct SlotList {
  Slot first = kNoSlot;
  Slot last = kNoSlot;
  std::uint32_t size = 0;

  void append(NodePool& pool, Slot slot);
  void remove(NodePool& pool, Slot slot);
};

}  // namespace zkfs::tree
