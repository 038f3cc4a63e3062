// SPDX-License-Identifier: Apache-2.0
// Request <-> bytes (protobuf, proto/request.proto), and the other things a learner's server says
// to its leader's server through zab::Forward.
#pragma once

#include <variant>
#include <vector>

#include "ensemble/base/blob.h"
#include "ensemble/base/error.h"
#include "ensemble/server/request.h"

namespace zkfs::server {

// How that learner is.
struct Touch {
  std::vector<SessionId> sessions;  // alive
  bool low_space = false;           // little room is left on its disk
};

using Forwarded = std::variant<Request, Touch>;

Blob encode(const Request& request);
Blob encode(const Touch& touch);

// Fails with: kMarshalling.
Result<Forwarded> decode_forwarded(ByteView bytes);

}  // namespace zkfs::server
