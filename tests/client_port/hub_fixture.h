// SPDX-License-Identifier: Apache-2.0
// A client port without sockets: the hub and its conversations, over a real member that is an
// ensemble of one. The disk works when it is told to; the quorum can be said to be lost; time is
// handed in; each client's transport is a pair of queues.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ensemble/client_port/conversation.h"
#include "ensemble/client_port/hub.h"
#include "ensemble/jute/jute.h"
#include "ensemble/server/member.h"
#include "ensemble/tree/txn_codec.h"
#include "tests/client_port/sample_requests.h"

namespace zkfs::client_port {

// The member, whose quorum can be said to be lost.
class ScriptedDoor final : public server::ClientDoor {
 public:
  explicit ScriptedDoor(server::ClientDoor& door) : door_(door) {}

  void lose_quorum(Instant since) {
    lost_since_ = since;
    tell(false);
  }

  void regain_quorum() {
    lost_since_.reset();
    tell(true);
  }

  // As when the leader sent its snapshot.
  void replace_tree() {
    for (auto* subscriber : subscribers_) subscriber->replaced(tree(), tree());
  }

  SessionId open_session(std::uint32_t timeout_ms,
                         std::string owner,
                         Completion opened,
                         std::function<void()> lost) override {
    return door_.open_session(timeout_ms, std::move(owner), std::move(opened), std::move(lost));
  }

  void close_session(SessionId session, Completion closed) override {
    door_.close_session(session, std::move(closed));
  }

  [[nodiscard]] server::SessionHandover hand_over(SessionId session) const override {
    return door_.hand_over(session);
  }

  [[nodiscard]] bool idle(SessionId session) const override { return door_.idle(session); }

  void resume_session(const server::SessionHandover& session, std::function<void()> lost) override {
    door_.resume_session(session, std::move(lost));
  }

  std::uint64_t submit(SessionId session,
                       server::Identity identity,
                       server::Operation operation,
                       Completion done) override {
    return door_.submit(session, std::move(identity), std::move(operation), std::move(done));
  }

  void forget(std::uint64_t ticket) override { door_.forget(ticket); }

  // Syncs are answered when release_syncs() says so; a quorum far away.
  void hold_syncs() { holds_syncs_ = true; }

  void release_syncs() {
    holds_syncs_ = false;
    for (auto& done : std::exchange(held_syncs_, {})) done(Error::kOk);
  }

  std::uint64_t sync(SyncCompletion done) override {
    if (!holds_syncs_) return door_.sync(std::move(done));
    held_syncs_.push_back(std::move(done));
    return 0;
  }

  [[nodiscard]] const tree::DataTree& tree() const override { return door_.tree(); }

  [[nodiscard]] server::MemberStatus status() const override { return door_.status(); }

  [[nodiscard]] bool in_quorum() const override { return !lost_since_ && door_.in_quorum(); }

  [[nodiscard]] std::optional<Instant> quorum_lost_since() const override {
    return lost_since_ ? lost_since_ : door_.quorum_lost_since();
  }

  void subscribe(server::ChangeSubscriber* subscriber) override {
    subscribers_.push_back(subscriber);
    door_.subscribe(subscriber);
  }

  void unsubscribe(server::ChangeSubscriber* subscriber) override {
    std::erase(subscribers_, subscriber);
    door_.unsubscribe(subscriber);
  }

  SessionId new_session_id() override { return door_.new_session_id(); }

  [[nodiscard]] std::uint32_t negotiated(std::int64_t timeout_ms) const override {
    return door_.negotiated(timeout_ms);
  }

  void open_client_session(NewSession session,
                           Completion opened,
                           std::function<void()> lost) override {
    door_.open_client_session(std::move(session), std::move(opened), std::move(lost));
  }

  [[nodiscard]] bool has_quota_room(Ino ino,
                                    std::string_view name,
                                    const tree::QuotaUsage& more) const override {
    return door_.has_quota_room(ino, name, more);
  }

  [[nodiscard]] bool has_session(SessionId session) const override {
    return door_.has_session(session);
  }

  void attach_session(SessionId session,
                      std::uint32_t timeout_ms,
                      std::string password,
                      Completion attached,
                      std::function<void()> lost) override {
    door_.attach_session(session, timeout_ms, std::move(password), std::move(attached),
                         std::move(lost));
  }

  void detach_session(SessionId session) override { door_.detach_session(session); }

