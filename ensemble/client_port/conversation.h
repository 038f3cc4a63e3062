// SPDX-License-Identifier: Apache-2.0
// Conversation: ZooKeeper's protocol with one client, from its ConnectRequest to the end: frames
// in, bytes out. What the bytes travel on is the transport's affair.
//
// Order. Replies leave in the order of the requests. Writes are handed to the ensemble as they
// come; a read waits until what was asked before it is answered, and is answered from the tree as
// it is then: completions of a client's writes are called before the next txn is applied
// (server/client_door.h), so no read sees a later write of its own session. A sync has no txn, so
// writes behind a read that waits for one are held until it is answered. Events are put out
// while their txn is applied, so they precede every reply that could show it
// (reference/zookeeper.md 4.3).
//
// Bounds. Frames are taken only while wants_frames(): not while a session is being opened, the
// quorum is gone, the client does not read its replies, or it or everybody together has too much
// unanswered. What is not taken is not read from the socket. Reads that waited for a write are not
// answered either while the client does not read.
//
// Ends: by the client's closeSession, by a transport that closes, or by what cannot be answered
// (the transport is told to end). A session outlives its conversation unless it was closed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ensemble/base/blob.h"
#include "ensemble/base/clock.h"
#include "ensemble/base/ids.h"
#include "ensemble/client_port/port_view.h"
#include "ensemble/client_port/protocol.h"
#include "ensemble/client_port/transport.h"
#include "ensemble/server/request.h"
#include "ensemble/server/watch_table.h"
#include "ensemble/tree/txn.h"
#include "ensemble/tree/znode.h"

namespace zkfs::client_port {

class Hub;
struct ReplyTo;

class Conversation {
 public:
  // `address`: the client's, as ACLs of the scheme ip have it. `remote`: with its port, for people.
  Conversation(Hub& hub, Transport& transport, std::string address, std::string remote);
  ~Conversation();
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  // One frame without its length. Requires: wants_frames().
  void frame(ByteView payload);
  [[nodiscard]] bool wants_frames() const;

  // What is to be sent; the transport takes it from the front.
  [[nodiscard]] std::string& output() { return output_; }

  // All of output() has been taken.
  void drained();

  // Bytes of the events put out since everything was taken last: what a client that does not read
  // makes grow.
  [[nodiscard]] std::size_t event_bytes() const { return event_bytes_; }

  // A watch fired.
  void event(server::EventType type, std::string_view path, Zxid zxid);

  // The transport is gone, or the session belongs to somebody else now. Nothing is answered any
  // more; the session, if there is one, is left to its timeout.
  void close();
  // As close, and the transport is told to end after what is in output().
  void end();
  // Frames may be wanted again.
  void wake();

  [[nodiscard]] bool has_session() const { return static_cast<bool>(session_); }

  [[nodiscard]] SessionId session() const { return session_; }

  [[nodiscard]] server::WatcherId id() const { return id_; }

  [[nodiscard]] bool is_read_only() const { return read_only_; }

  [[nodiscard]] bool is_local() const { return local_; }

  [[nodiscard]] const server::Identity& identity() const { return identity_; }

  [[nodiscard]] const std::string& remote() const { return view_.remote; }

  [[nodiscard]] ConnectionView view() const;
  void reset_counts();

 private:
  enum class State : std::uint8_t {
    kConnecting,  // waits for the ConnectRequest
    kOpening,     // the ensemble is asked for the session
    kServing,
    kUpgrading,  // a local session is being made known to the ensemble
    kClosing,    // ends with its last reply
    kClosed,
  };

  // A request that is not answered yet.
  struct Pending {
    enum class Stage : std::uint8_t { kUnstarted, kWaiting, kDone };
    Stage stage = Stage::kWaiting;
    std::int32_t xid = 0;
    OpCode op = OpCode::kPing;
    Instant arrived{};
    std::uint64_t ticket = 0;
    Zxid zxid;
    // Unstarted: the frame; waiting, of a multi: the frame; done: the reply.
    std::string bytes;
    server::Identity identity;  // unstarted: of the client when it asked
  };

