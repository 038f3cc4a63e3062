// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim_client_port.h"

#include <algorithm>
#include <utility>

namespace zkfs::sim {

// --- ClientLink ---

ClientLink::ClientLink(EventQueue& queue,
                       Random& random,
                       SimNode& node,
                       std::function<void(ByteView)> received,
                       std::function<void()> lost)
    : queue_(queue),
      random_(random),
      node_(node),
      received_(std::move(received)),
      lost_(std::move(lost)) {}

Instant ClientLink::delay() {
  // Now and then a slow one: a client that has moved on overtakes what it sent before.
  const auto most = random_.chance(1, 30) ? 60'000 : 2'000;
  return std::chrono::microseconds{static_cast<std::int64_t>(random_.between(20, most))};
}

void ClientLink::to_server(Instant delay, std::function<void()> what) {
  arrival_ = std::max(queue_.now() + delay, arrival_ + Instant{1});
  queue_.at(arrival_, [self = shared_from_this(), what = std::move(what)]() mutable {
    self->node_.input([self, what = std::move(what)] { what(); });
  });
}

void ClientLink::open() {
  arrival_ = queue_.now() + delay();
  queue_.at(arrival_, [self = shared_from_this()] {
    if (!self->node_.running()) return self->tell_lost();
    self->node_.input(
        [self] { static_cast<SimClientPort*>(self->node_.front_door())->accept(self); });
  });
}

void ClientLink::send(std::string frame) {
  to_server(delay(), [this, frame = std::move(frame)] {
    if (!conversation_) return;
    input_.push_back(frame);
    wake();
  });
}

void ClientLink::abandon(Instant delay) {
  client_closed_ = true;
  to_server(delay, [this] {
    if (conversation_) finish();
  });
}

void ClientLink::accept(SimClientPort& port, std::uint64_t number) {
  port_ = &port;
  number_ = number;
  conversation_ = std::make_unique<client_port::Conversation>(port.hub(), *this, "10.0.0.1",
                                                              fmt::format("10.0.0.1:{}", number));
}

void ClientLink::server_gone(bool silently) {
  conversation_.reset();
  port_ = nullptr;
  output_lost_ = silently;
  tell_lost();
}

void ClientLink::tell_lost() {
  departure_ = std::max(queue_.now() + delay(), departure_ + Instant{1});
  queue_.at(departure_, [self = shared_from_this()] {
    if (std::exchange(self->client_closed_, true)) return;
    self->lost_();
  });
}

void ClientLink::wake() {
  if (std::exchange(turn_wanted_, true)) return;
  queue_.after(Instant{}, [self = shared_from_this()] {
    self->node_.input([self] {
      if (self->conversation_) self->turn();
    });
  });
}

void ClientLink::turn() {
  turn_wanted_ = false;
  while (!ending_ && !input_.empty() && conversation_->wants_frames()) {
    const std::string frame = std::move(input_.front());
    input_.pop_front();
    conversation_->frame(frame);
  }
  if (std::string output = std::exchange(conversation_->output(), {}); !output.empty()) {
    departure_ = std::max(queue_.now() + delay(), departure_ + Instant{1});
    queue_.at(departure_, [self = shared_from_this(), output = std::move(output)] {
      if (!self->client_closed_ && !self->output_lost_) self->received_(output);
    });
    if (!ending_) conversation_->drained();
  }
  if (ending_) finish();
}

void ClientLink::finish() {
  conversation_.reset();
  tell_lost();
  const auto self = shared_from_this();
  port_->forget(number_);
}

// --- SimClientPort ---

SimClientPort::SimClientPort(SimNode& node,
                             Random& random,
                             client_port::Settings settings,
                             ClientHistory& history)
    : node_(node),
      random_(random),
      history_(history),
      hub_(
          node.member(),
          std::move(settings),
          [&node] { return node.now(); },
          [&random](std::size_t count) {
            std::string bytes;
            while (bytes.size() < count) bytes += static_cast<char>(random.between(1, 255));
            return bytes;
          }) {
  history_.jumped(node.member().tree());
  node.member().subscribe(this);
}

SimClientPort::~SimClientPort() {
  const bool silently = random_.chance(1, 2);
  for (const auto& [number, link] : links_) link->server_gone(silently);
  node_.member().unsubscribe(this);
}

void SimClientPort::accept(std::shared_ptr<ClientLink> link) {
  const auto number = ++last_number_;
  link->accept(*this, number);
  links_.emplace(number, std::move(link));
}

void SimClientPort::applied(const server::AppliedTxn& txn) {
  history_.applied(node_.member().tree(), txn);
}

void SimClientPort::replaced(const tree::DataTree& /*before*/, const tree::DataTree& after) {
  history_.jumped(after);
}

}  // namespace zkfs::sim
