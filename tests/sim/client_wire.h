// SPDX-License-Identifier: Apache-2.0
// The client's side of ZooKeeper's protocol, as the simulated clients speak it: written from
// reference/zookeeper.md, not with the server's codec.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ensemble/base/blob.h"
#include "ensemble/base/ids.h"
#include "ensemble/client_port/protocol.h"
#include "ensemble/jute/jute.h"

namespace zkfs::sim::wire {

using client_port::OpCode;

// --- requests: frames without their lengths ---

std::string connect(Zxid last_seen,
                    std::uint32_t timeout_ms,
                    SessionId session,
                    std::string_view password);
// ping, closeSession.
std::string plain(std::int32_t xid, OpCode op);
std::string auth(std::string_view user_password);
// `only_owner`: an ACL for whoever has proven something, in place of the open one.
std::string create(std::int32_t xid,
                   std::string_view path,
                   std::string_view data,
                   std::int32_t flags,
                   bool only_owner);
std::string set(std::int32_t xid,
                std::string_view path,
                std::string_view data,
                std::int32_t version);
std::string remove(std::int32_t xid, std::string_view path, std::int32_t version);
// getData, exists, getChildren.
std::string read(std::int32_t xid, OpCode op, std::string_view path, bool watch);
std::string sync(std::int32_t xid, std::string_view path);
std::string add_recursive_watch(std::int32_t xid, std::string_view path);
std::string set_watches(Zxid relative,
                        const std::vector<std::string>& data,
                        const std::vector<std::string>& exist,
                        const std::vector<std::string>& child);

// --- what comes back ---

struct ConnectReply {
  std::int32_t timeout_ms = 0;
  SessionId session;
  std::string password;
};

struct ReplyHeader {
  std::int32_t xid = 0;
  std::int64_t zxid = 0;
  std::int32_t error = 0;
};

struct Event {
  std::int32_t type = 0;
  std::string path;
};

struct Stat {
  Zxid mzxid;
  std::int32_t version = 0;
  SessionId owner;
};

// Each aborts on what cannot be read. `reader` stands behind what came before.
ConnectReply read_connect(jute::Reader& reader);
ReplyHeader read_header(jute::Reader& reader);
Event read_event(jute::Reader& reader);
Stat read_stat(jute::Reader& reader);
std::vector<std::string> read_names(jute::Reader& reader);

}  // namespace zkfs::sim::wire
