// SPDX-License-Identifier: Apache-2.0
#include "zkfs/control_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "ensemble/base/log.h"

namespace zkfs {
namespace {

constexpr std::string_view kName = "control.sock";
constexpr std::string_view kDone = "ok";
constexpr std::string_view kNoRequest =
    "no request of this version: ping, mount MOUNTPOINT OPTIONS or unmount MOUNTPOINT";
// Who connects and says nothing must not shut out others.
constexpr std::size_t kConversationsMax = 16;

std::unexpected<Problem> problem(std::string text) {
  return std::unexpected(Problem{std::move(text)});
}

// The address of the socket in a directory whose path may be longer than an address can be.
class Address {
 public:
  explicit Address(const std::string& data_dir)
      : directory_(open(data_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
    const std::string text = fmt::format("/proc/self/fd/{}/{}", directory_, kName);
    address_.sun_family = AF_UNIX;
    std::memcpy(address_.sun_path, text.data(), text.size());
  }

  ~Address() {
    if (directory_ >= 0) close(directory_);
  }

  Address(const Address&) = delete;
  Address& operator=(const Address&) = delete;

  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address_); }

  static constexpr socklen_t kBytes = sizeof(sockaddr_un);

 private:
  int directory_;
  sockaddr_un address_{};
};

ControlSocket::Words words_of(std::string_view request) {
  ControlSocket::Words words;
  while (!request.empty()) {
    const auto end = request.find('\0');
    if (end == std::string_view::npos) return {};
    words.emplace_back(request.substr(0, end));
    request.remove_prefix(end + 1);
  }
  return words;
}

// Ours, or the superuser: whoever else gets here was let into the data directory by mistake.
bool trusted(int socket) {
  ucred peer{};
  socklen_t bytes = sizeof peer;
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 &&
         (peer.uid == 0 || peer.uid == geteuid());
}

}  // namespace

ControlSocket::ControlSocket(asio::io_context& context, std::string path, Handler handler)
    : context_(context), path_(std::move(path)), handler_(std::move(handler)), listener_(context) {}

ControlSocket::~ControlSocket() {
  *alive_ = false;
  unlink(path_.c_str());
}

Expected<std::unique_ptr<ControlSocket>> ControlSocket::open(asio::io_context& context,
                                                             const std::string& data_dir,
                                                             Handler handler) {
  const std::string path = fmt::format("{}/{}", data_dir, kName);
  const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return problem(fmt::format("{}: {}", path, std::strerror(errno)));
  std::unique_ptr<ControlSocket> control(new ControlSocket(context, path, std::move(handler)));
  control->listener_.assign(fd);
  unlink(path.c_str());
  // The mode of a socket that is not bound yet is the one it will have in the directory.
  if (fchmod(fd, 0600) != 0 || bind(fd, Address(data_dir).get(), Address::kBytes) != 0 ||
      ::listen(fd, static_cast<int>(kConversationsMax)) != 0)
    return problem(fmt::format("{}: {}", path, std::strerror(errno)));
  control->listen();
  return control;
}

void ControlSocket::listen() {
  listener_.async_wait(asio::posix::stream_descriptor::wait_read,
                       [this, alive = alive_](const asio::error_code& error) {
                         if (error || !*alive) return;
                         accept();
                         listen();
                       });
}

void ControlSocket::accept() {
  const int fd = accept4(listener_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  if (!trusted(fd)) {
    close(fd);
    return;
  }
  if (conversations_.size() >= kConversationsMax) conversations_.pop_front();
  const auto conversation = std::make_shared<asio::posix::stream_descriptor>(context_, fd);
  conversations_.push_back(conversation);
  conversation->async_wait(
      asio::posix::stream_descriptor::wait_read,
      [this, alive = alive_, weak = std::weak_ptr(conversation)](const asio::error_code& error) {
        const auto asked = weak.lock();
        if (error || !*alive || !asked) return;
        conversations_.remove(asked);
        answer(asked);
      });
}

void ControlSocket::answer(const Conversation& conversation) {
  std::string request(kRequestBytesMax, '\0');
  const int fd = conversation->native_handle();
  const ssize_t size = recv(fd, request.data(), request.size(), MSG_TRUNC);
  if (size <= 0) return;
  std::string text(kDone);
  const auto words = static_cast<std::size_t>(size) > request.size()
                         ? Words{}
                         : words_of({request.data(), static_cast<std::size_t>(size)});
  if (words.empty()) {
    text = kNoRequest;
  } else {
    ZKFS_LOG_INFO(zkfs, "asked to {}", fmt::join(words, " "));
    const Expected<void> done = handler_(words);
    if (!done) text = done.error().text;
  }
  (void)send(fd, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

ServerAnswer ask_server(const std::string& data_dir,
                        const ControlSocket::Words& words,
                        Millis patience) {
  ServerAnswer answer;
  const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0) return answer;
  timeval limit{};
  limit.tv_sec = patience.count() / 1000;
  limit.tv_usec = patience.count() % 1000 * 1000;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  std::string request;
  for (const std::string& word : words) request.append(word).push_back('\0');
  std::string text(ControlSocket::kRequestBytesMax, '\0');
  ssize_t size = -1;
  const bool asked = connect(fd, Address(data_dir).get(), Address::kBytes) == 0 &&
                     send(fd, request.data(), request.size(), MSG_NOSIGNAL) ==
                         static_cast<ssize_t>(request.size());
  if (asked) size = recv(fd, text.data(), text.size(), 0);
  const int error = errno;
  close(fd);
  if (size > 0) {
    text.resize(static_cast<std::size_t>(size));
    answer.running = true;
    if (text != kDone) answer.problem = std::move(text);
  } else if (asked && size < 0 && (error == EAGAIN || error == EWOULDBLOCK)) {
    answer.running = true;
    answer.problem =
        fmt::format("{}: the server does not answer; is its process stopped?", data_dir);
  }
  return answer;
}

}  // namespace zkfs
