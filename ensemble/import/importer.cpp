// SPDX-License-Identifier: Apache-2.0
#include "ensemble/import/importer.h"

#include <fcntl.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ensemble/base/limits.h"
#include "ensemble/import/zookeeper_files.h"
#include "ensemble/import/zookeeper_tree.h"
#include "ensemble/storage/store.h"
#include "ensemble/tree/path.h"
#include "ensemble/tree/snapshot_codec.h"
#include "ensemble/tree/tree_builder.h"

namespace zkfs::zookeeper {
namespace {

namespace fs = std::filesystem;
using Node = ZooKeeperTree::Node;

constexpr std::size_t kRefusedShown = 20;
constexpr std::string_view kConfigPath = "/zookeeper/config";
constexpr std::string_view kQuotaPath = "/zookeeper/quota/";
constexpr std::string_view kLimitsName = "/zookeeper_limits";

template <typename... Values>
std::unexpected<Problem> problem(fmt::format_string<Values...> format, Values&&... values) {
  return std::unexpected(Problem{fmt::format(format, std::forward<Values>(values)...)});
}

// --- is it at rest ---

// Open for writing, as fdinfo has it: "flags:\t0100002" in octal.
bool is_written_through(const fs::path& descriptor) {
  const fs::path info = descriptor.parent_path().parent_path() / "fdinfo" / descriptor.filename();
  std::ifstream in(info);
  for (std::string word; in >> word;) {
    unsigned flags = 0;
    if (word == "flags:" && in >> std::oct >> flags) return (flags & O_ACCMODE) != O_RDONLY;
  }
  return false;
}

// A file of `directory` that a process of this machine has open for writing, and which.
std::optional<std::string> writer_of(const fs::path& directory) {
  std::error_code error;
  const fs::path place = fs::canonical(directory, error);
  if (error) return std::nullopt;
  for (fs::directory_iterator process("/proc", error), end; !error && process != end;
       process.increment(error)) {
    const std::string pid = process->path().filename().string();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    std::error_code hidden;
    for (fs::directory_iterator fd(process->path() / "fd", hidden), last; !hidden && fd != last;
         fd.increment(hidden)) {
      std::error_code gone;
      const fs::path target = fs::read_symlink(fd->path(), gone);
      if (!gone && target.parent_path() == place && is_written_through(fd->path()))
        return fmt::format("{}: process {} has it open for writing", target.string(), pid);
    }
  }
  return std::nullopt;
}

// Changes when a file comes, goes, grows or is written.
std::string fingerprint(const std::string& directory) {
  std::vector<std::string> lines;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    const auto size = it->is_regular_file(ignored) ? it->file_size(ignored) : 0;
    lines.push_back(fmt::format("{} {} {}", it->path().string(), size,
                                it->last_write_time(ignored).time_since_epoch().count()));
  }
  std::ranges::sort(lines);
  return fmt::format("{}", fmt::join(lines, "\n"));
}

Expected<void> check_at_rest(const DataFiles& files) {
  for (const std::string& directory : {files.data_dir, files.log_dir}) {
    if (const auto writer = writer_of(directory))
      return problem("{}; stop the ZooKeeper server first", *writer);
  }
  return {};
}

// --- reading ---

struct Loaded {
  std::unique_ptr<ZooKeeperTree> tree;
  Zxid zxid;  // of the snapshot, then of the last txn
  std::size_t txns = 0;
};

// The newest snapshot that is valid; those passed over are told of.
Expected<Loaded> load_snapshot(const DataFiles& files, std::vector<std::string>& remarks) {
  for (const DataFile& file : files.snapshots) {
    auto tree = std::make_unique<ZooKeeperTree>();
    const auto read = read_snapshot(file, *tree);
    if (read) return Loaded{std::move(tree), file.zxid};
    remarks.push_back(read.error().text);
  }
  if (files.logs.empty() || files.logs.front().zxid > Zxid{Epoch{1}, 1} ||
      files.logs.front().zxid.counter() != 1) {
    const std::string_view why =
        remarks.empty() ? "there is none" : std::string_view(remarks.front());
    return problem(
        "{}: no snapshot can be read and the log does not begin at the beginning ({}); take the "
        "directory of another server of the ensemble",
        files.data_dir, why);
  }
  return Loaded{std::make_unique<ZooKeeperTree>(), Zxid{}};
}

Expected<void> apply_record(const DataFile& file, const LogRecord& record, Loaded& loaded) {
  // Already in the snapshot, or logged a second time when a server was brought up.
  if (record.zxid <= loaded.zxid) return {};
  if (!follows(loaded.zxid, record.zxid)) {
    return problem(
        "{}: the txn {} at offset {} does not follow {}: what is between is missing; take the "
        "directory of another server of the ensemble, or start that ZooKeeper once more and stop "
        "it: its new snapshot is of all that it knows",
        file.path, record.zxid, record.offset, loaded.zxid);
  }
  const auto applied = loaded.tree->apply(record);
  if (!applied) return problem("{}: {}", file.path, applied.error().text);
  loaded.zxid = record.zxid;
  ++loaded.txns;
  return {};
}

Expected<void> apply_logs(const DataFiles& files,
                          Loaded& loaded,
                          std::vector<std::string>& remarks) {
  // The last one that may hold the next txn.
  const Zxid next{loaded.zxid.value + 1};
  const auto after = std::ranges::upper_bound(files.logs, next, {}, &DataFile::zxid);
  for (auto file = after == files.logs.begin() ? after : after - 1; file != files.logs.end();
       ++file) {
    auto tail = read_log(
        *file, [&](const LogRecord& record) { return apply_record(*file, record, loaded); });
    if (!tail) return std::unexpected(std::move(tail).error());
    if (*tail) remarks.push_back(std::move(**tail));
  }
  return {};
}

// acceptedEpoch or currentEpoch; 0 where there is none (3.4.0 to 3.4.2, and a server alone).
Expected<Epoch> read_epoch(const std::string& directory, std::string_view name) {
  const fs::path path = fs::path(directory) / name;
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return Epoch{};
  const auto text = read_file(path.string());
  if (!text) return std::unexpected(text.error());
  const std::string_view digits = std::string_view(*text).substr(0, text->find_first_of("\r\n"));
  std::uint32_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value);
  if (error != std::errc{} || stop != end)
    return problem("{}: is not a decimal number below 2^32; restore it", path.string());
  return Epoch{value};
}

