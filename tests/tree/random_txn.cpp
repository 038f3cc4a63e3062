// SPDX-License-Identifier: Apache-2.0
#include "tests/tree/random_txn.h"

#include <array>
#include <iterator>

namespace zkfs::tree::test {
namespace {

constexpr std::size_t kNodesMax = 60;

bool is_fixed(Ino ino) {
  return ino == kRootIno || is_system(ino);
}

class Maker {
 public:
  Maker(Random& random, const Model& model) : random_(random), model_(model) {}

  Txn make();
  SubTxn make_operation();

 private:
  template <typename Map>
  auto pick(const Map& map) {
    return std::next(map.begin(), static_cast<std::ptrdiff_t>(random_.below(map.size())))->first;
  }

  Ino pick_node() { return pick(model_.nodes); }

  std::string name();
  AclList acl();

  NodeKind kind() { return static_cast<NodeKind>(random_.below(4)); }

  std::optional<CreateTxn> create();
  std::optional<DeleteTxn> remove();
  std::optional<RenameTxn> rename();
  SetAttributesTxn attributes();
  TxnBody body();
  MultiTxn multi();

  Random& random_;
  const Model& model_;
};

std::string Maker::name() {
  static const std::array<std::string, 4> kShapes{"a", "lock-000000000", std::string(40, 'x'),
                                                  std::string(250, 'y')};
  return kShapes[random_.below(kShapes.size())] + static_cast<char>('a' + random_.below(4));
}

AclList Maker::acl() {
  if (random_.chance(1, 2)) return open_acl();
  AclList list;
  for (std::uint64_t i = random_.below(3); i > 0; --i) {
    list.push_back(
        {static_cast<std::uint32_t>(random_.below(32)), "user", std::to_string(random_.below(4))});
  }
  return list;
}

std::optional<CreateTxn> Maker::create() {
  if (model_.nodes.size() > kNodesMax) return std::nullopt;
  CreateTxn txn;
  txn.parent = pick_node();
  txn.name = name();
  txn.ino = model_.next_ino;
  if (model_.nodes.at(txn.parent).type == NodeType::kEphemeral) return std::nullopt;
  if (model_.child(txn.parent, txn.name)) return std::nullopt;
  txn.data = Blob(random_bytes(random_, 300));
  txn.acl = acl();
  txn.type = static_cast<NodeType>(random_.below(4));
  txn.kind = kind();
  txn.executable = random_.chance(1, 4);
  txn.ttl_ms = txn.type == NodeType::kTtl ? static_cast<std::int64_t>(random_.below(100000)) : 0;
  if (txn.type == NodeType::kEphemeral) {
    if (model_.sessions.empty()) return std::nullopt;
    txn.owner = pick(model_.sessions);
  }
  return txn;
}

std::optional<DeleteTxn> Maker::remove() {
  const Ino ino = pick_node();
  if (is_fixed(ino) || !model_.nodes.at(ino).children.empty()) return std::nullopt;
  return DeleteTxn{ino};
}

std::optional<RenameTxn> Maker::rename() {
  RenameTxn txn{pick_node(), pick_node(), name(), {}, false};
  if (random_.chance(1, 3)) {  // onto something that is there
    const Ino target = pick_node();
    if (is_fixed(target)) return std::nullopt;
    txn.new_parent = model_.nodes.at(target).parent;
    txn.new_name = model_.nodes.at(target).name;
  }
  if (is_fixed(txn.ino) || model_.is_beneath(txn.new_parent, txn.ino)) return std::nullopt;
  const ModelNode& source = model_.nodes.at(txn.ino);
  const ModelNode& parent = model_.nodes.at(txn.new_parent);
  if (parent.type == NodeType::kEphemeral) return std::nullopt;
  const auto there = model_.child(txn.new_parent, txn.new_name);
  if (!there) return txn;
  if (*there == txn.ino) return std::nullopt;
  const ModelNode& target = model_.nodes.at(*there);
  txn.replaced = *there;
  txn.exchange = random_.chance(1, 3);
  if (txn.exchange) {
    if (model_.is_beneath(source.parent, *there)) return std::nullopt;
    return txn;
  }
  if (source.is_directory() != target.is_directory()) return std::nullopt;
  if (!(source.is_directory() ? target : source).children.empty()) return std::nullopt;
  return txn;
}

SetAttributesTxn Maker::attributes() {
  SetAttributesTxn txn{pick_node(), {}, {}, {}};
  if (random_.chance(1, 2)) txn.mtime = static_cast<WallMillis>(random_.below(3'000'000));
  if (random_.chance(1, 2) && !is_fixed(txn.ino)) txn.kind = kind();
  if (random_.chance(1, 2)) txn.executable = random_.chance(1, 2);
  return txn;
}

SubTxn Maker::make_operation() {
  while (true) {
    switch (random_.below(12)) {
      case 0:
      case 1:
      case 2:
        if (auto txn = create()) return *txn;
        break;
      case 3:
      case 4:
        if (auto txn = remove()) return *txn;
        break;
      case 5:
        return SetDataTxn{pick_node(), Blob(random_bytes(random_, 300))};
      case 6:
        return AppendTxn{pick_node(), Blob(random_bytes(random_, 30))};
      case 7:
        return SetAclTxn{pick_node(), acl()};
      case 8:
        return attributes();
      case 9:
        return CheckTxn{pick_node()};
      default:
        if (auto txn = rename()) return *txn;
        break;
    }
  }
}

MultiTxn Maker::multi() {
  MultiTxn txn;
  Model ahead = model_;
  for (std::uint64_t i = random_.below(5); i > 0; --i) {
    txn.operations.push_back(Maker(random_, ahead).make_operation());
    ahead.step(Zxid{~std::uint64_t{0}}, 0, txn.operations.back());
  }
  return txn;
}

TxnBody Maker::body() {
  const std::uint64_t roll = random_.below(20);
  if (roll == 0 && model_.sessions.size() < 6) {
    std::uint64_t id = model_.sessions.empty() ? 1 : model_.sessions.rbegin()->first.value + 1;
    return CreateSessionTxn{SessionId{id}, static_cast<std::uint32_t>(random_.below(60000)),
                            random_bytes(random_, 30)};
  }
  if (roll == 1 && !model_.sessions.empty()) {
    const SessionId id = pick(model_.sessions);
    return CloseSessionTxn{id, model_.ephemerals_of(id)};
  }
  if (roll == 2) return ErrorTxn{Error::kNoNode, {}};
  if (roll == 3) return ErrorTxn{Error::kBadVersion, {Error::kOk, Error::kBadVersion}};
  if (roll < 7) return multi();
  while (true) {
    SubTxn operation = make_operation();
    if (std::holds_alternative<CheckTxn>(operation)) continue;
    TxnBody result;
    std::visit(
        [&]<typename T>(T& txn) {
          if constexpr (!std::is_same_v<T, CheckTxn>) result = std::move(txn);
        },
        operation);
    return result;
  }
}

Txn Maker::make() {
  Txn txn;
  txn.body = body();
  txn.time = static_cast<WallMillis>(1'000'000 + 10 * model_.last.value + random_.below(30));
  if (!model_.sessions.empty() && random_.chance(4, 5)) txn.session = pick(model_.sessions);
  if (!txn.session) return txn;
  txn.xid = Xid{model_.last.value + 1};
  if (random_.chance(2, 3)) {
    const std::uint64_t unanswered = random_.below(10);
    txn.first_unanswered = Xid{txn.xid.value > unanswered ? txn.xid.value - unanswered : 1};
  }
  return txn;
}

}  // namespace

Txn random_txn(Random& random, const Model& model) {
  return Maker(random, model).make();
}

std::string random_bytes(Random& random, std::size_t size_max) {
  std::string bytes(random.chance(1, 4) ? 0 : random.below(size_max + 1), '\0');
  for (char& c : bytes) c = static_cast<char>(random.below(256));
  return bytes;
}

}  // namespace zkfs::tree::test
