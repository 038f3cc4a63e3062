// SPDX-License-Identifier: Apache-2.0
// Transport: a conversation's way to its client: a socket (connection.h), or a test's hands.
#pragma once

namespace zkfs::client_port {

class Transport {
 public:
  virtual ~Transport() = default;
  // There is something in Conversation::output(), or the conversation wants frames again. Nothing
  // happens within the call.
  virtual void wake() = 0;
  // To be closed once the output is written. Nothing happens within the call.
  virtual void end() = 0;
};

}  // namespace zkfs::client_port
