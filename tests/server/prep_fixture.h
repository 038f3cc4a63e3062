// SPDX-License-Identifier: Apache-2.0
// A leader without an ensemble: requests go to bytes and back, through prep, and the txns to bytes
// and back into the tree, at once or later.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ensemble/base/check.h"
#include "ensemble/server/prep.h"
#include "ensemble/server/request.h"
#include "ensemble/server/request_codec.h"
#include "ensemble/tree/data_tree.h"
#include "ensemble/tree/txn_codec.h"

namespace zkfs::server {

inline constexpr SessionId kAlice{101};
inline constexpr SessionId kBob{102};

inline Target at(std::string path) {
  return {.ino = {}, .path = std::move(path)};
}

inline Target at(Ino ino, std::string name = {}) {
  return {.ino = ino, .path = std::move(name)};
}

// A ZooKeeper client that has proven so much.
inline Identity client(std::vector<AuthId> ids) {
  return {
      .uid = 0, .gids = {}, .client = std::make_shared<const std::vector<AuthId>>(std::move(ids))};
}

inline CreateRequest create(Target target, const std::string& data = {}) {
  CreateRequest request;
  request.target = std::move(target);
  request.data = Blob(data);
  request.acl = tree::open_acl();
  return request;
}

inline CreateRequest create_kind(const std::string& path,
                                 tree::NodeKind kind,
                                 const std::string& data = {}) {
  CreateRequest request = create(at(path), data);
  request.kind = kind;
  return request;
}

inline CreateRequest file(const std::string& path, const std::string& data = {}) {
  return create_kind(path, tree::NodeKind::kFile, data);
}

inline CreateRequest directory(const std::string& path, const std::string& data = {}) {
  return create_kind(path, tree::NodeKind::kDirectory, data);
}

inline CreateRequest ephemeral(const std::string& path) {
  CreateRequest request = create(at(path));
  request.type = tree::NodeType::kEphemeral;
  return request;
}

inline CreateRequest sequential(const std::string& path) {
  CreateRequest request = create(at(path));
  request.sequential = true;
  return request;
}

inline DeleteRequest remove(const std::string& path) {
  DeleteRequest request;
  request.target = at(path);
  return request;
}

inline SetDataRequest set(const std::string& path,
                          const std::string& data,
                          std::int32_t version = kAnyVersion) {
  return {.target = at(path), .data = Blob(data), .version = version};
}

inline AppendRequest append(const std::string& path, const std::string& data) {
  return {.target = at(path), .data = Blob(data)};
}

inline RenameRequest rename(const std::string& source, const std::string& target) {
  RenameRequest request;
  request.source = at(source);
  request.target = at(target);
  return request;
}

inline SetAttributesRequest set_kind(const std::string& path, tree::NodeKind kind) {
  SetAttributesRequest request;
  request.target = at(path);
  request.kind = kind;
  return request;
}

inline MultiRequest multi(std::vector<SubRequest> operations) {
  return {.operations = std::move(operations)};
}

class Leader {
 public:
  // Sessions Alice and Bob exist.
  Leader() : prep_(tree_) {
    run(CreateSessionRequest{.timeout_ms = 10'000, .owner = "alice"}, kAlice);
    run(CreateSessionRequest{.timeout_ms = 10'000, .owner = "bob"}, kBob);
  }

  // Decides; the txn is applied by a later deliver().
  tree::Txn propose(Operation operation,
                    SessionId session = kAlice,
                    const Identity& identity = {}) {
    const Request request{.session = session,
                          .xid = Xid{++xid_},
                          .first_unanswered = first_unanswered,
                          .identity = identity,
                          .operation = std::move(operation)};
    const auto received = decode_forwarded(encode(request).view());
    ZKFS_CHECK(received.has_value(), "the request came to nothing");
    const Zxid zxid(Epoch{1}, ++counter_);
    const tree::Txn txn = prep_.prepare(std::get<Request>(*received), zxid, 1'000 + counter_);
    const Blob bytes = tree::encode(txn);
    auto logged = tree::decode_txn(bytes.view());
    ZKFS_CHECK(logged.has_value(), "the txn came to nothing");
    waiting_.emplace_back(zxid, std::move(*logged));
    return txn;
  }

  // Applies the oldest txn under way.
  tree::Outcome deliver() {
    auto [zxid, txn] = std::move(waiting_.front());
    waiting_.pop_front();
    auto result = tree_.apply(zxid, txn);
    prep_.applied(zxid);
    return std::move(result.outcome);
  }

  tree::Outcome run(Operation operation,
                    SessionId session = kAlice,
                    const Identity& identity = {}) {
    propose(std::move(operation), session, identity);
    tree::Outcome outcome;
    while (!waiting_.empty()) outcome = deliver();
    return outcome;
  }

  Error error_of(Operation operation, SessionId session = kAlice, const Identity& identity = {}) {
    return run(std::move(operation), session, identity).error;
  }

  [[nodiscard]] Ino ino(const std::string& path) const {
    const auto znode = tree_.find_path(path);
    return znode ? znode->ino : Ino{};
  }

  [[nodiscard]] std::string data(const std::string& path) const {
    const auto znode = tree_.find_path(path);
    return znode ? std::string(znode->data.view()) : "(none)";
  }

  [[nodiscard]] const tree::DataTree& tree() const { return tree_; }

  Prep& prep() { return prep_; }

  // Of the requests to come; 0 keeps no outcomes, so that a request without effect leaves the
  // digest.
  Xid first_unanswered;

  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

 private:
  tree::DataTree tree_;
  Prep prep_;
  std::uint64_t xid_ = 0;
  std::uint32_t counter_ = 0;
  std::deque<std::pair<Zxid, tree::Txn>> waiting_;
};

}  // namespace zkfs::server
