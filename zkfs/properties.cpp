// SPDX-License-Identifier: Apache-2.0
#include "zkfs/properties.h"

#include <charconv>
#include <cstdint>

namespace zkfs {
namespace {

constexpr std::string_view kBlanks = " \t\f\r";

// Appends a code point as UTF-8. Surrogates cannot occur alone in a file name or host name; each
// half is written as it stands, as Java's "modified UTF-8" does.
void append_utf8(std::string& out, std::uint32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xc0U | (point >> 6U));
    out += static_cast<char>(0x80U | (point & 0x3fU));
  } else {
    out += static_cast<char>(0xe0U | (point >> 12U));
    out += static_cast<char>(0x80U | ((point >> 6U) & 0x3fU));
    out += static_cast<char>(0x80U | (point & 0x3fU));
  }
}

// Takes the escape whose character after the backslash is text[at]; returns the position after it.
std::size_t unescape(std::string_view text, std::size_t at, std::string& out) {
  switch (text[at]) {
    case 't':
      out += '\t';
      return at + 1;
    case 'n':
      out += '\n';
      return at + 1;
    case 'r':
      out += '\r';
      return at + 1;
    case 'f':
      out += '\f';
      return at + 1;
    case 'u': {
      std::uint32_t point = 0;
      const std::string_view digits = text.substr(at + 1, 4);
      const auto [end, error] =
          std::from_chars(digits.data(), digits.data() + digits.size(), point, 16);
      if (error != std::errc{} || end != digits.data() + 4) break;  // not \uXXXX: a plain u
      append_utf8(out, point);
      return at + 5;
    }
    default:
      break;
  }
  out += text[at];
  return at + 1;
}

struct LogicalLine {
  std::string text;  // with its escapes, continuation lines joined
  int line = 0;
};

bool ends_in_open_backslash(std::string_view line) {
  std::size_t count = 0;
  while (count < line.size() && line[line.size() - 1 - count] == '\\') ++count;
  return count % 2 == 1;
}

std::string_view without_leading_blanks(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  return first == std::string_view::npos ? std::string_view{} : text.substr(first);
}

std::vector<LogicalLine> logical_lines(std::string_view text) {
  std::vector<LogicalLine> lines;
  bool continued = false;
  int number = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    line = without_leading_blanks(line);
    if (!continued) {
      // A comment is never continued, and a continuation is never a comment.
      if (line.empty() || line.front() == '#' || line.front() == '!') continue;
      lines.push_back({.text = "", .line = number});
    }
    continued = ends_in_open_backslash(line);
    if (continued) line.remove_suffix(1);
    lines.back().text += line;
  }
  return lines;
}

std::string trimmed(const std::string& text) {
  constexpr std::string_view kAll = " \t\f\r\n";
  const std::size_t first = text.find_first_not_of(kAll);
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(kAll) - first + 1);
}

Property split(const LogicalLine& line) {
  Property property{.key = "", .value = "", .line = line.line};
  const std::string_view text = line.text;
  std::size_t at = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '\\' && at + 1 < text.size()) {
      at = unescape(text, at + 1, property.key);
      continue;
    }
    if (c == '=' || c == ':' || kBlanks.find(c) != std::string_view::npos) break;
    property.key += c;
    ++at;
  }
  std::string_view rest = without_leading_blanks(text.substr(at));
  if (!rest.empty() && (rest.front() == '=' || rest.front() == ':')) rest.remove_prefix(1);
  std::string value;
  for (std::size_t i = 0; i < rest.size();) {
    if (rest[i] == '\\' && i + 1 < rest.size()) {
      i = unescape(rest, i + 1, value);
    } else {
      value += rest[i++];
    }
  }
  property.value = trimmed(value);
  return property;
}

}  // namespace

std::vector<Property> parse_properties(std::string_view text) {
  std::vector<Property> properties;
  for (const LogicalLine& line : logical_lines(text)) properties.push_back(split(line));
  return properties;
}

}  // namespace zkfs
