// SPDX-License-Identifier: Apache-2.0
#include "zkfs/service_manager.h"

#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

namespace zkfs {
namespace {

std::string take_variable(const char* name) {
  const char* value = std::getenv(name);
  std::string text = value == nullptr ? "" : value;
  unsetenv(name);
  return text;
}

std::int64_t number_of(const std::string& text) {
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

ServiceManager::ServiceManager() {
  const std::string path = take_variable("NOTIFY_SOCKET");
  const std::int64_t watchdog_us = number_of(take_variable("WATCHDOG_USEC"));
  const std::string watchdog_pid = take_variable("WATCHDOG_PID");
  // A path, or with '@' a name in the abstract namespace.
  if (path.size() < 2 || path.size() >= sizeof address_.sun_path ||
      (path[0] != '/' && path[0] != '@'))
    return;
  socket_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  address_.sun_family = AF_UNIX;
  std::memcpy(address_.sun_path, path.data(), path.size());
  if (path[0] == '@') address_.sun_path[0] = '\0';
  address_bytes_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  if (watchdog_pid.empty() || number_of(watchdog_pid) == getpid())
    watchdog_ = std::chrono::microseconds(watchdog_us);
}

ServiceManager::~ServiceManager() {
  if (socket_ >= 0) close(socket_);
}

void ServiceManager::send(std::string_view text) const {
  if (socket_ < 0) return;
  // A manager that is gone or busy is not waited for.
  (void)sendto(socket_, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&address_), address_bytes_);
}

void ServiceManager::ready() {
  send("READY=1");
}

void ServiceManager::stopping() {
  send("STOPPING=1");
}

void ServiceManager::status(std::string_view text) {
  if (text == status_) return;
  status_ = text;
  send(fmt::format("STATUS={}", text));
}

void ServiceManager::alive(Instant now) {
  // Thrice as often as asked, so that a late turn of the loop is not taken for a dead one.
  if (watchdog_.count() <= 0 || (alive_at_ != Instant{} && now - alive_at_ < watchdog_ / 3)) return;
  alive_at_ = now;
  send("WATCHDOG=1");
}

}  // namespace zkfs
