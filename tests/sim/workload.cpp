// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/workload.h"

#include <set>
#include <utility>

namespace zkfs::sim {
namespace {

constexpr int kFiles = 4;
constexpr std::uint32_t kSessionTimeoutMs = 4'000;

server::CreateRequest write_request(std::string path, const std::string& data, bool append) {
  server::CreateRequest request;
  request.target.path = std::move(path);
  request.data = Blob(data);
  request.acl = tree::open_acl();
  request.kind = tree::NodeKind::kFile;
  request.or_set = true;
  request.append = append;
  return request;
}

bool unknown(const std::optional<tree::Outcome>& outcome) {
  // A client whose process died, or that was told so, does not know.
  return !outcome || outcome->error == Error::kUnknownOutcome;
}

bool happened(const std::optional<tree::Outcome>& outcome) {
  return outcome && outcome->error == Error::kOk;
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t result = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++result;
  return result;
}

}  // namespace

Workload::Workload(Random& random, Checkers& checkers) : random_(random), checkers_(checkers) {}

Workload::Client& Workload::client_of(SimNode& node) {
  const Key key{node.id(), node.incarnation()};
  auto& client = clients_[key];
  if (client.session.value != 0) return client;
  client.session = node.member().open_session(
      kSessionTimeoutMs, "simulation",
      [this, key](const tree::Outcome& outcome) {
        clients_[key].open = outcome.error == Error::kOk;
      },
      [this, key] { clients_[key] = Client{}; });
  return client;
}

void Workload::submit(SimNode& node,
                      Client& client,
                      Kind kind,
                      std::string path,
                      server::Operation operation,
                      std::string mark) {
  const auto index = operations_.size();
  operations_.push_back({kind, std::move(path), std::move(mark), std::nullopt});
  node.member().submit(client.session, {}, std::move(operation),
                       [this, index](const tree::Outcome& outcome) {
                         auto& op = operations_[index];
                         if (op.outcome) Checkers::violated("answered twice: " + op.mark);
                         op.outcome = outcome;
                         ++answered_;
                         if (outcome.error == Error::kOk) checkers_.acknowledged(outcome.zxid);
                       });
}

void Workload::increment(SimNode& node, Client& client) {
  const std::string path = "/counter";
  const auto znode = node.member().tree().find_path(path);
  if (!znode) {
    submit(node, client, Kind::kSet, path, write_request(path, "", false), "counter");
    return;
  }
  // One more character, if nobody else was faster.
  const std::string data = std::string(znode->data.view()) + "i";
  server::SetDataRequest request;
  request.target.ino = znode->ino;
  request.data = Blob(data);
  request.version = znode->stat.version;
  submit(node, client, Kind::kIncrement, path, request, "increment");
}

// Containers and TTL znodes. In the end the reapers have left none (Cluster::converged).
void Workload::transient(SimNode& node, Client& client) {
  const std::string path = fmt::format("/k{}", random_.below(2));
  const std::string mark = "transient";
  server::CreateRequest request;
  request.target.path = path;
  request.acl = tree::open_acl();
  if (random_.chance(1, 3)) {
    request.type = tree::NodeType::kContainer;
  } else {
    request.target.path += fmt::format("/{}", random_.below(2));
    request.type = tree::NodeType::kTtl;
    request.ttl_ms = static_cast<std::int64_t>(random_.between(1, 1'000));
  }
  submit(node, client, Kind::kTransient, request.target.path, request, mark);
}

void Workload::sync(SimNode& node) {
  const Zxid newest = checkers_.newest_acknowledged();
  node.member().sync([newest, &node](Error error) {
    if (error != Error::kOk) return;
    if (node.member().tree().last_applied() < newest) {
      Checkers::violated(fmt::format("server {} synced at {} but {} was acknowledged before",
                                     node.id(), node.member().tree().last_applied(), newest));
    }
  });
}

void Workload::act(SimNode& node) {
  if (!node.running() || node.paused()) return;
  Client& client = client_of(node);
  const std::string mark = fmt::format("<{}>", operations_.size());
  const std::string file = fmt::format("/f{}", random_.below(kFiles));
  switch (random_.below(13)) {
    case 0:
    case 1:
    case 2:
      return submit(node, client, Kind::kAppend, file, write_request(file, mark, true), mark);
    case 3:
    case 4: {
      const std::string path = fmt::format("/s{}", random_.below(kFiles));
      return submit(node, client, Kind::kSet, path, write_request(path, mark, false), mark);
    }
    case 5:
      return increment(node, client);
    case 6: {
      auto request = write_request("/q-", mark, false);
      request.or_set = false;
      request.sequential = true;
      return submit(node, client, Kind::kSequential, "/q-", request, mark);
    }
    case 7: {
      auto request = write_request(fmt::format("/u{}", operations_.size()), mark, false);
      request.or_set = false;
      const std::string path = request.target.path;
      return submit(node, client, Kind::kUnique, path, request, mark);
    }
    case 8: {
      auto request = write_request(fmt::format("/e{}", operations_.size()), mark, false);
      request.or_set = false;
      request.type = tree::NodeType::kEphemeral;
      const std::string path = request.target.path;
      return submit(node, client, Kind::kEphemeral, path, request, mark);
    }
    case 9: {
      // Among two names, back and forth.
      server::RenameRequest request;
      request.source.path = random_.chance(1, 2) ? "/r0" : "/r1";
      request.target.path = random_.chance(1, 2) ? "/r0" : "/r1";
      return submit(node, client, Kind::kRename, request.source.path, request, mark);
    }
    case 10: {
      if (random_.chance(1, 2)) {
        return submit(node, client, Kind::kSet, "/r0", write_request("/r0", mark, false), mark);
      }
      server::DeleteRequest request;
      request.target.path = "/r0";
      return submit(node, client, Kind::kDelete, "/r0", request, mark);
    }
    case 11:
      return transient(node, client);
    default:
      return sync(node);
  }
}

void Workload::mark(SimNode& node) {
  Client& client = client_of(node);
  node.member().submit(client.session, {}, write_request("/mark", "m", true),
                       [this](const tree::Outcome& outcome) {
                         if (outcome.error == Error::kOk) ++marks_done_;
                       });
}

void Workload::check(const tree::DataTree& tree) const {
  check_appends(tree);
  check_sets(tree);
  check_increments(tree);
  check_creates(tree);
  if (tree.digest() != tree.recompute_digest()) Checkers::violated("the digest has drifted");
}

void Workload::check_appends(const tree::DataTree& tree) const {
  std::map<std::string, std::map<Zxid, std::size_t>> order;  // by file: zxid -> offset
  for (const auto& op : operations_) {
    if (op.kind != Kind::kAppend) continue;
    const auto znode = tree.find_path(op.path);
    const std::string text(znode ? znode->data.view() : ByteView{});
    const auto times = count(text, op.mark);
    if (times > 1) Checkers::violated(fmt::format("{} is {} times in {}", op.mark, times, op.path));
    if (happened(op.outcome) && times != 1) {
      Checkers::violated(
          fmt::format("acknowledged {} at {} is lost from {}", op.mark, op.outcome->zxid, op.path));
    }
    if (!happened(op.outcome) && !unknown(op.outcome) && times != 0) {
      Checkers::violated(fmt::format("{} was answered {} but is in {}", op.mark,
                                     to_string(op.outcome->error), op.path));
    }
    if (happened(op.outcome)) order[op.path][op.outcome->zxid] = text.find(op.mark);
  }
  for (const auto& [path, offsets] : order) {
    std::size_t previous = 0;
    for (const auto& [zxid, offset] : offsets) {
      if (offset < previous) Checkers::violated("appends out of order in " + path);
      previous = offset;
    }
  }
}

void Workload::check_sets(const tree::DataTree& tree) const {
  std::map<std::string, Zxid> newest;
  for (const auto& op : operations_) {
    if (op.kind == Kind::kSet && op.path[1] == 's' && happened(op.outcome)) {
      newest[op.path] = std::max(newest[op.path], op.outcome->zxid);
    }
  }
  for (const auto& [path, zxid] : newest) {
    const auto znode = tree.find_path(path);
    if (!znode || znode->stat.mzxid < zxid) {
      Checkers::violated(fmt::format("{} lost the value acknowledged at {}", path, zxid));
    }
    for (const auto& op : operations_) {
      if (op.kind != Kind::kSet || op.mark != znode->data.view()) continue;
      if (happened(op.outcome) && op.outcome->zxid != znode->stat.mzxid) {
        Checkers::violated(fmt::format("{} of {} was set again at {}", op.mark, op.outcome->zxid,
                                       znode->stat.mzxid));
      }
    }
  }
}

void Workload::check_increments(const tree::DataTree& tree) const {
  const auto znode = tree.find_path("/counter");
  std::size_t least = 0;
  std::size_t most = 0;
  for (const auto& op : operations_) {
    if (op.kind != Kind::kIncrement) continue;
    if (happened(op.outcome)) ++least;
    if (happened(op.outcome) || unknown(op.outcome)) ++most;
  }
  // "counter" may be created (set to empty) more than once, by clients that did not see it yet.
  const std::size_t value = znode ? znode->data.size() : 0;
  std::size_t creations = 0;
  for (const auto& op : operations_) creations += op.mark == "counter" ? 1 : 0;
  if (value > most || (creations <= 1 && value < least)) {
    Checkers::violated(fmt::format("the counter is {} but between {} and {} increments succeeded",
                                   value, least, most));
  }
}

void Workload::check_creates(const tree::DataTree& tree) const {
  std::set<std::string> names;
  std::map<std::string, std::size_t> marks;
  for (const Ino ino : tree.children_of(kRootIno)) {
    const auto znode = tree.find(ino);
    if (znode->name.starts_with("q-")) ++marks[std::string(znode->data.view())];
  }
  for (const auto& op : operations_) {
    if (op.kind == Kind::kSequential) {
      if (marks[op.mark] > 1) Checkers::violated("a sequential create happened twice: " + op.mark);
      if (happened(op.outcome)) {
        if (marks[op.mark] != 1) Checkers::violated("a sequential create was lost: " + op.mark);
        if (!names.insert(op.outcome->name).second) {
          Checkers::violated("a sequence number was given twice: " + op.outcome->name);
        }
      } else if (!unknown(op.outcome) && marks[op.mark] != 0) {
        Checkers::violated("an answered failure created " + op.mark);
      }
    }
    if (op.kind == Kind::kUnique && happened(op.outcome) && !tree.find_path(op.path)) {
      Checkers::violated("lost: " + op.path);
    }
    // A create that can fail only by existing already, and nobody else makes that name.
    if (op.kind == Kind::kUnique && op.outcome && op.outcome->error == Error::kNodeExists) {
      Checkers::violated("created twice: " + op.path);
    }
    if (op.kind == Kind::kEphemeral && tree.find_path(op.path)) {
      const auto owner = tree.find_path(op.path)->stat.ephemeral_owner;
      if (!tree.find_session(owner))
        Checkers::violated("an ephemeral outlived its session: " + op.path);
    }
  }
}

}  // namespace zkfs::sim
