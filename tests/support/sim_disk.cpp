// SPDX-License-Identifier: Apache-2.0
#include "tests/support/sim_disk.h"

#include <algorithm>
#include <cstring>

#include <fmt/core.h>

#include "ensemble/base/check.h"

namespace zkfs::testing {
namespace {

constexpr std::uint64_t kNever = UINT64_MAX;

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string{} : path.substr(0, slash);
}

std::unexpected<Problem> failure(const std::string& path,
                                 std::string_view operation,
                                 std::string_view why) {
  return std::unexpected(Problem{fmt::format("/sim/{}: {} failed: {}", path, operation, why)});
}

}  // namespace

// A file's bytes: as a reader sees them, and as of its last sync. Where they differ is in `dirty`
// (and beyond the shorter one).
struct SimDisk::Inode {
  std::string now;
  std::string durable;
  std::vector<std::uint32_t> dirty;  // sectors, with repetitions

  void mark(std::uint64_t begin, std::uint64_t end) {
    for (std::uint64_t sector = begin / kSectorBytes; sector * kSectorBytes < end; ++sector) {
      if (dirty.empty() || dirty.back() != sector)
        dirty.push_back(static_cast<std::uint32_t>(sector));
    }
  }

  // Puts the bytes [begin, end) of `now` into `durable`, as far as they exist in both.
  void settle(std::uint64_t begin, std::uint64_t end) {
    end = std::min<std::uint64_t>({end, now.size(), durable.size()});
    if (begin < end) std::memcpy(durable.data() + begin, now.data() + begin, end - begin);
  }

  void sync() {
    durable.resize(now.size(), '\0');
    for (const std::uint32_t sector : dirty)
      settle(sector * kSectorBytes, (sector + 1) * kSectorBytes);
    dirty.clear();
  }

  void crash(Random& random) {
    if (durable.size() != now.size() && random.chance(1, 2)) durable.resize(now.size(), '\0');
    std::ranges::sort(dirty);
    const auto repeated = std::ranges::unique(dirty);
    dirty.erase(repeated.begin(), repeated.end());
    for (const std::uint32_t sector : dirty) crash_sector(sector * kSectorBytes, random);
    dirty.clear();
    now = durable;
  }

  void crash_sector(std::uint64_t begin, Random& random) {
    const std::uint64_t end = begin + kSectorBytes;
    const std::uint64_t middle = begin + random.below(kSectorBytes);
    switch (random.below(6)) {
      case 0:
      case 1:
        settle(begin, end);
        break;
      case 2:
        settle(begin, middle);
        break;
      case 3:
        settle(middle, end);
        break;
      default:
        break;
    }
  }
};

struct SimDisk::Machine {
  using Names = std::map<std::string, std::shared_ptr<Inode>>;

  // One change to the names in a directory, to be applied to `durable` when the directory is
  // synced.
  struct NameChange {
    enum class Kind : std::uint8_t { kLink, kRename, kRemove, kDirectory } kind;
    std::string path;
    std::string to;                // kRename
    std::shared_ptr<Inode> inode;  // kLink
  };

  Names now;
  Names durable;
  std::set<std::string> directories_now{""};
  std::set<std::string> directories_durable{""};
  std::map<std::string, std::vector<NameChange>> pending;  // by directory
  std::uint64_t life = 0;  // grows at crash and restart; Files of an earlier life are dead
  bool locked = false;
  std::uint64_t changes = 0;
  std::uint64_t bytes_written = 0;
  std::uint64_t stop_at = kNever;
  std::uint64_t syncs_left = kNever;
  std::uint64_t writes_left = kNever;
  std::uint64_t space = kNever;

  // Counts a change; false if the machine has stopped before it.
  bool admit() {
    if (changes >= stop_at) return false;
    ++changes;
    return true;
  }

  [[nodiscard]] bool stopped() const { return changes >= stop_at; }

  static bool strike(std::uint64_t& left) { return left != kNever && --left == 0; }

  [[nodiscard]] std::uint64_t used() const {
    std::uint64_t total = 0;
    for (const auto& [path, inode] : now) total += inode->now.size();
    return total;
  }

  [[nodiscard]] bool has_room(const Inode& inode, std::uint64_t end) const {
    if (space == kNever || end <= inode.now.size()) return true;
    return used() + (end - inode.now.size()) <= space;
  }

  void note(NameChange change) {
    apply(change, now, directories_now);
    pending[parent_of(change.path)].push_back(std::move(change));
  }

  static void apply(const NameChange& change, Names& names, std::set<std::string>& directories) {
    switch (change.kind) {
      case NameChange::Kind::kLink:
        names[change.path] = change.inode;
        break;
      case NameChange::Kind::kRemove:
        names.erase(change.path);
        break;
      case NameChange::Kind::kDirectory:
        directories.insert(change.path);
        break;
      case NameChange::Kind::kRename: {
        auto node = names.extract(change.path);
        if (!node.empty()) names[change.to] = std::move(node.mapped());
        break;
      }
    }
  }

