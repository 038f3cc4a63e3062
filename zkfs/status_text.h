// SPDX-License-Identifier: Apache-2.0
// What the files of the control directory show of a server: status, status.json, role, metrics,
// ensemble/.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ensemble/base/clock.h"
#include "ensemble/base/metrics_text.h"
#include "ensemble/server/door.h"
#include "ensemble/server/member.h"
#include "mount/mount.h"

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
  std::vector<PeerView> peers;               // the others
  Instant now{};                             // of the clock quorum_lost_since is on
  std::vector<zab::LearnerStatus> learners;  // known to a leader
  std::string address;                       // of this server; empty: it has none
  bool observer = false;                     // this server
};

// What the operating system knows of this process.
struct ProcessFacts {
  std::uint64_t resident_bytes = 0;
  std::uint64_t open_descriptors = 0;
  double uptime_seconds = 0;
};

ProcessFacts process_facts(Instant uptime);

// leader, follower, observer, standalone; looking while there is no quorum.
std::string_view role_word(const StatusView& view);

// For a person: lines of "name value". The first is the role.
std::string status_text(const StatusView& view);

// One JSON object. Zxids and digest are strings: they do not fit a JSON number.
std::string status_json(const StatusView& view);

// Each server of the ensemble, in the order of ids, as far as this one knows it. Only a leader
// knows where its learners are and how long they take to answer; of the others a server knows
// whether it is connected to them, and which one leads.
std::vector<mount::EnsembleMember> ensemble_members(const StatusView& view);

// Prometheus text: of the member, its disk and the process. `appends`: how long what was appended
// to the log took to be durable.
std::string metrics_text(const StatusView& view,
                         const Histogram& appends,
                         const ProcessFacts& process);

}  // namespace zkfs
