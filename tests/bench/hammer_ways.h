// SPDX-License-Identifier: Apache-2.0
// The ways programs write a small file, for zkfs_hammer: each replaces (or extends) the whole value
// of one file, so that no reader may ever see anything but whole values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace zkfs::bench {

// A value tells who wrote it, which one it is and how long it is, all through: a part of one cannot
// be taken for another. It is one line.
std::string make_value(unsigned writer, std::uint64_t serial, std::size_t length);

constexpr std::size_t kShortestValue = 64;

struct Author {
  unsigned writer = 0;
  std::uint64_t serial = 0;
};

// Whose values `text` consists of, one after the other. Returns an empty list and says in `why` if
// it is empty or anything in it is no whole value.
std::vector<Author> authors_of(std::string_view text, std::string& why);

enum class Written {
  kYes,
  kConflict,  // ESTALE, where the way is to change only the value it has read
  kFailed,
};

// One write by one way.
struct Attempt {
  std::string directory;  // in the mount
  std::string file;       // in `directory`, the file to write
  std::string scratch;    // a file of this writer's elsewhere, which holds `value`
  std::string value;
  unsigned writer = 0;
};

struct Way {
  std::string_view name;
  std::size_t shortest;
  std::size_t longest;
  std::size_t values;  // that a reader may find: 1, or more where values are appended
  bool ordered;        // a reader sees the values of one writer in the order they were written
  bool uses_scratch;
  // Sets `why` on failure.
  Written (*write)(const Attempt& attempt, std::string& why);
};

std::span<const Way> all_ways();

}  // namespace zkfs::bench
