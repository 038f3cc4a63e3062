// SPDX-License-Identifier: Apache-2.0
// What ZooKeeper clients send: a ConnectRequest (first byte odd), or a request with its header. It
// must be read in place, and what goes on to the leader must arrive there as it was.
#include <functional>
#include <memory>
#include <utility>
#include <variant>

#include "ensemble/base/check.h"
#include "ensemble/client_port/client_codec.h"
#include "ensemble/server/request_codec.h"
#include "tests/client_port/sample_requests.h"
#include "tests/fuzz/target.h"

namespace zkfs::fuzz {
namespace {

using namespace client_port;

// Every text of a body lies within its frame, or is empty.
struct Inside {
  ByteView frame;

  void check(std::string_view text) const {
    const std::less_equal<const char*> before;
    ZKFS_CHECK(text.empty() || (before(frame.data(), text.data()) &&
                                before(text.data() + text.size(), frame.data() + frame.size())),
               "a text of {} bytes from elsewhere", text.size());
  }

  void check(const Data& data) const { check(data.value_or(ByteView{})); }

  void check(const Paths& paths) const {
    for (const std::string_view path : paths) check(path);
  }

  void check(const std::vector<AclRecord>& acl) const {
    for (const AclRecord& record : acl) {
      check(record.scheme);
      check(record.id);
    }
  }

  template <typename BodyWithPath>
  void operator()(const BodyWithPath& body) const {
    check(body.path);
    if constexpr (requires { body.data; }) check(body.data);
    if constexpr (requires { body.acl; }) check(body.acl);
  }

  void operator()(const MultiBody& multi) const {
    for (const auto& operation : multi.operations) std::visit(*this, operation);
  }

  void operator()(const MultiReadBody& multi) const {
    for (const auto& operation : multi.operations) std::visit(*this, operation);
  }

  void operator()(const SetWatchesBody& body) const {
    for (const Paths* paths :
         {&body.data, &body.exist, &body.child, &body.persistent, &body.persistent_recursive})
      check(*paths);
  }

  void operator()(const ReconfigBody& body) const {
    check(body.joining);
    check(body.leaving);
    check(body.new_members);
  }

  void operator()(const AuthBody& body) const {
    check(body.scheme);
    check(body.auth);
  }

  void operator()(const SaslBody& body) const { check(body.token); }

  void operator()(const GetEphemeralsBody& body) const { check(body.prefix); }

  void operator()(const PingBody& /*body*/) const {}

  void operator()(const WhoAmIBody& /*body*/) const {}

  void operator()(const CloseSessionBody& /*body*/) const {}
};

bool is_write(const Body& body) {
  return std::holds_alternative<CreateBody>(body) || std::holds_alternative<DeleteBody>(body) ||
         std::holds_alternative<SetDataBody>(body) || std::holds_alternative<SetAclBody>(body) ||
         std::holds_alternative<MultiBody>(body) || std::holds_alternative<CloseSessionBody>(body);
}

// A scheme or an id that is not UTF-8 does not get past proto3's strings; nor does it past prep.
void check_forwarding(server::Operation operation) {
  server::Request request;
  request.session = SessionId{1};
  request.xid = Xid{1};
  request.operation = std::move(operation);
  const Blob bytes = encode(request);
  const auto decoded = server::decode_forwarded(bytes.view());
  if (!decoded) return;
  ZKFS_CHECK(encode(std::get<server::Request>(*decoded)) == bytes,
             "a request arrives as another one");
}

}  // namespace

bool run_client_request(ByteView input) {
  if (take_byte(input) % 2 == 1) {
    const auto request = decode_connect(input);
    if (request) Inside{input}.check(request->password);
    return request.has_value();
  }
  jute::Reader reader(input);
  const auto header = decode_header(reader);
  if (!header) return false;
  const auto op = static_cast<OpCode>(header->type);
  static_cast<void>(last_operation_code(op));
  const auto body = decode_body(op, reader);
  if (!body) return false;
  std::visit(Inside{input}, *body);
  if (!is_write(*body)) return true;
  for (const bool extended_types : {false, true}) {
    const Translation translation{.extended_types = extended_types};
    if (const auto* multi = std::get_if<MultiBody>(&*body)) {
      const auto refusal = refused_with(*multi, translation);
      ZKFS_CHECK(!refusal || refusal->index < multi->operations.size(), "beyond the end");
    }
    auto operation = to_operation(*body, translation);
    if (operation) check_forwarding(*std::move(operation));
  }
  return true;
}

std::vector<std::string> client_request_seeds() {
  std::vector<std::string> seeds;
  const std::string connect = "00000000 0000000000000001 00000fa0 0000000000000002 00000010 01*16";
  seeds.push_back(bytes("01" + connect));
  seeds.push_back(bytes("01" + connect + "01"));
  for (const SampleRequest& request : sample_requests()) {
    std::string frame = bytes("00 00000001");
    jute::Writer(frame).write_int(static_cast<std::int32_t>(request.op));
    seeds.push_back(frame + request.body);
  }
  return seeds;
}

}  // namespace zkfs::fuzz
