// SPDX-License-Identifier: Apache-2.0
// SimClientPort: the client port of one process: the very Hub and Conversations that ship, with
// links in place of sockets. ClientLink: one connection of a client to a server as TCP gives it: in
// order, delayed; each side learns of the other's end in its own time, and what was sent before
// may still arrive.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "ensemble/base/random.h"
#include "ensemble/client_port/conversation.h"
#include "ensemble/client_port/hub.h"
#include "ensemble/client_port/transport.h"
#include "tests/sim/client_history.h"
#include "tests/sim/event_queue.h"
#include "tests/sim/sim_node.h"

namespace zkfs::sim {

class SimClientPort;

class ClientLink final : public client_port::Transport,
                         public std::enable_shared_from_this<ClientLink> {
 public:
  // `received`: whole frames, with their lengths. `lost`: once, unless the client abandoned it.
  ClientLink(EventQueue& queue,
             Random& random,
             SimNode& node,
             std::function<void(ByteView)> received,
             std::function<void()> lost);

  // --- the client's end ---
  void open();
  // A frame, without its length.
  void send(std::string frame);
  // The client hears nothing any more; the server learns of it after `delay`, and still gets what
  // was sent.
  void abandon(Instant delay);

  // --- the server's end ---
  void accept(SimClientPort& port, std::uint64_t number);
  // The process is gone; `silently`: what it had sent may be lost, too.
  void server_gone(bool silently);

  // --- Transport ---
  void wake() override;

  void end() override { ending_ = true, wake(); }

 private:
  void to_server(Instant delay, std::function<void()> what);
  [[nodiscard]] Instant delay();
  void turn();
  void finish();
  void tell_lost();

  EventQueue& queue_;
  Random& random_;
  SimNode& node_;
  std::function<void(ByteView)> received_;
  std::function<void()> lost_;
  bool client_closed_ = false;
  bool output_lost_ = false;
  Instant arrival_{};    // the last at the server
  Instant departure_{};  // the last at the client

  SimClientPort* port_ = nullptr;
  std::uint64_t number_ = 0;
  std::unique_ptr<client_port::Conversation> conversation_;
  std::deque<std::string> input_;
  bool turn_wanted_ = false;
  bool ending_ = false;
};

class SimClientPort final : public FrontDoor, private server::ChangeSubscriber {
 public:
  SimClientPort(SimNode& node,
                Random& random,
                client_port::Settings settings,
                ClientHistory& history);
  ~SimClientPort() override;
  SimClientPort(const SimClientPort&) = delete;
  SimClientPort& operator=(const SimClientPort&) = delete;

  void tick() override { hub_.tick(); }

  [[nodiscard]] client_port::Hub& hub() { return hub_; }

  void accept(std::shared_ptr<ClientLink> link);

  void forget(std::uint64_t number) { links_.erase(number); }

 private:
  void applied(const server::AppliedTxn& txn) override;
  void replaced(const tree::DataTree& before, const tree::DataTree& after) override;

  void quorum_changed(bool /*in_quorum*/) override {}

  SimNode& node_;
  Random& random_;
  ClientHistory& history_;
  client_port::Hub hub_;
  std::map<std::uint64_t, std::shared_ptr<ClientLink>> links_;
  std::uint64_t last_number_ = 0;
};

}  // namespace zkfs::sim
