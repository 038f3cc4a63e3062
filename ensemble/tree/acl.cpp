// SPDX-License-Identifier: Apache-2.0
#include "ensemble/tree/acl.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace zkfs::tree {
namespace {

struct Letter {
  char letter;
  std::uint32_t bit;
};

constexpr std::array<Letter, 5> kLetters{{{'c', Permissions::kCreate},
                                          {'d', Permissions::kDelete},
                                          {'r', Permissions::kRead},
                                          {'w', Permissions::kWrite},
                                          {'a', Permissions::kAdmin}}};

std::optional<std::uint32_t> parse_permissions(std::string_view text) {
  std::uint32_t bits = 0;
  for (const char c : text) {
    const auto* known =
        std::find_if(kLetters.begin(), kLetters.end(), [c](Letter l) { return l.letter == c; });
    if (known == kLetters.end()) return std::nullopt;
    bits |= known->bit;
  }
  return bits;
}

// Digits only and no leading zero: ids are compared as text, so a number must have one form.
template <typename T>
bool is_number(std::string_view text, T max) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && value <= max &&
         (text.size() == 1 || text.front() != '0');
}

// address or address/bits, IPv4 or IPv6; an IPv4 address in IPv6 clothes would never match a peer
// and is refused.
bool is_address(std::string_view id) {
  const std::size_t slash = id.find('/');
  const std::string address(id.substr(0, slash));
  if (address.find('\0') != std::string::npos) return false;
  std::array<unsigned char, sizeof(in6_addr)> raw{};
  unsigned bits_max = 32;
  if (inet_pton(AF_INET, address.c_str(), raw.data()) != 1) {
    if (inet_pton(AF_INET6, address.c_str(), raw.data()) != 1) return false;
    in6_addr six{};
    std::copy(raw.begin(), raw.end(), std::begin(six.s6_addr));
    if (IN6_IS_ADDR_V4MAPPED(&six)) return false;
    bits_max = 128;
  }
  return slash == std::string_view::npos || is_number<unsigned>(id.substr(slash + 1), bits_max);
}

bool is_valid(const AclEntry& entry) {
  const std::string_view id = entry.id;
  if (entry.scheme == "world") return id == "anyone";
  if (entry.scheme == "user" || entry.scheme == "group") {
    return is_number<std::uint32_t>(id, 0xfffffffeU);
  }
  if (entry.scheme == "ip") return is_address(id);
  // A user, who may have no name, and a hash.
  if (entry.scheme == "digest")
    return std::count(id.begin(), id.end(), ':') == 1 && !id.ends_with(':');
  if (entry.scheme == "auth") return true;
  return (entry.scheme == "x509" || entry.scheme == "sasl") && !id.empty();
}

// scheme:id:permissions; nothing if it has not this shape.
std::optional<AclEntry> parse_entry(std::string_view text) {
  const std::size_t first = text.find(':');
  const std::size_t last = text.rfind(':');
  if (first == last) return std::nullopt;
  const auto permissions = parse_permissions(text.substr(last + 1));
  if (!permissions) return std::nullopt;
  return AclEntry{*permissions, std::string(text.substr(0, first)),
                  std::string(text.substr(first + 1, last - first - 1))};
}

// Takes the first entry off `text`. An id may contain commas (an x509 subject does), so an entry
// ends at the first comma at which it has the shape of one.
std::optional<AclEntry> take_entry(std::string_view& text) {
  for (std::size_t end = text.find(',');; end = text.find(',', end + 1)) {
    auto entry = parse_entry(text.substr(0, end));
    if (end == std::string_view::npos) {
      text = {};
      return entry;
    }
    if (!entry) continue;
    text.remove_prefix(end + 1);
    // A comma at the very end announces an entry that is not there; leave something that is none.
    if (text.empty()) text = ",";
    return entry;
  }
}

}  // namespace

AclList open_acl() {
  return {AclEntry{Permissions::kAll, "world", "anyone"}};
}

bool anyone_may_read(const AclList& acl) {
  return acl.empty() || std::any_of(acl.begin(), acl.end(), [](const AclEntry& entry) {
           return (entry.permissions & Permissions::kRead) != 0 && entry.scheme == "world" &&
                  entry.id == "anyone";
         });
}

std::string to_text(const AclList& acl) {
  std::string text;
  for (const AclEntry& entry : acl) {
    if (!text.empty()) text += ',';
    text.append(entry.scheme).append(":").append(entry.id).append(":");
    for (const Letter l : kLetters) {
      if ((entry.permissions & l.bit) != 0) text += l.letter;
    }
  }
  return text;
}

Result<AclList> parse_acl(std::string_view text) {
  AclList acl;
  while (!text.empty()) {
    auto entry = take_entry(text);
    if (!entry) return std::unexpected(Error::kInvalidAcl);
    if (std::find(acl.begin(), acl.end(), *entry) == acl.end()) acl.push_back(std::move(*entry));
  }
  ZKFS_TRY(validate_acl(acl));
  return acl;
}

Result<void> validate_acl(const AclList& acl) {
  if (acl.empty() || !std::all_of(acl.begin(), acl.end(), is_valid)) {
    return std::unexpected(Error::kInvalidAcl);
  }
  return {};
}

}  // namespace zkfs::tree
