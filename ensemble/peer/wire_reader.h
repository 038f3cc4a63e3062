// SPDX-License-Identifier: Apache-2.0
// WireReader: walks the fields of one protobuf message in place. For the codec only. Refuses what
// is not well-formed: truncated fields, varints over 64 bits, field number 0, groups.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "ensemble/base/blob.h"

namespace zkfs::peer {

enum class WireType : std::uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct WireField {
  std::uint32_t field = 0;
  WireType type = WireType::kVarint;
  std::uint64_t number = 0;  // of a varint or a fixed field
  ByteView bytes;            // of a length-delimited field

  [[nodiscard]] bool is(std::uint32_t wanted, WireType of_type) const {
    return field == wanted && type == of_type;
  }
};

class WireReader {
 public:
  explicit WireReader(ByteView bytes) : rest_(bytes) {}

  // Reads the next field into `to`; false at the end and after an error, which good() tells apart.
  bool next(WireField& to) {
    if (rest_.empty()) return false;
    std::uint64_t key = 0;
    if (!varint(key) || key >> 3U == 0 || key >> 32U != 0) return fail();
    to.field = static_cast<std::uint32_t>(key >> 3U);
    to.type = static_cast<WireType>(key & 7U);
    return value(to) || fail();
  }

  [[nodiscard]] bool good() const { return good_; }

  [[nodiscard]] bool at_end() const { return good_ && rest_.empty(); }

 private:
  static_assert(std::endian::native == std::endian::little);

  bool fail() {
    good_ = false;
    rest_ = {};
    return false;
  }

  bool value(WireField& to) {
    switch (to.type) {
      case WireType::kVarint:
        return varint(to.number);
      case WireType::kFixed64:
        return fixed(to, 8);
      case WireType::kFixed32:
        return fixed(to, 4);
      case WireType::kBytes: {
        std::uint64_t length = 0;
        if (!varint(length) || length > rest_.size()) return false;
        to.bytes = ByteView(rest_.data(), length);
        rest_.remove_prefix(length);
        return true;
      }
    }
    return false;
  }

  bool fixed(WireField& to, std::size_t width) {
    if (rest_.size() < width) return false;
    to.number = 0;
    std::memcpy(&to.number, rest_.data(), width);
    rest_.remove_prefix(width);
    return true;
  }

  bool varint(std::uint64_t& to) {
    if (!rest_.empty() && static_cast<std::uint8_t>(rest_[0]) < 0x80) [[likely]] {
      to = static_cast<std::uint8_t>(rest_[0]);
      rest_.remove_prefix(1);
      return true;
    }
    return long_varint(to);
  }

  bool long_varint(std::uint64_t& to) {
    to = 0;
    for (unsigned i = 0; i < 10 && i < rest_.size(); ++i) {
      const auto byte = static_cast<std::uint8_t>(rest_[i]);
      if (i == 9 && byte > 1) return false;
      to |= static_cast<std::uint64_t>(byte & 0x7fU) << (7 * i);
      if (byte >= 0x80) continue;
      rest_.remove_prefix(i + 1);
      return true;
    }
    return false;
  }

  ByteView rest_;
  bool good_ = true;
};

}  // namespace zkfs::peer
