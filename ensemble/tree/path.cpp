// SPDX-License-Identifier: Apache-2.0
#include "ensemble/tree/path.h"

#include <array>
#include <cstdio>
#include <optional>

#include "ensemble/base/limits.h"

namespace zkfs::tree {
namespace {

struct CodePoint {
  char32_t value;
  std::size_t size;  // in bytes
};

unsigned byte_at(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

bool is_continuation(std::string_view text, std::size_t i) {
  return i < text.size() && (byte_at(text, i) & 0xc0U) == 0x80U;
}

// The code point that starts at `i`; nothing where the bytes are no shortest-form UTF-8 of at most
// three bytes. Four bytes encode U+10000 and up, all of which ZooKeeper forbids.
std::optional<CodePoint> code_point_at(std::string_view text, std::size_t i) {
  const unsigned lead = byte_at(text, i);
  if (lead < 0x80U) return CodePoint{lead, 1};
  if (lead < 0xc2U || lead >= 0xf0U || !is_continuation(text, i + 1)) return std::nullopt;
  const unsigned second = byte_at(text, i + 1) & 0x3fU;
  if (lead < 0xe0U) return CodePoint{((lead & 0x1fU) << 6U) | second, 2};
  if (!is_continuation(text, i + 2)) return std::nullopt;
  const unsigned third = byte_at(text, i + 2) & 0x3fU;
  const char32_t value = ((lead & 0x0fU) << 12U) | (second << 6U) | third;
  if (value < 0x800U) return std::nullopt;
  return CodePoint{value, 3};
}

bool is_forbidden(char32_t c) {
  return c <= 0x1fU || (c >= 0x7fU && c <= 0x9fU) || (c >= 0xd800U && c <= 0xf8ffU) ||
         (c >= 0xfff0U) || c == U'/';
}

}  // namespace

Result<void> validate_name(std::string_view name) {
  if (name.empty() || name == "." || name == "..") return std::unexpected(Error::kBadArguments);
  if (name.size() > limits::kNameBytesMax) return std::unexpected(Error::kTooLarge);
  for (std::size_t i = 0; i < name.size();) {
    const auto c = code_point_at(name, i);
    if (!c || is_forbidden(c->value)) return std::unexpected(Error::kBadArguments);
    i += c->size;
  }
  return {};
}

Result<void> validate_path(std::string_view path) {
  if (path.empty() || path.front() != '/') return std::unexpected(Error::kBadArguments);
  if (path.size() > limits::kPathBytesMax) return std::unexpected(Error::kTooLarge);
  if (path.size() == 1) return {};
  std::size_t start = 1;
  while (true) {
    const std::size_t slash = path.find('/', start);
    ZKFS_TRY(validate_name(path.substr(start, slash - start)));
    if (slash == std::string_view::npos) return {};
    start = slash + 1;
  }
}

std::string sequence_suffix(std::int32_t counter) {
  std::array<char, 16> text{};
  const int size = std::snprintf(text.data(), text.size(), "%010d", counter);
  return {text.data(), static_cast<std::size_t>(size)};
}

}  // namespace zkfs::tree
