// SPDX-License-Identifier: Apache-2.0
#include "ensemble/peer/peer_network.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "ensemble/base/check.h"
#include "ensemble/base/log.h"
#include "ensemble/peer/peer_address.h"
#include "ensemble/peer/peer_codec.h"
#include "ensemble/peer/peer_connection.h"
#include "ensemble/peer/peer_dialer.h"
#include "ensemble/peer/peer_listener.h"

namespace zkfs::peer {
namespace {

using asio::ip::tcp;
using Clock = std::chrono::steady_clock;

// Connections that others opened and that have not said their hello. Members say it at once, so the
// oldest is the one to give up when a stranger opens many.
constexpr std::size_t kStrangersMax = 32;
constexpr auto kRefusalInterval = std::chrono::minutes(1);
constexpr std::size_t kRefusersMax = 256;

// Lets one line through per remote and minute.
class RefusalLog {
 public:
  bool due(const std::string& remote) {
    const auto now = Clock::now();
    const auto [at, is_new] = last_.try_emplace(remote, now);
    if (!is_new && now - at->second < kRefusalInterval) return false;
    at->second = now;
    if (last_.size() > kRefusersMax) last_.clear();
    return true;
  }

 private:
  std::map<std::string, Clock::time_point> last_;
};

}  // namespace

// Kept alive by the PeerNetwork and, while they call it, by connections. After stop() it holds no
// connection, and whatever still arrives finds `stopped_` or an expired weak_ptr.
struct PeerNetwork::State final : ConnectionOwner, std::enable_shared_from_this<State> {
  struct Peer {
    PeerAddress address;
    std::shared_ptr<Connection> link;      // up
    std::shared_ptr<Connection> greeting;  // dialled, before its hello
    std::shared_ptr<Dialer> dialer;        // if it is for us to dial
    Clock::time_point up_since;
    bool unreachable_logged = false;
  };

  State(asio::io_context& context,
        ServerId self,
        const std::vector<PeerAddress>& all,
        PeerEvents events);

  Expected<void> start(bool listen_on_all_addresses);
  void stop();

  Peer* find(ServerId id);

  void on_accepted(tcp::socket socket);
  void on_dialled(Peer& peer, tcp::socket socket);
  void on_dial_failed(Peer& peer, std::string_view text);

  void on_hello(const std::shared_ptr<Connection>& connection, const Hello& hello) override;
  void on_message(Connection& connection, zab::Message message) override;
  void on_closed(const std::shared_ptr<Connection>& connection,
                 Closing why,
                 std::string_view text) override;

  [[nodiscard]] std::optional<std::string> objection(const Connection& connection,
                                                     const Hello& hello);
  void refuse(const Connection& connection, std::string_view why);
  void link_up(Peer& peer, const std::shared_ptr<Connection>& connection);
  void link_down(Peer& peer, Closing why, std::string_view text);