  void touch(SessionId session) override { door_.touch(session); }

 private:
  void tell(bool in_quorum) {
    for (auto* subscriber : subscribers_) subscriber->quorum_changed(in_quorum);
  }

  server::ClientDoor& door_;
  std::vector<server::ChangeSubscriber*> subscribers_;
  std::optional<Instant> lost_since_;
  std::vector<SyncCompletion> held_syncs_;
  bool holds_syncs_ = false;
};

class HeldStorage final : public storage::StoragePort {
 public:
  void submit(std::uint64_t token, storage::StorageOp op) override {
    if (auto* append = std::get_if<storage::AppendOp>(&op)) {
      for (const Entry& entry : append->entries) log.push_back(entry);
    }
    if (auto* saved = std::get_if<storage::SaveCurrentEpochOp>(&op)) epoch = saved->epoch;
    tokens.push_back(token);
  }

  std::deque<std::uint64_t> tokens;
  std::vector<Entry> log;
  Epoch epoch;
};

class NoPeers final : public server::PeerPort {
 public:
  void send(ServerId /*to*/, zab::Message /*message*/) override {}

  [[nodiscard]] std::size_t queued_bytes(ServerId /*to*/) const override { return 0; }
};

// --- what a client says ---

// A record, field by field.
class Record {
 public:
  Record& number(std::int32_t value) {
    jute::Writer(bytes_).write_int(value);
    return *this;
  }

  Record& large(std::int64_t value) {
    jute::Writer(bytes_).write_long(value);
    return *this;
  }

  Record& text(std::string_view value) {
    jute::Writer(bytes_).write_string(value);
    return *this;
  }

  Record& flag(bool value) {
    jute::Writer(bytes_).write_bool(value);
    return *this;
  }

  Record& texts(const std::vector<std::string>& values) {
    jute::Writer(bytes_).write_count(values.size());
    for (const auto& value : values) text(value);
    return *this;
  }

  Record& raw(std::string_view value) {
    bytes_ += value;
    return *this;
  }

  // NOLINTNEXTLINE(google-explicit-constructor): a record is its bytes.
  operator std::string() const { return bytes_; }

