// SPDX-License-Identifier: Apache-2.0
#include "tests/tree/model.h"

#include <algorithm>

#include <fmt/format.h>

#include "ensemble/base/check.h"

namespace zkfs::tree::test {

struct Model::Step {
  Model& m;
  Zxid zxid;
  WallMillis time;

  Outcome ok(Ino ino = {}) {
    Outcome outcome;
    outcome.zxid = zxid;
    outcome.ino = ino;
    if (ino) outcome.version = m.nodes.at(ino).version;
    return outcome;
  }

  void changed(ModelNode& node) { node.change_time = std::max(node.change_time, time); }

  void remove(Ino ino) {
    leave(ino);
    m.nodes.erase(ino);
  }

  void leave(Ino ino) {
    ModelNode& parent = m.nodes.at(m.nodes.at(ino).parent);
    std::erase(parent.children, ino);
    parent.pzxid = zxid;
  }

  void enter(Ino ino, Ino parent, const std::string& name) {
    m.nodes.at(ino).parent = parent;
    m.nodes.at(ino).name = name;
    m.nodes.at(parent).children.push_back(ino);
    m.nodes.at(parent).pzxid = zxid;
  }

  void gained(Ino parent) {
    ModelNode& node = m.nodes.at(parent);
    ++node.creates;
    if (is_leaf_kind(node.kind)) node.kind = NodeKind::kDirectory;
  }

  void set(Ino ino, std::string data, WallMillis mtime) {
    ModelNode& node = m.nodes.at(ino);
    node.data = std::move(data);
    ++node.version;
    node.mzxid = zxid;
    node.mtime = mtime;
    changed(node);
  }

  Outcome operator()(const CreateTxn& txn) {
    m.next_ino = Ino{txn.ino.value + 1};
    ModelNode node;
    node.data = txn.data.view();
    node.acl = txn.acl;
    node.type = txn.type;
    node.kind = txn.kind;
    node.executable = txn.executable;
    if (txn.type == NodeType::kEphemeral) node.owner = txn.owner;
    if (txn.type == NodeType::kTtl) node.ttl_ms = txn.ttl_ms;
    node.czxid = node.mzxid = node.pzxid = zxid;
    node.ctime = node.mtime = node.change_time = time;
    m.nodes[txn.ino] = node;
    enter(txn.ino, txn.parent, txn.name);
    gained(txn.parent);
    Outcome outcome = ok(txn.ino);
    outcome.name = txn.name;
    return outcome;
  }

  Outcome operator()(const DeleteTxn& txn) {
    remove(txn.ino);
    return ok();
  }

  Outcome operator()(const SetDataTxn& txn) {
    set(txn.ino, std::string(txn.data.view()), time);
    return ok(txn.ino);
  }

  Outcome operator()(const AppendTxn& txn) {
    set(txn.ino, m.nodes.at(txn.ino).data + std::string(txn.data.view()), time);
    return ok(txn.ino);
  }

  Outcome operator()(const SetAclTxn& txn) {
    ModelNode& node = m.nodes.at(txn.ino);
    node.acl = txn.acl;
    ++node.aversion;
    changed(node);
    return ok(txn.ino);
  }

  Outcome operator()(const SetAttributesTxn& txn) {
    ModelNode& node = m.nodes.at(txn.ino);
    node.mtime = txn.mtime.value_or(node.mtime);
    node.kind = txn.kind.value_or(node.kind);
    node.executable = txn.executable.value_or(node.executable);
    changed(node);
    return ok(txn.ino);
  }

  Outcome operator()(const CheckTxn& txn) { return ok(txn.ino); }

  Outcome operator()(const RenameTxn& txn) {
    const ModelNode source = m.nodes.at(txn.ino);
    if (txn.exchange) {
      leave(txn.ino);
      leave(txn.replaced);
      enter(txn.ino, txn.new_parent, txn.new_name);
      enter(txn.replaced, source.parent, source.name);
      changed(m.nodes.at(txn.replaced));
    } else if (txn.replaced && !source.is_directory()) {
      remove(txn.ino);
      set(txn.replaced, source.data, source.mtime);
      m.nodes.at(txn.replaced).kind = source.kind;
      m.nodes.at(txn.replaced).executable = source.executable;
      return ok(txn.replaced);
    } else {
      if (txn.replaced) remove(txn.replaced);
      if (!txn.replaced) gained(txn.new_parent);
      leave(txn.ino);
      enter(txn.ino, txn.new_parent, txn.new_name);
    }
    changed(m.nodes.at(txn.ino));
    return ok(txn.ino);
  }