  asio::io_context& context_;
  ServerId self_;
  PeerAddress own_address_;
  std::uint64_t ensemble_;
  PeerEvents events_;
  std::map<ServerId, Peer> peers_;  // without this member; never changes after construction
  std::shared_ptr<Listener> listener_;
  std::deque<std::shared_ptr<Connection>> strangers_;  // accepted, before their hello
  RefusalLog refusals_;
  bool stopped_ = false;
};

PeerNetwork::State::State(asio::io_context& context,
                          ServerId self,
                          const std::vector<PeerAddress>& all,
                          PeerEvents events)
    : context_(context), self_(self), ensemble_(ensemble_id(all)), events_(std::move(events)) {
  for (const PeerAddress& address : all) {
    if (address.id == self) {
      own_address_ = address;
    } else {
      peers_[address.id].address = address;
    }
  }
  ZKFS_CHECK(own_address_.id == self, "server {} is not in its own list", self);
}

Expected<void> PeerNetwork::State::start(bool listen_on_all_addresses) {
  const std::weak_ptr<State> weak = weak_from_this();
  listener_ = std::make_shared<Listener>(context_, [weak](tcp::socket socket) {
    if (const auto state = weak.lock()) state->on_accepted(std::move(socket));
  });
  ZKFS_TRY(listener_->open(own_address_, listen_on_all_addresses));
  std::random_device seed;
  for (auto& [id, peer] : peers_) {
    if (id > self_) continue;
    // `peer` lives as long as the state, and a stopped dialer calls nobody.
    Dialer::Events events;
    events.connected = [weak, &peer = peer](tcp::socket socket) {
      if (const auto state = weak.lock()) state->on_dialled(peer, std::move(socket));
    };
    events.failed = [weak, &peer = peer](std::string_view text) {
      if (const auto state = weak.lock()) state->on_dial_failed(peer, text);
    };
    peer.dialer = std::make_shared<Dialer>(context_, peer.address, seed(), std::move(events));
    peer.dialer->dial();
  }
  return {};
}

void PeerNetwork::State::stop() {
  if (std::exchange(stopped_, true)) return;
  if (listener_) listener_->stop();
  for (const auto& stranger : strangers_) stranger->close();
  strangers_.clear();
  for (auto& [id, peer] : peers_) {
    if (peer.dialer) peer.dialer->stop();
    if (peer.greeting) peer.greeting->close();
    if (peer.link) peer.link->close();
    peer.greeting.reset();
    peer.link.reset();
  }
}

PeerNetwork::State::Peer* PeerNetwork::State::find(ServerId id) {
  const auto found = peers_.find(id);
  return found == peers_.end() ? nullptr : &found->second;
}

// --- connections begin ---

void PeerNetwork::State::on_accepted(tcp::socket socket) {
  if (stopped_) return;
  if (strangers_.size() >= kStrangersMax) {
    strangers_.front()->close();
    strangers_.pop_front();
  }
  const auto connection = std::make_shared<Connection>(std::move(socket), ServerId{});
  strangers_.push_back(connection);
  connection->start(weak_from_this());
}

void PeerNetwork::State::on_dialled(Peer& peer, tcp::socket socket) {
  if (stopped_) return;
  const ServerId id = peer.address.id;
  peer.greeting = std::make_shared<Connection>(std::move(socket), id);
  peer.greeting->start(weak_from_this());
  const auto greeting = peer.greeting;
  greeting->send_hello({.from = self_, .to = id, .ensemble = ensemble_});
}

void PeerNetwork::State::on_dial_failed(Peer& peer, std::string_view text) {
  if (stopped_) return;
  const std::string where = to_text(peer.address);
  ZKFS_LOG_DEBUG(peer, "no link to peer={} at {}: {}", peer.address.id, where, text);
  if (!std::exchange(peer.unreachable_logged, true)) {
    ZKFS_LOG_INFO(peer, "cannot reach peer={} at {}, trying on: {}", peer.address.id, where, text);
  }
  peer.dialer->dial_again();
}

// --- hellos ---

// Why this connection cannot become a link, if it cannot.
std::optional<std::string> PeerNetwork::State::objection(const Connection& connection,
                                                         const Hello& hello) {
  if (hello.version != kProtocolVersion) {
    return fmt::format(
        "it speaks protocol version {}, this member {}: run the same release on both",
        hello.version, kProtocolVersion);
  }
  if (hello.ensemble != ensemble_) {
    return fmt::format(
        "its ensemble id is {:#018x}, ours {:#018x}: the server.N lines must be the "
        "same in both configurations",
        hello.ensemble, ensemble_);
  }
  if (hello.to != self_) {
    return fmt::format(
        "it expects server.{} here and found server.{}: correct that line, or myid "
        "of one of the two",
        hello.to, self_);
  }
  if (connection.dialled() && hello.from != connection.dialled()) {
    return fmt::format(
        "it says it is server.{}, the configuration says server.{}: correct that "
        "line, or myid of one of the two",
        hello.from, connection.dialled());
  }
  if (hello.from == self_ || find(hello.from) == nullptr) {
    return fmt::format("it says it is server.{}, which {}: correct its myid", hello.from,
                       hello.from == self_ ? "is this member" : "is not in the configuration");
  }
  if (!connection.dialled() && hello.from < self_) {
    return fmt::format("server.{} dialled server.{}, which only a larger id does", hello.from,
                       self_);
  }
  return std::nullopt;
}

void PeerNetwork::State::refuse(const Connection& connection, std::string_view why) {
  const std::string& remote = connection.remote_host();
  if (refusals_.due(connection.dialled() ? connection.remote() : remote)) {
    ZKFS_LOG_WARN(peer, "refused {} (such lines at most once a minute): {}", connection.remote(),
                  why);
  }
}

void PeerNetwork::State::on_hello(const std::shared_ptr<Connection>& connection,
                                  const Hello& hello) {
  std::erase(strangers_, connection);
  Peer* const dialled = connection->dialled() ? find(connection->dialled()) : nullptr;
  if (dialled != nullptr) dialled->greeting.reset();
  const auto why_not = objection(*connection, hello);
  // A member that is refused gets our hello all the same: its operator may be the one who must act.
  if (dialled == nullptr) {
    connection->send_hello({.from = self_, .to = hello.from, .ensemble = ensemble_});
    if (connection->closed()) return;
  }
  if (why_not) {
    connection->close();
    refuse(*connection, *why_not);
    if (dialled == nullptr) return;
    dialled->dialer->refused();
    dialled->dialer->dial_again();
    return;
  }
  link_up(*find(hello.from), connection);
}

// --- links ---

void PeerNetwork::State::link_up(Peer& peer, const std::shared_ptr<Connection>& connection) {
  connection->establish(peer.address.id);
  if (peer.link) {
    // The other side knows before we do that the old link is dead.
    link_down(peer, Closing::kWeather, "it has opened a new one");
    if (stopped_) return connection->close();
  }
  peer.link = connection;
  peer.up_since = Clock::now();
  peer.unreachable_logged = false;
  ZKFS_LOG_INFO(peer, "link up peer={} remote={}", peer.address.id, connection->remote());
  events_.up(peer.address.id);
}

void PeerNetwork::State::link_down(Peer& peer, Closing why, std::string_view text) {
  const auto link = std::exchange(peer.link, nullptr);
  link->close();
  if (why == Closing::kWeather) {
    ZKFS_LOG_INFO(peer, "link down peer={} remote={}: {}", peer.address.id, link->remote(), text);
  } else {
    ZKFS_LOG_WARN(peer, "link closed peer={} remote={}: {}", peer.address.id, link->remote(), text);
  }
  if (peer.dialer) {
    peer.dialer->link_lost(Clock::now() - peer.up_since);
    peer.dialer->dial_again();
  }
  // Last: the callback may stop or destroy the network.
  events_.down(peer.address.id);
}

void PeerNetwork::State::on_message(Connection& connection, zab::Message message) {
  events_.message(connection.peer(), std::move(message));
}

void PeerNetwork::State::on_closed(const std::shared_ptr<Connection>& connection,
                                   Closing why,
                                   std::string_view text) {
  if (connection->peer()) {
    Peer* const peer = find(connection->peer());
    if (peer->link == connection) link_down(*peer, why, text);
    return;
  }
  std::erase(strangers_, connection);
  if (why == Closing::kProtocol) {
    refuse(*connection, fmt::format("{}; only members of the ensemble have business here", text));
  }
  if (!connection->dialled()) return;
  Peer* const peer = find(connection->dialled());
  peer->greeting.reset();
  on_dial_failed(*peer, fmt::format("connected, but got no hello: {}", text));
}

// --- the face ---

PeerNetwork::PeerNetwork(asio::io_context& context,
                         ServerId self,
                         std::vector<PeerAddress> all,
                         PeerEvents events)
    : state_(std::make_shared<State>(context, self, all, std::move(events))) {}

PeerNetwork::~PeerNetwork() {
  state_->stop();
}

Expected<void> PeerNetwork::start(bool listen_on_all_addresses) {
  auto started = state_->start(listen_on_all_addresses);
  if (!started) state_->stop();
  return started;
}

void PeerNetwork::stop() {
  state_->stop();
}

void PeerNetwork::send(ServerId to, zab::Message message) {
  const auto* const peer = state_->find(to);
  if (peer != nullptr && peer->link) peer->link->send(message);
}

std::size_t PeerNetwork::queued_bytes(ServerId to) const {
  const auto* const peer = state_->find(to);
  return peer != nullptr && peer->link ? peer->link->queued_bytes() : 0;
}

bool PeerNetwork::connected(ServerId peer) const {
  const auto* const found = state_->find(peer);
  return found != nullptr && found->link != nullptr;
}

}  // namespace zkfs::peer
