// SPDX-License-Identifier: Apache-2.0
#include "ensemble/server/acl_check.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "ensemble/base/limits.h"

namespace zkfs::server {
namespace {

struct Address {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  unsigned bits = 0;  // 32 or 128
};

// An IPv4 address in IPv6 clothes, as a listener for both families tells it, is the IPv4 address.
std::optional<Address> parse_address(std::string_view text) {
  const std::string terminated(text);
  Address address;
  if (inet_pton(AF_INET, terminated.c_str(), address.bytes.data()) == 1) {
    address.bits = 32;
    return address;
  }
  if (inet_pton(AF_INET6, terminated.c_str(), address.bytes.data()) != 1) return std::nullopt;
  address.bits = 128;
  constexpr std::array<unsigned char, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (!std::equal(kMapped.begin(), kMapped.end(), address.bytes.begin())) return address;
  Address four;
  four.bits = 32;
  std::copy_n(address.bytes.begin() + kMapped.size(), 4, four.bytes.begin());
  return four;
}

bool have_equal_prefix(const Address& a, const Address& b, unsigned bits) {
  const unsigned whole = bits / 8;
  if (!std::equal(a.bytes.begin(), a.bytes.begin() + whole, b.bytes.begin())) return false;
  if (bits % 8 == 0) return true;
  const auto mask = static_cast<unsigned char>(0xff00U >> (bits % 8));
  return ((a.bytes.at(whole) ^ b.bytes.at(whole)) & mask) == 0;
}

// `range` is an address or address/bits.
bool is_in_range(std::string_view range, std::string_view peer) {
  const std::size_t slash = range.find('/');
  const auto network = parse_address(range.substr(0, slash));
  const auto address = parse_address(peer);
  if (!network || !address || network->bits != address->bits) return false;
  unsigned bits = network->bits;
  if (slash != std::string_view::npos) {
    std::from_chars(range.data() + slash + 1, range.data() + range.size(), bits);
  }
  return have_equal_prefix(*network, *address, std::min(bits, network->bits));
}

bool matches(const tree::AclEntry& entry, const AuthId& id) {
  if (entry.scheme != id.scheme) return false;
  return entry.scheme == "ip" ? is_in_range(entry.id, id.id) : entry.id == id.id;
}

bool is_of_processes(std::string_view scheme) {
  return scheme == "user" || scheme == "group";
}

bool matches(const tree::AclEntry& entry, const Identity& identity) {
  if (entry.scheme == "world") return entry.id == "anyone";
  if (identity.client) {
    return !is_of_processes(entry.scheme) &&
           std::any_of(identity.client->begin(), identity.client->end(),
                       [&](const AuthId& id) { return matches(entry, id); });
  }
  if (entry.scheme == "user") return entry.id == std::to_string(identity.uid);
  if (entry.scheme != "group") return false;
  return std::any_of(identity.gids.begin(), identity.gids.end(),
                     [&](std::uint32_t gid) { return entry.id == std::to_string(gid); });
}

// An address is nothing that somebody has proven, and `super` is never stored.
bool stands_for_auth(const AuthId& id) {
  return id.scheme == "digest" || id.scheme == "x509" || id.scheme == "sasl";
}

// What an `auth` entry becomes.
tree::AclList expand_auth(std::uint32_t permissions, const Identity& identity) {
  if (!identity.client) return {{permissions, "user", std::to_string(identity.uid)}};
  tree::AclList expanded;
  for (const AuthId& id : *identity.client) {
    if (stands_for_auth(id)) expanded.push_back({permissions, id.scheme, id.id});
  }
  return expanded;
}

}  // namespace

bool is_almighty(const Identity& identity) {
  if (!identity.client) return identity.uid == 0;
  return std::any_of(identity.client->begin(), identity.client->end(),
                     [](const AuthId& id) { return id.scheme == "super"; });
}

bool acl_allows(const tree::AclList& acl, const Identity& identity, std::uint32_t permission) {
  if (acl.empty()) return true;
  const bool granted = std::any_of(acl.begin(), acl.end(), [&](const tree::AclEntry& entry) {
    return (entry.permissions & permission) != 0 && matches(entry, identity);
  });
  return granted || is_almighty(identity);
}

Result<tree::AclList> acl_to_store(const tree::AclList& acl, const Identity& identity) {
  tree::AclList stored;
  stored.reserve(acl.size());
  std::set<tree::AclEntry> seen;
  std::size_t bytes = 0;
  const auto store = [&](tree::AclEntry entry) {
    if (!seen.insert(entry).second) return;
    bytes += entry.scheme.size() + entry.id.size();
    stored.push_back(std::move(entry));
  };
  for (const tree::AclEntry& entry : acl) {
    // No log entry takes it: what an `auth` stands for may be long, and there may be many.
    if (bytes > limits::kEntryBytesMax) return std::unexpected(Error::kTooLarge);
    if (entry.scheme != "auth") {
      store(entry);
      continue;
    }
    tree::AclList expanded = expand_auth(entry.permissions, identity);
    if (expanded.empty()) return std::unexpected(Error::kInvalidAcl);
    for (tree::AclEntry& one : expanded) store(std::move(one));
  }
  ZKFS_TRY(tree::validate_acl(stored));
  return stored;
}

tree::AclList masked_acl(const tree::AclList& acl) {
  tree::AclList masked = acl;
  for (tree::AclEntry& entry : masked) {
    if (entry.scheme == "digest") entry.id = entry.id.substr(0, entry.id.find(':')) + ":x";
  }
  return masked;
}

}  // namespace zkfs::server
