// SPDX-License-Identifier: Apache-2.0
// What a ZooKeeper client is told -> bytes. Each function appends to the connection's output one
// whole frame (write_...) or a part of one (append_...); nothing else is allocated. A reply whose
// error is not kOk is its header alone; a multi that failed is no such reply (reference 2.3).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ensemble/base/blob.h"
#include "ensemble/base/error.h"
#include "ensemble/base/ids.h"
#include "ensemble/client_port/protocol.h"
#include "ensemble/server/request.h"
#include "ensemble/tree/acl.h"
#include "ensemble/tree/znode.h"

namespace zkfs::client_port {

// --- frames whose length is known only at their end ---

// Begins a frame; what it returns goes to end_frame, after the parts were appended.
std::size_t begin_frame(std::string& out);
void end_frame(std::string& out, std::size_t frame);

void append_reply_header(std::string& out, std::int32_t xid, Zxid zxid, Error error = Error::kOk);
// Of the reply that begins at `frame` in `out`.
void patch_reply_zxid(std::string& out, std::size_t frame, Zxid zxid);
void append_stat(std::string& out, const tree::Stat& stat);
void append_acl(std::string& out, const tree::AclList& acl);
void append_string(std::string& out, std::string_view text);

// A vector of strings that come one by one.
class StringsWriter {
 public:
  // `out` outlives it.
  explicit StringsWriter(std::string& out);
  void add(std::string_view text);
  // Must be called last.
  void end();

 private:
  std::string& out_;
  std::size_t begin_;
  std::uint32_t count_ = 0;
};

// --- the handshake ---

struct ConnectResponse {
  std::int32_t timeout_ms = 0;
  SessionId session{};
  // kPasswordBytes bytes, or empty: as many zeros.
  ByteView password{};
  // As in the request: a client that sent no such byte is sent none.
  std::optional<bool> read_only{};
};

// A response of which only `read_only` is set refuses the session: it has ended, or the password
// is wrong.
void write_connect_response(std::string& out, const ConnectResponse& response);

// --- replies ---

// What each reply begins with. `zxid`: of the txn, or the last one applied here when it was a read.
struct ReplyTo {
  std::int32_t xid = 0;
  Zxid zxid;
};

// Errors, and all that answers with nothing else: ping, delete, check, closeSession, auth,
// setWatches, removeWatches.
void write_header_only(std::string& out, ReplyTo to, Error error = Error::kOk);
// exists, setData, setACL.
void write_stat(std::string& out, ReplyTo to, const tree::Stat& stat);
// getData, reconfig.
void write_data(std::string& out, ReplyTo to, const Blob& data, const tree::Stat& stat);
// create, sync.
void write_path(std::string& out, ReplyTo to, std::string_view path);
// create2, createContainer, createTTL.
void write_path(std::string& out, ReplyTo to, std::string_view path, const tree::Stat& stat);
// getACL.
void write_acl(std::string& out, ReplyTo to, const tree::AclList& acl, const tree::Stat& stat);
// getEphemerals.
void write_strings(std::string& out, ReplyTo to, std::span<const std::string> texts);
// getAllChildrenNumber; 0 is the answer to addWatch.
void write_number(std::string& out, ReplyTo to, std::int32_t number);
// sasl.
void write_token(std::string& out, ReplyTo to, const Data& token);
// whoAmI: of a digest the user alone is told.
void write_identities(std::string& out, ReplyTo to, std::span<const server::AuthId> identities);

// getChildren; getChildren2 ends with the Stat. Names come one by one.
class ChildrenReply {
 public:
  // `out` outlives it, and nobody else appends meanwhile.
  ChildrenReply(std::string& out, ReplyTo to);

  void add(std::string_view name) { names_.add(name); }

  // One of the two, last.
  void end();
  void end(const tree::Stat& stat);

 private:
  std::string& out_;
  std::size_t frame_;
  StringsWriter names_;
};

// A watch fired. `zxid`: of the txn; nothing for what setWatches finds to have happened.
void write_event(std::string& out, EventType type, std::string_view path, std::optional<Zxid> zxid);

// --- multi, multiRead ---

// The frame of a multi's reply, results in the order of the operations.
class MultiReply {
 public:
  // `out` outlives it, and nobody else appends meanwhile.
  MultiReply(std::string& out, ReplyTo to);

  // Of the four creates. `stat` is sent where the operation's result has one; clients differ in
  // what they take for a container's, and all understand it as a plain create's.
  void created(OpCode op, std::string_view path, const tree::Stat& stat);
  // delete, check.
  void succeeded(OpCode op);
  // setData.
  void set(const tree::Stat& stat);
  // getData.
  void data(const Blob& data, const tree::Stat& stat);
  // getChildren: returns where the names go; end() it before the next result.
  StringsWriter children();
  // Of a failed multi every operation has one: kOk before the one that failed,
  // kRuntimeInconsistency after. Of a multiRead only what failed.
  void failed(Error error);

  // Must be called last.
  void end();

 private:
  void append_header(std::int32_t type, bool done, std::int32_t error);

  std::string& out_;
  std::size_t frame_;
};

}  // namespace zkfs::client_port
