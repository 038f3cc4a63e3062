// SPDX-License-Identifier: Apache-2.0
// What a million watches cost: bytes beside the text of their paths, and the time of adding,
// firing and dropping them, by one connection and by many.
//
//   zkfs_watch_bench [WATCHES]
#include <string>
#include <vector>

#include <fmt/format.h>
#include <malloc.h>

#include "ensemble/server/watch_events.h"
#include "tests/bench/measure.h"

namespace zkfs::bench {
namespace {

using server::EventType;
using server::WatcherId;
using server::WatchKind;
using server::WatchTable;

std::size_t heap_bytes() {
  const auto info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

std::string path_of(std::size_t n) {
  return fmt::format("/services/shard-{:03}/instance-{:08}", n % 1000, n);
}

// Runs `work` and says what each of `count` steps took.
template <typename Work>
void timed(const char* what, std::size_t count, Work&& work) {
  const auto start = Clock::now();
  work();
  fmt::print("  {:<44} {:8.3f} us\n", what, micros(Clock::now() - start) / double(count));
}

void distinct_paths(std::size_t watches, std::size_t connections, bool recursive) {
  fmt::print("{} watches on distinct paths by {} connections{}:\n", watches, connections,
             recursive ? ", and one recursive watch of the root" : "");
  std::vector<std::string> paths;
  std::size_t text_bytes = 0;
  for (std::size_t i = 0; i < watches; ++i) text_bytes += paths.emplace_back(path_of(i)).size();
  const std::size_t before = heap_bytes();
  WatchTable table;
  const auto watcher_of = [&](std::size_t i) { return static_cast<WatcherId>(i % connections); };
  const auto other = static_cast<WatcherId>(connections);
  if (recursive) table.add(other, "/", WatchKind::kPersistentRecursive);
  timed("add", watches, [&] {
    for (std::size_t i = 0; i < watches; ++i) table.add(watcher_of(i), paths[i], WatchKind::kData);
  });
  fmt::print("  {:<44} {:8.1f}\n", "bytes a watch beside its path's text",
             double(heap_bytes() - before - text_bytes) / double(watches));
  std::vector<WatcherId> to;
  timed("fire where nobody watches", watches, [&] {
    std::string path;
    for (std::size_t i = 0; i < watches; ++i) {
      path.assign(paths[i]).push_back('x');
      table.fire(EventType::kDataChanged, path, to);
    }
  });
  timed("fire (one-shot, used up) and add again", watches, [&] {
    for (std::size_t i = 0; i < watches; ++i) {
      const std::size_t at = i * 7919 % watches;
      table.fire(EventType::kDataChanged, paths[at], to);
      table.add(watcher_of(at), paths[at], WatchKind::kData);
    }
  });
  timed("paths_beneath (a rename of much), a watch", watches,
        [&] { to.resize(table.paths_beneath("/services/shard-007").size()); });
  timed("drop, a watch", watches, [&] {
    for (std::size_t c = 0; c < connections; ++c) table.drop(static_cast<WatcherId>(c));
  });
}

void one_path(std::size_t connections) {
  fmt::print("one path watched by {} connections:\n", connections);
  WatchTable table;
  std::vector<WatcherId> to;
  const auto add_all = [&] {
    for (WatcherId c = 0; c < connections; ++c) table.add(c, "/lock", WatchKind::kChild);
  };
  timed("add, a watch", connections, add_all);
  timed("remove, a watch", connections, [&] {
    for (WatcherId c = 0; c < connections; ++c) {
      table.remove(c, "/lock", server::WatcherType::kChildren);
    }
  });
  add_all();
  timed("fire an event that none of them wants", 1,
        [&] { table.fire(EventType::kDataChanged, "/lock", to); });
  timed("fire, a watch", connections,
        [&] { table.fire(EventType::kChildrenChanged, "/lock", to); });
  add_all();
  timed("drop, a watch", connections, [&] {
    for (WatcherId c = 0; c < connections; ++c) table.drop(c);
  });
}

class Nobody : public server::WatchEventSink {
 public:
  void event(const server::WatchEvent& event) override { told += event.path.size(); }

  void overflow(WatcherId) override { ++overflows; }

  std::size_t told = 0;
  std::size_t overflows = 0;
};

void apply(tree::DataTree& tree, tree::TxnBody body, const WatchTable& table, Nobody& sink) {
  const auto result = tree.apply(Zxid{tree.last_applied().value + 1},
                                 tree::Txn{{}, {}, {}, 1'700'000'000'000, std::move(body)});
  server::watch_events(result.changes, tree, table, sink);
}

void renames(std::size_t znodes) {
  fmt::print("a directory of {} znodes is renamed:\n", znodes);
  tree::DataTree tree;
  WatchTable table;
  Nobody sink;
  const auto create = [&](Ino parent, std::string name) {
    tree::CreateTxn txn;
    txn.parent = parent;
    txn.name = std::move(name);
    txn.ino = tree.next_ino();
    apply(tree, txn, table, sink);
    return txn.ino;
  };
  const Ino directory = create(kRootIno, "d");
  timed("events of a create, with the create", znodes, [&] {
    for (std::size_t i = 0; i < znodes; ++i) create(directory, fmt::format("n{:08}", i));
  });
  const auto rename = [&](const char* what, const char* name) {
    timed(what, 1, [&] {
      apply(tree, tree::RenameTxn{directory, kRootIno, name, {}, false}, table, sink);
    });
  };
  rename("nobody watches", "d1");
  table.add(0, "/d1/n00000005", WatchKind::kData);
  table.add(0, "/d2/n00000007", WatchKind::kData);
  rename("two watches", "d2");
  table.add(1, "/", WatchKind::kPersistentRecursive);
  rename("a recursive watch", "d3");
  fmt::print("  {} to be disconnected\n", sink.overflows);
}

}  // namespace
}  // namespace zkfs::bench

int main(int argc, char** argv) {
  using namespace zkfs::bench;
  const std::size_t watches = argc > 1 ? number(argv[1]) : 1'000'000;
  distinct_paths(watches, 1, false);
  distinct_paths(watches, 1000, false);
  distinct_paths(watches, watches, false);
  distinct_paths(watches, 1000, true);
  one_path(10'000);
  renames(90'000);
  renames(watches);
}
