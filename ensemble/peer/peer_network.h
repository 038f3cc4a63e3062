// SPDX-License-Identifier: Apache-2.0
// PeerNetwork: TCP links to the other members; implements the member's PeerPort. One link per pair,
// dialled by the member with the larger id (so that two cannot dial each other into a tie),
// accepted on this member's election/peer port by the other; redialled with a short, growing,
// jittered pause for as long as this object lives. A link begins with a hello on both sides:
// protocol version, the ensemble's id (a checksum over the sorted server list), own id, the id it
// believes to be talking to. A stranger, another ensemble, a wrong id or version is refused with
// one log line that names both sides' values; repeated refusals are logged once a minute. Queues
// are bounded (limits::kPeerQueueBytesMax); a link that exceeds its bound is closed. Reads and
// writes are batched: everything queued in one turn is one write. Runs on the core thread's
// io_context alone. Calls back: link up (after both hellos), message, link down. Between up and
// down of one link, messages arrive in order; none arrive after down.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <asio/io_context.hpp>

#include "ensemble/base/error.h"
#include "ensemble/base/ids.h"
#include "ensemble/server/member.h"
#include "ensemble/zab/message.h"

namespace zkfs::peer {

struct PeerAddress {
  ServerId id;
  std::string host;        // a name, IPv4 or IPv6 (without brackets)
  std::uint16_t port = 0;  // members listen on the quorum port of their server line; the election
                           // port is accepted in configurations and not used
};

struct PeerEvents {
  std::function<void(ServerId)> up;
  std::function<void(ServerId, zab::Message)> message;
  std::function<void(ServerId)> down;
};

class PeerNetwork final : public server::PeerPort {
 public:
  // `all` includes this member itself, and is the same on every member: its checksum is the
  // ensemble's id.
  PeerNetwork(asio::io_context& context,
              ServerId self,
              std::vector<PeerAddress> all,
              PeerEvents events);
  ~PeerNetwork() override;

  // Listens and begins to dial. Fails if the port is busy or the address not ours: names both and
  // the remedy.
  Expected<void> start(bool listen_on_all_addresses);
  // Closes everything; no callback comes afterwards.
  void stop();

  void send(ServerId to, zab::Message message) override;
  [[nodiscard]] std::size_t queued_bytes(ServerId to) const override;
  // For status: true if the link to `peer` is up.
  [[nodiscard]] bool connected(ServerId peer) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace zkfs::peer
