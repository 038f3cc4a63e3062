// SPDX-License-Identifier: Apache-2.0
// The body of each request that clients send, written by hand from reference/zookeeper.md 2.1 and
// 2.3. Beginnings for the fuzzers too.
#pragma once

#include <string>
#include <vector>

#include "ensemble/client_port/protocol.h"
#include "tests/client_port/bytes.h"

namespace zkfs::client_port {

struct SampleRequest {
  OpCode op;
  std::string body;
};

inline constexpr std::string_view kOpenAcl = "00000001 0000001f 00000005 'world' 00000006 'anyone'";

inline std::vector<SampleRequest> sample_requests() {
  const std::string acl(kOpenAcl);
  const std::string create = "00000002 '/a' 00000002 'xy' " + acl;
  const std::string end = " ffffffff 01 ffffffff";
  std::vector<SampleRequest> samples;
  const auto add = [&samples](OpCode op, const std::string& text) {
    samples.push_back({op, bytes(text)});
  };
  add(OpCode::kCreate, create + " 00000003");
  add(OpCode::kDelete, "00000002 '/a' ffffffff");
  add(OpCode::kExists, "00000002 '/a' 01");
  add(OpCode::kGetData, "00000002 '/a' 00");
  add(OpCode::kSetData, "00000002 '/a' 00000001 'z' 00000007");
  add(OpCode::kGetAcl, "00000002 '/a'");
  add(OpCode::kSetAcl, "00000002 '/a' " + acl + " 00000002");
  add(OpCode::kGetChildren, "00000002 '/a' 01");
  add(OpCode::kSync, "00000002 '/a'");
  add(OpCode::kPing, "");
  add(OpCode::kGetChildren2, "00000002 '/a' 00");
  add(OpCode::kMulti, "00000001 00 ffffffff " + create + " 00000000" +
                          "0000000d 00 ffffffff 00000002 '/b' 00000004" +
                          "00000005 00 ffffffff 00000002 '/b' 00000001 'z' 00000005" +
                          "00000002 00 ffffffff 00000002 '/b' 00000006" + "0000000f 00 ffffffff " +
                          create + " 00000001" + "00000013 00 ffffffff " + create + " 00000004" +
                          "00000015 00 ffffffff " + create + " 00000005 00000000000003e8" + end);
  add(OpCode::kCreate2, create + " 00000002");
  add(OpCode::kReconfig, "00000001 'j' 00000001 'l' ffffffff 0000000100000000");
  add(OpCode::kCheckWatches, "00000002 '/a' 00000001");
  add(OpCode::kRemoveWatches, "00000002 '/a' 00000005");
  add(OpCode::kCreateContainer, create + " 00000004");
  add(OpCode::kCreateTtl, create + " 00000006 00000000000003e8");
  add(OpCode::kMultiRead,
      "00000004 00 ffffffff 00000002 '/a' 00 00000008 00 ffffffff 00000002 '/b' 01" + end);
  add(OpCode::kAuth, "00000000 00000006 'digest' 00000003 'u:p'");
  add(OpCode::kSetWatches,
      "0000000000000010 00000002 00000002 '/a' 00000002 '/b' 00000001 00000002 '/c' 00000000");
  add(OpCode::kSasl, "00000003 'tok'");
  add(OpCode::kGetEphemerals, "00000001 '/'");
  add(OpCode::kGetAllChildrenNumber, "00000001 '/'");
  add(OpCode::kSetWatches2,
      "0000000000000010 00000001 00000002 '/a' 00000001 00000002 '/b' 00000001 00000002 '/c' "
      "00000001 00000002 '/d' 00000002 00000002 '/e' 00000002 '/f'");
  add(OpCode::kAddWatch, "00000002 '/a' 00000001");
  add(OpCode::kWhoAmI, "");
  add(OpCode::kCloseSession, "");
  return samples;
}

}  // namespace zkfs::client_port
