// SPDX-License-Identifier: Apache-2.0
// Bytes -> what a ZooKeeper client asks, and from there to a request of the ensemble; the way back
// is reply_codec.h. No I/O: whoever has the socket cuts the frames. Whatever the bytes, reading
// neither crashes nor allocates more than a small multiple of them. Bytes behind the last field of
// a record are ignored, as ZooKeeper does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "ensemble/base/blob.h"
#include "ensemble/base/error.h"
#include "ensemble/client_port/protocol.h"
#include "ensemble/jute/jute.h"
#include "ensemble/server/request.h"

namespace zkfs::client_port {

// `payload`: the first frame of a connection without its length. Fails with: kMarshalling - the
// record ends before the password does.
Result<ConnectRequest> decode_connect(ByteView payload);

// Takes the header off a frame. Nothing if the frame ends before.
std::optional<RequestHeader> decode_header(jute::Reader& reader);

// The request of type `op`, whose header was taken off. Fails with: kMarshalling - the record is
// broken, a multi holds what it may not, an addWatch has no known mode, a check or removal of
// watches no known type; kUnimplemented - a number that is no operation, or none of clients (the
// reply's connection is then closed).
Result<Body> decode_body(OpCode op, jute::Reader& reader);

// A znode's TTL, and the types with one, are a matter of configuration.
struct Translation {
  bool extended_types = true;
};

// What the ensemble is asked for a create, delete, setData, setACL, multi or closeSession.
// Requires: it is one of these. Fails, for creates that stand alone, with: kBadArguments - flags
// beyond 6, or a TTL (from 0 up) with flags that are for znodes without; kUnimplemented - flags of
// a TTL without extended_types. The operation code decides what becomes a container, the flags all
// else. Whether a TTL is in range is for prep to say, like everything that the flags do not.
//
// A multi never fails here: what would is made a create that prep refuses with kBadArguments
// wherever its turn comes, so that an operation before it that fails is the one that is named. See
// refused_with().
Result<server::Operation> to_operation(const Body& body, Translation translation);

// What prep was handed as kBadArguments at `index` of a multi, and a client must read as another
// error: the answer's kBadArguments at that place becomes `error`.
struct SubRefusal {
  std::size_t index = 0;
  Error error = Error::kOk;
};

// Nothing if the multi has none such. Only the first matters: nothing after it is looked at.
std::optional<SubRefusal> refused_with(const MultiBody& multi, Translation translation);

// The number that a client is told. Those of ZooKeeper are themselves. Of ours: kTooLarge, kLoop
// and kIsDirectory are -8 (bad arguments), kNotDirectory -108 (no children for ephemerals: the one
// error that says a znode cannot have children), kStale -101 (no node), kNoSpace -1 (system error).
// For the errors of closes_connection() and those of locks, which a client never asks for, -1.
std::int32_t wire_error(Error error);

// True if such an answer must not reach the client, which would take it for certain: the connection
// is closed without it. kUnknownOutcome, kShutdown: it asks another server what became of its
// request; kSessionMoved: it is somewhere else already.
constexpr bool closes_connection(Error error) {
  return error == Error::kUnknownOutcome || error == Error::kShutdown ||
         error == Error::kSessionMoved;
}

// The abbreviation that `cons` shows ("GETD"); "NA" for a number that is no operation.
std::string_view last_operation_code(OpCode op);

}  // namespace zkfs::client_port
