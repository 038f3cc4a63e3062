// SPDX-License-Identifier: Apache-2.0
// Bytes as people write them, and read them in a failed test.
#pragma once

#include <cctype>
#include <cstddef>
#include <string>
#include <string_view>

namespace zkfs::client_port {

// Hexadecimal digits in pairs, and text between single quotes; blanks mean nothing:
// "00000003 '/hx' 01". `*16` after a pair repeats it: "00*16".
inline std::string bytes(std::string_view text) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == ' ') {
      ++i;
    } else if (text[i] == '\'') {
      const std::size_t end = text.find('\'', i + 1);
      out += text.substr(i + 1, end - i - 1);
      i = end + 1;
    } else if (text[i] == '*') {
      std::size_t times = 0;
      for (++i; i < text.size() && std::isdigit(static_cast<unsigned char>(text[i])) != 0; ++i)
        times = times * 10 + static_cast<std::size_t>(text[i] - '0');
      out.append(times - 1, out.back());
    } else {
      out.push_back(static_cast<char>(digit(text[i]) * 16 + digit(text[i + 1])));
      i += 2;
    }
  }
  return out;
}

inline std::string to_hex(std::string_view data) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const char c : data) {
    const auto byte = static_cast<unsigned char>(c);
    out += kDigits[byte >> 4U];
    out += kDigits[byte & 15U];
  }
  return out;
}

}  // namespace zkfs::client_port
