// SPDX-License-Identifier: Apache-2.0
// The command line: which command, with what. --help and misuse end here.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "zkfs/commands/create_command.h"
#include "zkfs/commands/dump_command.h"
#include "zkfs/commands/import_command.h"
#include "zkfs/commands/lock_command.h"
#include "zkfs/commands/tree_command.h"
#include "zkfs/commands/value_command.h"
#include "zkfs/commands/wait_command.h"

namespace zkfs {

// What the program's exit codes mean, for every command.
enum ExitCode : int {
  kExitYes = 0,
  kExitNo = 1,  // also: could not start, with one line that says why
  kExitMisuse = 2,
  kExitNoQuorum = 3,
  kExitTimedOut = 4,
};

struct ServeCommand {
  std::string config_file;  // empty: standalone
  std::string data_dir;
  std::vector<std::string> overrides;  // --set
  std::string log_level = "info";
  std::string mountpoint;                  // empty: none but those of --mount
  std::vector<std::string> mount_options;  // -o, of `mountpoint`
  std::vector<std::string> mounts;         // --mount, each "MOUNTPOINT[,OPTIONS]"
  bool keep = false;                       // goes on without mounts
};

struct StatusCommand {
  std::string mountpoint;  // empty: all of this machine's
};

// --help, --version or misuse: print and exit.
struct PrintAndExit {
  int exit_code = kExitYes;
  std::string text;  // to standard output if exit_code is 0, to standard error otherwise
};

using Command = std::variant<PrintAndExit,
                             ServeCommand,
                             StatusCommand,
                             CreateCommand,
                             GetCommand,
                             SetCommand,
                             RmCommand,
                             LsCommand,
                             StatCommand,
                             WaitCommand,
                             LockCommand,
                             DumpCommand,
                             ImportCommand>;

Command parse_command_line(int argc, const char* const* argv);

}  // namespace zkfs
