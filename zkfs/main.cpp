// SPDX-License-Identifier: Apache-2.0
// zkfs: the program. Parses the command line and hands over.
#include <cstdio>
#include <variant>

#include "zkfs/daemon.h"
#include "zkfs/options.h"
#include "zkfs/status_command.h"

int main(int argc, char** argv) {
  const zkfs::Command command = zkfs::parse_command_line(argc, argv);
  if (const auto* serve = std::get_if<zkfs::ServeCommand>(&command)) return zkfs::run_serve(*serve);
  if (const auto* status = std::get_if<zkfs::StatusCommand>(&command))
    return zkfs::run_status(*status);
  const auto& print = std::get<zkfs::PrintAndExit>(command);
  std::fputs(print.text.c_str(), print.exit_code == 0 ? stdout : stderr);
  return print.exit_code;
}
