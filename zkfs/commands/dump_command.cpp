// SPDX-License-Identifier: Apache-2.0
#include "zkfs/commands/dump_command.h"

#include <algorithm>
#include <cstdio>
#include <memory>

#include <fmt/format.h>

#include "ensemble/storage/inspect.h"
#include "ensemble/tree/snapshot_codec.h"
#include "ensemble/tree/txn_codec.h"
#include "zkfs/commands/client.h"
#include "zkfs/commands/dump_text.h"
#include "zkfs/config.h"

namespace zkfs {
namespace {

using Show = DumpCommand::Show;
using storage::DataFile;
using Tail = storage::SegmentScan::Tail;

// A Problem has its own text, thing and remedy.
int complain_of(const Problem& problem) {
  std::fflush(stdout);
  fmt::print(stderr, "zkfs: {}\n", problem.text);
  return kExitNo;
}

struct LoadedSnapshot {
  storage::SnapshotHeader header;
  std::unique_ptr<tree::DataTree> tree;
};

Expected<LoadedSnapshot> load_snapshot(const std::string& path) {
  tree::SnapshotLoader loader;
  const auto header =
      storage::read_snapshot_file(path, [&](ByteView chunk) { return loader.add(chunk); });
  if (!header) return std::unexpected(header.error());
  auto tree = loader.finish();
  if (!tree) return std::unexpected(Problem{path + ": " + tree.error().text});
  return LoadedSnapshot{*header, std::move(*tree)};
}

void print_below(const tree::DataTree& tree, Ino ino, const std::string& path) {
  const auto znode = tree.find(ino);
  if (!znode) return;
  fmt::print("{}\n", znode_text(path, *znode));
  std::vector<std::pair<std::string, Ino>> children;
  for (const Ino child : tree.children_of(ino)) {
    if (const auto found = tree.find(child)) children.emplace_back(found->name, child);
  }
  // The order of names: the same on all servers.
  std::ranges::sort(children);
  for (const auto& [name, child] : children) print_below(tree, child, joined(path, name));
}

void print_tree(const tree::DataTree& tree) {
  for (const tree::Session& session : tree.sessions()) {
    fmt::print("session {:#x} timeout={}ms ephemerals={} owner={}\n", session.id,
               session.timeout_ms, session.ephemerals, quoted(session.owner));
  }
  print_below(tree, kRootIno, "/");
  fmt::print("# as of {}: {} znodes, {} bytes of data, digest {:016x}\n", tree.last_applied(),
             tree.node_count(), tree.data_bytes(), tree.digest());
}

class Dump {
 public:
  Dump(const DumpCommand& command, const std::vector<DataFile>& files) : command_(command) {
    for (const DataFile& file : files)
      (file.kind == DataFile::Kind::kLog ? logs_ : snapshots_).push_back(file.path);
  }

  int run() {
    // Of files: each as what it is.
    const Show show = command_.show.value_or(
        logs_.empty() && !command_.files.empty() ? Show::kSnapshot : Show::kTxns);
    switch (show) {
      case Show::kTxns:
        print_txns();
        break;
      case Show::kSnapshot:
        print_snapshots();
        break;
      case Show::kTree:
        print_state();
        break;
    }
    if (!command_.show && show == Show::kTxns && !command_.files.empty()) print_snapshots();
    const int printed = print_all("");
    return std::max(worst_, printed);
  }

 private:
  void fail(const Problem& problem) { worst_ = std::max(worst_, complain_of(problem)); }

  [[nodiscard]] bool asked_for(Zxid zxid) const {
    return (!command_.from || zxid >= *command_.from) && (!command_.to || zxid <= *command_.to);
  }

  struct Segment {
    std::string path;
    storage::LogFile log;
  };

  // Calls `each` with every segment that can be read.
  template <typename Each>
  void read_logs(Each&& each) {
    for (const std::string& path : logs_) {
      auto log = storage::read_log_file(path);
      if (!log) {
        fail(log.error());
        continue;
      }
      each(Segment{path, std::move(*log)});
    }
  }

  // A record is known to be committed by a mark in a later one, so the marks are read first. The
  // position of a snapshot is one too.
  void find_committed() {
    for (const std::string& path : logs_) {
      const auto log = storage::read_log_file(path);
      if (!log) continue;  // complained of when it is shown
      for (const storage::LogRecord& record : log->scan.records)
        committed_ = std::max(committed_, record.committed);
    }
    for (const std::string& path : snapshots_) {
      const auto header =
          storage::read_snapshot_file(path, [](ByteView) { return Expected<void>{}; });
      if (header) committed_ = std::max(committed_, header->zxid);
    }
  }

