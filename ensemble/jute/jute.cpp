// SPDX-License-Identifier: Apache-2.0
#include "ensemble/jute/jute.h"

#include <array>

namespace zkfs::jute {
namespace {

template <typename T>
T from_big_endian(ByteView bytes) {
  T value = 0;
  for (const char c : bytes) value = static_cast<T>(value << 8U) | static_cast<unsigned char>(c);
  return value;
}

template <typename T>
void append_big_endian(T value, std::string& out) {
  std::array<char, sizeof(T)> bytes;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    bytes[i] = static_cast<char>(value >> (8U * (sizeof(T) - 1 - i)));
  }
  out.append(bytes.data(), bytes.size());
}

}  // namespace

ByteView Reader::take(std::size_t count) {
  if (count > rest_.size()) {
    fail();
    return {};
  }
  const ByteView taken = rest_.substr(0, count);
  rest_.remove_prefix(count);
  return taken;
}

std::uint8_t Reader::read_byte() {
  return from_big_endian<std::uint8_t>(take(1));
}

std::int32_t Reader::read_int() {
  return static_cast<std::int32_t>(from_big_endian<std::uint32_t>(take(4)));
}

std::int64_t Reader::read_long() {
  return static_cast<std::int64_t>(from_big_endian<std::uint64_t>(take(8)));
}

std::optional<ByteView> Reader::read_buffer() {
  const std::int32_t size = read_int();
  if (size == -1) return std::nullopt;
  if (size < 0) {
    fail();
    return ByteView{};
  }
  return take(static_cast<std::size_t>(size));
}

std::optional<std::size_t> Reader::read_count(std::size_t element_bytes_min) {
  const std::int32_t count = read_int();
  if (count == -1) return std::nullopt;
  if (count < 0 || static_cast<std::size_t>(count) * element_bytes_min > rest_.size()) {
    fail();
    return 0;
  }
  return static_cast<std::size_t>(count);
}

void Writer::write_int(std::int32_t value) {
  append_big_endian(static_cast<std::uint32_t>(value), out_);
}

void Writer::write_long(std::int64_t value) {
  append_big_endian(static_cast<std::uint64_t>(value), out_);
}

void Writer::write_buffer(ByteView bytes) {
  write_count(bytes.size());
  out_.append(bytes);
}

}  // namespace zkfs::jute