  // --- the session ---
  void connect(ByteView payload);
  void open_session(std::uint32_t timeout_ms);
  void attach(SessionId session, std::uint32_t timeout_ms, ByteView password);
  void begin_local(SessionId session, std::uint32_t timeout_ms, const std::string& password);
  void established(std::uint32_t timeout_ms, const std::string& password);
  void refuse();
  void answer_connect(std::uint32_t timeout_ms, SessionId session, const std::string& password);
  void touch();
  void identify();

  // --- requests ---
  void request(ByteView payload);
  // Answers now if nothing is before it.
  void read_request(const RequestHeader& header, ByteView payload);
  void read_now(const RequestHeader& header,
                ByteView payload,
                const server::Identity& identity,
                Instant arrived);
  void write_request(const RequestHeader& header, const Body& body, ByteView payload);
  // Of the request `sequence`, which waits for its turn to be answered.
  void submit(std::uint64_t sequence,
              const server::Identity& identity,
              server::Operation operation);
  void submit_close(std::uint64_t sequence);
  // True if a write must be held (see Order).
  [[nodiscard]] bool holds_writes() const;
  // The frame waits, for its turn or for a sync.
  void hold(const RequestHeader& header, ByteView payload);
  // Those that are held no longer.
  void start_writes();
  void upgrade(ByteView payload);
  void sync(const RequestHeader& header, std::string_view path);
  void close_session(const RequestHeader& header);
  Error authenticate(const AuthBody& body);
  void fail(const RequestHeader& header, Error error);

  // --- replies, in order ---
  // The request waits for its turn. Returns its number.
  std::uint64_t expect(const RequestHeader& header, Pending::Stage stage, std::string bytes = {});
  // Null: it is not waited for any more.
  [[nodiscard]] Pending* find(std::uint64_t sequence);
  // The reply to `sequence` is what `write(out, xid)` appends; it leaves when its turn has come.
  template <typename Write>
  void answer(std::uint64_t sequence, Zxid zxid, Write&& write);
  void decided(std::uint64_t sequence, const tree::Outcome& outcome);
  void write_decided(const Pending& pending,
                     const ReplyTo& to,
                     const tree::Outcome& outcome,
                     std::string& out) const;
  void write_multi(const Pending& pending,
                   const ReplyTo& to,
                   const tree::Outcome& outcome,
                   std::string& out) const;
  // Something was put out that began at `before`.
  void sent(std::size_t before, Zxid zxid, Instant arrived);
  void advance();
  void retire();
  void set_aside();

  [[nodiscard]] std::size_t queued() const { return queue_.size() - head_; }

  Hub& hub_;
  Transport& transport_;
  server::WatcherId id_ = 0;
  std::string address_;
  server::Identity identity_;
  State state_ = State::kConnecting;
  SessionId session_;
  bool local_ = false;
  bool read_only_ = false;
  bool wants_read_only_byte_ = false;
  bool ending_ = false;
  Instant touched_{};
  std::string password_;
  std::string held_;  // while kUpgrading: the frame that asked for it

  std::string output_;
  std::vector<Pending> queue_;  // from head_ on, in the order of the requests
  std::size_t head_ = 0;
  std::uint64_t first_sequence_ = 0;  // of the one at head_
  std::uint64_t submitted_end_ = 0;   // after the last write that was handed to the ensemble
  std::size_t set_aside_ = 0;         // from head_ on: not counted at the hub
  std::size_t unstarted_bytes_ = 0;
  std::size_t unstarted_reads_ = 0;
  std::size_t held_writes_ = 0;
  std::size_t syncs_ = 0;  // not answered
  std::size_t event_bytes_ = 0;

  Zxid last_zxid_;  // the highest that was sent
  ConnectionView view_;
  OpCode last_op_ = OpCode::kNotification;  // none yet
};

}  // namespace zkfs::client_port
