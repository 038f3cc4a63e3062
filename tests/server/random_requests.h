// SPDX-License-Identifier: Apache-2.0
// Random operations over few names and numbers, so that they meet each other often. Most are well
// formed.
#pragma once

#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ensemble/base/random.h"
#include "ensemble/server/request.h"

namespace zkfs::server {

class RandomRequests {
 public:
  explicit RandomRequests(std::uint64_t seed) : random_(seed) {}

  // The youngest znode, as far as the test knows.
  Ino newest{1};

  Request next() {
    Request request;
    request.session = session();
    request.xid = Xid{++xid_};
    request.first_unanswered = Xid{random_.chance(1, 2) ? xid_ : 0};
    if (random_.chance(1, 5)) {
      request.identity.uid = 1000 + static_cast<std::uint32_t>(random_.below(2));
      request.identity.gids = {50};
    }
    // A session's first request opens it, now and then again.
    if (request.session && (opened_.insert(request.session).second || random_.chance(1, 8))) {
      request.operation = CreateSessionRequest{.timeout_ms = 1'000, .owner = "somebody"};
    } else {
      request.operation = operation();
    }
    return request;
  }

 private:
  static constexpr std::array<const char*, 4> kNames{"a", "b", "c", "d"};

  std::int32_t version() {
    return random_.chance(3, 4) ? kAnyVersion : static_cast<std::int32_t>(random_.below(4));
  }

  SessionId session() { return SessionId{random_.chance(1, 4) ? 0 : random_.between(1, 3)}; }

  std::string name() {
    if (random_.chance(1, 60)) return "..";
    return kNames.at(random_.below(kNames.size()));
  }

  // Most live znodes are among the youngest.
  Ino ino() {
    if (random_.chance(1, 5)) return kRootIno;
    const std::uint64_t back = random_.below(16);
    return Ino{newest.value > back ? newest.value - back : 1};
  }

  Target target() {
    if (random_.chance(1, 4)) return {.ino = ino(), .path = random_.chance(1, 2) ? "" : name()};
    std::string path;
    for (std::uint64_t depth = random_.chance(1, 2) ? 1 : random_.between(1, 3); depth != 0;
         --depth)
      path += "/" + name();
    if (random_.chance(1, 50)) path = "/";
    if (random_.chance(1, 60)) path += "/";
    return {.ino = {}, .path = path};
  }

  Blob data() { return Blob(std::string(random_.below(4), 'x')); }

  tree::AclList acl() {
    switch (random_.below(8)) {
      case 0:
        return {{tree::Permissions::kAll, "auth", ""}, {1, "world", "anyone"}};
      case 1:
        return {{tree::Permissions::kAll, "user", "1000"}};
      case 2:
        return random_.chance(1, 5) ? tree::AclList{}
                                    : tree::AclList{{tree::Permissions::kAll, "group", "50"}};
      default:
        return tree::open_acl();
    }
  }

  tree::NodeKind kind() {
    return random_.chance(1, 2) ? tree::NodeKind::kUnspecified
                                : static_cast<tree::NodeKind>(random_.below(4));
  }

  CreateRequest create() {
    CreateRequest request;
    request.target = target();
    request.data = data();
    request.acl = acl();
    request.type =
        random_.chance(1, 2) ? tree::NodeType{} : static_cast<tree::NodeType>(random_.below(4));
    request.kind = kind();
    request.sequential = random_.chance(1, 6);
    request.executable = random_.chance(1, 4);
    request.ttl_ms = static_cast<std::int64_t>(random_.below(3));
    request.or_set = random_.chance(1, 4);
    request.append = random_.chance(1, 2);
    return request;
  }

  RenameRequest rename() {
    RenameRequest request;
    request.source = target();
    request.target = target();
    request.no_replace = random_.chance(1, 8);
    request.exchange = random_.chance(1, 5);
    request.sequential = random_.chance(1, 8);
    request.onto_data = random_.chance(1, 8);
    return request;
  }

  SetAttributesRequest set_attributes() {
    SetAttributesRequest request;
    request.target = target();
    if (random_.chance(1, 2)) request.mtime = static_cast<WallMillis>(random_.below(100));
    if (random_.chance(1, 2)) request.kind = kind();
    if (random_.chance(1, 4)) request.executable = random_.chance(1, 2);
    return request;
  }

  // `Variant` is SubRequest or Operation.
  template <typename Variant>
  Variant single() {
    switch (random_.below(16)) {
      case 0:
      case 1:
      case 2:
        return DeleteRequest{target(), version(),
                             static_cast<DeleteRequest::Shown>(random_.below(3)),
                             random_.chance(1, 4)};
      case 3:
      case 4:
        return SetDataRequest{target(), data(), version()};
      case 5:
      case 6:
        return AppendRequest{target(), data()};
      case 7:
        return SetAclRequest{target(), acl(), version()};
      case 8:
        return set_attributes();
      case 9:
      case 10:
      case 11:
        return rename();
      default:
        return create();
    }
  }

  MultiRequest multi() {
    MultiRequest request;
    for (std::uint64_t count = random_.below(5); count != 0; --count) {
      if (random_.chance(1, 8)) {
        request.operations.emplace_back(CheckRequest{target(), version()});
      } else {
        request.operations.push_back(single<SubRequest>());
      }
    }
    return request;
  }

  // Odd ones among them.
  tree::LockRange range(tree::LockSpace space) {
    if (random_.chance(1, 20)) return {random_.below(4), random_.below(4)};
    if (space == tree::LockSpace::kFlock) return {};
    const std::uint64_t first = random_.below(8);
    return {first, random_.between(first, 8)};
  }

  Operation lock() {
    const Ino ino{random_.below(newest.value + 2)};
    const auto space = static_cast<tree::LockSpace>(random_.below(2));
    const std::uint64_t owner = random_.below(2);
    switch (random_.below(4)) {
      case 0:
        return UnlockRequest{ino, space, range(space), owner};
      case 1:
        return CancelLockRequest{ino, random_.below(20)};
      default:
        return LockRequest{ino,
                           space,
                           static_cast<tree::LockMode>(random_.below(2)),
                           range(space),
                           owner,
                           random_.below(20),
                           5,
                           random_.chance(1, 2)};
    }
  }

  Operation operation() {
    switch (random_.below(22)) {
      case 0:
      case 1:
      case 2:
        return multi();
      case 3:
        if (random_.chance(1, 2)) return CloseSessionRequest{};
        return single<Operation>();
      case 4:
      case 5:
        return lock();
      default:
        return single<Operation>();
    }
  }

  Random random_;
  std::uint64_t xid_ = 0;
  std::set<SessionId> opened_;
};

}  // namespace zkfs::server
