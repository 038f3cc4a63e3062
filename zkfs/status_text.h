// SPDX-License-Identifier: Apache-2.0
// What .zkfs/status, status.json and role show of a server.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ensemble/base/clock.h"
#include "ensemble/server/door.h"

namespace zkfs {

struct PeerView {
  ServerId id;
  std::string address;  // host:port
  bool observer = false;
  bool connected = false;
};

struct StatusView {
  server::MemberStatus member;
  bool standalone = false;
  std::vector<PeerView> peers;  // the others
  Instant now{};                // of the clock quorum_lost_since is on
};

// leader, follower, observer, standalone; looking while there is no quorum.
std::string_view role_word(const StatusView& view);

// For a person: lines of "name value". The first is the role.
std::string status_text(const StatusView& view);

// One JSON object. Zxids and digest are strings: they do not fit a JSON number.
std::string status_json(const StatusView& view);

}  // namespace zkfs
