// SPDX-License-Identifier: Apache-2.0
// zkfs: the program. Parses the command line and hands over.
#include <cstdio>
#include <variant>

#include "zkfs/daemon.h"
#include "zkfs/mount_helper.h"
#include "zkfs/options.h"
#include "zkfs/status_command.h"

namespace {

struct Run {
  int operator()(const zkfs::PrintAndExit& print) const {
    std::fputs(print.text.c_str(), print.exit_code == 0 ? stdout : stderr);
    return print.exit_code;
  }

  int operator()(const zkfs::ServeCommand& command) const { return zkfs::run_serve(command); }

  int operator()(const zkfs::StatusCommand& command) const { return zkfs::run_status(command); }

  int operator()(const zkfs::CreateCommand& command) const { return zkfs::run_create(command); }

  int operator()(const zkfs::GetCommand& command) const { return zkfs::run_get(command); }

  int operator()(const zkfs::SetCommand& command) const { return zkfs::run_set(command); }

  int operator()(const zkfs::RmCommand& command) const { return zkfs::run_rm(command); }

  int operator()(const zkfs::LsCommand& command) const { return zkfs::run_ls(command); }

  int operator()(const zkfs::StatCommand& command) const { return zkfs::run_stat(command); }

  int operator()(const zkfs::WaitCommand& command) const { return zkfs::run_wait(command); }

  int operator()(const zkfs::LockCommand& command) const { return zkfs::run_lock(command); }

  int operator()(const zkfs::DumpCommand& command) const { return zkfs::run_dump(command); }

  int operator()(const zkfs::ImportCommand& command) const { return zkfs::run_import(command); }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc > 0 && zkfs::is_mount_helper(argv[0])) return zkfs::run_mount_helper(argc, argv);
  return std::visit(Run{}, zkfs::parse_command_line(argc, argv));
}
