// SPDX-License-Identifier: Apache-2.0
// ClientDoor: what the client port needs of the member beyond what a mount does (door.h): sessions
// that belong to clients. Such a session lives as long as its client gives signs of life, whichever
// server it is connected to; a client that has lost its connection attaches to it again with the
// session's password, here or elsewhere.
//
// Attaching is a txn. Everything asked in the session's name by the server it was at before is
// applied before it or refused, so a client that has moved never sees an older request of its own
// take effect after a newer one (ZooKeeper's owner check, exactly).
//
// Completions of such a session's requests are called while their txn is applied, before the next
// txn is: what the tree shows then is the state as of that request. They may read and submit, and
// nothing else.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "ensemble/server/door.h"

namespace zkfs::server {

class ClientDoor : public Door {
 public:
  // An id that no session has had.
  virtual SessionId new_session_id() = 0;

  // The timeout that a client who asks for `timeout_ms` gets.
  [[nodiscard]] virtual std::uint32_t negotiated(std::int64_t timeout_ms) const = 0;

  struct NewSession {
    SessionId id;  // of new_session_id()
    std::uint32_t timeout_ms = 0;
    std::string owner;
    std::string password;
  };

  // `opened`: kOk, or kShutdown. `lost` is called if the ensemble closes or expires it, or another
  // server takes it over.
  virtual void open_client_session(NewSession session,
                                   Completion opened,
                                   std::function<void()> lost) = 0;

  // True if the session is one of this server's now: a client's, or one of its own.
  [[nodiscard]] virtual bool has_session(SessionId session) const = 0;

  // `attached`: kOk; kSessionExpired - there is no such session, or the password is wrong;
  // kShutdown. Requires: !has_session(session) (see detach).
  virtual void attach_session(SessionId session,
                              std::uint32_t timeout_ms,
                              std::string password,
                              Completion attached,
                              std::function<void()> lost) = 0;

  // The client is gone. No completion of the session's is called any more, nor `lost`; what was
  // sent may take effect. The session goes on until its timeout or until somebody attaches to it.
  virtual void detach_session(SessionId session) = 0;

  // A sign of life. Reported to the leader within MemberConfig::touch_interval.
  virtual void touch(SessionId session) = 0;
};

}  // namespace zkfs::server