  void print_txns() {
    find_committed();
    std::optional<Zxid> last;
    std::uint64_t generation = 0;
    read_logs([&](const Segment& segment) {
      const auto& [header, scan] = segment.log;
      if (last && header.generation == generation && header.previous != *last) {
        fail(
            Problem{fmt::format("{}: continues {}, but the segment before it ends with {}; a "
                                "segment is missing or damaged",
                                segment.path, header.previous, *last)});
      }
      fmt::print("# {}: after {}, generation {}, {} records, {} bytes\n", segment.path,
                 header.previous, header.generation, scan.records.size(), scan.end);
      for (const storage::LogRecord& record : scan.records) print_record(segment.path, record);
      print_tail(segment.path, scan);
      last = scan.records.empty() ? header.previous : scan.records.back().entry.zxid;
      generation = header.generation;
    });
  }

  void print_record(const std::string& path, const storage::LogRecord& record) {
    const Zxid zxid = record.entry.zxid;
    if (!asked_for(zxid)) return;
    const std::string_view mark = zxid <= committed_ ? "committed" : "logged";
    const auto txn = tree::decode_txn(record.entry.bytes.view());
    if (!txn) {
      fail(Problem{
          fmt::format("{}: {}: not a txn that this version knows; use a newer zkfs", path, zxid)});
      return;
    }
    fmt::print("{} {:<9} {}\n", zxid, mark, txn_text(*txn));
  }

  void print_tail(const std::string& path, const storage::SegmentScan& scan) {
    if (scan.tail == Tail::kTorn) {
      fmt::print(
          "# torn tail at offset {}, {} bytes: a batch that was not acknowledged, or is "
          "being written\n",
          scan.end, scan.content_end - scan.end);
    } else if (scan.tail == Tail::kDamaged) {
      fail(
          Problem{fmt::format("{}: damaged at offset {}: a record at offset {} proves that it was "
                              "durable; restore the file, or remove the data directory and let "
                              "the server be brought up by the others",
                              path, scan.end, scan.proof)});
    }
  }

  void print_snapshots() {
    const auto print = [](const std::string& path, const LoadedSnapshot& snapshot) {
      fmt::print("# {}: as of {}, generation {}\n", path, snapshot.header.zxid,
                 snapshot.header.generation);
      print_tree(*snapshot.tree);
    };
    if (command_.files.empty()) {
      if (const auto newest = newest_snapshot(Zxid{~0ULL})) {
        print(newest->first, newest->second);
      } else {
        fail(Problem{"no valid snapshot; --tree shows what the log comes to"});
      }
      return;
    }
    for (const std::string& path : snapshots_) {
      if (const auto snapshot = load_snapshot(path)) {
        print(path, *snapshot);
      } else {
        fail(snapshot.error());
      }
    }
  }

  // The newest valid one that is not after `to`; invalid ones are complained of.
  std::optional<std::pair<std::string, LoadedSnapshot>> newest_snapshot(Zxid to) {
    for (auto path = snapshots_.rbegin(); path != snapshots_.rend(); ++path) {
      auto snapshot = load_snapshot(*path);
      if (!snapshot) fail(snapshot.error());
      if (snapshot && snapshot->header.zxid <= to) return std::pair{*path, std::move(*snapshot)};
    }
    return std::nullopt;
  }

  void print_state() {
    find_committed();
    const Zxid to = std::min(command_.to.value_or(committed_), committed_);
    auto base = newest_snapshot(to);
    std::unique_ptr<tree::DataTree> tree =
        base ? std::move(base->second.tree) : std::make_unique<tree::DataTree>();
    const std::uint64_t generation = base ? base->second.header.generation : 0;
    bool joined_up = true;
    read_logs([&](const Segment& segment) {
      // Dead: a snapshot of a leader came in its place.
      if (segment.log.header.generation != generation) return;
      for (const storage::LogRecord& record : segment.log.scan.records) {
        const Zxid zxid = record.entry.zxid;
        if (zxid <= tree->last_applied() || zxid > to || !joined_up) continue;
        const auto txn = tree::decode_txn(record.entry.bytes.view());
        joined_up = txn && follows(tree->last_applied(), zxid);
        if (joined_up) tree->apply(zxid, *txn);
      }
    });
    if (!joined_up || tree->last_applied() < to) {
      fail(Problem{fmt::format("no snapshot and log lead to {}; this is as of {}", to,
                               tree->last_applied())});
    }
    print_tree(*tree);
  }

  const DumpCommand& command_;
  std::vector<std::string> logs_;
  std::vector<std::string> snapshots_;
  Zxid committed_;
  int worst_ = kExitYes;
};

}  // namespace

int run_dump(const DumpCommand& command) {
  std::vector<DataFile> files;
  int unread = kExitYes;
  if (command.files.empty()) {
    const std::string directory = command.data_dir.empty() ? default_data_dir() : command.data_dir;
    auto found = storage::list_data_files(directory);
    if (!found) return complain_of(found.error());
    files = std::move(*found);
  }
  for (const std::string& path : command.files) {
    auto file = storage::identify_data_file(path);
    if (file) {
      files.push_back(std::move(*file));
    } else {
      unread = complain_of(file.error());
    }
  }
  return std::max(unread, Dump(command, files).run());
}

}  // namespace zkfs