  Outcome operator()(const CreateSessionTxn& txn) {
    m.sessions[txn.session] = {txn.timeout_ms, txn.owner, {}};
    return ok();
  }

  Outcome operator()(const CloseSessionTxn& txn) {
    for (const Ino ino : txn.ephemerals) remove(ino);
    m.sessions.erase(txn.session);
    return ok();
  }

  Outcome operator()(const MultiTxn& txn) {
    Outcome outcome = ok();
    for (const SubTxn& operation : txn.operations) {
      outcome.operations.push_back(std::visit(*this, operation));
    }
    return outcome;
  }

  // Locks have a model of their own: lock_model.h.
  template <typename LockStep>
  Outcome operator()(const LockStep&) {
    ZKFS_CHECK(false, "txn {}: a lock", zxid);
    return {};
  }

  Outcome operator()(const ErrorTxn& txn) {
    Outcome outcome = ok();
    outcome.error = txn.error;
    for (const Error error : txn.per_operation) {
      outcome.operations.push_back(ok());
      outcome.operations.back().error = error;
    }
    return outcome;
  }
};

Model::Model() {
  ModelNode& root = nodes[kRootIno];
  root.kind = NodeKind::kDirectory;
  root.acl = open_acl();
  root.children = {kZookeeperIno};
  ModelNode& zookeeper = nodes[kZookeeperIno];
  zookeeper = root;
  zookeeper.parent = kRootIno;
  zookeeper.name = "zookeeper";
  zookeeper.children = {kQuotaIno, kConfigIno};
  ModelNode& quota = nodes[kQuotaIno];
  quota = zookeeper;
  quota.parent = kZookeeperIno;
  quota.name = "quota";
  quota.children = {};
  ModelNode& config = nodes[kConfigIno];
  config = quota;
  config.name = "config";
  config.kind = NodeKind::kUnspecified;
  config.acl = {{Permissions::kRead, "world", "anyone"}};
  config.version = config.aversion = -1;
}

Outcome Model::step(Zxid zxid, WallMillis time, const TxnBody& body) {
  return std::visit(Step{*this, zxid, time}, body);
}

Outcome Model::step(Zxid zxid, WallMillis time, const SubTxn& operation) {
  return std::visit(Step{*this, zxid, time}, operation);
}

Outcome Model::apply(Zxid zxid, const Txn& txn) {
  const Outcome outcome = step(zxid, txn.time, txn.body);
  last = zxid;
  const auto session = sessions.find(txn.session);
  if (txn.first_unanswered && session != sessions.end()) {
    auto& kept = session->second.outcomes;
    kept[txn.xid] = outcome;
    std::erase_if(kept, [&](const auto& entry) { return entry.first < txn.first_unanswered; });
  }
  return outcome;
}

std::optional<Ino> Model::child(Ino parent, const std::string& name) const {
  for (const Ino ino : nodes.at(parent).children) {
    if (nodes.at(ino).name == name) return ino;
  }
  return std::nullopt;
}

bool Model::is_beneath(Ino ino, Ino ancestor) const {
  while (ino && ino != ancestor) ino = nodes.at(ino).parent;
  return ino == ancestor;
}

std::vector<Ino> Model::ephemerals_of(SessionId session) const {
  std::vector<Ino> result;
  for (const auto& [ino, node] : nodes) {
    if (node.type == NodeType::kEphemeral && node.owner == session) result.push_back(ino);
  }
  return result;
}

namespace {

// Collects "what: have, want" for each that is not equal.
struct Differences {
  std::string text;

