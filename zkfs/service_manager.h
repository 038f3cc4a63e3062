// SPDX-License-Identifier: Apache-2.0
// ServiceManager: what systemd is told (sd_notify(3)): ready, state in words, that the loop turns,
// that the server stops. A datagram to the socket that $NOTIFY_SOCKET names; the protocol is small,
// documented and stable, so libsystemd is not needed. Without the variable nothing happens. Never
// blocks.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <string>
#include <string_view>

#include "ensemble/base/clock.h"

namespace zkfs {

class ServiceManager {
 public:
  // Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID and removes them from the environment.
  ServiceManager();
  ~ServiceManager();
  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;

  [[nodiscard]] bool present() const { return socket_ >= 0; }

  void ready();
  void stopping();
  // Sent if it differs from the last one.
  void status(std::string_view text);
  // From the loop's tick: a sign of life, as often as the manager asked for.
  void alive(Instant now);

 private:
  void send(std::string_view text) const;

  int socket_ = -1;
  sockaddr_un address_{};
  socklen_t address_bytes_ = 0;
  Instant watchdog_{};  // the interval; 0: none wanted
  Instant alive_at_{};
  std::string status_;
};

}  // namespace zkfs