 private:
  std::string bytes_;
};

inline Record header(std::int32_t xid, OpCode op) {
  return Record().number(xid).number(static_cast<std::int32_t>(op));
}

struct Hello {
  std::int64_t last_zxid_seen = 0;
  std::int32_t timeout_ms = 10'000;
  SessionId session{};
  std::string password = std::string(kPasswordBytes, '\0');
  std::optional<bool> read_only = false;
};

inline std::string connect_request(const Hello& hello = {}) {
  Record record;
  record.number(0)
      .large(hello.last_zxid_seen)
      .number(hello.timeout_ms)
      .large(static_cast<std::int64_t>(hello.session.value))
      .text(hello.password);
  if (hello.read_only) record.flag(*hello.read_only);
  return record;
}

inline std::string create_request(std::int32_t xid,
                                  const std::string& path,
                                  std::int32_t flags = CreateFlags::kPersistent,
                                  const std::string& data = "",
                                  std::string_view acl = kOpenAcl) {
  return header(xid, OpCode::kCreate).text(path).text(data).raw(bytes(acl)).number(flags);
}

inline std::string set_request(std::int32_t xid,
                               const std::string& path,
                               const std::string& data,
                               std::int32_t version = -1) {
  return header(xid, OpCode::kSetData).text(path).text(data).number(version);
}

inline std::string delete_request(std::int32_t xid, const std::string& path) {
  return header(xid, OpCode::kDelete).text(path).number(-1);
}

inline std::string get_request(std::int32_t xid, const std::string& path, bool watch = false) {
  return header(xid, OpCode::kGetData).text(path).flag(watch);
}

inline std::string exists_request(std::int32_t xid, const std::string& path, bool watch = false) {
  return header(xid, OpCode::kExists).text(path).flag(watch);
}

inline std::string children_request(std::int32_t xid, const std::string& path, bool watch = false) {
  return header(xid, OpCode::kGetChildren).text(path).flag(watch);
}

inline std::string sync_request(std::int32_t xid) {
  return header(xid, OpCode::kSync).text("/");
}

inline std::string ping_request() {
  return header(kPingXid, OpCode::kPing);
}

inline std::string auth_request(const std::string& scheme, const std::string& auth) {
  return header(kAuthXid, OpCode::kAuth).number(0).text(scheme).text(auth);
}

inline std::string close_request(std::int32_t xid) {
  return header(xid, OpCode::kCloseSession);
}

// --- what it is told ---

struct Reply {
  std::int32_t xid = 0;
  std::int64_t zxid = 0;
  Error error = Error::kOk;
  std::string body;
};

struct Welcome {
  std::int32_t timeout_ms = 0;
  SessionId session;
  std::string password;
  std::optional<bool> read_only;
};

// Cuts whole frames off the front of `stream`.
inline std::optional<std::string> take_frame(std::string& stream) {
  jute::Reader reader(stream);
  const std::int32_t length = reader.read_int();
  if (!reader.good() || reader.rest().size() < static_cast<std::size_t>(length)) return {};
  std::string frame(reader.rest().substr(0, static_cast<std::size_t>(length)));
  stream.erase(0, kFrameHeaderBytes + frame.size());
  return frame;
}

inline Welcome read_welcome(const std::string& frame) {
  jute::Reader reader(frame);
  Welcome welcome;
  reader.read_int();
  welcome.timeout_ms = reader.read_int();
  welcome.session = SessionId{static_cast<std::uint64_t>(reader.read_long())};
  welcome.password = reader.read_text();
  if (!reader.at_end()) welcome.read_only = reader.read_bool();
  EXPECT_TRUE(reader.good());
  return welcome;
}

inline Reply read_reply(const std::string& frame) {
  jute::Reader reader(frame);
  Reply reply;
  reply.xid = reader.read_int();
  reply.zxid = reader.read_long();
  reply.error = static_cast<Error>(reader.read_int());
  reply.body = reader.rest();
  EXPECT_TRUE(reader.good());
  return reply;
}

// "7 Ok", "7 NoNode"; of an event "created /a".
inline std::string to_text(const Reply& reply) {
  if (reply.xid != kNotificationXid)
    return std::to_string(reply.xid) + " " + std::string(to_string(reply.error));
  jute::Reader reader(reply.body);
  const auto type = static_cast<EventType>(reader.read_int());
  EXPECT_EQ(reader.read_int(), kSyncConnected);
  const std::string path(reader.read_text());
  switch (type) {
    case EventType::kCreated:
      return "created " + path;
    case EventType::kDeleted:
      return "deleted " + path;
    case EventType::kDataChanged:
      return "changed " + path;
    case EventType::kChildrenChanged:
      return "children " + path;
    default:
      return "event " + std::to_string(static_cast<int>(type)) + " " + path;
  }
}

// The first field of getData's reply.
inline std::string data_of(const Reply& reply) {
  jute::Reader reader(reply.body);
  return std::string(reader.read_text());
}

class Client final : public Transport {
 public:
  explicit Client(Hub& hub, const std::string& address = "127.0.0.1")
      : conversation_(hub, *this, address, address + ":1") {}

  // --- Transport ---
  void wake() override {}

  void end() override {
    EXPECT_FALSE(ended_) << "told to end twice";
    ended_ = true;
  }

  // Frames are handed over as they are wanted.
  void say(std::string frame) {
    input_.push_back(std::move(frame));
    pump();
  }

  bool pump() {
    bool any = false;
    if (reads_ && !conversation_.output().empty()) {
      received_ += std::exchange(conversation_.output(), {});
      conversation_.drained();
      any = true;
    }
    while (!ended_ && !gone_ && !input_.empty() && conversation_.wants_frames()) {
      const std::string frame = std::move(input_.front());
      input_.pop_front();
      conversation_.frame(frame);
      any = true;
    }
    return any;
  }

  // The connection breaks.
  void vanish() {
    gone_ = true;
    conversation_.close();
  }

  // What is sent to it stays where it is.
  void stop_reading() { reads_ = false; }

  void read_again() { reads_ = true; }

  // The answer to its ConnectRequest; nothing if there is none.
  std::optional<Welcome> welcome() {
    pump();
    const auto frame = take_frame(received_);
    if (!frame) return {};
    return read_welcome(*frame);
  }

  // What has come since the last call.
  std::vector<Reply> replies() {
    pump();
    std::vector<Reply> all;
    while (const auto frame = take_frame(received_)) all.push_back(read_reply(*frame));
    EXPECT_TRUE(received_.empty()) << "half a frame";
    return all;
  }

