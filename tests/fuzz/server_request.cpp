// SPDX-License-Identifier: Apache-2.0
// What a learner's server forwards to its leader. Whatever is read is written again as something
// that reads the same.
#include <utility>
#include <variant>

#include "ensemble/base/check.h"
#include "ensemble/server/request_codec.h"
#include "tests/fuzz/target.h"
#include "tests/server/random_requests.h"

namespace zkfs::fuzz {
namespace {

Blob encoded(const server::Forwarded& forwarded) {
  return std::visit([](const auto& what) { return server::encode(what); }, forwarded);
}

}  // namespace

bool run_server_request(ByteView input) {
  const auto first = server::decode_forwarded(input);
  if (!first) return false;
  const Blob again = encoded(*first);
  const auto second = server::decode_forwarded(again.view());
  ZKFS_CHECK(second.has_value(), "what was read cannot be read again");
  ZKFS_CHECK(encoded(*second) == again, "what was read reads differently");
  return true;
}

std::vector<std::string> server_request_seeds() {
  std::vector<std::string> seeds;
  server::RandomRequests source(1);
  for (int i = 0; i < 60; ++i) seeds.emplace_back(server::encode(source.next()).view());
  server::Request of_client;
  of_client.session = SessionId{1};
  of_client.identity.client = std::make_shared<const std::vector<server::AuthId>>(
      std::vector<server::AuthId>{{"ip", "127.0.0.1"}, {"digest", "bob:hash"}});
  of_client.operation =
      server::SetDataRequest{.target = {.ino = {}, .path = "/a"}, .data = Blob::null()};
  seeds.emplace_back(server::encode(of_client).view());
  server::Touch touch;
  touch.sessions = {SessionId{1}, SessionId{2}};
  seeds.emplace_back(server::encode(touch).view());
  return seeds;
}

}  // namespace zkfs::fuzz
