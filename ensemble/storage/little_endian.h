// SPDX-License-Identifier: Apache-2.0
// Fixed-width little-endian integers in byte strings: the one spelling of numbers in the binary
// files of storage.
#pragma once

#include <cstdint>
#include <string>

#include "ensemble/base/blob.h"

namespace zkfs::storage {

template <typename T>
void put_little(std::string& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    out.push_back(static_cast<char>(static_cast<unsigned char>(value >> (8U * i))));
  }
}

// Requires: `at + sizeof(T)` bytes are there.
template <typename T>
T get_little(ByteView bytes, std::size_t at) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value |= static_cast<T>(static_cast<T>(static_cast<unsigned char>(bytes[at + i])) << (8U * i));
  }
  return value;
}

}  // namespace zkfs::storage
