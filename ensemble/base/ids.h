// SPDX-License-Identifier: Apache-2.0
// Identifiers. Each is a type of its own, so that an epoch cannot be passed where a zxid is meant;
// the compiler checks what a glossary could only ask for. All are plain values without invariants
// beyond those stated here.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

#include <fmt/core.h>

namespace zkfs {

// A distinct integer type. `Tag` names it; `Rep` is the number inside.
template <typename Tag, typename Rep>
struct Tagged {
  using rep = Rep;
  Rep value{};

  constexpr Tagged() = default;

  constexpr explicit Tagged(Rep v) : value(v) {}

  friend constexpr auto operator<=>(const Tagged&, const Tagged&) = default;

  constexpr explicit operator bool() const { return value != 0; }
};

// The identity of a server in the ensemble: `myid`, 1..255. 0 means none.
using ServerId = Tagged<struct ServerIdTag, std::uint32_t>;
// A period with one leader; the high half of every zxid proposed in it. 0 is before the first
// election.
using Epoch = Tagged<struct EpochTag, std::uint32_t>;
// A session of the ensemble. 0 means none. The top byte is the id of the server that allocated it.
using SessionId = Tagged<struct SessionIdTag, std::uint64_t>;
// The number of a request within its session, counted from 1 in the order of submission. 0 means
// none.
using Xid = Tagged<struct XidTag, std::uint64_t>;
// A znode's replicated identity: assigned by the leader, equal on every server, kept across
// renames, never used twice. 0 means none; the root is kRootIno.
using Ino = Tagged<struct InoTag, std::uint64_t>;
inline constexpr Ino kRootIno{1};
// The znodes that ZooKeeper has in every tree (reference/zookeeper.md 3.2): /zookeeper,
// /zookeeper/quota, /zookeeper/config. Their numbers lie above all that are ever assigned, and
// below the bits that the mount sets for itself (mount/node_id.h).
inline constexpr Ino kZookeeperIno{(1ULL << 59U) | 1U};
inline constexpr Ino kQuotaIno{(1ULL << 59U) | 2U};
inline constexpr Ino kConfigIno{(1ULL << 59U) | 3U};

// True for these three, which nobody can remove, move or turn into something else.
constexpr bool is_system(Ino ino) {
  return ino >= kZookeeperIno && ino <= kConfigIno;
}

// True if a znode has, or once had, this number in a tree that will assign `next` next.
constexpr bool was_assigned(Ino ino, Ino next) {
  return is_system(ino) || (ino && ino < next);
}

// A transaction's position in the one total order: the epoch in the high half, a counter in the low
// half. The first transaction of an epoch has counter 1; counter 0 stands for "epoch begins" (ACK
// of NEWLEADER) and is never logged.
struct Zxid {
  std::uint64_t value = 0;

  static constexpr std::uint32_t kCounterMax = 0xffffffffU;

  constexpr Zxid() = default;

  constexpr explicit Zxid(std::uint64_t v) : value(v) {}

  constexpr Zxid(Epoch epoch, std::uint32_t counter)
      : value((static_cast<std::uint64_t>(epoch.value) << 32U) | counter) {}

  [[nodiscard]] constexpr Epoch epoch() const {
    return Epoch{static_cast<std::uint32_t>(value >> 32U)};
  }

  [[nodiscard]] constexpr std::uint32_t counter() const {
    return static_cast<std::uint32_t>(value);
  }

  friend constexpr auto operator<=>(const Zxid&, const Zxid&) = default;
};

// True if a log may hold `next` directly after `previous`: the next counter of the same epoch, or
// the first of a later one (ZOOKEEPER-4925: a hole in a history must be refused where it would be
// made).
constexpr bool follows(Zxid previous, Zxid next) {
  if (next.counter() == 0) return false;  // never logged; and the counter does not wrap
  return next.epoch() == previous.epoch() ? next.counter() == previous.counter() + 1
                                          : next.epoch() > previous.epoch() && next.counter() == 1;
}

}  // namespace zkfs

template <typename Tag, typename Rep>
struct std::hash<zkfs::Tagged<Tag, Rep>> {
  std::size_t operator()(const zkfs::Tagged<Tag, Rep>& id) const noexcept {
    return std::hash<Rep>{}(id.value);
  }
};

template <>
struct std::hash<zkfs::Zxid> {
  std::size_t operator()(const zkfs::Zxid& z) const noexcept {
    return std::hash<std::uint64_t>{}(z.value);
  }
};

// In decimal; {:#x} in hexadecimal. (Not derived from formatter<Rep>: that one's code is only in
// fmt/format.h, which would cost every file half a second.)
template <typename Tag, typename Rep>
struct fmt::formatter<zkfs::Tagged<Tag, Rep>> {
  bool hexadecimal = false;

  constexpr auto parse(fmt::format_parse_context& ctx) {
    auto it = ctx.begin();
    while (it != ctx.end() && (*it == '#' || *it == 'x')) {
      hexadecimal = true;
      ++it;
    }
    return it;
  }

  template <typename Context>
  auto format(const zkfs::Tagged<Tag, Rep>& id, Context& ctx) const {
    return hexadecimal ? fmt::format_to(ctx.out(), "{:#x}", id.value)
                       : fmt::format_to(ctx.out(), "{}", id.value);
  }
};

// As ZooKeeper prints it: 0x and hexadecimal digits.
template <>
struct fmt::formatter<zkfs::Zxid> {
  constexpr auto parse(fmt::format_parse_context& ctx) { return ctx.begin(); }

  template <typename Context>
  auto format(const zkfs::Zxid& z, Context& ctx) const {
    return fmt::format_to(ctx.out(), "{:#x}", z.value);
  }
};