  void new_life() {
    ++life;
    locked = false;
    stop_at = kNever;
    syncs_left = kNever;
    writes_left = kNever;
  }

  void crash(Random& random) {
    for (auto& [directory, list] : pending) {
      const std::uint64_t kept = random.below(list.size() + 1);
      for (std::uint64_t i = 0; i < kept; ++i) apply(list[i], durable, directories_durable);
    }
    pending.clear();
    std::erase_if(durable, [this](const auto& item) {
      return !directories_durable.contains(parent_of(item.first));
    });
    directories_now = directories_durable;
    now = durable;
    for (const auto& [path, inode] : now) inode->crash(random);
    new_life();
  }
};

class SimDisk::SimFile final : public storage::File {
 public:
  SimFile(std::shared_ptr<Machine> machine, std::shared_ptr<Inode> inode, std::string path)
      : machine_(std::move(machine)),
        inode_(std::move(inode)),
        path_(std::move(path)),
        life_(machine_->life) {}

  Expected<void> write_at(std::uint64_t offset, ByteView bytes) override {
    if (!alive() || !machine_->admit()) return dead("write");
    if (!machine_->has_room(*inode_, offset + bytes.size())) return no_space("write");
    if (Machine::strike(machine_->writes_left)) {
      put(offset, bytes.substr(0, bytes.size() / 2));
      return failure(path_, "write", "Input/output error");
    }
    put(offset, bytes);
    machine_->bytes_written += bytes.size();
    return {};
  }

  Expected<std::string> read_at(std::uint64_t offset, std::size_t size) override {
    if (!alive()) return dead("read");
    if (offset >= inode_->now.size()) return std::string{};
    return inode_->now.substr(offset, size);
  }

  Expected<void> sync() override {
    if (!alive() || !machine_->admit()) return dead("fdatasync");
    if (Machine::strike(machine_->syncs_left)) {
      inode_->dirty.clear();
      return failure(path_, "fdatasync", "Input/output error");
    }
    inode_->sync();
    return {};
  }

  Expected<std::uint64_t> size() override {
    if (!alive()) return dead("fstat");
    return inode_->now.size();
  }

  Expected<void> truncate(std::uint64_t size) override {
    if (!alive() || !machine_->admit()) return dead("truncate");
    if (!machine_->has_room(*inode_, size)) return no_space("truncate");
    // What is cut off must not come back with a later growth, unless the crash drops both.
    if (size < inode_->now.size())
      inode_->mark(size, std::max(inode_->now.size(), inode_->durable.size()));
    inode_->now.resize(size, '\0');
    return {};
  }

  Expected<void> reserve(std::uint64_t size) override {
    if (!alive() || !machine_->admit()) return dead("reserve");
    ZKFS_CHECK(size >= inode_->now.size(), "{}: reserving {} of {}", path_, size,
               inode_->now.size());
    if (!machine_->has_room(*inode_, size)) return no_space("reserve");
    inode_->now.resize(size, '\0');
    return {};
  }

 private:
  [[nodiscard]] bool alive() const { return life_ == machine_->life && !machine_->stopped(); }

  [[nodiscard]] std::unexpected<Problem> dead(std::string_view operation) const {
    return failure(path_, operation, "the machine has stopped");
  }

  [[nodiscard]] std::unexpected<Problem> no_space(std::string_view operation) const {
    return failure(path_, operation,
                   "No space left on device; free space or pass another --data-dir");
  }

  void put(std::uint64_t offset, ByteView bytes) {
    if (bytes.empty()) return;
    const std::uint64_t end = offset + bytes.size();
    if (inode_->now.size() < end) inode_->now.resize(end, '\0');
    std::memcpy(inode_->now.data() + offset, bytes.data(), bytes.size());
    inode_->mark(offset, end);
  }

  std::shared_ptr<Machine> machine_;
  std::shared_ptr<Inode> inode_;
  std::string path_;
  std::uint64_t life_;
};

SimDisk::SimDisk() : machine_(std::make_shared<Machine>()) {}

SimDisk::~SimDisk() = default;

Expected<std::unique_ptr<storage::File>> SimDisk::open(const std::string& path) {
  if (machine_->stopped()) return failure(path, "open", "the machine has stopped");
  const auto found = machine_->now.find(path);
  if (found == machine_->now.end()) return failure(path, "open", "No such file or directory");
  return std::make_unique<SimFile>(machine_, found->second, path);
}

Expected<std::unique_ptr<storage::File>> SimDisk::create(const std::string& path) {
  if (!machine_->admit()) return failure(path, "create", "the machine has stopped");
  if (!machine_->directories_now.contains(parent_of(path)))
    return failure(path, "create", "No such file or directory");
  const auto found = machine_->now.find(path);
  if (found != machine_->now.end()) {
    Inode& inode = *found->second;
    inode.mark(0, std::max(inode.now.size(), inode.durable.size()));
    inode.now.clear();
    return std::make_unique<SimFile>(machine_, found->second, path);
  }
  auto inode = std::make_shared<Inode>();
  machine_->note({Machine::NameChange::Kind::kLink, path, {}, inode});
  return std::make_unique<SimFile>(machine_, std::move(inode), path);
}

