// SPDX-License-Identifier: Apache-2.0
#include "zkfs/commands/import_command.h"

#include <cstdio>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>

#include "ensemble/import/importer.h"
#include "ensemble/storage/data_dir.h"
#include "ensemble/storage/posix_disk.h"
#include "zkfs/commands/client.h"
#include "zkfs/config.h"

namespace zkfs {
namespace {

namespace fs = std::filesystem;

int complain_of(const Problem& problem) {
  std::fflush(stdout);
  fmt::print(stderr, "zkfs: {}\n", problem.text);
  return kExitNo;
}

// `myid` and the like may be there: a server has them before its data.
Expected<void> check_target(const std::string& target) {
  const fs::path data = fs::path(target) / storage::kDataDirectory;
  std::error_code error;
  for (fs::directory_iterator it(data, error), end; !error && it != end; it.increment(error)) {
    if (it->path().filename() == storage::kLockName) continue;
    return std::unexpected(
        Problem{fmt::format("{}: is there already; give a --data-dir without data, or move {} away",
                            it->path().string(), data.string())});
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return std::unexpected(Problem{fmt::format("{}: {}", data.string(), error.message())});
  return {};
}

void print_summary(const std::string& target, const zookeeper::Imported& imported) {
  const tree::DataTree& tree = *imported.tree;
  fmt::print("{}: {} znodes, {} bytes of data\n", target, tree.node_count(), tree.data_bytes());
  fmt::print("last zxid {}, {} transactions after the snapshot, epoch {}\n", tree.last_applied(),
             imported.txns, imported.current_epoch);
  fmt::print("left out: {} sessions, {} ephemerals, /zookeeper/config\n",
             imported.sessions_left_out, imported.ephemerals_left_out);
  fmt::print("quotas: {}\n", imported.quotas);
}

}  // namespace

int run_import(const ImportCommand& command) {
  const std::string target = command.data_dir.empty() ? default_data_dir() : command.data_dir;
  if (const auto free = check_target(target); !free) return complain_of(free.error());
  const auto imported = zookeeper::read_zookeeper(command.source, command.log_dir);
  if (!imported) return complain_of(imported.error());
  const auto disk = storage::open_posix_disk(target);
  if (!disk) return complain_of(disk.error());
  if (const auto written = zookeeper::write_data_dir(**disk, *imported); !written)
    return complain_of(written.error());
  for (const std::string& remark : imported->remarks) fmt::print(stderr, "zkfs: {}\n", remark);
  print_summary(target, *imported);
  return print_all("");
}

}  // namespace zkfs