  template <typename A, typename B>
  void expect(const char* what, const A& have, const B& want) {
    if (!(have == want)) text += fmt::format("{} differs; ", what);
  }
};

}  // namespace

std::string Model::difference_of(Ino ino,
                                 const ModelNode& node,
                                 const DataTree& tree,
                                 bool by_number) const {
  const auto real = tree.find(ino);
  if (!real) return fmt::format("znode {} is missing; ", ino);
  Differences d;
  const Stat& stat = real->stat;
  const auto children = static_cast<std::int32_t>(node.children.size());
  d.expect("parent", real->parent, node.parent);
  d.expect("name", real->name, node.name);
  d.expect("data", real->data.view(), node.data);
  d.expect("acl", *real->acl, node.acl);
  d.expect("type", real->type, node.type);
  d.expect("kind", real->kind, node.kind);
  d.expect("executable", real->executable, node.executable);
  d.expect("owner", stat.ephemeral_owner, node.owner);
  d.expect("ttl", real->ttl_ms, node.ttl_ms);
  d.expect("czxid", stat.czxid, node.czxid);
  d.expect("mzxid", stat.mzxid, node.mzxid);
  d.expect("pzxid", stat.pzxid, node.pzxid);
  d.expect("ctime", stat.ctime, node.ctime);
  d.expect("mtime", stat.mtime, node.mtime);
  d.expect("change_time", real->change_time, node.change_time);
  d.expect("version", stat.version, node.version);
  d.expect("aversion", stat.aversion, node.aversion);
  d.expect("cversion", stat.cversion, 2 * node.creates - children);
  d.expect("create_counter", real->create_counter, node.creates);
  d.expect("data_length", stat.data_length, node.data.size());
  d.expect("num_children", stat.num_children, node.children.size());
  d.expect("is_directory", real->is_directory(), node.is_directory());
  d.expect("subdirectories", real->subdirectories,
           std::count_if(node.children.begin(), node.children.end(),
                         [&](Ino c) { return nodes.at(c).is_directory(); }));
  auto order = node.children;
  if (by_number) std::sort(order.begin(), order.end());
  d.expect("children", tree.children_of(ino), order);
  if (node.parent) {
    const auto found = tree.find_child(node.parent, node.name);
    d.expect("find_child", found ? found->ino : Ino{}, ino);
  }
  return d.text.empty() ? "" : fmt::format("znode {}: {}", ino, d.text);
}

std::string Model::difference_of_sessions(const DataTree& tree) const {
  Differences d;
  d.expect("count of sessions", tree.sessions().size(), sessions.size());
  for (const auto& [id, session] : sessions) {
    const auto real = tree.find_session(id);
    if (!real) return fmt::format("session {} is missing; ", id);
    d.expect("timeout", real->timeout_ms, session.timeout_ms);
    d.expect("session's owner", real->owner, session.owner);
    d.expect("ephemerals", tree.ephemerals_of(id), ephemerals_of(id));
    d.expect("count of ephemerals", real->ephemerals, ephemerals_of(id).size());
    for (const auto& [xid, outcome] : session.outcomes) {
      d.expect("outcome", tree.outcome_of(id, xid), std::optional(outcome));
      d.expect("forgotten outcome", session.outcomes.contains(Xid{xid.value - 1}),
               tree.outcome_of(id, Xid{xid.value - 1}).has_value());
    }
  }
  return d.text;
}

std::string Model::difference(const DataTree& tree, bool by_number) const {
  Differences d;
  std::uint64_t bytes = 0;
  std::vector<Ino> reapable;
  for (const auto& [ino, node] : nodes) {
    d.text += difference_of(ino, node, tree, by_number);
    bytes += node.data.size();
    if (!node.children.empty()) continue;
    if (node.type == NodeType::kTtl || (node.type == NodeType::kContainer && node.creates > 0)) {
      reapable.push_back(ino);
    }
  }
  d.text += difference_of_sessions(tree);
  d.expect("node_count", tree.node_count(), nodes.size());
  d.expect("data_bytes", tree.data_bytes(), bytes);
  d.expect("reapable", tree.reapable(), reapable);
  d.expect("next_ino", tree.next_ino(), next_ino);
  d.expect("last_applied", tree.last_applied(), last);
  d.expect("digest", tree.digest(), tree.recompute_digest());
  return d.text;
}

}  // namespace zkfs::tree::test