Expected<void> SimDisk::rename(const std::string& from, const std::string& to) {
  if (!machine_->admit()) return failure(from, "rename", "the machine has stopped");
  ZKFS_CHECK(parent_of(from) == parent_of(to), "rename from {} to {}: another directory", from, to);
  if (!machine_->now.contains(from)) return failure(from, "rename", "No such file or directory");
  machine_->note({Machine::NameChange::Kind::kRename, from, to, {}});
  return {};
}

Expected<void> SimDisk::remove(const std::string& path) {
  if (!machine_->admit()) return failure(path, "remove", "the machine has stopped");
  if (!machine_->now.contains(path)) return failure(path, "remove", "No such file or directory");
  machine_->note({Machine::NameChange::Kind::kRemove, path, {}, {}});
  return {};
}

Expected<std::vector<std::string>> SimDisk::list(const std::string& directory) {
  if (machine_->stopped()) return failure(directory, "list", "the machine has stopped");
  const std::string prefix = directory.empty() ? directory : directory + "/";
  std::vector<std::string> names;
  const auto add = [&](const std::string& path) {
    if (!path.empty() && parent_of(path) == directory) names.push_back(path.substr(prefix.size()));
  };
  for (const auto& [path, inode] : machine_->now) add(path);
  for (const std::string& path : machine_->directories_now) add(path);
  std::ranges::sort(names);
  return names;
}

Expected<void> SimDisk::make_directory(const std::string& path) {
  if (!machine_->admit()) return failure(path, "mkdir", "the machine has stopped");
  if (machine_->directories_now.contains(path)) return {};
  if (!machine_->directories_now.contains(parent_of(path)))
    return failure(path, "mkdir", "No such file or directory");
  machine_->note({Machine::NameChange::Kind::kDirectory, path, {}, {}});
  return {};
}

Expected<void> SimDisk::sync_directory(const std::string& path) {
  if (!machine_->admit()) return failure(path, "fsync", "the machine has stopped");
  if (!machine_->directories_now.contains(path))
    return failure(path, "fsync", "No such file or directory");
  if (Machine::strike(machine_->syncs_left)) return failure(path, "fsync", "Input/output error");
  auto& list = machine_->pending[path];
  for (const auto& change : list)
    Machine::apply(change, machine_->durable, machine_->directories_durable);
  list.clear();
  return {};
}

bool SimDisk::exists(const std::string& path) {
  return machine_->now.contains(path) || machine_->directories_now.contains(path);
}

Expected<void> SimDisk::lock(const std::string& path) {
  if (machine_->stopped()) return failure(path, "lock", "the machine has stopped");
  if (machine_->locked) {
    return std::unexpected(Problem{fmt::format(
        "/sim/{}: is held by process 1; stop that one or pass another --data-dir", path)});
  }
  machine_->locked = true;
  return {};
}

std::string SimDisk::describe(const std::string& path) const {
  return "/sim/" + path;
}

void SimDisk::crash(Random& random) {
  machine_->crash(random);
}

void SimDisk::wipe() {
  Machine blank;
  blank.life = machine_->life + 1;
  blank.changes = machine_->changes;
  *machine_ = std::move(blank);
}

void SimDisk::restart() {
  machine_->new_life();
}

void SimDisk::stop_after(std::uint64_t changes) {
  machine_->stop_at = machine_->changes + changes;
}

void SimDisk::never_stop() {
  machine_->stop_at = kNever;
}

void SimDisk::fail_sync(std::uint64_t nth) {
  machine_->syncs_left = nth;
}

void SimDisk::fail_write(std::uint64_t nth) {
  machine_->writes_left = nth;
}

void SimDisk::set_space(std::uint64_t bytes) {
  machine_->space = bytes;
}

void SimDisk::corrupt(const std::string& path, std::uint64_t offset) {
  const auto found = machine_->now.find(path);
  ZKFS_CHECK(found != machine_->now.end(), "corrupt: no {}", path);
  Inode& inode = *found->second;
  ZKFS_CHECK(offset < inode.now.size(), "corrupt: {} has {} bytes", path, inode.now.size());
  inode.now[offset] = static_cast<char>(~inode.now[offset]);
  if (offset < inode.durable.size()) inode.durable[offset] = inode.now[offset];
}

std::string SimDisk::content(const std::string& path) const {
  const auto found = machine_->now.find(path);
  ZKFS_CHECK(found != machine_->now.end(), "content: no {}", path);
  return found->second->now;
}

void SimDisk::put(const std::string& path, ByteView bytes) {
  auto inode = std::make_shared<Inode>();
  inode->now = inode->durable = std::string{bytes};
  machine_->now[path] = machine_->durable[path] = inode;
}

std::uint64_t SimDisk::changes() const {
  return machine_->changes;
}

std::uint64_t SimDisk::bytes_written() const {
  return machine_->bytes_written;
}

bool SimDisk::stopped() const {
  return machine_->stopped();
}

std::uint64_t SimDisk::used() const {
  return machine_->used();
}

}  // namespace zkfs::testing