  std::vector<std::string> heard() {
    std::vector<std::string> texts;
    for (const Reply& reply : replies()) texts.push_back(to_text(reply));
    return texts;
  }

  [[nodiscard]] bool ended() const { return ended_; }

  [[nodiscard]] std::size_t unsaid() const { return input_.size(); }

  Conversation& conversation() { return conversation_; }

 private:
  Conversation conversation_;
  std::deque<std::string> input_;
  std::string received_;
  bool reads_ = true;
  bool gone_ = false;
  bool ended_ = false;
};

using Texts = std::vector<std::string>;

class HubTest : public ::testing::Test {
 protected:
  explicit HubTest(Settings settings = {}) : settings_(std::move(settings)) {
    begin(std::make_unique<tree::DataTree>(), {});
  }

  // As a server that has died and comes up again on its log; all connections are gone.
  void restart() {
    clients_.clear();
    hub_.reset();
    door_.reset();
    member_.reset();
    auto tree = std::make_unique<tree::DataTree>();
    storage::Recovered recovered;
    recovered.accepted_epoch = recovered.current_epoch = storage_.epoch;
    recovered.entries = storage_.log;
    recovered.committed = storage_.log.back().zxid;
    for (const Entry& entry : recovered.entries)
      tree->apply(entry.zxid, *tree::decode_txn(entry.bytes.view()));
    begin(std::move(tree), recovered);
  }

  void begin(std::unique_ptr<tree::DataTree> tree, const storage::Recovered& recovered) {
    server::MemberConfig config;
    config.zab.self = ServerId{1};
    config.zab.voters = {ServerId{1}};
    config.seed = 1;
    storage_.tokens.clear();
    member_ =
        std::make_unique<server::Member>(config, std::move(tree), recovered, storage_, peers_);
    door_ = std::make_unique<ScriptedDoor>(*member_);
    settings_.self = ServerId{1};
    hub_ = std::make_unique<Hub>(
        *door_, settings_, [this] { return now(); },
        [this](std::size_t count) {
          return std::string(count, static_cast<char>('a' + passwords_++ % 26));
        });
    member_->start(now());
    run();
    hub_->tick();
    run();
  }

  [[nodiscard]] Now now() const { return {Instant{Millis{time_ms_}}, 1'000'000 + time_ms_}; }

  // One turn: what was asked goes to the disk, which has not finished yet.
  void turn() { member_->flush(now()); }

  void finish_disk() {
    const auto token = storage_.tokens.back();
    storage_.tokens.clear();
    member_->disk_done(token, now());
    member_->flush(now());
  }

  // Until nothing moves any more.
  void run() {
    for (bool any = true; any;) {
      any = false;
      turn();
      while (!storage_.tokens.empty()) finish_disk();
      for (const auto& client : clients_) any = client->pump() || any;
    }
  }

  void pass(std::int64_t ms) {
    for (const auto end = time_ms_ + ms; time_ms_ < end;) {
      time_ms_ += 100;
      member_->tick(now());
      hub_->tick();
      run();
    }
  }

  Client& client(const std::string& address = "127.0.0.1") {
    clients_.push_back(std::make_unique<Client>(*hub_, address));
    return *clients_.back();
  }

  // With a session.
  Client& connected(const std::string& address = "127.0.0.1") {
    Client& it = client(address);
    it.say(connect_request());
    run();
    const auto welcome = it.welcome();
    EXPECT_TRUE(welcome && welcome->session);
    if (welcome) welcome_ = *welcome;
    return it;
  }

  // As the client that connected last would return.
  [[nodiscard]] Hello again() const {
    return {.session = welcome_.session, .password = welcome_.password};
  }

  Texts ask(Client& client, std::string frame) {
    client.say(std::move(frame));
    run();
    return client.heard();
  }

  [[nodiscard]] bool exists(const std::string& path) const {
    return member_->tree().find_path(path).has_value();
  }

  std::int64_t time_ms_ = 1'000;
  int passwords_ = 0;
  Settings settings_;
  HeldStorage storage_;
  NoPeers peers_;
  std::unique_ptr<server::Member> member_;
  std::unique_ptr<ScriptedDoor> door_;
  std::unique_ptr<Hub> hub_;
  std::vector<std::unique_ptr<Client>> clients_;
  Welcome welcome_;
};

}  // namespace zkfs::client_port