// --- into a tree ---

Zxid zxid_of(std::int64_t value) {
  return Zxid{static_cast<std::uint64_t>(value)};
}

class Conversion {
 public:
  Conversion(const ZooKeeperTree& from, Zxid last) : from_(from), last_(last) {}

  Expected<std::unique_ptr<tree::DataTree>> run() {
    put(from_.root(), Ino{}, "", "");
    if (refused_ == 0) return builder_.finish(last_);
    std::string text = fmt::format("{} znodes cannot be imported; nothing was:", refused_);
    for (const std::string& line : lines_) text += "\n  " + line;
    if (refused_ > lines_.size()) text += "\n  ...";
    return std::unexpected(Problem{std::move(text)});
  }

  [[nodiscard]] std::size_t quotas() const { return quotas_; }

 private:
  void refuse(const std::string& path, std::string_view why) {
    if (++refused_ <= kRefusedShown) lines_.push_back(fmt::format("{}: {}", path, why));
  }

  void check(const Node& node, std::string_view name, const std::string& path) {
    const StatPersisted& stat = node.stat;
    if (name.size() > limits::kNameBytesMax) {
      refuse(path, fmt::format("the name has {} bytes and {} is the most; recreate it in "
                               "ZooKeeper under a shorter one",
                               name.size(), limits::kNameBytesMax));
    } else if (!path.empty() && !tree::validate_name(name)) {
      refuse(path, "the name is not one that ZooKeeper allows; delete it there");
    } else if (path.size() > limits::kPathBytesMax) {
      refuse(path.substr(0, 100) + "...", "the path is over 64 KiB; delete it in ZooKeeper");
    }
    if (node.data.size() > limits::kFrameBytesMax) {
      refuse(path, fmt::format("the value has {} bytes and {} is the most; make it shorter in "
                               "ZooKeeper",
                               node.data.size(), limits::kFrameBytesMax));
    }
    if (node.missing_acl) {
      refuse(path, fmt::format("its ACL {} is not in the snapshot (ZOOKEEPER-3306); set it anew "
                               "in ZooKeeper",
                               *node.missing_acl));
    }
    if (std::max({stat.czxid, stat.mzxid, stat.pzxid}) > static_cast<std::int64_t>(last_.value)) {
      refuse(path, fmt::format("is newer than the log, which ends at {}; take the directory of "
                               "another server of the ensemble",
                               last_));
    }
  }

  void put(const Node& node, Ino parent, std::string_view name, const std::string& path) {
    check(node, name, path);
    // Once one is refused the rest is only looked at.
    const Ino ino = refused_ == 0 ? builder_.put(parent, name, state_of(node)) : Ino{};
    if (path.starts_with(kQuotaPath) && path.ends_with(kLimitsName)) ++quotas_;
    for (const auto& [child_name, child] : node.children) {
      const std::string below = path + "/" + child_name;
      if (below != kConfigPath) put(*child, ino, child_name, below);
    }
  }

