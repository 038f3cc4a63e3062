// SPDX-License-Identifier: Apache-2.0
// Jute: the encoding of ZooKeeper's wire and files (reference/zookeeper.md 1.2). Big-endian; a
// record is its fields one after the other, so a reader must know what comes. Null (length -1) and
// empty are different values, for strings, buffers and vectors alike.
//
// Strings are bytes: Java writes characters beyond U+FFFF in another way than C and Python do, and
// both must come out as they went in. Whether a path is well-formed is tree/path.h's affair.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ensemble/base/blob.h"

namespace zkfs::jute {

// Reads one record out of bytes that somebody else owns; what it returns points into them. After
// the first thing that is not there or not well-formed everything reads as 0, false and empty, and
// good() is false: callers read a whole record and ask once.
class Reader {
 public:
  explicit Reader(ByteView bytes) : rest_(bytes) {}

  [[nodiscard]] bool good() const { return good_; }

  // True if nothing is left. (What follows a request's last field is ignored, by ZooKeeper too.)
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

  [[nodiscard]] ByteView rest() const { return rest_; }

  // Makes good() false.
  void fail() {
    good_ = false;
    rest_ = {};
  }

  std::uint8_t read_byte();

  // Any byte but 0 is true.
  bool read_bool() { return read_byte() != 0; }

  std::int32_t read_int();
  std::int64_t read_long();
  // Nothing: null. A length below -1 or beyond what is left is not well-formed.
  std::optional<ByteView> read_buffer();

  std::optional<std::string_view> read_string() { return read_buffer(); }

  // Where null means the same as empty.
  std::string_view read_text() { return read_string().value_or(std::string_view{}); }

  // The count of a vector whose elements take at least `element_bytes_min` each (so that a count
  // that cannot be is refused before anything is allocated). Nothing: null.
  std::optional<std::size_t> read_count(std::size_t element_bytes_min);

 private:
  ByteView take(std::size_t count);

  ByteView rest_;
  bool good_ = true;
};

// Appends to a string.
class Writer {
 public:
  // `out` outlives it.
  explicit Writer(std::string& out) : out_(out) {}

  void write_byte(std::uint8_t value) { out_.push_back(static_cast<char>(value)); }

  void write_bool(bool value) { write_byte(value ? 1 : 0); }

  void write_int(std::int32_t value);
  void write_long(std::int64_t value);
  void write_buffer(ByteView bytes);

  void write_string(std::string_view text) { write_buffer(text); }

  void write_count(std::size_t count) { write_int(static_cast<std::int32_t>(count)); }

  // Of a string, a buffer or a vector.
  void write_null() { write_int(-1); }

 private:
  std::string& out_;
};

}  // namespace zkfs::jute
