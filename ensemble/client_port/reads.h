// SPDX-License-Identifier: Apache-2.0
// The requests that are answered from this server's tree and watches, at once: all that a client
// asks but for writes, sync, auth and the session's end.
#pragma once

#include <string>

#include "ensemble/base/blob.h"
#include "ensemble/base/ids.h"
#include "ensemble/client_port/protocol.h"
#include "ensemble/server/request.h"
#include "ensemble/server/watch_table.h"

namespace zkfs::client_port {

class Hub;

// Who asks.
struct Reader {
  Hub& hub;
  const server::Identity& identity;
  server::WatcherId watcher = 0;
  SessionId session;  // 0: one that can own no znodes
};

// Appends the reply to `out`, and before it the events that setWatches finds to be due. `payload`:
// the frame with its header. Errors are replies too. Requires: is_read(header.type).
void answer_read(const Reader& reader,
                 const RequestHeader& header,
                 ByteView payload,
                 std::string& out);

[[nodiscard]] bool is_read(OpCode op);

}  // namespace zkfs::client_port