  [[nodiscard]] tree::ZnodeState state_of(const Node& node) const {
    const auto lifetime = from_.lifetime_of(node.stat.ephemeral_owner);
    tree::ZnodeState state;
    state.data = node.data;
    state.acl = *node.acl;
    state.czxid = zxid_of(node.stat.czxid);
    state.mzxid = zxid_of(node.stat.mzxid);
    state.pzxid = zxid_of(node.stat.pzxid);
    state.ctime = node.stat.ctime;
    state.mtime = node.stat.mtime;
    state.version = node.stat.version;
    state.aversion = node.stat.aversion;
    state.create_counter = node.stat.cversion;
    state.type = lifetime.type;
    state.ttl_ms = lifetime.ttl_ms;
    return state;
  }

  const ZooKeeperTree& from_;
  Zxid last_;
  tree::TreeBuilder builder_;
  std::vector<std::string> lines_;
  std::size_t refused_ = 0;
  std::size_t quotas_ = 0;
};

}  // namespace

Expected<Imported> read_zookeeper(const std::string& data_dir, const std::string& log_dir) {
  const auto files = list_data_files(data_dir, log_dir);
  if (!files) return std::unexpected(files.error());
  ZKFS_TRY(check_at_rest(*files));
  if (files->logs.empty() && log_dir.empty()) {
    return problem(
        "{}: no log.* beside the snapshots; give --log-dir with dataLogDir of zoo.cfg, "
        "or this directory again if there is no log",
        files->data_dir);
  }
  const std::string before = fingerprint(files->data_dir) + fingerprint(files->log_dir);
  Imported imported;
  auto loaded = load_snapshot(*files, imported.remarks);
  if (!loaded) return std::unexpected(std::move(loaded).error());
  ZKFS_TRY(apply_logs(*files, *loaded, imported.remarks));
  const auto accepted = read_epoch(files->data_dir, "acceptedEpoch");
  if (!accepted) return std::unexpected(accepted.error());
  const auto current = read_epoch(files->data_dir, "currentEpoch");
  if (!current) return std::unexpected(current.error());
  if (before != fingerprint(files->data_dir) + fingerprint(files->log_dir)) {
    return problem("{}: was written while it was read; stop the ZooKeeper server first",
                   files->data_dir);
  }
  imported.current_epoch = std::max(*current, loaded->zxid.epoch());
  imported.accepted_epoch = std::max(*accepted, imported.current_epoch);
  imported.txns = loaded->txns;
  imported.sessions_left_out = loaded->tree->session_count();
  imported.ephemerals_left_out =
      loaded->tree->close_sessions(static_cast<std::int64_t>(loaded->zxid.value));
  Conversion conversion(*loaded->tree, loaded->zxid);
  auto tree = conversion.run();
  if (!tree) return problem("{}: {}", files->data_dir, tree.error().text);
  imported.tree = std::move(*tree);
  imported.quotas = conversion.quotas();
  return imported;
}

// Data first, epochs second. As received from a leader: there is no log that leads to it.
Expected<void> write_data_dir(storage::Disk& disk, const Imported& imported) {
  constexpr auto kReceived = storage::SnapshotOrigin::kReceived;
  constexpr std::size_t kSlotsMax = 100'000;
  auto opened = storage::Store::open(disk, {});
  if (!opened) return std::unexpected(std::move(opened).error());
  storage::Store& store = **opened;
  ZKFS_TRY(store.snapshot_begin(kReceived, imported.tree->last_applied()));
  const auto cursor = imported.tree->begin_snapshot();
  while (const auto chunk = cursor->next(limits::kSnapshotChunkBytes, kSlotsMax))
    ZKFS_TRY(store.snapshot_chunk(kReceived, chunk->view()));
  ZKFS_TRY(store.snapshot_finish(kReceived));
  ZKFS_TRY(store.save_accepted_epoch(imported.accepted_epoch));
  ZKFS_TRY(store.save_current_epoch(imported.current_epoch));
  tree::SnapshotLoader loader;
  ZKFS_TRY(store.read_snapshot([&](ByteView chunk) { return loader.add(chunk); }));
  const auto back = loader.finish();
  if (!back) return std::unexpected(back.error());
  if ((*back)->digest() != imported.tree->digest())
    return problem("{}: what was written reads back as another tree", disk.describe(""));
  return {};
}

}  // namespace zkfs::zookeeper
